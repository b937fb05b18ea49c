//! Builds notifiers from plain settings, and sends the test message that shows whether they work.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::channel::{Browsers, web_push};
use super::file::Set;
use super::{Files, Hours, Notice, Notifier, NotifyError, Outbox, Proxies};
use super::{desktop, telegram::Telegram};
use crate::config::Secret;

/// The settings of all notifiers; the caller finds them.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The bot's token: `TELEGRAM_BOT_TOKEN`.
    pub telegram_token: Option<Secret>,
    /// The chat to write to: `TELEGRAM_CHAT_ID`.
    pub telegram_chat: Option<String>,
    /// `TELEGRAM_API_URL`; `None` means Telegram's own server.
    pub telegram_api_url: Option<String>,
    /// The proxies for Telegram.
    pub proxies: Proxies,
    /// Whether to show notices on the desktop, if there is one.
    pub desktop: bool,
    /// Whether a bot runs that hears presses on buttons.
    pub buttons: bool,
    /// The files that set up more channels.
    pub files: Files,
}

/// The configured notifiers, and why the others are missing.
#[derive(Clone, Default)]
pub struct Channels {
    /// Notifiers that are ready to send.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// Notifiers that are not configured, or wrongly.
    pub left_out: Vec<LeftOut>,
    /// When notices are held back.
    pub hours: Hours,
    /// The browsers, which may become more while a process runs.
    pub(super) browsers: Vec<Browsers>,
}

impl Channels {
    /// An outbox for them.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        let browsers = self.browsers.clone();
        Outbox::new(self.notifiers.clone()).with_browsers(browsers).with_hours(self.hours.clone())
    }
}

impl Channels {
    fn take(&mut self, set: Set) {
        match set {
            Set::One(notifier) => self.notifiers.push(notifier),
            Set::Browsers(browsers) => {
                self.notifiers.extend(browsers.lanes());
                self.left_out.extend(browsers.push.ended());
                self.browsers.push(browsers);
            }
        }
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.notifiers.iter().map(|notifier| notifier.name()).collect();
        f.debug_struct("Channels")
            .field("notifiers", &names)
            .field("left_out", &self.left_out)
            .finish()
    }
}

/// A notifier that is not configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The name of the notifier.
    pub notifier: String,
    /// Why, and how to configure it, in one line.
    pub reason: String,
    /// Whether someone tried to configure it: worth a warning.
    pub mistaken: bool,
}

/// The result of a test message through one notifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The name of the notifier.
    pub notifier: String,
    /// Whether the message was sent.
    pub outcome: TestOutcome,
}

/// How a test message fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestOutcome {
    /// Sent, in this time.
    Sent(Duration),
    /// Not sent, with the reason and a remedy.
    Failed(NotifyError),
    /// Not attempted, because the notifier is not configured.
    NotSetUp(LeftOut),
}

/// Builds the notifiers that these settings allow; `look_up` finds variables that a file names.
/// Sends nothing.
#[must_use]
pub fn from_settings(settings: &Settings, look_up: &dyn Fn(&str) -> Option<String>) -> Channels {
    let configured = settings.files.read(settings, look_up);
    // One that the file has, but wrongly, is not replaced by it.
    let is_named = |name: &str| configured.channels.contains_key(name);
    let mut channels = Channels { hours: configured.hours.clone(), ..Channels::default() };
    if !is_named(TELEGRAM) {
        match telegram(settings) {
            Ok(telegram) => {
                let telegram = telegram.with_buttons(settings.buttons);
                channels.notifiers.push(Arc::new(telegram));
            }
            // Who has set up other channels need not be reminded of this one.
            Err(left_out) if left_out.mistaken || configured.channels.is_empty() => {
                channels.left_out.push(left_out);
            }
            Err(_) => {}
        }
    }
    if !is_named(DESKTOP) {
        match desktop(settings) {
            Ok(desktop) => channels.notifiers.push(desktop),
            Err(left_out) => channels.left_out.push(left_out),
        }
    }
    let has_browsers = |set: &Option<Set>| matches!(set, Some(Set::Browsers(_)));
    if !is_named(WEB_PUSH)
        && !configured.channels.values().any(has_browsers)
        && let Some(push) = web_push(WEB_PUSH, settings)
    {
        channels.take(Set::Browsers(Browsers::new(push, None, Vec::new())));
    }
    for set in configured.channels.into_values().flatten() {
        channels.left_out.extend(set.missing());
        channels.take(set);
    }
    channels.left_out.extend(configured.mistakes);
    channels
}

/// The names of the channels that need no file.
const TELEGRAM: &str = "telegram";
const DESKTOP: &str = "desktop";
const WEB_PUSH: &str = "webpush";

