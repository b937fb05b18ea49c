//! Finds commits that nothing names any more: those that a run made on a detached HEAD, or on a branch that
//! it deleted, before it returned to the session's branch; and those of a worktree on no branch that was
//! made and removed within one run. git removes the reflog of such a worktree along with it, so only the
//! objects themselves are left. Those that git has packed meanwhile are not found.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::git::Error;
use crate::git::leftovers::{Found, look};
use crate::git::plain;
use crate::session::Stray;

use super::watch::{entries, is_id};
use super::{Compared, Refs, youngest};

/// With more new objects than this, git is not asked about them.
const MOST_OBJECTS: usize = 10_000;
/// The most ends of lines of commits that are kept.
const MOST_TIPS: usize = 4;
/// How much earlier than a run an object's file may seem to be: file times advance in ticks, some file
/// systems know only seconds.
pub(super) const TICK: Duration = Duration::from_secs(2);
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
    /// Those among these objects that are commits which no ref has, nor anything else that git is to
    /// look at. They get refs.
    pub(super) async fn loose(
        &self,
        ids: Vec<String>,
        looking_at: &[&str],
    ) -> Result<Vec<Stray>, Error> {
        if ids.is_empty() || ids.len() > MOST_OBJECTS {
            return Ok(Vec::new());
        }
        // Only commits are listed, whatever the objects are.
        let format = "--format=%H %P%n%h %s";
        let mut args = vec!["--no-merges".to_owned(), format.into()];
        args.extend(ids);
        args.push("--not".to_owned());
        args.extend(looking_at.iter().map(|what| (*what).to_owned()));
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

impl Compared<'_> {
    /// Those among these commits that were made meanwhile and that only a remote's branches have: the
    /// branch they were made on was deleted once it was pushed.
    pub(super) async fn pushed(&self, ids: Vec<String>) -> Result<Vec<Stray>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let young = youngest(self.since);
        self.loose(ids, &["--exclude=refs/remotes/*", "--all", &young]).await
    }
}

/// Where HEAD of a worktree was, on no branch that still exists, when something else was checked out,
/// since then.
#[must_use]
pub fn left_behind(worktree: &Path, after: &Refs, since: SystemTime) -> Vec<String> {
    let Ok(Found::Worktree(admin)) = look(worktree) else { return Vec::new() };
    let log = admin.join("logs/HEAD");
    let modified = fs::metadata(&log).and_then(|meta| meta.modified());
    let since = since.checked_sub(TICK).unwrap_or(since);
    if modified.is_ok_and(|modified| modified < since) {
        return Vec::new();
    }
    let Ok(bytes) = plain::read(&log) else { return Vec::new() };
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    departures(&String::from_utf8_lossy(&bytes), since, |branch| {
        after.get(&format!("refs/heads/{branch}")).is_some()
    })
}

/// The commits that a reflog of HEAD says it left, from a second since 1970 on, unless on a branch that
/// exists: what became of that is seen by itself.
fn departures(log: &str, since: u64, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let left = entries(log).filter(|entry| {
        let from = entry.what.strip_prefix("checkout: moving from ");
        let from = from.and_then(|names| names.split(' ').next());
        from.is_some_and(|from| !exists(from)) && entry.time >= since && is_id(entry.old)
    });
    left.map(|entry| entry.old.to_owned()).collect()
}

/// The ids of the objects that have files of their own, changed since then.
pub(super) fn new_objects(objects: &Path, since: SystemTime) -> Vec<String> {
    let since = since.checked_sub(TICK).unwrap_or(since);
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
    fn a_reflog_tells_what_a_checkout_left() {
        let (a, b, c) = ("a".repeat(40), "b".repeat(40), "c".repeat(40));
        let log = format!(
            "{a} {b} T <t@x> 100 +0000\tcheckout: moving from t to x\n\
             {b} {c} T U <t@x> 200 +0100\tcommit: checkout: moving from\n\
             {c} {a} T U <t@x> 300 +0100\tcheckout: moving from {c} to t\nrubbish\n"
        );
        let from = |since, branch: &str| departures(&log, since, |name| name == branch);
        assert_eq!(from(150, ""), std::slice::from_ref(&c));
        assert_eq!(from(100, "t"), std::slice::from_ref(&c));
        assert_eq!(from(100, ""), [a, c]);
    }

    #[test]
    fn only_the_ends_of_lines_of_commits_are_named() {
        let listed = "commit c\nc b\nc1 Third\ncommit b\nb a\nb1 Second\ncommit s\ns a\ns1 index on main: x\ncommit x\nx \nx1 commit nothing\n";
        let (found, count) = tips(listed);
        let ends: Vec<_> = found.iter().map(|commit| (commit.id, commit.subject)).collect();
        assert_eq!((ends, count), (vec![("c", "Third"), ("x", "commit nothing")], 3));
        assert_eq!(tips(""), (Vec::new(), 0));
    }
}
