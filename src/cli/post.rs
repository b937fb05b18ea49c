//! A word to a session: what it waits for, delivering the word, and having it taken up.

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::service::{self, Action, Active, Recorded, Scope, Spool, Token};
use crate::session::Phase;
use crate::session::WaitsFor;
use crate::session::hook::Hook;
use crate::session::mail::{Kind, Message};
use crate::session::state::Word;

use super::context::{Coded, Context, Usage, one_line};
use super::enable::Unit;
use super::output;
use super::privilege::Raised;
use super::request::{deliver_once, message, sender};
use super::sessions::Session;
use super::watch::Watch;
use super::whereabouts;

/// Exit code when there was nothing to answer.
pub(super) const NOTHING_DONE: u8 = 1;

/// That a session waits for a human; also of one that was stopped while it did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wait {
    /// `qa_answers`, `plan_approval`, `file_update`, `human_action`.
    pub(super) waits_for: WaitsFor,
    /// In which phase.
    pub(super) phase: Phase,
    since: Timestamp,
}

impl Wait {
    /// What a session waits for, if it does.
    pub(super) fn of(hook: &Hook) -> Option<Self> {
        let waits = matches!(hook.state, Word::Waiting | Word::Stopped);
        let waits_for = hook.waits_for.clone().filter(|_| waits)?;
        Some(Self { waits_for, phase: hook.phase, since: hook.since })
    }

    /// The id of a word to this very wait. Said twice it is one message, and what was meant for
    /// one gate never opens the next.
    fn message_id(&self, kind: Kind) -> String {
        format!("{kind}-{}", self.since.as_microsecond())
    }
}

/// Says that nothing was done, and why.
pub(super) fn nothing_done(why: &str) -> ExitCode {
    say_aside!("{why} Nothing done.");
    ExitCode::from(NOTHING_DONE)
}

/// What a session that is not waiting for `what` does instead.
pub(super) fn not_waiting(session: &Session, hook: &Hook, what: &str) -> String {
    let name = &session.name;
    let place = format!("{} {}", hook.phase, hook.iteration);
    let does = match hook.state {
        Word::Running if session.is_worked_on() => format!("{place} is running"),
        Word::New => "it is about to begin".to_owned(),
        Word::Running => format!("{place} was interrupted and goes on at the next start"),
        Word::Waiting => {
            let waits_for = hook.waits_for.clone().unwrap_or(WaitsFor::HumanAction);
            let command = waits_for.answer_command(&session.instance);
            format!("{place} waits for {waits_for}: {command}")
        }
        Word::Blocked => format!(
            "{place} is blocked ({}): samocode send {} \"…\"",
            hook.reason
                .as_deref()
                .map_or_else(|| "no reason given".to_owned(), super::questions::plain),
            session.instance
        ),
        Word::Done => "it is done".to_owned(),
        word => format!("{place} is {word}"),
    };
    format!("{name} is not waiting{what}: {does}.")
}

/// A gate is for somebody else to open.
pub(super) fn check_sender(session: &Session) -> anyhow::Result<()> {
    if sender() == session.instance {
        return Err(Usage(format!(
            "{} cannot answer itself: leave a waiting signal, and let a human or a parent do it",
            session.name
        ))
        .into());
    }
    Ok(())
}

/// What became of a message.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sent {
    session: String,
    instance: String,
    id: String,
    kind: Kind,
    /// What the session was before.
    state: Word,
    /// What comes next.
    pub(super) then: Then,
    /// The same, for people.
    #[serde(skip)]
    text: String,
}

/// How a session comes to its mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Then {
    /// It has taken it.
    Taken,
    /// It is at work, and is shown it live or at its next run.
    AtWork,
    /// Its unit was asked to start and has not taken it yet.
    Woken,
    /// No unit knows it.
    NoUnit,
    /// Its unit could not be asked to start.
    NotWoken,
    /// It was stopped, gave up or is paused, and only `start` brings it back.
    Rests,
    /// It is done, and only a new task brings it back.
    Done,
}

