//! `samocode archive`: removes several sessions, or all that are done.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::config::values;
use crate::control::archive::{self, Archived};
use crate::control::disk::caches::{ClearCaches, Cleared};
use crate::session::describe::size;

use super::{Common, complete, output, remove};

/// Remove several finished sessions, or all that are done
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode archive jwt-login search-index\n  samocode archive --done --older 7d\n  samocode archive --caches          only their build output, to free the disk\n\nDoes what samocode remove does, for several sessions: removes unit and worktree, and keeps the branch and the session's files. Uncommitted files and commits on no branch are saved under refs/samocode/rescue/ first. samocode restore brings a session back.\n\nExit codes: 0 archived; 1 refused, or some are left; 2 no such session."
)]
pub(in crate::cli) struct Archive {
    /// Names, dated folder names, or instances
    #[arg(required_unless_present_any = ["done", "caches"], add = complete::sessions())]
    sessions: Vec<String>,
    /// All sessions of the project that are done
    #[arg(long)]
    done: bool,
    /// Only those that have been done for this long: 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = age, requires = "done")]
    older: Option<Duration>,
    /// Also those of the named ones that are stopped, blocked or failed
    #[arg(long)]
    unfinished: bool,
    /// Only remove what can be made again, build output in their worktrees and package caches of their
    /// own; of all that do not run if none is named
    #[arg(long, conflicts_with_all = ["done", "older", "unfinished"])]
    caches: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

fn age(text: &str) -> Result<Duration, String> {
    values::duration(text).ok_or_else(|| "expected a time such as 12h or 7d".to_owned())
}

impl Archive {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        if self.caches {
            return clear(common, self.sessions, self.json).await;
        }
        let has_age = self.older.is_some();
        let call = archive::Archive {
            sessions: self.sessions,
            done: self.done,
            older_s: self.older.map(|older| older.as_secs()),
            unfinished: self.unfinished,
        };
        let all = common.call(call).await?;
        if self.json {
            output::json(&all)?;
        } else {
            report(&all, has_age);
        }
        Ok(if all.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn clear(common: &Common, sessions: Vec<String>, json: bool) -> anyhow::Result<ExitCode> {
    let all = common.call(ClearCaches { sessions }).await?;
    if json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    if all.is_empty() {
        outln!("There is no build output to remove: see SAMOCODE_CACHE_FOLDERS.");
    }
    for Cleared { session, folders, bytes, kept } in &all {
        let name = output::painted(output::BOLD, session);
        if !folders.is_empty() {
            outln!("{name}: removed {}, {}", listed(folders), size(*bytes));
        }
        if !kept.is_empty() {
            outln!("{name}: left {}, which holds a git repository", listed(kept));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(folders: &[PathBuf]) -> String {
    let shown = folders.iter().map(|folder| folder.display().to_string());
    shown.collect::<Vec<_>>().join(", ")
}

fn report(all: &Archived, has_age: bool) {
    if all.archived.is_empty() && all.left.is_empty() {
        let none = if has_age { "has been done for that long" } else { "is done" };
        outln!("No session {none}.");
    }
    all.archived.iter().for_each(|removed| remove::report(removed, "archived"));
    for left in &all.left {
        let name = output::painted(output::BOLD, &left.session);
        outln!("{name} was not archived: {}", left.error.in_one_line());
    }
}
