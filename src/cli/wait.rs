//! `samocode wait`: returns when a session needs somebody, instead of sleeping and looking.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use crate::config::values;
use crate::service::{self, ServiceManager, UnitChange};
use crate::session::journal::Event;
use crate::session::mail::Kind;
use crate::session::state::Word;
use crate::session::store::read_journal;

use super::context::Context;
use super::run::code_of;
use super::sessions::{self, Session};
use super::view::{Units, View};
use super::watch::Watch;
use super::{Common, output};

/// Exit code at the timeout, as timeout(1) has it.
const TIMED_OUT: u8 = 124;

/// Wait until a session needs somebody
///
/// Returns as soon as one of the sessions is in a state it does not leave by itself: done, waiting,
/// blocked, stopped, failed, or paused without a time at which it is tried again. With --until: as
/// soon as one is in one of these states.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode wait jwt-login\n  samocode wait jwt-login search-index --until waiting,blocked,done --timeout 2h\n\nExit codes: 0 done, 10 waiting, 11 blocked, 12 stopped, 13 paused, limited or queued, 1 failed or\nanything else, 2 usage, 124 at the timeout."
)]
pub(super) struct Wait {
    /// Names, dated folder names, or instances; the first to get there counts
    #[arg(required = true)]
    sessions: Vec<String>,
    /// States, with commas between
    #[arg(long, value_name = "STATES", value_delimiter = ',', value_parser = word)]
    until: Vec<Word>,
    /// The longest to wait: 90s, 10 min, 2h
    #[arg(long, value_name = "TIME", value_parser = bound)]
    timeout: Option<Duration>,
    /// Print the session as JSON, as status SESSION --json does
    #[arg(long)]
    json: bool,
}

fn word(text: &str) -> Result<Word, String> {
    let text = text.trim().to_lowercase();
    serde_json::from_value(serde_json::Value::String(text)).map_err(|_| {
        "it is one of new, running, waiting, blocked, done, stopped, queued, limited, paused, failed"
            .to_owned()
    })
}

fn bound(text: &str) -> Result<Duration, String> {
    values::duration(text).ok_or_else(|| "it is a time like 90s, 10 min or 2h".to_owned())
}

impl Wait {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let context = Context::load_for(common, &self.sessions[0])?;
        let found = self
            .sessions
            .iter()
            .map(|typed| sessions::find(&context, typed))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let reached = self.first(&context, &found);
        let reached = match self.timeout {
            Some(bound) => tokio::time::timeout(bound, reached).await,
            None => Ok(reached.await),
        };
        let Ok(view) = reached else {
            output::note(&format!("the time is over: {}", where_they_stand(&found)));
            return Ok(ExitCode::from(TIMED_OUT));
        };
        let view = view?;
        let shown = if self.json { output::json(&view) } else { tell(&view) };
        output::until_closed(shown.map(|()| ExitCode::from(code_of(view.state))))
    }

    /// The first session that is where it is waited for.
    async fn first(&self, context: &Context, found: &[Session]) -> anyhow::Result<View> {
        // Listening comes before looking, or what happens between would be missed.
        let mut files = Watch::all(found.iter().map(|session| session.folder.path()))?;
        let mut bus = Bus::listen(context, found).await;
        let mut units = bus.ask().await;
        loop {
            let mut undecided = false;
            for session in found {
                if !session.exists() {
                    bail!("{} is gone: was it archived?", session.folder.path().display());
                }
                // Before the hook is read: one that has ended meanwhile has written it.
                let is_worked_on = session.is_worked_on();
                let unit = units.get(&session.instance);
                let view = View::of(&context.project, session, unit.as_ref())?;
                if !self.is_reached(&view) || is_about_to_go_on(context, session, view.state) {
                    continue;
                }
                if !(is_worked_on && is_taken_up(session, &view)) {
                    return Ok(view);
                }
                undecided = true;
            }
            tokio::select! {
                () = files.changed() => {}
                () = bus.changed() => units = bus.ask().await,
                // A lock that is let go of tells nobody.
                () = tokio::time::sleep(UNDECIDED), if undecided => {}
            }
        }
    }

    fn is_reached(&self, view: &View) -> bool {
        if !self.until.is_empty() {
            return self.until.contains(&view.state);
        }
        match view.state {
            Word::Done | Word::Waiting | Word::Blocked | Word::Stopped | Word::Failed => true,
            Word::Paused => view.until.is_none(),
            Word::New | Word::Running | Word::Queued | Word::Limited => false,
        }
    }
}

