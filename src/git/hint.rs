//! The remedy for each failure of git.

use std::io::ErrorKind;

use crate::platform::limits::Limit;
use crate::session::Hint;

use super::{Error, quoted};

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoGit(error) if Limit::of_start(error).is_some() => {
                return Limit::of_start(error).map(Limit::remedy);
            }
            Self::NoGit(_) => "install it (apt install git), or add its folder to PATH".to_owned(),
            Self::DubiousOwnership { repo } => {
                format!("run: git config --global --add safe.directory {}", quoted(repo))
            }
            Self::BadBranch(_) => {
                "use letters, digits, '-', '_' and single '/', and check GIT_BRANCH_PREFIX"
                    .to_owned()
            }
            Self::BranchElsewhere { at, place, is_main, .. } => {
                let (at, place) = (quoted(at), quoted(place));
                let or = if *is_main {
                    "choose another name for the session".to_owned()
                } else {
                    format!(
                        "if it is the session's own, move it back (git -C {at} worktree move {at} {place}), or remove it (git worktree remove {at})"
                    )
                };
                format!("switch that worktree to another branch (git -C {at} switch …), or {or}")
            }
            Self::BaseBranch(_) => {
                "choose another name for the session, or set GIT_BRANCH_PREFIX".to_owned()
            }
            Self::BranchCollides { .. } => {
                "choose another name for the session, or rename that branch, or change GIT_BRANCH_PREFIX".to_owned()
            }
            Self::BranchBlocked { file, .. } => {
                format!("if nobody needs it, move it away: mv {} /tmp/", quoted(file))
            }
            Self::Occupied { .. } => "move it away, then start again".to_owned(),
            Self::Locked { path, .. } => {
                format!("if it will not come back: git worktree unlock {}", quoted(path))
            }
            Self::Busy { .. } => "wait for it to finish, then start again".to_owned(),
            Self::NoCommit { repo } => {
                format!("run: git -C {} commit --allow-empty -m start", quoted(repo))
            }
            Self::NoRepository { folder } => format!(
                "check its owner and permissions, and run: git -C {} status; or move it away",
                quoted(folder)
            ),
            Self::NoneThere { .. } => {
                "if it was moved, move it back, or set MAIN_REPO to its new place".to_owned()
            }
            Self::Undeletable { remedy, .. } => format!("run: {remedy}; then try again"),
            Self::Astray { remedy, .. } => remedy.clone(),
            Self::Damaged { repo, .. } => {
                format!("find out what is missing: git -C {} fsck", quoted(repo))
            }
            Self::TimedOut { .. } => {
                "find out what blocked it (a hook, a filter, the network), then start again"
                    .to_owned()
            }
            Self::Io { path, source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                format!("find out which folder is closed to you: namei -l {}", quoted(path))
            }
            Self::Git { .. } | Self::Io { .. } => return None,
        })
    }
}
