//! Projects and settings. A project is a folder with a `.samocode` file. This module finds and
//! reads it, merges the settings of all layers, and keeps the agents' secrets apart.
//!
//! ```text
//! PROJECT/.samocode                      KEY=value: MAIN_REPO, WORKTREES, SESSIONS, and any key of `keys`
//! $XDG_CONFIG_HOME/samocode/config       the same syntax, for all projects of the user
//! $XDG_CONFIG_HOME/samocode/env          credentials, mode 0600
//! $XDG_STATE_HOME/samocode/accounts/     an account's usage limits and refused credentials
//! ```

pub mod agent_name;
pub mod confine;
pub mod dirs;
pub mod env;
pub mod env_file;
pub mod file;
pub mod find;
pub mod init;
pub mod keys;
mod layers;
mod logins;
pub mod peers;
pub mod secret;
pub mod settings;
pub mod values;
mod veil;
pub mod vocabulary;
pub mod within;

use std::io;
use std::path::{Path, PathBuf};

use crate::platform::limits::Limit;
use crate::session::Hint;
pub use agent_name::{AgentName, CommandLine};
pub use dirs::Dirs;
pub use env::Env;
pub use env_file::{EnvFile, replace_private};
pub use find::Project;

pub use logins::has_login;
pub use secret::{Redactor, Secret};
pub use settings::{Flags, Origin, Row, Settings};
pub use veil::Veil;
pub use vocabulary::{AgentManifest, Credentials, Owner, Reach, Variables, Vocabulary};

/// A problem with a project's files or settings, which only a human can fix. A program that ends
/// because of one exits with the code for configuration errors, 78.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read, written or made.
    #[error("cannot {action} {}: {reason}", shown(path))]
    Io {
        /// The attempted action, as in "cannot ACTION PATH".
        action: &'static str,
        /// The file or folder in question.
        path: PathBuf,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// Neither this folder nor one above is a project.
    #[error(
        "no .samocode in {} or above it{}",
        shown(cwd), folder.as_ref().map_or_else(String::new, |path| format!(" ({} is a folder, not a project file)", shown(path)))
    )]
    NoProject {
        /// The folder in which the search started.
        cwd: PathBuf,
        /// A folder named `.samocode` that was skipped.
        folder: Option<PathBuf>,
    },
    /// The path given as the project's file is a folder.
    #[error("{} is a folder, not a project's file", shown(.0))]
    Folder(PathBuf),
    /// Something else is in the place of a file.
    #[error("{} is {what}, not a file", shown(path))]
    NotAFile {
        /// The path that should be a file.
        path: PathBuf,
        /// The kind of thing found there, such as "a FIFO".
        what: &'static str,
    },
    /// A folder of the project does not exist, or is not a folder.
    #[error("{}: {key}={} {what}", shown(config), shown(path))]
    Place {
        /// The project's `.samocode`, absolute.
        config: PathBuf,
        /// The key that names the folder.
        key: &'static str,
        /// The folder's path, as configured.
        path: PathBuf,
        /// The problem, to follow the path in the message.
        what: String,
    },
    /// The file belongs to another user, who could choose which programs to run.
    #[error("{} belongs to another user (uid {owner}), so samocode ignores it", shown(path))]
    Stranger {
        /// The file that the problem is in, absolute.
        path: PathBuf,
        /// Its owner's numeric id.
        owner: u32,
    },
    /// The file with the credentials belongs to someone else.
    #[error("{} belongs to another user (uid {owner}), so samocode ignores it", shown(path))]
    StrangersEnv {
        /// The file that the problem is in, absolute.
        path: PathBuf,
        /// Its owner's numeric id.
        owner: u32,
    },
    /// A line is not in the syntax. The line's text is not shown: it may be a secret.
    #[error("{}:{line}: {what}", shown(path))]
    Syntax {
        /// The file that the problem is in, absolute.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
        /// The problem, and how to write it correctly.
        what: String,
    },
    /// Required keys are missing.
    #[error("{}: {} not set", shown(path), names(keys))]
    Missing {
        /// The project's `.samocode`, absolute.
        path: PathBuf,
        /// The keys that are missing.
        keys: Vec<&'static str>,
    },
    /// A value is not allowed for its key. The message shows the value unless it is secret.
    #[error("{key}={value} ({origin}) is not allowed")]
    Value {
        /// The key as it is written in the file.
        key: String,
        /// The value, with control characters escaped.
        value: String,
        /// Where it is set.
        origin: Origin,
        /// The allowed values, worded as advice.
        allowed: String,
    },
    /// A value cannot be written as a `KEY=value` line.
    #[error(
        "{0} cannot be written to a file: its value is not UTF-8 text, or contains control characters"
    )]
    Unwritable(String),
    /// Neither HOME nor the user database names a home folder.
    #[error("your home folder is unknown")]
    NoHome,
    /// The folder has no name to derive other names from.
    #[error("cannot make a project of {}", shown(.0))]
    NoName(PathBuf),
}

