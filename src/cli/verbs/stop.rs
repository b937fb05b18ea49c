//! `samocode stop`: stops sessions after the iteration, or now, until `start` or `enable`.

use std::process::ExitCode;

use clap::Args;

use crate::control::many::Action;
use crate::control::stop::{self, StopEnd, Stopped};

use super::each::Sessions;
use super::{Common, output};

/// Stop sessions after their current iteration, until start or enable
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode stop jwt-login          after this iteration; Ctrl-C does not cancel it\n  samocode stop --now jwt-login    at once; samocode start resumes the run\n  samocode stop --now --all        every session of the project\n\nOn a full disk the run is interrupted, and the stop is saved as an empty file _stop in the session's\nfolder, or else by disabling the unit. Exit code 1 when the stop cannot be saved anywhere."
)]
pub(in crate::cli) struct Stop {
    #[command(flatten)]
    sessions: Sessions,
    /// Interrupt the run instead of waiting for its end
    #[arg(long)]
    now: bool,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

impl Stop {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let mut code = ExitCode::SUCCESS;
        let report = |stopped: &Stopped| {
            if stopped.end == StopEnd::CalledOff {
                code = ExitCode::FAILURE;
            }
            if self.json {
                output::json(stopped)?;
            } else {
                report(common, stopped);
            }
            Ok(())
        };
        let action = Action::Stop { now: self.now };
        self.sessions.each::<stop::Stop>(common, action, report).await?;
        Ok(code)
    }
}

fn report(common: &Common, stopped: &Stopped) {
    let name = output::painted(output::BOLD, &stopped.session);
    if let Some(upcoming) = &stopped.upcoming {
        outln!("{name} no longer starts {}.", upcoming.when());
    }
    match &stopped.end {
        StopEnd::WasDone => outln!("{name} is already done."),
        StopEnd::Done => outln!("{name} is done."),
        StopEnd::CalledOff => outln!("{name} keeps running: it was started again."),
        StopEnd::Stopped => {
            let start = format!("samocode start {}", stopped.instance);
            outln!("{name} stopped. Resume it with: {}", common.command(&start));
        }
        StopEnd::Gone { what } => {
            outln!("{name} is not running. {}", capitalized(&what.in_one_line()));
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
