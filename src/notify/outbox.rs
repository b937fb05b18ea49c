//! The outbox: sends notices in the background, with retries, and never holds up the work.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::channel::Browsers;
use super::hours::Hours;
use super::pass::{Pass, Report, attempt};
use super::unsent::{Unsent, UnsentFolder};
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
    pub notifier: String,
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
    pub(super) folder: UnsentFolder,
    pub(super) config: PathBuf,
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

    fn stage(&self, notice: &Notice, by: &str) -> std::io::Result<()> {
        self.folder.stage(&Unsent::new(notice, by, &self.config))
    }

    /// Whether it could be kept.
    fn keep(&self, notice: &Notice, by: &str) -> bool {
        let kept = self.folder.keep(&Unsent::new(notice, by, &self.config));
        kept.inspect_err(|error| tracing::warn!("the notice cannot be saved to disk: {error}"))
            .is_ok()
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

/// Held by whoever sends through a notifier.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// Sends notices in the background, through each notifier independently, in order for each.
pub struct Outbox {
    notifiers: Vec<Arc<dyn Notifier>>,
    /// Notifiers that come and go while this process runs.
    browsers: Vec<Browsers>,
    /// For each notifier, whose turn it is.
    turns: Mutex<HashMap<String, Turn>>,
    retry: Retry,
    hours: Hours,
    shelf: Option<Shelf>,
    /// When kept notices were last looked for.
    looked: Mutex<Option<Instant>>,
    pending: Mutex<Vec<Pending>>,
    /// What was sent, by notifier and id.
    sent: Arc<Mutex<HashSet<(String, String)>>>,
}

struct Pending {
    task: JoinHandle<()>,
    // Kept up to date by the task, in case it never finishes.
    report: Arc<Mutex<Report>>,
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
        Self {
            turns: Mutex::default(),
            notifiers,
            browsers: Vec::new(),
            retry,
            hours: Hours::default(),
            shelf: None,
            looked: Mutex::default(),
            pending: Mutex::default(),
            sent: Arc::default(),
        }
    }

    /// The same, with notices kept on disk until they are sent.
    #[must_use]
    pub fn with_shelf(self, shelf: Shelf) -> Self {
        Self { shelf: Some(shelf), ..self }
    }

    /// The same with these browsers.
    pub(super) fn with_browsers(self, browsers: Vec<Browsers>) -> Self {
        Self { browsers, ..self }
    }

    /// The same with quiet hours. They need a shelf.
    #[must_use]
    pub fn with_hours(self, hours: Hours) -> Self {
        Self { hours, ..self }
    }

    /// All notifiers that there are now.
    fn all(&self) -> Vec<Arc<dyn Notifier>> {
        let mut all = self.notifiers.clone();
        for lane in self.browsers.iter().flat_map(Browsers::lanes) {
            if !all.iter().any(|known| known.name() == lane.name()) {
                all.push(lane);
            }
        }
        all
    }

    /// The notifiers that are for this kind.
    fn for_kind(&self, kind: NoticeKind) -> Vec<Arc<dyn Notifier>> {
        let mut all = self.all();
        all.retain(|notifier| notifier.wants(kind));
        all
    }

    /// Whose turn it is at a notifier.
    fn turn(&self, notifier: &dyn Notifier) -> Turn {
        Arc::clone(locked(&self.turns).entry(notifier.name().to_owned()).or_default())
    }

    /// Accepts a notice and returns at once. Each notifier sends what it gets in this order. Call it
    /// inside the tokio runtime.
    pub fn post(&self, notice: Notice) {
        for notifier in &self.for_kind(notice.kind) {
            let turn = &self.turn(notifier.as_ref());
            let shelf = self.shelf.as_ref().filter(|_| notifier.keeps());
            let kept = shelf.filter(|shelf| shelf.keep(&notice, notifier.name()));
            let own = Delivery::unfinished(&notice, notifier.name());
            match kept {
                Some(shelf) => self.pass(notifier, turn, shelf, Due::AsAsked, Some(own)),
                None => self.send_unkept(notifier, turn, notice.clone(), own),
            }
        }
    }

    /// Writes a notice to disk, where nobody sends it before [`Outbox::release`]. One of the same id
    /// is replaced.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn stage(&self, notice: &Notice) -> std::io::Result<()> {
        let Some(shelf) = &self.shelf else { return Ok(()) };
        self.for_kind(notice.kind).iter().try_for_each(|one| shelf.stage(notice, one.name()))
    }

    /// Hands a notice that was staged over to whoever sends next, here or elsewhere. Does nothing for
    /// one that was handed over before.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn release(&self, id: &str) -> std::io::Result<()> {
        let Some(shelf) = &self.shelf else { return Ok(()) };
        self.all().iter().try_for_each(|one| shelf.folder.release(one.name(), id))
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
        for notifier in &self.all() {
            let turn = &self.turn(notifier.as_ref());
            let is_unwanted = |unsent: &Unsent| !is_wanted(&unsent.notice);
            shelf.folder.forget(notifier.name(), &shelf.config, is_unwanted);
            if shelf.folder.has_due(notifier.name(), &shelf.config, due, Timestamp::now()) {
                self.pass(notifier, turn, shelf, due, None);
            }
        }
    }

    /// Starts sending what is kept for a notifier; `own` is the notice that was just posted.
    fn pass(
        &self,
        notifier: &Arc<dyn Notifier>,
        turn: &Turn,
        shelf: &Shelf,
        due: Due,
        own: Option<Delivery>,
    ) {
        let report = Arc::new(Mutex::new(Report::new(own)));
        let pass = Pass {
            notifier: Arc::clone(notifier),
            shelf: shelf.clone(),
            retry: self.retry,
            hours: self.hours.clone(),
            due,
            report: Arc::clone(&report),
            sent: Arc::clone(&self.sent),
        };
        let turn = Arc::clone(turn);
        let task = tokio::spawn(async move {
            let _turn = turn.lock().await;
            pass.run().await;
        });
        locked(&self.pending).push(Pending { task, report });
    }

    /// Starts sending a notice that is not on disk.
    fn send_unkept(
        &self,
        notifier: &Arc<dyn Notifier>,
        turn: &Turn,
        notice: Notice,
        own: Delivery,
    ) {
        let report = Arc::new(Mutex::new(Report::new(Some(own))));
        let (notifier, turn, retry) = (Arc::clone(notifier), Arc::clone(turn), self.retry);
        let shared = Arc::clone(&report);
        let task = tokio::spawn(async move {
            let _turn = turn.lock().await;
            let mut delivery = Delivery::unfinished(&notice, notifier.name());
            for tries in 1..=retry.tries.max(1) {
                attempt(notifier.as_ref(), &notice, tries, &mut delivery).await;
                locked(&shared).progress(&delivery);
                let error = delivery.result.as_ref().err();
                match error.and_then(|error| retry.pause_after(tries, error)) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => break,
                }
            }
            locked(&shared).finish(delivery);
        });
        locked(&self.pending).push(Pending { task, report });
    }

    /// The deliveries that finished since the last call, without waiting.
    #[must_use]
    pub fn settled(&self) -> Vec<Delivery> {
        let mut pending = locked(&self.pending);
        let mut settled = Vec::new();
        for mut one in std::mem::take(&mut *pending) {
            match (&mut one.task).now_or_never() {
                Some(Ok(())) => settled.extend(locked(&one.report).take()),
                Some(Err(_)) => settled.extend(locked(&one.report).abandon("sending was aborted")),
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
        let all = join_all(pending.into_iter().map(|mut one| async move {
            match tokio::time::timeout(bound, &mut one.task).await {
                Ok(Ok(())) => locked(&one.report).take(),
                Ok(Err(_)) => locked(&one.report).abandon("sending was aborted"),
                Err(_) => {
                    one.task.abort();
                    locked(&one.report)
                        .abandon(&format!("gave up after {:.1} s", bound.as_secs_f64()))
                }
            }
        }))
        .await;
        all.into_iter().flatten().collect()
    }
}

impl Delivery {
    /// That of a notice that no attempt has been made to send.
    pub(super) fn unfinished(notice: &Notice, notifier: &str) -> Self {
        Self {
            notice: notice.id.clone(),
            session: notice.session.clone(),
            kind: notice.kind,
            notifier: notifier.to_owned(),
            tries: 0,
            result: Err(NotifyError::Final("no attempt has finished".to_owned())),
            remark: None,
        }
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
