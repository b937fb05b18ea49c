//! Looking at sessions: all of them, one in detail, one with the reasons for its state.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agent::vocabulary;
use crate::config::{Env, Flags, Settings};
use crate::git;
use crate::service::{self, Active, Scope};
use crate::session::Hint as _;
use crate::session::cached::CachedShares;
use crate::session::journal::Event;
use crate::session::qa::{Answer, Qa};
use crate::session::state::{State, StateName};
use crate::session::store;

use super::channels;
use super::context::{Context, Warnings, is_outside};
use super::convoy;
use super::error::{Error, Result};
use super::merge;
use super::operation::{Operation, Perform};
use super::questions;
use super::queue;
use super::registry;
use super::session::Session;
use super::target::Target;
use super::timeline::{self, Item};
use super::units::Units;
use super::view::{self, View};

/// Finds the sessions that a person typed, without doing anything to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Find {
    /// The sessions, as typed; if empty, all sessions of the project.
    pub sessions: Vec<String>,
}

/// A session that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance name of its unit.
    pub instance: String,
    /// The session's folder, absolute.
    pub folder: PathBuf,
    /// Whether a worker is running it now.
    pub is_worked_on: bool,
}

/// Lists all sessions of the project, newest first; outside any project, all sessions with a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {}

/// Asks for everything about one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Show {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
}

/// Everything `status` can show about one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// The same as in the list of all sessions.
    pub view: View,
    /// Details from the service manager; `None` if there is none.
    pub unit: Option<UnitDetail>,
    /// The task in the human's words.
    pub task: String,
    /// The agent of the last run.
    pub agent: Option<String>,
    /// How the agent of the last run was confined, and what that left open.
    #[serde(default)]
    pub confined: Option<String>,
    /// The commit the branch started from.
    pub base: Option<String>,
    /// How many commits the branch has made since then; `None` if unknown.
    pub commits: Option<usize>,
    /// Id and text of each open question.
    pub questions: Vec<(String, String)>,
}

/// A session's unit, in the service manager's own terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitDetail {
    /// The full unit name.
    pub name: String,
    /// Whether it is running.
    pub active: Active,
    /// `enabled`, `disabled`, …; empty if there is no unit file.
    pub enabled: String,
    /// Automatic restarts since it was last started manually.
    pub restarts: u32,
    /// Why it ended: `success`, `exit-code`, `watchdog`, …
    pub result: String,
    /// The worker's process id.
    pub main_pid: Option<u32>,
    /// The cgroup, relative to the cgroup root; empty if the unit is not running.
    pub cgroup: String,
}

/// Asks why a session is in its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explain {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
}

/// A session's state, and what led to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// The session, with the reason for its state.
    pub view: View,
    /// What would change its state, as a clause: "it resumes after: …".
    pub remedy: String,
    /// What happened between the iterations, newest first.
    pub events: Vec<Item>,
}

#[async_trait]
impl Perform for Find {
    async fn perform(self, on: &Operation<'_>) -> Result<Vec<Found>> {
        let (context, mut found) = Target::resolve_all(on.caller, &on.warnings, &self.sessions)?;
        if self.sessions.is_empty() {
            found = registry::all(&context)?;
        }
        let found = found.into_iter().map(|session| Found {
            is_worked_on: session.is_worked_on(),
            folder: session.folder.path().to_owned(),
            session: session.name,
            instance: session.instance,
        });
        Ok(found.collect())
    }
}

