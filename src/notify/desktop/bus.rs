//! Desktop notices: `org.freedesktop.Notifications` on the user's session bus
//! (<https://specifications.freedesktop.org/notification-spec/latest/>).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::net::UnixStream;
use zbus::{Connection, Variant, connection};

use super::super::text::{clip, escape_within, tame_block, tame_line};
use super::super::{About, Notice, NoticeKind, Notifier, NotifyError};
use super::seen::Seen;
use super::waiting::{Shown, Waiting};

pub(super) const SERVICE: &str = "org.freedesktop.Notifications";
pub(super) const PATH: &str = "/org/freedesktop/Notifications";

/// The bus itself, which tells who is on it.
pub(super) const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// The number of no notice.
const NONE: u32 = 0;

/// Time limit for the whole exchange. A bus that starts the service on demand may wait for minutes
/// if it does not come up.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Shows notices on the user's desktop.
#[derive(Debug)]
pub struct Desktop {
    name: String,
    socket: PathBuf,
    timeout: Duration,
    /// Where notices are left for who hears presses.
    waiting: Option<Waiting>,
    /// Where it is noted that there is a desktop.
    seen: Option<Seen>,
}

impl Desktop {
    /// A notifier for the bus at this socket.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { name: "desktop".to_owned(), socket, timeout: TIMEOUT, waiting: None, seen: None }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The same for which notices are left there, if somebody shows them.
    #[must_use]
    pub fn with_buttons(self, waiting: Option<Waiting>) -> Self {
        Self { waiting, ..self }
    }

    /// The same that expects a desktop back that was there lately, by a note in the user's state folder.
    #[must_use]
    pub fn expected_back(self, state: Option<&Path>) -> Self {
        Self { seen: state.map(Seen::of), ..self }
    }

    /// Replaces the time limit of one attempt.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The socket of the user's bus: in `runtime_dir` (the value of `XDG_RUNTIME_DIR`), or in
    /// systemd's default for that folder.
    #[must_use]
    pub fn user_bus(runtime_dir: Option<PathBuf>) -> PathBuf {
        runtime_dir
            .filter(|dir| dir.is_absolute())
            .unwrap_or_else(|| {
                PathBuf::from(format!("/run/user/{}", rustix::process::getuid().as_raw()))
            })
            .join("bus")
    }

    /// The result of an exchange with the bus, within the time limit.
    async fn in_time<T>(
        &self,
        exchange: impl Future<Output = Result<T, NotifyError>>,
    ) -> Result<T, NotifyError> {
        if let Ok(result) = tokio::time::timeout(self.timeout, exchange).await {
            return result;
        }
        let seconds = self.timeout.as_secs_f64();
        // The bus starts one on demand where its package is installed; without a display it does not
        // come up.
        let owned = tokio::time::timeout(self.timeout, self.has_owner()).await;
        Err(match owned {
            Ok(Ok(false)) => NotifyError::Absent(format!(
                "desktop: the notification service does not start within {seconds} s; log in to a \
                 desktop to see notices there"
            )),
            _ => NotifyError::Final(format!(
                "desktop: the notification service did not answer within {seconds} s"
            )),
        })
    }

    /// Whether a notification service is on the bus.
    async fn has_owner(&self) -> Result<bool, NotifyError> {
        let bus = self.connect().await?;
        let reply = bus.call_method(Some(BUS), BUS_PATH, Some(BUS), "NameHasOwner", &SERVICE).await;
        reply.and_then(|reply| reply.body().deserialize()).map_err(not_shown)
    }

    pub(super) async fn connect(&self) -> Result<Connection, NotifyError> {
        let absent = |why: String| {
            NotifyError::Absent(format!(
                "desktop: no session bus at {} ({why}); log in to a desktop to see notices there",
                self.socket.display()
            ))
        };
        let stream = UnixStream::connect(&self.socket)
            .await
            .and_then(UnixStream::into_std)
            .map_err(|error| absent(error.to_string()))?;
        connection::Builder::unix_stream(stream)
            .build()
            .await
            .map_err(|error| absent(error.to_string()))
    }

    /// What the notification service can do.
    async fn capabilities(bus: &Connection) -> Result<Vec<String>, NotifyError> {
        bus.call_method(Some(SERVICE), PATH, Some(SERVICE), "GetCapabilities", &())
            .await
            .and_then(|reply| reply.body().deserialize())
            .map_err(not_shown)
    }

    /// An error as it is where there was a desktop lately: it may be back soon.
    fn expected(&self, error: NotifyError) -> NotifyError {
        let was_there = self.seen.as_ref().is_some_and(|seen| seen.is_recent(Timestamp::now()));
        match error {
            NotifyError::Absent(reason) if was_there => NotifyError::retryable(reason),
            error => error,
        }
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        let bus = self.connect().await?;
        let capabilities = Self::capabilities(&bus).await?;
        if let Some(seen) = &self.seen {
            seen.note(Timestamp::now());
        }
        let can = |what: &str| capabilities.iter().any(|capability| capability == what);
        // If it cannot be left there, it is shown from here, without buttons, and nobody sees what
        // becomes of it.
        if let Some(waiting) = &self.waiting
            && waiting.leave(notice).unwrap_or(false)
        {
            return Ok(());
        }
        self.show_with(&bus, notice, can("body-markup"), &[], NONE).await.map(drop)
    }

