//! Who a message is for.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::control::context::{Caller, Context};
use crate::control::convoy;
use crate::control::error::{Class, Error, Result};
use crate::control::operation::Operation;
use crate::control::registry;
use crate::control::role::role_of;
use crate::control::target::Target;
use crate::session::mail::Message;
use crate::session::names::nearest;
use crate::session::state::StateName;
use crate::session::store::Folder;

use super::human_folder;

/// Who a message is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// A session, as typed.
    Session(String),
    /// All sessions of a convoy but the sender.
    Convoy(String),
    /// All sessions with this role but the sender: of the sender's own coordinator if any is there,
    /// else of the project.
    Role(String),
    /// Whoever began the sender: a session, else the human.
    Parent,
    /// The human, whose mail is kept for the project.
    Human,
}

/// The words for those who are no sessions.
const PARENT: &str = "parent";
const HUMAN: &str = "human";
const CONVOY: &str = "convoy:";
const ROLE: &str = "role:";

impl FromStr for Recipient {
    type Err = std::convert::Infallible;

    fn from_str(word: &str) -> std::result::Result<Self, Self::Err> {
        if let Some(id) = word.strip_prefix(CONVOY) {
            return Ok(Self::Convoy(id.to_owned()));
        }
        if let Some(role) = word.strip_prefix(ROLE) {
            return Ok(Self::Role(role.to_owned()));
        }
        let known = [(PARENT, Self::Parent), (HUMAN, Self::Human)];
        let known = known.into_iter().find(|(name, _)| *name == word);
        Ok(known.map_or_else(|| Self::Session(word.to_owned()), |(_, known)| known))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(name) => f.pad(name),
            Self::Convoy(id) => f.pad(&format!("--to {CONVOY}{id}")),
            Self::Role(role) => f.pad(&format!("--to {ROLE}{role}")),
            Self::Parent => f.pad("--to parent"),
            Self::Human => f.pad("--to human"),
        }
    }
}

/// The sessions that a message is for; none if it is for the human.
///
/// # Errors
/// If there is no such session, and for a sender without a parent.
pub(super) fn find(on: &Operation<'_>, to: &Recipient) -> Result<Vec<Target>> {
    match to {
        Recipient::Session(name) => Ok(vec![on.resolve(name)?]),
        Recipient::Human => Ok(Vec::new()),
        Recipient::Role(role) => with_role(on, role),
        Recipient::Convoy(id) => {
            let project = Context::here(on.caller, &on.warnings)?.project;
            let plan = convoy::find(&project, id)?;
            let plan = plan.ok_or_else(|| {
                Error::new(Class::NotFound, format!("there is no convoy '{id}'"))
                    .hint("list them with: samocode convoy list")
            })?;
            let others = plan.sessions.iter().filter(|name| on.caller.session() != Some(name));
            // Those that were archived read nothing.
            let found: Vec<_> = others.filter_map(|name| on.resolve(name).ok()).collect();
            if found.is_empty() {
                return Err(Error::refused(format!("convoy '{id}' has no other session")));
            }
            Ok(found)
        }
        Recipient::Parent => {
            let Some(own) = on.caller.session() else {
                return Err(Error::usage("only a session's agent has a parent to write to"));
            };
            match on.resolve(own)?.session.state()?.parent {
                Some(parent) => Ok(vec![on.resolve(&parent)?]),
                // A human began it.
                None => Ok(Vec::new()),
            }
        }
    }
}

/// The sessions with a role that are not done.
fn with_role(on: &Operation<'_>, wanted: &str) -> Result<Vec<Target>> {
    let context = Context::here(on.caller, &on.warnings)?;
    let own = on.caller.session();
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for session in registry::all(&context)? {
        let Some(role) = role_of(&context, &session.folder)? else { continue };
        if role == wanted
            && own != Some(session.instance.as_str())
            && session.hook()?.state != StateName::Done
        {
            found.push(session);
        }
        known.insert(role);
    }
    if found.is_empty() {
        let message = format!("there is no other session with the role '{wanted}'");
        let error = Error::new(Class::NotFound, message);
        return Err(match nearest(wanted, known.iter().map(String::as_str)) {
            Some(near) if near != wanted => error.hint(format!("did you mean 'role:{near}'?")),
            _ => error.hint("see which role a session has: samocode role SESSION"),
        });
    }
    // Those who share the sender's coordinator, at any level, come before others of the project.
    let family = |folder: &Folder| {
        std::iter::successors(folder.above(), Folder::above)
            .last()
            .unwrap_or_else(|| folder.clone())
    };
    let own = on.caller.env.get("SAMOCODE_SESSION_DIR").filter(|_| own.is_some());
    if let Some(own) = own.map(|own| family(&Folder::new(own)))
        && found.iter().any(|session| family(&session.folder) == own)
    {
        found.retain(|session| family(&session.folder) == own);
    }
    let target = |session| Target { context: context.clone(), session };
    Ok(found.into_iter().map(target).collect())
}

/// The folder with the caller's own mail: that of its session, else the human's.
pub(super) fn own_folder(caller: &Caller, context: &Context) -> Folder {
    match caller.env.get("SAMOCODE_SESSION_DIR").filter(|_| caller.session().is_some()) {
        Some(folder) => Folder::new(folder),
        None => human_folder(&context.project),
    }
}

/// Who wrote a message that the caller got.
///
/// # Errors
/// If the caller has no message with this id.
pub(super) fn sender_of(on: &Operation<'_>, id: &str) -> Result<Recipient> {
    let context = Context::here(on.caller, &on.warnings)?;
    let is_one = |message: &Message| message.id == id;
    let folder = own_folder(on.caller, &context);
    let unread = folder.unread()?.messages.into_iter().map(|(_, message)| message);
    let found = unread.chain(folder.read_mail()?).find(is_one);
    let Some(message) = found else {
        let error = Error::new(Class::NotFound, format!("you have no message '{id}' to reply to"));
        return Err(error.hint("name the recipient: samocode send SESSION \"…\""));
    };
    Ok(message.from.parse().unwrap_or(Recipient::Human))
}
