//! Waiting for files to change, without polling.

use std::path::Path;
use std::time::Duration;

use ::notify::event::{AccessKind, AccessMode, EventKind};
use ::notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{Receiver, channel};

use super::error::{Attempt as _, Result};

/// Watches folders for changes. It also reports a change every few seconds, because some file
/// systems, such as network ones, send no events.
pub(crate) struct FolderWatch {
    watcher: RecommendedWatcher,
    changed: Receiver<()>,
}

/// How long a change can go unnoticed on a file system that sends no events.
const SLOW_LOOK: Duration = Duration::from_secs(5);

impl FolderWatch {
    /// Watches one folder, without its subfolders.
    ///
    /// # Errors
    /// If it cannot be watched, for example because the user has no inotify instances left.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        Self::all([folder])
    }

    /// Watches several folders.
    ///
    /// # Errors
    /// As [`FolderWatch::new`].
    pub(crate) fn all<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let (sender, changed) = channel(1);
        let watcher = ::notify::recommended_watcher(move |event| {
            // Our own reads must not wake us again.
            if !is_reading(&event) {
                // One pending event stands for all.
                let _ = sender.try_send(());
            }
        })
        .attempt(|| "watch files".to_owned())?;
        let mut all = Self { watcher, changed };
        folders.into_iter().try_for_each(|folder| all.add(folder))?;
        Ok(all)
    }

    /// Watches another folder.
    ///
    /// # Errors
    /// As [`FolderWatch::new`].
    pub(crate) fn add(&mut self, folder: &Path) -> Result<()> {
        self.watcher
            .watch(folder, RecursiveMode::NonRecursive)
            .attempt(|| format!("watch {}", folder.display()))
    }

    /// Waits for a change, or [`SLOW_LOOK`] at most. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        let _ = tokio::time::timeout(SLOW_LOOK, self.changed.recv()).await;
    }

    /// Waits until `is_true` holds; checks it after each change.
    pub(crate) async fn until(mut self, is_true: impl Fn() -> bool) {
        while !is_true() {
            self.changed().await;
        }
    }
}

fn is_reading(event: &::notify::Result<::notify::Event>) -> bool {
    const WRITTEN: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    event.as_ref().is_ok_and(|event| event.kind.is_access() && event.kind != WRITTEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a change is reported within a second, well before [`SLOW_LOOK`].
    async fn is_heard(watch: &mut FolderWatch) -> bool {
        tokio::time::timeout(Duration::from_secs(1), watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_write_is_heard_and_reading_the_file_then_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = crate::session::store::Folder::new(folder.path()).hook();
        let mut watch = FolderWatch::new(folder.path()).unwrap();
        std::fs::write(&file, "1").unwrap();
        while is_heard(&mut watch).await {}

        assert_eq!(std::fs::read_to_string(&file).unwrap(), "1");
        assert!(!is_heard(&mut watch).await, "reading woke the reader");
        std::fs::write(&file, "2").unwrap();
        assert!(is_heard(&mut watch).await);
    }
}
