//! The calls of a confined agent. It cannot reach the service manager, nor other sessions' files. So its
//! samocode is only a [`Host`] that leaves the call in a folder and waits for the reply. Its worker
//! starts `samocode outgoing --call ID` outside of the cage, and that performs it as the agent: with the
//! worker's environment, on the worker's project, and as far as [`may`] lets a confined agent.
//!
//! ```text
//! samocode status impl ── Inside ──┐                        ┌── Local ── below, mail, merge, …
//!                        the cage  │ ID.call       ID.reply │
//!                                  └── worker ── outgoing ──┘
//! ```
//!
//! A call whose worker is killed is not performed again: its agent has ended, too, and the next run looks at
//! what is there.

mod may;
mod outside;
mod read;
mod work;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use serde::{Deserialize, Serialize};

use crate::agent::confine::calls::{CALLS, Calls, Left, MOST};
use crate::service::{Progress, Scope};
use crate::session::mail::Kind;
use crate::worker::confine::CONFINED;

use super::below;
use super::context::{Answer, Caller, Warnings};
use super::error::{Attempt as _, Class, Error, Result};
use super::folders::FolderWatch;
use super::host::{Host, Local, Reply, Request};
use super::log::{Line, Log};
use super::operation::Operation;
use super::origin::Origin;
use super::watch::{Change, Watch};

use may::May;

pub use outside::Outside;

/// How long a call may lie before the worker takes it. It performs only some at the same time.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// What a confined agent's samocode asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Asked {
    /// Whether the system's service manager is meant.
    system: bool,
    /// The ID of a bundle with the agent's commits, to be taken over first.
    #[serde(default)]
    bundle: Option<String>,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    #[serde(deserialize_with = "read::request")]
    Request(Box<Request>),
    Log(Log),
}

/// What it is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    #[serde(deserialize_with = "read::answer")]
    Reply(Box<Answer<Reply>>),
    Log(Result<Vec<Result<Line>>>),
}

/// Whether the caller is a confined agent, in its cage.
pub(super) fn is_confined(caller: &Caller) -> bool {
    let is_marked = caller.session().is_some() && caller.env.get(CONFINED).is_some();
    is_marked && caller.env.get("SAMOCODE_SESSION_DIR").is_some()
}

/// The host that performs this caller's calls: this machine, or for a confined agent its worker.
#[must_use]
pub fn host_of(caller: Caller) -> Box<dyn Host> {
    if !is_confined(&caller) {
        return Box::new(Local::new(caller));
    }
    let calls = caller.env.get(CALLS).map(Calls::at);
    Box::new(Inside { caller, calls })
}

/// A confined agent's way out of its cage.
struct Inside {
    caller: Caller,
    /// `None` where nobody takes calls.
    calls: Option<Calls>,
}

#[async_trait]
impl Host for Inside {
    async fn request(&self, request: Request, progress: Progress<'_>) -> Answer<Reply> {
        if matches!(request, Request::Write(_)) {
            // Mail lies in the outbox until it is sent, whatever becomes of this process.
            let answer = super::host::answer(&self.caller, request, progress).await;
            self.calls.iter().for_each(Calls::ring);
            return answer;
        }
        if let May::Never(why) = may::of(&request) {
            return Answer { result: Err(never(why)), warnings: Vec::new() };
        }
        match self.ask(What::Request(Box::new(request))).await {
            Ok(Told::Reply(answer)) => self.with_result(*answer).await,
            Ok(Told::Log(_)) => Answer { result: Err(unfit()), warnings: Vec::new() },
            Err(error) => Answer { result: Err(error), warnings: Vec::new() },
        }
    }

    async fn watch(&self, _: Watch) -> Result<BoxStream<'static, Change>> {
        Err(no_stream())
    }

    async fn log(&self, log: Log) -> Result<BoxStream<'static, Result<Line>>> {
        if log.follow {
            return Err(no_stream());
        }
        match self.ask(What::Log(log)).await? {
            Told::Log(lines) => Ok(stream::iter(lines?).boxed()),
            Told::Reply(_) => Err(unfit()),
        }
    }
}

impl Inside {
    /// Leaves a call to the worker and waits for the reply. Whoever performs it stops when this does.
    async fn ask(&self, what: What) -> Result<Told> {
        let Some(calls) = &self.calls else {
            return Err(Error::unavailable(
                "this process is confined, and nobody here performs calls for it",
            )
            .hint("an agent's worker does while its run is under way; read what is in $SAMOCODE_SESSION_DIR"));
        };
        let bundle = match &what {
            What::Request(request) if work::builds_on_own(request) => work::bundle(calls).await?,
            _ => None,
        };
        let asked = Asked { system: self.caller.scope == Scope::System, bundle, what };
        let bytes = serde_json::to_vec(&asked)?;
        if bytes.len() as u64 > MOST {
            return Err(Error::usage(format!("the call is larger than {MOST} bytes"))
                .hint("write long texts to a file in the worktree, commit it, and name it"));
        }
        let watch = FolderWatch::new(calls.path())?;
        let left = calls.leave(&bytes).attempt(|| "leave a call to the worker".to_owned())?;
        let since = Instant::now();
        let is_late = |left: &Left| !left.is_taken() && since.elapsed() > TAKEN_WITHIN;
        watch.until(|| !matches!(left.reply(), Ok(None)) || is_late(&left)).await;
        let reply = left.reply().attempt(|| "read the worker's reply".to_owned())?;
        match reply {
            None => Err(Error::unavailable("the worker did not take the call in time")
                .hint("it performs 16 at the same time: end what only waits, and try again")),
            Some(reply) if reply.is_empty() => {
                Err(Error::unavailable("the process that performed the call was killed")
                    .hint("look whether it was done before you repeat it: samocode status"))
            }
            Some(reply) => Ok(serde_json::from_slice(&reply)?),
        }
    }
}

