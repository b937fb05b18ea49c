//! The outbox: sends notices in the background, with retries, and never holds up the work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::{Notice, NoticeKind, Notifier, NotifyError};

/// When to retry after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The pause before the second attempt; each later one is four times as long.
    pub pause: Duration,
    /// The most attempts per notice.
    pub tries: u32,
    /// The longest delay accepted from a server. If it asks for more there is no retry: asking too
    /// early only prolongs the ban.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { pause: Duration::from_secs(1), tries: 3, longest: Duration::from_secs(30) }
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
        let own = self.pause.saturating_mul(4_u32.saturating_pow(tries.saturating_sub(1)));
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
    /// The event the notice reports.
    pub kind: NoticeKind,
    /// The name of the notifier.
    pub notifier: &'static str,
    /// How many attempts have finished.
    pub tries: u32,
    /// The error of the last attempt, if all failed.
    pub result: Result<(), NotifyError>,
}

/// Sends notices in the background, through each notifier independently.
pub struct Outbox {
    notifiers: Vec<Arc<dyn Notifier>>,
    retry: Retry,
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
        Self { notifiers, retry, pending: Mutex::default() }
    }

    /// Accepts a notice and returns at once. Two notices posted in quick succession may arrive in
    /// either order. Call it inside the tokio runtime.
    pub fn post(&self, notice: Notice) {
        let notice = Arc::new(notice);
        let retry = self.retry;
        let started = self.notifiers.iter().map(|notifier| {
            let so_far = Arc::new(Mutex::new(Delivery {
                notice: notice.id.clone(),
                kind: notice.kind,
                notifier: notifier.name(),
                tries: 0,
                result: Err(NotifyError::Final("no attempt has finished".to_owned())),
            }));
            let (notifier, notice) = (Arc::clone(notifier), Arc::clone(&notice));
            let report = Arc::clone(&so_far);
            let task = tokio::spawn(async move {
                deliver(notifier.as_ref(), &notice, retry, &report).await;
                locked(&report).clone()
            });
            Pending { task, so_far }
        });
        locked(&self.pending).extend(started);
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
        if let Err(last) = &delivery.result {
            delivery.result = Err(NotifyError::Final(format!("{why}: {last}")));
        }
        delivery
    }
}

