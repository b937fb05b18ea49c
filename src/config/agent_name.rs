//! Which program does the work: the values of `SAMOCODE_AGENT`. The registry of agents knows what
//! each name means.

use std::fmt;
use std::path::Path;

use super::{Vocabulary, dirs};

/// The user's choice of an agent: its name and, for some agents, a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentName {
    word: &'static str,
    command: Option<CommandLine>,
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// A name to look up on PATH, or a path, which the settings make absolute.
    pub program: String,
    /// The program's arguments, already split and unquoted.
    pub args: Vec<String>,
}

impl AgentName {
    /// Reads a value. The words of a command are split as a shell would, without expansions; a
    /// program with a `/` is a path from `base`, and `~` is expanded.
    ///
    /// # Errors
    /// A message that lists the allowed values.
    pub fn parse(
        text: &str,
        base: &Path,
        home: Option<&Path>,
        vocabulary: &Vocabulary,
    ) -> Result<Self, String> {
        let text = text.trim();
        let (word, line) = match text.split_once(':') {
            Some((word, line)) => (word, Some(line)),
            None => (text, None),
        };
        let known = vocabulary.agent(&word.to_ascii_lowercase());
        let known = known.filter(|agent| agent.takes_command == line.is_some());
        let word = known.ok_or_else(|| vocabulary.instead_of_agent(word))?.name;
        let Some(line) = line else { return Ok(Self { word, command: None }) };
        let words = shlex::split(line).ok_or("a quote in the command is not closed")?;
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let program = program.ok_or_else(|| vocabulary.allowed_agents())?;
        let program = program_path(&program, base, home)?;
        Ok(Self { word, command: Some(CommandLine { program, args: words.collect() }) })
    }

    /// Reads several, with commas between them, or `none`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse) for the first bad one, and for one that is named twice.
    pub fn parse_list(
        text: &str,
        base: &Path,
        home: Option<&Path>,
        vocabulary: &Vocabulary,
    ) -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        if text.trim().eq_ignore_ascii_case("none") {
            return Ok(all);
        }
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let name = Self::parse(part, base, home, vocabulary)?;
            if all.contains(&name) {
                return Err(format!("name each agent once: {name} is there twice"));
            }
            all.push(name);
        }
        Ok(all)
    }

    /// The agent's name alone, without a command line.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        self.word
    }

    /// The command line, for an agent that takes one.
    #[must_use]
    pub const fn command(&self) -> Option<&CommandLine> {
        self.command.as_ref()
    }
}

/// The value of `SAMOCODE_AGENT`, which [`parse`](AgentName::parse) reads back.
impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(command) = &self.command else { return f.pad(self.word) };
        let words = std::iter::once(&command.program).chain(&command.args).map(String::as_str);
        // Quoting fails on NUL only, which no value of a file or an environment contains.
        write!(f, "{}:{}", self.word, shlex::try_join(words).map_err(|_| fmt::Error)?)
    }
}

/// A program's path from `base`, or its bare name.
///
/// # Errors
/// A message, if a `~` cannot be expanded or the path is not UTF-8.
pub fn program_path(program: &str, base: &Path, home: Option<&Path>) -> Result<String, String> {
    if !program.contains('/') && !program.starts_with('~') {
        return Ok(program.to_owned());
    }
    let path = dirs::expand(program, base, home)?;
    path.into_os_string().into_string().map_err(|_| "the path is not UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::vocabulary::sample;

    fn parse(text: &str) -> Result<AgentName, String> {
        AgentName::parse(text, Path::new("/p"), Some(Path::new("/h")), &sample::vocabulary())
    }

    #[test]
    fn commands_are_split_like_a_shell_and_paths_made_absolute() {
        let command = |program: &str, args: &[&str]| {
            let args = args.iter().map(|arg| (*arg).to_owned()).collect();
            Some(CommandLine { program: program.to_owned(), args })
        };
        let parsed = |text: &str| parse(text).unwrap().command;
        assert_eq!(parsed("command:prog"), command("prog", &[]));
        assert_eq!(parsed("command: ./run 'a b' \"c\" $d"), command("/p/run", &["a b", "c", "$d"]));
        assert_eq!(parsed("command:~/run"), command("/h/run", &[]));
        assert_eq!(parse(" Claude ").unwrap().word(), "claude");
        let bad = ["", "cluade", "command:", "command: ''", "command:a 'b", "command", "claude:x"];
        for bad in bad {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_is_read_in_its_order_and_names_each_agent_once() {
        let list = |text: &str| {
            AgentName::parse_list(text, Path::new("/p"), None, &sample::vocabulary())
                .map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(list(" Claude , rehearsal,").unwrap(), ["claude", "rehearsal"]);
        assert_eq!(
            list("command:./a b, command:./a c").unwrap(),
            ["command:/p/a b", "command:/p/a c"]
        );
        assert_eq!(list(" none ").unwrap(), Vec::<String>::new());
        for (bad, says) in [("claude,cluade", "did you mean 'claude'"), ("claude, CLAUDE", "twice")]
        {
            assert!(list(bad).unwrap_err().contains(says), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for text in ["claude", "rehearsal", "command:/x/y 'a b' ''", "command:p --flag=1"] {
            let choice = parse(text).unwrap();
            assert_eq!(parse(&choice.to_string()), Ok(choice));
        }
    }
}
