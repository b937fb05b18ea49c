//! Reads a repository through libgit2, or through the git program if libgit2 cannot read it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{ErrorCode, ObjectType, ReferenceType, Repository, RepositoryOpenFlags};

use super::command::{git_command, run};
use super::leftovers::{branch_in, worktree_on};
use super::programs::Barred;
use super::{Base, Error};
use program::Program;

mod program;

/// Time limit for comparing a worktree's files with the index.
const STATUS_LIMIT: Duration = Duration::from_secs(120);

/// The folders of a repository.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Its working tree's root, or a bare repository itself.
    pub(super) top: PathBuf,
    /// Shared by all its worktrees: refs, objects, registrations.
    pub(super) common: PathBuf,
}

/// The questions samocode asks. Names of refs are full (`refs/heads/main`) or `HEAD`.
pub(super) trait Reader {
    fn place(&self) -> &Place;
    /// The commit a ref points to.
    fn commit(&self, name: &str) -> Result<Option<Base>, Error>;
    /// The target of a symbolic ref, whether or not it exists.
    fn symbolic(&self, name: &str) -> Result<Option<String>, Error>;
    /// Any one ref below `folder/`.
    fn any_below(&self, folder: &str) -> Result<Option<String>, Error>;
    fn config(&self, key: &str) -> Option<String>;
    fn remotes(&self) -> Result<Vec<String>, Error>;
    /// The main working tree, if it has this branch (full name) checked out.
    fn main_on(&self, branch: &str) -> Result<Option<PathBuf>, Error>;
    /// Another worktree that has this branch (full name) checked out, leaving out any that
    /// `is_here`. Looks at all of them.
    fn worktree_on(
        &self,
        branch: &str,
        is_here: &dyn Fn(&Path) -> bool,
    ) -> Result<Option<PathBuf>, Error>;
    /// Whether a worktree needs no more than the registration in gitrepository-layout(5): nothing
    /// has to be copied from the main one or kept in another ref store.
    fn has_plain_worktrees(&self) -> bool;
    /// Whether the index has a file below this folder (relative to the top).
    fn tracks_below(&self, folder: &Path) -> Result<bool, Error>;
    /// How many commits are in `tip` but not in `base`.
    fn ahead(&self, tip: &str, base: &str) -> Result<usize, Error>;
    /// Whether two commits have a commit in common.
    fn are_related(&self, one: &str, other: &str) -> Result<bool, Error>;
}

/// Opens the repository that contains a folder; `None` if it is in none. A broken or unreadable
/// repository is an error, or a session would work in that very checkout.
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
        // SHA-256, reftable, an unknown extension, an owner libgit2 rejects: git itself decides.
        Err(_) => Ok(Program::open(folder)?.map(|program| Box::new(program) as Box<dyn Reader>)),
    }
}

/// A ref to a missing commit differs from a missing ref: the session would start from an empty
/// branch.
fn damaged(place: &Place, name: &str, said: &str) -> Error {
    Error::Damaged { repo: place.top.clone(), name: name.to_owned(), said: said.to_owned() }
}

struct Library {
    repo: Repository,
    place: Place,
}

impl Library {
    fn new(repo: Repository) -> Result<Self, git2::Error> {
        // Fails here, not later, on a repository with unreadable refs.
        repo.is_empty()?;
        let common = repo.commondir().to_owned();
        // In a worktree it would not find where a shallow history ends.
        if repo.is_worktree() && common.join("shallow").exists() {
            return Err(git2::Error::from_str("the history is shallow"));
        }
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

    fn base(&self, one: &str, other: &str) -> Result<git2::Oid, git2::Error> {
        let id = |name| self.repo.revparse_single(name)?.peel_to_commit().map(|commit| commit.id());
        self.repo.merge_base(id(one)?, id(other)?)
    }
}

impl Reader for Library {
    fn place(&self) -> &Place {
        &self.place
    }

    fn commit(&self, name: &str) -> Result<Option<Base>, Error> {
        let found = self.optional(self.repo.find_reference(name))?;
        // If it names a ref that does not exist yet, it is the HEAD of a repository without a
        // commit.
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
        // git copies some settings and the sparse checkout of the main worktree.
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
        // git itself handles permissions for others.
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

    fn are_related(&self, one: &str, other: &str) -> Result<bool, Error> {
        Ok(self.optional(self.base(one, other))?.is_some())
    }
}

/// The branch and commit that a worktree has checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The branch's short name; `None` if HEAD is detached (as in a rebase).
    pub branch: Option<String>,
    /// The short commit id; `None` before the first commit.
    pub commit: Option<String>,
}

pub(super) fn open_worktree(worktree: &Path) -> Result<Box<dyn Reader>, Error> {
    open(worktree)?.ok_or_else(|| Error::Git {
        doing: format!("read {}", worktree.display()),
        said: "not a git repository".into(),
    })
}

/// Reads the branch and commit that a worktree is on.
pub fn head(worktree: &Path) -> Result<Head, Error> {
    let reader = open_worktree(worktree)?;
    let branch =
        reader.symbolic("HEAD")?.map(|name| name.trim_start_matches("refs/heads/").to_owned());
    Ok(Head { branch, commit: reader.commit("HEAD")?.map(|commit| commit.short) })
}

/// How many commits are on a branch but not in `base` (a commit id or a ref), read from a worktree.
/// 0 if there is no such branch, as before the first commit. Where HEAD is does not matter.
pub fn commits_of(worktree: &Path, branch: &str, base: &str) -> Result<usize, Error> {
    if base.starts_with('-') {
        return Err(Error::BadBranch(base.to_owned()));
    }
    let reader = open_worktree(worktree)?;
    let tip = format!("refs/heads/{branch}");
    if reader.commit(&tip)?.is_none() { Ok(0) } else { reader.ahead(&tip, base) }
}

/// How many files differ from the last commit, including untracked ones (an untracked folder counts
/// once) but not ignored ones. 0 for a clean worktree.
///
/// Asks the git program, since libgit2 knows no filters and would report LFS files as changed. Files
/// of a filter that the repository itself defines do count as changed, since it is not run.
/// Takes no lock that could get in an agent's way, and runs no program that the repository names.
pub async fn changed_files(worktree: &Path) -> Result<usize, Error> {
    Ok(status(worktree, "normal").await?.len())
}

/// The same files by their paths, each in an untracked folder too.
pub async fn changes(worktree: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = status(worktree, "all").await?;
    // Each begins with two letters and a space.
    let path = |entry: Vec<u8>| OsString::from_vec(entry.get(3..).unwrap_or_default().to_vec());
    Ok(entries.into_iter().map(|entry| worktree.join(path(entry))).collect())
}

/// What `git status` prints, an entry for each file.
async fn status(worktree: &Path, untracked: &str) -> Result<Vec<Vec<u8>>, Error> {
    let doing = format!("look for changes in {}", worktree.display());
    let mut command = git_command(worktree);
    command.args(Barred::all_filters(worktree).await?.without_filters());
    command.env("GIT_OPTIONAL_LOCKS", "0").args([
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        &format!("--untracked-files={untracked}"),
    ]);
    let finished = run(command, &doing, STATUS_LIMIT).await?.checked(doing)?;
    let entries = finished.stdout.split(|byte| *byte == 0);
    Ok(entries.filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect())
}

/// The canonical form of a path, as far as it exists.
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
