//! Removes a session's repository, after everything in it that is worth keeping is in the project's.

use std::fs;
use std::path::Path;

use super::put_back::{SET_ASIDE, remove};
use super::references::{References, listed, update};
use super::{BASE, MOVED, OwnRepository, RESCUED, WORK, io};
use crate::git::command::{git_for_reading, read};
use crate::git::remove::{Reflog, remove_worktree_of};
use crate::git::{Error, Removal, plain};
use crate::session::store::crash_point;

/// Where commits are kept that the project has no branch for.
const KEPT: &str = "refs/samocode/kept";

/// The references that are worth keeping.
const WORTH: [&str; 4] = ["refs/heads", "refs/tags", KEPT, RESCUED];

/// The reflog in which git keeps stashes.
const STASHES: &str = "logs/refs/stash";

impl OwnRepository {
    /// Removes the worktree at `root`, then the repository. Safe to repeat after a crash.
    ///
    /// # Errors
    /// git's and the file system's. What is still there can be removed again.
    pub(in crate::git) async fn remove(
        &self,
        root: &Path,
        session: &str,
    ) -> Result<Removal, Error> {
        self.put_back()?;
        let removal = remove_worktree_of(&self.folder, root, session, Reflog::Goes).await?;
        if matches!(removal, Removal::Nested(_)) {
            return Ok(removal);
        }
        crash_point("a session's worktree is removed, its repository is not");
        self.fetch().await?;
        self.fetch_others(session).await?;
        crash_point("all of a session's repository is fetched");
        self.forget_work()?;
        let aside = self.aside("removed");
        remove(&aside)?;
        fs::rename(&self.folder, &aside).map_err(io("move away", &self.folder))?;
        self.sweep()?;
        Ok(removal)
    }

    /// Removes what a removal that was killed left.
    pub(in crate::git) fn sweep(&self) -> Result<(), Error> {
        for what in ["removed", "making", SET_ASIDE] {
            remove(&self.aside(what))?;
        }
        if self.exists() { Ok(()) } else { remove(&self.kept) }
    }

    /// Fetches the agent's other branches, its tags, stashes and what was saved.
    async fn fetch_others(&self, session: &str) -> Result<(), Error> {
        let own = format!("refs/heads/{}", self.branch()?);
        let top = self.main()?.place().top.clone();
        let there = listed(git_for_reading(&top), &WORTH)?;
        let mut here = listed(self.git(), &WORTH)?;
        here.remove(&own);
        let mut specs = Vec::new();
        for (name, object) in here {
            if there.get(&name) == Some(&object) || has(&top, &object)? {
                continue;
            }
            let kept = || format!("{KEPT}/{session}/{}", name.trim_start_matches("refs/"));
            let to = if is_free(&there, &name) { name.clone() } else { kept() };
            specs.push(format!("+{name}:{to}"));
        }
        let stashes = self.stashes();
        let mut lines = String::new();
        for (number, stash) in stashes.iter().enumerate() {
            lines.push_str(&format!("update refs/samocode/stash/{number} {stash}\n"));
            let to = format!("{KEPT}/{session}/stash-{number}");
            specs.push(format!("+refs/samocode/stash/{number}:{to}"));
        }
        if !lines.is_empty() {
            update(self.git(), &lines, "keep what was stashed")?;
        }
        if specs.is_empty() {
            return Ok(());
        }
        self.check_objects()?;
        self.copy_lfs()?;
        self.fetch_as(&specs).await
    }

    /// The commits that were stashed, newest first.
    fn stashes(&self) -> Vec<String> {
        let text = plain::read(&self.folder.join(STASHES)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let commit = |line: &str| line.split(' ').nth(1).map(str::to_owned);
        let is_id = |id: &String| id.len() >= 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        text.lines().rev().filter_map(commit).filter(is_id).collect()
    }

    /// Removes the references to its work in the project's repository, if the branch has all of it.
    fn forget_work(&self) -> Result<(), Error> {
        let branch = self.branch()?;
        let main = self.main()?;
        let work = format!("{WORK}/{branch}");
        let (Some(tip), Some(at)) =
            (main.commit(&work)?, main.commit(&format!("refs/heads/{branch}"))?)
        else {
            return Ok(());
        };
        if main.ahead(&tip.commit, &at.commit)? > 0 {
            return Ok(());
        }
        let all = [WORK, MOVED, BASE].map(|kept| format!("delete {kept}/{branch}\n"));
        let lines = all.concat();
        update(git_for_reading(&main.place().top), &lines, "forget a session's work")
    }
}

/// Whether a name can be used: no reference has it, is above or below it.
fn is_free(there: &References, name: &str) -> bool {
    let collides = |other: &String| {
        other == name
            || other.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
            || name.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/'))
    };
    !there.keys().any(collides)
}

/// Whether the project's repository has an object.
fn has(repo: &Path, object: &str) -> Result<bool, Error> {
    let mut command = git_for_reading(repo);
    Ok(read(command.args(["cat-file", "-e", object]))?.status.success())
}
