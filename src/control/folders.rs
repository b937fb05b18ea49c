//! Waiting for files to change, without polling.

use std::path::Path;
use std::time::Duration;

use ::notify::event::{AccessKind, AccessMode, EventKind};
use ::notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{Receiver, channel};

use super::error::{Attempt as _, Result};
use crate::platform::limits::Limit;
use crate::platform::watch;
use crate::session::store::Folder;

/// Watches folders for changes. It also reports a change every few seconds, because some file
/// systems, such as network ones, send no events. If a limit of the machine allows no watching, it
/// reports one every second instead.
pub(crate) struct FolderWatch {
    /// `None` where it cannot watch.
    watcher: Option<RecommendedWatcher>,
    changed: Receiver<()>,
    /// Which limit keeps it from watching.
    limit: Option<Limit>,
    /// Sessions whose record may get a folder of its own.
    sessions: Vec<Folder>,
}

/// How long a change can go unnoticed on a file system that sends no events.
const SLOW_LOOK: Duration = Duration::from_secs(5);

/// How often to look where nothing can be watched.
const QUICK_LOOK: Duration = Duration::from_secs(1);

impl FolderWatch {
    /// Watches one folder, without its subfolders.
    ///
    /// # Errors
    /// If it cannot be watched for another reason than a limit of the machine.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        Self::all([folder])
    }

    /// Watches a session's files.
    ///
    /// # Errors
    /// As [`FolderWatch::new`].
    pub(crate) fn session(folder: &Folder) -> Result<Self> {
        let mut watch = Self::all([])?;
        watch.add_session(folder)?;
        Ok(watch)
    }

    /// Watches several folders.
    ///
    /// # Errors
    /// As [`FolderWatch::new`].
    pub(crate) fn all<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let (sender, changed) = channel(1);
        let watcher = watch::watcher(move |event| {
            // Our own reads must not wake us again.
            if !is_reading(&event) {
                // One pending event stands for all.
                let _ = sender.try_send(());
            }
        });
        let mut all = match watcher {
            Ok(watcher) => {
                Self { watcher: Some(watcher), changed, limit: None, sessions: Vec::new() }
            }
            Err(error) => {
                let limit = limit(&error);
                if limit.is_none() {
                    return Err(error).attempt(|| "watch files".to_owned());
                }
                Self { watcher: None, changed, limit, sessions: Vec::new() }
            }
        };
        folders.into_iter().try_for_each(|folder| all.add(folder))?;
        Ok(all)
    }

    /// Watches another folder.
    ///
    /// # Errors
    /// As [`FolderWatch::new`].
    pub(crate) fn add(&mut self, folder: &Path) -> Result<()> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Err(error) if limit(&error).is_some() => {
                self.limit = limit(&error);
                self.watcher = None;
                Ok(())
            }
            watched => watched.attempt(|| format!("watch {}", folder.display())),
        }
    }

    /// Watches the files of another session.
    ///
    /// # Errors
    /// As [`FolderWatch::new`].
    pub(crate) fn add_session(&mut self, folder: &Folder) -> Result<()> {
        if folder.record().is_none() {
            self.sessions.push(folder.clone());
        }
        folder.roots().iter().try_for_each(|root| self.add(root))
    }

    /// Watches the records that were moved since. That changes the session's folder, too, so it is
    /// noticed.
    fn follow_records(&mut self) {
        let (moved, rest) =
            std::mem::take(&mut self.sessions).into_iter().partition(|it| it.record().is_some());
        self.sessions = rest;
        let moved: Vec<Folder> = moved;
        for record in moved.iter().filter_map(Folder::record) {
            if let Err(error) = self.add(&record) {
                tracing::info!("{error}");
            }
        }
    }

    /// What a human should know if nothing can be watched: one line, with the remedy.
    pub(crate) fn remark(&self) -> Option<String> {
        let remedy = self.limit?.remedy();
        Some(format!("cannot watch files, so checking once a second: {remedy}"))
    }

    /// Waits for a change, or [`SLOW_LOOK`] at most. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        if self.watcher.is_none() {
            return tokio::time::sleep(QUICK_LOOK).await;
        }
        let _ = tokio::time::timeout(SLOW_LOOK, self.changed.recv()).await;
        self.follow_records();
    }

    /// Waits until `is_true` holds; checks it after each change.
    pub(crate) async fn until(mut self, is_true: impl Fn() -> bool) {
        while !is_true() {
            self.changed().await;
        }
    }
}

/// The limit of the machine that an error of the watcher tells of.
fn limit(error: &::notify::Error) -> Option<Limit> {
    match &error.kind {
        ErrorKind::MaxFilesWatch => Some(Limit::Watches),
        ErrorKind::Io(error) => Limit::of_watching(error),
        _ => None,
    }
}

fn is_reading(event: &::notify::Result<::notify::Event>) -> bool {
    const WRITTEN: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    event.as_ref().is_ok_and(|event| event.kind.is_access() && event.kind != WRITTEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::store::Lock;

    /// Whether a change is reported within a second.
    async fn is_heard(watch: &mut FolderWatch) -> bool {
        tokio::time::timeout(Duration::from_secs(1), watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_write_is_heard_and_reading_the_file_then_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = Folder::new(folder.path()).hook();
        let mut watch = FolderWatch::new(folder.path()).unwrap();
        std::fs::write(&file, "1").unwrap();
        while is_heard(&mut watch).await {}

        assert_eq!(std::fs::read_to_string(&file).unwrap(), "1");
        assert!(!is_heard(&mut watch).await, "reading woke the reader");
        std::fs::write(&file, "2").unwrap();
        let heard = tokio::time::timeout(SLOW_LOOK * 4 / 5, watch.changed()).await;
        assert!(heard.is_ok(), "a change is heard, not found by looking");
    }

    #[tokio::test]
    async fn a_record_that_is_moved_is_watched_in_its_new_place() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("26-11-20-jwt"));
        std::fs::create_dir(folder.path()).unwrap();
        let mut watch = FolderWatch::session(&folder).unwrap();
        assert_eq!(watch.sessions, std::slice::from_ref(&folder));
        let lock = Lock::take(&folder).unwrap();
        folder.set_apart(lock).unwrap();
        watch.changed().await;
        assert_eq!(watch.sessions, []);
    }

    #[test]
    fn limits_of_the_machine_are_told_from_other_errors() {
        let io = |errno: rustix::io::Errno| {
            let error = std::io::Error::from_raw_os_error(errno.raw_os_error());
            limit(&::notify::Error::io(error))
        };
        assert_eq!(io(rustix::io::Errno::MFILE), Some(Limit::Watchers));
        assert_eq!(limit(&::notify::Error::new(ErrorKind::MaxFilesWatch)), Some(Limit::Watches));
        assert_eq!(io(rustix::io::Errno::NOENT), None);
        assert!(FolderWatch::new(Path::new("/no/such/folder")).is_err());
    }

    #[tokio::test]
    async fn without_a_watcher_it_looks_once_a_second_and_says_so() {
        let (_sender, changed) = channel(1);
        let mut watch = FolderWatch {
            watcher: None,
            changed,
            limit: Some(Limit::Watchers),
            sessions: Vec::new(),
        };
        let remark = watch.remark().unwrap();
        assert!(remark.contains("sudo sysctl fs.inotify.max_user_instances="), "{remark}");
        watch.add(Path::new("/")).unwrap();
        let before = std::time::Instant::now();
        watch.changed().await;
        assert!(before.elapsed() >= QUICK_LOOK && before.elapsed() < SLOW_LOOK);
    }
}
