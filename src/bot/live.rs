//! A session's progress in the chat: the bot's last word about it, which is edited as it proceeds,
//! until it comes to rest.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/bot/live.json     [{"instance": "jwt", "chat": 1, "message": 7, "said": "…"}]
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::api::{Api, Edited};
use crate::control::format::bar;
use crate::control::view::View;
use crate::control::watch::{Change, Watch};
use crate::control::{Caller, Host as _, Local};
use crate::notify::text::{clip, escape_within, tame_line};
use crate::session::dollars;
use crate::session::state::StateName;
use crate::session::store;

/// A message is edited at most this often: Telegram allows twenty messages a minute in a group.
const EVERY: Duration = Duration::from_secs(4);

/// How long a session may take to begin what it was told to. Later, its message is left as it is.
const TO_BEGIN: Duration = Duration::from_secs(600);

/// A message to be edited as its session proceeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) instance: String,
    pub(super) chat: i64,
    pub(super) message: i64,
    /// What it says first, as HTML.
    pub(super) said: String,
}

/// A message, and what is known of its session.
struct Live {
    of: Message,
    since: Instant,
    /// Whether the session has worked since.
    has_begun: bool,
    /// What the message should say now, if that is not what it says.
    next: Option<String>,
    says: String,
    is_over: bool,
}

impl Live {
    fn new(of: Message) -> Self {
        let (since, says) = (Instant::now(), of.said.clone());
        Self { of, since, has_begun: false, next: None, says, is_over: false }
    }

    /// Takes in how its session is.
    fn see(&mut self, view: &View) {
        let works = is_at_work(view.state);
        self.has_begun |= works;
        if !self.has_begun {
            self.is_over = self.since.elapsed() > TO_BEGIN;
            return;
        }
        let text = text(&self.of.said, view);
        self.next = Some(text).filter(|text| *text != self.says);
        self.is_over = !works;
    }
}

const fn is_at_work(state: StateName) -> bool {
    matches!(
        state,
        StateName::New
            | StateName::Running
            | StateName::Queued
            | StateName::Limited
            | StateName::Paused
    )
}

/// Takes messages over, and edits them.
pub(super) struct Progress(mpsc::UnboundedSender<Message>);

impl Progress {
    /// Begins with the messages that an earlier bot edited.
    pub(super) fn begin(api: Arc<Api>, caller: Caller, folder: &std::path::Path) -> Self {
        let (sender, messages) = mpsc::unbounded_channel();
        let file = folder.join("live.json");
        let known = store::read(&file).ok().flatten();
        let known: Vec<Message> =
            known.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let live = known.into_iter().map(Live::new).collect();
        tokio::spawn(Board { api, caller, file, live, changes: None }.run(messages));
        Self(sender)
    }

    /// Edits this message from now on, in place of an earlier one about the session.
    pub(super) fn follow(&self, message: Message) {
        let _ = self.0.send(message);
    }
}

struct Board {
    api: Arc<Api>,
    caller: Caller,
    file: PathBuf,
    live: Vec<Live>,
    /// Nothing is watched while there is nothing to edit.
    changes: Option<BoxStream<'static, Change>>,
}

