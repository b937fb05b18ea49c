//! `samocode attach`: takes an agent's conversation over in this terminal, and hands it back.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::control::Error;
use crate::control::attach::{self, Interactive, Left};
use crate::control::error::Attempt as _;
use crate::platform::child;

use super::{Common, complete, front, output};

/// Open a session's conversation in this terminal
///
/// Stops the session at the end of its iteration, or with --now at once, and opens the agent's own
/// interactive mode in the worktree, in the same conversation. When you leave it, the session
/// resumes with a note of what happened: commits, changed files, a phase you set, a signal that was
/// written. If the terminal is killed, the session stays stopped. A session that waits for you still waits
/// afterwards.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode attach jwt-login\n  samocode attach jwt-login --now --stop    interrupt it, and leave it stopped\n\nExit codes: 0 handed back, 2 no such session, 1 anything else."
)]
pub(in crate::cli) struct Attach {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// Interrupt the run instead of waiting for the end of its iteration
    #[arg(long)]
    now: bool,
    /// Leave the session stopped afterwards
    #[arg(long)]
    stop: bool,
}

impl Attach {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        if !std::io::stdin().is_terminal() {
            return Err(Error::usage("attach needs a terminal").into());
        }
        let caller = common.caller()?;
        let progress = |line: &str| output::progress(line);
        let request = attach::Attach { session: self.session, now: self.now };
        let attachment = front::accept(attach::attach(&caller, request, &progress).await)?;
        let stands = match (attachment.is_done, self.stop) {
            (true, _) => "is done, and stays so. This is its conversation.",
            (false, true) => "is stopped, and stays so. This is its conversation.",
            (false, false) => {
                "is stopped. This is its conversation; the session resumes when you exit."
            }
        };
        outln!("{} {stands}", attachment.name);
        let ended = converse(&attachment.interactive).await;
        let left = front::accept(attachment.leave(&caller, self.stop, &progress).await)?;
        report(common, &left);
        ended?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs the agent's program on this terminal to its end.
async fn converse(with: &Interactive) -> anyhow::Result<()> {
    let Interactive { program, args, environment, folder } = with;
    // Ctrl-C and Ctrl-\ are for the agent.
    let _interrupts = signal(SignalKind::interrupt())?;
    let _quits = signal(SignalKind::quit())?;
    let mut command = std::process::Command::new(program);
    command.args(args).env_clear().envs(environment.iter().cloned()).current_dir(folder);
    // Otherwise the agent would go on working beside the session's next run.
    child::end_with_us(&mut command);
    tokio::process::Command::from(command)
        .status()
        .await
        .attempt(|| format!("run {}", program.display()))?;
    Ok(())
}

fn report(common: &Common, left: &Left) {
    let Left { instance, note, resumed, done } = left;
    outln!("{note}");
    if *resumed {
        let logs = format!("samocode logs -f {instance}");
        outln!("{instance} is running again: {}", common.command(&logs));
    } else if *done {
        let enable = format!("samocode enable {instance} --task \"…\"");
        outln!("{instance} is done. A new task gets it going: {}", common.command(&enable));
    } else {
        let start = format!("samocode start {instance}");
        outln!("{instance} was not resumed. Resume it with: {}", common.command(&start));
    }
}
