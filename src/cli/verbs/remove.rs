//! `samocode remove`: removes a finished session, and keeps its branch and files.

use std::collections::HashSet;
use std::process::ExitCode;

use clap::Args;

use crate::control::inspect::Find;
use crate::control::remove::{self, Removed};

use super::{Common, complete, output};

/// Remove a finished session's unit and worktree; its branch and files stay
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode remove jwt-login\n  samocode remove jwt-login --unfinished     one that is not done\n\nLoses no work: uncommitted files and commits on no branch are saved under refs/samocode/rescue/ first, and the command that brings them back is printed. Files that git ignores are deleted with the worktree. The session's folder moves to _archive/; samocode restore brings it back.\n\nExit codes: 0 removed; 1 refused, nothing done; 2 no such session."
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
        for session in all_of(common, self.sessions).await? {
            let call = remove::Remove { session, unfinished: self.unfinished };
            let removed = common.call(call).await?;
            if self.json {
                output::json(&removed)?;
                continue;
            }
            report(&removed, "removed");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Checks all names first, so that a typo fails before anything happens to the other sessions.
async fn all_of(common: &Common, mut sessions: Vec<String>) -> anyhow::Result<Vec<String>> {
    let mut seen = HashSet::new();
    sessions.retain(|session| seen.insert(session.clone()));
    if sessions.len() > 1 {
        common.call(Find { sessions: sessions.clone() }).await?;
    }
    Ok(sessions)
}

/// What became of a session, and how to get back what only its worktree had.
pub(super) fn report(removed: &Removed, became: &str) {
    let name = output::painted(output::BOLD, &removed.session);
    let branch = removed.branch.as_ref();
    let branch = branch.map_or_else(String::new, |branch| format!(" Branch {branch} stays."));
    outln!("{name} {became}.{branch} Its files are in {}", removed.folder.display());
    if let Some(rescued) = &removed.rescued {
        outln!("  saved {} in {}", rescued.describe(), rescued.reference);
        outln!("  get it back with: {}", rescued.command);
    }
}
