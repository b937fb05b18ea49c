//! `samocode run`: runs the worker in the foreground, for containers and hosts without a service
//! manager.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Args;

use crate::control::enable::Waits;
use crate::control::run::{self, Ran};
use crate::platform::memory;
use crate::session::names::SessionName;
use crate::session::state::StateName;

use super::enable::WorkArgs;
use super::{Common, complete, failure, front, output};

/// Run a session in the foreground until it is done, waiting or blocked
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode run jwt-login --task \"JWT login with httpOnly cookies\"\n\nExit codes: 0 done, 10 waiting, 11 blocked, 12 stopped, 13 paused, 130 interrupted with\nCtrl-C, 2 usage, 78 configuration, 1 anything else."
)]
pub(in crate::cli) struct Run {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    #[command(flatten)]
    work: WorkArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Run {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        memory::seal();
        let (work, set) = self.work.split(common, Some(&self.session)).await?;
        let name = SessionName::new(&self.session);
        let name = name.as_ref().map_or(self.session.as_str(), SessionName::as_str);
        let live = Live::new(name, !self.json);
        let call = run::Run { session: self.session, work, set };
        let answer = common.call_with(call, &|status| live.show(status)).await?;
        live.end();
        let ran = front::accept(answer)?;
        if self.json {
            output::json(&ran.view)?;
        } else {
            report(common, &ran);
        }
        Ok(ExitCode::from(exit_code(&ran)))
    }
}

/// Shows the worker's status: updated in place on a terminal, else one line per change.
struct Live {
    name: String,
    talks: bool,
    in_place: bool,
}

impl Live {
    fn new(name: &str, talks: bool) -> Self {
        let talks = talks && !output::is_quiet();
        let in_place = talks && std::io::stderr().is_terminal();
        Self { name: name.to_owned(), talks, in_place }
    }

    fn show(&self, status: &str) {
        if self.in_place {
            // Return to the start of the line, and clear the rest of a longer one. One that is wrapped
            // would stay where it is.
            let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
            let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
            let room = width.unwrap_or(80).saturating_sub(self.name.chars().count() + 2);
            let status = output::in_line(status, room.max(1));
            let name = output::painted(output::BOLD, &self.name);
            let _ = write!(anstream::stderr(), "\r{name} {status}\x1b[K");
        } else if self.talks {
            errln!("{} {status}", self.name);
        }
    }

    fn end(&self) {
        if self.in_place {
            errln!();
        }
    }
}

/// Exit code after Ctrl-C: 128 plus SIGINT, as in shells.
pub(super) const INTERRUPTED: u8 = 130;

/// The exit code of a foreground run: from its failure, else from its state.
fn exit_code(ran: &Ran) -> u8 {
    if ran.interrupted {
        return INTERRUPTED;
    }
    ran.failure.map_or_else(|| code_of(ran.state), failure::exit_code)
}

/// The exit code of a state, for `run` and `wait`.
pub(in crate::cli) const fn code_of(state: StateName) -> u8 {
    match state {
        StateName::Done => 0,
        StateName::Waiting => 10,
        StateName::Blocked => 11,
        StateName::Stopped => 12,
        StateName::Paused | StateName::Limited | StateName::Queued => 13,
        StateName::New | StateName::Running | StateName::Failed => 1,
    }
}

fn report(common: &Common, ran: &Ran) {
    let session = &ran.view.session;
    let name = output::painted(output::BOLD, session);
    let word = output::painted(output::state_style(ran.state), ran.state);
    if ran.interrupted {
        let again = common.command(&format!("samocode run {}", ran.view.instance));
        outln!("{name} interrupted. Resume it with: {again}");
        return;
    }
    match (ran.state, &ran.waits) {
        (StateName::Waiting, Some(Waits { waits_for, command, .. })) => {
            outln!("{name} {word} for {waits_for}: {command}, then samocode run {session}");
        }
        (StateName::Blocked | StateName::Paused, _) => {
            let reason = ran.reason.as_deref().unwrap_or("no reason given");
            outln!("{name} {word}: {}", output::shortened(reason, 300, output::width()));
        }
        _ => outln!("{name} {word}"),
    }
    if let Some(file) = &ran.view.read {
        outln!("  read: {file}");
    }
    if let Some(merge) = &ran.view.merge {
        outln!("  merge: {merge}");
    }
}
