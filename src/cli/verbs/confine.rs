//! `samocode confine`: what an agent may reach, and trying it out.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;

use clap::Args;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::control::confine::{self, Caged, Confined, Enter, May};
use crate::control::error::Attempt as _;

use super::output::{self, BOLD, painted};
use super::{Common, complete, front, pager};

/// Show what a session's agent may reach, or run a command as the agent would run it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode confine jwt-login                            what is open, and why\n  samocode confine jwt-login --explain ~/.ssh           why not, and the key that opens it\n  samocode confine jwt-login --explain example.org:443\n  samocode confine jwt-login -- make test               in its folder, with its environment\n\nExit codes: that of the command; else 0 shown, 2 no such session."
)]
pub(in crate::cli) struct Confine {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// Show only what applies to this path, or to this host and port
    #[arg(long, value_name = "PATH|HOST:PORT", conflicts_with = "command")]
    explain: Option<String>,
    /// The command to run, with its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
    /// Print it as JSON
    #[arg(long, conflicts_with = "command")]
    json: bool,
}

impl Confine {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let Self { session, explain, command, json } = self;
        if !command.is_empty() {
            return enter(common, Enter { session, command }).await;
        }
        let call = confine::Confine { session, about: explain };
        let confined = common.call(call).await?;
        output::until_closed(print(&confined, json).map(|()| ExitCode::SUCCESS))
    }
}

/// Runs the command on this terminal to its end.
async fn enter(common: &Common, request: Enter) -> anyhow::Result<ExitCode> {
    let name = request.command.first().map(|name| name.display().to_string()).unwrap_or_default();
    let progress = |line: &str| output::progress(line);
    let caged = front::accept(confine::enter(&common.caller()?, request, &progress).await)?;
    // Ctrl-C and Ctrl-\ are for the command.
    let _interrupts = signal(SignalKind::interrupt())?;
    let _quits = signal(SignalKind::quit())?;
    let Caged { command, temporary: _temporary, proxy: _proxy, .. } = caged;
    let status = Command::from(command).status().await.attempt(|| format!("run {name}"))?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

fn print(confined: &Confined, json: bool) -> anyhow::Result<()> {
    if json {
        return output::json(confined);
    }
    if let Some(verdict) = &confined.verdict {
        return output::line(verdict);
    }
    let _paged = pager::paged(true);
    let Confined { session, phase, level, open, connect, .. } = confined;
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
    if let Some(connect) = connect {
        output::line("May connect to")?;
        for peer in connect {
            output::line(format!("  {peer}"))?;
        }
    }
    Ok(())
}
