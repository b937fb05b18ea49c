//! `samocode restore`: brings an archived session back.

use std::process::ExitCode;

use clap::Args;

use crate::control::archive;
use crate::session::state::StateName;

use super::{Common, output};

/// Bring a removed or archived session back with its saved work
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode restore jwt-login\n\nDoes not start it: samocode start resumes one that is not done, samocode enable --task gives a finished one a new task. Uncommitted files that were saved are in the worktree again if the branch has not moved since; else they stay under refs/samocode/rescue/.\n\nExit codes: 0 restored; 1 refused, nothing done; 2 no such session in the archive."
)]
pub(in crate::cli) struct Restore {
    /// A name, or the name of a folder in _archive/
    session: String,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let restored = common.call(archive::Restore { session: self.session }).await?;
        if self.json {
            output::json(&restored)?;
            return Ok(ExitCode::SUCCESS);
        }
        let name = output::painted(output::BOLD, &restored.session);
        outln!("{name} is back in {}", restored.folder.display());
        if let Some(worktree) = &restored.worktree {
            outln!("  worktree: {}", worktree.display());
        }
        if let Some(rescued) = &restored.rescued {
            outln!("  uncommitted files are back, from {rescued}");
        }
        let next = match restored.state {
            StateName::Done => format!("samocode enable {} --task \"…\"", restored.session),
            _ => format!("samocode start {}", restored.session),
        };
        outln!("  resume it with: {}", common.command(&next));
        Ok(ExitCode::SUCCESS)
    }
}
