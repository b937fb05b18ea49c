//! The day's spending of all sessions, for the daily budget.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/spent/2026-11-20.jsonl   one line per run; duplicate runs count once
//! ```

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::session::store::{self, StoreError, Unsynced};

/// One run's line in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) run: String,
    pub(super) session: String,
    pub(super) usd: f64,
    pub(super) tokens: u64,
}

/// The ledger file of one day.
#[derive(Debug)]
pub(super) struct Ledger(PathBuf);

impl Ledger {
    pub(super) fn of(state: &Path, day: Date) -> Self {
        Self(state.join("spent").join(format!("{day}.jsonl")))
    }

    /// Appends a run without waiting for the disk. A duplicate after a crash is counted once.
    pub(super) fn add(&self, line: &Line) -> Result<Unsynced, StoreError> {
        if let Some(folder) = self.0.parent() {
            store::make_folder(folder)?;
        }
        let mut bytes = serde_json::to_vec(line).unwrap_or_default();
        bytes.push(b'\n');
        store::append_unsynced(&self.0, &bytes)
    }

    /// Total of the day, in US dollars and tokens.
    pub(super) fn sum(&self) -> Result<(f64, u64), StoreError> {
        let bytes = store::read(&self.0)?.unwrap_or_default();
        Ok(sum(&String::from_utf8_lossy(&bytes)))
    }
}

fn sum(text: &str) -> (f64, u64) {
    let mut seen = HashSet::new();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.filter(|line| seen.insert(line.run.clone())).fold((0.0, 0), |(usd, tokens), line| {
        ((usd + line.usd).min(f64::MAX), tokens.saturating_add(line.tokens))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_written_down_twice_counts_once_and_a_torn_line_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(folder.path(), jiff::civil::date(2026, 11, 20));
        let line = |run: &str| Line { run: run.into(), session: "s".into(), usd: 0.5, tokens: 10 };
        for run in ["a", "b", "a"] {
            ledger.add(&line(run)).unwrap().sync().unwrap();
        }
        store::append(&ledger.0, b"{\"run\":\"c\",\"us").unwrap();
        assert_eq!(ledger.sum().unwrap(), (1.0, 20));
    }
}
