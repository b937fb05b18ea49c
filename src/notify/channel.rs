//! The kinds of channels that `notify.toml` can set up, and which notices each gets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::fields::Fields;
use super::http::address;
use super::incoming::Incoming;
use super::mail::{Mail, is_address};
use super::ntfy::{Ntfy, Page};
use super::presses::Presses;
use super::telegram::Telegram;
use super::webhook::Webhook;
use super::webpush::{Subscriptions, WebPush};
use super::{
    BotAccount, Notice, NoticeKind, Notifier, NotifyError, Settings, desktop, discord, slack,
};
use crate::config::Secret;

/// A kind of channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Blueprint {
    Telegram,
    Desktop,
    Ntfy,
    Slack,
    Discord,
    Webhook,
    WebPush,
    Mail,
    Command,
}

/// What became of a channel's table.
pub(super) enum Built {
    Ready(Arc<dyn Notifier>),
    /// One for each browser.
    Browsers(WebPush),
    /// There is no such thing on this machine, or not for this kind of unit.
    Unavailable,
}

impl Built {
    fn ready(notifier: impl Notifier + 'static) -> Self {
        Self::Ready(Arc::new(notifier))
    }
}

impl Blueprint {
    /// Builds the channel from its keys.
    pub(super) fn build(
        self,
        name: &str,
        fields: &mut Fields<'_>,
        settings: &Settings,
    ) -> Result<Built, String> {
        let proxies = || settings.proxies.clone();
        Ok(match self {
            Self::Telegram => Built::ready(telegram(name, fields, settings)?),
            Self::Desktop => {
                let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
                let state = settings.files.state.as_deref();
                let desktop = desktop::notifier(name, runtime_dir, state);
                let desktop = desktop.filter(|_| settings.desktop);
                desktop.map_or(Built::Unavailable, Built::Ready)
            }
            Self::Ntfy => {
                const FORM: &str = "\"https://ntfy.sh/TOPIC\"";
                let url = url(&fields.need::<String>("url", FORM)?, FORM)?;
                let token = fields.secret("token")?;
                let ntfy = Ntfy::new(name, url, token, proxies());
                let ntfy = ntfy.ok_or_else(|| format!("url has no topic; write url = {FORM}"))?;
                const PAGE: &str = "\"https://samo.example.org\"";
                let page: Option<String> = fields.take("page", PAGE)?;
                let page = page.map(|text| page_at(name, &text, settings)).transpose()?;
                Built::ready(ntfy.with_page(page))
            }
            Self::Slack => {
                const FORM: &str = "\"https://hooks.slack.com/services/…\"";
                Built::ready(Incoming::new(
                    name,
                    secret_url(fields, FORM)?,
                    proxies(),
                    slack::compose,
                ))
            }
            Self::Discord => {
                const FORM: &str = "\"https://discord.com/api/webhooks/…\"";
                Built::ready(Incoming::new(
                    name,
                    secret_url(fields, FORM)?,
                    proxies(),
                    discord::compose,
                ))
            }
            Self::Webhook => {
                const FORM: &str = "\"https://example.org/hook\"";
                let url = url(&fields.need::<String>("url", FORM)?, FORM)?;
                let secret = fields.secret("secret")?;
                if secret.as_ref().is_some_and(|secret| secret.expose().len() < SHORTEST_KEY) {
                    return Err(format!(
                        "the secret is too short to prove anything; take one of {SHORTEST_KEY} characters or more, such as openssl rand -hex 20 prints"
                    ));
                }
                Built::ready(Webhook::new(name, url, secret, proxies()))
            }
            Self::WebPush => {
                const FORM: &str = "\"mailto:you@example.org\"";
                let contact: Option<String> = fields.take("contact", FORM)?;
                if contact.as_deref().is_some_and(|text| !is_contact(text)) {
                    return Err(format!("contact is not an address; write contact = {FORM}"));
                }
                match web_push(name, settings) {
                    Some(push) => Built::Browsers(WebPush { contact, ..push }),
                    None => Built::Unavailable,
                }
            }
            Self::Mail => Built::ready(mail(name, fields)?),
            Self::Command => {
                const FORM: &str = "[\"/path/of/program\", \"argument\"]";
                let mut words = fields.need::<Vec<String>>("command", FORM)?.into_iter();
                let program = words.next().filter(|word| !word.is_empty());
                let program =
                    program.ok_or_else(|| format!("command is empty; write command = {FORM}"))?;
                let program = match program.contains('/') {
                    true => fields.path(&program),
                    false => PathBuf::from(program),
                };
                Built::ready(Command::new(name, program, words.collect()))
            }
        })
    }
}

/// The shortest secret of a webhook: a shorter one is guessed from a single message.
const SHORTEST_KEY: usize = 8;

/// The page that buttons of messages act through.
fn page_at(name: &str, text: &str, settings: &Settings) -> Result<Page, String> {
    const FORM: &str = "\"https://samo.example.org\"";
    let url =
        address(text).ok_or_else(|| format!("page is not an address; write page = {FORM}"))?;
    let state =
        settings.files.state.as_ref().ok_or("page cannot be used without a state folder")?;
    Page::new(name, url, Presses::of(state), settings.proxies.clone())
}

/// The browsers of the user, as long as nothing else is said.
pub(super) fn web_push(name: &str, settings: &Settings) -> Option<WebPush> {
    let browsers = Subscriptions::of(settings.files.state.as_ref()?);
    let (name, proxies) = (name.to_owned(), settings.proxies.clone());
    Some(WebPush { name, browsers, contact: None, proxies })
}

