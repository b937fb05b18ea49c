//! What a session's agent may do with other sessions: only what is below its own, the sessions that
//! it began and those that they began.

use std::collections::HashSet;

use super::context::{Caller, Context};
use super::error::{Error, Result};
use super::session::Session;
use super::target;

/// Refuses the agent of a session that acts on one that is not below it.
///
/// # Errors
/// [`Class::Refused`](super::error::Class::Refused), and those of the disk.
pub(super) fn check(context: &Context, session: &Session) -> Result<()> {
    let Some(own) = context.caller.session() else { return Ok(()) };
    if is_below(context, session, own)? {
        return Ok(());
    }
    let name = &session.name;
    let what = if session.instance == own {
        format!("{name} is your own session: a run cannot start or stop it")
    } else {
        format!("{name} is not below your session: an agent may act only on sessions that it began")
    };
    Err(Error::refused(what).hint("write to it, or to the human: samocode send --to human \"…\""))
}

/// Whether a session was begun by the one with the instance `above`, or by one below that.
fn is_below(context: &Context, session: &Session, above: &str) -> Result<bool> {
    let mut seen = HashSet::new();
    let mut parent = session.state()?.parent;
    while let Some(name) = parent {
        if name == above {
            return Ok(true);
        }
        // A journal that was edited may name a circle, or one that no longer exists.
        let next = target::resolve(context, &name).ok().filter(Session::exists);
        let next = next.filter(|_| seen.insert(name));
        parent = next.map(|session| session.state()).transpose()?.and_then(|state| state.parent);
    }
    Ok(false)
}

/// The parent of a session to be begun: the one that was named, else the caller's own session.
///
/// # Errors
/// If there is no such session, or it is not the caller's own and not below it.
pub(super) fn parent(
    caller: &Caller,
    context: &Context,
    named: Option<&str>,
) -> Result<Option<String>> {
    let Some(named) = named else { return Ok(caller.session().map(str::to_owned)) };
    let session = target::resolve(context, named)?;
    if !session.exists() {
        return Err(Error::usage(format!("there is no session '{named}' to be the parent")));
    }
    if caller.session().is_some_and(|own| own != session.instance) {
        check(context, &session)?;
    }
    Ok(Some(session.instance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::context::Warnings;
    use crate::control::host::tests::caller;
    use crate::session::event;
    use crate::session::journal::Event;
    use crate::session::store::{Journal, Lock};

    #[test]
    fn an_agent_acts_on_what_it_began_and_on_what_that_began_and_on_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let human = caller(root.path());
        let context = Context::here(&human, &Warnings::default()).unwrap();
        let begin = |name: &str, parent: Option<&str>| {
            let session = target::resolve(&context, name).unwrap();
            std::fs::create_dir_all(session.folder.path()).unwrap();
            let lock = Lock::take(&session.folder).unwrap();
            let created = event::Created {
                name: name.into(),
                task: "t".into(),
                dive: None,
                parent: parent.map(str::to_owned),
            };
            let mut journal = Journal::open(&session.folder, &lock).unwrap();
            journal.append(Event::Created(created)).unwrap();
        };
        for (name, parent) in [
            ("lead", None),
            ("impl", Some("lead")),
            ("detail", Some("impl")),
            ("other", None),
            ("round", Some("trip")),
            ("trip", Some("round")),
            ("orphan", Some("gone")),
        ] {
            begin(name, parent);
        }
        let mut agent = human.clone();
        agent.env.set("SAMOCODE_SESSION", "lead");
        let lead = Context { caller: agent.clone(), ..context.clone() };
        let session = |name: &str| target::resolve(&context, name).unwrap();
        for name in ["impl", "detail"] {
            assert_eq!(check(&lead, &session(name)), Ok(()), "{name}");
        }
        for name in ["other", "round", "orphan"] {
            let error = check(&lead, &session(name)).unwrap_err();
            assert!(error.message.contains("is not below your session"), "{error:?}");
            assert_eq!(check(&context, &session(name)), Ok(()), "a human may");
        }
        assert!(check(&lead, &session("lead")).unwrap_err().message.contains("your own session"));

        assert_eq!(parent(&human, &context, None), Ok(None));
        assert_eq!(parent(&human, &context, Some("lead")), Ok(Some("lead".into())));
        assert_eq!(parent(&agent, &lead, None), Ok(Some("lead".into())));
        assert_eq!(parent(&agent, &lead, Some("impl")), Ok(Some("impl".into())));
        assert!(parent(&agent, &lead, Some("other")).is_err());
        assert!(parent(&human, &context, Some("nobody")).is_err());
    }
}
