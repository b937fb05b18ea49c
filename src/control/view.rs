//! The public view of a session: what `status --json` prints and every front end shows.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Dirs, Project};
use crate::notify::UnsentFolder;
use crate::notify::unsent::Unsent;
use crate::service::{self, Active, Scope, UnitStatus};
use crate::session::hook::{Hook, KEPT_DYING};
use crate::session::mail::{Kind, Message};
use crate::session::phase::Phase;
use crate::session::state::StateName;
use crate::session::store::{Document, OutageNotes};
use crate::session::{self, Cause, Certainty, WaitsFor};

use super::context::Caller;
use super::documents::merge_command;
use super::error::Result;
use super::questions;
use super::session::Session;
use super::timer::{self, Upcoming};

/// A session, with everything that `status --json` prints about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance name of its unit.
    pub instance: String,
    /// The folder of the project's `.samocode`.
    pub project: String,
    /// The session's own folder.
    pub folder: String,
    /// The folder the agent works in; `None` before it is created.
    pub worktree: Option<String>,
    /// The git branch; `None` before it is created, and in a project without git.
    pub branch: Option<String>,
    /// Where HEAD is, in a sentence, if it is not on that branch.
    #[serde(default)]
    pub elsewhere: Option<String>,
    /// Its state, corrected by what the service manager knows.
    pub state: StateName,
    /// The phase it is in, or will be in when it resumes.
    pub phase: Phase,
    /// The number of the iteration in this phase, from 1.
    pub iteration: u32,
    /// The number of iterations in all phases.
    pub total_iterations: u32,
    /// What the agent is doing now, in a few words.
    pub doing: Option<String>,
    /// When the agent last made progress.
    pub last_progress: Option<Timestamp>,
    /// Since when it has been in this state; `None` if hook and journal are lost.
    pub since: Option<Timestamp>,
    /// When a limit or a pause ends, if known.
    pub until: Option<Timestamp>,
    /// Why it is in this state.
    pub reason: Option<String>,
    /// The cause of a pause, while it is paused.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// The agent's summary of its last iteration.
    pub summary: Option<String>,
    /// What it needs from a human.
    pub needs: Option<Needs>,
    /// The file to read next: the plan or the questions at a gate, the summary at the end.
    #[serde(default)]
    pub read: Option<String>,
    /// The command that merges the branch of a finished session.
    #[serde(default)]
    pub merge: Option<String>,
    /// Its cost so far, in US dollars.
    pub cost_usd: f64,
    /// How many runs, including the current one, used tokens whose cost is unknown.
    #[serde(default)]
    pub unpriced_runs: u32,
    /// Whether the cost of some run is an estimate from its tokens.
    #[serde(default)]
    pub cost_estimated: bool,
    /// Its tokens so far, including those of the current run.
    pub tokens: Tokens,
    /// Its unit; `None` without a service manager.
    pub unit: Option<Unit>,
    /// When it begins on its own, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<Upcoming>,
    /// Other things a human should know, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a session needs from a human, and the command to reply with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// What it is waiting for (`qa_answers`, …), or what would unblock it (`human_decision`, …).
    #[serde(rename = "for")]
    pub waits_for: WaitsFor,
    /// How many questions are open, if it needs answers.
    pub count: Option<usize>,
    /// A command to paste.
    pub command: String,
}

/// Tokens used so far, by kind as prices distinguish them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Read by the model, not counting its cache.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
}

/// The unit of a session, in systemd's own terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The full unit name.
    pub name: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: String,
    /// Automatic restarts since it was last started manually; only when a single session is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
}

impl View {
    /// Builds the view of a session of the project in `root` from its hook and its unit. `unit` is
    /// `None` without a service manager, and inactive if the manager has no such unit.
    pub(crate) fn of(
        caller: &Caller,
        root: &Path,
        session: &Session,
        unit: Option<&UnitStatus>,
    ) -> Result<Self> {
        Self::beside(caller, root, session, unit, &unsent(caller))
    }

