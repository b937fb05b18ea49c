//! Completes the samocode commands in hints and messages so that they can be pasted as they are: adds
//! `--system` and `--config` where the reader needs them, and `sudo` where only root may run them.

use std::path::Path;

use super::Scope;

/// The person who reads a hint, and what they must type for a command to reach the same session.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The user's service manager or the system's.
    pub scope: Scope,
    /// The project file, if the reader has to name it.
    pub config: Option<&'a Path>,
    /// Whether the reader is root.
    pub is_root: bool,
}

/// What a verb's command line needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// It takes `--system` and `--config`, which say where its session is.
    Place,
    /// Both, and in system scope also root, because it changes units.
    Root,
}

/// The verbs that act on sessions.
const VERBS: [(&str, Needs); 31] = [
    ("enable", Needs::Root),
    ("disable", Needs::Root),
    ("start", Needs::Root),
    ("stop", Needs::Root),
    ("restart", Needs::Root),
    ("reload", Needs::Root),
    ("remove", Needs::Root),
    ("archive", Needs::Root),
    ("restore", Needs::Root),
    ("attach", Needs::Root),
    ("convoy", Needs::Place),
    ("doctor", Needs::Root),
    ("status", Needs::Place),
    ("show", Needs::Place),
    ("logs", Needs::Place),
    ("why", Needs::Place),
    ("history", Needs::Place),
    ("cost", Needs::Place),
    ("wait", Needs::Place),
    ("answer", Needs::Place),
    ("approve", Needs::Place),
    ("reject", Needs::Place),
    ("send", Needs::Place),
    ("inbox", Needs::Place),
    ("config", Needs::Place),
    ("ask", Needs::Place),
    ("confine", Needs::Place),
    ("merge", Needs::Place),
    ("prompt", Needs::Place),
    ("report", Needs::Place),
    ("role", Needs::Place),
];

impl Reader<'_> {
    /// Completes every samocode command in the text. Flags that are there already are not repeated.
    #[must_use]
    pub fn pasteable(&self, text: &str) -> String {
        if self.scope == Scope::User && self.config.is_none() {
            return text.to_owned();
        }
        let mut done = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(PROGRAM) {
            let (before, command) = rest.split_at(at);
            let after = &command[PROGRAM.len()..];
            done.push_str(before);
            rest = after;
            let word = after.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
            let verb = VERBS.iter().find(|(verb, _)| *verb == word);
            let begins = done.chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '/');
            let Some((verb, needs)) = verb.filter(|_| begins) else {
                done.push_str(PROGRAM);
                continue;
            };
            let is_rooted = self.is_root || done.trim_end().ends_with("sudo");
            if self.scope == Scope::System && *needs == Needs::Root && !is_rooted {
                done.push_str("sudo ");
            }
            done.push_str(PROGRAM);
            done.push_str(verb);
            rest = &after[verb.len()..];
            self.flags(rest, &mut done);
        }
        done + rest
    }

    /// Adds the missing flags to a command that continues with `rest`.
    fn flags(&self, rest: &str, done: &mut String) {
        let command = rest.split([';', '\n']).next().unwrap_or_default();
        let command = command.split(PROGRAM).next().unwrap_or_default();
        if self.scope == Scope::System && !command.contains(" --system") {
            done.push_str(" --system");
        }
        if let Some(config) = self.config.filter(|_| !command.contains(" --config")) {
            done.push_str(&format!(" --config {}", quoted(config)));
        }
    }
}

/// The start of one of our commands.
const PROGRAM: &str = "samocode ";

/// Quotes a path as one word for a shell.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    match shlex::try_quote(&text) {
        Ok(quoted) => quoted.into_owned(),
        // Only a NUL byte cannot be quoted, and no path has one.
        Err(_) => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Reader<'_> = Reader { scope: Scope::User, config: None, is_root: false };
    const SYSTEM: Reader<'_> = Reader { scope: Scope::System, ..USER };

    #[test]
    fn a_users_own_commands_stay_as_they_are() {
        let text = "tell it how: samocode send jwt \"…\"; or: samocode start jwt";
        assert_eq!(USER.pasteable(text), text);
    }

    #[test]
    fn in_system_scope_every_command_names_it_and_is_for_root_where_it_changes_units() {
        let text = "tell it how: samocode send jwt \"…\"; or retry: samocode start jwt";
        assert_eq!(
            SYSTEM.pasteable(text),
            "tell it how: samocode send --system jwt \"…\"; or retry: sudo samocode start --system jwt"
        );
        let root = Reader { is_root: true, ..SYSTEM };
        assert_eq!(root.pasteable("samocode start jwt"), "samocode start --system jwt");
        assert_eq!(
            SYSTEM.pasteable("logs: samocode logs -f jwt      stop: samocode stop jwt"),
            "logs: samocode logs --system -f jwt      stop: sudo samocode stop --system jwt"
        );
    }

    #[test]
    fn a_project_that_was_named_is_named_again() {
        let config = Path::new("/srv/my shop/.samocode");
        let reader = Reader { config: Some(config), ..USER };
        let once = reader.pasteable("resume it with: samocode start jwt");
        assert_eq!(once, "resume it with: samocode start --config '/srv/my shop/.samocode' jwt");
        assert_eq!(reader.pasteable(&once), once, "what is complete stays");
    }

    #[test]
    fn what_is_complete_or_no_command_stays() {
        for text in [
            "sudo samocode enable --system --run-as dev jwt",
            "samocode starts it; a newer samocode may have written it",
            "use `samocode run SESSION`, which needs none",
            "samocode demo --remove",
            "/opt/samocode start",
            "samocode ",
        ] {
            assert_eq!(SYSTEM.pasteable(text), text);
        }
    }
}
