//! What the model asks for: calls of control, and the streams of the open page.

use std::sync::Arc;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use crate::control::answers::{Answer, Answers, Questions};
use crate::control::documents::{Read, Topic};
use crate::control::format::{clock, span};
use crate::control::inbox::Inbox;
use crate::control::inspect::Explain;
use crate::control::load::Load;
use crate::control::log::Log;
use crate::control::post::{Approve, Reject, Send};
use crate::control::stop::{Stop, StopEnd};
use crate::control::timeline::{History, Item};
use crate::control::tree::Tree;
use crate::control::unit::{Restart, Start};
use crate::control::{Call, Host, Result, call};
use crate::session::clock::shown_zone;
use crate::session::mail::Kind;

use super::messages::{Action, Msg, Opened};
use super::page::{self, Tab, Text, Tone};

/// How much of a log is read before what is new.
const LINES_BEFORE: usize = 400;

/// At most this many lines are handed over at once.
const AT_ONCE: usize = 256;

/// Does what the model asks for, and reports to it.
pub(super) struct Effects {
    host: Arc<dyn Host>,
    sender: Sender<Msg>,
    /// What reads the open page.
    reading: Option<JoinHandle<()>>,
}

impl Effects {
    pub(super) const fn new(host: Arc<dyn Host>, sender: Sender<Msg>) -> Self {
        Self { host, sender, reading: None }
    }

    /// Ends the reading of the open page.
    pub(super) fn close(&mut self) {
        if let Some(reading) = self.reading.take() {
            reading.abort();
        }
    }

    /// Reads a page in place of the one that is open.
    pub(super) fn open(&mut self, opened: Opened) {
        self.close();
        let (host, sender) = (Arc::clone(&self.host), self.sender.clone());
        self.reading = Some(tokio::spawn(async move {
            if opened.tab == Tab::Log {
                follow(host.as_ref(), &opened, &sender).await;
            } else {
                let read = read(host.as_ref(), &opened).await;
                let _ = sender.send(Msg::Page(opened.number, read)).await;
            }
        }));
    }

    /// Reads what the running sessions use. What cannot be read is not shown.
    pub(super) fn measure(&self) {
        let (host, sender) = (Arc::clone(&self.host), self.sender.clone());
        tokio::spawn(async move {
            if let Ok((used, _)) = ask(host.as_ref(), Load {}).await {
                let _ = sender.send(Msg::Load(std::time::Instant::now(), used)).await;
            }
        });
    }

    /// Makes a call; what came of it is reported.
    pub(super) fn call(&self, action: Action) {
        let (host, sender) = (Arc::clone(&self.host), self.sender.clone());
        tokio::spawn(async move {
            let msg = act(host.as_ref(), action).await;
            let _ = sender.send(msg).await;
        });
    }
}

/// Hands a session's log over, several lines at a time when there are many.
async fn follow(host: &dyn Host, opened: &Opened, sender: &Sender<Msg>) {
    let session = opened.session.clone();
    let log = Log { session, last: Some(LINES_BEFORE), follow: true, ..Log::default() };
    let lines = match host.log(log).await {
        Ok(lines) => lines,
        Err(error) => {
            let _ = sender.send(Msg::Log(opened.number, vec![Err(error)])).await;
            return;
        }
    };
    let mut lines = lines.ready_chunks(AT_ONCE);
    while let Some(lines) = lines.next().await {
        if sender.send(Msg::Log(opened.number, lines)).await.is_err() {
            return;
        }
    }
}

/// The whole text of a page.
async fn read(host: &dyn Host, opened: &Opened) -> Result<Vec<Text>> {
    let session = opened.session.clone();
    let document = |topic| Read { session: session.clone(), topic: Some(topic) };
    let (now, zone) = (Timestamp::now(), shown_zone());
    Ok(match opened.tab {
        // It is followed instead.
        Tab::Log => Vec::new(),
        Tab::Plan => page::markdown(&ask(host, document(Topic::Plan)).await?.0.text),
        Tab::Questions => page::markdown(&ask(host, document(Topic::Questions)).await?.0.text),
        Tab::Diff => {
            let (text, warnings) = ask(host, document(Topic::Diff)).await?;
            let warnings = warnings.iter().map(|text| Text::new(Tone::Attention, text));
            warnings.chain(page::diff(&text.text)).collect()
        }
        Tab::Story => {
            let items = ask(host, History { session }).await?.0;
            items.iter().map(|item| story(item, now, &zone)).collect()
        }
        Tab::Mail => {
            let mail = ask(host, Inbox { session, all: true }).await?.0.into_iter();
            let texts = mail.flat_map(|mail| {
                let message = &mail.message;
                let new = if mail.read { "" } else { " (not read yet)" };
                let head = format!("{} from {}{new}", message.kind, message.from);
                let at = format!("{} ", clock(message.at, now, &zone));
                let head = Text::new(Tone::Strong, &head).with_margin(at);
                std::iter::once(head).chain(page::lines(&message.body))
            });
            texts.collect()
        }
        Tab::Convoy => super::tree::texts(&ask(host, Tree { session }).await?.0),
        Tab::Why => {
            let why = ask(host, Explain { session }).await?.0;
            let view = &why.view;
            let mut texts =
                vec![Text::new(Tone::Strong, &format!("{} is {}", view.instance, view.state))];
            texts.extend(view.reason.iter().map(|reason| Text::new(Tone::Plain, reason)));
            texts.push(Text::new(Tone::Mark, &why.remedy));
            texts.extend(view.notes.iter().map(|note| Text::new(Tone::Attention, note)));
            texts.extend(
                view.read.iter().map(|path| Text::new(Tone::Plain, &format!("Read: {path}"))),
            );
            texts.push(Text::default());
            texts.extend(why.events.iter().map(|item| story(item, now, &zone)));
            texts
        }
    })
}

