//! What is kept for a channel is sent once, in order, whatever happens in between.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::civil::{Time, time};

use super::*;
use crate::notify::hours::Quiet;
use crate::notify::unsent::UnsentFolder;
use crate::notify::{About, NoticeKind, Outbox};

/// A channel that can lose its network, and refuse what it does not like.
struct Line {
    name: &'static str,
    is_down: AtomicBool,
    got: Mutex<Vec<Notice>>,
}

impl Line {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, is_down: AtomicBool::new(false), got: Mutex::default() })
    }

    fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    fn got(&self) -> Vec<String> {
        locked(&self.got).iter().map(|notice| notice.text.clone()).collect()
    }
}

#[async_trait]
impl Notifier for Line {
    fn name(&self) -> &str {
        self.name
    }

    fn wants(&self, kind: NoticeKind) -> bool {
        kind != NoticeKind::Done
    }

    async fn send(&self, notice: &Notice) -> Result<(), NotifyError> {
        // Another task runs.
        tokio::task::yield_now().await;
        if self.is_down.load(Ordering::SeqCst) {
            return Err(NotifyError::Retryable { reason: "no route".to_owned(), after: None });
        }
        if notice.text.contains("poison") {
            return Err(NotifyError::Final("refused".to_owned()));
        }
        locked(&self.got).push(notice.clone());
        Ok(())
    }
}

const CONFIG: &str = "/p/.samocode";
const LONG: Duration = Duration::from_secs(60);

struct State(tempfile::TempDir);

impl State {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn outbox(&self, lines: &[&Arc<Line>]) -> Outbox {
        let retry =
            Retry { pause: Duration::from_millis(1), tries: 2, longest: Duration::from_millis(10) };
        let notifiers = lines.iter().map(|line| Arc::clone(line) as Arc<dyn Notifier>).collect();
        let shelf = Shelf::new(self.0.path(), Path::new(CONFIG));
        Outbox::with_retry(notifiers, retry).with_shelf(shelf)
    }

    fn unsent(&self) -> Vec<Unsent> {
        UnsentFolder::of(self.0.path()).all()
    }

    /// Rewrites the files with their times changed.
    fn rewrite(&self, folder: &str, change: impl Fn(&mut Unsent)) {
        for entry in std::fs::read_dir(self.0.path().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let mut unsent: Unsent =
                serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            change(&mut unsent);
            std::fs::write(&path, serde_json::to_vec(&unsent).unwrap()).unwrap();
        }
    }
}

fn warning(session: &str, text: &str) -> Notice {
    let about =
        About { id: format!("{session}-{text}"), session: session.to_owned(), ..About::default() };
    Notice { text: text.to_owned(), ..Notice::warning(&about, text, None) }
}

#[tokio::test]
async fn a_dead_channel_delays_nobody_and_gets_everything_once_and_in_order_later() {
    let state = State::new();
    let (dead, alive) = (Line::new("dead"), Line::new("alive"));
    dead.set_down(true);
    let words = ["one", "two", "three", "four"];
    // Each in a process of its own, as sessions are.
    for word in words {
        let outbox = state.outbox(&[&dead, &alive]);
        outbox.post(warning(word, word));
        let mut results = outbox.drain(LONG).await;
        results.sort_by_key(|delivery| delivery.notifier.clone());
        assert_eq!(results.iter().filter(|one| one.notice == format!("{word}-{word}")).count(), 2);
        assert_eq!(results[0].result, Ok(()), "{results:?}");
    }
    assert_eq!(alive.got(), words);
    let unsent = state.unsent();
    assert_eq!(unsent.len(), words.len());
    assert!(unsent.iter().all(|unsent| unsent.by == "dead"));
    assert!(unsent[0].describe().contains("no route"), "{}", unsent[0].describe());
    assert!(unsent[3].describe().contains("behind an earlier message"));

    dead.set_down(false);
    state.rewrite("notices", |unsent| {
        unsent.since = unsent.since.checked_sub(jiff::SignedDuration::from_mins(60)).unwrap();
    });
    // Two at once.
    let (first, second) = (state.outbox(&[&dead]), state.outbox(&[&dead, &alive]));
    first.resend(Due::Now, |_| true);
    second.resend(Due::Now, |_| true);
    second.post(warning("five", "five"));
    let (first, second) = tokio::join!(first.drain(LONG), second.drain(LONG));
    assert!(first.iter().chain(&second).all(|delivery| delivery.result.is_ok()));
    assert_eq!(dead.got(), ["one", "two", "three", "four", "five"]);
    let late: Vec<_> = locked(&dead.got).iter().map(|notice| notice.late.is_some()).collect();
    assert_eq!(late, [true, true, true, true, false]);
    assert!(state.unsent().is_empty());
    assert_eq!(alive.got(), ["one", "two", "three", "four", "five"]);
}

#[tokio::test]
async fn what_one_process_posts_arrives_in_that_order() {
    let state = State::new();
    let line = Line::new("line");
    let outbox = state.outbox(&[&line]);
    let words: Vec<String> = (0..20).map(|at| format!("word {at:02}")).collect();
    for word in &words {
        outbox.post(warning("x", word));
    }
    let got = outbox.drain(LONG).await;
    assert_eq!(got.len(), words.len(), "each is reported once");
    assert_eq!(line.got(), words);
}

#[tokio::test]
async fn a_notice_that_is_refused_does_not_hold_up_the_next() {
    let state = State::new();
    let line = Line::new("line");
    let outbox = state.outbox(&[&line]);
    outbox.post(warning("a", "poison"));
    outbox.post(warning("b", "fine"));
    let got = outbox.drain(LONG).await;
    let of = |id: &str| &got.iter().find(|one| one.notice == id).unwrap().result;
    assert!(of("a-poison").is_err());
    assert_eq!(of("b-fine"), &Ok(()));
    assert_eq!(line.got(), ["fine"]);
    assert_eq!(state.unsent().len(), 1);
}

