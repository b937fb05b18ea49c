//! Jobs and how they end. One task reads `JobRemoved` from the moment of connection and hands each
//! result to whoever waits for it.

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

/// A job that takes longer than this is spoken of.
const SILENCE: Duration = Duration::from_secs(1);

/// The result of a job that did what it was for.
const DONE: &str = "done";

/// The answer to a job that would take another's place and may not.
const DESTRUCTIVE: &str = "org.freedesktop.systemd1.TransactionIsDestructive";

/// What becomes of a job under way that conflicts with the new one, as a stop does with a start.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    /// The new one takes its place.
    Replace,
    /// It stays, and the new one is refused.
    Fail,
}

impl Mode {
    /// systemd's word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Fail => "fail",
        }
    }
}

#[derive(Default)]
struct Board {
    /// Who waits, by job.
    waiting: HashMap<OwnedObjectPath, Vec<oneshot::Sender<String>>>,
    /// Calls that have been made and not answered: their job may end before the caller has read
    /// which job it is.
    unanswered: usize,
    /// Jobs that ended meanwhile.
    ended: HashMap<OwnedObjectPath, String>,
    closed: bool,
}

/// The results of jobs.
pub(super) struct Jobs {
    board: Arc<Mutex<Board>>,
    reader: JoinHandle<()>,
}

/// A call that will have a job. Dropping it is safe at any time.
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

    /// Has the manager do a job and waits for its end. What the bus says of a call that was not
    /// answered with a job becomes an error by `failed`.
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
                Some(name) => format!("`samocode why {name}` and `samocode logs {name}` say why"),
                None => format!("`systemctl status {unit}` says why"),
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
            // Nothing to stop.
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

    /// To be called before the call to the manager is made.
    fn expect(&self) -> Call<'_> {
        lock(&self.board).unanswered += 1;
        Call(self)
    }
}

impl Board {
    fn end(&mut self, job: OwnedObjectPath, result: &str) {
        for waiter in self.waiting.remove(&job).into_iter().flatten() {
            // One who no longer waits does not want to know.
            let _ = waiter.send(result.to_owned());
        }
        if self.unanswered > 0 {
            self.ended.insert(job, result.to_owned());
        }
    }
}

impl Call<'_> {
    /// The result of `job`, which the manager's answer named; the receiver fails when the
    /// connection is closed first.
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
