//! The limit on sessions that run at once, `SAMOCODE_MAX_RUNNING`, and those that wait for a place.
//!
//! A running session holds the lock of a slot's file; the kernel frees it however its holder dies. A
//! session that finds no free slot leaves a file in `waiting/`, named after its turn, and its worker
//! ends. Whoever frees a slot has the next one started, with a token for the waker.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/slots/1.lock … N.lock   the holder's name in it
//! $XDG_STATE_HOME/samocode/slots/turn              locked while one looks and takes
//! $XDG_STATE_HOME/samocode/slots/waiting/TURN
//! ```
//!
//! Every worker passes on at its end ([`Queue::pass_on`]), whether it held a slot or not. So nothing
//! is lost when one is killed before it could: its unit starts it again, and that worker takes its
//! slot back or ends like any other; a unit that has failed passes on in `samocode failed`. Where two
//! were killed, the waker notices when it runs next ([`Queue::recover`]), as do `status` and `start`. Two who
//! pass on at the same time name the same sessions, and a session takes a free slot only if no more
//! sessions are before it than slots are free. A turn counts only while its session's hook says that
//! it is queued, so whatever else happens to the session also ends its wait.
//!
//! A session that a person runs in the foreground waits in its process ([`Waiting`]).

mod slot;
mod waiting;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Project, Settings};
use crate::platform::machine;
use crate::service::{self, Action, Scope, Spool, Token};
use crate::session::state::StateName;
use crate::session::store::{self, Folder, StoreError, crash_point};

pub(super) use slot::Slot;
use slot::Slots;
pub(super) use waiting::Waiting;

/// Memory in bytes that an agent with its builds typically needs; determines the default limit.
const A_SESSION: u64 = 1 << 30;

/// The highest priority, which is one digit.
const HIGHEST: u32 = 9;

/// The shortest time between two looks for slots that nobody passed on.
const BETWEEN_LOOKS: Duration = Duration::from_secs(30);

/// A session's turn: higher priority first, then who has waited longer. Ordered as it is written.
#[must_use]
pub(super) fn turn(priority: u32, since: Timestamp, instance: &str) -> String {
    let rank = HIGHEST - priority.min(HIGHEST);
    format!("{rank}-{:020}-{instance}", since.as_microsecond().max(0))
}

/// The instance in a [`turn`].
fn instance_of(turn: &str) -> &str {
    turn.splitn(3, '-').nth(2).unwrap_or_default()
}

/// The default number of sessions that may run at once, given the machine's memory in bytes.
fn limit_by_memory(total: u64) -> u32 {
    u32::try_from(total / A_SESSION).unwrap_or(u32::MAX).max(1)
}

/// What is known of a session that waits without a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Absent {
    /// The session's folder, absolute.
    pub(super) folder: PathBuf,
    /// The `.samocode` of the session's project, absolute.
    pub(super) config: PathBuf,
    /// Where to leave the token that starts it.
    pub(super) spool: PathBuf,
    /// Whether its unit belongs to the system's manager.
    pub(super) system: bool,
    /// How many sessions may run at once, for it.
    pub(super) cap: u32,
}

/// How many sessions may run at once, as a project says.
#[derive(Debug, Clone, Copy)]
pub struct Limit<'a> {
    /// The `.samocode` of the project that sets the limit, absolute.
    pub config: &'a Path,
    /// The most sessions that may run at once.
    pub cap: u32,
}

impl<'a> Limit<'a> {
    /// The limit in a project's settings.
    #[must_use]
    pub fn of(project: &'a Project, settings: &Settings) -> Self {
        let by_memory = || limit_by_memory(machine::memory());
        Self { config: &project.config, cap: settings.max_running.unwrap_or_else(by_memory) }
    }
}

/// Who waits at a turn.
#[derive(Debug)]
enum Waiter {
    /// A process that notices by itself that a slot is free.
    Here,
    /// A session to be started.
    Away(Absent),
}

impl Waiter {
    /// `None` if nobody waits there any more.
    fn at(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return Some(Self::Here);
        }
        serde_json::from_reader(file).ok().map(Self::Away)
    }

    /// It may have been stopped or removed in the meantime.
    fn still_waits(&self, instance: &str) -> bool {
        let Self::Away(absent) = self else { return true };
        let scope = if absent.system { Scope::System } else { Scope::User };
        let hook = Folder::new(absent.folder.clone()).read_hook();
        hook.is_some_and(|hook| hook.state == StateName::Queued)
            && matches!(service::recorded(scope, instance), Ok(Some(_)))
    }
}

/// The slots of one user, and the sessions that wait for one.
#[derive(Debug, Clone)]
pub struct Queue {
    folder: PathBuf,
}

