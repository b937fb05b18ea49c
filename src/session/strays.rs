//! What changed in the repository beside the session's own branch while its agent ran. git does not say
//! who moved a ref, so it may have been the agent or somebody else.

use serde::{Deserialize, Serialize};

/// The folder of branches.
const BRANCHES: &str = "refs/heads/";
/// The folder of tags.
const TAGS: &str = "refs/tags/";

/// One such change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Stray {
    /// Commits were made that the session's branch lacks.
    Gained {
        /// The full name of the ref, or `HEAD of FOLDER` of a checkout on no branch.
        name: String,
        /// How many there are.
        commits: usize,
        /// The newest of them, in short.
        tip: String,
        /// The first line of its message.
        #[serde(default)]
        subject: String,
        /// Whether the ref was made meanwhile, so that its commits are no daily work of others.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fresh: bool,
    },
    /// A ref was deleted or moved back, and commits were on no branch any more.
    Lost {
        /// The full name of the ref.
        name: String,
        /// How many commits there were.
        commits: usize,
        /// The ref that keeps them now.
        kept: String,
    },
    /// Changes from the session's branch were stashed and not restored.
    Stashed {
        /// The stash's commit.
        commit: String,
        /// The stash's message.
        message: String,
    },
    /// A stash that was not made on the session's branch is gone.
    Dropped {
        /// The stash's message.
        message: String,
        /// The ref that keeps it now.
        kept: String,
    },
    /// A branch that others rely on was deleted, whether or not its commits are on another one.
    Deleted {
        /// The full name of the ref.
        name: String,
        /// The commit it was at.
        commit: String,
        /// The checkout that is on this branch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkout: Option<String>,
    },
    /// Notes of commits were written: they are on no branch.
    Noted {
        /// The full name of their ref.
        name: String,
    },
    /// Commits were made that nothing named afterwards.
    Loose {
        /// How many there are.
        commits: usize,
        /// The newest of them, in short.
        tip: String,
        /// The first line of its message.
        #[serde(default)]
        subject: String,
        /// The ref that keeps them now.
        kept: String,
    },
}

impl Stray {
    /// Whether it may be work of the session that its branch does not have.
    #[must_use]
    pub const fn is_work(&self) -> bool {
        matches!(self, Self::Gained { .. } | Self::Stashed { .. } | Self::Loose { .. })
    }

    /// Describes it in a sentence without a full stop; `branch` is the session's.
    #[must_use]
    pub fn describe(&self, branch: &str) -> String {
        match self {
            Self::Gained { name, commits, tip, subject, .. } => format!(
                "while the agent ran, {} got {} that '{branch}' lacks: {}",
                named(name),
                counted(*commits),
                format!("{tip} {subject}").trim_end()
            ),
            Self::Lost { name, commits, kept } => format!(
                "while the agent ran, {} lost {} (kept as {kept})",
                named(name),
                counted(*commits)
            ),
            Self::Stashed { message, .. } => {
                format!("while the agent ran, changes were stashed and not restored: {message}")
            }
            Self::Dropped { message, kept } => {
                format!("while the agent ran, a stash was dropped: {message} (kept as {kept})")
            }
            Self::Deleted { name, commit, checkout } => {
                let on = checkout
                    .as_deref()
                    .map_or_else(String::new, |folder| format!(", which {folder} is on"));
                format!(
                    "while the agent ran, {} was deleted{on} (it is restored by: git update-ref {name} {commit})",
                    named(name)
                )
            }
            Self::Noted { name } => {
                format!("while the agent ran, {name} changed: git's notes are on no branch")
            }
            Self::Loose { commits, tip, subject, kept } => format!(
                "while the agent ran, {} that no branch has: {} (kept as {kept})",
                if *commits == 1 {
                    "1 commit was made".to_owned()
                } else {
                    format!("{commits} commits were made")
                },
                format!("{tip} {subject}").trim_end()
            ),
        }
    }

    /// The git command that brings the work onto the session's branch, to follow `git`.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Gained { name, tip, .. } => {
                Some(format!("merge {}", name.strip_prefix(BRANCHES).unwrap_or(tip)))
            }
            Self::Stashed { commit, .. } => Some(format!("stash apply {commit}")),
            Self::Loose { kept, .. } => Some(format!("merge {kept}")),
            Self::Lost { .. }
            | Self::Dropped { .. }
            | Self::Deleted { .. }
            | Self::Noted { .. } => None,
        }
    }
}

fn named(name: &str) -> String {
    match (name.strip_prefix(BRANCHES), name.strip_prefix(TAGS)) {
        (Some(branch), _) => format!("branch '{branch}'"),
        (_, Some(tag)) => format!("tag '{tag}'"),
        _ => format!("the detached {name}"),
    }
}

fn counted(commits: usize) -> String {
    if commits == 1 { "1 commit".to_owned() } else { format!("{commits} commits") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_moved_and_how_to_get_it_back() {
        let gained = |name: &str, commits| Stray::Gained {
            name: name.into(),
            commits,
            tip: "c0ffee1".into(),
            subject: "Add it".into(),
            fresh: false,
        };
        for (stray, said, remedy) in [
            (
                gained("refs/heads/main", 1),
                "branch 'main' got 1 commit that 't' lacks: c0ffee1 Add it",
                Some("merge main"),
            ),
            (
                gained("HEAD of /w/a", 2),
                "the detached HEAD of /w/a got 2 commits that 't' lacks: c0ffee1 Add it",
                Some("merge c0ffee1"),
            ),
            (
                Stray::Lost { name: "refs/tags/v1".into(), commits: 3, kept: "refs/k".into() },
                "tag 'v1' lost 3 commits (kept as refs/k)",
                None,
            ),
            (
                gained("refs/tags/v1", 1),
                "tag 'v1' got 1 commit that 't' lacks: c0ffee1 Add it",
                Some("merge c0ffee1"),
            ),
            (
                Stray::Noted { name: "refs/notes/commits".into() },
                "refs/notes/commits changed: git's notes are on no branch",
                None,
            ),
            (
                Stray::Stashed { commit: "c0ffee1".into(), message: "WIP on t: x".into() },
                "changes were stashed and not restored: WIP on t: x",
                Some("stash apply c0ffee1"),
            ),
            (
                Stray::Dropped { message: "On main: mine".into(), kept: "refs/k".into() },
                "a stash was dropped: On main: mine (kept as refs/k)",
                None,
            ),
            (
                Stray::Deleted {
                    name: "refs/heads/main".into(),
                    commit: "c0ffee1".into(),
                    checkout: Some("/w".into()),
                },
                "branch 'main' was deleted, which /w is on (it is restored by: git update-ref refs/heads/main c0ffee1)",
                None,
            ),
            (
                Stray::Loose {
                    commits: 2,
                    tip: "c0ffee1".into(),
                    subject: "Add it".into(),
                    kept: "refs/k".into(),
                },
                "2 commits were made that no branch has: c0ffee1 Add it (kept as refs/k)",
                Some("merge refs/k"),
            ),
        ] {
            assert_eq!(stray.describe("t"), format!("while the agent ran, {said}"));
            assert_eq!(stray.remedy().as_deref(), remedy);
            assert_eq!(stray.is_work(), remedy.is_some());
        }
    }
}