/// Whether a push service's operator can write there.
fn is_contact(text: &str) -> bool {
    text.strip_prefix("mailto:").map_or_else(|| text.starts_with("https://"), is_address)
}

/// A bot and a chat; each may be that of the settings.
fn telegram(name: &str, fields: &mut Fields<'_>, settings: &Settings) -> Result<Telegram, String> {
    let token = fields.secret("token")?.or_else(|| settings.telegram_token.clone());
    let chat: Option<Chat> = fields.take("chat", "\"-100123\"")?;
    let chat = chat.map(Chat::text).or_else(|| settings.telegram_chat.clone());
    let own_url: Option<String> = fields.take("api_url", "\"https://api.telegram.org\"")?;
    let url = own_url.or_else(|| settings.telegram_api_url.clone());
    let token = token.ok_or("token is missing; add token_env = \"TELEGRAM_BOT_TOKEN\"")?;
    let chat = chat.ok_or("chat is missing; add chat = \"-100123\"")?;
    let url = url.as_deref().filter(|url| !url.trim().is_empty());
    let telegram = Telegram::new(token, &chat, url, settings.proxies.clone());
    let users: Vec<i64> = fields.take("users", "[123456]")?.unwrap_or_default();
    let telegram = telegram.map_err(|error| error.to_string())?;
    Ok(telegram.named(name).heard_from(users).with_buttons(settings.buttons))
}

/// A chat's number, or a channel's name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Chat {
    Number(i64),
    Name(String),
}

impl Chat {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Name(name) => name,
        }
    }
}

/// The usual places of `sendmail`.
const SENDMAIL: [&str; 3] = ["/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/sendmail"];

fn mail(name: &str, fields: &mut Fields<'_>) -> Result<Mail, String> {
    const FORM: &str = "[\"you@example.org\"]";
    let to = match fields.need::<Addresses>("to", FORM)? {
        Addresses::One(address) => vec![address],
        Addresses::Many(addresses) => addresses,
    };
    let from: Option<String> = fields.take("from", "\"samocode@example.org\"")?;
    let sendmail: Option<String> = fields.take("sendmail", "\"/usr/sbin/sendmail\"")?;
    if to.is_empty() {
        return Err(format!("to has no address; write to = {FORM}"));
    }
    if let Some(unfit) = to.iter().chain(&from).find(|address| !is_address(address)) {
        return Err(format!("{unfit:?} is not a plain address like you@example.org"));
    }
    let sendmail = match sendmail {
        Some(path) => fields.path(&path),
        None => {
            let usual = SENDMAIL.iter().map(Path::new).find(|path| path.exists());
            usual.map(Path::to_owned).ok_or(
                "there is no sendmail on this machine; install msmtp-mta, or set sendmail = PATH",
            )?
        }
    };
    Ok(Mail::new(name, to, from, sendmail))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Addresses {
    One(String),
    Many(Vec<String>),
}

fn url(text: &str, form: &str) -> Result<Url, String> {
    address(text).ok_or_else(|| format!("url is not an address; write url = {form}"))
}

/// An address that lets whoever has it post.
fn secret_url(fields: &mut Fields<'_>, form: &str) -> Result<Url, String> {
    let secret = fields.secret("url")?;
    let missing = || format!("url is missing; add url = {form}");
    url(secret.as_ref().map(Secret::expose).ok_or_else(missing)?, form)
}

/// A channel that gets some kinds of notices only.
pub(super) struct Routed {
    inner: Arc<dyn Notifier>,
    only: Option<Vec<NoticeKind>>,
    except: Vec<NoticeKind>,
}

impl Routed {
    pub(super) fn around(
        inner: Arc<dyn Notifier>,
        only: Option<Vec<NoticeKind>>,
        except: Vec<NoticeKind>,
    ) -> Arc<dyn Notifier> {
        Arc::new(Self { inner, only, except })
    }
}

/// The channels of browsers, of which there are more or fewer as time passes.
#[derive(Clone)]
pub(super) struct Browsers {
    pub(super) push: WebPush,
    only: Option<Vec<NoticeKind>>,
    except: Vec<NoticeKind>,
}

impl Browsers {
    pub(super) fn new(
        push: WebPush,
        only: Option<Vec<NoticeKind>>,
        except: Vec<NoticeKind>,
    ) -> Self {
        Self { push, only, except }
    }

    /// Those that there are now.
    pub(super) fn lanes(&self) -> Vec<Arc<dyn Notifier>> {
        let routed = |lane| Routed::around(lane, self.only.clone(), self.except.clone());
        self.push.lanes().into_iter().map(routed).collect()
    }
}

#[async_trait]
impl Notifier for Routed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn wants(&self, kind: NoticeKind) -> bool {
        let is_chosen = self.only.as_ref().is_none_or(|only| only.contains(&kind));
        let is_chosen = is_chosen && !self.except.contains(&kind);
        (kind.is_for_all() || is_chosen) && self.inner.wants(kind)
    }

    fn keeps(&self) -> bool {
        self.inner.keeps()
    }

    fn sends_here(&self) -> bool {
        self.inner.sends_here()
    }

    async fn send(&self, notice: &Notice) -> Result<(), NotifyError> {
        self.inner.send(notice).await
    }

    async fn check(&self) -> Result<(), NotifyError> {
        self.inner.check().await
    }

    fn bot(&self) -> Option<BotAccount> {
        self.inner.bot()
    }

    fn remark(&self) -> Option<String> {
        self.inner.remark()
    }
}

#[cfg(test)]
mod tests;