impl Queue {
    /// The queue in `$XDG_STATE_HOME/samocode`.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("slots") }
    }

    /// Takes a slot for the session at `turn`, unless those before it need all that are
    /// free. One that its last worker held when it was killed is its own. If it gets none, it waits
    /// without a process where `absent` says how to start it.
    ///
    /// # Errors
    /// If the folder or its files cannot be created.
    pub(super) fn take(
        &self,
        turn: &str,
        limit: Limit<'_>,
        absent: Option<&Absent>,
    ) -> Result<Option<Slot>, StoreError> {
        let instance = instance_of(turn);
        store::make_folder(&self.waiting())?;
        let _one_at_a_time = self.one_at_a_time()?;
        let slots = Slots::of(&self.folder)?;
        let is_free =
            || Ok(self.first(&slots, Some(limit), Some(turn))?.len() < slots.room(limit.cap));
        if slots.has_left(instance, limit.cap) || is_free()? {
            let slot = slots.hold(instance, limit.cap)?;
            self.forget(instance, None)?;
            return Ok(slot);
        }
        if let Some(absent) = absent {
            self.forget(instance, Some(turn))?;
            let path = self.waiting().join(turn);
            let text = serde_json::to_vec(absent).unwrap_or_default();
            fs::write(&path, text).map_err(|source| failed("wait in", &path, source))?;
            crash_point("a session waits for a place");
        }
        Ok(None)
    }

    /// Has as many sessions started as slots are free, the first in the queue. `own` is the
    /// limit of the caller's project, which may have changed since they began to wait.
    ///
    /// # Errors
    /// If the folder cannot be read or a token cannot be left.
    pub fn pass_on(&self, own: Option<Limit<'_>>) -> Result<(), StoreError> {
        // Most of the time nobody waits.
        if turns(&self.waiting())?.is_empty() {
            return Ok(());
        }
        let _one_at_a_time = self.one_at_a_time()?;
        for (turn, waiter) in self.first(&Slots::of(&self.folder)?, own, None)? {
            let Waiter::Away(absent) = waiter else { continue };
            let Some(token) = Token::new(Action::Start, instance_of(&turn)) else { continue };
            let left = Spool::new(absent.spool.clone()).leave(&token);
            left.map_err(|error| {
                failed("write a token to", &absent.spool, io::Error::other(error))
            })?;
            tracing::info!("there is room: starting {}", instance_of(&turn));
        }
        Ok(())
    }

    /// Passes on a slot that was free although a session waits for it: whoever freed it was killed
    /// before it could, and so was whoever should have done it then. Cheap while nobody waits; else it
    /// looks from time to time only, since a session that cannot start would be named each time.
    ///
    /// # Errors
    /// As [`Queue::pass_on`].
    pub fn recover(&self) -> Result<(), StoreError> {
        let looked = self.folder.join("looked");
        let age = || fs::metadata(&looked).ok()?.modified().ok()?.elapsed().ok();
        if turns(&self.waiting())?.is_empty() || age().is_some_and(|age| age < BETWEEN_LOOKS) {
            return Ok(());
        }
        fs::write(&looked, "").map_err(|source| failed("write", &looked, source))?;
        self.pass_on(None)
    }

    /// Whether a slot is free for this session, which waits.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub(super) fn is_next(&self, instance: &str, limit: Limit<'_>) -> Result<bool, StoreError> {
        let _one_at_a_time = self.one_at_a_time()?;
        let first = self.first(&Slots::of(&self.folder)?, Some(limit), None)?;
        Ok(first.iter().any(|(turn, _)| instance_of(turn) == instance))
    }

    /// Ends the wait of a session whose unit has failed, and its claim to the slot it held.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn leave(&self, instance: &str) -> Result<(), StoreError> {
        if !self.folder.exists() {
            return Ok(());
        }
        let _one_at_a_time = self.one_at_a_time()?;
        self.forget(instance, None)?;
        Slots::of(&self.folder)?.give_up(instance);
        Ok(())
    }

    /// Those for whom a slot is free, in order; only those before a turn, if one is given. Forgets
    /// those that wait no more.
    fn first(
        &self,
        slots: &Slots,
        own: Option<Limit<'_>>,
        before: Option<&str>,
    ) -> Result<Vec<(String, Waiter)>, StoreError> {
        let folder = self.waiting();
        let mut first = Vec::new();
        // No session that waits has a higher limit: all slots up to its own existed.
        let most = own.map_or(0, |own| own.cap).max(slots.highest());
        for turn in turns(&folder)? {
            if first.len() >= slots.room(most) || before.is_some_and(|own| turn.as_str() >= own) {
                break;
            }
            let path = folder.join(&turn);
            let waiter = Waiter::at(&path);
            let room = match &waiter {
                Some(Waiter::Away(absent)) => {
                    let now = own.filter(|own| own.config == absent.config);
                    slots.room(now.map_or(absent.cap, |own| own.cap))
                }
                Some(Waiter::Here) => slots.room(most),
                None => usize::MAX,
            };
            if first.len() >= room {
                continue;
            }
            match waiter.filter(|waiter| waiter.still_waits(instance_of(&turn))) {
                Some(waiter) => first.push((turn, waiter)),
                None => remove(&path)?,
            }
        }
        Ok(first)
    }

    /// Removes the session's turns, except for one.
    fn forget(&self, instance: &str, except: Option<&str>) -> Result<(), StoreError> {
        for turn in turns(&self.waiting())? {
            if instance_of(&turn) == instance && Some(turn.as_str()) != except {
                remove(&self.waiting().join(turn))?;
            }
        }
        Ok(())
    }

    fn waiting(&self) -> PathBuf {
        self.folder.join("waiting")
    }

    fn one_at_a_time(&self) -> Result<File, StoreError> {
        let path = self.folder.join("turn");
        let turn = opened(&path).map_err(|source| failed("open", &path, source))?;
        // If the file system does not support locks, go without.
        let _ = turn.lock();
        Ok(turn)
    }
}

/// All turns, in their order.
fn turns(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| failed("read", folder, source))?,
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut turns: Vec<String> = names.collect();
    turns.sort_unstable();
    Ok(turns)
}

/// A power cut may bring it back, which does no harm.
fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// Opens a file for reading, so that closing it is not heard, and creates it if it is missing.
fn opened(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            File::open(path)
        }
        opened => opened,
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