fn story(item: &Item, now: Timestamp, zone: &TimeZone) -> Text {
    match item {
        Item::Event { at, text, .. } => {
            Text::new(Tone::Dim, text).with_margin(format!("{} ", clock(*at, now, zone)))
        }
        Item::Iteration(of) => {
            let cost = of.cost().map_or_else(String::new, |cost| format!(" · {cost}"));
            let took = span(jiff::SignedDuration::from_secs(of.seconds));
            let summary = of.summary.as_deref().unwrap_or_default();
            let text =
                format!("{} {}: {} · {took}{cost} · {summary}", of.phase, of.iteration, of.status);
            let at = format!("{} ", clock(of.at, now, zone));
            Text::new(Tone::Plain, text.trim_end_matches(" · ")).with_margin(at)
        }
    }
}

/// A call's reply and its warnings.
async fn ask<C: Call>(host: &dyn Host, request: C) -> Result<(C::Reply, Vec<String>)> {
    let answer = call(host, request, &|_| {}).await;
    Ok((answer.result?, answer.warnings))
}

async fn act(host: &dyn Host, action: Action) -> Msg {
    if let Action::Ask { session } = action {
        return Msg::Asked(ask(host, Questions { session }).await.map(|(asked, _)| asked));
    }
    Msg::Done(change(host, action).await.map(|(done, warnings)| {
        std::iter::once(done).chain(warnings).collect::<Vec<_>>().join(" · ")
    }))
}

/// Makes the call; says what it did.
async fn change(host: &dyn Host, action: Action) -> Result<(String, Vec<String>)> {
    Ok(match action {
        // Handled by the caller: they end in no sentence.
        Action::Ask { session } | Action::Attach { session } => (session, Vec::new()),
        Action::Answer { session, id, to, answer } => {
            let answers = vec![Answer { id, answer, to: Some(to) }];
            let call = Answers { session, answers, accept_suggestions: false, hold: false };
            let (answered, warnings) = ask(host, call).await?;
            let said = match (&answered.sent, answered.open.len()) {
                (Some(_), _) => format!("answered; {} resumes", answered.instance),
                (None, open) => format!("saved; still open: {open}"),
            };
            (said, warnings)
        }
        Action::Approve { session } => {
            let (posted, warnings) = ask(host, Approve { session, message: String::new() }).await?;
            (format!("approved: {}", posted.sent.instance), warnings)
        }
        Action::Reject { session, reason } => {
            let (posted, warnings) = ask(host, Reject { session, reason }).await?;
            (format!("rejected: {}", posted.sent.instance), warnings)
        }
        Action::Send { session, text } => {
            let (sent, warnings) = ask(host, Send { session, kind: Kind::Text, text }).await?;
            (format!("sent to {}", sent.instance), warnings)
        }
        Action::Start { session } => {
            let (started, warnings) = ask(host, Start { session }).await?;
            (format!("started {}", started.instance), warnings)
        }
        Action::Stop { session, now } => {
            let (stopped, warnings) = ask(host, Stop { session, now }).await?;
            let text = match stopped.end {
                StopEnd::Stopped | StopEnd::Gone { .. } => "stopped",
                StopEnd::WasDone | StopEnd::Done => "nothing to stop, it is done",
                StopEnd::CalledOff => "it was started again",
            };
            (format!("{text}: {}", stopped.instance), warnings)
        }
        Action::Restart { session } => {
            let (restarted, warnings) = ask(host, Restart { session }).await?;
            (format!("restarted {}", restarted.instance), warnings)
        }
    })
}
