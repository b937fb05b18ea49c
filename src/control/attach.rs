//! Taking an agent's conversation over in a terminal, and handing it back.
//!
//! The session is stopped and its lock held, so that nothing else runs it. A conversation in the
//! middle of the work is journaled as one more run of the agent: a signal written there counts, and
//! a terminal that is killed is a run that was lost, which the next worker resumes. Only the holder
//! of the lock and the terminal can do this, so it is no call that travels to another machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agent::environment::RunIds;
use crate::agent::{Agent, Environment, Identity, Launch, REGISTRY, Task};
use crate::config::{Flags, Settings};
use crate::git;
use crate::service::{self, Progress};
use crate::session::journal::Event;
use crate::session::mail::Kind;
use crate::session::state::{State, StateName};
use crate::session::store::{Journal, Lock, LockError, read_journal};
use crate::session::{Phase, clock, event, stamp};
use crate::worker::decide::next_run;
use crate::worker::port_base;

use super::context::{Answer, Caller, Context, Warnings};
use super::error::{Attempt as _, Class, Error, Result};
use super::install::UnitFiles;
use super::operation::{Operation, Perform as _};
use super::request::{deliver_last, message, vouch};
use super::session::Session;
use super::stop::{Stop, StopEnd};
use super::target::Target;
use super::unit;
use place::Place;

mod place;

/// Which conversation to take over, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attach {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// Interrupt the run instead of waiting for the iteration's end.
    pub now: bool,
}

/// The agent's interactive program, ready to start.
#[derive(Debug)]
pub struct Interactive {
    /// The agent's program, by its absolute path.
    pub program: PathBuf,
    /// The arguments that resume the conversation interactively.
    pub args: Vec<OsString>,
    /// Its complete environment; nothing is inherited.
    pub environment: Vec<(OsString, OsString)>,
    /// Its working folder: the session's worktree.
    pub folder: PathBuf,
}

/// A conversation that was taken over. Dropped without [`Attachment::leave`], as when the terminal
/// is killed, it leaves the session stopped.
#[derive(Debug)]
pub struct Attachment {
    context: Context,
    session: Session,
    lock: Lock,
    /// Whether it is a run of the agent; otherwise the session waits or is done, and stays so.
    is_run: bool,
    began: Timestamp,
    before: Place,
    _temporary: tempfile::TempDir,
    /// The program to start.
    pub interactive: Interactive,
    /// The session's name, without date and project.
    pub name: String,
    /// Whether the session is done, and stays so.
    pub is_done: bool,
}

/// A conversation that was handed back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The instance of the session's unit, which every verb takes as a name.
    pub instance: String,
    /// What happened meanwhile, as the agent's next prompt describes it.
    pub note: String,
    /// Whether the session was started again.
    pub resumed: bool,
    /// Whether it is done: only a new task gets it going.
    #[serde(default)]
    pub done: bool,
}

/// Variables that a program on a terminal needs and an agent's environment lacks.
pub(super) const OF_TERMINALS: [&str; 9] = [
    "TERM",
    "COLORTERM",
    "TERM_PROGRAM",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "SSH_TTY",
];

/// The last run: its id, its agent and its conversation.
struct LastRun {
    run: String,
    agent: String,
    command: Option<String>,
    conversation: String,
}

/// Stops the session and takes its conversation over.
pub async fn attach(
    caller: &Caller,
    request: Attach,
    progress: Progress<'_>,
) -> Answer<Attachment> {
    let on = Operation { caller, warnings: Warnings::default(), progress };
    let result = request.perform(&on).await.map_err(|error| caller.pasteable(error));
    Answer { result, warnings: on.warnings.take() }
}