/// How long a session that was woken gets to take its mail, before we say that it has yet to.
const TAKEN: Duration = Duration::from_secs(5);

/// Delivers a word and has the session take it up. A word to a `wait` is said once, however often
/// this is called.
///
/// # Errors
/// For a message that is too large, and what is in the way on disk.
pub(super) async fn post(
    context: &Context,
    session: &Session,
    kind: Kind,
    body: &str,
    wait: Option<&Wait>,
) -> anyhow::Result<Sent> {
    let mut message = message(session, kind, body)?;
    let hook = session.hook()?;
    if let Some(wait) = wait {
        message.id = wait.message_id(kind);
    }
    let (then, trouble) = if session.folder.was_read(&message.id) {
        (Then::Taken, None)
    } else if wait.is_some() && Wait::of(&hook).as_ref() != wait {
        return Err(Coded(
            NOTHING_DONE,
            format!("{} has gone on meanwhile and was not told", session.name),
        )
        .into());
    } else {
        deliver_once(session, &mut message)?;
        rouse(context, session, hook.state, &message).await
    };
    if let Some(trouble) = trouble {
        output::note(&trouble);
    }
    Ok(Sent {
        session: session.name.clone(),
        instance: session.instance.clone(),
        id: message.id,
        kind,
        state: hook.state,
        then,
        text: in_words(session, &hook, kind, then),
    })
}

impl Sent {
    /// Says what became of it: `done` is what was done, as `Sent.`.
    pub(super) fn tell(&self, done: &str) {
        let name = output::painted(output::BOLD, &self.session);
        say!("{done} {name} {}", self.text);
    }
}

fn in_words(session: &Session, hook: &Hook, kind: Kind, then: Then) -> String {
    let instance = &session.instance;
    let place = format!("{} {}", hook.phase, hook.iteration);
    let rests = matches!(hook.state, Word::Waiting | Word::Blocked);
    match then {
        // Only a handoff asks nothing of a session that rests.
        Then::Taken if rests && kind != Kind::Handoff => "is running again.".to_owned(),
        Then::Taken => "has taken it up.".to_owned(),
        Then::AtWork => {
            format!("is at work in {place}: its agent is shown it at once or in its next run.")
        }
        Then::Woken => format!("takes it up when its unit has started: samocode status {instance}"),
        Then::NoUnit => format!(
            "has no unit and takes it up with: samocode start {instance}, or samocode run {instance}"
        ),
        Then::NotWoken => format!("takes it up with: samocode start {instance}"),
        Then::Rests => {
            format!("is {} and takes it up after: samocode start {instance}", hook.state)
        }
        Then::Done => format!(
            "is done and takes it up only with a new task: samocode enable {instance} --task \"…\""
        ),
    }
}

/// Has the session look into its inbox; with a line on what went wrong on the way.
async fn rouse(
    context: &Context,
    session: &Session,
    state: Word,
    message: &Message,
) -> (Then, Option<String>) {
    let at_work = session.is_worked_on();
    match state {
        Word::Done => return (Then::Done, None),
        Word::Stopped | Word::Failed => return (Then::Rests, None),
        Word::Paused if !at_work => return (Then::Rests, None),
        _ => {}
    }
    let Some((scope, recorded)) = unit_of(context, session) else {
        return (if at_work { Then::AtWork } else { Then::NoUnit }, None);
    };
    let watch = Watch::new(&session.folder.inbox());
    let woken = match follow_the_move(context, session, scope, recorded).await {
        Ok(()) => wake_or_start(scope, session).await,
        Err(why) => Err(why),
    };
    // Also one that is at work was asked: it may just have looked for the last time.
    let waits = matches!(state, Word::Waiting | Word::Blocked);
    if at_work && !waits {
        return (Then::AtWork, None);
    }
    let is_taken = || !session.folder.is_unread(&message.id);
    let taken = match (&woken, watch) {
        (Ok(()), Ok(watch)) => tokio::time::timeout(TAKEN, watch.until(is_taken)).await.is_ok(),
        _ => is_taken(),
    };
    match woken {
        _ if taken => (Then::Taken, None),
        Ok(()) => (Then::Woken, None),
        Err(why) => (Then::NotWoken, Some(why)),
    }
}

