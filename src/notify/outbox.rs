//! The outbox: sends notices in the background, with retries, and never holds up the work.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::unsent::{Claim, Unsent, UnsentFolder};
use super::{Notice, NoticeKind, Notifier, NotifyError};

/// When to retry after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The pause before the second attempt; each later one is three times as long.
    pub pause: Duration,
    /// The most attempts per notice.
    pub tries: u32,
    /// The longest delay accepted from a server. If it asks for more, a later process sends the
    /// notice: asking too early only prolongs the ban.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { pause: Duration::from_secs(1), tries: 4, longest: Duration::from_secs(30) }
    }
}

impl Retry {
    /// How long to wait after failed attempt number `tries`, counted from 1; `None` to give up.
    #[must_use]
    pub fn pause_after(&self, tries: u32, error: &NotifyError) -> Option<Duration> {
        let NotifyError::Retryable { after, .. } = error else { return None };
        if tries >= self.tries {
            return None;
        }
        let own = self.pause.saturating_mul(3_u32.saturating_pow(tries.saturating_sub(1)));
        match after {
            Some(asked) if *asked > self.longest => None,
            Some(asked) => Some(own.max(*asked)),
            None => Some(own),
        }
    }
}

/// The result of sending a notice through one notifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The id of the notice.
    pub notice: String,
    /// The session it is about.
    pub session: String,
    /// The event the notice reports.
    pub kind: NoticeKind,
    /// The name of the notifier.
    pub notifier: &'static str,
    /// How many attempts have finished.
    pub tries: u32,
    /// The error of the last attempt, if all failed.
    pub result: Result<(), NotifyError>,
    /// What someone should change although it arrived.
    pub remark: Option<String>,
}

/// Where a project's notices are kept until they are sent.
#[derive(Debug, Clone)]
pub struct Shelf {
    folder: UnsentFolder,
    config: PathBuf,
}

impl Shelf {
    /// The shelf in a user's state folder, for the project with this file.
    #[must_use]
    pub fn new(state: &Path, config: &Path) -> Self {
        Self { folder: UnsentFolder::of(state), config: config.to_owned() }
    }

    /// The project's notices that have not been sent, oldest first.
    #[must_use]
    pub fn unsent(&self) -> Vec<Unsent> {
        let mut all = self.folder.all();
        all.retain(|unsent| unsent.config == self.config);
        all
    }

    fn as_unsent(&self, notice: &Notice, by: &str) -> Unsent {
        Unsent {
            notice: notice.clone(),
            by: by.to_owned(),
            config: self.config.clone(),
            since: Timestamp::now(),
            tries: 0,
            error: None,
            not_before: None,
        }
    }

    fn stage(&self, notice: &Notice, by: &str) -> std::io::Result<()> {
        self.folder.stage(&self.as_unsent(notice, by))
    }

    fn keep(&self, notice: &Notice, by: &str) -> Option<Claim> {
        let kept = self.folder.keep(self.as_unsent(notice, by));
        kept.inspect_err(|error| tracing::warn!("the notice cannot be saved to disk: {error}")).ok()
    }
}

/// The interval of [`Due::Seldom`].
const SELDOM: Duration = Duration::from_secs(60);

/// Which of the kept notices are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Those whose pause is over, looked for at most once a minute.
    Seldom,
    /// Those whose pause is over.
    AsAsked,
    /// All: a human has seen that it works now.
    Now,
}

/// Sends notices in the background, through each notifier independently.
pub struct Outbox {
    notifiers: Vec<Arc<dyn Notifier>>,
    retry: Retry,
    shelf: Option<Shelf>,
    /// When kept notices were last looked for.
    looked: Mutex<Option<Instant>>,
    pending: Mutex<Vec<Pending>>,
}

struct Pending {
    task: JoinHandle<Delivery>,
    // Kept up to date by the task, in case it never finishes.
    so_far: Arc<Mutex<Delivery>>,
}

impl Outbox {
    /// An outbox for these notifiers, with the default retries.
    #[must_use]
    pub fn new(notifiers: Vec<Arc<dyn Notifier>>) -> Self {
        Self::with_retry(notifiers, Retry::default())
    }

    /// An outbox with other pauses between attempts.
    #[must_use]
    pub fn with_retry(notifiers: Vec<Arc<dyn Notifier>>, retry: Retry) -> Self {
        Self { notifiers, retry, shelf: None, looked: Mutex::default(), pending: Mutex::default() }
    }

    /// The same, with notices kept on disk until they are sent.
    #[must_use]
    pub fn with_shelf(self, shelf: Shelf) -> Self {
        Self { shelf: Some(shelf), ..self }
    }

    /// Accepts a notice and returns at once. Two notices posted in quick succession may arrive in
    /// either order. Call it inside the tokio runtime.
    pub fn post(&self, notice: Notice) {
        let started = self.notifiers.iter().map(|notifier| {
            let shelf = self.shelf.as_ref();
            let claim = shelf.and_then(|shelf| shelf.keep(&notice, notifier.name()));
            self.start(notifier, notice.clone(), claim)
        });
        let started: Vec<Pending> = started.collect();
        locked(&self.pending).extend(started);
    }