    /// The same, given the notices that are [`unsent`], which are the same for all sessions.
    pub(crate) fn beside(
        caller: &Caller,
        root: &Path,
        session: &Session,
        unit: Option<&UnitStatus>,
        unsent: &[Unsent],
    ) -> Result<Self> {
        let mut hook = session.hook()?;
        if let Some(outage) = OutageNotes::of(Dirs::runtime(&caller.env))
            .now(&session.instance, session.folder.path())
        {
            hook.pause(outage.reason, outage.since);
        }
        let has_unit = || {
            [Scope::User, Scope::System]
                .into_iter()
                .any(|scope| matches!(service::recorded(scope, &session.instance), Ok(Some(_))))
        };
        let state = state(&hook, unit, || session.is_worked_on(), has_unit);
        let timer = timer::of(session);
        let is_unbegun = is_unbegun(&hook, state);
        let idle =
            matches!(hook.state, StateName::Running | StateName::Queued) && state != hook.state;
        let reason = if state == StateName::Failed {
            let gave_up = || KEPT_DYING.to_owned();
            let known =
                session.obstacle().or_else(|| (hook.state == StateName::Failed).then(gave_up));
            known.or_else(|| service::last_words(&session.instance))
        } else if idle && state == StateName::Stopped {
            Some(caller.command(&not_running(caller, session)))
        } else if state == StateName::Running && is_to_stop(session) {
            Some("it stops at the end of its iteration".to_owned())
        } else {
            let own = || hook.reason.clone();
            timer.as_ref().filter(|_| is_unbegun).map_or_else(own, |timer| Some(timer.reason()))
        };
        let live = hook.run.as_ref().map(|run| run.tokens).unwrap_or_default();
        let tokens = hook.tokens.plus(live);
        let running = hook.run.as_ref().filter(|_| state == StateName::Running);
        // A worker that was killed meanwhile leaves it there.
        let is_up = matches!(state, StateName::New | StateName::Running);
        let preparing = hook.preparing.take().filter(|_| is_up && session.is_worked_on());
        let kept = hook.conversation.as_ref().filter(|_| running.is_none());
        let kept = kept.and_then(|kept| kept.warning(hook.until, Timestamp::now()));
        Ok(Self {
            session: session.name.clone(),
            instance: session.instance.clone(),
            project: root.display().to_string(),
            folder: session.folder.path().display().to_string(),
            worktree: hook.worktree.clone(),
            branch: hook.branch.clone(),
            elsewhere: hook.elsewhere.clone(),
            state,
            phase: hook.phase,
            iteration: hook.iteration,
            total_iterations: hook.total_iterations,
            doing: running.and_then(|run| run.doing.clone()).or(preparing),
            last_progress: hook.last_progress,
            since: Some(hook.since).filter(|since| *since != Timestamp::UNIX_EPOCH),
            until: hook.until.filter(|_| state != StateName::Stopped),
            reason,
            cause: hook.cause.clone().filter(|_| state == StateName::Paused),
            summary: hook.summary.clone(),
            needs: needs(&hook, session, state)
                .map(|needs| Needs { command: caller.command(&needs.command), ..needs }),
            read: Document::due(state, hook.waits_for.as_ref())
                .and_then(|document| session.folder.document(document))
                .map(|path| path.display().to_string()),
            merge: None,
            cost_usd: hook.cost_usd,
            unpriced_runs: hook.unpriced + u32::from(!live.is_none()),
            cost_estimated: hook.estimated,
            tokens: Tokens { input: tokens.input, output: tokens.output },
            unit: unit.map(|unit| Unit {
                name: crate::service::unit_name(&session.instance),
                active: unit.active.to_string(),
                restarts: None,
            }),
            notes: {
                let told = timer.as_ref().and_then(|timer| timer.note(&session.name, is_unbegun));
                notes(session, hook.notes.into_iter().chain(kept).chain(told).collect(), unsent)
            },
            timer,
        })
    }
}

/// Whether it waits for its time: one that waits for a place gives no reason.
fn is_unbegun(hook: &Hook, state: StateName) -> bool {
    state == StateName::Queued && hook.reason.is_some()
}

/// The hook's notes, and the notices about the session that could not be sent.
fn notes(session: &Session, mut notes: Vec<String>, unsent: &[Unsent]) -> Vec<String> {
    let about = unsent.iter().filter(|unsent| unsent.notice.session == session.instance);
    notes.extend(about.map(Unsent::describe));
    notes
}

/// The notices of all sessions that could not be sent.
pub(crate) fn unsent(caller: &Caller) -> Vec<Unsent> {
    let dirs = Dirs::user(&caller.env);
    dirs.map(|dirs| UnsentFolder::of(&dirs.state).all()).unwrap_or_default()
}

