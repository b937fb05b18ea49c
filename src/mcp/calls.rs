//! The calls that the tools for sessions make, and what each gives back.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};

use crate::control::request::Work;
use crate::control::view::View;
use crate::control::wait::{self, Mark, Waited};
use crate::control::{
    Answer, Call, Host, Result, call, documents, enable, inspect, merge, stop, unit,
};
use crate::service::quiet;
use crate::session::state::StateName;

use super::arguments as args;
use super::tools::{Arguments, Output};
use super::{LONGEST, cursor, logs};

/// The most that a text may have; a client cuts off what is much longer.
const LONGEST_TEXT: usize = 60_000;

/// Makes a call of `control` and gives its reply as it is.
pub(super) async fn forward<C>(host: Arc<dyn Host>, of: C) -> Result<Output>
where
    C: Call + Send,
    C::Reply: Serialize + Send,
{
    let Answer { result, warnings } = call(host.as_ref(), of, &quiet).await;
    Ok(Output { value: serde_json::to_value(result?)?, warnings })
}

#[async_trait]
impl Arguments for args::Enable {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        let budget = self.budget_usd.map(|usd| usd.to_string());
        let call = enable::Enable {
            session: self.session,
            work: Work {
                task: self.task,
                dive: self.dive,
                parent: self.parent,
                coordinates: self.coordinator,
                delegate: self.delegate.map(Into::into),
                after: self.after,
                convoy: self.convoy,
                at: self.at,
                every: self.every,
            },
            set: enable::Overrides { agent: self.agent, budget, ..Default::default() },
            ..enable::Enable::default()
        };
        let mut output = forward(host, call).await?;
        if output.value.get("lingering") == Some(&Value::Bool(false)) {
            output.warnings.push(
                "the sessions of this user stop when they log out; the human keeps them running with: \
                 samocode doctor --fix"
                    .to_owned(),
            );
        }
        Ok(output)
    }
}

#[async_trait]
impl Arguments for args::Status {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        if let Some(session) = self.session {
            return forward(host, inspect::Show { session }).await;
        }
        let output = forward(host, inspect::List {}).await?;
        Ok(Output { value: json!({ "sessions": output.value }), ..output })
    }
}

#[async_trait]
impl Arguments for args::Wait {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        let seen = cursor::parse(self.cursor.as_deref())?;
        let most = LONGEST.as_secs();
        let call = wait::Wait {
            sessions: self.sessions,
            until: self.until,
            timeout_s: Some(self.timeout_s.unwrap_or(most).min(most)),
            seen: seen.clone(),
        };
        let Answer { result, warnings } = self::call(host.as_ref(), call, &quiet).await;
        let value = match result? {
            Waited::Reached(view) => json!({
                "cursor": cursor::of(&cursor::with(seen, Mark::of(&view))),
                "then": then(&view),
                "reached": view,
            }),
            Waited::TimedOut { standing } => json!({
                "reached": null,
                "cursor": cursor::of(&seen),
                "then": "nothing happened; call session_wait again with this cursor",
                "standing": standing,
            }),
        };
        Ok(Output { value, warnings })
    }
}

/// What a parent does about a session in this state.
fn then(view: &View) -> &'static str {
    match view.state {
        StateName::Waiting => {
            "session_read shows what it asks or plans; show that to the human, let them decide, and pass \
             their words on with session_answer, session_approve or session_reject"
        }
        StateName::Blocked => {
            "tell the human the reason and what would help; then session_send with what it should know, or \
             session_start to retry"
        }
        StateName::Done => {
            "session_read shows the summary; tell the human what they have, what is missing, and the \
             command in `merge`"
        }
        StateName::Stopped => "someone stopped it: ask the human before session_start",
        StateName::Failed => {
            "session_why and session_logs show the cause; tell the human, then session_start"
        }
        StateName::Paused => {
            "tell the human what must be fixed, samocode doctor shows how; it then resumes on its own"
        }
        StateName::New | StateName::Running | StateName::Queued | StateName::Limited => {
            "call session_wait again with this cursor"
        }
    }
}

#[async_trait]
impl Arguments for args::Read {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        let topic = self.document.map(Into::into);
        let call = documents::Read { session: self.session, topic };
        let Answer { result, mut warnings } = self::call(host.as_ref(), call, &quiet).await;
        let mut text = result?;
        if let Some((end, _)) = text.text.char_indices().nth(LONGEST_TEXT) {
            text.text.truncate(end);
            warnings.push("only the beginning is shown; the file has all of it".to_owned());
        }
        Ok(Output { value: serde_json::to_value(text)?, warnings })
    }
}

#[async_trait]
impl Arguments for args::Stop {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        forward(host, stop::Stop { session: self.session, now: self.now }).await
    }
}

#[async_trait]
impl Arguments for args::Merge {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        let Self { sessions, into, dry_run, resolve, unfinished } = self;
        forward(host, merge::Merge { sessions, into, dry_run, unfinished, resolve }).await
    }
}

#[async_trait]
impl Arguments for args::Start {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        forward(host, unit::Start { session: self.session }).await
    }
}

/// How many events `session_why` shows, newest first.
const MOST_EVENTS: usize = 20;

#[async_trait]
impl Arguments for args::Why {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        let of = inspect::Explain { session: self.session };
        let Answer { result, warnings } = call(host.as_ref(), of, &quiet).await;
        let mut explained = result?;
        explained.events.truncate(MOST_EVENTS);
        Ok(Output { value: serde_json::to_value(explained)?, warnings })
    }
}

#[async_trait]
impl Arguments for args::Logs {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        let most = self.lines.unwrap_or(40).clamp(1, 400);
        let end = logs::read(host.as_ref(), self.session, most).await?;
        Ok(Output { value: json!({ "lines": end.lines }), warnings: end.warnings })
    }
}
