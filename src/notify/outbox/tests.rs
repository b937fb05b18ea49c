//! The outbox: retries, bounds, and failures of one channel.

use super::*;
use async_trait::async_trait;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// Answers from a script; hangs after the last answer.
struct Scripted {
    name: &'static str,
    answers: Mutex<VecDeque<Result<(), NotifyError>>>,
    asked: Notify,
}

impl Scripted {
    fn new<const N: usize>(name: &'static str, answers: [Result<(), NotifyError>; N]) -> Arc<Self> {
        Arc::new(Self { name, answers: Mutex::new(answers.into()), asked: Notify::new() })
    }
}

#[async_trait]
impl Notifier for Scripted {
    fn name(&self) -> &str {
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
    fn name(&self) -> &str {
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
fn pauses_grow_from_a_second_then_it_gives_up() {
    let retry = Retry::default();
    let seconds = |tries| retry.pause_after(tries, &busy(None)).map(|pause| pause.as_secs());
    assert_eq!([1, 2, 3].map(seconds), [1, 3, 9].map(Some));
    assert_eq!(seconds(4), None);
    assert_eq!(retry.pause_after(1, &refused()), None);
    assert_eq!(retry.pause_after(1, &NotifyError::Absent(String::new())), None);
}

#[test]
fn a_server_may_ask_for_up_to_thirty_seconds() {
    let retry = Retry::default();
    let asks = |s| busy(Some(Duration::from_secs(s)));
    assert_eq!(retry.pause_after(1, &asks(30)), Some(Duration::from_secs(30)));
    assert_eq!(retry.pause_after(1, &asks(31)), None);
    assert_eq!(retry.pause_after(2, &asks(0)), Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn a_temporary_failure_is_retried_and_a_final_one_is_not() {
    let late = Scripted::new("late", [Err(busy(None)), Err(busy(None)), Ok(())]);
    let never = Scripted::new("never", [Err(refused()), Ok(())]);
    let outbox = Outbox::with_retry(vec![late, never], QUICK);
    outbox.post(notice());
    let mut got = outbox.drain(LONG).await;
    got.sort_by_key(|d| d.notifier.clone());
    assert_eq!((got[0].notifier.as_str(), got[0].tries, &got[0].result), ("late", 3, &Ok(())));
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
    let got = outbox.drain(Duration::from_secs(2)).await;
    assert!(before.elapsed() < Duration::from_secs(60));
    let text = got[0].result.as_ref().map_err(ToString::to_string);
    assert_eq!(text, Err("gave up after 2.0 s: busy".to_owned()));
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
    let outbox = Outbox::with_retry(vec![Arc::new(Broken), Scripted::new("fine", [Ok(())])], QUICK);
    outbox.post(notice());
    let got = outbox.drain(LONG).await;
    assert!(got[0].result.is_err());
    assert_eq!(got[1].result, Ok(()));
}