impl Attach {
    async fn perform(self, on: &Operation<'_>) -> Result<Attachment> {
        let Target { context, session } = on.resolve(&self.session)?;
        let name = session.name.clone();
        if on.caller.voucher().is_none() {
            return Err(Error::refused(format!("an agent in a run cannot take over {name}")));
        }
        // Everything that can be checked is, before the session is stopped.
        let last = last_run(&session)?;
        let unit = UnitFiles::new(&context, &session, &Flags::default())?;
        let agent = agent_of(&last, &unit, on.caller, &name)?;
        if agent.interactive(&Task::default()).is_none() {
            let agent = agent.name();
            let message = format!("the agent of {name}, {agent}, has no interactive mode");
            let hint = format!("write to it: samocode send {} \"…\"", session.instance);
            return Err(Error::refused(message).hint(hint));
        }
        let folder = session.hook()?.worktree.map(PathBuf::from);
        let folder = folder.filter(|folder| folder.is_dir()).ok_or_else(|| {
            Error::new(Class::NotFound, format!("the worktree of {name} does not exist"))
                .hint(format!("samocode why {}", session.instance))
        })?;
        self.stop(on, &session).await?;
        let lock = take(&session)?;
        // Before it stopped it may have begun another.
        let last = last_run(&session)?;
        let agent = agent_of(&last, &unit, on.caller, &name)?;
        let mut journal = Journal::open(&session.folder, &lock)?;
        let rests = resting(journal.state());
        let is_run = !matches!(rests, StateName::Waiting | StateName::Done);
        if is_run {
            // A signal of a run that has not been settled yet still counts.
            if journal.state().open_run().is_none() {
                session.folder.clear_signal()?;
            }
            start_run(&session, &mut journal, &last)?;
        }
        let before = Place::of(&session, &folder).await;
        let temporary = tempfile::Builder::new().prefix("samocode-attach-").tempdir();
        let temporary = temporary.attempt(|| "make a temporary folder".to_owned())?;
        let state = journal.state();
        let ids = RunIds {
            session: session.instance.clone(),
            session_dir: session.folder.path().to_owned(),
            phase: state.phase(),
            iteration: state.total,
            run: last.run,
            tmpdir: temporary.path().to_owned(),
            port_base: port_base(&context.dirs.state, session.folder.path())?,
            own_caches: unit.settings.own_caches.clone(),
            path_additions: agent.path_additions().to_vec(),
        };
        let file = context.env_file()?;
        let environment = REGISTRY.environment(&unit.env, &file, agent.name(), &ids);
        let mut environment: Vec<(OsString, OsString)> = environment.into_iter().collect();
        let terminal =
            OF_TERMINALS.iter().filter_map(|name| Some((name, on.caller.env.get(name)?)));
        environment.extend(terminal.map(|(name, value)| (name.into(), value.to_owned())));
        let launch = resumed(&agent, last.conversation, &folder, &mut environment)?;
        let Launch { program, args, .. } = launch;
        let interactive = Interactive { program, args, environment, folder };
        Ok(Attachment {
            lock,
            is_run,
            is_done: rests == StateName::Done,
            began: Timestamp::now(),
            before,
            _temporary: temporary,
            interactive,
            name,
            context: context.clone(),
            session,
        })
    }

    /// Stops a session that runs, or that its unit could start meanwhile.
    async fn stop(&self, on: &Operation<'_>, session: &Session) -> Result<()> {
        let has_unit = service::recorded(on.caller.scope, &session.instance)?.is_some();
        if !has_unit && !session.is_worked_on() {
            return Ok(());
        }
        let stop = Stop { session: self.session.clone(), now: self.now };
        match stop.perform(on).await?.end {
            StopEnd::Stopped | StopEnd::WasDone | StopEnd::Done => Ok(()),
            StopEnd::CalledOff => {
                let message = format!("{} was started again while it was stopping", session.name);
                Err(Error::refused(message)
                    .hint(format!("samocode attach {} --now", session.instance)))
            }
            StopEnd::Gone { what } => Err(what),
        }
    }
}

/// Takes the lock. A second attach finds it held, as does one beside `samocode run`.
fn take(session: &Session) -> Result<Lock> {
    match Lock::take(&session.folder) {
        Ok(lock) => Ok(lock),
        Err(LockError::Held(holder)) => {
            let message = format!("{} is already attached, by {holder}", session.name);
            Err(Error::refused(message).hint("exit from it there first"))
        }
        Err(LockError::Store(error)) => Err(error.into()),
    }
}

/// How the agent's program resumes the conversation here. Its variables are added, its files written.
fn resumed(
    agent: &Agent,
    conversation: String,
    folder: &Path,
    environment: &mut Environment,
) -> Result<Launch> {
    let identity = git::identity(folder).map(|(name, email)| Identity { name, email });
    let task = Task {
        conversation,
        resume: true,
        identity,
        environment: environment.clone(),
        ..Task::default()
    };
    let launch = agent.interactive(&task).ok_or_else(|| Error::refused("it has no such mode"))?;
    launch.prepare(environment).map_err(|error| Error::refused(error.to_string()))?;
    Ok(launch)
}