impl Board {
    async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        let mut edited = Instant::now() - EVERY;
        loop {
            if self.live.is_empty() {
                self.changes = None;
            } else if self.changes.is_none() {
                self.watch().await;
            }
            let has_news = self.live.iter().any(|live| live.next.is_some());
            tokio::select! {
                message = messages.recv() => {
                    let Some(message) = message else { return };
                    self.live.retain(|live| live.of.instance != message.instance);
                    self.live.push(Live::new(message));
                    // The stream begins with how all sessions are now.
                    self.changes = None;
                    self.save();
                }
                change = next(&mut self.changes) => match change {
                    Some(Change::Session { view }) => self.see(&view),
                    Some(Change::Gone { instance }) => {
                        self.live.retain(|live| live.of.instance != instance);
                        self.save();
                    }
                    Some(Change::Unreadable { .. }) => {}
                    None => self.changes = None,
                },
                () = sleep_until(edited + EVERY), if has_news => {
                    self.edit().await;
                    edited = Instant::now();
                }
            }
        }
    }

    async fn watch(&mut self) {
        let everywhere = self.caller.config.is_none();
        let watch = Watch { sessions: Vec::new(), everywhere };
        match Local::new(self.caller.clone()).watch(watch).await {
            Ok(changes) => self.changes = Some(changes),
            Err(error) => {
                tracing::warn!("cannot show progress: {}", error.in_one_line());
                self.live.clear();
            }
        }
    }

    fn see(&mut self, view: &View) {
        let live = self.live.iter_mut().filter(|live| live.of.instance == view.instance);
        live.for_each(|live| live.see(view));
        self.forget();
    }

    /// Leaves the messages alone that have said their last.
    fn forget(&mut self) {
        let all = self.live.len();
        self.live.retain(|live| !live.is_over || live.next.is_some());
        if self.live.len() < all {
            self.save();
        }
    }

    async fn edit(&mut self) {
        for live in &mut self.live {
            let Some(text) = live.next.clone() else { continue };
            match self.api.edit(live.of.chat, live.of.message, &text).await {
                Edited::Done => {
                    live.says = text;
                    live.next = None;
                }
                // It was deleted, say.
                Edited::Never => (live.next, live.is_over) = (None, true),
                Edited::Later => {}
            }
        }
        self.forget();
    }

    fn save(&self) {
        let messages: Vec<&Message> = self.live.iter().map(|live| &live.of).collect();
        let bytes = serde_json::to_vec(&messages).unwrap_or_default();
        if let Err(error) = store::replace(&self.file, &bytes) {
            tracing::warn!("{error}");
        }
    }
}

async fn next(changes: &mut Option<BoxStream<'static, Change>>) -> Option<Change> {
    match changes {
        Some(changes) => changes.next().await,
        None => std::future::pending().await,
    }
}

/// What a message says: what it said first, and how its session is. As HTML.
fn text(said: &str, view: &View) -> String {
    let cost = match view.cost_usd > 0.0 {
        true => format!(" · {}", dollars(view.cost_usd, view.certainty())),
        false => String::new(),
    };
    let (phase, iteration) = (view.phase, view.iteration);
    let mut text = format!("{said}\n\n{} {phase} {iteration}{cost}", bar(view.phase));
    let now = match view.state {
        StateName::Running | StateName::New if view.doing.is_some() => view.doing.clone(),
        StateName::Running => view.summary.clone(),
        state => {
            let reason = view.reason.as_deref().map_or_else(String::new, |why| format!(": {why}"));
            Some(format!("{state}{reason}"))
        }
    };
    if let Some(now) = now.map(|now| clip(&tame_line(&now), 300)).filter(|now| !now.is_empty()) {
        text.push('\n');
        text.push_str(&escape_within(&now, 600));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn view(state: StateName, doing: &str) -> View {
        serde_json::from_value(json!({
            "session": "jwt", "instance": "jwt", "project": "/shop", "folder": "/s/26-11-20-jwt",
            "state": state, "phase": "requirements", "iteration": 3, "total_iterations": 7,
            "doing": doing, "cost_usd": 0.42, "tokens": {"input": 1, "output": 1},
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn a_message_follows_its_session_from_when_it_begins_to_when_it_rests() {
        let message = Message {
            instance: "jwt".to_owned(),
            chat: 1,
            message: 7,
            said: "jwt: approved".to_owned(),
        };
        let mut live = Live::new(message);
        let mut see = |state: StateName, doing: &str| {
            live.see(&view(state, doing));
            let said = live.next.take();
            said.iter().for_each(|said| live.says.clone_from(said));
            (said, live.is_over)
        };
        // It has not taken the approval yet.
        assert_eq!(see(StateName::Waiting, ""), (None, false));
        let (said, _) = see(StateName::Running, "editing <a>\n&co");
        let bar = "■■■□□□□□ requirements 3 · $0.42";
        assert_eq!(said.unwrap(), format!("jwt: approved\n\n{bar}\nediting &lt;a&gt; &amp;co"));
        assert_eq!(see(StateName::Running, "editing <a>\n&co"), (None, false));
        let (said, is_over) = see(StateName::Done, "");
        assert_eq!((said.unwrap(), is_over), (format!("jwt: approved\n\n{bar}\ndone"), true));
    }
}
