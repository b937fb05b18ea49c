//! Which program does the work: the values of `SAMOCODE_AGENT`.

use std::fmt;
use std::path::Path;

use super::dirs;

/// An agent as it is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentChoice {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// The built-in agent that plays all phases and costs nothing.
    Rehearsal,
    /// Any program that honours the file contract.
    Command {
        /// A name to be found on PATH, or a path; absolute once it went through the settings.
        program: String,
        /// Its arguments.
        args: Vec<String>,
    },
}

impl AgentChoice {
    /// Reads a value. The words of a command are split as a shell would, without expansions; a
    /// program with a `/` is a path from `base`, and `~` is expanded.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(text: &str, base: &Path, home: Option<&Path>) -> Result<Self, String> {
        let allowed = || "use claude, codex, gemini, rehearsal or command:PROGRAM ARGS".to_owned();
        let text = text.trim();
        if let Some(command) = text.strip_prefix("command:") {
            let words = shlex::split(command).ok_or("a quote in the command is not closed")?;
            let mut words = words.into_iter();
            let program = words.next().filter(|program| !program.is_empty()).ok_or_else(allowed)?;
            return Ok(Self::Command {
                program: program_path(&program, base, home)?,
                args: words.collect(),
            });
        }
        match text.to_ascii_lowercase().as_str() {
            "claude" => Ok(Self::Claude),
            "codex" => Ok(Self::Codex),
            "gemini" => Ok(Self::Gemini),
            "rehearsal" => Ok(Self::Rehearsal),
            _ => Err(allowed()),
        }
    }

    /// The kind of agent, in one word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Rehearsal => "rehearsal",
            Self::Command { .. } => "command",
        }
    }
}

/// As in `SAMOCODE_AGENT`: what [`parse`](AgentChoice::parse) reads back.
impl fmt::Display for AgentChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Command { program, args } = self else { return f.pad(self.kind()) };
        let words = std::iter::once(program).chain(args).map(String::as_str);
        // Quoting fails on NUL only, which no value of a file or an environment contains.
        write!(f, "command:{}", shlex::try_join(words).map_err(|_| fmt::Error)?)
    }
}

/// A program's path from `base`, or its bare name.
pub(super) fn program_path(
    program: &str,
    base: &Path,
    home: Option<&Path>,
) -> Result<String, String> {
    if !program.contains('/') && !program.starts_with('~') {
        return Ok(program.to_owned());
    }
    let path = dirs::expand(program, base, home)?;
    path.into_os_string().into_string().map_err(|_| "the path is not UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AgentChoice, String> {
        AgentChoice::parse(text, Path::new("/p"), Some(Path::new("/h")))
    }

    #[test]
    fn commands_are_split_like_a_shell_and_paths_made_absolute() {
        let command = |program: &str, args: &[&str]| {
            let args = args.iter().map(|arg| (*arg).to_owned()).collect();
            Ok(AgentChoice::Command { program: program.to_owned(), args })
        };
        assert_eq!(parse("command:prog"), command("prog", &[]));
        assert_eq!(parse("command: ./run 'a b' \"c\" $d"), command("/p/run", &["a b", "c", "$d"]));
        assert_eq!(parse("command:~/run"), command("/h/run", &[]));
        assert_eq!(parse(" Claude "), Ok(AgentChoice::Claude));
        for bad in ["", "cluade", "command:", "command: ''", "command:a 'b"] {
            assert!(parse(bad).is_err(), "{bad}");
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