impl Inside {
    /// Shows the agent's own repository the branch with the result of a merge.
    async fn with_result(&self, answer: Answer<Reply>) -> Answer<Reply> {
        let Answer { result, mut warnings } = answer;
        let own = self.calls.as_ref().and_then(Calls::work);
        if let (Ok(Reply::Merge(merged)), Some(own)) = (&result, own)
            && let Err(error) = work::show(&own, merged).await
        {
            warnings.push(error.in_one_line());
        }
        Answer { result, warnings }
    }
}

fn unfit() -> Error {
    Error::new(Class::Internal, "the worker replied to a different call")
}

fn no_stream() -> Error {
    Error::refused("a confined agent cannot follow what changes")
        .hint("wait for what you need: samocode wait SESSION; or look again: samocode logs SESSION")
}

/// Refuses a call for a confined agent that is not for confined agents, or that is about a session which
/// it may not look at or act on. The call's own checks follow.
///
/// # Errors
/// [`Class::Refused`], and those of finding the sessions.
pub(super) fn check(on: &Operation<'_>, request: &Request) -> Result<()> {
    let Origin::Confined { coordinates } = on.caller.origin else { return Ok(()) };
    let coordinates = || if coordinates { Ok(()) } else { Err(no_coordinator(on)) };
    match may::of(request) {
        May::Always => Ok(()),
        May::Look(sessions) => sessions.iter().try_for_each(|typed| look(on, typed)),
        May::Act(sessions) => sessions.iter().try_for_each(|typed| {
            let target = on.resolve(typed)?;
            below::check(&target.context, &target.session)
        }),
        May::Begin => coordinates(),
        May::LookAtConvoy(id) => members(on, id)?.iter().try_for_each(|typed| look(on, typed)),
        May::NamesNone => Err(Error::usage("a confined agent names the sessions that it means")
            .hint("those that you may see: samocode status")),
        May::Never(why) => Err(never(why)),
    }
}

fn never(why: &str) -> Error {
    Error::refused(format!("a confined agent cannot do that: {why}"))
        .hint("ask the human: samocode send --to human \"…\"")
}

/// Refuses to look at a session that is neither the caller's own nor below it.
fn look(on: &Operation<'_>, typed: &str) -> Result<()> {
    let target = on.resolve(typed)?;
    if below::is_own_or_below(&target.context, &target.session)? {
        return Ok(());
    }
    let name = &target.session.name;
    Err(Error::refused(format!(
        "{name} is not below your session: a confined agent sees only its own and those below it"
    ))
    .hint(format!("ask it: samocode ask {} \"…\"", target.session.instance)))
}

fn no_coordinator(on: &Operation<'_>) -> Error {
    let own = on.caller.session().unwrap_or_default();
    Error::refused(format!("{own} does not coordinate others, so it cannot begin sessions"))
        .hint(format!("the human can change that: samocode enable {own} --coordinator"))
}

fn members(on: &Operation<'_>, id: &str) -> Result<Vec<String>> {
    let project = super::context::Context::here(on.caller, &on.warnings)?.project;
    let plan = super::convoy::find(&project, id)?;
    plan.map(|plan| plan.sessions)
        .ok_or_else(|| Error::new(Class::NotFound, format!("there is no convoy '{id}'")))
}

/// A reply without what a confined agent may not see.
pub(super) fn narrowed(on: &Operation<'_>, reply: Reply) -> Result<Reply> {
    if !on.caller.is_for_confined() {
        return Ok(reply);
    }
    Ok(match reply {
        Reply::List(mut views) => {
            views.retain(|view| look(on, &view.instance).is_ok());
            Reply::List(views)
        }
        reply => reply,
    })
}

/// Checks a log as [`check`] does a request.
pub(super) fn check_log(caller: &Caller, log: &Log) -> Result<()> {
    if !caller.is_for_confined() {
        return Ok(());
    }
    if log.follow {
        return Err(no_stream());
    }
    let on = Operation { caller, warnings: Warnings::default(), progress: &crate::service::quiet };
    look(&on, &log.session)
}

/// Refuses to watch for a confined agent.
pub(super) fn check_watch(caller: &Caller) -> Result<()> {
    if caller.is_for_confined() { Err(no_stream()) } else { Ok(()) }
}

/// Whether mail of this kind has words only.
const fn is_words(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Nudge | Kind::Handoff)
}

#[cfg(test)]
mod tests;