    /// Writes a notice to disk, where nobody sends it before [`Outbox::release`]. One of the same id
    /// is replaced.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn stage(&self, notice: &Notice) -> std::io::Result<()> {
        let Some(shelf) = &self.shelf else { return Ok(()) };
        self.notifiers.iter().try_for_each(|notifier| shelf.stage(notice, notifier.name()))
    }

    /// Hands a notice that was staged over to whoever sends next, here or elsewhere. Does nothing for
    /// one that was handed over before.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn release(&self, id: &str) -> std::io::Result<()> {
        let Some(shelf) = &self.shelf else { return Ok(()) };
        self.notifiers.iter().try_for_each(|one| shelf.folder.release(one.name(), id))
    }

    /// Sends notices that earlier processes of the project could not send. Those that `is_wanted`
    /// no longer are dropped.
    pub fn resend(&self, due: Due, is_wanted: impl Fn(&Notice) -> bool) {
        let Some(shelf) = &self.shelf else { return };
        let last = locked(&self.looked).replace(Instant::now());
        if due == Due::Seldom && last.is_some_and(|last| last.elapsed() < SELDOM) {
            *locked(&self.looked) = last;
            return;
        }
        let now = Timestamp::now();
        for notifier in &self.notifiers {
            let is_due = |unsent: &Unsent| {
                unsent.by == notifier.name()
                    && unsent.config == shelf.config
                    && (due == Due::Now || unsent.not_before.is_none_or(|at| at <= now))
            };
            for claim in shelf.folder.take(is_due) {
                if is_wanted(&claim.unsent.notice) {
                    let started = self.start(notifier, claim.notice(now), Some(claim));
                    locked(&self.pending).push(started);
                } else {
                    claim.done();
                }
            }
        }
    }

    /// Starts sending in the background.
    fn start(&self, notifier: &Arc<dyn Notifier>, notice: Notice, claim: Option<Claim>) -> Pending {
        let retry = self.retry;
        let so_far = Arc::new(Mutex::new(Delivery {
            notice: notice.id.clone(),
            session: notice.session.clone(),
            kind: notice.kind,
            notifier: notifier.name(),
            tries: 0,
            result: Err(NotifyError::Final("no attempt has finished".to_owned())),
            remark: None,
        }));
        let (notifier, report) = (Arc::clone(notifier), Arc::clone(&so_far));
        let task = tokio::spawn(async move {
            deliver(notifier.as_ref(), &notice, retry, claim, &report).await;
            locked(&report).clone()
        });
        Pending { task, so_far }
    }

    /// The deliveries that finished since the last call, without waiting.
    #[must_use]
    pub fn settled(&self) -> Vec<Delivery> {
        let mut pending = locked(&self.pending);
        let mut settled = Vec::new();
        let all = std::mem::take(&mut *pending);
        for mut one in all {
            match (&mut one.task).now_or_never() {
                Some(Ok(delivery)) => settled.push(delivery),
                Some(Err(_)) => settled.push(one.unfinished("sending was aborted")),
                None => pending.push(one),
            }
        }
        settled
    }

    /// Waits until all deliveries have finished, at most for `bound`; the rest are abandoned and
    /// reported as failed. Returns every delivery not returned before. If this call is dropped,
    /// sending continues and the results are lost.
    pub async fn drain(&self, bound: Duration) -> Vec<Delivery> {
        let pending = std::mem::take(&mut *locked(&self.pending));
        join_all(pending.into_iter().map(|mut one| async move {
            match tokio::time::timeout(bound, &mut one.task).await {
                Ok(Ok(delivery)) => delivery,
                Ok(Err(_)) => one.unfinished("sending was aborted"),
                Err(_) => {
                    one.task.abort();
                    one.unfinished(&format!("gave up after {:.1} s", bound.as_secs_f64()))
                }
            }
        }))
        .await
    }
}

impl Pending {
    fn unfinished(&self, why: &str) -> Delivery {
        let mut delivery = locked(&self.so_far).clone();
        let reason = |last: &dyn std::fmt::Display| format!("{why}: {last}");
        delivery.result = match delivery.result {
            Err(NotifyError::Retryable { reason: last, after }) => {
                Err(NotifyError::Retryable { reason: reason(&last), after })
            }
            Err(last) => Err(NotifyError::Final(reason(&last))),
            Ok(()) => Ok(()),
        };
        delivery
    }
}

async fn deliver(
    notifier: &dyn Notifier,
    notice: &Notice,
    retry: Retry,
    mut claim: Option<Claim>,
    report: &Mutex<Delivery>,
) {
    for tries in 1..=retry.tries.max(1) {
        let result = notifier.send(notice).await;
        let pause = result.as_ref().err().and_then(|error| retry.pause_after(tries, error));
        match (&result, &mut claim) {
            (Err(error), Some(claim)) if !error.is_quiet() => claim.failed(error),
            _ => claim.take().into_iter().for_each(Claim::done),
        }
        {
            let mut report = locked(report);
            report.tries = tries;
            report.result = result;
            report.remark = notifier.remark();
        }
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return,
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
