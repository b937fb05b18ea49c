//! The files of a session that a human reads: at a gate, and at the end.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folder::Folder;
use crate::session::state::StateName;
use crate::session::vocabulary::WaitsFor;

/// How many files a prompt names.
const MOST_READABLE: usize = 12;

/// A file of a session that is written for a human.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Document {
    /// The plan that waits for approval, or was approved.
    Plan,
    /// The questions, with the answers given so far.
    Questions,
    /// What was done, written at the end.
    Summary,
}

impl Document {
    /// What to read of a session in this state, before anything else is done.
    #[must_use]
    pub const fn due(state: StateName, waits_for: Option<&WaitsFor>) -> Option<Self> {
        match (state, waits_for) {
            (StateName::Done, _) => Some(Self::Summary),
            (StateName::Waiting, Some(WaitsFor::QaAnswers)) => Some(Self::Questions),
            (StateName::Waiting, Some(WaitsFor::PlanApproval)) => Some(Self::Plan),
            _ => None,
        }
    }

    /// What the names of such files contain, as the agents' instructions say.
    const fn mark(self) -> Option<&'static str> {
        match self {
            Self::Plan => Some("-plan-"),
            Self::Summary => Some("-summary-"),
            Self::Questions => None,
        }
    }
}

impl Folder {
    /// The newest file of this kind, if the session has one.
    #[must_use]
    pub fn document(&self, which: Document) -> Option<PathBuf> {
        let Some(mark) = which.mark() else {
            let is_file =
                |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file());
            return Some(self.qa()).filter(is_file);
        };
        let is_one = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.contains(mark) && name.ends_with(".md")
        };
        let written = |path: &PathBuf| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let found = self.artifacts().ok()?.into_iter().filter(is_one);
        found.max_by_key(|path| (written(path), path.clone()))
    }

    /// The names of the questions and of the newest artifacts, oldest first: what the next run may
    /// want to read.
    #[must_use]
    pub fn readable(&self) -> Vec<String> {
        let written = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let name = |path: PathBuf| Some((written(&path), path.file_name()?.to_str()?.to_owned()));
        let qa = self.qa();
        let is_text = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            *path == qa || (name.ends_with(".md") && !name.starts_with(['_', '.']))
        };
        let files = self.artifacts().unwrap_or_default().into_iter();
        let mut files: Vec<_> = files.filter(is_text).filter_map(name).collect();
        files.sort_unstable();
        let oldest = files.len().saturating_sub(MOST_READABLE);
        files.into_iter().skip(oldest).map(|(_, name)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_plan_is_the_one_to_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        assert_eq!(folder.document(Document::Plan), None);
        let write = |name: &str, age: u64| {
            let file = fs::File::create(place.path().join(name)).unwrap();
            let at = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
            file.set_modified(at).unwrap();
        };
        // A plan of January is newer than one of December.
        write("12-31-23:10-plan-jwt.md", 600);
        write("01-01-00:20-plan-jwt.md", 60);
        write("01-01-00:30-plan-jwt.json", 0);
        write("01-01-00:40-summary-jwt.md", 40);
        let name = |which| folder.document(which).map(|path| path.file_name().unwrap().to_owned());
        assert_eq!(name(Document::Plan).unwrap(), "01-01-00:20-plan-jwt.md");
        assert_eq!(name(Document::Summary).unwrap(), "01-01-00:40-summary-jwt.md");
        assert_eq!(name(Document::Questions), None);
        write("_other.md", 30);
        write("12-30-23:10-dive-jwt.md", 900);
        fs::write(folder.qa(), "").unwrap();
        let all = folder.readable();
        assert_eq!(
            all[..2],
            ["12-30-23:10-dive-jwt.md", "12-31-23:10-plan-jwt.md"],
            "oldest first"
        );
        assert_eq!(all.len(), 5, "{all:?}");
        assert!(all.iter().any(|name| folder.qa().ends_with(name)), "{all:?}");
        (0..20).for_each(|n| write(&format!("01-02-00:{n:02}-note-jwt.md"), 20 - n));
        let newest = folder.readable();
        assert_eq!(newest.len(), MOST_READABLE);
        assert_eq!(
            newest[MOST_READABLE - 2],
            "01-02-00:19-note-jwt.md",
            "only the questions are newer"
        );
    }

    #[test]
    fn a_gate_and_the_end_have_something_to_read() {
        let due = |state, waits_for: Option<WaitsFor>| Document::due(state, waits_for.as_ref());
        assert_eq!(due(StateName::Waiting, Some(WaitsFor::QaAnswers)), Some(Document::Questions));
        assert_eq!(due(StateName::Waiting, Some(WaitsFor::PlanApproval)), Some(Document::Plan));
        assert_eq!(due(StateName::Done, None), Some(Document::Summary));
        assert_eq!(due(StateName::Waiting, Some(WaitsFor::HumanAction)), None);
        assert_eq!(due(StateName::Running, None), None);
    }
}
