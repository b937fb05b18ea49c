//! `samocode wait`: returns when a session needs attention, without polling.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::config::values;
use crate::control::view::View;
use crate::control::wait::{self, Waited};
use crate::session::names::nearest;
use crate::session::state::StateName;

use super::run::code_of;
use super::{Common, complete, output};

/// Exit code after the timeout, as for timeout(1).
const TIMED_OUT: u8 = 124;

/// Wait until a session needs attention
///
/// Returns as soon as one of the sessions is in a state it does not leave on its own: done, waiting,
/// blocked, stopped, failed, or paused without a retry time. With --until, returns as soon as one
/// is in one of those states.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode wait jwt-login\n  samocode wait jwt-login search-index --until waiting,blocked,done --timeout 2h\n\nExit codes: 0 done, 10 waiting, 11 blocked, 12 stopped, 13 paused, limited or queued, 1 failed or\nanything else, 2 usage, 124 timeout."
)]
pub(in crate::cli) struct Wait {
    /// Names, dated folder names, or instances; the first one to get there ends the wait
    #[arg(required = true, add = complete::sessions())]
    sessions: Vec<String>,
    /// States to wait for, separated by commas
    #[arg(long, value_name = "STATES", value_delimiter = ',', value_parser = word, add = complete::states())]
    until: Vec<StateName>,
    /// Give up after this long: 90s, 10 min, 2h
    #[arg(long, value_name = "TIME", value_parser = bound)]
    timeout: Option<Duration>,
    /// Print the session as JSON, as status SESSION --json does
    #[arg(long)]
    json: bool,
}

fn word(text: &str) -> Result<StateName, String> {
    let text = text.trim().to_lowercase();
    let known = StateName::ALL.map(StateName::as_str);
    StateName::ALL.into_iter().find(|word| word.as_str() == text).ok_or_else(|| {
        let near = nearest(&text, known);
        let near = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        format!("expected one of {}{near}", known.join(", "))
    })
}

/// How long to wait, as people write it; a number alone is in seconds.
pub(super) fn bound(text: &str) -> Result<Duration, String> {
    values::duration(text).ok_or_else(|| "expected a time such as 90s, 10 min or 2h".to_owned())
}

impl Wait {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let timeout_s = self.timeout.map(|bound| bound.as_secs());
        let call =
            wait::Wait { sessions: self.sessions, until: self.until, timeout_s, seen: Vec::new() };
        let view = match common.call(call).await? {
            Waited::Reached(view) => view,
            Waited::TimedOut { standing } => {
                output::note(&format!("timed out: {}", standing.join(", ")));
                return Ok(ExitCode::from(TIMED_OUT));
            }
        };
        let shown = if self.json { output::json(&view) } else { report(&view) };
        output::until_closed(shown.map(|()| ExitCode::from(code_of(view.state))))
    }
}

fn report(view: &View) -> anyhow::Result<()> {
    let name = output::painted(output::BOLD, &view.session);
    let word = output::painted(output::state_style(view.state), view.state);
    let why = view.reason.as_deref().or(view.summary.as_deref()).map_or_else(String::new, |why| {
        format!(": {}", output::shortened(why, 200, output::width()))
    });
    let next =
        view.needs.as_ref().map_or_else(String::new, |needs| format!("  ({})", needs.command));
    output::line(format!("{name} {word}{why}{next}"))?;
    if let Some(file) = &view.read {
        output::line(format!("  read: {file}"))?;
    }
    if let Some(merge) = &view.merge {
        output::line(format!("  merge: {merge}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_times_are_read_or_refused_with_what_is_allowed() {
        assert_eq!(word(" Waiting"), Ok(StateName::Waiting));
        assert!(word("finished").unwrap_err().contains("waiting, blocked, done"));
        assert!(word("wating").unwrap_err().ends_with("did you mean 'waiting'?"));
        assert_eq!(bound("2h"), Ok(Duration::from_secs(7200)));
        assert!(bound("soon").is_err());
    }
}
