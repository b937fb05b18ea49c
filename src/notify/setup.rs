//! Builds notifiers from plain settings, and sends the test message that shows whether they work.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{Notice, Notifier, NotifyError, Proxies, desktop, telegram::Telegram};
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
}

/// The configured notifiers, and why the others are missing.
#[derive(Default)]
pub struct Channels {
    /// Notifiers that are ready to send.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// Notifiers that are not configured, or wrongly.
    pub left_out: Vec<LeftOut>,
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
    pub notifier: &'static str,
    /// Why, and how to configure it, in one line.
    pub reason: String,
    /// Whether someone tried to configure it: worth a warning.
    pub mistaken: bool,
}

/// The result of a test message through one notifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The name of the notifier.
    pub notifier: &'static str,
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

/// Builds the notifiers that these settings allow. Reads nothing but `XDG_RUNTIME_DIR` and sends
/// nothing.
#[must_use]
pub fn from_settings(settings: &Settings) -> Channels {
    let mut channels = Channels::default();
    match telegram(settings) {
        Ok(telegram) => channels.notifiers.push(Arc::new(telegram)),
        Err(left_out) => channels.left_out.push(left_out),
    }
    match desktop(settings) {
        Ok(desktop) => channels.notifiers.push(desktop),
        Err(left_out) => channels.left_out.push(left_out),
    }
    channels
}

fn telegram(settings: &Settings) -> Result<Telegram, LeftOut> {
    const FILE: &str = "~/.config/samocode/env";
    let left_out = |reason: String, mistaken| LeftOut { notifier: "telegram", reason, mistaken };
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
    let left_out =
        |reason: &str| LeftOut { notifier: "desktop", reason: reason.to_owned(), mistaken: false };
    if !settings.desktop {
        return Err(left_out("desktop notices are turned off"));
    }
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(Into::into);
    desktop::notifier(runtime_dir)
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
        TestResult { notifier: notifier.name(), outcome }
    });
    let left_out = channels.left_out.iter().map(|left_out| TestResult {
        notifier: left_out.notifier,
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
            let channels = from_settings(&settings(token, chat));
            let left_out = &channels.left_out[0];
            assert!(left_out.reason.contains(keys), "{}", left_out.reason);
            assert!(left_out.reason.ends_with("~/.config/samocode/env"));
            assert_eq!(left_out.mistaken, mistaken);
        }
    }

    #[test]
    fn a_malformed_token_is_refused_without_being_shown() {
        let channels = from_settings(&settings(Some("12:se/../cret"), Some("5")));
        assert!(channels.notifiers.is_empty());
        let shown = format!("{channels:?} {:?}", settings(Some("12:secret"), None));
        assert!(shown.contains("TELEGRAM_BOT_TOKEN is not a bot token"), "{shown}");
        assert!(!shown.contains("cret"), "{shown}");
    }

    #[test]
    fn full_settings_make_both_notifiers() {
        let all = Settings { desktop: true, ..settings(Some("1:a"), Some("5")) };
        let channels = from_settings(&all);
        let names: Vec<_> = channels.notifiers.iter().map(|n| n.name()).collect();
        let has_desktop = desktop::notifier(None).is_some();
        assert_eq!(names, if has_desktop { vec!["telegram", "desktop"] } else { vec!["telegram"] });
    }

    struct Fixed(Result<(), NotifyError>);

    #[async_trait]
    impl Notifier for Fixed {
        fn name(&self) -> &'static str {
            "fixed"
        }
        async fn send(&self, _: &Notice) -> Result<(), NotifyError> {
            self.0.clone()
        }
    }

    #[tokio::test]
    async fn a_test_reports_on_every_notifier_set_up_or_not() {
        let refused = NotifyError::Final("refused".to_owned());
        let mut channels = from_settings(&settings(None, None));
        channels.notifiers = vec![Arc::new(Fixed(Ok(()))), Arc::new(Fixed(Err(refused.clone())))];
        let results = test(&channels, &Notice::test("t", "")).await;
        assert!(matches!(results[0].outcome, TestOutcome::Sent(_)));
        assert_eq!(results[1].outcome, TestOutcome::Failed(refused));
        assert!(matches!(results[2].outcome, TestOutcome::NotSetUp(_)));
        assert_eq!(results.len(), 4);
    }
}
