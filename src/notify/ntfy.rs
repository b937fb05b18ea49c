//! ntfy (<https://docs.ntfy.sh/publish/#publish-as-json>). Markdown is off unless it is asked for, so
//! no text has to be escaped.

use async_trait::async_trait;
use reqwest::Url;
use serde::Serialize;

use super::http::Http;
use super::{Notice, NoticeKind, Notifier, NotifyError, Proxies, letter};
use crate::config::Secret;

/// The longest message, in bytes: a longer one arrives as a file.
const MAX_BYTES: usize = 4096;

/// Sends notices to a topic of an ntfy server.
pub(super) struct Ntfy {
    name: String,
    topic: String,
    token: Option<Secret>,
    http: Http,
}

impl Ntfy {
    /// The topic at this address, such as `https://ntfy.sh/TOPIC`; `None` if the address has no topic.
    pub(super) fn new(
        name: &str,
        mut url: Url,
        token: Option<Secret>,
        proxies: Proxies,
    ) -> Option<Self> {
        let (server, topic) = {
            let path = url.path().trim_end_matches('/');
            let (server, topic) = path.rsplit_once('/')?;
            (format!("{server}/"), topic.to_owned())
        };
        if topic.is_empty() {
            return None;
        }
        url.set_path(&server);
        let http = Http::new(name, url, token.iter().cloned().collect(), proxies);
        Some(Self { name: name.to_owned(), topic, token, http })
    }
}

#[derive(Serialize)]
struct Message<'a> {
    topic: &'a str,
    title: String,
    message: String,
    priority: u8,
    tags: [&'static str; 1],
}

/// From 1 to 5. A phone shows 5 even if it is silent, and 2 without a sound.
const fn priority(kind: NoticeKind) -> u8 {
    match kind {
        NoticeKind::Blocked | NoticeKind::Failed | NoticeKind::Member | NoticeKind::Waiting => 4,
        NoticeKind::Warning | NoticeKind::Budget | NoticeKind::Limit => 2,
        _ => 3,
    }
}

/// The short code of an emoji.
const fn tag(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Waiting => "question",
        NoticeKind::Blocked | NoticeKind::Member => "no_entry",
        NoticeKind::Failed => "rotating_light",
        NoticeKind::Done | NoticeKind::Convoy => "white_check_mark",
        NoticeKind::Paused | NoticeKind::Limit => "hourglass",
        NoticeKind::Stalled | NoticeKind::Warning => "warning",
        NoticeKind::Budget => "moneybag",
        NoticeKind::Mail => "envelope",
        NoticeKind::Digest => "sunrise",
        NoticeKind::Test => "wave",
    }
}

#[async_trait]
impl Notifier for Ntfy {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, notice: &Notice) -> Result<(), NotifyError> {
        let message = Message {
            topic: &self.topic,
            title: letter::title(notice, 200),
            message: letter::body(notice, MAX_BYTES / 3),
            priority: priority(notice.kind),
            tags: [tag(notice.kind)],
        };
        let answered = self.http.post(self.http.url().clone(), |request| {
            let request = match &self.token {
                Some(token) => request.bearer_auth(token.expose()),
                None => request,
            };
            request.json(&message)
        });
        self.http.judge(&answered.await?, "check url and token of this channel")
    }
}