impl Error {
    fn io(action: &'static str, path: &Path, reason: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), reason }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { reason, .. } if Limit::of(reason).is_some() => {
                return Limit::of(reason).map(Limit::remedy);
            }
            Self::Io { reason, .. } => match reason.kind() {
                io::ErrorKind::PermissionDenied => "check who owns it and its permissions",
                io::ErrorKind::NotFound => "check the path",
                io::ErrorKind::ReadOnlyFilesystem => "choose a writable place",
                io::ErrorKind::NotADirectory => {
                    "a part of this path is a file, not a folder: check the path, HOME and XDG_CONFIG_HOME"
                }
                _ if reason.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                    "it is a link that leads to itself: remove it"
                }
                _ => return None,
            }
            .to_owned(),
            Self::NoProject { .. } => {
                "run 'samocode init' in the project, or name its file with --config FILE".to_owned()
            }
            Self::Folder(folder) => {
                let file = shown(&folder.join(find::FILE_NAME));
                format!("name the project's file, as in --config {file}")
            }
            Self::NotAFile { .. } => "move it away".to_owned(),
            Self::Place { key, .. } => format!("fix it, or set {key} to another folder"),
            Self::Stranger { .. } => "name it with --config if you trust it".to_owned(),
            Self::StrangersEnv { path, .. } => {
                format!("take ownership of it with: sudo chown $(id -u) {}", shown(path))
            }
            Self::Missing { keys, .. } => format!("add {}", examples(keys)),
            Self::Value { allowed, .. } => allowed.clone(),
            Self::NoHome => "set HOME to your home folder".to_owned(),
            Self::NoName(_) => "choose a folder other than the root of the file system".to_owned(),
            Self::Unwritable(_) => {
                "use a name in UTF-8, without line ends, tabs and other control characters"
                    .to_owned()
            }
            Self::Syntax { .. } => return None,
        })
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

/// A problem worth reporting that stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A key that samocode does not know.
    #[error("{at}: {key} is not a key of samocode{}", near.as_ref().map_or_else(
        || ": 'samocode config' lists them".to_owned(),
        |near| format!(": did you mean {near}?"),
    ))]
    UnknownKey {
        /// Where it is, as `file:line`.
        at: String,
        /// The key as it is written in the file.
        key: String,
        /// The most similar known key, if one comes close.
        near: Option<String>,
    },
    /// A variable for agents in a file of settings.
    #[error("{at}: {key} is ignored here: move it to {env_file}")]
    ForEnvFile {
        /// Where it is, as `file:line`.
        at: String,
        /// The variable as it is written in the file.
        key: String,
        /// The file it belongs in.
        env_file: String,
    },
    /// A key of a project in the user's file.
    #[error("{at}: {key} is read only from a project's .samocode")]
    ForProject {
        /// Where it is, as `file:line`.
        at: String,
        /// The key as it is written in the file.
        key: String,
    },
    /// A key is set twice in one file.
    #[error("{at}: {key} is already set on line {first}: this line overrides it")]
    Duplicate {
        /// `file:line` of the line in effect.
        at: String,
        /// The key as it is written in the file.
        key: String,
        /// The number of the overridden line.
        first: u32,
    },
    /// Others may read the credentials.
    #[error("{path} can be read by others (mode {mode:04o}): chmod 600 {path}")]
    Readable {
        /// The file that the problem is in, absolute.
        path: String,
        /// The permission bits of its mode.
        mode: u32,
    },
    /// A variable in the env file that agents do not get.
    #[error("{at}: {key} is not passed to agents: only {only} are")]
    NotHandedOn {
        /// Where it is, as `file:line`.
        at: String,
        /// The variable as it is written in the file.
        key: String,
        /// The variables that agents do get, as text.
        only: String,
    },
}

/// A path for a message of one line.
pub(crate) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.chars().any(char::is_control) {
        text.escape_debug().to_string()
    } else {
        text.into_owned()
    }
}

/// Whether a process of user `me` may follow a file of `owner`: the user's own and root's files;
/// root also trusts its caller, who may have used sudo.
pub(crate) const fn is_trusted(owner: u32, me: u32) -> bool {
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
        assert_eq!(error.to_string(), "/p/.samocode: WORKTREES, SESSIONS are not set");
        assert_eq!(
            error.hint().unwrap(),
            "add lines like 'WORKTREES=/path/to/its/folder', 'SESSIONS=/path/to/its/folder'"
        );
    }

    #[test]
    fn a_strangers_file_is_not_trusted_by_a_user() {
        assert!(is_trusted(1000, 1000) && is_trusted(0, 1000) && is_trusted(1000, 0));
        assert!(!is_trusted(1001, 1000));
    }
}
