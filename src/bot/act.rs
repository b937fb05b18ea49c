//! What the bot does about what it heard.

use serde_json::{Value, json};

use super::api::Api;
use super::live::Message;
use super::update::{Command, Heard, REASON_MARK, What};
use crate::control::enable::Enable;
use crate::control::inspect::List;
use crate::control::post::Send;
use crate::control::press;
use crate::control::request::Work;
use crate::control::stop::Stop;
use crate::control::unit::Start;
use crate::control::view::View;
use crate::control::{Call, Caller, Error, Local, Result, call};
use crate::notify::buttons::Press;
use crate::notify::text::{clip, escape_within, tame_block, tame_line};
use crate::session::mail::Kind;
use crate::session::state::StateName;

/// A plan that is longer, in UTF-16 code units, is sent as a file.
const LONG_PLAN: usize = 3000;

/// The longest message.
const MAX_UNITS: usize = 4000;

/// One thing that a person did, and the bot's answer.
pub(super) struct Conversation<'a> {
    pub(super) api: &'a Api,
    /// The person, as a caller.
    pub(super) caller: Caller,
    pub(super) heard: &'a Heard,
    /// Whether this was begun before and interrupted.
    pub(super) is_again: bool,
}

impl Conversation<'_> {
    /// Returns the message that says how it continues, if work does.
    pub(super) async fn answer(&self) -> Option<Message> {
        let done = match &self.heard.what {
            What::Pressed { query, press, keyboard } => {
                return self.pressed(query, press.as_ref(), keyboard.as_ref()).await;
            }
            What::Command(command) => self.command(command).await,
            What::Reply { session, text } => self.send(session, text).await.map(Told::of),
            What::Reason { key, text } => self.reject(key, text).await,
            What::Text => Ok(Told::of(HELP.to_owned())),
        };
        let told = done.unwrap_or_else(|error| Told::of(error.in_one_line()));
        self.tell(told).await
    }

    /// Says what was done; returns the message if the session works now.
    async fn tell(&self, Told { text, works }: Told) -> Option<Message> {
        let said = match works.as_deref().and_then(|instance| after_name(&text, instance)) {
            // In bold, so that a reply to it goes to the session.
            Some((instance, rest)) => {
                format!("<b>{}</b>{}", escape_within(instance, 300), escape_within(rest, 3000))
            }
            None => escape_within(&text, MAX_UNITS),
        };
        let message = self.say(&said, json!({})).await?;
        Some(Message { instance: works?, chat: self.heard.chat, message, said })
    }

    async fn say(&self, html: &str, more: Value) -> Option<i64> {
        self.api.say(self.heard.chat, self.heard.message, html, more).await
    }

    async fn call<C: Call>(&self, of: C) -> Result<C::Reply> {
        let host = Local::new(self.caller.clone());
        call(&host, of, &crate::service::quiet).await.result
    }

    async fn pressed(
        &self,
        query: &str,
        press: Option<&Press>,
        keyboard: Option<&Value>,
    ) -> Option<Message> {
        let done = match press {
            Some(press) => self.settle(press).await,
            None => Ok(Pressed::Settled("This button is not from this samocode.".to_owned())),
        };
        let done = done.unwrap_or_else(|error| Pressed::Failed(error.in_one_line()));
        let short = clip(&tame_line(done.text()), 190);
        self.api.answer_press(query, &short, !matches!(done, Pressed::Done(_))).await;
        let mut message = None;
        if let Pressed::Done(Told { text, works }) = &done {
            let by = tame_line(&self.heard.who());
            let told = Told { text: format!("{text} ({by})"), works: works.clone() };
            message = self.tell(told).await;
        }
        let is_over = matches!(done, Pressed::Done(_) | Pressed::Settled(_));
        if let (true, Some(press), Some(keyboard)) = (is_over, press, keyboard) {
            let rows = without(keyboard, press.key());
            self.api.set_buttons(self.heard.chat, self.heard.message, &rows).await;
        }
        message
    }

    async fn settle(&self, press: &Press) -> Result<Pressed> {
        match press {
            Press::Answer { .. } | Press::Approve(_) => Ok(self.press(press).await?.into()),
            // The reason is asked for first.
            Press::Reject(key) => Ok(match self.plan(key).await? {
                Ok((session, _)) => {
                    let session = escape_within(&session, 200);
                    let ask = format!(
                        "<b>{session}</b> What should the plan do differently? Reply to this \
                         message.\n{REASON_MARK}{key}"
                    );
                    self.say(&ask, json!({"reply_markup": {"force_reply": true}})).await;
                    Pressed::Open("Reply with the reason.".to_owned())
                }
                Err(settled) => settled.into(),
            }),
            Press::ShowPlan(key) => Ok(match self.plan(key).await? {
                Ok((session, text)) => {
                    self.show_plan(&session, &text).await;
                    Pressed::Open("Here it is.".to_owned())
                }
                Err(settled) => settled.into(),
            }),
        }
    }

    async fn press(&self, button: &Press) -> Result<press::Pressed> {
        let again = self.is_again;
        self.call(press::Press { again, ..press::Press::on(button) }).await
    }

    /// The session whose plan has this key, and the plan; or that it is settled.
    async fn plan(
        &self,
        key: &str,
    ) -> Result<std::result::Result<(String, String), press::Pressed>> {
        let mut shown = self.press(&Press::ShowPlan(key.to_owned())).await?;
        Ok(match (shown.instance.take(), shown.plan.take()) {
            (Some(session), Some(text)) => Ok((session, text)),
            _ => Err(shown),
        })
    }

    async fn show_plan(&self, session: &str, text: &str) {
        let text = tame_block(text);
        if text.encode_utf16().count() <= LONG_PLAN {
            let session = escape_within(session, 200);
            let html =
                format!("<b>{session}</b> plan\n\n{}", escape_within(&text, MAX_UNITS - 300));
            self.say(&html, json!({})).await;
        } else {
            let name: String = session
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
                .collect();
            let name = format!("{name}-plan.md");
            self.api.send_file(self.heard.chat, self.heard.message, &name, &text).await;
        }
    }

    async fn reject(&self, key: &str, reason: &str) -> Result<Told> {
        let button = Press::Reject(key.to_owned());
        let press = press::Press { reason: reason.to_owned(), ..press::Press::on(&button) };
        let pressed = self.call(press).await?;
        Ok(Told { text: pressed.said, works: pressed.instance.filter(|_| pressed.resumes) })
    }

    async fn command(&self, command: &Command) -> Result<Told> {
        let text = match command {
            Command::Status => status(&self.call(List {}).await?),
            Command::Stop(session) => {
                let stopped = self.call(Stop { session: session.clone(), now: false }).await?;
                format!(
                    "{} is stopped. Resume it with /start {}",
                    stopped.session, stopped.instance
                )
            }
            Command::Start(session) => {
                let started = self.call(Start { session: session.clone() }).await?;
                let text = format!("{} is started.", started.session);
                return Ok(Told { text, works: Some(started.instance) });
            }
            Command::Send { session, text } => self.send(session, text).await?,
            Command::New { session, task } => return self.begin(session, task).await,
            Command::Help => HELP.to_owned(),
        };
        Ok(Told::of(text))
    }

    async fn send(&self, session: &str, text: &str) -> Result<String> {
        if self.is_again {
            return Ok(interrupted());
        }
        let send = Send { session: session.to_owned(), kind: Kind::Text, text: text.to_owned() };
        let sent = self.call(send).await?;
        Ok(format!("{}: sent. It {}", sent.session, sent.outcome))
    }

    /// Begins a session in the project that the bot is for, or in the only one with sessions.
    async fn begin(&self, session: &str, task: &str) -> Result<Told> {
        if self.is_again {
            return Ok(Told::of(interrupted()));
        }
        let mut caller = self.caller.clone();
        if caller.config.is_none() {
            let mut projects: Vec<String> =
                self.call(List {}).await?.into_iter().map(|view| view.project).collect();
            projects.sort_unstable();
            projects.dedup();
            let [project] = &projects[..] else {
                return Err(Error::usage("cannot tell which project the session is for")
                    .hint("start the bot for one: samocode bot --config FILE"));
            };
            caller.config = Some(std::path::Path::new(project).join(".samocode"));
        }
        let enable = Enable {
            session: session.to_owned(),
            work: Work { task: Some(task.to_owned()), ..Work::default() },
            ..Enable::default()
        };
        let enabled = call(&Local::new(caller), enable, &crate::service::quiet).await.result?;
        let text = format!("{} has begun.", enabled.session);
        Ok(Told { text, works: Some(enabled.instance) })
    }
}

