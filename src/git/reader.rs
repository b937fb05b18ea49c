//! Questions to a repository, answered by libgit2, or by the git program where libgit2 cannot read it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{ErrorCode, ObjectType, ReferenceType, Repository, RepositoryOpenFlags};

use super::command::{Finished, first_line, git_command, git_for_reading, read, run};
use super::leftovers::{branch_in, worktree_on};
use super::{Base, Error};

/// Longest time for looking through a worktree's files.
const STATUS_LIMIT: Duration = Duration::from_secs(120);

/// Where a repository is on disk.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Its working tree's root; of a bare repository the repository.
    pub(super) top: PathBuf,
    /// What all its worktrees share: refs, objects, registrations.
    pub(super) common: PathBuf,
}

/// The questions. Names of refs are full (`refs/heads/main`) or `HEAD`.
pub(super) trait Reader {
    fn place(&self) -> &Place;
    /// The commit a ref leads to.
    fn commit(&self, name: &str) -> Result<Option<Base>, Error>;
    /// The ref a symbolic ref names, whether or not that exists.
    fn symbolic(&self, name: &str) -> Result<Option<String>, Error>;
    /// Any one ref below `folder/`.
    fn any_below(&self, folder: &str) -> Result<Option<String>, Error>;
    fn config(&self, key: &str) -> Option<String>;
    fn remotes(&self) -> Result<Vec<String>, Error>;
    /// The main working tree, if that has this branch (full name) checked out.
    fn main_on(&self, branch: &str) -> Result<Option<PathBuf>, Error>;
    /// Another worktree that has this branch (full name) checked out, and none that `is_here`. Looks at all there are.
    fn worktree_on(
        &self,
        branch: &str,
        is_here: &dyn Fn(&Path) -> bool,
    ) -> Result<Option<PathBuf>, Error>;
    /// Whether a registration written as gitrepository-layout(5) has it is all that a worktree needs: nothing is to be copied from the main one, nor kept in
    /// another store of refs.
    fn has_plain_worktrees(&self) -> bool;
    /// Whether the index has a file below this folder (relative to the top).
    fn tracks_below(&self, folder: &Path) -> Result<bool, Error>;
    /// How many commits `tip` has that `base` has not.
    fn ahead(&self, tip: &str, base: &str) -> Result<usize, Error>;
}

/// Opens the repository a folder is in. `None`: it is in none. What is left of a repository, or
/// cannot be read, is not none: a session would work in the very checkout.
pub(super) fn open(folder: &Path) -> Result<Option<Box<dyn Reader>>, Error> {
    let found = discover(folder)?;
    if found.is_none() && folder.join(".git").symlink_metadata().is_ok() {
        return Err(Error::NoRepository { folder: folder.to_owned() });
    }
    Ok(found)
}

