//! Waking a session to read its inbox: with a token for the waker, or by starting its unit.

use std::time::Duration;

use crate::service::{self, Action, Active, Recorded, Scope, Spool, Token, quiet};
use crate::session::Hint as _;
use crate::session::mail::Message;
use crate::session::state::StateName;

use super::context::Context;
use super::error::Result;
use super::folders::FolderWatch;
use super::install::UnitFiles;
use super::post::Then;
use super::privilege::Raised;
use super::session::Session;
use super::whereabouts;

/// How long a woken session gets to read its mail before we report that it has not yet done so.
const TAKEN: Duration = Duration::from_secs(5);

/// Wakes the session to read its inbox. Returns what happens to the message, and a warning if the
/// session could not be woken.
pub(super) async fn rouse(
    context: &Context,
    session: &Session,
    state: StateName,
    message: &Message,
) -> (Then, Option<String>) {
    let at_work = session.is_worked_on();
    match state {
        StateName::Done => return (Then::Done, None),
        StateName::Stopped | StateName::Failed => return (Then::Rests, None),
        StateName::Paused if !at_work => return (Then::Rests, None),
        _ => {}
    }
    let Some((scope, recorded)) = unit_of(context, session) else {
        return (if at_work { Then::AtWork } else { Then::NoUnit }, None);
    };
    let watch = FolderWatch::new(&session.folder.inbox());
    let woken = match follow_the_move(context, session, scope, recorded).await {
        Ok(()) => wake_or_start(scope, session).await,
        Err(why) => Err(why),
    };
    // A running session was woken too: it may just have read its inbox for the last time.
    let waits = matches!(state, StateName::Waiting | StateName::Blocked);
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
        // A token waits for the waker, and without a manager there is none.
        Ok(()) if scope == context.scope() => match context.manager().await {
            Ok(_) => (Then::Woken, None),
            Err(error) => (Then::NotWoken, Some(error.in_one_line())),
        },
        Ok(()) => (Then::Woken, None),
        Err(why) => (Then::NotWoken, Some(why)),
    }
}

/// The unit of the session, and the service manager it belongs to: the caller's scope first.
fn unit_of(context: &Context, session: &Session) -> Option<(Scope, Recorded)> {
    let own = context.scope();
    let other = if own == Scope::User { Scope::System } else { Scope::User };
    [own, other].into_iter().find_map(|scope| {
        let recorded = service::recorded(scope, &session.instance).ok().flatten()?;
        whereabouts::is_of(&recorded, &context.project, session.folder.path())
            .then_some((scope, recorded))
    })
}

/// Updates the paths in the unit of a session that was moved, or whose project was moved.
async fn follow_the_move(
    context: &Context,
    session: &Session,
    scope: Scope,
    recorded: Recorded,
) -> Result<(), String> {
    if !whereabouts::has_missing_paths(&recorded) {
        return Ok(());
    }
    let place = recorded.config.display().to_string();
    let install = async {
        let manager = context.manager().await?;
        UnitFiles::moved(context, session, recorded)?.install(manager.as_ref(), &quiet).await
    };
    let installed = match scope == context.scope() {
        true => install.await.map_err(|error| error.in_one_line()),
        false => Err(format!("it belongs to the {scope} service manager")),
    };
    installed.map_err(|why| {
        format!(
            "its unit still has the old path {place} ({why}); fix it with: samocode enable {}",
            session.instance
        )
    })
}

/// Leaves a token for the waker; false if the session has no unit.
///
/// # Errors
/// If the token cannot be written.
pub(crate) fn wake(context: &Context, session: &Session) -> Result<bool> {
    let Some((scope, _)) = unit_of(context, session) else { return Ok(false) };
    leave_token(scope, session)?;
    Ok(true)
}

fn leave_token(scope: Scope, session: &Session) -> Result<(), service::Error> {
    // The instance of an existing unit is always a valid token.
    let Some(token) = Token::new(Action::Start, &session.instance) else { return Ok(()) };
    Spool::of(scope)?.leave(&token)
}

/// Leaves a token for the waker; if the waker is not running, starts the unit instead.
async fn wake_or_start(scope: Scope, session: &Session) -> Result<(), String> {
    let left = leave_token(scope, session).map_err(|error| error.in_one_line());
    let _root = Raised::up().map_err(|error| error.to_string())?;
    let manager = match service::connect(scope).await {
        Ok(manager) => manager,
        // The waker may still be running: it needs no D-Bus.
        Err(error) => return left.map_err(|_| error.in_one_line()),
    };
    let why = match left {
        Err(why) => why,
        Ok(()) => match manager.spool_watch().await {
            Ok(watch) if watch.status.active != Active::Active => {
                format!("{} is not running", watch.status.name)
            }
            _ => {
                // Without it the waker comes later.
                let _ = manager.hurry_waker().await;
                return Ok(());
            }
        },
    };
    manager.start(&session.instance, &quiet).await.map_err(|error| {
        format!("cannot wake the session ({why}) or start it: {}", error.in_one_line())
    })
}
