//! Buttons of messages that act through the page: each message gets a secret, which works once, and
//! only for what its buttons say.
//!
//! On the disk there is a file for each, named after the hash of its secret, as for the links of the
//! page.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use super::buttons::Press;
use super::webpush::make_folder;

/// How long a button works.
const VALID: SignedDuration = SignedDuration::from_hours(24 * 7);

/// The buttons of messages of one user.
#[derive(Debug, Clone)]
pub struct Presses {
    dir: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    until: Timestamp,
    /// What the buttons carry, in order.
    buttons: Vec<String>,
}

impl Presses {
    /// Those in a user's state folder.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        Self { dir: state.join("web/presses") }
    }

    /// The secret of a message with these buttons.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn issue(&self, buttons: &[Press], now: Timestamp) -> io::Result<String> {
        self.sweep(now);
        let mut secret = [0; 32];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        let secret = hex(&secret);
        let path = self.path(&secret);
        // A temporary file can be read by its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(make_folder(&path)?)?;
        let buttons = buttons.iter().map(Press::data).collect();
        file.write_all(&serde_json::to_vec(&Record { until: now + VALID, buttons })?)?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(secret)
    }

    /// What a button carries; `None` if the secret is wrong, too old, or was used.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn find(&self, secret: &str, button: usize, now: Timestamp) -> io::Result<Option<String>> {
        let bytes = match fs::read(self.path(secret)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let record: Option<Record> = serde_json::from_slice(&bytes).ok();
        let record = record.filter(|record| record.until > now);
        Ok(record.and_then(|mut record| {
            (button < record.buttons.len()).then(|| record.buttons.swap_remove(button))
        }))
    }

    /// Makes the buttons of a message void.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn spend(&self, secret: &str) -> io::Result<()> {
        match fs::remove_file(self.path(secret)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what no longer works.
    fn sweep(&self, now: Timestamp) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            let record: Option<Record> = serde_json::from_slice(&bytes).ok();
            if record.is_some_and(|record| record.until <= now) {
                // What stays is refused all the same.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn path(&self, secret: &str) -> PathBuf {
        self.dir.join(hex(digest(&SHA256, secret.as_bytes()).as_ref()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_works_once_for_what_its_buttons_say() {
        let dir = tempfile::tempdir().unwrap();
        let (presses, now) = (Presses::of(dir.path()), Timestamp::now());
        let key = "0123456789abcdef".to_owned();
        let buttons = [Press::Approve(key.clone()), Press::Reject(key)];
        let secret = presses.issue(&buttons, now).unwrap();
        let found = |secret: &str, at| presses.find(secret, at, now).unwrap();
        assert_eq!(found(&secret, 1), Some(buttons[1].data()));
        assert_eq!((found(&secret, 2), found("wrong", 0), found("", 0)), (None, None, None));
        assert_eq!(presses.find(&secret, 0, now + VALID).unwrap(), None, "it is too old");
        let name = fs::read_dir(&presses.dir).unwrap().next().unwrap().unwrap().file_name();
        assert!(!name.to_string_lossy().contains(&secret));
        presses.spend(&secret).unwrap();
        presses.spend(&secret).unwrap();
        assert_eq!(found(&secret, 0), None, "it was used");
        presses.issue(&buttons, now).unwrap();
        presses.issue(&buttons, now + VALID).unwrap();
        assert_eq!(fs::read_dir(&presses.dir).unwrap().count(), 1, "what is too old is swept");
    }
}