/// The state under a stop.
fn resting(state: &State) -> StateName {
    State { stopped: false, ..state.clone() }.name()
}

fn last_run(session: &Session) -> Result<LastRun> {
    let mut last = None;
    read_journal(&session.folder, |entry| {
        match &entry.event {
            // A reviewer's conversation is over with its verdict.
            Event::RunStarted(started) if started.review.is_none() => {
                let event::RunStarted { run, agent, command, conversation, .. } = started.clone();
                last = Some(LastRun { run, agent, command, conversation });
            }
            Event::ConversationNamed(named) => {
                if let Some(last) =
                    last.as_mut().filter(|last: &&mut LastRun| last.run == named.run)
                {
                    last.conversation.clone_from(&named.conversation);
                }
            }
            _ => {}
        }
    })?;
    last.filter(|last| !last.conversation.is_empty()).ok_or_else(|| {
        let message = format!("{} has no conversation yet", session.name);
        Error::refused(message).hint(format!("samocode start {}", session.instance))
    })
}

/// The agent of the last run, as the settings have it.
fn agent_of(last: &LastRun, unit: &UnitFiles<'_>, caller: &Caller, name: &str) -> Result<Agent> {
    let settings: &Settings = &unit.settings;
    let mut phases = Phase::ALL.into_iter();
    let used = last.command.as_ref().unwrap_or(&last.agent);
    let phase =
        phases.find(|phase| settings.agent(*phase).to_string() == *used).ok_or_else(|| {
            let message = format!(
                "the last run of {name} used {used}, but the settings now name another agent"
            );
            Error::new(Class::Configuration, message).hint("samocode config")
        })?;
    Ok(REGISTRY.agent(settings.agent(phase), phase, settings, &unit.env, &caller.binary)?)
}

/// Records the conversation on the terminal as a run: with the id of the last one, which is what the
/// agent knows.
fn start_run(session: &Session, journal: &mut Journal, last: &LastRun) -> Result<()> {
    let state = journal.state();
    let numbers = next_run(state);
    let log = stamp::log_file(numbers.total, state.phase(), &clock::local_now());
    let log = log.replace(".jsonl", "-attached.jsonl");
    session.folder.make_subfolders()?;
    drop(session.folder.open_log(&log)?);
    let started = event::RunStarted {
        run: last.run.clone(),
        agent: last.agent.clone(),
        command: last.command.clone(),
        conversation: last.conversation.clone(),
        resume: true,
        phase: state.phase(),
        iteration: numbers.iteration,
        total: numbers.total,
        attempt: numbers.attempt,
        log,
        confined: None,
        review: None,
    };
    Ok(journal.append(Event::RunStarted(started))?)
}

impl Attachment {
    /// Hands the conversation back: with a note for the agent, and unless `stay_stopped` the session
    /// is started.
    pub async fn leave(
        self,
        caller: &Caller,
        stay_stopped: bool,
        progress: Progress<'_>,
    ) -> Answer<Left> {
        let on = Operation { caller, warnings: Warnings::default(), progress };
        let result = self.hand_back(&on, stay_stopped).await;
        let result = result.map_err(|error| caller.pasteable(error));
        Answer { result, warnings: on.warnings.take() }
    }

    async fn hand_back(self, on: &Operation<'_>, stay_stopped: bool) -> Result<Left> {
        let Self { context, session, lock, is_run, is_done, began, before, interactive, .. } = self;
        let after = Place::of(&session, &interactive.folder).await;
        let signalled = is_run && session.folder.signal().exists();
        let note = place::note(began, &before, &after, signalled);
        // One that waits is woken by mail, so only for something.
        if !is_done && (is_run || before != after) {
            let caller = &context.caller;
            let mut message = message(&session, caller, Kind::Text, &note, None)?;
            vouch(caller, &session, &message, caller.sender(&session.instance))?;
            deliver_last(&session.folder, &mut message)?;
        }
        drop(lock);
        let instance = session.instance.clone();
        let has_unit = service::recorded(context.scope(), &instance)?.is_some();
        if stay_stopped || is_done {
            return Ok(Left { instance, note, resumed: false, done: is_done });
        }
        if !has_unit {
            on.warnings.add(format!("it has no unit; it resumes with: samocode run {instance}"));
            return Ok(Left { instance, note, resumed: false, done: false });
        }
        unit::Start { session: instance.clone() }.perform(on).await?;
        Ok(Left { instance, note, resumed: true, done: false })
    }
}
