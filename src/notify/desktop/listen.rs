//! Shows notices with buttons, and hears presses on them, until all are closed. The notification
//! service tells the sender of a notice alone what became of it, so somebody has to stay.

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;
use zbus::names::UniqueName;
use zbus::{Connection, MatchRule, Message, MessageStream, message};

use super::bus::{BUS, Desktop, PATH, SERVICE};
use super::waiting::Waiting;
use crate::notify::buttons::{Press, question_key};
use crate::notify::text::{clip, tame_line};
use crate::notify::{Notice, NotifyError};
use crate::platform::watch;
use crate::session::order;

/// More options than these have no room.
const MOST_BUTTONS: usize = 4;

/// How long the process stays when nothing is open: a notice may be on its way.
const LINGER: Duration = Duration::from_secs(2);

/// How soon it is tried again to show a notice while a service is there and takes none. That it comes or
/// goes is noticed at once.
const AGAIN: Duration = Duration::from_secs(60);

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
    notice: Notice,
    presses: Vec<Press>,
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
    let bus = match desktop.connect().await {
        Ok(bus) => bus,
        Err(error) => {
            // Or the path unit would start this process again at once.
            while let Some((path, _)) = waiting.next() {
                waiting.done(&path).map_err(failed_at(waiting))?;
            }
            return Err(error);
        }
    };
    let mut signals = signals_of_service(&bus).await.map_err(failed)?;
    let mut owners = owners_of_service(&bus).await.map_err(failed)?;
    let (_watcher, mut changed) = watched(waiting.folder())?;
    let mut shown = Shown::default();
    loop {
        let is_stuck = shown.show_all(desktop, &bus, waiting).await?;
        let mut pressed = Vec::new();
        tokio::select! {
            // Before what a new service says of its own notices.
            biased;
            owner = owners.next() => {
                let Some(Ok(owner)) = owner else { return Ok(()) };
                if let Some(former) = former_owner(&owner) {
                    // What it said before it left, and nothing that its successor says.
                    while let Some(Some(Ok(signal))) = signals.next().now_or_never() {
                        let is_of_it = |name: &UniqueName<'_>| name.as_str() == former;
                        if signal.header().sender().is_some_and(is_of_it) {
                            pressed.extend(shown.heard(&signal));
                        }
                    }
                    shown.leave_again(waiting).map_err(failed_at(waiting))?;
                }
            }
            signal = signals.next() => {
                let Some(Ok(signal)) = signal else { return Ok(()) };
                pressed.extend(shown.heard(&signal));
            }
            changed = changed.recv() => {
                if changed.is_none() {
                    return Ok(());
                }
            }
            () = tokio::time::sleep(AGAIN), if is_stuck => {}
            () = tokio::time::sleep(LINGER), if shown.open.is_empty() && !is_stuck => return Ok(()),
        }
        for (one, press) in pressed {
            let said = act(press).await;
            if let Err(error) = desktop.say(&bus, &one.notice.session, &said).await {
                tracing::warn!("{error}");
            }
        }
    }
}

/// What is on the desktop.
#[derive(Default)]
struct Shown {
    /// By the service's number.
    open: HashMap<u32, Open>,
    /// How often the service refused one that waits.
    refusals: HashMap<PathBuf, u32>,
}

impl Shown {
    /// Shows what waits; returns whether that cannot be done now, as while there is no service.
    async fn show_all(
        &mut self,
        desktop: &Desktop,
        bus: &Connection,
        waiting: &Waiting,
    ) -> Result<bool, NotifyError> {
        while let Some((path, notice)) = waiting.next() {
            let buttons = buttons(&notice);
            let labels: Vec<&str> = buttons.iter().map(|(label, _)| label.as_str()).collect();
            match desktop.show(bus, &notice, &labels).await {
                Ok(number) => {
                    let presses = buttons.into_iter().map(|(_, press)| press).collect();
                    self.open.insert(number, Open { notice, presses });
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
            waiting.done(&path).map_err(failed_at(waiting))?;
        }
        Ok(false)
    }

    /// Leaves what was open for the next service, oldest first.
    fn leave_again(&mut self, waiting: &Waiting) -> std::io::Result<()> {
        let mut lost: Vec<(u32, Open)> = self.open.drain().collect();
        order::by_key(&mut lost, |(number, _)| *number);
        lost.into_iter().try_for_each(|(_, one)| waiting.leave(&one.notice).map(drop))
    }

    /// The press that a signal tells of. A notice that is closed is forgotten.
    fn heard(&mut self, signal: &Message) -> Option<(Open, Press)> {
        let header = signal.header();
        match header.member()?.as_str() {
            "ActionInvoked" => {
                let (number, key): (u32, String) = signal.body().deserialize().ok()?;
                let presses = &self.open.get(&number)?.presses;
                let press = presses.get(key.parse::<usize>().ok()?)?.clone();
                self.open.remove(&number).map(|one| (one, press))
            }
            "NotificationClosed" => {
                let (number, _): (u32, u32) = signal.body().deserialize().ok()?;
                self.open.remove(&number);
                None
            }
            _ => None,
        }
    }
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