fn discover(folder: &Path) -> Result<Option<Box<dyn Reader>>, Error> {
    let none: [&OsStr; 0] = [];
    match Repository::open_ext(folder, RepositoryOpenFlags::empty(), none).and_then(Library::new) {
        Ok(library) => Ok(Some(Box::new(library))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        // SHA-256, reftable, an extension it does not know, an owner it does not like: git's own word counts.
        Err(_) => Ok(Program::open(folder)?.map(|program| Box::new(program) as Box<dyn Reader>)),
    }
}

/// A ref that leads to nothing is no missing ref: a session would begin with an empty branch.
fn damaged(place: &Place, name: &str, said: &str) -> Error {
    Error::Damaged { repo: place.top.clone(), name: name.to_owned(), said: said.to_owned() }
}

struct Library {
    repo: Repository,
    place: Place,
}

impl Library {
    fn new(repo: Repository) -> Result<Self, git2::Error> {
        // Fails here, not later, on a repository whose refs it cannot read.
        repo.is_empty()?;
        let common = repo.commondir().to_owned();
        let top = repo.workdir().map_or_else(|| common.clone(), Path::to_owned);
        Ok(Self { repo, place: Place { top: tidy(&top), common: tidy(&common) } })
    }

    fn failed(&self, error: &git2::Error) -> Error {
        Error::Git {
            doing: format!("read {}", self.place.top.display()),
            said: error.message().to_owned(),
        }
    }

    fn optional<T>(&self, result: Result<T, git2::Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::UnbornBranch) => {
                Ok(None)
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn count(&self, tip: &str, base: &str) -> Result<usize, git2::Error> {
        let mut walk = self.repo.revwalk()?;
        walk.push(self.repo.revparse_single(tip)?.peel_to_commit()?.id())?;
        walk.hide(self.repo.revparse_single(base)?.peel_to_commit()?.id())?;
        walk.try_fold(0, |count, commit| commit.map(|_| count + 1))
    }
}

impl Reader for Library {
    fn place(&self) -> &Place {
        &self.place
    }

    fn commit(&self, name: &str) -> Result<Option<Base>, Error> {
        let found = self.optional(self.repo.find_reference(name))?;
        // One that names a ref which is not there yet is the HEAD of a repository without a commit.
        let resolved = found.map(|reference| self.optional(reference.resolve())).transpose()?;
        let Some(reference) = resolved.flatten() else { return Ok(None) };
        let commit = reference
            .peel(ObjectType::Commit)
            .map_err(|error| damaged(&self.place, name, error.message()))?;
        let short = commit.short_id().map_err(|error| self.failed(&error))?;
        Ok(Some(Base::new(
            name,
            commit.id().to_string(),
            String::from_utf8_lossy(&short).into_owned(),
        )))
    }

    fn symbolic(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(reference) = self.optional(self.repo.find_reference(name))? else {
            return Ok(None);
        };
        if reference.kind() != Some(ReferenceType::Symbolic) {
            return Ok(None);
        }
        Ok(reference
            .symbolic_target_bytes()
            .map(|target| String::from_utf8_lossy(target).into_owned()))
    }

    fn any_below(&self, folder: &str) -> Result<Option<String>, Error> {
        let mut found = self
            .repo
            .references_glob(&format!("{folder}/*"))
            .map_err(|error| self.failed(&error))?;
        match found.next() {
            Some(reference) => {
                let reference = reference.map_err(|error| self.failed(&error))?;
                Ok(Some(String::from_utf8_lossy(reference.name_bytes()).into_owned()))
            }
            None => Ok(None),
        }
    }

    fn config(&self, key: &str) -> Option<String> {
        self.repo.config().ok()?.get_string(key).ok()
    }

    fn remotes(&self) -> Result<Vec<String>, Error> {
        let names = self.repo.remotes().map_err(|error| self.failed(&error))?;
        Ok(names.iter().filter_map(|name| name.ok().flatten().map(str::to_owned)).collect())
    }

    fn main_on(&self, branch: &str) -> Result<Option<PathBuf>, Error> {
        if branch_in(&self.place.common.join("HEAD")).as_deref() != Some(branch) {
            return Ok(None);
        }
        if !self.repo.is_worktree() {
            return Ok(self.repo.workdir().map(tidy));
        }
        let main = Repository::open(&self.place.common).map_err(|error| self.failed(&error))?;
        Ok(main.workdir().map(tidy))
    }

    fn worktree_on(
        &self,
        branch: &str,
        is_here: &dyn Fn(&Path) -> bool,
    ) -> Result<Option<PathBuf>, Error> {
        Ok(worktree_on(&self.place.common, branch, is_here))
    }

    fn has_plain_worktrees(&self) -> bool {
        // git copies settings of the main one, and its choice of files.
        const OTHERWISE: [&str; 4] = [
            "extensions.worktreeConfig",
            "extensions.relativeWorktrees",
            "worktree.useRelativePaths",
            "core.sparseCheckout",
        ];
        let Ok(config) = self.repo.config() else { return false };
        let is_off = |key: &str| match config.get_bool(key) {
            Ok(on) => !on,
            Err(error) => error.code() == ErrorCode::NotFound,
        };
        // What others may read is git's to see to.
        let is_shared = config.get_entry("core.sharedRepository").is_ok();
        OTHERWISE.into_iter().all(is_off)
            && !is_shared
            && !self.place.common.join("info/sparse-checkout").exists()
    }

    fn tracks_below(&self, folder: &Path) -> Result<bool, Error> {
        let index = self.repo.index().map_err(|error| self.failed(&error))?;
        let mut prefix = folder.as_os_str().as_bytes().to_vec();
        prefix.push(b'/');
        Ok(index.iter().any(|entry| entry.path.starts_with(&prefix)))
    }

    fn ahead(&self, tip: &str, base: &str) -> Result<usize, Error> {
        self.count(tip, base).map_err(|error| self.failed(&error))
    }
}

struct Program {
    place: Place,
}

impl Program {
    fn open(folder: &Path) -> Result<Option<Self>, Error> {
        let doing = || format!("read the repository of {}", folder.display());
        let asked = read(git_for_reading(folder).args([
            "rev-parse",
            "--is-bare-repository",
            "--git-common-dir",
        ]))?;
        if !asked.status.success() {
            // The remedy git names is a command, the same in every language.
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

    /// A question whose "no" is an exit code of 1 without words.
    fn line(&self, args: &[&str]) -> Result<Option<String>, Error> {
        let asked = self.ask(args)?;
        if asked.status.code() == Some(1) {
            return Ok(None);
        }
        Ok(Some(asked.line(self.doing())?).filter(|line| !line.is_empty()))
    }
}

impl Program {
    /// Every worktree with the branch (full name) that it has checked out, the main one first.
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
        // git names the main one first.
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
}

/// What a worktree has checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The branch's short name; `None` when HEAD is detached (in a rebase, say).
    pub branch: Option<String>,
    /// The short commit id; `None` before the first commit.
    pub commit: Option<String>,
}

fn open_worktree(worktree: &Path) -> Result<Box<dyn Reader>, Error> {
    open(worktree)?.ok_or_else(|| Error::Git {
        doing: format!("read {}", worktree.display()),
        said: "not a git repository".into(),
    })
}

/// The branch and commit a worktree is on.
pub fn head(worktree: &Path) -> Result<Head, Error> {
    let reader = open_worktree(worktree)?;
    let branch =
        reader.symbolic("HEAD")?.map(|name| name.trim_start_matches("refs/heads/").to_owned());
    Ok(Head { branch, commit: reader.commit("HEAD")?.map(|commit| commit.short) })
}

/// How many commits the worktree's HEAD has that `base` (a commit id or a ref) has not. 0 before the first commit.
pub fn commits_since(worktree: &Path, base: &str) -> Result<usize, Error> {
    if base.starts_with('-') {
        return Err(Error::BadBranch(base.to_owned()));
    }
    let reader = open_worktree(worktree)?;
    if reader.commit("HEAD")?.is_none() { Ok(0) } else { reader.ahead("HEAD", base) }
}

/// How many files differ from the last commit, untracked ones included (an untracked folder counts as one), ignored ones not. 0: the worktree is clean.
///
/// The git program looks, since libgit2 knows no filters and would call LFS files changed. It takes no lock an agent could stumble over.
pub async fn changed_files(worktree: &Path) -> Result<usize, Error> {
    let doing = format!("look for changes in {}", worktree.display());
    let mut command = git_command(worktree);
    command.env("GIT_OPTIONAL_LOCKS", "0").args([
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        "--untracked-files=normal",
    ]);
    let finished = run(command, &doing, STATUS_LIMIT).await?.checked(doing)?;
    Ok(finished.stdout.iter().filter(|byte| **byte == 0).count())
}

/// A path as the kernel has it, as far as it exists.
pub(super) fn tidy(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => {
            tidy(Path::new(".")).join(name)
        }
        (Some(parent), Some(name)) => tidy(parent).join(name),
        _ => path.to_owned(),
    }
}
