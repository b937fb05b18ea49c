//! The browsers that take messages: a file for each, in the user's state folder.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::notify::http::address;
use crate::session::order;

/// More browsers than a person has.
const MOST: usize = 20;

/// A browser that takes messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Where its push service takes them. Whoever has the address may send there, so it is secret.
    pub endpoint: String,
    /// The browser's public key, in base64url.
    pub p256dh: String,
    /// The secret that the browser gave with it, in base64url.
    pub auth: String,
    /// Which browser it is, for a human.
    pub device: String,
    /// The page that it subscribed on, such as `https://samo.example.org`.
    pub page: String,
    /// The visit that it began in, and whose end is its own.
    pub visit: String,
    /// Since when it takes messages.
    pub since: Timestamp,
}

impl Subscription {
    /// Whether messages can be sent to it at all.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), &'static str> {
        let is_key = |bytes: Vec<u8>| bytes.len() == 65 && bytes[0] == 4;
        if self.address().is_none() {
            return Err("the address of its push service is not an https address");
        }
        if !decode(&self.p256dh).is_some_and(is_key) {
            return Err("its public key is not a point of P-256");
        }
        if decode(&self.auth).is_none_or(|bytes| bytes.len() != 16) {
            return Err("its secret has not 16 bytes");
        }
        Ok(())
    }

    /// Where its push service takes messages. Without TLS it must be on this machine.
    pub(super) fn address(&self) -> Option<Url> {
        let url = address(&self.endpoint)?;
        let is_here = match url.host_str()?.trim_matches(['[', ']']) {
            "localhost" => true,
            host => host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        };
        (url.scheme() == "https" || is_here).then_some(url)
    }

    /// A short name that differs between browsers.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = ring::digest::digest(&ring::digest::SHA256, self.endpoint.as_bytes());
        hash.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Bytes that a browser wrote in base64url, with or without padding.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// The folder of a file, which only its owner can look into.
pub(in crate::notify) fn make_folder(path: &Path) -> io::Result<&Path> {
    let folder = path.parent().unwrap_or(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    Ok(folder)
}

/// The user's browsers.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    dir: PathBuf,
}

/// The endings of the names of files.
const LIVE: &str = "json";
const ENDED: &str = "ended";

