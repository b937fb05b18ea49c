//! The wake spool: a folder of tokens, empty files whose names are requests.
//!
//! ```text
//! wake/jwt-login              start samocode@jwt-login.service
//! wake/disable@jwt-login      no longer start it at boot
//! wake/stop-target@login      stop samocode-convoy@login.target
//! wake/advance@jwt-login      start what waits for it in its convoy, and announce what changed
//! wake/tick@jwt-login         begin it, if its time has come
//! wake/jwt-login:1000         the same as the first, where another user's token has that name
//! ```
//!
//! A sender first renames the mail into `_inbox/` and then leaves the token. The waker first moves
//! the token to `wake-taken/`, then acts on it, and removes it last. So each start finds its mail,
//! each mail that came since the last look has a token, and a killed waker leaves its unfinished
//! work to the next.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Error, Scope};
use crate::session::names;
use crate::session::store::crash_point;

/// The request in a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Start a session, unless a human stopped it.
    Start,
    /// Stop starting a session at boot: it is done.
    Disable,
    /// Stop a convoy's target.
    StopTarget,
    /// Look after the convoy of a session that has come to rest.
    Advance,
    /// Look whether the timer of a session is due.
    Tick,
}

/// A request left in the spool as an empty file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Token {
    /// What the waker should do with the unit.
    pub action: Action,
    /// The instance, or for [`Action::StopTarget`] the convoy.
    pub name: String,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let action = match self.action {
            Action::Start => "",
            Action::Disable => "disable@",
            Action::StopTarget => "stop-target@",
            Action::Advance => "advance@",
            Action::Tick => "tick@",
        };
        write!(f, "{action}{}", self.name)
    }
}

impl Token {
    /// A token for `action` on `name`; `None` if no instance or convoy can have that name.
    #[must_use]
    pub fn new(action: Action, name: &str) -> Option<Self> {
        names::is_instance(name).then(|| Self { action, name: name.to_owned() })
    }

    /// Parses a file name as a token.
    #[must_use]
    pub fn parse(file_name: &OsStr) -> Option<Self> {
        let text = file_name.to_str()?;
        let (text, uid) = text.split_once(':').unwrap_or((text, "0"));
        uid.parse::<u32>().ok()?;
        let (action, name) = match text.split_once('@') {
            None => (Action::Start, text),
            Some(("disable", name)) => (Action::Disable, name),
            Some(("stop-target", name)) => (Action::StopTarget, name),
            Some(("advance", name)) => (Action::Advance, name),
            Some(("tick", name)) => (Action::Tick, name),
            Some(_) => return None,
        };
        Self::new(action, name)
    }
}

/// A token that was taken from the spool but not acted on yet.
#[derive(Debug)]
pub struct Claim {
    /// The request that was claimed.
    pub token: Token,
    /// The id of the user who left it.
    pub owner: u32,
    path: PathBuf,
}

impl Claim {
    /// Removes the claim. Call it once the token was acted on, or will not be.
    pub fn settle(self) -> Token {
        // A claim that cannot be removed is acted on again, which is harmless.
        crash_point("a claim is to be settled");
        let _ = fs::remove_file(&self.path);
        crash_point("a claim is settled");
        self.token
    }
}

/// The result of [`Spool::take`].
#[derive(Debug, Default)]
pub struct Taken {
    /// Tokens to act on now.
    pub claims: Vec<Claim>,
    /// Names that were not tokens; already removed.
    pub garbage: Vec<String>,
    /// Tokens that could not be moved, and so must not be acted on.
    pub stuck: Vec<Error>,
}

/// A folder of tokens, with a second one beside it for those that were taken.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
}

impl Spool {
    /// Uses the spool in `dir`, which need not exist yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The spool of a scope: `$XDG_STATE_HOME/samocode/wake`, or `/var/lib/samocode/wake`.
    ///
    /// # Errors
    /// [`Error::NoHome`].
    pub fn of(scope: Scope) -> Result<Self, Error> {
        if scope == Scope::System {
            return Ok(Self::new(PathBuf::from("/var/lib/samocode/wake")));
        }
        let absolute =
            |name| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .map(|state| Self::new(state.join("samocode/wake")))
            .ok_or(Error::NoHome)
    }