fn telegram(settings: &Settings) -> Result<Telegram, LeftOut> {
    const FILE: &str = "~/.config/samocode/env";
    let left_out =
        |reason: String, mistaken| LeftOut { notifier: TELEGRAM.to_owned(), reason, mistaken };
    let token = settings.telegram_token.as_ref().filter(|token| !token.expose().is_empty());
    let chat = settings.telegram_chat.as_deref().filter(|chat| !chat.trim().is_empty());
    match (token, chat) {
        (Some(token), Some(chat)) => Telegram::new(
            token.clone(),
            chat,
            settings.telegram_api_url.as_deref().filter(|url| !url.trim().is_empty()),
            settings.proxies.clone(),
        )
        .map_err(|error| left_out(error.to_string(), true)),
        (None, None) => Err(left_out(
            format!("not configured; set TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID in {FILE}"),
            false,
        )),
        (Some(_), None) => Err(left_out(
            format!("there is a token but no chat; set TELEGRAM_CHAT_ID in {FILE}"),
            true,
        )),
        (None, Some(_)) => Err(left_out(
            format!("there is a chat but no token; set TELEGRAM_BOT_TOKEN in {FILE}"),
            true,
        )),
    }
}

fn desktop(settings: &Settings) -> Result<Arc<dyn Notifier>, LeftOut> {
    let left_out = |reason: &str| LeftOut {
        notifier: DESKTOP.to_owned(),
        reason: reason.to_owned(),
        mistaken: false,
    };
    if !settings.desktop {
        return Err(left_out("desktop notices are turned off"));
    }
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(Into::into);
    desktop::notifier(DESKTOP, runtime_dir)
        .ok_or_else(|| left_out("desktop notices need D-Bus, which samocode uses on Linux only"))
}

/// Sends `notice` once through every notifier, all at once, and returns each result. Takes as long
/// as the slowest notifier's time limit.
pub async fn test(channels: &Channels, notice: &Notice) -> Vec<TestResult> {
    let sent = channels.notifiers.iter().map(|notifier| async move {
        let start = Instant::now();
        let outcome = match notifier.send(notice).await {
            Ok(()) => TestOutcome::Sent(start.elapsed()),
            Err(error) => TestOutcome::Failed(error),
        };
        TestResult { notifier: notifier.name().to_owned(), outcome }
    });
    let left_out = channels.left_out.iter().map(|left_out| TestResult {
        notifier: left_out.notifier.clone(),
        outcome: TestOutcome::NotSetUp(left_out.clone()),
    });
    join_all(sent).await.into_iter().chain(left_out).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;

    fn settings(token: Option<&str>, chat: Option<&str>) -> Settings {
        Settings {
            telegram_token: token.map(Secret::new),
            telegram_chat: chat.map(str::to_owned),
            ..Settings::default()
        }
    }

    #[test]
    fn missing_telegram_settings_are_named_with_their_file() {
        for (token, chat, keys, mistaken) in [
            (None, None, "TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID", false),
            (Some("1:a"), None, "TELEGRAM_CHAT_ID", true),
            (Some(" "), Some("5"), "TELEGRAM_BOT_TOKEN", true),
        ] {
            let channels = from_settings(&settings(token, chat), &|_| None);
            let left_out = &channels.left_out[0];
            assert!(left_out.reason.contains(keys), "{}", left_out.reason);
            assert!(left_out.reason.ends_with("~/.config/samocode/env"));
            assert_eq!(left_out.mistaken, mistaken);
        }
    }

    #[test]
    fn a_malformed_token_is_refused_without_being_shown() {
        let channels = from_settings(&settings(Some("12:se/../cret"), Some("5")), &|_| None);
        assert!(channels.notifiers.is_empty());
        let shown = format!("{channels:?} {:?}", settings(Some("12:secret"), None));
        assert!(shown.contains("TELEGRAM_BOT_TOKEN is not a bot token"), "{shown}");
        assert!(!shown.contains("cret"), "{shown}");
    }

    #[test]
    fn full_settings_make_both_notifiers() {
        let all = Settings { desktop: true, ..settings(Some("1:a"), Some("5")) };
        let channels = from_settings(&all, &|_| None);
        let names: Vec<_> = channels.notifiers.iter().map(|n| n.name()).collect();
        let has_desktop = desktop::notifier(DESKTOP, None).is_some();
        assert_eq!(names, if has_desktop { vec!["telegram", "desktop"] } else { vec!["telegram"] });
    }

    struct Fixed(Result<(), NotifyError>);

    #[async_trait]
    impl Notifier for Fixed {
        fn name(&self) -> &str {
            "fixed"
        }
        async fn send(&self, _: &Notice) -> Result<(), NotifyError> {
            self.0.clone()
        }
    }

    #[tokio::test]
    async fn a_test_reports_on_every_notifier_set_up_or_not() {
        let refused = NotifyError::Final("refused".to_owned());
        let mut channels = from_settings(&settings(None, None), &|_| None);
        channels.notifiers = vec![Arc::new(Fixed(Ok(()))), Arc::new(Fixed(Err(refused.clone())))];
        let results = test(&channels, &Notice::test("t", "")).await;
        assert!(matches!(results[0].outcome, TestOutcome::Sent(_)));
        assert_eq!(results[1].outcome, TestOutcome::Failed(refused));
        assert!(matches!(results[2].outcome, TestOutcome::NotSetUp(_)));
        assert_eq!(results.len(), 4);
    }
}
