//! `samocode init`: turns a folder into a project.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::config::init::{InitOptions, InitReport, init};
use crate::config::{Dirs, Env};
use crate::control::Error;
use crate::git;

use super::{Common, output};

/// Turn a git repository into a project: write .samocode and create its folders
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode init\n  samocode init ~/shop --sessions ~/code/shop-sessions\n\nAsks no questions, and never changes an existing project. A folder outside any repository works\ntoo: its sessions share the folder instead of getting worktrees."
)]
pub(in crate::cli) struct Init {
    /// A folder in the repository [default: the current folder]
    dir: Option<PathBuf>,
    /// Where sessions get their git worktrees, instead of NAME-worktrees beside the repository
    #[arg(long, value_name = "DIR")]
    worktrees: Option<PathBuf>,
    /// Where sessions get their folders, instead of NAME-sessions beside the repository
    #[arg(long, value_name = "DIR")]
    sessions: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Init {
    pub(super) fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        if let Some(config) = &common.config {
            let folder = config.parent().filter(|folder| *folder != Path::new(""));
            let folder = folder.unwrap_or(Path::new(".")).display();
            return Err(Error::usage("init takes a folder instead of --config")
                .hint(format!("samocode init {folder}"))
                .into());
        }
        let dirs = Dirs::user(&Env::of_process())?;
        let cwd = std::env::current_dir().context("cannot tell the current folder")?;
        let options =
            InitOptions { worktrees: self.worktrees.clone(), sessions: self.sessions.clone() };
        let dir = self.dir.as_deref().unwrap_or(&cwd);
        if dir.is_dir() {
            // Fail early: an unreadable repository would pass for a plain folder.
            git::root(dir)?;
        }
        let report = init(dir, &dirs, &options)?;
        if self.json {
            print_json(&report)?;
        } else {
            self.tell(&report, &dirs, &cwd);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn tell(&self, report: &InitReport, dirs: &Dirs, cwd: &Path) {
        let project = &report.project;
        let file = if cwd.canonicalize().is_ok_and(|cwd| cwd == project.root) {
            ".samocode".to_owned()
        } else {
            dirs.short(&project.config)
        };
        let did = if report.written { "Wrote" } else { "Kept" };
        let repo = dirs.short(&project.main_repo);
        let what = match branch(report) {
            Some(branch) => format!("repository {repo} (branch {branch})"),
            None if report.in_repository => format!("repository {repo}"),
            None => format!("folder {repo} (no git repository)"),
        };
        say!(
            "{did} {}   {what}, worktrees {}, sessions {}",
            output::painted(output::BOLD, file),
            dirs.short(&project.worktrees),
            dirs.short(&project.sessions)
        );
        if !report.written && (self.worktrees.is_some() || self.sessions.is_some()) {
            output::note(&format!(
                "the project already exists: set WORKTREES and SESSIONS in {}",
                dirs.short(&project.config)
            ));
        }
        say!("Next: samocode enable NAME --task \"what to build\"");
    }
}

/// The branch that sessions start from; before the first commit, the one it will create.
fn branch(report: &InitReport) -> Option<String> {
    let repo = &report.project.main_repo;
    let default = git::default_branch(repo).ok().flatten();
    default.or_else(|| git::head(repo).ok()?.branch).filter(|_| report.in_repository)
}

fn print_json(report: &InitReport) -> anyhow::Result<()> {
    let project = &report.project;
    output::json(&serde_json::json!({
        "config": project.config,
        "written": report.written,
        "main_repo": project.main_repo,
        "branch": branch(report),
        "worktrees": project.worktrees,
        "sessions": project.sessions,
        "made": report.made,
        "excluded": report.excluded,
    }))
}
