//! Web Push (RFC 8030): messages to browsers that subscribed on the page of `samocode web`, also while
//! the page is closed. Each browser is a channel of its own, so that one that is off delays no other.

mod encrypt;
mod subscriptions;
mod vapid;

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::http::Http;
use super::{LeftOut, Notice, NoticeKind, Notifier, NotifyError, Proxies, letter};
use crate::config::Secret;
use encrypt::{MOST_BYTES, Recipient, encrypt};
use vapid::Vapid;

pub(in crate::notify) use subscriptions::make_folder;
pub use subscriptions::{Subscription, Subscriptions};

/// How long a push service keeps a message for a browser that is off, in seconds.
const TTL: &str = "259200";

/// The longest address of a page. A session's name is never as long.
const LONGEST_PATH: usize = 1000;

/// Whom a push service's operator writes to if neither `contact` nor the page's address says it.
const CONTACT: &str = "mailto:webpush@samocode.invalid";

/// The public key that browsers subscribe with.
///
/// # Errors
/// Those of the disk.
pub fn public_key(state: &Path) -> io::Result<String> {
    Ok(Vapid::open(&Subscriptions::of(state).key_file())?.public())
}

/// Makes a channel of each browser.
#[derive(Clone)]
pub(super) struct WebPush {
    /// The name of the channel, which those of the browsers begin with.
    pub(super) name: String,
    pub(super) browsers: Subscriptions,
    /// Whom a push service's operator writes to, as an address with `mailto:` or `https:`.
    pub(super) contact: Option<String>,
    pub(super) proxies: Proxies,
}

impl WebPush {
    /// The channels of the browsers that there are now.
    pub(super) fn lanes(&self) -> Vec<Arc<dyn Notifier>> {
        let live = self.browsers.live().into_iter();
        live.filter_map(|browser| Lane::of(self, browser))
            .map(|lane| Arc::new(lane) as Arc<dyn Notifier>)
            .collect()
    }

    /// That no browser takes messages.
    pub(super) fn missing(&self) -> Option<LeftOut> {
        let has_any = !self.browsers.live().is_empty() || !self.browsers.ended().is_empty();
        let reason =
            "no browser takes messages; open samocode web in one, and turn notifications on";
        let (notifier, reason) = (self.name.clone(), reason.to_owned());
        (!has_any).then_some(LeftOut { notifier, reason, mistaken: false })
    }

    /// The browsers whose messages have ended without anybody asking for that.
    pub(super) fn ended(&self) -> Vec<LeftOut> {
        let of = |browser: Subscription| LeftOut {
            notifier: self.name.clone(),
            reason: format!(
                "{} no longer takes messages: its push service has dropped it; open samocode web \
                 there, and turn notifications on",
                browser.device
            ),
            mistaken: true,
        };
        self.browsers.ended().into_iter().map(of).collect()
    }
}

/// The channel of one browser.
struct Lane {
    name: String,
    id: String,
    device: String,
    public: Vec<u8>,
    secret: Vec<u8>,
    browsers: Subscriptions,
    contact: String,
    http: Http,
}

/// A message as the page's service worker reads it.
#[derive(Serialize)]
struct Message {
    title: String,
    body: String,
    /// A later message with the same tag takes the place of this one.
    tag: String,
    /// The page to open.
    path: String,
    at: i64,
    /// Whether it stays until somebody has looked.
    stays: bool,
}

impl Lane {
    fn of(channel: &WebPush, browser: Subscription) -> Option<Self> {
        let url = browser.address()?;
        let secrets = vec![Secret::new(browser.endpoint.as_str()), Secret::new(url.path())];
        let id = browser.id();
        let name = format!("{}-{id}", channel.name);
        let http = Http::new(&name, url, secrets, channel.proxies.clone());
        let page = browser.page.starts_with("https:").then(|| browser.page.clone());
        let contact = channel.contact.clone().or(page).unwrap_or_else(|| CONTACT.to_owned());
        Some(Self {
            http,
            name,
            id,
            public: subscriptions::decode(&browser.p256dh)?,
            secret: subscriptions::decode(&browser.auth)?,
            device: browser.device,
            browsers: channel.browsers.clone(),
            contact,
        })
    }