/// What was done.
struct Told {
    text: String,
    /// The session that works now because of it.
    works: Option<String>,
}

/// The instance, and what follows the session's name in a text about it.
fn after_name<'a>(text: &'a str, instance: &'a str) -> Option<(&'a str, &'a str)> {
    let name = instance.split("--").next().unwrap_or(instance);
    Some((instance, text.strip_prefix(name)?))
}

impl Told {
    const fn of(text: String) -> Self {
        Self { text, works: None }
    }
}

/// What became of a press.
enum Pressed {
    /// It had its effect.
    Done(Told),
    /// What it was about is settled.
    Settled(String),
    /// It stays open.
    Open(String),
    /// It could not be done, and may be tried again.
    Failed(String),
}

impl Pressed {
    fn text(&self) -> &str {
        match self {
            Self::Done(Told { text, .. })
            | Self::Settled(text)
            | Self::Open(text)
            | Self::Failed(text) => text,
        }
    }
}

impl From<press::Pressed> for Pressed {
    fn from(pressed: press::Pressed) -> Self {
        match pressed.instance {
            Some(instance) => {
                Self::Done(Told { text: pressed.said, works: pressed.resumes.then_some(instance) })
            }
            None => Self::Settled(pressed.said),
        }
    }
}

fn interrupted() -> String {
    "samocode was interrupted while it did this, and may have done it. Look with /status, and say it \
     again if it is missing."
        .to_owned()
}