/// Whose manager has a unit for the session, and what that unit knows.
fn unit_of(context: &Context, session: &Session) -> Option<(Scope, Recorded)> {
    let own = context.common.scope();
    let other = if own == Scope::User { Scope::System } else { Scope::User };
    [own, other].into_iter().find_map(|scope| {
        let recorded = service::recorded(scope, &session.instance).ok().flatten()?;
        whereabouts::is_of(&recorded, &context.project, session.folder.path())
            .then_some((scope, recorded))
    })
}

/// A unit that knows an old place of the session or its project is told the new one.
async fn follow_the_move(
    context: &Context,
    session: &Session,
    scope: Scope,
    recorded: Recorded,
) -> Result<(), String> {
    if !whereabouts::is_astray(&recorded) {
        return Ok(());
    }
    let place = recorded.config.display().to_string();
    let install = async {
        let manager = context.manager().await?;
        Unit::moved(context, session, recorded)?.install(manager.as_ref()).await
    };
    let installed = match scope == context.common.scope() {
        true => install.await.map_err(|error| one_line(&error)),
        false => Err(format!("it is the {scope} service manager's")),
    };
    installed.map_err(|why| {
        format!(
            "its unit still looks for {place} ({why}): tell it with: samocode enable {}",
            session.instance
        )
    })
}

/// Leaves a token for the waker; false where no unit knows the session.
///
/// # Errors
/// When the token cannot be left.
pub(super) fn wake(context: &Context, session: &Session) -> anyhow::Result<bool> {
    let Some((scope, _)) = unit_of(context, session) else { return Ok(false) };
    leave_token(scope, session)?;
    Ok(true)
}

fn leave_token(scope: Scope, session: &Session) -> Result<(), service::Error> {
    // What a unit knows is an instance.
    let Some(token) = Token::new(Action::Start, &session.instance) else { return Ok(()) };
    Spool::of(scope)?.leave(&token)
}

/// The same; where no waker looks, has the manager start the unit.
async fn wake_or_start(scope: Scope, session: &Session) -> Result<(), String> {
    let left = leave_token(scope, session).map_err(|error| error.to_string());
    let _root = Raised::up().map_err(|error| error.to_string())?;
    let manager = match service::connect(scope).await {
        Ok(manager) => manager,
        // A waker may look all the same: a token needs no bus.
        Err(error) => return left.map_err(|_| error.to_string()),
    };
    let why = match left {
        Err(why) => why,
        Ok(()) => match manager.spool_watch().await {
            Ok(watch) if watch.status.active != Active::Active => {
                format!("{} does not run", watch.status.name)
            }
            _ => return Ok(()),
        },
    };
    manager
        .start(&session.instance, &|line| output::note(line))
        .await
        .map_err(|error| format!("the session could not be woken ({why}), nor started: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::state::{Standing, State};

    fn hook(standing: Standing, stopped: bool, since: i64) -> Hook {
        let since = Timestamp::from_second(since).unwrap();
        Hook::of(&State { standing, stopped, since, ..State::default() })
    }

    #[test]
    fn a_word_to_one_wait_is_one_message_and_none_to_the_next_wait() {
        let waiting = Standing::Waiting { waits_for: WaitsFor::PlanApproval, reason: None };
        let id = |since| {
            Wait::of(&hook(waiting.clone(), false, since)).unwrap().message_id(Kind::Approve)
        };
        assert_eq!(id(7), id(7));
        assert_ne!(id(7), id(8));
    }

    #[test]
    fn a_session_that_was_stopped_while_it_waited_still_waits() {
        let waiting = Standing::Waiting { waits_for: WaitsFor::QaAnswers, reason: None };
        assert!(Wait::of(&hook(waiting, true, 7)).is_some());
        assert_eq!(Wait::of(&hook(Standing::Running, true, 7)), None);
        assert_eq!(Wait::of(&hook(Standing::Running, false, 7)), None);
    }
}
