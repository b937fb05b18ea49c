//! Makes a session's repository, without transferring anything.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::put_back::{ALTERNATES, remove};
use super::references::{of_project, packed, update};
use super::settings::{self, HOOKS_PATH, is_in_worktree};
use super::{BASE, CONFIG, MIRRORED, MOVED, OwnRepository, WORK, io};
use crate::config::within::REPOSITORIES;
use crate::git::command::git_for_reading;
use crate::git::fetch::freshened;
use crate::git::plan::{Start, WorktreePlan};
use crate::git::programs::{Barred, Programs, own_settings};
use crate::git::reader::open;
use crate::git::{Error, plain};
use crate::session::store::crash_point;

/// Folders of a repository, as gitrepository-layout(5) has them.
const LAYOUT: [&str; 8] = [
    "objects/info",
    "objects/pack",
    "refs/heads",
    "refs/tags",
    "logs",
    "worktrees",
    "hooks",
    "info",
];

/// Files of the project's `info` that a session's repository gets.
const INFO: [&str; 2] = ["exclude", "attributes"];

/// Hooks are scripts; a larger file is something else.
const MOST_HOOK: u64 = 4 << 20;

/// What became of the attempt to make a repository.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::git) enum Made {
    /// It is there, with what a human should know.
    Repository(Vec<String>),
    /// The project's repository does not allow it, for this reason.
    Unfit(&'static str),
}

/// Files with their modes.
type Files = Vec<(PathBuf, Vec<u8>, u32)>;

impl OwnRepository {
    /// Makes the repository for a session that has no worktree yet, with its branch.
    ///
    /// # Errors
    /// git's and the file system's. Nothing is there then, or all of it.
    pub(in crate::git) async fn make(
        &self,
        plan: &WorktreePlan,
        programs: &Programs,
    ) -> Result<Made, Error> {
        if let Some(why) = unfit(plan)? {
            return Ok(Made::Unfit(why));
        }
        let barred = programs.barred(&plan.repo).await?;
        let (plan, mut notes) = freshened(plan.clone(), &barred).await?;
        let commit = match &plan.start {
            Start::Attach(base) | Start::New(base) => base.commit.clone(),
            Start::Orphan => return Ok(Made::Unfit("it has no commit yet")),
        };
        let listed = own_settings(&plan.repo).await?;
        programs.forget(&self.folder)?;
        self.keep(&plan, &listed, &barred)?;
        crash_point("what is put back into a session's repository is kept");
        begin_branch(&plan, &commit)?;
        crash_point("a session's branch is there, its repository is not");
        self.lay_out(&plan)?;
        crash_point("a session's repository is there, its worktree is not");
        programs.keep(&barred)?;
        notes.extend(barred.note());
        Ok(Made::Repository(notes))
    }

    /// Writes what is put back after each run.
    fn keep(
        &self,
        plan: &WorktreePlan,
        listed: &[(String, String)],
        barred: &Barred,
    ) -> Result<(), Error> {
        remove(&self.kept)?;
        for folder in MIRRORED {
            let folder = self.kept.join(folder);
            fs::create_dir_all(&folder).map_err(io("create the folder", &folder))?;
        }
        let config = settings::text(listed, barred.filters());
        write(&self.kept.join(CONFIG), config.as_bytes(), 0o644)?;
        for file in INFO {
            if let Ok(bytes) = plain::read(&plan.common.join("info").join(file)) {
                write(&self.kept.join("info").join(file), &bytes, 0o644)?;
            }
        }
        if !barred.has_hooks() {
            for (name, bytes, mode) in hooks(plan, listed) {
                write(&self.kept.join("hooks").join(name), &bytes, mode)?;
            }
        }
        self.keep_project()?;
        self.keep_branch(&plan.branch)
    }

    fn lay_out(&self, plan: &WorktreePlan) -> Result<(), Error> {
        let making = self.aside("making");
        remove(&making)?;
        for folder in LAYOUT {
            let folder = making.join(folder);
            fs::create_dir_all(&folder).map_err(io("create the folder", &folder))?;
        }
        let main = self.main()?;
        let head = main.symbolic("HEAD")?.unwrap_or_else(|| "refs/heads/main".to_owned());
        write(&making.join("HEAD"), format!("ref: {head}\n").as_bytes(), 0o644)?;
        if let Some(remote) = &plan.remote {
            let name = format!("refs/remotes/{remote}/HEAD");
            if let Some(target) = main.symbolic(&name)? {
                let path = making.join(&name);
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).map_err(io("create the folder", folder))?;
                }
                write(&path, format!("ref: {target}\n").as_bytes(), 0o644)?;
            }
        }
        let references = packed(&of_project(&plan.repo)?);
        write(&making.join("packed-refs"), references.as_bytes(), 0o644)?;
        write(&making.join(ALTERNATES), &self.alternates()?, 0o644)?;
        copy(&self.kept.join(CONFIG), &making.join(CONFIG))?;
        for folder in MIRRORED {
            let from = self.kept.join(folder);
            for entry in fs::read_dir(&from).map_err(io("read", &from))?.flatten() {
                copy(&entry.path(), &making.join(folder).join(entry.file_name()))?;
            }
        }
        sync(&making)?;
        fs::rename(&making, &self.folder).map_err(io("move to its place", &making))?;
        self.folder.parent().map_or(Ok(()), sync)
    }

    /// A folder beside it, for a moment.
    pub(super) fn aside(&self, what: &str) -> PathBuf {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        self.folder.with_file_name(format!("{name}.{what}"))
    }
}