const HELP: &str = "/status – all sessions\n/stop NAME\n/start NAME\n/send NAME text\n\
                    /new NAME task\nReply to a message to write to its session.";

/// The rows of a keyboard without those of one question or plan.
fn without(keyboard: &Value, key: &str) -> Value {
    let rows = keyboard["inline_keyboard"].as_array().cloned().unwrap_or_default();
    let is_other = |row: &Value| {
        let data = row[0]["callback_data"].as_str().and_then(Press::parse);
        data.is_none_or(|press| press.key() != key)
    };
    Value::Array(rows.into_iter().filter(is_other).collect())
}

/// All sessions, those that need somebody first.
fn status(views: &[View]) -> String {
    let needs_you = |view: &View| {
        matches!(view.state, StateName::Waiting | StateName::Blocked | StateName::Failed)
    };
    let line = |view: &View| {
        let reason = view.reason.as_deref().map(tame_line).filter(|reason| !reason.is_empty());
        let reason = reason.map_or(String::new(), |reason| format!(": {}", clip(&reason, 120)));
        format!("{} – {}, {} {}{reason}", view.instance, view.state, view.phase, view.iteration)
    };
    let (first, rest): (Vec<&View>, Vec<&View>) = views.iter().partition(|view| needs_you(view));
    let lines: Vec<String> = first.iter().chain(&rest).map(|view| line(view)).collect();
    match (views.len(), first.len()) {
        (0, _) => "There are no sessions.".to_owned(),
        (_, 0) => lines.join("\n"),
        (_, 1) => format!("1 needs you\n{}", lines.join("\n")),
        (_, count) => format!("{count} need you\n{}", lines.join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_row_that_is_settled_loses_its_buttons() {
        let row = |key: &str| json!([{"text": "x", "callback_data": format!("a:{key}:A")}]);
        let (one, two) = ("0000000000000001", "0000000000000002");
        let keyboard = json!({"inline_keyboard": [row(one), row(two)]});
        assert_eq!(without(&keyboard, one), json!([row(two)]));
        assert_eq!(without(&json!({}), one), json!([]));
    }
}
