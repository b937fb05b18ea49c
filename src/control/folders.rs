//! Waiting for files to change, without polling.

use std::path::Path;
use std::time::Duration;

use ::notify::event::{AccessKind, AccessMode, EventKind};
use ::notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{Receiver, channel};

use super::error::{Attempt as _, Result};

/// Watches folders. A slow look besides makes up for file systems that tell nothing, as network
/// file systems do.
pub(crate) struct FolderWatch {
    watcher: RecommendedWatcher,
    changed: Receiver<()>,
}

/// How long a change may go unnoticed where the file system does not tell.
const SLOW_LOOK: Duration = Duration::from_secs(5);

impl FolderWatch {
    /// Watches a folder, not what is below it.
    ///
    /// # Errors
    /// When it cannot be watched, as when the user's inotify instances are used up.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        Self::all([folder])
    }

    /// Watches several.
    ///
    /// # Errors
    /// As [`FolderWatch::new`].
    pub(crate) fn all<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let (sender, changed) = channel(1);
        let watcher = ::notify::recommended_watcher(move |event| {
            // Whoever looks at a file opens it: that must not wake them again.
            if !is_reading(&event) {
                // One that is pending will do for all.
                let _ = sender.try_send(());
            }
        })
        .attempt(|| "watch files".to_owned())?;
        let mut all = Self { watcher, changed };
        folders.into_iter().try_for_each(|folder| all.add(folder))?;
        Ok(all)
    }

    /// Watches one more.
    ///
    /// # Errors
    /// As [`FolderWatch::new`].
    pub(crate) fn add(&mut self, folder: &Path) -> Result<()> {
        self.watcher
            .watch(folder, RecursiveMode::NonRecursive)
            .attempt(|| format!("watch {}", folder.display()))
    }

    /// Waits for a change, or for the slow look. May be dropped while it waits.
    pub(crate) async fn changed(&mut self) {
        let _ = tokio::time::timeout(SLOW_LOOK, self.changed.recv()).await;
    }

    /// Waits until `is_true`.
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

    /// What is heard at once; the slow look would take longer.
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
