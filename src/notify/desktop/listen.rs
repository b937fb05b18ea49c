//! Shows notices, and hears presses on their buttons, until all are closed. The notification service
//! tells the sender of a notice alone what became of it, so somebody has to stay. What is open stays on
//! disk: after a kill of this process, its successor takes the notices over, and after one of the
//! notification service, they are shown again.

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;
use zbus::names::UniqueName;
use zbus::{Connection, MatchRule, Message, MessageStream, message};

use super::bus::{BUS, Desktop, PATH, SERVICE};
use super::waiting::{Left, Waiting};
use crate::notify::buttons::{Press, question_key};
use crate::notify::text::{clip, tame_line};
use crate::notify::{Notice, NotifyError};
use crate::platform::watch;

/// More options than these have no room.
const MOST_BUTTONS: usize = 4;

/// How long the process stays when nothing is open: a notice may be on its way.
const LINGER: Duration = Duration::from_secs(2);

/// How soon it is tried again to show a notice while a service is there and takes none. That it comes or
/// goes is noticed at once.
const AGAIN: Duration = Duration::from_secs(60);

/// How long a notice without buttons is watched, so that it can be shown again. Some desktops never say
/// that one was closed.
const LONG_ENOUGH: Duration = Duration::from_secs(24 * 60 * 60);

/// After as many refusals the notice itself is the reason.
const MOST_REFUSALS: u32 = 5;

/// What the bus says when a service comes or goes.
const OWNER_CHANGED: &str = "NameOwnerChanged";

/// How many signals may wait.
const QUEUE: NonZeroUsize = match NonZeroUsize::new(64) {
    Some(size) => size,
    None => NonZeroUsize::MIN,
};

/// What a notice's buttons decide: their labels, and what a press on each means. None for what needs
/// words: several questions, or one without options.
pub(super) fn buttons(notice: &Notice) -> Vec<(String, Press)> {
    if let Some(key) = &notice.plan {
        return vec![
            ("Approve".to_owned(), Press::Approve(key.clone())),
            ("Reject".to_owned(), Press::Reject(key.clone())),
        ];
    }
    let [asked] = &notice.questions[..] else { return Vec::new() };
    if asked.options.len() > MOST_BUTTONS {
        return Vec::new();
    }
    let key = question_key(&notice.session, &asked.id, &asked.text);
    let button = |(letter, option): &(char, String)| {
        let mark = if asked.suggested == Some(*letter) { " ★" } else { "" };
        let label = clip(&tame_line(&format!("{letter}{mark} {option}")), 40);
        (label, Press::Answer { key: key.clone(), letter: *letter })
    };
    asked.options.iter().map(button).collect()
}

/// A notice that is on the desktop.
struct Open {
    path: PathBuf,
    session: String,
    presses: Vec<Press>,
    since: Instant,
}

/// Shows the notices that are left in `waiting`, until all are closed. `act` does what a press means,
/// and returns what came of it in a sentence.
///
/// # Errors
/// If there is no bus, or the notices cannot be watched.
pub(super) async fn listen<F>(
    desktop: &Desktop,
    waiting: &Waiting,
    act: impl Fn(Press) -> F,
) -> Result<(), NotifyError>
where
    F: Future<Output = String>,
{
    let end = until_closed(desktop, waiting, act).await;
    waiting.forget_old();
    if end.is_err() && waiting.next(|_| false).is_some() {
        // Or the path unit would start this process again at once.
        tokio::time::sleep(AGAIN).await;
    }
    end
}

async fn until_closed<F>(
    desktop: &Desktop,
    waiting: &Waiting,
    act: impl Fn(Press) -> F,
) -> Result<(), NotifyError>
where
    F: Future<Output = String>,
{
    let bus = desktop.connect().await?;
    let mut signals = signals_of_service(&bus).await.map_err(failed)?;
    let mut owners = owners_of_service(&bus).await.map_err(failed)?;
    let (_watcher, mut changed) = watched(waiting.folder())?;
    let mut shown = Desk::default();
    loop {
        let is_stuck = shown.show_all(desktop, &bus, waiting).await?;
        let mut pressed = Vec::new();
        let forgotten = shown.first_forgotten();
        tokio::select! {
            // Before what a new service says of its own notices.
            biased;
            owner = owners.next() => {
                let Some(Ok(owner)) = owner else { return Err(left()) };
                if let Some(former) = former_owner(&owner) {
                    // What it said before it left, and nothing that its successor says.
                    while let Some(Some(Ok(signal))) = signals.next().now_or_never() {
                        let is_of_it = |name: &UniqueName<'_>| name.as_str() == former;
                        if signal.header().sender().is_some_and(is_of_it) {
                            pressed.extend(shown.heard(&signal, waiting));
                        }
                    }
                    // Their files stay, for the next service.
                    shown.open.clear();
                }
            }
            signal = signals.next() => {
                let Some(Ok(signal)) = signal else { return Err(left()) };
                pressed.extend(shown.heard(&signal, waiting));
            }
            changed = changed.recv() => {
                if changed.is_none() {
                    return Ok(());
                }
            }
            () = tokio::time::sleep(AGAIN), if is_stuck => {}
            () = tokio::time::sleep_until(forgotten.unwrap_or_else(Instant::now)),
                if forgotten.is_some() => shown.forget(waiting),
            () = tokio::time::sleep(LINGER), if shown.open.is_empty() && !is_stuck => return Ok(()),
        }
        for (one, press) in pressed {
            let said = act(press).await;
            closed(&one, waiting);
            if let Err(error) = desktop.say(&bus, &one.session, &said).await {
                tracing::warn!("{error}");
            }
        }
    }
}

