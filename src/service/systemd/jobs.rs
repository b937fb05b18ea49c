//! Jobs and their results. One task reads `JobRemoved` from the moment of connection and hands each
//! result to the caller that waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use zbus::{MessageStream, OwnedObjectPath};
use zbus_systemd::systemd1::ManagerProxy;

use super::instance_of;
use super::manager::{error_name, is_unknown};
use crate::service::{Error, JOB_BOUND, JobResult, Progress, Verb};

/// A job that takes longer than this is reported to the user.
const SILENCE: Duration = Duration::from_secs(1);

/// The result of a successful job.
const DONE: &str = "done";

/// The reply to a job that would have to replace another and may not.
const DESTRUCTIVE: &str = "org.freedesktop.systemd1.TransactionIsDestructive";

/// What happens to a running job that conflicts with the new one, as a start does with a stop.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    /// The new job replaces it.
    Replace,
    /// The running job stays, and the new one is refused.
    Fail,
    /// Only this unit is started, not those that it wants.
    Alone,
}

impl Mode {
    /// systemd's word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Fail => "fail",
            Self::Alone => "ignore-dependencies",
        }
    }
}

#[derive(Default)]
struct Board {
    /// The receivers of results, by job.
    waiting: HashMap<OwnedObjectPath, Vec<oneshot::Sender<String>>>,
    /// Calls that have not been answered yet: their job may end before the caller knows which job
    /// it is.
    unanswered: usize,
    /// Jobs that ended while calls were unanswered.
    ended: HashMap<OwnedObjectPath, String>,
    closed: bool,
}

/// Matches the results of jobs with their callers.
pub(super) struct Jobs {
    board: Arc<Mutex<Board>>,
    reader: JoinHandle<()>,
}

/// A call that will get a job. Dropping it is safe at any time.
struct Call<'a>(&'a Jobs);

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Jobs {
    /// Reads `removed`, a stream of the manager's `JobRemoved` signals, until it ends.
    pub(super) fn new(mut removed: MessageStream) -> Self {
        let board = Arc::new(Mutex::new(Board::default()));
        let shared = Arc::clone(&board);
        let reader = tokio::spawn(async move {
            while let Some(Ok(message)) = removed.next().await {
                let body = message.body();
                if let Ok((_, job, _, result)) =
                    body.deserialize::<(u32, OwnedObjectPath, String, String)>()
                {
                    lock(&shared).end(job, &result);
                }
            }
            let mut board = lock(&shared);
            board.closed = true;
            board.waiting.clear();
        });
        Self { board, reader }
    }

    /// Makes the manager run a job and waits until it ends. If the call gets an error instead of a
    /// job, `failed` turns it into ours.
    pub(super) async fn run(
        &self,
        manager: &ManagerProxy<'_>,
        (verb, unit): (Verb, &str),
        mode: Mode,
        progress: Progress<'_>,
        failed: impl FnOnce(zbus::Error) -> Error,
    ) -> Result<(), Error> {
        let not_done = |result| {
            let ask = match instance_of(unit) {
                Some(name) => format!("to find out why: samocode why {name}; samocode logs {name}"),
                None => format!("to find out why: systemctl status {unit}"),
            };
            Error::Job { verb, unit: unit.to_owned(), result, ask }
        };
        let call = self.expect();
        let (name, mode) = (unit.to_owned(), mode.word().to_owned());
        let job = match verb {
            Verb::Start => manager.start_unit(name, mode).await,
            Verb::Stop => manager.stop_unit(name, mode).await,
            Verb::Restart => manager.restart_unit(name, mode).await,
        };
        let job = match job {
            // There is nothing to stop.
            Err(error) if verb == Verb::Stop && is_unknown(&error) => return Ok(()),
            Err(error) if error_name(&error) == DESTRUCTIVE => {
                return Err(not_done(JobResult::Refused));
            }
            other => other.map_err(failed)?,
        };
        let mut ended = std::pin::pin!(call.result(&job));
        let result = match tokio::time::timeout(SILENCE, ended.as_mut()).await {
            Ok(result) => result,
            Err(_) => {
                progress(&format!("waiting for systemd to {verb} {unit}"));
                let rest = JOB_BOUND.saturating_sub(SILENCE);
                tokio::time::timeout(rest, ended)
                    .await
                    .map_err(|_| Error::Slow { verb, unit: unit.to_owned() })?
            }
        };
        let word = result.map_err(|_| Error::Gone(format!("{verb} of {unit}")))?;
        if word == DONE { Ok(()) } else { Err(not_done(word.into())) }
    }

    /// Call this before calling the manager.
    fn expect(&self) -> Call<'_> {
        lock(&self.board).unanswered += 1;
        Call(self)
    }
}

impl Board {
    fn end(&mut self, job: OwnedObjectPath, result: &str) {
        for waiter in self.waiting.remove(&job).into_iter().flatten() {
            // The receiver may have stopped waiting.
            let _ = waiter.send(result.to_owned());
        }
        if self.unanswered > 0 {
            self.ended.insert(job, result.to_owned());
        }
    }
}

impl Call<'_> {
    /// The result of `job`, the one in the manager's answer. The receiver fails if the connection
    /// closes first.
    fn result(self, job: &OwnedObjectPath) -> oneshot::Receiver<String> {
        let (sender, receiver) = oneshot::channel();
        let mut board = lock(&self.0.board);
        if let Some(result) = board.ended.get(job) {
            let _ = sender.send(result.clone());
        } else if !board.closed {
            board.waiting.entry(job.clone()).or_default().push(sender);
        }
        receiver
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut board = lock(&self.0.board);
        board.unanswered -= 1;
        if board.unanswered == 0 {
            board.ended.clear();
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
