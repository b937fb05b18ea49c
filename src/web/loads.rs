//! Memory and CPU of running sessions, read while somebody looks. A cgroup reports no changes, so this
//! is the one thing that is read from time to time; nothing is read while nothing runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::control::load::{Load, Used};
use crate::session::describe::size;
use crate::session::state::StateName;

use super::app::App;

/// How often they are read.
const EVERY: Duration = Duration::from_secs(2);

/// What each session uses, in words, by instance.
pub(super) type InWords = Arc<BTreeMap<String, String>>;

/// What the running sessions use, for any number of open pages.
#[derive(Debug)]
pub(super) struct Loads {
    last: watch::Sender<InWords>,
    wanted: Notify,
}

impl Loads {
    pub(super) fn new() -> Self {
        Self { last: watch::Sender::new(InWords::default()), wanted: Notify::new() }
    }

    /// Sends what changes, for as long as it is kept.
    pub(super) fn subscribe(&self) -> watch::Receiver<InWords> {
        let receiver = self.last.subscribe();
        self.wanted.notify_one();
        receiver
    }

    /// Keeps it up to date while somebody looks and something runs.
    pub(super) async fn follow(app: Arc<App>) {
        let mut changes = app.board.subscribe();
        let mut spent = Spent::default();
        loop {
            if app.loads.last.receiver_count() == 0 {
                spent = Spent::default();
                app.loads.last.send_replace(InWords::default());
                app.loads.wanted.notified().await;
            }
            // What cannot be read is not shown.
            let used = app.ask(Load {}).await.map(|(used, _)| used).unwrap_or_default();
            let now = spent.read(Instant::now(), used);
            app.loads.last.send_if_modified(|last| {
                let is_new = **last != now;
                if is_new {
                    *last = Arc::new(now);
                }
                is_new
            });
            changes.borrow_and_update();
            let is_running = |one: &super::board::Session| one.view.state == StateName::Running;
            if app.board.snapshot().sessions.iter().any(is_running) {
                tokio::time::sleep(EVERY).await;
            } else if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// The CPU time at the last reading.
#[derive(Debug, Default)]
struct Spent {
    at: Option<Instant>,
    cpu_us: HashMap<String, u64>,
}

impl Spent {
    /// Takes in a reading; what to show of it.
    fn read(&mut self, at: Instant, used: Vec<Used>) -> BTreeMap<String, String> {
        let passed = self.at.replace(at).map(|before| at.duration_since(before));
        let passed = passed.filter(|passed| !passed.is_zero());
        let before = std::mem::take(&mut self.cpu_us);
        let mut shown = BTreeMap::new();
        for one in used {
            let spent = one.cpu_us.zip(before.get(&one.instance));
            // A unit that was started again counts from zero.
            let spent = spent.and_then(|(now, before)| now.checked_sub(*before));
            let share = spent.zip(passed).map(|(spent, passed)| {
                let percent = u128::from(spent) * 100 / passed.as_micros().max(1);
                format!("{percent} % CPU")
            });
            let words: Vec<String> = one.memory_bytes.map(size).into_iter().chain(share).collect();
            self.cpu_us.extend(one.cpu_us.map(|cpu| (one.instance.clone(), cpu)));
            shown.insert(one.instance, words.join(" · "));
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_the_share_of_a_core_between_two_readings() {
        let used = |cpu_us| {
            let instance = "a".to_owned();
            vec![Used { instance, memory_bytes: Some(52 << 20), cpu_us: Some(cpu_us) }]
        };
        let (mut spent, start) = (Spent::default(), Instant::now());
        assert_eq!(spent.read(start, used(5_000_000))["a"], "52 MiB");
        assert_eq!(spent.read(start + EVERY, used(8_000_000))["a"], "52 MiB · 150 % CPU");
        assert_eq!(spent.read(start + EVERY * 2, used(7))["a"], "52 MiB", "it was started again");
        assert_eq!(spent.read(start + EVERY * 3, Vec::new()), BTreeMap::new());
    }
}
