//! `samocode why`: why a session is in the state it is in, and what would change that.

use std::process::ExitCode;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::session::state::Word;

use super::chronicle::{self, Item};
use super::context::Context;
use super::output::{self, DIM, in_line, painted, state_style};
use super::view::{Units, View};
use super::words::{ago, clock, instant, span};
use super::{Common, sessions};

/// Tell why a session is in the state it is in, and what would change that
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode why jwt-login\n\nAll that happened: samocode history."
)]
pub(super) struct Why {
    /// A name, a dated folder name, or an instance
    session: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// How much of what happened is told, the newest first.
const MOST: usize = 20;

impl Why {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(&self, common: &Common) -> anyhow::Result<()> {
        let context = Context::load_for(common, &self.session)?;
        let session = sessions::find(&context, &self.session)?;
        let units = Units::ask(common.scope()).await;
        let view = View::of(&context.project, &session, units.get(&session.instance).as_ref())?;
        let mut happened = chronicle::read(&session)?;
        happened.retain(|item| matches!(item, Item::Event { .. }));
        happened.reverse();
        let (now, zone) = (Timestamp::now(), TimeZone::system());
        let (cause, remedy) = (cause(&view, now, &zone), remedy(&view));
        if self.json {
            return output::json(&serde_json::json!({
                "session": view.session,
                "state": view.state,
                "phase": view.phase,
                "iteration": view.iteration,
                "since": view.since,
                "cause": cause,
                "remedy": remedy,
                "events": happened,
            }));
        }
        let state = painted(state_style(view.state), format!("{:11}", view.state.as_str()));
        output::line(format!("{state}  {}", in_line(&cause, 400)))?;
        output::line(format!("{:11}  {remedy}", ""))?;
        for item in happened.iter().take(MOST) {
            if let Item::Event { at, text, .. } = item {
                let at = painted(DIM, format!("{:11}", instant(*at, now, &zone)));
                output::line(format!("{at}  {}", in_line(text, 200)))?;
            }
        }
        Ok(())
    }
}

/// Where it stands, since when, and why.
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
    if let Some(until) = view.until.filter(|at| *at > now) {
        text += &format!("; until {}", clock(until, now, zone));
    }
    text
}

/// What would change it.
fn remedy(view: &View) -> String {
    let instance = &view.instance;
    let command = view.needs.as_ref().map(|needs| needs.command.as_str()).unwrap_or_default();
    match view.state {
        Word::New => "it begins as soon as its worker runs".to_owned(),
        Word::Running if view.reason.is_some() => {
            format!("have it go on after that: samocode start {instance}")
        }
        Word::Running => "nothing is needed; it goes on by itself".to_owned(),
        Word::Waiting => format!("it goes on after: {command}"),
        Word::Blocked => {
            format!("tell it how: {command}; or have it try again: samocode start {instance}")
        }
        Word::Done => {
            format!("it is finished; a new task: samocode enable {instance} --task \"…\"")
        }
        Word::Stopped => format!("it goes on after: samocode start {instance}"),
        Word::Queued => "it goes on when a running session makes room".to_owned(),
        Word::Limited => "it goes on by itself when the limit is lifted".to_owned(),
        Word::Paused if view.until.is_some() => "it tries again by itself".to_owned(),
        Word::Paused => "mend what is in the way; it goes on by itself then".to_owned(),
        Word::Failed => {
            format!("see what its end was: {command}; then: samocode start {instance}")
        }
    }
}
