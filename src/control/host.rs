//! The interface between front ends and a machine with sessions.
//!
//! A front end needs only a [`Host`] and a call. [`Local`] performs calls on this machine. A host on
//! another machine takes the same [`Request`] as JSON and returns the same [`Answer`]: to add one,
//! implement [`Host`], nothing else.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::service::{Progress, Verified};

use super::context::{Answer, Caller, Warnings};
use super::error::{Class, Error, Result};
use super::log::{Line, Log};
use super::operation::{Operation, Perform as _, Replies};
use super::watch::{self, Change, Watch};
use super::{
    answers, archive, bot, calls, confine, convoy, cost, disk, doctor, documents, enable, inbox,
    init, inspect, load, mail, many, merge, notify, post, press, prompt, quiet, remove, report,
    role, run, settings, stop, timeline, timer, tree, unit, unit_files, usage, view, wait, web,
};

/// A call that a host can perform.
pub trait Call: Replies + Clone + Serialize + DeserializeOwned + Into<Request> {
    /// Unpacks the reply to this call; `None` if it is the reply to another call.
    fn reply(reply: Reply) -> Option<Self::Reply>;
}

/// Declares all calls and their replies: generates [`Request`], [`Reply`], and the dispatch of
/// [`Local`].
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident: $call:ty => $reply:ty,)*) => {
        /// Any call, in the form that is sent to another host.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Request {
            $($(#[$doc])* $name($call),)*
        }

        /// Any reply, in the form that is sent back.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reply {
            $($(#[$doc])* $name($reply),)*
        }

        $(
            impl From<$call> for Request {
                fn from(call: $call) -> Self {
                    Self::$name(call)
                }
            }

            impl Replies for $call {
                type Reply = $reply;
            }

            impl Call for $call {
                fn reply(reply: Reply) -> Option<Self::Reply> {
                    match reply {
                        Reply::$name(reply) => Some(reply),
                        _ => None,
                    }
                }
            }
        )*

        async fn perform(request: Request, on: &Operation<'_>) -> Result<Reply> {
            Ok(match request {
                $(Request::$name(call) => Reply::$name(call.perform(on).await?),)*
            })
        }
    };
}

calls! {
    /// Find the sessions that were typed, or all of a project.
    Find: inspect::Find => Vec<inspect::Found>,
    /// All sessions, as `samocode status` lists them.
    List: inspect::List => Vec<view::View>,
    /// One session in detail.
    Show: inspect::Show => inspect::Detail,
    /// A session's state and the events that led to it.
    Explain: inspect::Explain => inspect::Explained,
    /// A session's iterations and events, oldest first.
    History: timeline::History => Vec<timeline::Item>,
    /// The cost of sessions.
    Cost: cost::Cost => cost::Costs,
    /// What sessions take on the disk.
    Disk: disk::Disk => Vec<disk::Taken>,
    /// How much of each account is used.
    Usage: usage::Usage => Vec<usage::Account>,
    /// Memory and CPU time of the sessions that run.
    Load: load::Load => Vec<load::Used>,
    /// A session among those it belongs to.
    Tree: tree::Tree => tree::Belongs,
    /// Remove build output of sessions that do not run.
    ClearCaches: disk::caches::ClearCaches => Vec<disk::caches::Cleared>,
    /// A session's mail: unread, or all of it.
    Inbox: inbox::Inbox => Vec<inbox::Mail>,
    /// The questions a session has asked.
    Questions: answers::Questions => answers::Asked,
    /// Answer a session's questions.
    Answer: answers::Answers => answers::Answered,
    /// Approve what a session is waiting for.
    Approve: post::Approve => post::Posted,
    /// Reject what a session is waiting for, with a reason.
    Reject: post::Reject => post::Posted,
    /// Decide by a button of a message.
    Press: press::Press => press::Pressed,
    /// Send a session a message.
    Send: post::Send => post::Sent,
    /// Write to sessions, a parent or the human.
    Write: mail::Write => mail::Written,
    /// Ask a session something, and wait for its answer.
    Ask: mail::Ask => mail::Asked,
    /// Start or resume a session, now and at boot.
    Enable: enable::Enable => enable::Enabled,
    /// Work on a session in the foreground.
    Run: run::Run => run::Ran,
    /// Resume a session that was stopped, blocked or failed.
    Start: unit::Start => unit::Started,
    /// Stop a session until it is started again.
    Stop: stop::Stop => stop::Stopped,
    /// Interrupt the run and resume it.
    Restart: unit::Restart => unit::Named,
    /// Switch to the installed samocode at the end of the iteration.
    Reload: unit::Reload => unit::Named,
    /// No longer start a session at boot.
    Disable: unit::Disable => unit::Disabled,
    /// Do the same to many sessions, in parallel.
    Many: many::Many => Vec<many::Each>,
    /// Remove a session, but keep its branch and its files.
    Remove: remove::Remove => remove::Removed,
    /// The prompt of a session's run, in its parts.
    Prompt: prompt::Prompt => prompt::Prompted,
    /// A session's role by where its folder sits, and its instructions.
    Role: role::Role => role::RoleFound,
    /// What a session's agent may reach.
    Confine: confine::Confine => confine::Confined,
    /// Remove several sessions, or all that are done.
    Archive: archive::Archive => archive::Archived,
    /// Bring a removed session back.
    Restore: archive::Restore => archive::Restored,
    /// Read a session's overview, plan, questions, summary or diff.
    Read: documents::Read => documents::Text,
    /// Everything that was done in a session.
    Report: report::Report => Box<report::Story>,
    /// Create a convoy of sessions, and start the first of them.
    ConvoyCreate: convoy::Create => convoy::Standing,
    /// Start the members of a convoy that may start.
    ConvoyStart: convoy::Start => convoy::Advanced,
    /// Stop all members of a convoy.
    ConvoyStop: convoy::Stop => Vec<stop::Stopped>,
    /// Remove a convoy; its sessions stay.
    ConvoyRemove: convoy::Remove => convoy::Removed,
    /// How a convoy is doing.
    ConvoyStatus: convoy::Status => convoy::Standing,
    /// All convoys of the project.
    ConvoyList: convoy::List => Vec<convoy::Standing>,
    /// Start what may start after a member has stopped, and announce what changed.
    ConvoyAdvance: convoy::Advance => convoy::Advanced,
    /// Begin what a session's timer is to begin now.
    Tick: timer::Tick => timer::Ticked,
    /// Merge the branches of finished sessions, and test the result.
    Merge: merge::Merge => merge::Merged,
    /// Wait until a session needs a human.
    Wait: wait::Wait => wait::Waited,
    /// Turn a folder into a project.
    Init: init::Init => init::Initialized,
    /// All settings and their sources, here or of a session's unit.
    Configure: settings::Configure => settings::Configured,
    /// Check everything that sessions need, and fix what can be fixed.
    Examine: doctor::Examine => doctor::Examined,
    /// Try an agent's program in a tiny real conversation.
    TryAgent: doctor::live::TryAgent => doctor::live::Tried,
    /// Send a test message through every channel.
    NotifyTest: notify::NotifyTest => notify::NotifyTested,
    /// Which channels there are, what each is for, and what they have not sent.
    NotifyList: notify::NotifyList => notify::NotifyListed,
    /// Set the quiet hours and the digest of the night, or remove them.
    SetQuiet: quiet::SetQuiet => quiet::QuietNow,
    /// The unit files as they would be installed.
    PrintUnits: unit_files::Print => unit_files::Printed,
    /// Install the shared units and watch for mail.
    InstallUnits: unit_files::Install => unit_files::Installed,
    /// Run the bot that answers from the phone, now and at boot.
    InstallBot: bot::Install => bot::Kept,
    /// Run it no longer.
    RemoveBot: bot::Remove => bot::Kept,
    /// Serve the web page, now and at boot.
    InstallWeb: web::Install => web::Listening,
    /// Serve the web page no longer.
    RemoveWeb: web::Remove => web::Listening,
    /// Check the unit files with the service manager's own checker.
    VerifyUnits: unit_files::Verify => Verified,
}

/// A machine with sessions.
#[async_trait]
pub trait Host: Send + Sync {
    /// Performs a request. Anything that takes longer than a second is reported to `progress`, one
    /// line at a time.
    async fn request(&self, request: Request, progress: Progress<'_>) -> Answer<Reply>;

    /// Reports changes of sessions until the stream is dropped.
    ///
    /// # Errors
    /// If a session does not exist, or its folder cannot be watched.
    async fn watch(&self, watch: Watch) -> Result<BoxStream<'static, Change>>;

    /// Sends a session's log: a line each, until there are no more, or until the stream is dropped.
    /// An error is the last item.
    ///
    /// # Errors
    /// For a session that does not exist, and where nothing can be watched.
    async fn log(&self, log: Log) -> Result<BoxStream<'static, Result<Line>>>;
}

/// Performs a call and unpacks its reply.
pub async fn call<C: Call>(host: &dyn Host, call: C, progress: Progress<'_>) -> Answer<C::Reply> {
    let Answer { result, warnings } = host.request(call.into(), progress).await;
    let unfit = || Error::new(Class::Internal, "the host replied to a different request");
    let result = result.and_then(|reply| C::reply(reply).ok_or_else(unfit));
    Answer { result, warnings }
}

/// This machine, as its caller may use it.
#[derive(Debug, Clone)]
pub struct Local {
    caller: Caller,
}

impl Local {
    /// This machine, used with the caller's environment and permissions.
    #[must_use]
    pub const fn new(caller: Caller) -> Self {
        Self { caller }
    }
}

#[async_trait]
impl Host for Local {
    async fn request(&self, request: Request, progress: Progress<'_>) -> Answer<Reply> {
        answer(&self.caller, request, progress).await
    }

    async fn watch(&self, watch: Watch) -> Result<BoxStream<'static, Change>> {
        calls::check_watch(&self.caller)?;
        watch::watch(&self.caller, watch).await
    }

    async fn log(&self, log: Log) -> Result<BoxStream<'static, Result<Line>>> {
        calls::check_log(&self.caller, &log)?;
        super::log::log(&self.caller, log).await
    }
}

/// Performs a call on this machine, with warnings of its own.
pub(super) async fn answer(
    caller: &Caller,
    request: Request,
    progress: Progress<'_>,
) -> Answer<Reply> {
    let on = Operation { caller, warnings: Warnings::default(), progress };
    let result = async {
        calls::check(&on, &request)?;
        calls::narrowed(&on, perform(request, &on).await?)
    };
    let result = result.await.map_err(|error| caller.pasteable(error));
    let warnings = on.warnings.take().iter().map(|text| caller.command(text)).collect();
    Answer { result, warnings }
}

#[cfg(test)]
pub(super) mod tests;
