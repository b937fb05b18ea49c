//! What a session's agent may do with other sessions: only what is below its own, the sessions that
//! it began and those that they began; and where those lie.

use std::collections::HashSet;

use super::context::{Caller, Context};
use super::error::{Error, Result};
use super::request::check_workers;
use super::session::Session;
use super::target;
use crate::session::store::Folder;
use crate::worker::family;

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

/// Whether the caller is the agent of this session, or of one that it is below.
///
/// # Errors
/// Those of the disk.
pub(super) fn is_own_or_below(context: &Context, session: &Session) -> Result<bool> {
    let Some(own) = context.caller.session() else { return Ok(true) };
    Ok(session.instance == own || is_below(context, session, own)?)
}

/// Whether a session lies below the one with the instance `above`, or was begun by it or by one below
/// that.
fn is_below(context: &Context, session: &Session, above: &str) -> Result<bool> {
    let mut folders = std::iter::successors(session.folder.above(), Folder::above);
    let is_it = |folder: &Folder| {
        target::at(context, folder.path()).is_ok_and(|session| session.instance == above)
    };
    if folders.any(|folder| is_it(&folder)) {
        return Ok(true);
    }
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
) -> Result<Option<Session>> {
    let own = caller.session();
    let Some(typed) = named.or(own) else { return Ok(None) };
    let session = target::resolve(context, typed)?;
    if !session.exists() {
        return Err(Error::usage(format!("there is no session '{typed}' to be the parent")));
    }
    if own.is_some_and(|own| own != session.instance) {
        check(context, &session)?;
    }
    Ok(Some(session))
}

/// The session as it is to be begun, and its parent: a new one lies below its parent.
///
/// # Errors
/// As [`parent`]; if one of that name exists elsewhere in the project; if the budget of one above is
/// spent.
pub(super) fn place(
    caller: &Caller,
    context: &Context,
    session: Session,
    named: Option<&str>,
) -> Result<(Session, Option<Session>)> {
    let parent = parent(caller, context, named)?;
    if session.exists() {
        let above = session.folder.above();
        let above = above.map(|above| target::at(context, above.path())).transpose()?;
        if let (Some(parent), Some(named)) = (&parent, named)
            && !is_below(context, &session, &parent.instance)?
        {
            let name = &session.name;
            return Err(Error::usage(format!(
                "session '{name}' exists already, and not below {named}"
            ))
            .hint(format!("names are unique in a project: choose another one than '{name}'")));
        }
        return Ok((session, above));
    }
    let Some(parent) = parent else { return Ok((session, None)) };
    check_workers(&parent)?;
    let session = target::at(context, &parent.folder.workers().join(&session.name))?;
    let env = &context.caller.env;
    let folder = session.folder.path();
    if let Some(why) = family::spent_above(context.scope(), &context.project, env, folder) {
        return Err(Error::refused(format!("cannot begin {}: {why}", session.name)));
    }
    Ok((session, Some(parent)))
}

/// Who opens a session's gates, as it is recorded beside the message: a human, or the coordinator
/// above it to whom they delegated that. `None` for anyone else.
///
/// # Errors
/// Those of the disk.
pub(super) fn voucher(context: &Context, session: &Session) -> Result<Option<String>> {
    let caller = &context.caller;
    if let Some(by) = caller.voucher() {
        return Ok(Some(by.to_owned()));
    }
    let Some(own) = caller.session().filter(|own| *own != session.instance) else {
        return Ok(None);
    };
    let is_delegated =
        is_below(context, session, own)? && target::resolve(context, own)?.state()?.opens_gates;
    Ok(is_delegated.then(|| format!("{own}, to which its human delegated the gates")))
}

/// Refuses an agent that may not answer for the human.
///
/// # Errors
/// [`Class::Usage`](super::error::Class::Usage), and those of the disk.
pub(super) fn check_gate(context: &Context, session: &Session) -> Result<()> {
    if voucher(context, session)?.is_some() {
        return Ok(());
    }
    let (name, instance) = (&session.name, &session.instance);
    let own = context.caller.session();
    if own == Some(instance.as_str()) {
        return Err(Error::usage(format!("{name} cannot answer itself"))
            .hint("write a waiting signal and let a human answer"));
    }
    if let Some(own) = own
        && is_below(context, session, own)?
    {
        return Err(Error::refused(format!(
            "the gates of {name} are the human's, who did not delegate them to {own}"
        ))
        .hint(format!(
            "the human has been notified; send it what you know: samocode send {instance} \"…\""
        )));
    }
    Err(Error::usage(format!("an agent in a run cannot answer {name}"))
        .hint("write a waiting signal and let a human answer"))
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

        let parent = |caller: &Caller, context: &Context, named: Option<&str>| {
            parent(caller, context, named).map(|session| session.map(|session| session.name))
        };
        assert_eq!(parent(&human, &context, None), Ok(None));
        assert_eq!(parent(&human, &context, Some("lead")), Ok(Some("lead".into())));
        assert_eq!(parent(&agent, &lead, None), Ok(Some("lead".into())));
        assert_eq!(parent(&agent, &lead, Some("impl")), Ok(Some("impl".into())));
        assert!(parent(&agent, &lead, Some("other")).is_err());
        assert!(parent(&human, &context, Some("nobody")).is_err());
    }

    #[test]
    fn a_session_of_a_parent_lies_below_it_and_its_gates_are_the_humans_until_delegated() {
        let root = tempfile::tempdir().unwrap();
        let human = caller(root.path());
        let context = Context::here(&human, &Warnings::default()).unwrap();
        let find = |name: &str| target::resolve(&context, name).unwrap();
        let lead = find("lead");
        for session in [&lead, &find("other")] {
            std::fs::create_dir_all(session.folder.path()).unwrap();
        }
        let mut agent = human.clone();
        agent.env.set("SAMOCODE_SESSION", "lead");
        agent.origin = crate::control::origin::Origin::Run;
        let as_lead = Context { caller: agent.clone(), ..context.clone() };

        let (new, above) = place(&agent, &as_lead, find("impl"), None).unwrap();
        assert_eq!(new.folder.path(), lead.folder.workers().join("impl"));
        assert_eq!(above.unwrap().instance, "lead");
        let (alone, above) = place(&human, &context, find("impl"), None).unwrap();
        assert!(alone.folder.above().is_none() && above.is_none());

        std::fs::create_dir_all(new.folder.path()).unwrap();
        let found = find("impl");
        assert_eq!(found.folder, new.folder, "it is found by its name");
        assert_eq!(check(&as_lead, &found), Ok(()));
        let error = place(&human, &context, found.clone(), Some("other")).unwrap_err();
        assert!(error.message.contains("'impl' exists already, and not below other"), "{error:?}");

        let refused = check_gate(&as_lead, &found).unwrap_err();
        assert!(refused.message.contains("did not delegate them to lead"), "{refused:?}");
        assert!(check_gate(&context, &found).is_ok());
        let lock = Lock::take(&lead.folder).unwrap();
        let mut journal = Journal::open(&lead.folder, &lock).unwrap();
        let mut delegate = |gates| {
            journal.append(Event::Delegated(event::Delegated { gates })).unwrap();
        };
        delegate(true);
        assert!(voucher(&as_lead, &found).unwrap().unwrap().starts_with("lead, to which"));
        assert!(check_gate(&as_lead, &find("other")).is_err(), "not below it");
        assert!(check_gate(&as_lead, &lead).is_err(), "nor its own");
        delegate(false);
        assert!(check_gate(&as_lead, &found).is_err());
    }
}
