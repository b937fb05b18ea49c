//! Which calls a confined agent may make. Whatever runs a program, reads a file or changes a setting of the
//! agent's choice outside of its cage is not among them, nor is what DESIGN leaves to the human.

use crate::control::enable::Overrides;
use crate::control::host::Request;
use crate::control::many::{Action, Chosen};

use super::is_words;

/// Whether a call is for confined agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum May<'a> {
    /// The call's own checks are enough.
    Always,
    /// It looks at these sessions: the agent's own and those below it.
    Look(Vec<&'a str>),
    /// It looks at a convoy of such sessions.
    LookAtConvoy(&'a str),
    /// It acts on these sessions: those below the agent's own.
    Act(Vec<&'a str>),
    /// It begins a session below the agent's own, or gives one a new task.
    Begin,
    /// It would be about all sessions of the project.
    NamesNone,
    /// It is not, and why.
    Never(&'static str),
}

const HUMANS: &str = "it is the human's to do";
const MACHINE: &str = "it is about the whole machine";
const WORKERS: &str = "only samocode itself calls it";
const CONVOYS: &str = "convoys are the human's";
const PROGRAMS: &str = "an agent is named by its plain word, as in --agent codex; its program is the human's to choose";
const CREDENTIALS: &str = "credentials and users are the human's to choose";

/// Whether a call is for confined agents. Each kind is named here, so that nobody forgets a new one.
pub(super) fn of(request: &Request) -> May<'_> {
    match request {
        Request::Find(call) => looks(&call.sessions),
        Request::Cost(call) => looks(&call.sessions),
        Request::Disk(call) => looks(&call.sessions),
        Request::Wait(call) => looks(&call.sessions),
        Request::Show(call) => look(&call.session),
        Request::Explain(call) => look(&call.session),
        Request::History(call) => look(&call.session),
        // Without a session it is the human's inbox, which the call keeps from agents.
        Request::Inbox(call) if call.session.is_empty() => May::Always,
        Request::Inbox(call) => look(&call.session),
        Request::Questions(call) => look(&call.session),
        Request::Prompt(call) => look(&call.session),
        Request::Read(call) => look(&call.session),
        Request::Report(call) => look(&call.session),
        Request::ConvoyStatus(call) => May::LookAtConvoy(&call.id),
        Request::Confine(call) => match &call.about {
            None => look(&call.session),
            // It would tell what exists outside of the cage.
            Some(_) => May::Never("the run's refusals are in: samocode why"),
        },
        Request::Role(call) => match &call.at {
            None => May::Always,
            Some(at) if at.contains('/') => May::Never("name a session, not a folder"),
            Some(at) => look(at),
        },
        // What it may not see is taken out of the reply.
        Request::List(_) => May::Always,
        // They check the gate and who delegated it.
        Request::Answer(call) => look(&call.session),
        Request::Approve(call) => look(&call.session),
        Request::Reject(call) => look(&call.session),
        // They check to whom mail may go.
        Request::Ask(_) => May::Always,
        Request::Send(call) if is_words(call.kind) => May::Always,
        Request::Write(call) if is_words(call.kind) => May::Always,
        Request::Send(_) | Request::Write(_) => May::Never("mail of an agent is words only"),
        Request::Enable(call) => begins(&call.set, call.import_env, call.run_as.as_deref()),
        Request::Start(call) => act(&call.session),
        Request::Stop(call) => act(&call.session),
        Request::Restart(call) => act(&call.session),
        Request::Reload(call) => act(&call.session),
        Request::Disable(call) => act(&call.session),
        // Each of them comes here again, as a call of its own.
        Request::Many(call) => match (&call.sessions, &call.action) {
            (Chosen::All, _) => May::NamesNone,
            (_, Action::Enable { set, import_env, run_as, .. }) => {
                begins(set, *import_env, run_as.as_deref())
            }
            (Chosen::Named(sessions), _) => May::Act(sessions.iter().map(String::as_str).collect()),
        },
        // It checks that all are below, that it goes into the agent's own branch; a resolver is a session.
        Request::Merge(call) if call.resolve => May::Begin,
        Request::Merge(_) => May::Always,
        Request::Run(_) => May::Never("it would run an agent in the foreground: samocode enable"),
        Request::Usage(_) | Request::Load(_) => May::Never(MACHINE),
        Request::Tree(_) => May::Never("it shows the sessions above, too: samocode role"),
        Request::ClearCaches(_) | Request::Press(_) => May::Never(HUMANS),
        Request::Remove(_) | Request::Archive(_) | Request::Restore(_) => May::Never(HUMANS),
        Request::ConvoyCreate(_)
        | Request::ConvoyStart(_)
        | Request::ConvoyStop(_)
        | Request::ConvoyRemove(_)
        | Request::ConvoyList(_) => May::Never(CONVOYS),
        Request::ConvoyAdvance(_) | Request::Tick(_) => May::Never(WORKERS),
        Request::Init(_) | Request::Configure(_) => May::Never(HUMANS),
        Request::Examine(_) | Request::TryAgent(_) => May::Never(MACHINE),
        Request::NotifyTest(_) | Request::NotifyList(_) | Request::SetQuiet(_) => {
            May::Never(HUMANS)
        }
        Request::PrintUnits(_)
        | Request::InstallUnits(_)
        | Request::InstallBot(_)
        | Request::RemoveBot(_)
        | Request::InstallWeb(_)
        | Request::RemoveWeb(_)
        | Request::VerifyUnits(_) => May::Never(MACHINE),
    }
}

fn look(session: &str) -> May<'_> {
    May::Look(vec![session])
}

fn act(session: &str) -> May<'_> {
    May::Act(vec![session])
}

fn looks(sessions: &[String]) -> May<'_> {
    if sessions.is_empty() {
        return May::NamesNone;
    }
    May::Look(sessions.iter().map(String::as_str).collect())
}

/// A session runs the project's agent, or another one that has a name: no command, whose program and files
/// would be granted to it.
fn begins(set: &Overrides, import_env: bool, run_as: Option<&str>) -> May<'static> {
    if import_env || run_as.is_some() {
        return May::Never(CREDENTIALS);
    }
    let is_plain = |word: &String| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match &set.agent {
        Some(agent) if !is_plain(agent) => May::Never(PROGRAMS),
        _ => May::Begin,
    }
}
