//! Shows notices with buttons, and hears presses on them, until all are closed. The notification
//! service tells the sender of a notice alone what became of it, so somebody has to stay.

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use ::notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use zbus::{MatchRule, Message, MessageStream, message};

use super::bus::{Desktop, PATH, SERVICE};
use super::waiting::Waiting;
use crate::notify::buttons::{Press, question_key};
use crate::notify::text::{clip, tame_line};
use crate::notify::{Notice, NotifyError};
use crate::platform::watch;

/// More options than these have no room.
const MOST_BUTTONS: usize = 4;

/// How long the process stays when nothing is open: a notice may be on its way.
const LINGER: Duration = Duration::from_secs(2);

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
    let failed = |error: zbus::Error| NotifyError::Final(format!("desktop: {error}"));
    // Of the service alone: any program on the bus may say that a button was pressed.
    let rule = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(SERVICE)
        .interface(SERVICE)
        .path(PATH)
        .build()
        .map_err(failed)?;
    let mut signals =
        MessageStream::for_match_rule(rule, &bus, Some(QUEUE)).await.map_err(failed)?;
    let (_watcher, mut changed) = watched(waiting.folder())?;
    let mut open: HashMap<u32, Open> = HashMap::new();
    loop {
        while let Some((path, notice)) = waiting.next() {
            let buttons = buttons(&notice);
            let labels: Vec<&str> = buttons.iter().map(|(label, _)| label.as_str()).collect();
            match desktop.show(&bus, &notice, &labels).await {
                Ok(id) => {
                    let presses = buttons.into_iter().map(|(_, press)| press).collect();
                    open.insert(id, Open { notice, presses });
                }
                Err(error) => tracing::warn!("{error}"),
            }
            waiting.done(&path).map_err(failed_at(waiting))?;
        }
        tokio::select! {
            signal = signals.next() => {
                let Some(Ok(signal)) = signal else { return Ok(()) };
                if let Some((one, press)) = heard(&signal, &mut open) {
                    let said = act(press).await;
                    if let Err(error) = desktop.say(&bus, &one.notice.session, &said).await {
                        tracing::warn!("{error}");
                    }
                }
            }
            changed = changed.recv() => {
                if changed.is_none() {
                    return Ok(());
                }
            }
            () = tokio::time::sleep(LINGER), if open.is_empty() => return Ok(()),
        }
    }
}

/// The press that a signal tells of. A notice that is closed is forgotten.
fn heard(signal: &Message, open: &mut HashMap<u32, Open>) -> Option<(Open, Press)> {
    let header = signal.header();
    match header.member()?.as_str() {
        "ActionInvoked" => {
            let (id, key): (u32, String) = signal.body().deserialize().ok()?;
            let press = open.get(&id)?.presses.get(key.parse::<usize>().ok()?)?.clone();
            open.remove(&id).map(|one| (one, press))
        }
        "NotificationClosed" => {
            let (id, _): (u32, u32) = signal.body().deserialize().ok()?;
            open.remove(&id);
            None
        }
        _ => None,
    }
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
