//! Finds commits that nothing names: those of a worktree on no branch that was made and removed within
//! one run. git removes its reflog along with it, so only the objects themselves are left. Those that git
//! has packed meanwhile are not found; it deletes them after two weeks at the earliest.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::git::Error;
use crate::session::Stray;

use super::Compared;

/// With more new objects than this, git is not asked about them.
const MOST_OBJECTS: usize = 10_000;
/// The most ends of lines of commits that are kept.
const MOST_TIPS: usize = 4;
/// How much earlier than a run an object's file may seem to be: file times advance in ticks, some file
/// systems know only seconds.
const TICK: Duration = Duration::from_secs(2);
/// The first words of the commits that git makes to hold a stash.
const OF_STASHES: [&str; 2] = ["index on ", "untracked files on "];

/// A commit that nothing names.
#[derive(Debug, PartialEq, Eq)]
struct Commit<'a> {
    id: &'a str,
    short: &'a str,
    subject: &'a str,
}

impl Compared<'_> {
    /// The commits that were made since then and that no ref and no reflog has. They get refs.
    pub(super) async fn loose(
        &self,
        common: &Path,
        since: SystemTime,
    ) -> Result<Vec<Stray>, Error> {
        let ids = new_objects(&common.join("objects"), since.checked_sub(TICK).unwrap_or(since));
        if ids.is_empty() || ids.len() > MOST_OBJECTS {
            return Ok(Vec::new());
        }
        // Only commits are listed, whatever the objects are.
        let format = "--format=%H %P%n%h %s";
        let mut args = vec!["--no-merges".to_owned(), "--ignore-missing".to_owned(), format.into()];
        args.extend(ids);
        args.extend(["--not", "--all", "--reflog"].map(str::to_owned));
        let listed = self.rev_list(&args).await?;
        let (tips, count) = tips(&listed);
        let mut found = Vec::new();
        let others = tips.len().min(MOST_TIPS).saturating_sub(1);
        for (at, tip) in tips.into_iter().take(MOST_TIPS).enumerate() {
            found.push(Stray::Loose {
                commits: if at == 0 { count - others } else { 1 },
                tip: tip.short.to_owned(),
                subject: tip.subject.to_owned(),
                kept: self.keep(tip.id).await?,
            });
        }
        Ok(found)
    }
}

/// The ids of the objects that have files of their own, changed since then.
fn new_objects(objects: &Path, since: SystemTime) -> Vec<String> {
    let mut ids = Vec::new();
    for folder in fs::read_dir(objects).into_iter().flatten().flatten() {
        let first = folder.file_name();
        let Some(first) = first.to_str().filter(|name| name.len() == 2) else { continue };
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let rest = file.file_name();
            let modified = file.metadata().and_then(|meta| meta.modified());
            if let Some(rest) = rest.to_str()
                && modified.is_ok_and(|modified| modified >= since)
                && rest.len() >= 38
                && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
            {
                ids.push(format!("{first}{rest}"));
            }
        }
    }
    ids
}

/// The commits in git's list that are no parents of others in it, and how many it has in all.
fn tips(listed: &str) -> (Vec<Commit<'_>>, usize) {
    let (mut commits, mut parents) = (Vec::new(), BTreeSet::new());
    let mut lines = listed.lines().filter(|line| !line.starts_with("commit "));
    while let (Some(ids), Some(line)) = (lines.next(), lines.next()) {
        let mut ids = ids.split(' ');
        let Some(id) = ids.next() else { continue };
        let (short, subject) = line.split_once(' ').unwrap_or((line, ""));
        if OF_STASHES.iter().any(|words| subject.starts_with(words)) {
            continue;
        }
        parents.extend(ids);
        commits.push(Commit { id, short, subject });
    }
    let count = commits.len();
    commits.retain(|commit| !parents.contains(commit.id));
    (commits, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_of_lines_of_commits_are_named() {
        let listed = "commit c\nc b\nc1 Third\ncommit b\nb a\nb1 Second\ncommit s\ns a\ns1 index on main: x\ncommit x\nx \nx1 commit nothing\n";
        let (found, count) = tips(listed);
        let ends: Vec<_> = found.iter().map(|commit| (commit.id, commit.subject)).collect();
        assert_eq!((ends, count), (vec![("c", "Third"), ("x", "commit nothing")], 3));
        assert_eq!(tips(""), (Vec::new(), 0));
    }
}
