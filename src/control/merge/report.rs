//! What a merge led to, as every front end shows it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::git::quoted;
use crate::session::describe::harmless;

use super::check::Target;
use super::record::{Member, Record};
use super::resolve::Resolving;
use super::series::End;

/// What a merge led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The branch that was merged into.
    pub into: String,
    /// The commit it all started from.
    pub base: String,
    /// The members in the order in which they were merged.
    pub members: Vec<Part>,
    /// Where the result is.
    pub landed: Landed,
    /// The command that tested the result; `None` if nothing was tested.
    pub tested: Option<String>,
    /// The sessions that were begun to resolve conflicts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolving: Vec<Resolving>,
    /// The output of all tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
}

/// A member of a merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The session.
    pub session: String,
    /// Its instance.
    pub instance: String,
    /// Its branch.
    pub branch: String,
    /// How many commits it has that the target lacked.
    pub commits: usize,
    /// What became of it; `None` in a prediction that foresees no problem, or cannot tell.
    pub end: Option<End>,
}

/// Where the result of a merge is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Landed {
    /// The branch was moved forward to it.
    Moved {
        /// Its commit.
        commit: String,
    },
    /// On a branch of its own, since the target is checked out.
    Beside {
        /// Its commit.
        commit: String,
        /// The branch.
        branch: String,
        /// The working tree that has the target checked out.
        checked_out: PathBuf,
        /// The command that takes the result over there.
        command: String,
    },
    /// There is none: no member could be merged, or the target had all of them.
    Nothing,
    /// Nothing was merged: this is a prediction.
    Predicted,
    /// Nothing was merged, and nothing can be predicted: only the git program can merge here.
    Unpredictable,
}

impl End {
    /// Why it was left out, in a few words; what became of it otherwise.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Merged => "merged".to_owned(),
            Self::Contained => "already merged".to_owned(),
            Self::Conflicts { files } => {
                let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
                let shown = paths[..paths.len().min(3)].join(", ");
                let more = paths.len().saturating_sub(3);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                harmless(&format!("conflict in {shown}{more}")).into_owned()
            }
            Self::Refused { said } => harmless(said).into_owned(),
            Self::Red { with, .. } if with.is_empty() => "the tests fail with it".to_owned(),
            Self::Red { with, .. } => {
                format!("the tests fail with it and {} together", with.join(", "))
            }
            Self::HeldUp { by } => format!("it is built on {by}"),
        }
    }
}

impl Merged {
    /// Whether a member was left out.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.members.iter().any(|part| part.end.as_ref().is_some_and(End::is_left_out))
    }
}

fn parts<'m>(
    members: &'m [Member],
    end: impl Fn(usize) -> Option<End> + 'm,
) -> impl Iterator<Item = Part> + 'm {
    super::order(members).into_iter().map(move |at| {
        let Member { session, instance, branch, commits, .. } = &members[at];
        Part {
            session: session.clone(),
            instance: instance.clone(),
            branch: branch.clone(),
            commits: *commits,
            end: end(at),
        }
    })
}

pub(super) fn predicted(
    target: &Target,
    members: &[Member],
    ends: Option<Vec<Option<End>>>,
) -> Merged {
    let landed = if ends.is_some() { Landed::Predicted } else { Landed::Unpredictable };
    let ends = ends.unwrap_or_default();
    Merged {
        into: target.branch.clone(),
        base: target.base.clone(),
        members: parts(members, |at| ends.get(at).cloned().flatten()).collect(),
        landed,
        tested: None,
        resolving: Vec::new(),
        log: None,
    }
}

pub(super) fn of(target: &Target, record: &Record, log: &Path) -> Merged {
    let series = &record.series;
    let commit = series.tip.clone();
    let landed = match &target.checked_out {
        _ if commit == series.base => Landed::Nothing,
        None => Landed::Moved { commit },
        Some(folder) => Landed::Beside {
            commit,
            branch: target.result.clone(),
            checked_out: folder.clone(),
            command: format!("git -C {} merge --ff-only {}", quoted(folder), target.result),
        },
    };
    Merged {
        into: target.branch.clone(),
        base: series.base.clone(),
        members: parts(&record.members, |at| series.ends.get(&at).cloned()).collect(),
        landed,
        tested: record.test.clone(),
        resolving: Vec::new(),
        log: record.test.as_ref().map(|_| log.to_owned()),
    }
}
