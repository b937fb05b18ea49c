//! `samocode confine`: what an agent may reach, and trying it out.

use std::process::ExitCode;

use clap::Args;

use crate::control::confine::{self, Confined, May, Tried};
use crate::session::describe::harmless;

use super::output::{self, BOLD, painted};
use super::{Common, complete, pager};

/// Show what a session's agent may reach, or run a command as the agent would run it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode confine jwt-login                            what is open, and why\n  samocode confine jwt-login --explain ~/.ssh           why not, and the key that opens it\n  samocode confine jwt-login --explain example.org:443\n  samocode confine jwt-login -- make test               in its folder, with its environment\n\nExit codes: that of the command; else 0 shown, 2 no such session."
)]
pub(in crate::cli) struct Confine {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// A path, or a host with its port, to be told about just that
    #[arg(long, value_name = "PATH|HOST:PORT", conflicts_with = "command")]
    explain: Option<String>,
    /// The command to run, with its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Confine {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        if !self.command.is_empty() {
            let call = confine::Try { session: self.session, command: self.command };
            let tried = common.call(call).await?;
            let code = u8::try_from(tried.code).unwrap_or(u8::MAX);
            return output::until_closed(
                print_tried(&tried, self.json).map(|()| ExitCode::from(code)),
            );
        }
        let call = confine::Confine { session: self.session, about: self.explain };
        let confined = common.call(call).await?;
        output::until_closed(print(&confined, self.json).map(|()| ExitCode::SUCCESS))
    }
}

fn print_tried(tried: &Tried, json: bool) -> anyhow::Result<()> {
    if json {
        return output::json(tried);
    }
    for line in tried.output.lines() {
        output::line(harmless(line))?;
    }
    for line in tried.errors.lines() {
        output::say!("{}", harmless(line));
    }
    Ok(())
}

fn print(confined: &Confined, json: bool) -> anyhow::Result<()> {
    if json {
        return output::json(confined);
    }
    if let Some(verdict) = &confined.verdict {
        return output::line(verdict);
    }
    let _paged = pager::paged(true);
    let Confined { session, phase, level, open, .. } = confined;
    output::line(painted(BOLD, format!("{session} in {phase}: {level}")))?;
    for (may, title) in
        [(May::Write, "May write"), (May::Use, "May use"), (May::Read, "May read and execute")]
    {
        let rows: Vec<_> = open.iter().filter(|open| open.may == may).collect();
        if rows.is_empty() {
            continue;
        }
        output::line(title)?;
        for row in rows {
            output::line(format!("  {}  {}", row.path.display(), row.why))?;
        }
    }
    Ok(())
}
