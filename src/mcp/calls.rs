//! The calls that tools make, and what each gives back.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};

use crate::control::request::Work;
use crate::control::view::View;
use crate::control::wait::{self, Mark, Waited};
use crate::control::{
    Answer, Call, Error, Host, Result, answers, call, documents, enable, look, merge, post, stop,
    unit,
};
use crate::service::quiet;
use crate::session::state::Word;

use super::arguments as args;
use super::tools::{Arguments, Told};
use super::{LONGEST, cursor, logs};

/// The most that a text may have; a client cuts off what is much longer.
const LONGEST_TEXT: usize = 60_000;

/// Makes a call of `control` and gives its reply as it is.
async fn forward<C>(host: Arc<dyn Host>, of: C) -> Result<Told>
where
    C: Call + Send,
    C::Reply: Serialize + Send,
{
    let Answer { result, warnings } = call(host.as_ref(), of, &quiet).await;
    Ok(Told { value: serde_json::to_value(result?)?, warnings })
}

#[async_trait]
impl Arguments for args::Enable {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        let budget = self.budget_usd.map(|usd| usd.to_string());
        let call = enable::Enable {
            session: self.session,
            work: Work { task: self.task, dive: self.dive, ..Work::default() },
            set: enable::Overrides { agent: self.agent, budget, ..Default::default() },
            ..enable::Enable::default()
        };
        let mut told = forward(host, call).await?;
        if told.value.get("lingering") == Some(&Value::Bool(false)) {
            told.warnings.push(
                "the sessions of this user stop when they log out; the human keeps them running with: \
                 samocode doctor --fix"
                    .to_owned(),
            );
        }
        Ok(told)
    }
}

#[async_trait]
impl Arguments for args::Status {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        if let Some(session) = self.session {
            return forward(host, look::Show { session }).await;
        }
        let told = forward(host, look::List {}).await?;
        Ok(Told { value: json!({ "sessions": told.value }), ..told })
    }
}

#[async_trait]
impl Arguments for args::Wait {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
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
        Ok(Told { value, warnings })
    }
}

/// What a parent does about a session in this state.
fn then(view: &View) -> &'static str {
    match view.state {
        Word::Waiting => {
            "session_read shows what it asks or plans; show that to the human, let them decide, and pass \
             their words on with session_answer, session_approve or session_reject"
        }
        Word::Blocked => {
            "tell the human the reason and what would help; then session_send with what it should know, or \
             session_start to retry"
        }
        Word::Done => {
            "session_read shows the summary; tell the human what they have, what is missing, and the \
             command in `merge`"
        }
        Word::Stopped => "someone stopped it: ask the human before session_start",
        Word::Failed => {
            "session_why and session_logs show the cause; tell the human, then session_start"
        }
        Word::Paused => {
            "tell the human what must be fixed, samocode doctor shows how; it then resumes on its own"
        }
        Word::New | Word::Running | Word::Queued | Word::Limited => {
            "call session_wait again with this cursor"
        }
    }
}

#[async_trait]
impl Arguments for args::Read {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        let topic = self.document.map(Into::into);
        let call = documents::Read { session: self.session, topic };
        let Answer { result, mut warnings } = self::call(host.as_ref(), call, &quiet).await;
        let mut text = result?;
        if let Some((end, _)) = text.text.char_indices().nth(LONGEST_TEXT) {
            text.text.truncate(end);
            warnings.push("only the beginning is shown; the file has all of it".to_owned());
        }
        Ok(Told { value: serde_json::to_value(text)?, warnings })
    }
}

#[async_trait]
impl Arguments for args::Answer {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        if self.answers.is_empty() && !self.accept_suggestions {
            return Err(Error::usage(format!("no answers for {} were given", self.session)).hint(
                "pass `answers` such as {\"Q1\": \"A\"}, or `accept_suggestions` if the human said so",
            ));
        }
        let answers = self.answers.into_iter();
        let answers = answers.map(|(id, answer)| answers::Answer { id, answer, to: None });
        let call = answers::Answers {
            session: self.session,
            answers: answers.collect(),
            accept_suggestions: self.accept_suggestions,
            hold: false,
        };
        forward(host, call).await
    }
}

#[async_trait]
impl Arguments for args::Approve {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        forward(host, post::Approve { session: self.session, message: self.message }).await
    }
}

#[async_trait]
impl Arguments for args::Reject {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        forward(host, post::Reject { session: self.session, reason: self.reason }).await
    }
}

#[async_trait]
impl Arguments for args::Send {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        let kind = self.kind.into();
        forward(host, post::Send { session: self.session, kind, text: self.text }).await
    }
}

#[async_trait]
impl Arguments for args::Stop {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        forward(host, stop::Stop { session: self.session, now: self.now }).await
    }
}

#[async_trait]
impl Arguments for args::Merge {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        let Self { sessions, into, dry_run, resolve, unfinished } = self;
        forward(host, merge::Merge { sessions, into, dry_run, unfinished, resolve }).await
    }
}

#[async_trait]
impl Arguments for args::Start {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        forward(host, unit::Start { session: self.session }).await
    }
}

/// How many events `session_why` shows, newest first.
const MOST_EVENTS: usize = 20;

#[async_trait]
impl Arguments for args::Why {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        let of = look::Explain { session: self.session };
        let Answer { result, warnings } = call(host.as_ref(), of, &quiet).await;
        let mut explained = result?;
        explained.events.truncate(MOST_EVENTS);
        Ok(Told { value: serde_json::to_value(explained)?, warnings })
    }
}

#[async_trait]
impl Arguments for args::Logs {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Told> {
        let most = self.lines.unwrap_or(40).clamp(1, 400);
        let end = logs::read(host.as_ref(), self.session, most).await?;
        Ok(Told { value: json!({ "lines": end.lines }), warnings: end.warnings })
    }
}