#[tokio::test]
async fn a_channel_gets_only_what_it_is_for() {
    let state = State::new();
    let line = Line::new("line");
    let outbox = state.outbox(&[&line]);
    outbox.post(Notice::done(&About::default(), None, None, None));
    assert!(outbox.drain(LONG).await.is_empty());
    assert!(state.unsent().is_empty());
}

/// Quiet hours around this moment, or far from it.
fn hours(is_quiet: bool, digest: Option<Time>) -> Hours {
    let now = Timestamp::now().to_zoned(clock::local_zone()).time();
    let at = |hours: i64| now.wrapping_add(jiff::Span::new().hours(hours));
    let (from, to) = if is_quiet { (at(-2), at(2)) } else { (at(4), at(6)) };
    Hours { quiet: Some(Quiet { from, to, except: vec![NoticeKind::Blocked] }), digest }
}

#[tokio::test]
async fn quiet_hours_hold_back_all_but_what_is_named_and_a_digest_tells_of_it() {
    for digest in [None, Some(time(8, 0, 0, 0))] {
        let state = State::new();
        let line = Line::new("line");
        let night = state.outbox(&[&line]).with_hours(hours(true, digest));
        night.post(warning("a", "first"));
        night.post(warning("b", "second"));
        night.post(Notice::blocked(&About::default(), None, None, "samocode why a"));
        let got = night.drain(LONG).await;
        let held = |one: &&Delivery| matches!(one.result, Err(NotifyError::Held(_)));
        assert_eq!(got.iter().filter(held).count(), 2, "{got:?}");
        assert_eq!(line.got(), ["is blocked"]);
        assert!(UnsentFolder::of(state.0.path()).is_empty(), "nothing is due");
        assert!(state.unsent()[0].describe().contains("is held back until"));
        night.resend(Due::Now, |_| true);
        assert!(night.drain(LONG).await.is_empty(), "a test in the night does not end it");

        // Killed after the digest was written and before what it tells of was removed.
        let past = Timestamp::now().checked_sub(jiff::SignedDuration::from_mins(1)).unwrap();
        state.rewrite("notices-held", |unsent| {
            unsent.held_until = Some(past);
            unsent.since = past.checked_sub(jiff::SignedDuration::from_hours(8)).unwrap();
        });
        let morning = state.outbox(&[&line]).with_hours(hours(false, digest));
        morning.resend(Due::Seldom, |_| true);
        drop(morning.drain(LONG).await);
        let expected: &[&str] = match digest {
            None => &["is blocked", "first", "second"],
            Some(_) => &["is blocked", "2 messages from the quiet hours"],
        };
        assert_eq!(line.got(), expected);
        let last = locked(&line.got).last().cloned().unwrap();
        assert!(last.late.is_some());
        if digest.is_some() {
            assert_eq!(last.detail.as_deref(), Some("• a first\n• b second"));
        }
        assert!(state.unsent().is_empty());
    }
}

#[tokio::test]
async fn a_digest_that_was_interrupted_tells_of_each_notice_once() {
    let state = State::new();
    let line = Line::new("line");
    let past = Timestamp::now().checked_sub(jiff::SignedDuration::from_hours(1)).unwrap();
    let folder = UnsentFolder::of(state.0.path());
    for word in ["one", "two"] {
        let unsent = Unsent::new(&warning(word, word), "line", Path::new(CONFIG));
        folder.keep(&Unsent { held_until: Some(past), since: past, ..unsent }).unwrap();
    }
    // It was killed before it removed the second.
    let about = About { id: "digest-1".to_owned(), ..About::default() };
    let digest = Notice::digest(&about, 2, "• one\n• two");
    let names = vec!["line-one-one.json".to_owned(), "line-two-two.json".to_owned()];
    let unsent = Unsent::new(&digest, "line", Path::new(CONFIG));
    folder.keep(&Unsent { instead_of: names, since: past, ..unsent }).unwrap();
    std::fs::remove_file(state.0.path().join("notices/line-one-one.json")).unwrap();

    let outbox = state.outbox(&[&line]).with_hours(hours(false, Some(time(8, 0, 0, 0))));
    outbox.resend(Due::AsAsked, |_| true);
    drop(outbox.drain(LONG).await);
    assert_eq!(line.got(), ["2 messages from the quiet hours"]);
    assert!(state.unsent().is_empty());
}

#[tokio::test]
async fn what_another_process_has_to_send_is_kept_for_it_without_an_attempt() {
    let state = State::new();
    let shelf = Shelf::new(state.0.path(), Path::new(CONFIG));
    let elsewhere = crate::notify::elsewhere::Elsewhere::new("a".to_owned(), "token".to_owned());
    let outbox = Outbox::new(vec![Arc::new(elsewhere)]).with_shelf(shelf);
    let about = About { session: "jwt".to_owned(), ..About::default() };
    outbox.post(Notice::mail(&about, "writes", None, "samocode inbox"));
    let delivered = outbox.drain(LONG).await;
    assert!(delivered[0].result.as_ref().unwrap_err().is_quiet(), "{delivered:?}");
    let kept = state.unsent();
    assert_eq!((kept.len(), kept[0].tries, kept[0].not_before), (1, 0, None));

    // The process that has it.
    let line = Line::new("a");
    let outbox = state.outbox(&[&line]);
    outbox.resend(Due::AsAsked, |_| true);
    outbox.drain(LONG).await;
    assert_eq!((line.got().len(), state.unsent().len()), (1, 0));
}
