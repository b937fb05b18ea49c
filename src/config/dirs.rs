//! Where the user's files are kept, following the XDG base directory specification.

use std::path::{Component, Path, PathBuf};

use super::{Env, Error};

/// Where sessions in system scope keep their state.
pub const SYSTEM_STATE: &str = "/var/lib/samocode";

/// The variable with the folder of a unit's credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The folders of one user, all absolute. They need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// The user's home folder, from HOME or the user database.
    pub home: PathBuf,
    /// `$XDG_CONFIG_HOME/samocode`, else `~/.config/samocode`: settings, credentials, overrides.
    pub config: PathBuf,
    /// `$XDG_STATE_HOME/samocode`, else `~/.local/state/samocode`: accounts and the waker's spool.
    pub state: PathBuf,
    /// `$XDG_CACHE_HOME/samocode`, else `~/.cache/samocode`: files that may be deleted at any time.
    pub cache: PathBuf,
    /// The credentials that the service manager handed to this process's unit (systemd.exec(5)).
    pub credentials: Option<PathBuf>,
}

impl Dirs {
    /// The folders of the user whose environment this is. An XDG variable with a relative path is
    /// ignored, as the specification asks.
    ///
    /// # Errors
    /// [`Error::NoHome`] when neither HOME nor the user database knows the home folder.
    pub fn user(env: &Env) -> Result<Self, Error> {
        let home = home(env).ok_or(Error::NoHome)?;
        let folder = |name: &str, default: &str| {
            let base = absolute(env, name).unwrap_or_else(|| home.join(default));
            base.join("samocode")
        };
        Ok(Self {
            config: folder("XDG_CONFIG_HOME", ".config"),
            state: folder("XDG_STATE_HOME", ".local/state"),
            cache: folder("XDG_CACHE_HOME", ".cache"),
            credentials: absolute(env, CREDENTIALS),
            home,
        })
    }

    /// The folders of another user, known by the home folder alone: for root on behalf of a user.
    #[must_use]
    pub fn of_home(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            config: home.join(".config/samocode"),
            state: home.join(".local/state/samocode"),
            cache: home.join(".cache/samocode"),
            credentials: None,
        }
    }

    /// The same folders, but with the state of system-wide sessions, in [`SYSTEM_STATE`].
    #[must_use]
    pub fn in_system_scope(mut self) -> Self {
        self.state = PathBuf::from(SYSTEM_STATE);
        self
    }

    /// A folder in memory for files that need not survive a restart of the machine:
    /// `$XDG_RUNTIME_DIR/samocode`, or below the folder that logind creates. `None` if neither
    /// exists.
    #[must_use]
    pub fn runtime(env: &Env) -> Option<PathBuf> {
        let usual = || {
            let uid = rustix::process::geteuid().as_raw();
            Some(PathBuf::from(format!("/run/user/{uid}"))).filter(|folder| folder.is_dir())
        };
        absolute(env, "XDG_RUNTIME_DIR").or_else(usual).map(|base| base.join("samocode"))
    }

    /// The user's settings, in the syntax of `.samocode`.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.config.join("config")
    }

    /// The user's prices of models, for estimates.
    #[must_use]
    pub fn prices_file(&self) -> PathBuf {
        self.config.join("prices")
    }

    /// The file with the user's credentials, mode 0600.
    #[must_use]
    pub fn env_file(&self) -> PathBuf {
        self.config.join("env")
    }

    /// The credential with lines like those of that file, encrypted on the disk if the unit says so.
    #[must_use]
    pub fn env_credential(&self) -> Option<PathBuf> {
        self.credentials.as_ref().map(|folder| folder.join("samocode.env"))
    }

    /// Holds one file per account, named by [`account`](super::secret::account).
    #[must_use]
    pub fn accounts(&self) -> PathBuf {
        self.state.join("accounts")
    }

    /// A path as shown to people, with `~` for the home folder.
    #[must_use]
    pub fn short(&self, path: &Path) -> String {
        short(path, Some(&self.home))
    }
}

