//! `samocode init`: turns a folder into a project.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::config::Dirs;
use crate::control::init;

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
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let call = init::Init { dir: self.dir, worktrees: self.worktrees, sessions: self.sessions };
        let made = common.call(call).await?;
        if self.json {
            output::json(&made)?;
        } else {
            let caller = common.caller()?;
            print(&made, &Dirs::user(&caller.env)?, &caller.cwd);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(made: &init::Initialized, dirs: &Dirs, cwd: &Path) {
    let root = made.config.parent();
    let file = if cwd.canonicalize().is_ok_and(|cwd| Some(cwd.as_path()) == root) {
        ".samocode".to_owned()
    } else {
        dirs.short(&made.config)
    };
    let did = if made.written { "Wrote" } else { "Kept" };
    let repo = dirs.short(&made.main_repo);
    let what = match &made.branch {
        Some(branch) => format!("repository {repo} (branch {branch})"),
        None if made.in_repository => format!("repository {repo}"),
        None => format!("folder {repo} (no git repository)"),
    };
    say!(
        "{did} {}   {what}, worktrees {}, sessions {}",
        output::painted(output::BOLD, file),
        dirs.short(&made.worktrees),
        dirs.short(&made.sessions)
    );
    say!("Next: samocode enable NAME --task \"what to build\"");
}