/// Why a repository cannot share the project's objects, if it cannot.
fn unfit(plan: &WorktreePlan) -> Result<Option<&'static str>, Error> {
    let Some(main) = open(&plan.repo)? else { return Ok(None) };
    let is_on = |key| main.config(key).is_some_and(|value| value != "false");
    let is_odd = |path: &Path| path.to_string_lossy().contains(['\n', '"']);
    Ok(if plan.common.join("shallow").exists() {
        Some("it is a shallow clone")
    } else if is_on("extensions.partialClone") || is_promised(&plan.common) {
        Some("it is a partial clone")
    } else if is_on("core.sparseCheckout") {
        Some("it has a sparse checkout")
    } else if plan.common.join(ALTERNATES).exists() {
        // An agent in a linked worktree could have named any folder there.
        Some("it takes objects from another repository")
    } else if is_odd(&plan.common) {
        Some("there is a line break or a quote in its path")
    } else {
        None
    })
}

/// Whether a server has promised objects that the repository lacks: git marks the packs from there. Later
/// versions set no extension.
fn is_promised(common: &Path) -> bool {
    let packs = fs::read_dir(common.join("objects/pack")).into_iter().flatten().flatten();
    let mut names = packs.map(|pack| PathBuf::from(pack.file_name()));
    names.any(|name| name.extension().is_some_and(|extension| extension == "promisor"))
}

/// Makes the branch in the project's repository, and what keeps its commits.
fn begin_branch(plan: &WorktreePlan, commit: &str) -> Result<(), Error> {
    let branch = &plan.branch;
    let mut lines = String::new();
    if matches!(plan.start, Start::New(_)) {
        lines.push_str(&format!("create refs/heads/{branch} {commit}\n"));
    }
    let base = format!("{BASE}/{branch}");
    if open(&plan.repo)?.is_some_and(|main| !matches!(main.commit(&base), Ok(Some(_)))) {
        lines.push_str(&format!("update {base} {commit}\n"));
    }
    for kept in [WORK, MOVED] {
        lines.push_str(&format!("update {kept}/{branch} {commit}\n"));
    }
    update(git_for_reading(&plan.repo), &lines, &format!("make branch {branch}"))
}

/// The project's hooks, unless they are files of the worktree.
fn hooks(plan: &WorktreePlan, listed: &[(String, String)]) -> Files {
    let named = listed.iter().rev().find(|(key, _)| key == HOOKS_PATH).map(|(_, value)| value);
    let folder = match named {
        Some(value) if is_in_worktree(value) => return Vec::new(),
        Some(value) => match (value.strip_prefix("~/"), std::env::home_dir()) {
            (Some(below), Some(home)) => home.join(below),
            _ => PathBuf::from(value),
        },
        None => plan.common.join("hooks"),
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let name = PathBuf::from(entry.file_name());
        let meta = fs::metadata(entry.path()).ok()?;
        let is_sample = name.extension().is_some_and(|extension| extension == "sample");
        if is_sample || !meta.is_file() || meta.len() > MOST_HOOK {
            return None;
        }
        let bytes = plain::read(&entry.path()).ok()?;
        Some((name, bytes, meta.permissions().mode() & 0o777))
    });
    found.collect()
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let bytes = plain::read(from).map_err(io("read", from))?;
    let meta = fs::metadata(from).map_err(io("read", from))?;
    write(to, &bytes, meta.permissions().mode() & 0o777)
}

/// Writes a new file, and flushes it.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(mode).open(path);
    file.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    })
    .map_err(io("write", path))
}

/// Flushes a folder and those below it.
fn sync(folder: &Path) -> Result<(), Error> {
    fs::File::open(folder).and_then(|open| open.sync_all()).map_err(io("sync", folder))?;
    for entry in fs::read_dir(folder).map_err(io("read", folder))?.flatten() {
        if folder.file_name().is_some_and(|name| name == REPOSITORIES) {
            break;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync(&entry.path())?;
        }
    }
    Ok(())
}
