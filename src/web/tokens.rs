//! Links and visits. A link is spent once, within minutes, for a visit; a visit is a cookie that is
//! valid for weeks.
//!
//! On the disk there is a file for each, named after the hash of its secret: who can read the folder
//! still cannot visit.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use super::access::{Access, Visitor};

/// How long a link can be opened.
const LINK: SignedDuration = SignedDuration::from_mins(30);

/// How long a visit lasts.
pub(super) const VISIT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// The user's links and visits.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    /// The folder of the user's state.
    pub(super) state: PathBuf,
    dir: PathBuf,
}

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Purpose {
    Link,
    Visit,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    purpose: Purpose,
    access: Access,
    until: Timestamp,
}

impl Tokens {
    pub(super) fn of(state: &Path) -> Self {
        Self { state: state.to_owned(), dir: state.join("web/tokens") }
    }

    /// The secret of a new link.
    pub(super) fn new_link(&self, access: Access, now: Timestamp) -> io::Result<String> {
        self.sweep(now);
        self.add(&Record { purpose: Purpose::Link, access, until: now + LINK })
    }

    /// Spends a link for a visit; `None` if it is unknown, too old, or spent already.
    pub(super) fn spend(&self, link: &str, now: Timestamp) -> io::Result<Option<Visitor>> {
        let Some(record) = self.read(link, Purpose::Link, now)? else { return Ok(None) };
        match fs::remove_file(self.path(link)) {
            Ok(()) => {}
            // Of two that come at once, one removes it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let access = record.access;
        let token = self.add(&Record { purpose: Purpose::Visit, access, until: now + VISIT })?;
        Ok(Some(Visitor { access, token }))
    }

    /// The visitor with this cookie; `None` if there is no such visit any more.
    pub(super) fn visitor(&self, token: &str, now: Timestamp) -> io::Result<Option<Visitor>> {
        let record = self.read(token, Purpose::Visit, now)?;
        Ok(record.map(|record| Visitor { access: record.access, token: token.to_owned() }))
    }

    /// Ends a visit.
    pub(super) fn forget(&self, token: &str) -> io::Result<()> {
        match fs::remove_file(self.path(token)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Ends all visits, and makes all links invalid; how many there were.
    pub(super) fn forget_all(&self) -> io::Result<usize> {
        let mut count = 0;
        for path in self.files()? {
            fs::remove_file(path)?;
            count += 1;
        }
        Ok(count)
    }

    fn add(&self, record: &Record) -> io::Result<String> {
        let mut secret = [0; 32];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        let secret = hex(&secret);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        // A temporary file can be read by its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.persist(self.path(&secret)).map_err(|error| error.error)?;
        Ok(secret)
    }

    fn read(&self, secret: &str, purpose: Purpose, now: Timestamp) -> io::Result<Option<Record>> {
        let bytes = match fs::read(self.path(secret)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let record: Option<Record> = serde_json::from_slice(&bytes).ok();
        Ok(record.filter(|record| record.purpose == purpose && record.until > now))
    }

    /// Removes what is no longer valid.
    fn sweep(&self, now: Timestamp) {
        for path in self.files().unwrap_or_default() {
            let record = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if record.is_none_or(|record: Record| record.until <= now) {
                // What stays is refused all the same.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        match fs::read_dir(&self.dir) {
            Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn path(&self, secret: &str) -> PathBuf {
        self.dir.join(hex(ring::digest::digest(&ring::digest::SHA256, secret.as_bytes()).as_ref()))
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_link_is_spent_once_for_a_visit_with_the_same_access() {
        let dir = tempfile::tempdir().unwrap();
        let (tokens, now) = (Tokens::of(dir.path()), Timestamp::now());
        let link = tokens.new_link(Access::ReadOnly, now).unwrap();
        assert_eq!(tokens.visitor(&link, now).unwrap(), None, "a link is no visit");
        assert_eq!(tokens.spend("wrong", now).unwrap(), None);
        let visitor = tokens.spend(&link, now).unwrap().unwrap();
        assert_eq!(tokens.spend(&link, now).unwrap(), None, "it is spent");
        assert_eq!(visitor.access, Access::ReadOnly);
        assert_eq!(tokens.visitor(&visitor.token, now).unwrap(), Some(visitor.clone()));
        assert_eq!(tokens.visitor(&visitor.token, now + VISIT).unwrap(), None, "it ended");
        assert_eq!(tokens.spend(&visitor.token, now).unwrap(), None, "a visit is no link");
        tokens.forget(&visitor.token).unwrap();
        assert_eq!(tokens.visitor(&visitor.token, now).unwrap(), None);
    }

    #[test]
    fn the_disk_has_no_secrets_and_is_for_the_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (tokens, now) = (Tokens::of(dir.path()), Timestamp::now());
        let link = tokens.new_link(Access::Full, now).unwrap();
        let files = tokens.files().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&tokens.dir), mode(&files[0])), (0o700, 0o600));
        let text = fs::read_to_string(&files[0]).unwrap();
        assert!(!text.contains(&link) && !files[0].display().to_string().contains(&link));
        // The next one sweeps what is too old.
        tokens.new_link(Access::Full, now + LINK).unwrap();
        assert_eq!(tokens.files().unwrap().len(), 1);
        assert_eq!(tokens.forget_all().unwrap(), 1);
        assert_eq!(tokens.forget_all().unwrap(), 0);
    }
}