#[async_trait]
impl Perform for List {
    async fn perform(self, on: &Operation<'_>) -> Result<Vec<View>> {
        let scope = on.caller.scope;
        let found = if is_outside(on.caller) {
            registry::recorded(scope, &on.warnings)?
        } else {
            let context = Context::here(on.caller, &on.warnings)?;
            queue::look(&context);
            let root = &context.project.root;
            let all = registry::all_with_units(&context)?.into_iter();
            all.map(|session| (root.clone(), session)).collect()
        };
        let units = Units::ask(scope, &on.warnings).await;
        let unsent = view::unsent(on.caller);
        let mut views = Vec::with_capacity(found.len());
        let mut errors = Vec::new();
        for (root, session) in &found {
            let unit = units.get(&session.instance);
            match View::beside(on.caller, root, session, unit.as_ref(), &unsent) {
                Ok(view) => views.push(view),
                Err(error) => {
                    let message = format!("{} cannot be shown: {}", session.name, error.message);
                    errors.push(Error { message, ..error });
                }
            }
        }
        // A list that is empty for this reason would say that there are no sessions.
        let first = if views.is_empty() { errors.pop() } else { None };
        errors.iter().for_each(|error| on.warnings.add(error.in_one_line()));
        first.map_or(Ok(views), Err)
    }
}

/// What a person should know of a session beside its state.
fn notes(on: &Operation<'_>, context: &Context, session: &Session) -> Vec<String> {
    let notes =
        [merge::note(context, session), convoy::note(context, session), questions::note(session)];
    let notes = notes.into_iter().flatten().chain(channels::mistakes(context));
    notes.map(|note| on.caller.command(&note)).collect()
}

#[async_trait]
impl Perform for Show {
    async fn perform(self, on: &Operation<'_>) -> Result<Detail> {
        let Target { context, session } = on.resolve(&self.session)?;
        let found = unit(on.caller.scope, &session, &on.warnings).await;
        let status = found.as_ref().map(|found| &found.status);
        let view = View::of(&context.caller, &context.project.root, &session, status)?;
        let mut view = view.in_project(&context.project);
        view.notes.extend(notes(on, &context, &session));
        let unit = found.map(|found| UnitDetail {
            name: found.status.name,
            active: found.status.active,
            enabled: found.enabled.to_string(),
            restarts: found.restarts,
            result: found.result.to_string(),
            main_pid: found.main_pid,
            cgroup: found.cgroup,
        });
        if let (Some(shown), Some(unit)) = (&mut view.unit, &unit) {
            shown.restarts = Some(unit.restarts);
        }
        let (mut agent, mut confined) = (None, None);
        let (state, _) = store::read_journal(&session.folder, |entry| {
            if let Event::RunStarted(started) = &entry.event {
                agent = Some(started.agent.clone());
                confined.clone_from(&started.confined);
            }
        })?;
        let qa = store::read(&session.folder.qa())?.unwrap_or_default();
        let qa = Qa::parse(String::from_utf8_lossy(&qa).into_owned());
        let open = qa.questions().iter().filter(|question| question.answer == Answer::Waiting);
        if view.state == StateName::Done
            && let (Some(folder), Some(branch)) = (state.working_dir(), state.branch())
            && let Ok(files @ 1..) = git::changed_files(Path::new(folder)).await
        {
            let (are, they) =
                if files == 1 { ("file is", "it is") } else { ("files are", "they are") };
            on.warnings.add(format!(
                "{files} {are} not committed in {folder}; {they} not part of branch {branch}"
            ));
        }
        Ok(Detail {
            commits: commits(&state),
            questions: open.map(|question| (question.id.clone(), question.text.clone())).collect(),
            view,
            unit,
            task: state.task,
            confined,
            agent: agent.map(|word| named_agent(&context, &session, word)),
            base: state.place.and_then(|place| place.base),
        })
    }
}

/// The agent of the last run: its word in the journal, or its whole command line if that is known.
fn named_agent(context: &Context, session: &Session, word: String) -> String {
    let recorded = service::recorded(context.scope(), &session.instance).ok().flatten();
    let env: Env = match recorded {
        Some(recorded) => recorded.environment.into_iter().collect(),
        None => context.caller.env.clone(),
    };
    let mut env = env;
    env.set_default("HOME", &context.dirs.home);
    let words = vocabulary();
    let settings = Settings::load(&words, Some(&context.project), &env, &Flags::default());
    let Ok(settings) = settings else { return word };
    let mut chosen = settings.agents().map(|(_, agent)| agent);
    match chosen.find(|agent| agent.word() == word && agent.command().is_some()) {
        Some(agent) => agent.to_string(),
        None => word,
    }
}