impl Subscriptions {
    /// Those in a user's state folder.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        Self { dir: state.join("web/push") }
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.dir.join("key")
    }

    /// Adds a browser. One with the same address is replaced, and what had ended on the same device
    /// is forgotten.
    ///
    /// # Errors
    /// Those of the disk, and if there are too many.
    pub fn add(&self, new: &Subscription) -> io::Result<()> {
        let path = self.path(&new.id(), LIVE);
        let folder = make_folder(&path)?;
        if self.live().len() >= MOST && !path.exists() {
            return Err(io::Error::other(format!("{MOST} browsers take messages already")));
        }
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(new)?)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        fs::File::open(folder)?.sync_all()?;
        for ended in self.ended() {
            if ended.device == new.device {
                remove(&self.path(&ended.id(), ENDED))?;
            }
        }
        Ok(())
    }

    /// Those that take messages, the oldest first.
    #[must_use]
    pub fn live(&self) -> Vec<Subscription> {
        self.all(LIVE)
    }

    /// Those that their push services no longer know.
    #[must_use]
    pub fn ended(&self) -> Vec<Subscription> {
        self.all(ENDED)
    }

    /// Whether a browser still takes messages.
    pub(super) fn has(&self, id: &str) -> bool {
        self.path(id, LIVE).exists()
    }

    /// Notes that a push service no longer knows a browser.
    pub(super) fn end(&self, id: &str) -> io::Result<()> {
        match fs::rename(self.path(id, LIVE), self.path(id, ENDED)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Forgets a browser that wants no messages; whether it had them.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn forget(&self, id: &str) -> io::Result<bool> {
        let was_live = self.has(id);
        remove(&self.path(id, LIVE))?;
        remove(&self.path(id, ENDED))?;
        Ok(was_live)
    }

    /// Forgets the browsers of a visit that is over.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn forget_visit(&self, visit: &str) -> io::Result<()> {
        let all = self.live().into_iter().chain(self.ended());
        for of in all.filter(|one| one.visit == visit) {
            self.forget(&of.id())?;
        }
        Ok(())
    }

    /// Forgets all browsers; the key stays.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn forget_all(&self) -> io::Result<()> {
        self.live().iter().chain(&self.ended()).try_for_each(|one| self.forget(&one.id()).map(drop))
    }

    fn all(&self, ending: &str) -> Vec<Subscription> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let paths = paths.filter(|path| path.extension().is_some_and(|found| found == ending));
        let read = |path: PathBuf| serde_json::from_slice(&fs::read(path).ok()?).ok();
        let mut all: Vec<Subscription> = paths.filter_map(read).collect();
        order::by(&mut all, |a, b| (a.since, &a.endpoint).cmp(&(b.since, &b.endpoint)));
        all
    }

    fn path(&self, id: &str, ending: &str) -> PathBuf {
        // A browser sends the name back: it must not lead elsewhere.
        let id: String = id.chars().filter(char::is_ascii_hexdigit).collect();
        self.dir.join(format!("{id}.{ending}"))
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    pub(in crate::notify) fn subscription(endpoint: &str, key: &[u8]) -> Subscription {
        Subscription {
            endpoint: endpoint.to_owned(),
            p256dh: URL_SAFE_NO_PAD.encode(key),
            auth: URL_SAFE_NO_PAD.encode(b"0123456789abcdef"),
            device: "Chrome on Android".to_owned(),
            page: "https://samo.example.org".to_owned(),
            visit: "v".to_owned(),
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_browser_is_kept_until_it_ends_and_comes_back_under_another_address() {
        let dir = tempfile::tempdir().unwrap();
        let all = Subscriptions::of(dir.path());
        assert_eq!((all.live(), all.ended()), (vec![], vec![]));
        let first = subscription("https://push.example.net/1", &[4; 65]);
        all.add(&first).unwrap();
        all.add(&first).unwrap();
        assert_eq!(all.live(), std::slice::from_ref(&first));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&all.dir), mode(&all.path(&first.id(), LIVE))), (0o700, 0o600));

        all.end(&first.id()).unwrap();
        all.end(&first.id()).unwrap();
        assert_eq!((all.live(), all.ended()), (vec![], vec![first.clone()]));
        let second = subscription("https://push.example.net/2", &[4; 65]);
        all.add(&second).unwrap();
        assert_eq!((all.live(), all.ended()), (vec![second.clone()], vec![]));
        all.forget_visit("another").unwrap();
        assert!(all.has(&second.id()));
        all.forget_visit("v").unwrap();
        assert_eq!(all.live(), []);
        assert!(!all.forget("../../key").unwrap());
    }

    #[test]
    fn what_no_message_can_be_sent_to_is_refused() {
        let key = [4; 65];
        let check = |endpoint: &str, key: &[u8]| subscription(endpoint, key).check();
        for endpoint in ["https://x.y/z", "http://127.0.0.1:9/z", "http://[::1]/z"] {
            assert_eq!(check(endpoint, &key), Ok(()), "{endpoint}");
        }
        for endpoint in ["http://x.y/z", "file:///etc/passwd", "https://", "", "http://10.0.0.1/"] {
            assert!(check(endpoint, &key).unwrap_err().contains("https"), "{endpoint}");
        }
        assert!(check("https://x.y/z", &[4; 64]).unwrap_err().contains("P-256"));
        let short = Subscription { auth: "AAAA".into(), ..subscription("https://x.y", &key) };
        assert!(short.check().unwrap_err().contains("16 bytes"));
    }
}