    fn unfit(&self, why: impl std::fmt::Display) -> NotifyError {
        NotifyError::Final(format!("{}: cannot write to {}: {why}", self.name, self.device))
    }
}

/// What a message is about. Notices of a session's state make earlier ones void, here as everywhere.
fn tag(notice: &Notice) -> String {
    let about =
        if notice.kind.is_of_state() { ("state", &notice.session) } else { ("id", &notice.id) };
    let hash = digest(&SHA256, format!("{} {}", about.0, about.1).as_bytes());
    // A topic has at most 32 letters.
    hash.as_ref()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn message(notice: &Notice, now: Timestamp) -> Message {
    let path = match notice.session.as_str() {
        "" => "/".to_owned(),
        session => format!("/s/{}", utf8_percent_encode(session, NON_ALPHANUMERIC)),
    };
    let path = if path.len() > LONGEST_PATH { "/".to_owned() } else { path };
    Message {
        title: letter::title(notice, 120),
        body: letter::body(notice, 600),
        tag: tag(notice),
        path,
        at: notice.late.unwrap_or(now).as_millisecond(),
        stays: notice.kind.is_urgent() || notice.kind == NoticeKind::Waiting,
    }
}

/// The text of a message. What a browser shows is short, so that cutting it loses little.
fn text(notice: &Notice, now: Timestamp) -> serde_json::Result<Vec<u8>> {
    let mut message = message(notice, now);
    loop {
        let text = serde_json::to_vec(&message)?;
        if text.len() <= MOST_BYTES || message.body.is_empty() {
            return Ok(text);
        }
        // Escapes and letters of several bytes may make much of a short text.
        let half = message.body.chars().count() / 2;
        message.body = super::text::clip(&message.body, half);
    }
}

const fn urgency(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Blocked | NoticeKind::Failed | NoticeKind::Member | NoticeKind::Waiting => {
            "high"
        }
        NoticeKind::Warning | NoticeKind::Budget | NoticeKind::Limit => "low",
        _ => "normal",
    }
}

#[async_trait]
impl Notifier for Lane {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants(&self, _: NoticeKind) -> bool {
        self.browsers.has(&self.id)
    }

    async fn send(&self, notice: &Notice) -> Result<(), NotifyError> {
        let absent = || NotifyError::Absent(format!("{} takes no more messages", self.device));
        if !self.browsers.has(&self.id) {
            return Err(absent());
        }
        let now = Timestamp::now();
        let text = text(notice, now).map_err(|why| self.unfit(why))?;
        let to = Recipient { public: &self.public, secret: &self.secret };
        let body =
            encrypt(&text, &to).map_err(|_| self.unfit("its key is not a point of P-256"))?;
        let origin = self.http.url().origin().ascii_serialization();
        let signed = Vapid::open(&self.browsers.key_file())
            .and_then(|vapid| vapid.authorization(&origin, &self.contact, now))
            .map_err(|why| self.unfit(why))?;
        let answered = self.http.post(self.http.url().clone(), |request| {
            request
                .header("Authorization", signed)
                .header("Content-Encoding", "aes128gcm")
                .header("Content-Type", "application/octet-stream")
                .header("TTL", TTL)
                .header("Urgency", urgency(notice.kind))
                .header("Topic", tag(notice))
                .body(body)
        });
        let answered = answered.await?;
        if matches!(answered.status, 404 | 410) {
            tracing::warn!("{}: {} no longer takes messages", self.name, self.device);
            self.browsers.end(&self.id).map_err(|why| self.unfit(why))?;
            return Err(absent());
        }
        let remedy = "turn notifications off and on again on the page in that browser";
        self.http.judge(&answered, remedy)
    }

    async fn check(&self) -> Result<(), NotifyError> {
        Vapid::open(&self.browsers.key_file()).map(drop).map_err(|why| self.unfit(why))
    }
}

#[cfg(test)]
mod tests;
