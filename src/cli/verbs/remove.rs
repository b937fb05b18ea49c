//! `samocode remove`: removes a finished session, and keeps its branch and files.

use std::process::ExitCode;

use clap::Args;

use crate::control::remove;

use super::{Common, complete, output};

/// Remove a finished session's unit and worktree; its branch and files stay
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode remove jwt-login\n  samocode remove jwt-login --unfinished     one that is not done\n\nLoses no work: it refuses while the worktree has changes that are not committed, or commits on no\nbranch. Files that git ignores go with the worktree. The session's folder moves to _archive/.\n\nExit codes: 0 removed; 1 refused, nothing done; 2 no such session."
)]
pub(in crate::cli) struct Remove {
    /// Names, dated folder names, or instances
    #[arg(required = true, add = complete::sessions())]
    sessions: Vec<String>,
    /// Also remove a session that is not done
    #[arg(long)]
    unfinished: bool,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

impl Remove {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        for session in super::lifecycle::all_of(common, self.sessions).await? {
            let call = remove::Remove { session, unfinished: self.unfinished };
            let removed = common.call(call).await?;
            if self.json {
                output::json(&removed)?;
                continue;
            }
            let name = output::painted(output::BOLD, &removed.session);
            let branch = removed.branch.as_ref();
            let branch =
                branch.map_or_else(String::new, |branch| format!(" Branch {branch} stays."));
            say!("{name} removed.{branch} Its files are in {}", removed.folder.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}
