//! How jobs end. One task reads `JobRemoved` from the moment of connection and hands each result
//! to whoever waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use zbus::{MessageStream, OwnedObjectPath};

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
pub(super) struct Call<'a>(&'a Jobs);

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

    /// To be called before the call to the manager is made.
    pub(super) fn expect(&self) -> Call<'_> {
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
    pub(super) fn result(self, job: &OwnedObjectPath) -> oneshot::Receiver<String> {
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
