//! Compresses old logs in the background: those of the session, and once a day those of the others in
//! the project, which may never run again.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::session::store::{self, Folder, Lock, StoreError};

use super::Setup;

/// How often the logs of a project's other sessions are looked at.
const DAILY: Duration = Duration::from_secs(24 * 3600);

/// Starts to compress in a thread of its own. Nothing waits for it: what it leaves undone is done by
/// the next worker.
pub(super) fn compress(setup: &Setup) {
    let Some(age) = setup.settings.compress_logs_after else { return };
    let own = setup.folder.clone();
    let (sessions, state_dir) = (setup.project.sessions.clone(), setup.state_dir.clone());
    let work = move || {
        let Some(limit) = SystemTime::now().checked_sub(age) else { return };
        let done = compress_all(&own, &sessions, &state_dir, limit);
        if let Err(error) = done {
            tracing::warn!("cannot compress old logs: {error}");
        }
    };
    // Without a thread they are compressed another time.
    let _ = std::thread::Builder::new().name("logs".to_owned()).spawn(work);
}

fn compress_all(
    own: &Folder,
    sessions: &Path,
    state_dir: &Path,
    limit: SystemTime,
) -> Result<(), StoreError> {
    store::compress_logs(&own.logs(), limit)?;
    if !is_due(&mark(state_dir, sessions))? {
        return Ok(());
    }
    for place in [sessions.to_owned(), sessions.join("_archive")] {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let folder = Folder::new(entry.path());
            let below = folder.descendants();
            for folder in std::iter::once(folder).chain(below) {
                let is_other = folder.path() != own.path() && folder.logs().is_dir();
                if is_other && !Lock::is_held(&folder) {
                    store::compress_logs(&folder.logs(), limit)?;
                }
            }
        }
    }
    Ok(())
}

/// A file whose time says when a project's sessions were last looked at.
fn mark(state_dir: &Path, sessions: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    sessions.hash(&mut hasher);
    state_dir.join("compressed").join(format!("{:016x}", hasher.finish()))
}

/// Whether it is time to look at them again; then others wait for another day.
fn is_due(mark: &Path) -> Result<bool, StoreError> {
    let last = fs::metadata(mark).and_then(|meta| meta.modified()).ok();
    let age = last.and_then(|last| last.elapsed().ok());
    if last.is_some() && age.is_none_or(|age| age < DAILY) {
        return Ok(false);
    }
    if let Some(folder) = mark.parent() {
        store::make_folder(folder)?;
    }
    store::replace_derived(mark, b"")?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sessions_of_the_project_are_looked_at_once_a_day() {
        let root = tempfile::tempdir().unwrap();
        let (sessions, state) = (root.path().join("sessions"), root.path().join("state"));
        let folder = |name: &str| Folder::new(sessions.join(name));
        let log = |name: &str| folder(name).logs().join("1.jsonl");
        let write = |name: &str| {
            fs::create_dir_all(folder(name).logs()).unwrap();
            fs::write(log(name), "{}\n").unwrap();
        };
        let compressed = |name: &str| !log(name).exists() && store::open_log(&log(name)).is_ok();
        let names = ["26-11-20-own", "26-11-20-done", "26-11-20-busy", "_archive/26-11-20-gone"];
        names.iter().for_each(|name| write(name));
        let busy = Lock::take(&folder("26-11-20-busy")).unwrap();
        let soon = SystemTime::now() + Duration::from_secs(60);
        let all = || compress_all(&folder("26-11-20-own"), &sessions, &state, soon).unwrap();
        all();
        assert_eq!(names.map(compressed), [true, true, false, true]);
        drop(busy);
        all();
        assert!(!compressed("26-11-20-busy"), "not before tomorrow");
        let yesterday = SystemTime::now() - DAILY - Duration::from_secs(1);
        let mark = fs::File::options().write(true).open(mark(&state, &sessions)).unwrap();
        mark.set_modified(yesterday).unwrap();
        all();
        assert!(compressed("26-11-20-busy"));
    }
}