/// A path with `~` for the home folder.
pub(super) fn short(path: &Path, home: Option<&Path>) -> String {
    let below =
        home.filter(|home| home.parent().is_some()).and_then(|home| path.strip_prefix(home).ok());
    match below {
        Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Some(rest) => super::shown(&Path::new("~").join(rest)),
        None => super::shown(path),
    }
}

/// The home folder: HOME, else the entry in the user database.
#[must_use]
pub fn home(env: &Env) -> Option<PathBuf> {
    absolute(env, "HOME").or_else(std::env::home_dir).filter(|home| home.is_absolute())
}

fn absolute(env: &Env, name: &str) -> Option<PathBuf> {
    env.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// A path as written in a file: `~` and `$HOME` expanded, a relative one from `base`.
///
/// # Errors
/// The problem, to be shown after the file and line.
pub(super) fn expand(text: &str, base: &Path, home: Option<&Path>) -> Result<PathBuf, String> {
    let from_home = ["~", "$HOME", "${HOME}"]
        .iter()
        .find_map(|word| text.strip_prefix(word))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let path = match from_home {
        Some(rest) => home
            .ok_or("your home folder is unknown: write the path out, or set HOME")?
            .join(rest.trim_start_matches('/')),
        None if text.starts_with('~') => {
            return Err(format!("'{text}' names another user's home folder: write the path out"));
        }
        None => base.join(text),
    };
    Ok(without_dots(&path))
}

/// Removes `.` and `..` from an absolute path where that is safe: `x/..` stays if `x` is a symbolic
/// link, since its parent is elsewhere.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if !clean.ends_with("..") && !clean.is_symlink() => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_xdg_variables_are_ignored() {
        let env =
            Env::from_iter([("HOME", "/h"), ("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "s")]);
        let dirs = Dirs::user(&env).unwrap();
        assert_eq!(dirs.env_file(), Path::new("/c/samocode/env"));
        assert_eq!(dirs.accounts(), Path::new("/h/.local/state/samocode/accounts"));
        assert_eq!(dirs.in_system_scope().accounts(), Path::new("/var/lib/samocode/accounts"));
    }

    #[test]
    fn paths_are_expanded_from_home_and_from_their_file() {
        let (base, home) = (Path::new("/p/shop"), Some(Path::new("/h/u")));
        for (text, expected) in [
            ("~", "/h/u"),
            ("~/x", "/h/u/x"),
            ("~//x/", "/h/u/x"),
            ("$HOME/x", "/h/u/x"),
            ("${HOME}", "/h/u"),
            ("x", "/p/shop/x"),
            ("./x/./y", "/p/shop/x/y"),
            ("../x", "/p/x"),
            ("../../../../x", "/x"),
            ("/abs", "/abs"),
            ("a~b", "/p/shop/a~b"),
        ] {
            assert_eq!(expand(text, base, home), Ok(PathBuf::from(expected)), "{text}");
        }
        assert!(expand("~bob/x", base, home).unwrap_err().contains("another user"));
        assert!(expand("~/x", base, None).unwrap_err().contains("HOME"));
    }

    #[test]
    fn a_parent_behind_a_link_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/usr/lib", &link).unwrap();
        assert_eq!(expand("link/../x", folder.path(), None), Ok(link.join("../x")));
    }

    #[test]
    fn paths_are_shortened_below_home_only() {
        let home = Some(Path::new("/h/u"));
        assert_eq!(short(Path::new("/h/u/x/y"), home), "~/x/y");
        assert_eq!(short(Path::new("/h/u"), home), "~");
        assert_eq!(short(Path::new("/h/uu/x"), home), "/h/uu/x");
        assert_eq!(short(Path::new("/etc"), Some(Path::new("/"))), "/etc");
    }
}