/// Whether mail lies in the inbox that lets the session go on, and a unit whose worker will take
/// it: it only stands still for as long as the worker needs to start.
fn is_about_to_go_on(context: &Context, session: &Session, state: Word) -> bool {
    if !matches!(state, Word::Waiting | Word::Blocked) || !session.folder.has_unread() {
        return false;
    }
    let wakes = session.folder.unread().is_ok_and(|unread| {
        let mut kinds = unread.messages.iter().map(|(_, message)| message.kind);
        kinds.any(|kind| !matches!(kind, Kind::Handoff | Kind::Stop))
    });
    let has_unit = service::recorded(context.common.scope(), &session.instance)
        .is_ok_and(|recorded| recorded.is_some());
    wakes && has_unit
}

/// For how long a worker that has just started is left to itself before it is looked at again.
const UNDECIDED: Duration = Duration::from_millis(50);

/// Whether a worker is at a session that came after this had come to rest: it was sent for by a
/// word or a start, and what the hook says is of before.
fn is_taken_up(session: &Session, view: &View) -> bool {
    if matches!(view.state, Word::Paused | Word::Running | Word::Limited | Word::Queued) {
        return false;
    }
    let mut started = None;
    let read = read_journal(&session.folder, |entry| match entry.event {
        Event::WorkerStarted { .. } => started = Some(entry.at),
        Event::WorkerEnded { .. } => started = None,
        _ => {}
    });
    // One that has not said so yet is just starting, or just ending.
    read.is_ok() && started.is_none_or(|started| view.since.is_none_or(|since| started >= since))
}

/// What the service manager tells; where there is none, nothing.
struct Bus {
    manager: Option<Box<dyn ServiceManager>>,
    changes: BoxStream<'static, UnitChange>,
}

impl Bus {
    async fn listen(context: &Context, found: &[Session]) -> Self {
        let instances: Vec<String> = found.iter().map(|session| session.instance.clone()).collect();
        let silent = || futures_util::stream::pending().boxed();
        let manager = match service::connect(context.common.scope()).await {
            Ok(manager) => manager,
            Err(service::Error::NoManager { .. }) => {
                return Self { manager: None, changes: silent() };
            }
            Err(error) => {
                output::note(&format!("{error}; a unit that fails is noticed late"));
                return Self { manager: None, changes: silent() };
            }
        };
        let changes = match manager.watch(&instances).await {
            Ok(changes) => changes,
            Err(error) => {
                output::note(&format!("{error}; a unit that fails is noticed late"));
                silent()
            }
        };
        Self { manager: Some(manager), changes }
    }

    /// Waits until a unit's state is another; status lines come too often to be looked at.
    async fn changed(&mut self) {
        while let Some(change) = self.changes.next().await {
            if change.active.is_some() {
                return;
            }
        }
        // The manager is gone: from now on the files have to do.
        self.manager = None;
        self.changes = futures_util::stream::pending().boxed();
    }

    async fn ask(&self) -> Units {
        match &self.manager {
            Some(manager) => Units::of(manager.as_ref()).await,
            None => Units::none(),
        }
    }
}

fn tell(view: &View) -> anyhow::Result<()> {
    let name = output::painted(output::BOLD, &view.session);
    let word = output::painted(output::state_style(view.state), view.state);
    let why = view
        .reason
        .as_deref()
        .or(view.summary.as_deref())
        .map_or_else(String::new, |why| format!(": {}", output::in_line(why, 200)));
    let next =
        view.needs.as_ref().map_or_else(String::new, |needs| format!("  ({})", needs.command));
    output::line(format!("{name} {word}{why}{next}"))
}

fn where_they_stand(found: &[Session]) -> String {
    let stands = |session: &Session| {
        let state = session.hook().map_or(Word::New, |hook| hook.state);
        format!("{} is {state}", session.name)
    };
    found.iter().map(stands).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_times_are_read_or_refused_with_what_is_allowed() {
        assert_eq!(word(" Waiting"), Ok(Word::Waiting));
        assert!(word("finished").unwrap_err().contains("waiting, blocked, done"));
        assert_eq!(bound("2h"), Ok(Duration::from_secs(7200)));
        assert!(bound("soon").is_err());
    }
}
