//! How far the bot has read, on disk.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/bot/progress.json     {"next": 124, "doing": 124}
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::control::Result;
use crate::session::store;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Saved {
    /// The first update that was not handled.
    next: i64,
    /// The update that is being handled.
    doing: Option<i64>,
}

/// How far the bot has read.
pub(super) struct Progress {
    file: PathBuf,
    saved: Saved,
}

impl Progress {
    pub(super) fn open(folder: PathBuf) -> Result<Self> {
        store::make_folder(&folder)?;
        let file = folder.join("progress.json");
        let saved = store::read(&file)?;
        let saved = saved.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Ok(Self { file, saved })
    }

    pub(super) const fn next(&self) -> i64 {
        self.saved.next
    }

    /// Notes that an update is being handled; tells whether that was begun before.
    pub(super) fn begin(&mut self, id: i64) -> Result<bool> {
        if self.saved.doing == Some(id) {
            return Ok(true);
        }
        self.saved.doing = Some(id);
        self.write()?;
        Ok(false)
    }

    pub(super) fn finish(&mut self, id: i64) -> Result<()> {
        self.saved = Saved { next: id + 1, doing: None };
        self.write()
    }

    fn write(&self) -> Result<()> {
        Ok(store::replace(&self.file, &serde_json::to_vec(&self.saved)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_knows_what_was_handled_and_what_was_begun() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Progress::open(dir.path().join("bot")).unwrap();
        let mut progress = open();
        assert!(!progress.begin(7).unwrap());
        assert!(open().begin(7).unwrap(), "it was interrupted");
        progress.finish(7).unwrap();
        let mut next = open();
        assert_eq!(next.next(), 8);
        assert!(!next.begin(8).unwrap());
    }
}
