//! Having a session look into its inbox: a token for the waker, else a start by the manager.

use std::time::Duration;

use crate::service::{self, Action, Active, Recorded, Scope, Spool, Token, quiet};
use crate::session::mail::Message;
use crate::session::state::Word;

use super::context::Context;
use super::error::Result;
use super::folders::FolderWatch;
use super::install::UnitFiles;
use super::post::Then;
use super::privilege::Raised;
use super::session::Session;
use super::whereabouts;

/// How long a session that was woken gets to take its mail, before we say that it has yet to.
const TAKEN: Duration = Duration::from_secs(5);

/// Has the session look into its inbox; with a line on what went wrong on the way.
pub(super) async fn rouse(
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
    let watch = FolderWatch::new(&session.folder.inbox());
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
    let own = context.scope();
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
        UnitFiles::moved(context, session, recorded)?.install(manager.as_ref(), &quiet).await
    };
    let installed = match scope == context.scope() {
        true => install.await.map_err(|error| error.in_one_line()),
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
pub(crate) fn wake(context: &Context, session: &Session) -> Result<bool> {
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
        .start(&session.instance, &quiet)
        .await
        .map_err(|error| format!("the session could not be woken ({why}), nor started: {error}"))
}
