//! ntfy (<https://docs.ntfy.sh/publish/#publish-as-json>). Markdown is off unless it is asked for, so
//! no text has to be escaped.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::buttons::{Press, question_key};
use super::http::Http;
use super::presses::Presses;
use super::text::{clip, tame_line};
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
    page: Option<Page>,
}

/// The page of `samocode web`, as the phone reaches it.
pub(super) struct Page {
    /// Asks whether it is there.
    http: Http,
    presses: Presses,
    /// Why the last message has no buttons, although it should have some.
    trouble: Mutex<Option<String>>,
}

impl Page {
    /// The page at this address; an error if a phone cannot reach it there.
    pub(super) fn new(
        name: &str,
        url: Url,
        presses: Presses,
        proxies: Proxies,
    ) -> Result<Self, String> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let is_here = match host.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        };
        if is_here {
            return Err(format!(
                "page is {host}, which a phone cannot reach; serve it where it can, with: \
                 samocode web --behind-proxy HOST"
            ));
        }
        if url.scheme() != "https" || url.path() != "/" {
            return Err("page is not an address like https://samo.example.org".to_owned());
        }
        Ok(Self::at(name, url, presses, proxies))
    }

    fn at(name: &str, url: Url, presses: Presses, proxies: Proxies) -> Self {
        let mut http = Http::new(name, url, Vec::new(), proxies);
        http.set_timeout(LOOK);
        Self { http, presses, trouble: Mutex::default() }
    }

    fn url(&self, path: &str) -> String {
        self.http.url().join(path).map_or_else(|_| self.http.url().to_string(), String::from)
    }

    /// Whether the page answers there. If it does not, buttons would do nothing.
    async fn look(&self) -> Result<(), NotifyError> {
        let answered = self.http.get(self.http.url().join("manifest.webmanifest").ok()).await?;
        #[derive(Deserialize)]
        struct Manifest {
            short_name: String,
        }
        let manifest = serde_json::from_slice::<Manifest>(&answered.body);
        if answered.status == 200 && manifest.is_ok_and(|it| it.short_name == "samocode") {
            return Ok(());
        }
        let (host, status) = (self.http.host(), answered.status);
        Err(NotifyError::Final(format!("{host} answers with {status}, and is not samocode web")))
    }

    /// The buttons of a message; none if it asks nothing, or if they would do nothing.
    async fn actions(&self, notice: &Notice) -> Vec<Action> {
        let (buttons, view) = buttons(notice);
        let Some(view) = view else { return Vec::new() };
        let made = match self.look().await {
            Ok(()) if buttons.is_empty() => Ok(String::new()),
            Ok(()) => {
                let presses: Vec<Press> = buttons.iter().map(|(_, press)| press.clone()).collect();
                let issued = self.presses.issue(&presses, Timestamp::now());
                issued.map_err(|error| format!("they cannot be kept: {error}"))
            }
            Err(error) => Err(error.to_string()),
        };
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = match made {
            Ok(secret) => secret,
            Err(why) => {
                *trouble = Some(format!("the message went without buttons: {why}"));
                return Vec::new();
            }
        };
        *trouble = None;
        let http = buttons.into_iter().enumerate().map(|(at, (label, _))| Action {
            action: "http",
            label,
            url: self.url(&format!("press/{secret}/{at}")),
            method: Some("POST"),
            clear: true,
        });
        let session = utf8_percent_encode(&notice.session, NON_ALPHANUMERIC);
        let view = Action {
            action: "view",
            label: view.to_owned(),
            url: self.url(&format!("s/{session}")),
            method: None,
            clear: false,
        };
        http.chain([view]).take(MOST_BUTTONS).collect()
    }
}

/// The longest time to look whether the page is there.
const LOOK: Duration = Duration::from_secs(5);

/// The most buttons of a message.
const MOST_BUTTONS: usize = 3;

/// A button of a message (<https://docs.ntfy.sh/publish/#action-buttons>).
#[derive(Serialize)]
struct Action {
    action: &'static str,
    label: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    clear: bool,
}

/// What a message's buttons decide, and the label of the one that opens the page, for which there may
/// be no room; none if it asks nothing.
fn buttons(notice: &Notice) -> (Vec<(String, Press)>, Option<&'static str>) {
    if let Some(key) = &notice.plan {
        let decide =
            [("Approve", Press::Approve(key.clone())), ("Reject", Press::Reject(key.clone()))];
        return (decide.map(|(label, press)| (label.to_owned(), press)).into(), Some("Read it"));
    }
    let open = (!notice.questions.is_empty()).then_some("Answer");
    let [asked] = &notice.questions[..] else { return (Vec::new(), open) };
    if asked.options.len() > MOST_BUTTONS {
        return (Vec::new(), open);
    }
    let key = question_key(&notice.session, &asked.id, &asked.text);
    let buttons = asked.options.iter().map(|(letter, option)| {
        let mark = if asked.suggested == Some(*letter) { " ★" } else { "" };
        let label = clip(&tame_line(&format!("{letter}{mark} {option}")), 30);
        (label, Press::Answer { key: key.clone(), letter: *letter })
    });
    (buttons.collect(), open)
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
        Some(Self { name: name.to_owned(), topic, token, http, page: None })
    }

    /// The same with buttons that act through the page.
    pub(super) fn with_page(self, page: Option<Page>) -> Self {
        Self { page, ..self }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    topic: &'a str,
    title: String,
    message: String,
    priority: u8,
    tags: [&'static str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
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
        let actions = match &self.page {
            Some(page) => page.actions(notice).await,
            None => Vec::new(),
        };
        let message = Message {
            topic: &self.topic,
            title: letter::title(notice, 200),
            message: letter::body(notice, MAX_BYTES / 3),
            priority: priority(notice.kind),
            tags: [tag(notice.kind)],
            actions,
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

    async fn check(&self) -> Result<(), NotifyError> {
        let Some(page) = &self.page else { return Ok(()) };
        page.look().await.map_err(|error| {
            NotifyError::Final(format!(
                "{}: its messages have no buttons: {error}; serve the page there: samocode web \
                 --behind-proxy {}",
                self.name,
                page.http.host()
            ))
        })
    }

    fn remark(&self) -> Option<String> {
        let trouble = &self.page.as_ref()?.trouble;
        trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
