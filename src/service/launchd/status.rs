//! The file in which a worker reports what it would tell systemd: that it is ready, its status line,
//! and how it ended.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::service::exit::WorkerExit;

/// A worker's report. It is about the process with this id; a later one overwrites it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) pid: u32,
    pub(super) ready: bool,
    pub(super) text: String,
    /// The exit code, once it has decided to end.
    pub(super) exit: Option<u8>,
}

/// The exit codes after which a worker must not be restarted.
const FINAL: [WorkerExit; 4] =
    [WorkerExit::Usage, WorkerExit::Locked, WorkerExit::GaveUp, WorkerExit::Configuration];

/// Whether a worker with this exit code has failed for good.
pub(super) fn is_final(code: u8) -> bool {
    FINAL.iter().any(|exit| exit.code() == code)
}

impl Status {
    /// `None` where no worker has reported, and for a file that no version of ours has written.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Replaces the file. It need not survive a restart of the machine, so nothing is flushed.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder)?;
        let temporary = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&temporary, self)?;
        temporary.persist(path).map(drop).map_err(|error| error.error)
    }

    /// Whether the worker has ended and must not be restarted.
    pub(super) fn has_failed(&self) -> bool {
        self.exit.is_some_and(is_final)
    }
}
