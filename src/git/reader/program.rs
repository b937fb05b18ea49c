//! Reads a repository through the git program.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::command::{Finished, first_line, git_for_reading, read};
use super::super::{Base, Error};
use super::{Place, Reader, damaged, tidy};

/// Asks the git program.
pub(super) struct Program {
    place: Place,
}

impl Program {
    /// Finds the repository that contains a folder; `None` if it is in none.
    pub(super) fn open(folder: &Path) -> Result<Option<Self>, Error> {
        let doing = || format!("read the repository of {}", folder.display());
        let asked = read(git_for_reading(folder).args([
            "rev-parse",
            "--is-bare-repository",
            "--git-common-dir",
        ]))?;
        if !asked.status.success() {
            // The remedy that git names is a command, the same in every language.
            if asked.said.contains("safe.directory") || asked.said.contains("dubious ownership") {
                return Err(Error::DubiousOwnership { repo: folder.to_owned() });
            }
            return if asked.said.contains("not a git repository") {
                Ok(None)
            } else {
                Err(Error::Git { doing: doing(), said: asked.said })
            };
        }
        let mut lines = asked.stdout.split(|byte| *byte == b'\n');
        let bare = lines.next() == Some(b"true");
        let common = tidy(&folder.join(OsStr::from_bytes(lines.next().unwrap_or_default())));
        let top = if bare {
            common.clone()
        } else {
            let asked = read(git_for_reading(folder).args(["rev-parse", "--show-toplevel"]))?
                .checked(doing())?;
            tidy(Path::new(OsStr::from_bytes(
                asked.stdout.strip_suffix(b"\n").unwrap_or(&asked.stdout),
            )))
        };
        Ok(Some(Self { place: Place { top, common } }))
    }

    fn ask(&self, args: &[&str]) -> Result<Finished, Error> {
        read(git_for_reading(&self.place.top).args(args))
    }

    fn doing(&self) -> String {
        format!("read {}", self.place.top.display())
    }

    /// For commands that answer "no" with exit code 1 and no output.
    fn line(&self, args: &[&str]) -> Result<Option<String>, Error> {
        let asked = self.ask(args)?;
        if asked.status.code() == Some(1) {
            return Ok(None);
        }
        Ok(Some(asked.line(self.doing())?).filter(|line| !line.is_empty()))
    }
}

impl Program {
    /// All worktrees with the branch (full name) each has checked out, the main one first.
    fn checkouts(&self) -> Result<Vec<(PathBuf, Option<String>)>, Error> {
        let asked = self.ask(&["worktree", "list", "--porcelain"])?.checked(self.doing())?;
        let mut all = Vec::new();
        for line in asked.stdout.split(|byte| *byte == b'\n') {
            if let Some(path) = line.strip_prefix(b"worktree ") {
                all.push((tidy(Path::new(OsStr::from_bytes(path))), None));
            } else if let (Some(branch), Some(last)) =
                (line.strip_prefix(b"branch "), all.last_mut())
            {
                last.1 = Some(String::from_utf8_lossy(branch).into_owned());
            }
        }
        Ok(all)
    }
}

impl Reader for Program {
    fn place(&self) -> &Place {
        &self.place
    }

    fn commit(&self, name: &str) -> Result<Option<Base>, Error> {
        let peeled = format!("{name}^{{commit}}");
        let Some(id) = self.line(&["rev-parse", "--verify", "--quiet", &peeled])? else {
            return match self.line(&["rev-parse", "--verify", "--quiet", name])? {
                Some(id) => Err(damaged(&self.place, name, &format!("{id} is no commit"))),
                None => Ok(None),
            };
        };
        let short = self.line(&["rev-parse", "--short", &id])?.unwrap_or_else(|| id.clone());
        Ok(Some(Base::new(name, id, short)))
    }

    fn symbolic(&self, name: &str) -> Result<Option<String>, Error> {
        self.line(&["symbolic-ref", "--quiet", name])
    }

    fn any_below(&self, folder: &str) -> Result<Option<String>, Error> {
        self.line(&["for-each-ref", "--count=1", "--format=%(refname)", &format!("{folder}/")])
    }

    fn config(&self, key: &str) -> Option<String> {
        self.line(&["config", "--get", key]).ok().flatten()
    }

    fn remotes(&self) -> Result<Vec<String>, Error> {
        let asked = self.ask(&["remote"])?.checked(self.doing())?;
        Ok(String::from_utf8_lossy(&asked.stdout).lines().map(str::to_owned).collect())
    }

    fn main_on(&self, branch: &str) -> Result<Option<PathBuf>, Error> {
        // git lists the main one first.
        let first = self.checkouts()?.into_iter().next();
        Ok(first.and_then(|(folder, on)| (on.as_deref() == Some(branch)).then_some(folder)))
    }

    fn worktree_on(
        &self,
        branch: &str,
        is_here: &dyn Fn(&Path) -> bool,
    ) -> Result<Option<PathBuf>, Error> {
        let mut others = self.checkouts()?.into_iter().skip(1);
        let found = others.find(|(folder, on)| on.as_deref() == Some(branch) && !is_here(folder));
        Ok(found.map(|(folder, _)| folder))
    }

    fn has_plain_worktrees(&self) -> bool {
        false
    }

    fn tracks_below(&self, folder: &Path) -> Result<bool, Error> {
        let asked = read(git_for_reading(&self.place.top.join(folder)).arg("ls-files"))?
            .checked(self.doing())?;
        Ok(!first_line(&asked.stdout).is_empty())
    }

    fn ahead(&self, tip: &str, base: &str) -> Result<usize, Error> {
        let range = format!("{base}..{tip}");
        let line = self.ask(&["rev-list", "--count", &range, "--"])?.line(self.doing())?;
        line.parse().map_err(|_| Error::Git { doing: self.doing(), said: line })
    }

    fn are_related(&self, one: &str, other: &str) -> Result<bool, Error> {
        Ok(self.line(&["merge-base", one, other])?.is_some())
    }
}
