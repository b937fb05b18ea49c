//! What two branches disagree about.

use std::fmt;

use git2::{IndexConflict, IndexEntry, MergeFileOptions, Repository};
use serde::{Deserialize, Serialize};

/// How a file conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Both changed the same lines.
    BothChanged,
    /// Both added a file of this name, with different contents.
    BothAdded,
    /// One deleted it or renamed it, the other changed it.
    Deleted,
    /// A binary file that both changed.
    Binary,
    /// A file in Git LFS that both changed: git sees only its pointer.
    Lfs,
    /// A submodule that both changed, as to different commits.
    Submodule,
}

impl fmt::Display for ConflictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BothChanged => "both changed it",
            Self::BothAdded => "both added it",
            Self::Deleted => "one deleted it, the other changed it",
            Self::Binary => "both changed this binary file",
            Self::Lfs => "both changed this file in Git LFS",
            Self::Submodule => "both changed this submodule",
        })
    }
}

/// A file that cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Its path in the repository.
    pub path: String,
    /// What the two sides did to it, such as: both changed it.
    pub kind: ConflictKind,
    /// The passages in conflict, with git's markers; long ones are cut, and only the first few are
    /// kept. Empty where there are no lines to show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hunks: Vec<String>,
}

/// How many passages of a file are kept.
const HUNKS: usize = 5;
/// How many lines of a passage are kept.
const LINES: usize = 24;
/// A Git LFS pointer begins with this line.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";
/// The mode of a submodule's entry in an index.
const SUBMODULE: u32 = 0o160_000;

impl Conflict {
    /// Describes an entry of an index that a merge left.
    pub(super) fn of(repo: &Repository, entry: &IndexConflict, names: [&str; 2]) -> Option<Self> {
        let IndexConflict { ancestor, our, their } = entry;
        let any = [our, their, ancestor].into_iter().find_map(Option::as_ref)?;
        let path = String::from_utf8_lossy(&any.path).into_owned();
        let bare = |kind| Some(Self { path: path.clone(), kind, hunks: Vec::new() });
        let entries = [ancestor, our, their].into_iter().flatten();
        if entries.clone().any(|entry| entry.mode == SUBMODULE) {
            return bare(ConflictKind::Submodule);
        }
        let (Some(ours), Some(theirs)) = (our, their) else { return bare(ConflictKind::Deleted) };
        let contents = [ours, theirs].map(|entry| repo.find_blob(entry.id));
        if contents.iter().flatten().any(|blob| blob.content().starts_with(LFS)) {
            return bare(ConflictKind::Lfs);
        }
        if contents.iter().flatten().any(git2::Blob::is_binary) {
            return bare(ConflictKind::Binary);
        }
        let kind =
            if ancestor.is_some() { ConflictKind::BothChanged } else { ConflictKind::BothAdded };
        let merged = merge_file(repo, ancestor.as_ref(), ours, theirs, names);
        Some(Self { path, kind, hunks: hunks(&merged.unwrap_or_default()) })
    }
}

fn merge_file(
    repo: &Repository,
    ancestor: Option<&IndexEntry>,
    ours: &IndexEntry,
    theirs: &IndexEntry,
    [our_name, their_name]: [&str; 2],
) -> Result<String, git2::Error> {
    let mut options = MergeFileOptions::new();
    options.our_label(our_name).their_label(their_name);
    let text = |entry: &IndexEntry| repo.find_blob(entry.id).map(|blob| blob.content().to_vec());
    let of_both = [text(ours)?, text(theirs)?];
    let of_base = ancestor.map(text).transpose()?.unwrap_or_default();
    let [mut base, mut our, mut their] = std::array::from_fn(|_| git2::MergeFileInput::new());
    base.content(&of_base);
    our.content(&of_both[0]);
    their.content(&of_both[1]);
    let merged = git2::merge_file(&base, &our, &their, Some(&mut options))?;
    Ok(String::from_utf8_lossy(merged.content()).into_owned())
}

/// The passages between git's conflict markers, each with the number of its first line.
pub(super) fn hunks(text: &str) -> Vec<String> {
    let mut found: Vec<(usize, Vec<&str>)> = Vec::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        if !inside && line.starts_with("<<<<<<<") {
            inside = true;
            found.push((at + 1, Vec::new()));
        }
        if inside && let Some((_, lines)) = found.last_mut() {
            lines.push(line);
        }
        if inside && line.starts_with(">>>>>>>") {
            inside = false;
        }
    }
    let mut shown: Vec<String> = found
        .iter()
        .take(HUNKS)
        .map(|(first, lines)| {
            let mut text = format!("line {first}:\n{}", lines[..lines.len().min(LINES)].join("\n"));
            if lines.len() > LINES {
                text += &format!("\n… {} more lines", lines.len() - LINES);
            }
            text
        })
        .collect();
    if found.len() > HUNKS {
        shown.push(format!("… {} more passages", found.len() - HUNKS));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_are_numbered_and_long_ones_are_cut() {
        let passage =
            |lines: usize| format!("<<<<<<< a\n{}=======\ny\n>>>>>>> b\n", "x\n".repeat(lines));
        let found = hunks(&format!("one\n{}two\n{}", passage(1), passage(40)));
        assert_eq!(found[0], "line 2:\n<<<<<<< a\nx\n=======\ny\n>>>>>>> b");
        assert!(found[1].starts_with("line 8:\n<<<<<<< a\n"), "{}", found[1]);
        assert!(found[1].ends_with("\n… 20 more lines"), "{}", found[1]);
        let many = hunks(&passage(1).repeat(9));
        assert_eq!((many.len(), many[5].as_str()), (6, "… 4 more passages"));
        assert_eq!(hunks("no markers\n=======\n"), Vec::<String>::new());
    }
}
