//! `samocode why`: why a session is in its current state, and how to change that.

use std::process::ExitCode;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::control::inspect::{Explain, Explained};
use crate::control::timeline::Item;
use crate::control::view::View;
use crate::session::clock;
use crate::session::state::StateName;

use super::format::{ago, clock, instant, span};
use super::output::{self, DIM, painted, shortened, state_style};
use super::{Common, complete, layout, pager};

/// Explain a session's current state, and how to change it
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode why jwt-login\n\nFor the whole story: samocode history jwt-login"
)]
pub(in crate::cli) struct Why {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// The width of states and times.
const LABEL: usize = 11;

/// How many events are shown, newest first.
const MOST: usize = 20;

impl Why {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(&self, common: &Common) -> anyhow::Result<()> {
        let call = Explain { session: self.session.clone() };
        let Explained { view, remedy, events: happened } = common.call(call).await?;
        let (now, zone) = (Timestamp::now(), clock::shown_zone());
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
                "read": view.read,
                "merge": view.merge,
                "notes": view.notes,
                "events": happened,
            }));
        }
        let _paged = pager::paged(true);
        let width = output::width();
        let row = |first: String, text: &str| -> anyhow::Result<()> {
            let lines = layout::wrap(text, &first, &" ".repeat(LABEL + 2), width);
            lines.into_iter().try_for_each(output::line)
        };
        let state = painted(state_style(view.state), format!("{:LABEL$}", view.state.as_str()));
        row(format!("{state}  "), &shortened(&cause, 400, width))?;
        let under = || " ".repeat(LABEL + 2);
        row(under(), &remedy)?;
        for note in &view.notes {
            row(under(), &format!("note: {}", shortened(note, 400, width)))?;
        }
        if let Some(file) = &view.read {
            row(under(), &format!("read {file}"))?;
        }
        if let Some(merge) = &view.merge {
            row(under(), &format!("merge it: {}", layout::glued(merge)))?;
        }
        for item in happened.iter().take(MOST) {
            if let Item::Event { at, text, .. } = item {
                let at = painted(DIM, format!("{:LABEL$}", instant(*at, now, &zone)));
                row(format!("{at}  "), &shortened(text, 200, width))?;
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
    if let Some(at) = view.last_progress.filter(|_| view.state == StateName::Running) {
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