impl View {
    /// The command that resumes it: without a service manager it runs in the foreground.
    #[must_use]
    pub fn start_command(&self) -> String {
        let verb = if self.unit.is_some() { "start" } else { "run" };
        format!("samocode {verb} {}", self.instance)
    }

    /// What is known of its cost.
    #[must_use]
    pub const fn certainty(&self) -> Certainty {
        Certainty { incomplete: self.unpriced_runs > 0, estimated: self.cost_estimated }
    }

    /// Adds what depends on the project's settings.
    #[must_use]
    pub(crate) fn in_project(self, project: &Project) -> Self {
        let merge = merge_command(project, self.state, self.branch.as_deref(), &self.session);
        Self { merge, ..self }
    }
}

/// The reason for a session that should have a worker but has none, with the command to resume it.
fn not_running(caller: &Caller, session: &Session) -> String {
    let instance = &session.instance;
    let registry = service::registry(caller.scope).ok();
    let Some(registry) = registry.filter(|all| matches!(all.recorded(instance), Ok(Some(_))))
    else {
        return format!(
            "it has no worker; resume it with: samocode run {instance}, or as a unit: samocode enable {instance}"
        );
    };
    if registry.starts_at_boot(instance) {
        let when = if service::launchd::is_used() { "login" } else { "boot" };
        format!(
            "its unit is not running; it resumes at the next {when}, or with: samocode start {instance}"
        )
    } else {
        format!("its unit is disabled and not running; resume it with: samocode start {instance}")
    }
}

/// Whether the inbox has a stop, which the worker will read at the end of its iteration.
fn is_to_stop(session: &Session) -> bool {
    let is_stop = |(_, message): &(_, Message)| message.kind == Kind::Stop;
    session.folder.unread().is_ok_and(|unread| unread.messages.iter().any(is_stop))
}

/// The state in the hook, corrected by the service manager and the lock: a hook cannot show that its
/// worker has died.
fn state(
    hook: &Hook,
    unit: Option<&UnitStatus>,
    is_worked_on: impl Fn() -> bool,
    has_unit: impl Fn() -> bool,
) -> StateName {
    match (hook.state, unit.map(|unit| &unit.active)) {
        (StateName::Done | StateName::Stopped, _) => hook.state,
        (_, Some(Active::Failed)) => StateName::Failed,
        (StateName::Running | StateName::Limited | StateName::Paused, active) => {
            let is_up = active.is_some_and(Active::is_up);
            if is_up || is_worked_on() { hook.state } else { StateName::Stopped }
        }
        // It needs no process, but something that can be started.
        (StateName::Queued, _) if !has_unit() && !is_worked_on() => StateName::Stopped,
        (state, _) => state,
    }
}

/// How many questions are open now. The hook only has the number from when the session began to wait.
fn open_questions(hook: &Hook, session: &Session) -> Option<usize> {
    let asked = questions::read(&session.folder).ok().flatten();
    asked.filter(|qa| !qa.questions().is_empty()).map(|qa| qa.waiting()).or(hook.questions)
}

/// The command for a blocked session. Before the first agent there is nobody to write to: it is
/// retried once the cause is fixed.
pub(super) fn unblocking(hook: &Hook, instance: &str) -> String {
    if hook.phase == Phase::Init {
        format!("samocode start {instance}")
    } else {
        format!("samocode send {instance} \"…\"")
    }
}

fn needs(hook: &Hook, of: &Session, state: StateName) -> Option<Needs> {
    let (waits_for, command) = match state {
        StateName::Waiting => {
            let waits_for = hook.waits_for.clone().unwrap_or(WaitsFor::HumanAction);
            let command = waits_for.answer_command(&of.instance);
            (waits_for, command)
        }
        StateName::Blocked => {
            let needs = hook.needs.as_ref().unwrap_or(&session::Needs::HumanDecision);
            (needs.as_str().into(), unblocking(hook, &of.instance))
        }
        StateName::Failed => (
            session::Needs::Investigation.as_str().into(),
            format!("samocode logs {}", of.instance),
        ),
        _ => return None,
    };
    let count =
        if waits_for == WaitsFor::QaAnswers { open_questions(hook, of) } else { hook.questions };
    Some(Needs { waits_for, count, command })
}