async fn deliver(notifier: &dyn Notifier, notice: &Notice, retry: Retry, report: &Mutex<Delivery>) {
    for tries in 1..=retry.tries.max(1) {
        let result = notifier.send(notice).await;
        let pause = result.as_ref().err().and_then(|error| retry.pause_after(tries, error));
        {
            let mut report = locked(report);
            report.tries = tries;
            report.result = result;
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
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::collections::VecDeque;
    use std::time::Instant;
    use tokio::sync::Notify;

    /// Answers from a script; hangs after the last answer.
    struct Scripted {
        name: &'static str,
        answers: Mutex<VecDeque<Result<(), NotifyError>>>,
        asked: Notify,
    }

    impl Scripted {
        fn new<const N: usize>(
            name: &'static str,
            answers: [Result<(), NotifyError>; N],
        ) -> Arc<Self> {
            Arc::new(Self { name, answers: Mutex::new(answers.into()), asked: Notify::new() })
        }
    }

    #[async_trait]
    impl Notifier for Scripted {
        fn name(&self) -> &'static str {
            self.name
        }
        async fn send(&self, _: &Notice) -> Result<(), NotifyError> {
            self.asked.notify_one();
            let answer = locked(&self.answers).pop_front();
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
    }

    /// Panics at once.
    struct Broken;

    #[async_trait]
    impl Notifier for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        async fn send(&self, _: &Notice) -> Result<(), NotifyError> {
            panic!("on purpose")
        }
    }

    const QUICK: Retry =
        Retry { pause: Duration::from_millis(1), tries: 3, longest: Duration::from_millis(50) };
    const LONG: Duration = Duration::from_secs(60);

    fn busy(after: Option<Duration>) -> NotifyError {
        NotifyError::Retryable { reason: "busy".to_owned(), after }
    }

    fn refused() -> NotifyError {
        NotifyError::Final("refused".to_owned())
    }

    fn notice() -> Notice {
        Notice::test("n1", "")
    }

    #[test]
    fn pauses_are_one_and_four_seconds_then_it_gives_up() {
        let retry = Retry::default();
        assert_eq!(retry.pause_after(1, &busy(None)), Some(Duration::from_secs(1)));
        assert_eq!(retry.pause_after(2, &busy(None)), Some(Duration::from_secs(4)));
        assert_eq!(retry.pause_after(3, &busy(None)), None);
        assert_eq!(retry.pause_after(1, &refused()), None);
        assert_eq!(retry.pause_after(1, &NotifyError::Absent(String::new())), None);
    }

    #[test]
    fn a_server_may_ask_for_up_to_thirty_seconds() {
        let retry = Retry::default();
        let asks = |s| busy(Some(Duration::from_secs(s)));
        assert_eq!(retry.pause_after(1, &asks(30)), Some(Duration::from_secs(30)));
        assert_eq!(retry.pause_after(1, &asks(31)), None);
        assert_eq!(retry.pause_after(2, &asks(0)), Some(Duration::from_secs(4)));
    }

    #[tokio::test]
    async fn a_temporary_failure_is_retried_and_a_final_one_is_not() {
        let late = Scripted::new("late", [Err(busy(None)), Err(busy(None)), Ok(())]);
        let never = Scripted::new("never", [Err(refused()), Ok(())]);
        let outbox = Outbox::with_retry(vec![late, never], QUICK);
        outbox.post(notice());
        let mut got = outbox.drain(LONG).await;
        got.sort_by_key(|d| d.notifier);
        assert_eq!((got[0].notifier, got[0].tries, &got[0].result), ("late", 3, &Ok(())));
        assert_eq!((got[1].tries, &got[1].result), (1, &Err(refused())));
        assert_eq!(got[0].notice, "n1");
        assert!(outbox.drain(LONG).await.is_empty(), "a result is returned once");
    }

    #[tokio::test]
    async fn the_third_failure_is_the_last() {
        let busy_always = [(); 5].map(|()| Err(busy(None)));
        let outbox = Outbox::with_retry(vec![Scripted::new("busy", busy_always)], QUICK);
        outbox.post(notice());
        let got = outbox.drain(LONG).await;
        assert_eq!((got[0].tries, &got[0].result), (3, &Err(busy(None))));
    }

    #[tokio::test]
    async fn waiting_at_the_end_is_bounded_and_keeps_the_last_error() {
        let hangs = Scripted::new("hangs", [Err(busy(None))]);
        let fine = Scripted::new("fine", [Ok(())]);
        let outbox = Outbox::with_retry(vec![hangs, fine], QUICK);
        outbox.post(notice());
        let before = Instant::now();
        let got = outbox.drain(Duration::from_millis(50)).await;
        assert!(before.elapsed() < Duration::from_secs(10));
        let text = got[0].result.as_ref().map_err(ToString::to_string);
        assert_eq!(text, Err("gave up after 0.1 s: busy".to_owned()));
        assert_eq!(got[1].result, Ok(()), "one that hangs does not hold up the other");
    }

    #[tokio::test]
    async fn posting_returns_before_anything_is_sent() {
        let hangs = Scripted::new("hangs", []);
        let outbox = Outbox::new(vec![hangs.clone()]);
        outbox.post(notice());
        assert!(outbox.settled().is_empty());
        hangs.asked.notified().await;
        assert!(outbox.settled().is_empty());
    }

    #[tokio::test]
    async fn settled_results_come_without_waiting() {
        let fine = Scripted::new("fine", [Ok(())]);
        let outbox = Outbox::new(vec![fine.clone()]);
        outbox.post(notice());
        fine.asked.notified().await;
        let mut got = outbox.settled();
        while got.is_empty() {
            tokio::task::yield_now().await;
            got = outbox.settled();
        }
        assert_eq!(got[0].result, Ok(()));
        assert!(outbox.settled().is_empty());
    }

    #[tokio::test]
    async fn a_notifier_that_breaks_is_a_failed_delivery_only() {
        let outbox =
            Outbox::with_retry(vec![Arc::new(Broken), Scripted::new("fine", [Ok(())])], QUICK);
        outbox.post(notice());
        let got = outbox.drain(LONG).await;
        assert!(got[0].result.is_err());
        assert_eq!(got[1].result, Ok(()));
    }
}
