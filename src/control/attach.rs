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
use crate::agent::{Agent, REGISTRY};
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
}

/// What is to be compared afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    commit: Option<String>,
    changed: Option<usize>,
    phase: Option<Phase>,
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
        let args = agent.interactive(&last.conversation).ok_or_else(|| {
            Error::refused(format!("the agent of {name}, {}, has no interactive mode", last.agent))
                .hint(format!("write to it: samocode send {} \"…\"", session.instance))
        })?;
        let folder = session.hook()?.worktree.map(PathBuf::from);
        let folder = folder.filter(|folder| folder.is_dir()).ok_or_else(|| {
            Error::new(Class::NotFound, format!("the worktree of {name} does not exist"))
                .hint(format!("samocode why {}", session.instance))
        })?;
        self.stop(on, &session).await?;
        let lock = take(&session)?;
        let mut journal = Journal::open(&session.folder, &lock)?;
        let is_run = !matches!(resting(journal.state()), StateName::Waiting | StateName::Done);
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
        let interactive =
            Interactive { program: agent.program().to_owned(), args, environment, folder };
        Ok(Attachment {
            lock,
            is_run,
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

/// The state under a stop.
fn resting(state: &State) -> StateName {
    State { stopped: false, ..state.clone() }.name()
}

fn last_run(session: &Session) -> Result<LastRun> {
    let mut last = None;
    read_journal(&session.folder, |entry| {
        // A reviewer's conversation is over with its verdict.
        if let Event::RunStarted(started) = &entry.event
            && started.review.is_none()
        {
            let event::RunStarted { run, agent, command, conversation, .. } = started.clone();
            last = Some(LastRun { run, agent, command, conversation });
        }
    })?;
    last.ok_or_else(|| {
        let message = format!("{} has not run yet: there is no conversation", session.name);
        Error::refused(message).hint(format!("samocode start {}", session.instance))
    })
}

/// The agent of the last run, as the settings have it.
fn agent_of(last: &LastRun, unit: &UnitFiles<'_>, caller: &Caller, name: &str) -> Result<Agent> {
    let settings: &Settings = &unit.settings;
    let mut phases = Phase::ALL.into_iter();
    let phase =
        phases.find(|phase| settings.agent(*phase).word() == last.agent).ok_or_else(|| {
            let message = format!(
                "the last run of {name} used {}, but the settings now name another agent",
                last.agent
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

impl Place {
    async fn of(session: &Session, folder: &Path) -> Self {
        Self {
            commit: git::head(folder).ok().and_then(|head| head.commit),
            changed: git::changed_files(folder).await.ok(),
            phase: session.overview().status().phase,
        }
    }
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
        let Self { context, session, lock, is_run, began, before, interactive, .. } = self;
        let after = Place::of(&session, &interactive.folder).await;
        let signalled = is_run && session.folder.signal().exists();
        let note = note(began, &before, &after, signalled);
        let is_done = read_journal(&session.folder, |_| {})?.0.name() == StateName::Done;
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
            return Ok(Left { instance, note, resumed: false });
        }
        if !has_unit {
            on.warnings.add(format!("it has no unit; it resumes with: samocode run {instance}"));
            return Ok(Left { instance, note, resumed: false });
        }
        unit::Start { session: instance.clone() }.perform(on).await?;
        Ok(Left { instance, note, resumed: true })
    }
}

/// What happened, for the agent and the human.
fn note(began: Timestamp, before: &Place, after: &Place, signalled: bool) -> String {
    let zone = clock::local_zone();
    let at = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%H:%M").to_string();
    let mut text = format!(
        "A human took this conversation over in a terminal from {} to {}.",
        at(began),
        at(Timestamp::now())
    );
    if before.commit != after.commit {
        let commit = after.commit.as_deref().unwrap_or("none");
        text += &format!(" There are new commits: HEAD is {commit}.");
    }
    match after.changed.filter(|_| before.changed != after.changed) {
        Some(0) => text += " All changes are committed.",
        Some(1) => text += " 1 file has changes that are not committed.",
        Some(files) => text += &format!(" {files} files have changes that are not committed."),
        None => {}
    }
    if before.phase != after.phase
        && let Some(phase) = after.phase
    {
        text += &format!(" The phase was set to {phase}.");
    }
    if signalled {
        text += " A signal was written, and it counts.";
    }
    if before == after && !signalled {
        text += " Nothing was changed.";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_says_what_changed_and_nothing_else() {
        let place = |commit: &str, changed, phase| Place {
            commit: Some(commit.to_owned()),
            changed: Some(changed),
            phase: Some(phase),
        };
        let before = place("3f2a9c1", 0, Phase::Implementation);
        let told = |after: &Place, signalled| note(Timestamp::now(), &before, after, signalled);
        assert!(told(&before, false).ends_with(" Nothing was changed."));
        assert!(told(&before, true).ends_with(" A signal was written, and it counts."));
        let after = place("88c1d20", 2, Phase::Testing);
        let text = told(&after, false);
        for part in ["HEAD is 88c1d20", "2 files have changes", "The phase was set to testing"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("Nothing") && !text.contains("signal"), "{text}");
    }
}
