//! Whether a file or folder is as it was.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

/// File times advance in ticks of up to 10 ms. What changed this recently may change again unseen.
const TICKS: Duration = Duration::from_millis(30);

/// What differs after every change of a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    #[expect(clippy::useless_conversion, reason = "the types differ between systems")]
    pub(super) fn of(path: &Path) -> Option<Self> {
        let stat: Stat = rustix::fs::stat(path).ok()?;
        let nanoseconds = |count| u64::try_from(count).unwrap_or_default();
        Some(Self {
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime.into(), nanoseconds(stat.st_mtime_nsec)),
            changed: (stat.st_ctime.into(), nanoseconds(stat.st_ctime_nsec)),
        })
    }

    /// Whether it is so new that another change may have left it as it is.
    pub(super) fn is_recent(&self, now: SystemTime) -> bool {
        let seconds = Duration::from_secs(u64::try_from(self.modified.0).unwrap_or_default());
        let at = SystemTime::UNIX_EPOCH + seconds + Duration::from_nanos(self.modified.1);
        at + TICKS > now
    }
}
