//! `samocode why`: why a session is in its current state, and how to change that.

use std::process::ExitCode;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::control::look::{Explain, Explained};
use crate::control::timeline::Item;
use crate::control::view::View;
use crate::session::clock;
use crate::session::state::Word;

use super::Common;
use super::output::{self, DIM, in_line, painted, state_style};
use super::words::{ago, clock, instant, span};

/// Explain a session's current state, and how to change it
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode why jwt-login\n\nFor the whole story: samocode history jwt-login"
)]
pub(in crate::cli) struct Why {
    /// A name, a dated folder name, or an instance
    session: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// How many events are shown, newest first.
const MOST: usize = 20;

impl Why {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(&self, common: &Common) -> anyhow::Result<()> {
        let call = Explain { session: self.session.clone() };
        let Explained { view, remedy, events: happened } = common.call(call).await?;
        let (now, zone) = (Timestamp::now(), clock::local_zone());
        let cause = cause(&view, now, &zone);
        if self.json {
            return output::json(&serde_json::json!({
                "session": view.session,
                "state": view.state,
                "phase": view.phase,
                "iteration": view.iteration,
                "since": view.since,
                "cause": cause,
                "remedy": remedy,
                "notes": view.notes,
                "events": happened,
            }));
        }
        let state = painted(state_style(view.state), format!("{:11}", view.state.as_str()));
        output::line(format!("{state}  {}", in_line(&cause, 400)))?;
        output::line(format!("{:11}  {remedy}", ""))?;
        for note in &view.notes {
            output::line(format!("{:11}  note: {}", "", in_line(note, 400)))?;
        }
        for item in happened.iter().take(MOST) {
            if let Item::Event { at, text, .. } = item {
                let at = painted(DIM, format!("{:11}", instant(*at, now, &zone)));
                output::line(format!("{at}  {}", in_line(text, 200)))?;
            }
        }
        Ok(())
    }
}

/// Phase, time in this state, and reason, in one line.
fn cause(view: &View, now: Timestamp, zone: &TimeZone) -> String {
    let mut text = format!("{} {}", view.phase, view.iteration);
    if let Some(since) = view.since {
        text += &format!(", for {}", span(now.duration_since(since).max(SignedDuration::ZERO)));
    }
    if let Some(at) = view.last_progress.filter(|_| view.state == Word::Running) {
        text += &format!("; last progress {}", ago(at, now, zone));
    }
    if let Some(doing) = &view.doing {
        text += &format!("; {doing}");
    }
    if let Some(reason) = &view.reason {
        text += &format!(": {reason}");
    }
    // A block because of it has its own words.
    let is_said = |head: &&String| view.reason.as_ref().is_some_and(|why| why.contains(*head));
    if let Some(head) = view.elsewhere.as_ref().filter(|head| !is_said(head)) {
        text += &format!("; {head}");
    }
    if let Some(until) = view.until.filter(|at| *at > now) {
        text += &format!("; until {}", clock(until, now, zone));
    }
    text
}
