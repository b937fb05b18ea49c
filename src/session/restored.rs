//! Files found after a boot to have lost data, and what was done about it.

use serde::{Deserialize, Serialize};

/// Files that lost data when the machine went down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Number of worktree files restored from git.
    pub files: u64,
    /// The first of them, as paths relative to the worktree.
    pub first: Vec<String>,
    /// Where the damaged versions are kept, in the session's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// Number of other files that may have lost data; git cannot restore them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// The first of them: worktree files as relative paths, files of the session's folder as
    /// absolute ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_lost: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Restored {
    /// Adds the findings of a repeated check, which happens if a worker is killed during one.
    pub fn add(&mut self, later: &Self) {
        self.files += later.files;
        self.first.extend_from_slice(&later.first);
        self.kept = later.kept.clone().or(self.kept.take());
        self.lost = later.lost;
        self.first_lost.clone_from(&later.first_lost);
    }

    /// Describes the findings in a sentence, for people and agents.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        if self.files > 0 {
            let kept = self
                .kept
                .as_ref()
                .map_or_else(String::new, |kept| format!(" (damaged versions kept in {kept})"));
            let files = count(self.files);
            let names = named(self.files, &self.first);
            parts.push(format!(
                "restored {files} from git that lost data when the machine went down: {names}{kept}"
            ));
        } else if let Some(kept) = &self.kept {
            parts.push(format!("repaired a git reflog that was damaged when the machine went down; the damaged version is kept in {kept}"));
        }
        if self.lost > 0 {
            let names = named(self.lost, &self.first_lost);
            let files = count(self.lost);
            parts.push(format!("{files} may have lost data when the machine went down: {names}"));
        }
        parts.join("; ")
    }
}

fn count(files: u64) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

fn named(count: u64, names: &[String]) -> String {
    let more = if count > names.len() as u64 { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(files: u64, lost: u64) -> Restored {
        let names =
            |count: u64, name: &str| (0..count.min(2)).map(|n| format!("{name}{n}")).collect();
        Restored {
            files,
            first: names(files, "a"),
            kept: (files > 0).then(|| "_damaged/x".to_owned()),
            lost,
            first_lost: names(lost, "b"),
        }
    }

    #[test]
    fn it_is_described_in_a_sentence() {
        assert_eq!(
            restored(3, 1).describe(),
            "restored 3 files from git that lost data when the machine went down: a0, a1, … (damaged versions kept in _damaged/x); \
             1 file may have lost data when the machine went down: b0"
        );
        let reflog = Restored { kept: Some("_damaged/y".to_owned()), ..Restored::default() };
        assert!(reflog.describe().contains("reflog"), "{reflog:?}");
    }

    #[test]
    fn a_second_look_adds_to_the_first() {
        let mut all = restored(1, 1);
        all.add(&restored(0, 1));
        assert_eq!(all, restored(1, 1));
        all.add(&restored(1, 0));
        assert_eq!((all.files, all.lost), (2, 0));
    }

    #[test]
    fn what_older_versions_wrote_is_read() {
        let old = r#"{"files":1,"first":["a"]}"#;
        let read: Restored = serde_json::from_str(old).unwrap();
        assert_eq!((read.files, read.kept, read.lost), (1, None, 0));
    }
}