/// What is on the desktop.
#[derive(Default)]
struct Desk {
    /// By the service's number.
    open: HashMap<u32, Open>,
    /// How often the service refused one that waits.
    refusals: HashMap<PathBuf, u32>,
}

impl Desk {
    /// Shows what waits; returns whether that cannot be done now, as while there is no service.
    async fn show_all(
        &mut self,
        desktop: &Desktop,
        bus: &Connection,
        waiting: &Waiting,
    ) -> Result<bool, NotifyError> {
        while let Some(left) = waiting.next(|path| self.open.values().any(|open| open.path == path))
        {
            let Left { path, notice, shown } = &left;
            let buttons = buttons(notice);
            if let Some(shown) = shown
                && buttons.is_empty()
                && Desktop::is_still_there(bus, shown).await
            {
                // It is on the desktop, unless it was closed since.
                waiting.done(path).map_err(failed_at(waiting))?;
                continue;
            }
            let labels: Vec<&str> = buttons.iter().map(|(label, _)| label.as_str()).collect();
            match desktop.show(bus, notice, &labels, shown.as_ref()).await {
                Ok(at) => {
                    let path = waiting.is_shown(&left, &at).map_err(failed_at(waiting))?;
                    let presses = buttons.into_iter().map(|(_, press)| press).collect();
                    let session = left.notice.session;
                    let open = Open { path, session, presses, since: Instant::now() };
                    self.open.insert(at.number, open);
                    continue;
                }
                // It stays where it is.
                Err(error) if error.is_quiet() => return Ok(true),
                Err(error) => {
                    tracing::warn!("{error}");
                    let refusals = self.refusals.entry(path.clone()).or_default();
                    *refusals += 1;
                    if *refusals < MOST_REFUSALS {
                        return Ok(true);
                    }
                    tracing::warn!("a notice of {} is not shown", notice.session);
                }
            }
            waiting.done(path).map_err(failed_at(waiting))?;
        }
        Ok(false)
    }

    /// When the first notice without buttons has been there for long enough.
    fn first_forgotten(&self) -> Option<Instant> {
        let plain = self.open.values().filter(|open| open.presses.is_empty());
        plain.map(|open| open.since + LONG_ENOUGH).min()
    }

    /// Forgets the notices without buttons that have been there for long enough.
    fn forget(&mut self, waiting: &Waiting) {
        let now = Instant::now();
        self.open.retain(|_, open| {
            let stays = !open.presses.is_empty() || open.since + LONG_ENOUGH > now;
            if !stays {
                closed(open, waiting);
            }
            stays
        });
    }

    /// The press that a signal tells of. A notice that is closed is forgotten.
    fn heard(&mut self, signal: &Message, waiting: &Waiting) -> Option<(Open, Press)> {
        let header = signal.header();
        match header.member()?.as_str() {
            "ActionInvoked" => {
                let (number, key): (u32, String) = signal.body().deserialize().ok()?;
                let presses = &self.open.get(&number)?.presses;
                let press = presses.get(key.parse::<usize>().ok()?)?.clone();
                self.open.remove(&number).map(|open| (open, press))
            }
            "NotificationClosed" => {
                let (number, _): (u32, u32) = signal.body().deserialize().ok()?;
                closed(&self.open.remove(&number)?, waiting);
                None
            }
            _ => None,
        }
    }
}

/// Removes the file of a notice that is not on the desktop any more.
fn closed(open: &Open, waiting: &Waiting) {
    if let Err(error) = waiting.done(&open.path) {
        tracing::warn!("{}", failed_at(waiting)(error));
    }
}

fn left() -> NotifyError {
    NotifyError::Absent("desktop: the session bus no longer exists".to_owned())
}

/// What the service says of its notices, and no other program: any on the bus may say that a button
/// was pressed.
async fn signals_of_service(bus: &Connection) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(SERVICE)
        .interface(SERVICE)
        .path(PATH)
        .build()?;
    MessageStream::for_match_rule(rule, bus, Some(QUEUE)).await
}

/// When the service comes and goes.
async fn owners_of_service(bus: &Connection) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(BUS)
        .interface(BUS)
        .member(OWNER_CHANGED)
        .arg(0, SERVICE)
        .build()?;
    MessageStream::for_match_rule(rule, bus, Some(QUEUE)).await
}

/// The service that showed what is open, if it has left. Its successor counts from one again, so that
/// the numbers of what was open would be those of other programs' notices.
fn former_owner(signal: &Message) -> Option<String> {
    let (name, former, _): (String, String, String) = signal.body().deserialize().ok()?;
    (name == SERVICE && !former.is_empty()).then_some(former)
}

fn failed(error: zbus::Error) -> NotifyError {
    NotifyError::Final(format!("desktop: {error}"))
}

fn failed_at(waiting: &Waiting) -> impl Fn(std::io::Error) -> NotifyError {
    let folder = waiting.folder().display().to_string();
    move |error| NotifyError::Final(format!("desktop: cannot use {folder}: {error}"))
}

fn watched(folder: &Path) -> Result<(RecommendedWatcher, mpsc::Receiver<()>), NotifyError> {
    let (sender, changed) = mpsc::channel(1);
    let failed = |error: ::notify::Error| {
        NotifyError::Final(format!("desktop: cannot watch {}: {error}", folder.display()))
    };
    let mut watcher = watch::watcher(move |event: ::notify::Result<::notify::Event>| {
        // Reading the folder is an event, too. One that is pending stands for all.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = sender.try_send(());
        }
    })
    .map_err(failed)?;
    watcher.watch(folder, RecursiveMode::NonRecursive).map_err(failed)?;
    Ok((watcher, changed))
}
