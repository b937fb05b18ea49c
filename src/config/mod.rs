//! A project: a folder with a `.samocode` file; what is set there and elsewhere, and from where; and
//! what agents declare, so that their settings and secrets are told apart.
//!
//! ```text
//! PROJECT/.samocode                      KEY=value: MAIN_REPO, WORKTREES, SESSIONS, and any key of `keys`
//! $XDG_CONFIG_HOME/samocode/config       the same syntax, for all projects of the user
//! $XDG_CONFIG_HOME/samocode/env          credentials, mode 0600
//! $XDG_STATE_HOME/samocode/accounts/     what is known of an account: limits, failed credentials
//! ```

pub mod agent_name;
pub mod dirs;
pub mod env;
pub mod env_file;
pub mod file;
pub mod find;
pub mod init;
pub mod keys;
mod layers;
pub mod secret;
pub mod settings;
pub mod values;
pub mod vocabulary;

use std::io;
use std::path::{Path, PathBuf};

pub use agent_name::{AgentName, CommandLine};
pub use dirs::Dirs;
pub use env::Env;
pub use env_file::EnvFile;
pub use find::Project;
pub use secret::{Redactor, Secret};
pub use settings::{Flags, Origin, Row, Settings};
pub use vocabulary::{AgentWords, Credentials, Reach, Variables, Vocabulary};

/// What is wrong with a project's files or settings. All of it is for the human to mend: a
/// program that ends because of it exits with the code for configuration, 78.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read, written or made.
    #[error("cannot {action} {}: {reason}{hint}", shown(path))]
    Io {
        /// What was attempted, as in "cannot ACTION PATH".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
        /// What to do now, with the punctuation that leads to it; may be empty.
        hint: &'static str,
    },
    /// There is no project here.
    #[error(
        "no .samocode in {} or above it{}: run 'samocode init' in the project, or name its file with --config FILE",
        shown(cwd), folder.as_ref().map_or_else(String::new, |path| format!(" ({} is a folder and no project's file)", shown(path)))
    )]
    NoProject {
        /// Where it was looked for.
        cwd: PathBuf,
        /// A folder of that name, which was passed by.
        folder: Option<PathBuf>,
    },
    /// What was named as the project's file is a folder.
    #[error("{} is a folder: name the project's file, as in --config {}", shown(.0), shown(&.0.join(find::FILE_NAME)))]
    Folder(PathBuf),
    /// Where a file should be is something else.
    #[error("{} is {what} and no file: move it away", shown(path))]
    NotAFile {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A folder of the project is something else, or leads nowhere.
    #[error("{}: {key}={} {what}: set {key} to a folder, or mend it", shown(config), shown(path))]
    Place {
        /// The project's file.
        config: PathBuf,
        /// Which folder.
        key: &'static str,
        /// Where it is set to be.
        path: PathBuf,
        /// What is there.
        what: String,
    },
    /// A file of another user would say which programs to run.
    #[error(
        "{} belongs to another user (uid {owner}) and is not used: name it with --config if you trust it",
        shown(path)
    )]
    Stranger {
        /// The file.
        path: PathBuf,
        /// Its owner's numeric id.
        owner: u32,
    },
    /// The file with the credentials belongs to someone else.
    #[error(
        "{} belongs to another user (uid {owner}) and is not used: make it yours with 'sudo chown $(id -u) {}'",
        shown(path),
        shown(path)
    )]
    StrangersEnv {
        /// The file.
        path: PathBuf,
        /// Its owner's numeric id.
        owner: u32,
    },
    /// A line is not in the syntax. The line's text is not shown: it may be a secret.
    #[error("{}:{line}: {what}", shown(path))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
        /// What is wrong and what would be right.
        what: String,
    },
    /// Required keys are missing.
    #[error("{}: {} not set: add {}", shown(path), names(keys), examples(keys))]
    Missing {
        /// The project's file.
        path: PathBuf,
        /// The keys.
        keys: Vec<&'static str>,
    },
    /// A value does not fit its key. The value is a word of its own in the message, unless secret.
    #[error("{key}={value} ({origin}): {allowed}")]
    Value {
        /// The key.
        key: String,
        /// The value, with control characters escaped.
        value: String,
        /// Where it is set.
        origin: Origin,
        /// What is allowed.
        allowed: String,
    },
    /// A value cannot stand in a file of `KEY=value` lines.
    #[error(
        "{0} cannot be written to a file: its value is not UTF-8 text, or contains control characters"
    )]
    Unwritable(String),
    /// Neither HOME nor the user database names a home folder.
    #[error("your home folder is unknown: set HOME to it")]
    NoHome,
    /// Nothing can be named after the folder.
    #[error("cannot make a project of {}: choose a folder with a name of its own", shown(.0))]
    NoName(PathBuf),
}