    /// The folder that tokens are left in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Creates the folder. It is private to its owner; in system scope everybody may leave tokens,
    /// but not list them or remove another user's.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn create(&self, scope: Scope) -> Result<(), Error> {
        let make = || {
            let parent = self.dir.parent().unwrap_or(&self.dir);
            match scope {
                Scope::User => fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir),
                Scope::System => {
                    fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
                    fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
                    // Regardless of the umask.
                    fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o1733))
                }
            }
        };
        make().map_err(|source| self.fault("create", &self.dir, source))
    }

    fn fault(&self, action: &'static str, path: &Path, source: io::Error) -> Error {
        Error::File { action, path: path.to_owned(), source }
    }

    /// Leaves a token. One that already exists is enough: the waker has yet to look.
    ///
    /// An empty file appears atomically, so it needs no temporary name. At boot every enabled
    /// session checks its mail anyway, so nothing needs flushing.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn leave(&self, token: &Token) -> Result<(), Error> {
        crash_point("a token is to be left");
        let own = rustix::process::geteuid().as_raw();
        let leave = |path: &Path| {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(|_| ())
        };
        let path = self.dir.join(token.to_string());
        let left = match leave(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let theirs = fs::symlink_metadata(&path).is_ok_and(|found| found.uid() != own);
                if theirs { leave(&self.dir.join(format!("{token}:{own}"))) } else { Ok(()) }
            }
            other => other,
        };
        match left {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(self.fault("write", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// The folder of tokens that were taken but not settled.
    fn taken_dir(&self) -> PathBuf {
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy();
        self.dir.with_file_name(format!("{name}-taken"))
    }

    /// Claims that a killed waker left behind.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn owed(&self) -> Result<Vec<Claim>, Error> {
        let mut claims = Vec::new();
        for (path, name) in self.list(&self.taken_dir())? {
            let original = name.to_str().and_then(|name| name.split_once(','));
            let token = original.and_then(|(_, name)| Token::parse(OsStr::new(name)));
            if let (Some(token), Ok(found)) = (token, fs::symlink_metadata(&path)) {
                claims.push(Claim { token, owner: found.uid(), path });
            }
        }
        Ok(claims)
    }

    /// Whether a waker has taken a token for `name` without settling it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn owes(&self, name: &str) -> Result<bool, Error> {
        Ok(self.owed()?.iter().any(|claim| claim.token.name == name))
    }

    fn list(&self, dir: &Path) -> Result<Vec<(PathBuf, OsString)>, Error> {
        let read = || {
            let names = fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name()));
            names.collect::<io::Result<Vec<_>>>()
        };
        match read() {
            Ok(names) => Ok(names.into_iter().map(|name| (dir.join(&name), name)).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.fault("read", dir, error)),
        }
    }

    /// Takes all tokens. The caller must act on them.
    ///
    /// # Errors
    /// [`Error::File`] if the folder cannot be read; a missing one counts as empty.
    pub fn take(&self) -> Result<Taken, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut taken = Taken::default();
        let entries = self.list(&self.dir)?;
        let aside = self.taken_dir();
        if !entries.is_empty() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&aside);
            made.map_err(|error| self.fault("create", &aside, error))?;
        }
        for (path, name) in entries {
            let claim = || -> io::Result<Option<Claim>> {
                let found = fs::symlink_metadata(&path)?;
                let Some(token) = Token::parse(&name).filter(|_| found.is_file()) else {
                    remove(&path)?;
                    return Ok(None);
                };
                // The same token may be taken again before it is settled.
                let count = COUNT.fetch_add(1, Ordering::Relaxed);
                let new = aside.join(format!("{}.{count},{token}", std::process::id()));
                crash_point("a token is to be taken");
                fs::rename(&path, &new)?;
                crash_point("a token is taken");
                // The owner is read from the file that was taken, not from the one listed before.
                let owner = fs::symlink_metadata(&new)?.uid();
                Ok(Some(Claim { token, owner, path: new }))
            };
            match claim() {
                Ok(Some(claim)) => taken.claims.push(claim),
                Ok(None) => taken.garbage.push(name.to_string_lossy().into_owned()),
                // Another waker was quicker, and acts on it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => taken.stuck.push(self.fault("take", &path, error)),
            }
        }
        Ok(taken)
    }
}

