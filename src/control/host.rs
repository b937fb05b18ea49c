//! The seam between front ends and what they ask for.
//!
//! A front end holds a [`Host`] and a call, and needs to know no more. [`Local`] performs calls on
//! this machine. One on another machine takes the same [`Request`], as JSON, and gives back the same
//! [`Answer`]: whoever adds a host implements [`Host::request`] and [`Host::watch`], and nothing
//! else.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::service::Progress;

use super::context::{Answer, Caller, Warnings};
use super::error::{Class, Error, Result};
use super::target::Target;
use super::watch::{self, Change, Watch};
use super::{
    answers, cost, documents, enable, inbox, look, post, remove, run, stop, timeline, unit, view,
    wait,
};

/// One thing that can be asked of a host, with the type of its reply.
pub trait Call: Clone + Serialize + DeserializeOwned + Into<Request> {
    /// What it is answered with.
    type Reply;

    /// The reply to this call among all replies; `None` for one to another call.
    fn reply(reply: Reply) -> Option<Self::Reply>;
}

/// How a call is performed on this machine.
#[async_trait]
pub(super) trait Perform: Call {
    async fn perform(self, on: &Operation<'_>) -> Result<Self::Reply>;
}

/// Declares which calls there are and what each is answered with: the requests, the replies, and
/// what [`Local`] does for each.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident: $call:ty => $reply:ty,)*) => {
        /// Everything that can be asked, as it travels to another host.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "call", rename_all = "snake_case")]
        pub enum Request {
            $($(#[$doc])* $name($call),)*
        }

        /// What came of it, as it travels back.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "call", content = "reply", rename_all = "snake_case")]
        pub enum Reply {
            $($(#[$doc])* $name($reply),)*
        }

        $(
            impl From<$call> for Request {
                fn from(call: $call) -> Self {
                    Self::$name(call)
                }
            }

            impl Call for $call {
                type Reply = $reply;

                fn reply(reply: Reply) -> Option<Self::Reply> {
                    match reply {
                        Reply::$name(reply) => Some(reply),
                        _ => None,
                    }
                }
            }
        )*

        impl Operation<'_> {
            async fn perform(&self, request: Request) -> Result<Reply> {
                Ok(match request {
                    $(Request::$name(call) => Reply::$name(call.perform(self).await?),)*
                })
            }
        }
    };
}

calls! {
    /// Which sessions are meant, or all of a project.
    Find: look::Find => Vec<look::Found>,
    /// All sessions, as `samocode status` lists them.
    List: look::List => Vec<view::View>,
    /// One session in depth.
    Show: look::Show => look::Detail,
    /// One session's state, with what led to it.
    Explain: look::Explain => look::Explained,
    /// What happened in a session, in order.
    History: timeline::History => Vec<timeline::Item>,
    /// What sessions cost.
    Cost: cost::Cost => cost::Costs,
    /// A session's mail.
    Inbox: inbox::Inbox => Vec<inbox::Mail>,
    /// The questions a session has asked.
    Questions: answers::Questions => answers::Asked,
    /// Answers to them.
    Answer: answers::Answers => answers::Answered,
    /// The word that opens a gate.
    Approve: post::Approve => post::Posted,
    /// The word that sends a gate back.
    Reject: post::Reject => post::Posted,
    /// Words to a session.
    Send: post::Send => post::Sent,
    /// Begin a session, or resume one, now and at boot.
    Enable: enable::Enable => enable::Enabled,
    /// Work on a session in the foreground.
    Run: run::Run => run::Ran,
    /// Resume a session that was stopped, blocked or failed.
    Start: unit::Start => unit::Started,
    /// Stop a session until it is started.
    Stop: stop::Stop => stop::Stopped,
    /// Interrupt the run and resume it.
    Restart: unit::Restart => unit::Named,
    /// Switch to the installed samocode at the iteration's end.
    Reload: unit::Reload => unit::Named,
    /// No longer start a session at boot.
    Disable: unit::Disable => unit::Disabled,
    /// Take a session away, but for its branch and its files.
    Remove: remove::Remove => remove::Removed,
    /// Read a session's plan, questions, summary or difference.
    Read: documents::Read => documents::Text,
    /// Wait until a session needs somebody.
    Wait: wait::Wait => wait::Waited,
}

/// A machine with sessions.
#[async_trait]
pub trait Host: Send + Sync {
    /// Performs a request. `progress` hears, a line at a time, of what takes longer than a second.
    async fn request(&self, request: Request, progress: Progress<'_>) -> Answer<Reply>;

    /// Tells of changes in sessions until the stream is dropped.
    ///
    /// # Errors
    /// For sessions that do not exist, and where nothing can be watched.
    async fn watch(&self, watch: Watch) -> Result<BoxStream<'static, Change>>;
}

/// Performs a call and unpacks its reply.
pub async fn call<C: Call>(host: &dyn Host, call: C, progress: Progress<'_>) -> Answer<C::Reply> {
    let Answer { result, warnings } = host.request(call.into(), progress).await;
    let unfit = || Error::new(Class::Internal, "the host's reply is to another request");
    let result = result.and_then(|reply| C::reply(reply).ok_or_else(unfit));
    Answer { result, warnings }
}

/// This machine.
#[derive(Debug, Clone)]
pub struct Local {
    caller: Caller,
}

impl Local {
    /// This machine, as `caller` may use it.
    #[must_use]
    pub const fn new(caller: Caller) -> Self {
        Self { caller }
    }
}

#[async_trait]
impl Host for Local {
    async fn request(&self, request: Request, progress: Progress<'_>) -> Answer<Reply> {
        let warnings = Warnings::default();
        let on = Operation { caller: &self.caller, warnings, progress };
        let result = on.perform(request).await.map_err(|error| self.caller.pasteable(error));
        let warnings = on.warnings.take().iter().map(|text| self.caller.command(text)).collect();
        Answer { result, warnings }
    }

    async fn watch(&self, watch: Watch) -> Result<BoxStream<'static, Change>> {
        watch::watch(&self.caller, watch).await
    }
}

/// One call under way on this machine: who asks, and where to tell what besides the reply.
pub(super) struct Operation<'a> {
    pub(super) caller: &'a Caller,
    pub(super) warnings: Warnings,
    pub(super) progress: Progress<'a>,
}

impl Operation<'_> {
    /// The session that was typed, which has to exist.
    pub(super) fn resolve(&self, typed: &str) -> Result<Target> {
        Target::resolve(self.caller, &self.warnings, typed)
    }
}

#[cfg(test)]
pub(super) mod tests;
