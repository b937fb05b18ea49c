//! Turning a folder into a project.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::config::Dirs;
use crate::config::init::{InitOptions, init};
use crate::git;

use super::error::{Error, Result};
use super::operation::{Operation, Perform};

/// Writes a project's `.samocode` and creates its folders. An existing project is never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Init {
    /// A folder in the repository, or a plain folder; the caller's current folder if absent.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// Where sessions get their git worktrees, instead of NAME-worktrees beside the repository.
    #[serde(default)]
    pub worktrees: Option<PathBuf>,
    /// Where sessions get their folders, instead of NAME-sessions beside the repository.
    #[serde(default)]
    pub sessions: Option<PathBuf>,
}

/// The project after an [`Init`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initialized {
    /// The project's `.samocode`, absolute.
    pub config: PathBuf,
    /// Whether the file was written; if not, it existed before and is unchanged.
    pub written: bool,
    /// The repository, or the folder that sessions share.
    pub main_repo: PathBuf,
    /// Whether that is in a git repository.
    #[serde(default)]
    pub in_repository: bool,
    /// The branch that sessions start from; before the first commit, the one it will create.
    pub branch: Option<String>,
    /// Where sessions get their git worktrees.
    pub worktrees: PathBuf,
    /// Where sessions get their folders.
    pub sessions: PathBuf,
    /// The folders that were created.
    pub made: Vec<PathBuf>,
    /// Whether the file was added to `.git/info/exclude`, so that it is not committed.
    pub excluded: bool,
}

#[async_trait]
impl Perform for Init {
    async fn perform(self, on: &Operation<'_>) -> Result<Initialized> {
        let caller = on.caller;
        if let Some(config) = &caller.config {
            let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.map_or_else(|| ".".to_owned(), |path| path.display().to_string());
            return Err(Error::usage("init takes a folder instead of --config")
                .hint(format!("samocode init {folder}")));
        }
        let dirs = Dirs::user(&caller.env)?;
        let below = |path: PathBuf| caller.cwd.join(path);
        let asks_for_places = self.worktrees.is_some() || self.sessions.is_some();
        let options = InitOptions {
            worktrees: self.worktrees.map(below),
            sessions: self.sessions.map(below),
        };
        let (is_chosen, dir) = match self.dir {
            Some(dir) => (true, below(dir)),
            None => (false, caller.cwd.clone()),
        };
        if dir.is_dir() {
            // Fail early: an unreadable repository would pass for a plain folder.
            let root = git::root(&dir)?;
            let same = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
            if !is_chosen && root.is_none() && same(&dir) == same(&dirs.home) {
                return Err(Error::usage(
                    "this is your home folder: agents would work in all of it",
                )
                .hint("cd to the project first; or, if you mean it: samocode init ~"));
            }
        }
        let report = init(&dir, &dirs, &options)?;
        let project = report.project;
        if !report.written && asks_for_places {
            on.warnings.add(format!(
                "the project already exists: set WORKTREES and SESSIONS in {}",
                dirs.short(&project.config)
            ));
        }
        let default = git::default_branch(&project.main_repo).ok().flatten();
        let branch = default.or_else(|| git::head(&project.main_repo).ok()?.branch);
        Ok(Initialized {
            config: project.config,
            written: report.written,
            branch: branch.filter(|_| report.in_repository),
            in_repository: report.in_repository,
            main_repo: project.main_repo,
            worktrees: project.worktrees,
            sessions: project.sessions,
            made: report.made,
            excluded: report.excluded,
        })
    }
}