/// The session's unit; `None` without a service manager. Other errors become warnings.
async fn unit(scope: Scope, session: &Session, warnings: &Warnings) -> Option<service::UnitDetail> {
    let manager = match service::connect(scope).await {
        Ok(manager) => manager,
        Err(service::Error::NoManager { .. }) => return None,
        Err(error) => {
            warnings.add(error.in_one_line());
            return None;
        }
    };
    match manager.unit(&session.instance).await {
        Ok(detail) => Some(detail),
        Err(error) => {
            warnings.add(error.in_one_line());
            None
        }
    }
}

/// How many commits the branch has made since it started; `None` if that cannot be read.
fn commits(state: &State) -> Option<usize> {
    let (folder, branch, base) = (state.working_dir()?, state.branch()?, state.base()?);
    git::commits_of(Path::new(folder), branch, base).ok()
}

#[async_trait]
impl Perform for Explain {
    async fn perform(self, on: &Operation<'_>) -> Result<Explained> {
        let Target { context, session } = on.resolve(&self.session)?;
        let units = Units::ask(on.caller.scope, &on.warnings).await;
        let unit = units.get(&session.instance);
        let view = View::of(&context.caller, &context.project.root, &session, unit.as_ref())?;
        let mut view = view.in_project(&context.project);
        let mut shares = CachedShares::default();
        store::read_journal(&session.folder, |entry| shares.take(&entry.event))?;
        view.notes.extend(notes(on, &context, &session));
        view.notes.extend(shares.fall().map(|fall| fall.describe()));
        let mut events = timeline::read(&session)?;
        events.retain(|item| matches!(item, Item::Event { .. }));
        events.reverse();
        Ok(Explained { remedy: on.caller.command(&remedy(&view)), view, events })
    }
}

/// What would change a session's state.
fn remedy(view: &View) -> String {
    let instance = &view.instance;
    let command = view.needs.as_ref().map(|needs| needs.command.as_str()).unwrap_or_default();
    match view.state {
        StateName::New if view.unit.as_ref().is_some_and(|unit| unit.active != "inactive") => {
            "it starts as soon as its worker runs".to_owned()
        }
        StateName::New => format!("nothing runs it; begin it with: {}", view.start_command()),
        StateName::Running if view.reason.is_some() => {
            format!("to keep it running after that: samocode start {instance}")
        }
        StateName::Running => "nothing; it is working".to_owned(),
        StateName::Waiting => format!("it resumes after: {command}"),
        // Before its first run there is no agent to tell.
        StateName::Blocked if command == view.start_command() => {
            format!("fix the cause, then let it retry: {command}")
        }
        StateName::Blocked => {
            format!("tell it what to do: {command}; or let it retry: {}", view.start_command())
        }
        StateName::Done => {
            format!("give it a new task with: samocode enable {instance} --task \"…\"")
        }
        StateName::Stopped => format!("it resumes after: {}", view.start_command()),
        StateName::Queued if view.timer.is_some() => format!(
            "to start it now: samocode start {instance}; to call it off: samocode stop {instance}"
        ),
        StateName::Queued => view
            .reason
            .clone()
            .unwrap_or_else(|| "it starts when a running session makes room".to_owned()),
        StateName::Limited => "nothing; it resumes when the limit ends".to_owned(),
        StateName::Paused if view.until.is_some() => "nothing; it retries on its own".to_owned(),
        StateName::Paused => "fix the problem; it then resumes on its own".to_owned(),
        StateName::Failed => {
            format!("find out why: {command}; then: samocode start {instance}")
        }
    }
}