    /// Shows a notice with buttons, in the place where it was shown `before`; returns where it is. A press
    /// on the first one has the key `0`.
    pub(super) async fn show(
        &self,
        bus: &Connection,
        notice: &Notice,
        labels: &[&str],
        before: Option<&Shown>,
    ) -> Result<Shown, NotifyError> {
        let shown = async {
            let capabilities = Self::capabilities(bus).await?;
            let can = |what: &str| capabilities.iter().any(|capability| capability == what);
            let labels = if can("actions") { labels } else { &[] };
            let replaced = match before {
                Some(before) if Self::is_still_there(bus, before).await => before.number,
                _ => NONE,
            };
            self.show_with(bus, notice, can("body-markup"), labels, replaced).await
        };
        self.in_time(shown).await
    }

    /// Whether the service that showed a notice is the one on the bus.
    pub(super) async fn is_still_there(bus: &Connection, shown: &Shown) -> bool {
        let reply = bus.call_method(Some(BUS), BUS_PATH, Some(BUS), "GetNameOwner", &SERVICE).await;
        let owner = reply.and_then(|reply| reply.body().deserialize::<String>());
        owner.is_ok_and(|owner| service_on(bus, &owner) == shown.service)
    }

    /// Shows what came of a press.
    pub(super) async fn say(
        &self,
        bus: &Connection,
        session: &str,
        text: &str,
    ) -> Result<(), NotifyError> {
        let about = About { session: session.to_owned(), ..About::default() };
        let notice = Notice::mail(&about, "", None, "");
        let notice =
            Notice { text: tame_line(text), command: None, session: String::new(), ..notice };
        self.show(bus, &notice, &[], None).await.map(drop)
    }

    async fn show_with(
        &self,
        bus: &Connection,
        notice: &Notice,
        markup: bool,
        labels: &[&str],
        replaced: u32,
    ) -> Result<Shown, NotifyError> {
        let keys: Vec<String> = (0..labels.len()).map(|at| at.to_string()).collect();
        let actions: Vec<&str> =
            keys.iter().zip(labels).flat_map(|(key, label)| [key.as_str(), *label]).collect();
        // No `desktop-entry`: with it GNOME removes the notice once its sender has left the bus.
        let hints = HashMap::from([("urgency", Variant::from(urgency(notice.kind)))]);
        let default_expiry = -1_i32;
        let arguments = (
            "samocode",
            replaced,
            "",
            summary(notice),
            body(notice, markup),
            actions,
            hints,
            default_expiry,
        );
        let reply = bus
            .call_method(Some(SERVICE), PATH, Some(SERVICE), "Notify", &arguments)
            .await
            .map_err(not_shown)?;
        let number = reply.body().deserialize().map_err(not_shown)?;
        let by = reply.header().sender().map_or_else(String::new, ToString::to_string);
        Ok(Shown { number, service: service_on(bus, &by) })
    }
}

/// A service by its name on the bus, unlike any of another bus.
fn service_on(bus: &Connection, unique_name: &str) -> String {
    format!("{unique_name}@{}", bus.server_guid())
}

#[async_trait]
impl Notifier for Desktop {
    fn name(&self) -> &str {
        &self.name
    }

    fn keeps(&self) -> bool {
        self.socket.exists()
    }

    async fn send(&self, notice: &Notice) -> Result<(), NotifyError> {
        self.in_time(self.notify(notice)).await.map_err(|error| self.expected(error))
    }

    async fn check(&self) -> Result<(), NotifyError> {
        let ask = async { Self::capabilities(&self.connect().await?).await.map(drop) };
        self.in_time(ask).await
    }
}

fn not_shown(error: zbus::Error) -> NotifyError {
    use zbus::fdo::Error as Fdo;
    if let zbus::Error::FDO(error) = &error
        && let Fdo::ServiceUnknown(_) | Fdo::NameHasNoOwner(_) = error.as_ref()
    {
        return NotifyError::Absent(
            "desktop: no notification service on this session bus; start a desktop or a \
             notification daemon"
                .to_owned(),
        );
    }
    NotifyError::Final(format!(
        "desktop: the notification service refused: {}",
        clip(&tame_line(&error.to_string()), 200)
    ))
}

/// Normal (1) or critical (2), which stays on the desktop until dismissed.
const fn urgency(kind: NoticeKind) -> u8 {
    if kind.is_urgent() { 2 } else { 1 }
}

/// The first line, which is never markup.
fn summary(notice: &Notice) -> String {
    clip(tame_line(&format!("{} {}", notice.subject(), notice.text)).trim(), 150)
}

/// All other lines; `markup` says whether the desktop reads them as markup.
fn body(notice: &Notice, markup: bool) -> String {
    let fit = |text: &str, budget| {
        if markup { escape_within(text, budget) } else { clip(text, budget) }
    };
    let parts = [
        fit(&notice.place(), 200),
        fit(tame_block(&notice.words()).trim(), 600),
        fit(&notice.command.as_deref().map(tame_line).unwrap_or_default(), 300),
    ];
    let lines: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;
