//! The notices of one channel of a project: sent in order, by one process at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::{Claim, Unsent, UnsentFolder, file_name, read, write};
use crate::notify::{About, Notice};
use crate::session::order;

/// How often to see whether another process is done with the channel.
const LOOK: Duration = Duration::from_millis(50);

/// What is kept for a channel of a project, while this process is the one that sends it.
pub(in crate::notify) struct Lane {
    folder: UnsentFolder,
    by: String,
    config: PathBuf,
    /// `None` where there are no locks: then a notice may arrive twice.
    _lock: Option<File>,
}

impl UnsentFolder {
    /// Waits until no other process sends the channel's notices.
    pub(in crate::notify) async fn lane(&self, by: &str, config: &Path) -> Lane {
        let lock = match self.open_lock(by, config) {
            Ok(file) => loop {
                match file.try_lock() {
                    Ok(()) => break Some(file),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
                    Err(TryLockError::Error(_)) => break None,
                }
            },
            Err(error) => {
                tracing::warn!("cannot lock the channel {by}: {error}");
                None
            }
        };
        Lane { folder: self.clone(), by: by.to_owned(), config: config.to_owned(), _lock: lock }
    }

    fn open_lock(&self, by: &str, config: &Path) -> io::Result<File> {
        let lanes = self.beside("notices-lanes");
        fs::create_dir_all(&lanes)?;
        let bytes = config.as_os_str().as_encoded_bytes();
        let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
        let digits: String = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = lanes.join(format!("{by}-{digits}.lock"));
        File::options().create(true).append(true).open(path)
    }
}

impl Lane {
    /// What is to be sent, oldest first.
    pub(in crate::notify) fn queue(&self) -> Vec<(PathBuf, Unsent)> {
        let paths = self.folder.paths().into_iter();
        let mut all: Vec<_> = paths.filter_map(|path| read(&path).map(|it| (path, it))).collect();
        all.retain(|(_, unsent)| unsent.is_for(&self.by, &self.config));
        order::by(&mut all, |(a_path, a), (b_path, b)| {
            a.since.cmp(&b.since).then(a_path.cmp(b_path))
        });
        all
    }

    /// Whether a notice with this id is still to be sent.
    pub(in crate::notify) fn has(&self, id: &str) -> bool {
        self.folder.0.join(file_name(&self.by, id)).exists()
    }

    /// Takes a notice, unless an older samocode is sending it.
    pub(in crate::notify) fn claim(&self, path: &Path) -> Option<Claim> {
        self.folder.claim(path)
    }

    /// Puts a notice away until a time.
    pub(in crate::notify) fn hold(
        &self,
        path: &Path,
        unsent: Unsent,
        until: Timestamp,
    ) -> io::Result<()> {
        let held = self.folder.held();
        fs::create_dir_all(&held)?;
        let to = held.join(file_name(&self.by, &unsent.notice.id));
        drop(write(&held, &to, &Unsent { held_until: Some(until), ..unsent })?);
        File::open(&held)?.sync_all()?;
        fs::remove_file(path)
    }

    /// Takes back what has been held long enough.
    pub(in crate::notify) fn release(&self, now: Timestamp) {
        for path in super::notices_in(&self.folder.held()) {
            let Some(unsent) = read(&path) else { continue };
            if !unsent.is_for(&self.by, &self.config) || unsent.is_held(now).is_some() {
                continue;
            }
            let to = self.folder.0.join(file_name(&self.by, &unsent.notice.id));
            let moved = fs::create_dir_all(&self.folder.0).and_then(|()| fs::rename(&path, to));
            if let Err(error) = moved {
                tracing::warn!("cannot send what was held back: {error}");
            }
        }
    }

    /// Makes one notice of those that were held back, if `is_wanted` and there are several. It is
    /// written before they are removed, and names them, so that none is sent twice.
    pub(in crate::notify) fn make_digest(&self, is_wanted: bool) {
        self.settle_digests();
        let mut held = self.queue();
        held.retain(|(_, unsent)| unsent.held_until.is_some() && unsent.tries == 0);
        let is_several = held.len() > 1;
        let Some((_, first)) = held.first().filter(|_| is_wanted && is_several) else { return };
        let names =
            held.iter().filter_map(|(path, _)| Some(path.file_name()?.to_str()?.to_owned()));
        let unsent = Unsent {
            instead_of: names.collect(),
            since: first.since,
            ..Unsent::new(&digest(&held), &self.by, &self.config)
        };
        let path = self.folder.0.join(file_name(&self.by, &unsent.notice.id));
        match write(&self.folder.0, &path, &unsent) {
            Ok(_) => self.settle_digests(),
            Err(error) => tracing::warn!("cannot write the digest: {error}"),
        }
    }

    /// Removes the notices that a digest tells of.
    fn settle_digests(&self) {
        for (path, mut unsent) in self.queue() {
            if unsent.instead_of.is_empty() {
                continue;
            }
            for name in std::mem::take(&mut unsent.instead_of) {
                let _ = fs::remove_file(self.folder.0.join(name));
            }
            if let Err(error) = write(&self.folder.0, &path, &unsent) {
                tracing::warn!("cannot write the digest: {error}");
            }
        }
    }
}

/// One notice that tells of several.
fn digest(held: &[(PathBuf, Unsent)]) -> Notice {
    let lines = held.iter().map(|(_, unsent)| {
        let Notice { session, text, detail, .. } = &unsent.notice;
        let line = format!("{session} {text}");
        match detail.as_deref().and_then(|detail| detail.lines().next()) {
            Some(first) => format!("{}: {first}", line.trim()),
            None => line.trim().to_owned(),
        }
    });
    let lines: Vec<_> = lines.map(|line| format!("• {line}")).collect();
    let first = &held[0].1.notice;
    let id = format!("digest-{}", uuid::Uuid::now_v7());
    let about = About { id, project: first.project.clone(), ..About::default() };
    Notice::digest(&about, held.len(), &lines.join("\n"))
}