/// Removes anything, without following links.
fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spool() -> (tempfile::TempDir, Spool) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().join("samocode/wake"));
        spool.create(Scope::User).unwrap();
        (dir, spool)
    }

    #[test]
    fn a_token_is_taken_once_with_its_owner() {
        let (_dir, spool) = spool();
        let token = Token::new(Action::Start, "jwt-login").unwrap();
        spool.leave(&token).unwrap();
        spool.leave(&token).unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let mut claims = spool.take().unwrap().claims;
        let claim = claims.remove(0);
        assert_eq!((&claim.token, claim.owner, claims.len()), (&token, uid, 0));
        assert!(spool.take().unwrap().claims.is_empty());
        claim.settle();
        assert!(spool.owed().unwrap().is_empty());
    }

    #[test]
    fn the_next_waker_finds_the_claims_of_a_killed_one() {
        let (_dir, spool) = spool();
        let token = Token::new(Action::Disable, "jwt-login").unwrap();
        assert!(spool.owed().unwrap().is_empty());
        for _ in 0..2 {
            spool.leave(&token).unwrap();
            drop(spool.take().unwrap());
        }
        let owed = spool.owed().unwrap();
        assert_eq!(owed.len(), 2, "taken twice and never settled");
        assert!(spool.owes("jwt-login").unwrap() && !spool.owes("jwt").unwrap());
        for claim in owed {
            assert_eq!(claim.settle(), token);
        }
        assert!(spool.owed().unwrap().is_empty());
        assert!(!spool.owes("jwt-login").unwrap());
    }

    #[test]
    fn garbage_is_removed_and_not_followed() {
        let (dir, spool) = spool();
        let precious = dir.path().join("precious");
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("file"), "").unwrap();
        fs::write(spool.dir().join("..bad"), "").unwrap();
        fs::write(spool.dir().join("reboot@now"), "").unwrap();
        fs::create_dir_all(spool.dir().join("folder/in/folder")).unwrap();
        std::os::unix::fs::symlink(&precious, spool.dir().join("jwt-login")).unwrap();
        let taken = spool.take().unwrap();
        assert_eq!((taken.claims.len(), taken.garbage.len(), taken.stuck.len()), (0, 4, 0));
        assert!(precious.join("file").exists());
        assert_eq!(fs::read_dir(spool.dir()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_spool_is_empty() {
        let spool = Spool::new(PathBuf::from("/nonexistent/wake"));
        assert!(spool.take().unwrap().claims.is_empty());
    }

    #[test]
    fn the_systems_spool_lets_anyone_leave_and_nobody_look() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().join("wake"));
        spool.create(Scope::System).unwrap();
        let mode = fs::metadata(spool.dir()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o1733);
    }

    proptest! {
        #[test]
        fn what_is_parsed_names_a_unit_and_nothing_else(name in "\\PC{0,40}") {
            if let Some(token) = Token::parse(OsStr::new(&name)) {
                prop_assert!(names::is_instance(&token.name));
            }
        }

        #[test]
        fn a_token_is_read_back(name in "[a-z0-9]{1,20}(--[a-z0-9]{1,9})?", action in 0..5_usize) {
            let all = [Action::Start, Action::Disable, Action::StopTarget, Action::Advance, Action::Tick];
            let action = all[action];
            let token = Token::new(action, &name).unwrap();
            prop_assert_eq!(Token::parse(OsStr::new(&token.to_string())), Some(token.clone()));
            let suffixed = format!("{token}:1000");
            prop_assert_eq!(Token::parse(OsStr::new(&suffixed)), Some(token));
        }
    }
}
