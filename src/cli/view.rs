//! A session as `status --json` shows it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::{Dirs, Env, Project};
use crate::service::{self, Active, Error, Scope, ServiceManager, UnitStatus};
use crate::session::hook::Hook;
use crate::session::mail::{Kind, Message};
use crate::session::phase::Phase;
use crate::session::state::Word;
use crate::session::store::OutageNotes;
use crate::session::{self, WaitsFor};

use super::sessions::Session;
use super::{output, questions};

/// What workers say whose folders refuse them.
static NOTES: LazyLock<OutageNotes> =
    LazyLock::new(|| OutageNotes::of(Dirs::runtime(&Env::of_process())));

/// The units of all sessions, asked for in one call.
pub(super) struct Units(Option<HashMap<String, UnitStatus>>);

impl Units {
    /// Asks the manager; where there is none, nothing is known of units.
    pub(super) async fn ask(scope: Scope) -> Self {
        match service::connect(scope).await {
            Ok(manager) => Self::of(manager.as_ref()).await,
            Err(Error::NoManager { .. }) => Self(None),
            Err(error) => {
                output::note(&format!("{error}; what follows is without the units"));
                Self(None)
            }
        }
    }

    /// Asks this one.
    pub(super) async fn of(manager: &dyn ServiceManager) -> Self {
        match manager.units().await {
            Ok(units) => {
                Self(Some(units.into_iter().map(|unit| (unit.instance.clone(), unit)).collect()))
            }
            Err(error) => {
                output::note(&format!("{error}; what follows is without the units"));
                Self(None)
            }
        }
    }

    /// Where there is no manager.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// A session's unit; `None` where no manager was asked. One that is not listed is inactive.
    pub(super) fn get(&self, instance: &str) -> Option<UnitStatus> {
        let units = self.0.as_ref()?;
        Some(units.get(instance).cloned().unwrap_or_else(|| UnitStatus {
            instance: instance.to_owned(),
            ..UnitStatus::default()
        }))
    }
}

/// A session, as programs read it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct View {
    pub(super) session: String,
    pub(super) instance: String,
    pub(super) project: String,
    pub(super) folder: String,
    pub(super) worktree: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) state: Word,
    pub(super) phase: Phase,
    pub(super) iteration: u32,
    pub(super) total_iterations: u32,
    pub(super) doing: Option<String>,
    pub(super) last_progress: Option<Timestamp>,
    /// Unknown where hook and journal are lost.
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) reason: Option<String>,
    pub(super) summary: Option<String>,
    pub(super) needs: Option<Needs>,
    pub(super) cost_usd: f64,
    pub(super) tokens: Tokens,
    pub(super) unit: Option<Unit>,
}

/// What a session needs from a human, and the command that gives it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Needs {
    #[serde(rename = "for")]
    pub(super) waits_for: WaitsFor,
    pub(super) count: Option<usize>,
    pub(super) command: String,
}

/// Tokens read and written.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
}

/// The unit, as far as the service manager was asked.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) active: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) restarts: Option<u32>,
}

impl View {
    /// A session from its hook and its unit. `unit` is `None` where no manager was asked, and an
    /// inactive unit where it knows none.
    pub(super) fn of(
        project: &Project,
        session: &Session,
        unit: Option<&UnitStatus>,
    ) -> anyhow::Result<Self> {
        Self::below(&project.root, session, unit)
    }

    /// The same, for a session of the project in `root`.
    pub(super) fn below(
        root: &Path,
        session: &Session,
        unit: Option<&UnitStatus>,
    ) -> anyhow::Result<Self> {
        let mut hook = session.hook()?;
        if let Some(outage) = NOTES.now(&session.instance, session.folder.path()) {
            hook.pause(outage.reason, outage.since);
        }
        let state = state(&hook, unit, || session.is_worked_on());
        let idle = hook.state == Word::Running && state != Word::Running;
        let reason = if state == Word::Failed {
            let gave_up = || "its worker died too often, each time soon after its start".to_owned();
            session.obstacle().or_else(|| (hook.state == Word::Failed).then(gave_up))
        } else if idle && state == Word::Stopped {
            Some(format!(
                "its unit does not run; it goes on at the next boot, or with: samocode start {}",
                session.instance
            ))
        } else if state == Word::Running && is_to_stop(session) {
            Some("it stops at the end of its iteration".to_owned())
        } else {
            hook.reason.clone()
        };
        let running = hook.run.as_ref().filter(|_| state == Word::Running);
        Ok(Self {
            session: session.name.clone(),
            instance: session.instance.clone(),
            project: root.display().to_string(),
            folder: session.folder.path().display().to_string(),
            worktree: hook.worktree.clone(),
            branch: hook.branch.clone(),
            state,
            phase: hook.phase,
            iteration: hook.iteration,
            total_iterations: hook.total_iterations,
            doing: running.and_then(|run| run.doing.clone()),
            last_progress: hook.last_progress,
            since: Some(hook.since).filter(|since| *since != Timestamp::UNIX_EPOCH),
            until: hook.until.filter(|_| state != Word::Stopped),
            reason,
            summary: hook.summary.clone(),
            needs: needs(&hook, session, state),
            cost_usd: hook.cost_usd,
            tokens: Tokens { input: hook.tokens.input, output: hook.tokens.output },
            unit: unit.map(|unit| Unit {
                name: crate::service::unit_name(&session.instance),
                active: unit.active.to_string(),
                restarts: None,
            }),
        })
    }
}

/// Whether a stop lies in the inbox, which the worker takes at the end of its iteration.
fn is_to_stop(session: &Session) -> bool {
    let is_stop = |(_, message): &(_, Message)| message.kind == Kind::Stop;
    session.folder.unread().is_ok_and(|unread| unread.messages.iter().any(is_stop))
}

/// What the hook says, corrected by what the service manager and the lock know: a hook cannot
/// tell that its worker is gone.
fn state(hook: &Hook, unit: Option<&UnitStatus>, is_worked_on: impl Fn() -> bool) -> Word {
    match (hook.state, unit.map(|unit| &unit.active)) {
        (Word::Done | Word::Stopped, _) => hook.state,
        (_, Some(Active::Failed)) => Word::Failed,
        (Word::Running | Word::Limited | Word::Paused, active) => {
            if active.is_some_and(Active::is_up) || is_worked_on() {
                hook.state
            } else {
                Word::Stopped
            }
        }
        (state, _) => state,
    }
}

/// What is open by now: the hook is from the moment the session began to wait.
fn open_questions(hook: &Hook, session: &Session) -> Option<usize> {
    let asked = questions::read(&session.folder).ok().flatten();
    asked.filter(|qa| !qa.questions().is_empty()).map(|qa| qa.waiting()).or(hook.questions)
}

fn needs(hook: &Hook, session: &Session, state: Word) -> Option<Needs> {
    let (waits_for, command) = match state {
        Word::Waiting => {
            let waits_for = hook.waits_for.clone().unwrap_or(WaitsFor::HumanAction);
            let command = waits_for.answer_command(&session.instance);
            (waits_for, command)
        }
        Word::Blocked => {
            let needs = hook.needs.as_ref().unwrap_or(&session::Needs::HumanDecision);
            (needs.as_str().into(), format!("samocode send {} \"…\"", session.instance))
        }
        Word::Failed => (
            session::Needs::Investigation.as_str().into(),
            format!("samocode logs {}", session.instance),
        ),
        _ => return None,
    };
    let count = if waits_for == WaitsFor::QaAnswers {
        open_questions(hook, session)
    } else {
        hook.questions
    };
    Some(Needs { waits_for, count, command })
}
