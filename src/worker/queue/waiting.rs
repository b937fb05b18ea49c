//! The wait of a session that a person runs in the foreground: in its process, which hears the file
//! of a slot being closed, by its holder or by the kernel.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::time::Duration;

use ::notify::event::{AccessKind, AccessMode, EventKind};
use ::notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{Receiver, channel};

use crate::platform::watch;
use crate::session::store::{self, StoreError};

use super::{Queue, failed, opened};

/// A session's place among those that wait, until it is dropped.
#[derive(Debug)]
pub(in crate::worker) struct Waiting {
    turn: String,
    path: PathBuf,
    folder: PathBuf,
    _lock: File,
    /// `None` where nothing can be watched: then it looks from time to time.
    watcher: Option<RecommendedWatcher>,
    heard: Receiver<()>,
}

impl Waiting {
    /// Begins to wait, at this turn.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub(in crate::worker) fn begin(queue: &Queue, turn: String) -> Result<Self, StoreError> {
        let path = queue.waiting().join(&turn);
        store::make_folder(&queue.waiting())?;
        let _one_at_a_time = queue.one_at_a_time()?;
        let lock = opened(&path).map_err(|source| failed("wait in", &path, source))?;
        let _ = lock.try_lock();
        let (sender, heard) = channel(1);
        let watcher = watch::watcher(move |event: ::notify::Result<::notify::Event>| {
            const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
            if event.is_ok_and(|event| event.kind == CLOSED) {
                // One pending event stands for all.
                let _ = sender.try_send(());
            }
        });
        let watcher = watcher.ok().and_then(|mut watcher| {
            watcher.watch(&queue.folder, RecursiveMode::NonRecursive).ok()?;
            Some(watcher)
        });
        let folder = queue.folder.clone();
        Ok(Self { turn, path, folder, _lock: lock, watcher, heard })
    }

    /// The turn at which it waits.
    pub(in crate::worker) fn turn(&self) -> &str {
        &self.turn
    }

    /// Waits until a slot may have become free, or `at_most` that long. Cancel-safe.
    pub(in crate::worker) async fn changed(&mut self, at_most: Duration) {
        if self.watcher.is_none() {
            return tokio::time::sleep(at_most).await;
        }
        let _ = tokio::time::timeout(at_most, self.heard.recv()).await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        // Whoever is behind may be first now.
        let _ = OpenOptions::new().write(true).open(self.folder.join("turn"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;

    use super::super::Limit;
    use super::*;

    #[tokio::test]
    async fn a_slot_that_becomes_free_is_heard_and_looking_for_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::of(folder.path());
        let turn = |name: &str| super::super::turn(5, Timestamp::from_second(1).unwrap(), name);
        let one = Limit { config: Path::new("/p/.samocode"), cap: 1 };
        let held = queue.take(&turn("a"), one, None).unwrap().unwrap();
        let mut waiting = Waiting::begin(&queue, turn("x")).unwrap();
        assert!(waiting.watcher.is_some());
        let mut is_heard =
            async |bound| tokio::time::timeout(bound, waiting.heard.recv()).await.is_ok();
        // The files that were created to begin with.
        while is_heard(Duration::from_millis(200)).await {}
        assert!(queue.take(&turn("b"), one, None).unwrap().is_none());
        assert!(!is_heard(Duration::from_millis(200)).await, "looking wakes nobody");
        drop(held);
        assert!(is_heard(Duration::from_secs(5)).await);
    }
}
