//! The project's branches, tags and remote branches, as a session's repository has them. They need
//! no transfer, since their objects are shared.

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{BRANCH, OwnRepository, RESCUED, io};
use crate::git::Error;
use crate::git::command::{Finished, git_for_reading, read};
use crate::git::leftovers::branch_in;
use crate::platform::privilege::started;

/// The references that a session sees.
const SHOWN: [&str; 4] = ["refs/heads", "refs/remotes", "refs/tags", RESCUED];

/// References with the objects they name.
pub(super) type References = BTreeMap<String, String>;

/// Reads references below these folders. Symbolic ones are left out.
pub(super) fn listed(mut git: Command, folders: &[&str]) -> Result<References, Error> {
    git.args(["for-each-ref", "--format=%(objectname) %(refname) %(symref)"]).args(folders);
    let found = read(&mut git)?.checked("list the branches of the repository")?;
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    Ok(text
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (object, name) = (words.next()?, words.next()?);
            let is_symbolic = words.next().is_some_and(|target| !target.is_empty());
            (!is_symbolic).then(|| (name.to_owned(), object.to_owned()))
        })
        .collect())
}

/// What the project's repository has.
pub(super) fn of_project(repo: &Path) -> Result<References, Error> {
    listed(git_for_reading(repo), &SHOWN)
}

/// The file that git keeps many references in.
pub(super) fn packed(references: &References) -> String {
    let mut text = "# pack-refs with: sorted \n".to_owned();
    for (name, object) in references {
        text.push_str(&format!("{object} {name}\n"));
    }
    text
}

/// Changes references all at once, or none. Each line is one of `git update-ref --stdin`.
pub(super) fn update(mut git: Command, lines: &str, doing: &str) -> Result<(), Error> {
    git.args(["update-ref", "--stdin"]).stdin(Stdio::piped());
    let mut child = started(|| git.spawn()).map_err(Error::NoGit)?;
    if let Some(mut stdin) = child.stdin.take() {
        // If git has ended already, its own words say why.
        let _ = stdin.write_all(lines.as_bytes());
    }
    let finished = Finished::from(child.wait_with_output().map_err(Error::NoGit)?);
    finished.checked(doing).map(drop)
}

impl OwnRepository {
    /// Brings the project's branches up to date in the session's repository, except those that are
    /// checked out there. The session's own branch is left alone.
    pub(in crate::git) fn refresh(&self) -> Result<(), Error> {
        let top = self.main()?.place().top.clone();
        let (there, mut here) = (of_project(&top)?, listed(self.git(), &SHOWN)?);
        let mut ours = self.checked_out();
        ours.insert(format!("refs/heads/{}", self.branch()?));
        let mut lines = String::new();
        for (name, object) in there.into_iter().filter(|(name, _)| !ours.contains(name)) {
            if here.remove(&name).as_ref() != Some(&object) {
                lines.push_str(&format!("update {name} {object}\n"));
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        let doing = format!("bring the project's branches to {}", self.folder.display());
        update(self.git(), &lines, &doing)
    }

    /// The branches that its worktrees are on.
    fn checked_out(&self) -> HashSet<String> {
        let all = std::fs::read_dir(self.folder.join("worktrees")).into_iter().flatten().flatten();
        all.filter_map(|admin| branch_in(&admin.path().join("HEAD"))).collect()
    }

    /// Writes down which branch is the session's.
    pub(super) fn keep_branch(&self, branch: &str) -> Result<(), Error> {
        let path = self.kept.join(BRANCH);
        std::fs::write(&path, branch).map_err(io("write", &path))
    }
}