impl Error {
    fn io(action: &'static str, path: &Path, reason: io::Error) -> Self {
        let hint = match reason.kind() {
            io::ErrorKind::PermissionDenied => ": check who owns it and its permissions",
            io::ErrorKind::NotFound => ": check the path",
            io::ErrorKind::StorageFull => ": make room and try again",
            io::ErrorKind::ReadOnlyFilesystem => ": choose a place that can be written to",
            _ => "",
        };
        Self::Io { action, path: path.to_owned(), reason, hint }
    }
}

fn names(keys: &[&str]) -> String {
    let verb = if keys.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", keys.join(", "))
}

fn examples(keys: &[&str]) -> String {
    let lines: Vec<_> = keys.iter().map(|key| format!("'{key}=/path/to/its/folder'")).collect();
    let word = if lines.len() == 1 { "a line" } else { "lines" };
    format!("{word} like {}", lines.join(", "))
}

/// What should be said, but hinders nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A key nobody reads.
    #[error("{at}: {key} is not a key of samocode{}", near.as_ref().map_or_else(
        || ": 'samocode config' lists them".to_owned(),
        |near| format!(": did you mean {near}?"),
    ))]
    UnknownKey {
        /// `file:line`.
        at: String,
        /// The key.
        key: String,
        /// The known key that is most like it.
        near: Option<String>,
    },
    /// A variable for agents in a file of settings.
    #[error("{at}: {key} is not read from here: it belongs in {env_file}")]
    ForEnvFile {
        /// `file:line`.
        at: String,
        /// The variable.
        key: String,
        /// The file it belongs in.
        env_file: String,
    },
    /// A key of a project in the user's file.
    #[error("{at}: {key} is read only from a project's .samocode")]
    ForProject {
        /// `file:line`.
        at: String,
        /// The key.
        key: String,
    },
    /// A key is set twice in one file.
    #[error("{at}: {key} is set before, in line {first}: this one counts")]
    Duplicate {
        /// `file:line` of the one that counts.
        at: String,
        /// The key.
        key: String,
        /// The line of the one that does not.
        first: u32,
    },
    /// Others may read the credentials.
    #[error("{path} can be read by others (mode {mode:04o}): chmod 600 {path}")]
    Readable {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// A variable in the env file which agents do not get.
    #[error("{at}: {key} is not handed to agents: only {only} are")]
    NotHandedOn {
        /// `file:line`.
        at: String,
        /// The variable.
        key: String,
        /// Those that are.
        only: String,
    },
}

/// A path as it may stand in a message of one line.
pub(crate) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.chars().any(char::is_control) {
        text.escape_debug().to_string()
    } else {
        text.into_owned()
    }
}

/// Whether a file of `owner` may tell a process of user `me` what to do: the user's own and
/// root's may; root trusts its caller, who may have come by sudo.
const fn is_trusted(owner: u32, me: u32) -> bool {
    owner == me || owner == 0 || me == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_one_line_even_for_a_hostile_path() {
        let path = PathBuf::from("/tmp/a\nb");
        for error in [
            Error::NoProject { cwd: path.clone(), folder: Some(path.clone()) },
            Error::Folder(path.clone()),
            Error::NotAFile { path: path.clone(), what: "a FIFO" },
            Error::Missing { path: path.clone(), keys: vec!["WORKTREES", "SESSIONS"] },
            Error::io("read", &path, io::Error::from(io::ErrorKind::PermissionDenied)),
        ] {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn missing_keys_are_named_with_the_lines_to_add() {
        let error =
            Error::Missing { path: "/p/.samocode".into(), keys: vec!["WORKTREES", "SESSIONS"] };
        assert_eq!(
            error.to_string(),
            "/p/.samocode: WORKTREES, SESSIONS are not set: add lines like \
             'WORKTREES=/path/to/its/folder', 'SESSIONS=/path/to/its/folder'"
        );
    }

    #[test]
    fn a_strangers_file_is_not_trusted_by_a_user() {
        assert!(is_trusted(1000, 1000) && is_trusted(0, 1000) && is_trusted(1000, 0));
        assert!(!is_trusted(1001, 1000));
    }
}
