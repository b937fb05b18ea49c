//! A session's history, from its journal: its iterations, and the events between them.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::session::event;
use crate::session::journal::{End, Entry, Event, Step};
use crate::session::mail::Kind;
use crate::session::phase::Phase;
use crate::session::signal::Status;
use crate::session::store::read_journal;

use super::error::Result;
use super::format::about_usd;
use super::operation::{Operation, Perform};
use super::session::Session;

/// Asks for a session's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
}

#[async_trait]
impl Perform for History {
    async fn perform(self, on: &Operation<'_>) -> Result<Vec<Item>> {
        read(&on.resolve(&self.session)?.session)
    }
}

/// One line of a session's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    /// An iteration that ended with a signal.
    Iteration(Iteration),
    /// Something that happened between iterations.
    Event {
        /// When it happened, by the clock of that moment.
        at: Timestamp,
        /// The event's name in the journal.
        kind: String,
        /// What happened, for people.
        text: String,
    },
}

/// An iteration that ended with a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Iteration {
    /// When its signal was accepted.
    pub at: Timestamp,
    /// Its number in the session.
    pub total: u32,
    /// The phase it belonged to.
    pub phase: Phase,
    /// Its number in the phase.
    pub iteration: u32,
    /// The status of the signal.
    pub status: Status,
    /// What the signal led to. Not flattened, because [`Step::Enter`] has a `phase` too.
    pub step: Step,
    /// The agent's summary, or its reason to wait or block.
    pub summary: Option<String>,
    /// Seconds from the start of its first run to the signal.
    pub seconds: i64,
    /// How many runs it took.
    pub runs: u32,
    /// Its cost in US dollars; `None` if no run reported a cost.
    pub cost_usd: Option<f64>,
    /// Whether a part of that is an estimate from tokens.
    #[serde(default)]
    pub cost_estimated: bool,
}

impl Iteration {
    /// What it cost, for people; `None` if no run reported a cost.
    #[must_use]
    pub fn cost(&self) -> Option<String> {
        self.cost_usd.map(|usd| about_usd(usd, self.cost_estimated))
    }
}

/// Builds the history from journal entries.
#[derive(Default)]
struct Chronicle {
    items: Vec<Item>,
    began: Option<Timestamp>,
    total: u32,
    iteration: u32,
    runs: u32,
    cost: Option<f64>,
    cost_estimated: bool,
    /// The boot id of the worker that has started but not ended, according to the journal.
    worker: Option<String>,
    /// When a stalled run was last left for the watchdog to kill.
    stalled: Option<Timestamp>,
}

/// The longest time from a stall to the next worker that still means the watchdog ended the last
/// one: its timeout, the abort and the restart.
const WATCHDOG_ACTS: SignedDuration = SignedDuration::from_secs(60);

impl Chronicle {
    fn add(&mut self, entry: &Entry) {
        match &entry.event {
            Event::RunStarted(event::RunStarted { total, iteration, attempt, resume, .. }) => {
                if *attempt > 1 {
                    let how = if *resume {
                        "in the same conversation"
                    } else {
                        "in a fresh conversation"
                    };
                    self.push(entry, format!("resumed {how}, run {attempt} of the iteration"));
                }
                self.began.get_or_insert(entry.at);
                (self.total, self.iteration) = (*total, *iteration);
                self.runs += 1;
            }
            Event::RunEnded(event::RunEnded { cost, failure, .. }) => {
                if let Some(usd) = cost.usd {
                    self.cost = Some(self.cost.unwrap_or(0.0) + usd);
                    self.cost_estimated |= cost.estimated;
                }
                if *failure {
                    self.note(entry);
                }
            }
            Event::Reviewed(_) | Event::ReviewMissed(_) => {
                (self.began, self.runs) = (None, 0);
                let estimated = std::mem::take(&mut self.cost_estimated);
                let cost = self.cost.take().map(|usd| format!(" ({})", about_usd(usd, estimated)));
                let cost = cost.unwrap_or_default();
                self.push(entry, format!("{}{cost}", entry.event.describe()));
            }
            Event::SignalTaken(event::SignalTaken { phase, status, line, step, .. }) => {
                let began = self.began.take().unwrap_or(entry.at);
                self.items.push(Item::Iteration(Iteration {
                    at: entry.at,
                    total: line.iteration.unwrap_or(self.total),
                    phase: *phase,
                    iteration: self.iteration,
                    status: *status,
                    step: step.clone(),
                    summary: line.summary.clone().or_else(|| line.reason.clone()),
                    seconds: entry.at.duration_since(began).as_secs().max(0),
                    runs: self.runs,
                    cost_usd: self.cost.take(),
                    cost_estimated: std::mem::take(&mut self.cost_estimated),
                }));
                self.runs = 0;
            }
            Event::WorkerStarted(event::WorkerStarted { boot, .. }) => {
                match self.worker.replace(boot.clone()) {
                    Some(last) if last == *boot => {
                        let since = self.stalled.take().map(|at| entry.at.duration_since(at));
                        let by_watchdog = since.is_some_and(|since| since <= WATCHDOG_ACTS);
                        let what = if by_watchdog {
                            "the watchdog ended the worker and its run; the worker was restarted"
                        } else {
                            "the worker was killed and restarted"
                        };
                        self.push(entry, what.to_owned());
                    }
                    Some(_) => self.push(entry, "resumed after the machine restarted".to_owned()),
                    None => {}
                }
            }
            Event::WorkerEnded(event::WorkerEnded { end }) => {
                self.worker = None;
                if matches!(end, End::Interrupted | End::GaveUp) {
                    self.note(entry);
                }
            }
            Event::Stalled(_) => {
                self.stalled = Some(entry.at);
                self.note(entry);
            }
            Event::Mail(event::Mail {
                mail: Kind::Text | Kind::Question | Kind::Nudge, ..
            })
            | Event::Prepared(_) => {}
            Event::Notified(event::Notified { error: None, remark: None, .. }) => {}
            _ => self.note(entry),
        }
    }

    fn note(&mut self, entry: &Entry) {
        self.push(entry, entry.event.describe());
    }

    fn push(&mut self, entry: &Entry, text: String) {
        self.items.push(Item::Event { at: entry.at, kind: entry.event.kind().to_owned(), text });
    }
}

/// Reads a session's history; empty if it has no journal.
///
/// # Errors
/// If the journal exists and cannot be read.
pub(crate) fn read(session: &Session) -> Result<Vec<Item>> {
    let mut chronicle = Chronicle::default();
    let (_, damage) = read_journal(&session.folder, |entry| chronicle.add(entry))?;
    if let Some(damage) = damage {
        session.warnings.add(format!(
            "{} is damaged in {damage}; only its intact lines are shown",
            session.folder.journal().display()
        ));
    }
    Ok(chronicle.items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::history::HistoryLine;
    use crate::session::journal::{RunCost, Usage};

    fn chronicle(events: Vec<Event>) -> Vec<Item> {
        let mut chronicle = Chronicle::default();
        for (at, event) in events.into_iter().enumerate() {
            let at = Timestamp::from_second(at as i64 * 60).unwrap();
            chronicle.add(&Entry { seq: 0, at, event });
        }
        chronicle.items
    }

    fn worker() -> Event {
        Event::WorkerStarted(event::WorkerStarted {
            pid: 1,
            boot: "b".into(),
            uptime_ms: None,
            version: "1".into(),
        })
    }

    fn started(attempt: u32) -> Event {
        Event::RunStarted(event::RunStarted {
            run: "r".into(),
            agent: "claude".into(),
            command: None,
            conversation: "c".into(),
            resume: false,
            phase: Phase::Investigation,
            iteration: 1,
            total: 4,
            attempt,
            log: "l".into(),
            confined: None,
            review: None,
        })
    }

    fn ended(usd: f64) -> Event {
        Event::RunEnded(event::RunEnded {
            run: "r".into(),
            context_window: None,
            outcome: "finished".into(),
            detail: None,
            failure: false,
            endless: false,
            resumable: true,
            cost: RunCost { usd: Some(usd), ..RunCost::default() },
        })
    }

    fn taken() -> Event {
        Event::SignalTaken(event::SignalTaken {
            run: "r".into(),
            fingerprint: None,
            line: HistoryLine {
                iteration: Some(4),
                summary: Some("Looked at sessions".into()),
                ..HistoryLine::default()
            },
            phase: Phase::Investigation,
            status: Status::Continue,
            state: None,
            asked: None,
            step: Step::Enter { phase: Phase::Requirements },
            reviewed: None,
        })
    }

    #[test]
    fn an_estimate_is_marked_in_its_iteration_and_in_no_other() {
        let mut estimate = ended(1.2);
        let Event::RunEnded(event::RunEnded { cost, .. }) = &mut estimate else { panic!() };
        cost.estimated = true;
        let items = chronicle(vec![started(1), estimate, taken(), started(1), ended(0.5), taken()]);
        let costs = items.iter().filter_map(|item| match item {
            Item::Iteration(of) => of.cost(),
            Item::Event { .. } => None,
        });
        assert_eq!(costs.collect::<Vec<_>>(), ["~$1.20", "$0.50"]);
    }

    #[test]
    fn an_iteration_of_two_runs_is_one_with_the_cost_of_both() {
        let lost = Event::RunLost(event::RunLost { run: "r".into(), tokens: Usage::default() });
        let items =
            chronicle(vec![worker(), started(1), worker(), lost, started(2), ended(0.5), taken()]);
        let Some(Item::Iteration(last)) = items.last() else { panic!("{items:?}") };
        let text = serde_json::to_string(&items).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Item>>(&text).unwrap(), items, "{text}");
        assert_eq!((last.total, last.runs, last.seconds), (4, 2, 300));
        assert_eq!((last.cost_usd, last.cost().as_deref()), (Some(0.5), Some("$0.50")));
        let texts: Vec<&str> = items
            .iter()
            .filter_map(|item| match item {
                Item::Event { text, .. } => Some(text.as_str()),
                Item::Iteration(_) => None,
            })
            .collect();
        assert!(texts[0].contains("killed"), "{texts:?}");
        assert!(texts[1].contains("cut off"), "{texts:?}");
    }

    #[test]
    fn a_worker_that_the_watchdog_ended_is_told_from_one_that_was_killed() {
        let stalled = || Event::Stalled(event::Stalled { run: "r".into(), quiet_s: 1200 });
        let told = |events| match chronicle(events).pop() {
            Some(Item::Event { text, .. }) => text,
            other => panic!("{other:?}"),
        };
        let text = told(vec![worker(), started(1), stalled(), worker()]);
        assert!(text.contains("the watchdog ended"), "{text}");
        // It had come to life again: what ended it minutes later was something else.
        let text = told(vec![
            worker(),
            started(1),
            stalled(),
            Event::Answered(event::Answered {}),
            worker(),
        ]);
        assert!(text.contains("the worker was killed"), "{text}");
    }

    #[test]
    fn a_worker_that_ended_in_order_was_not_killed() {
        let end = Event::WorkerEnded(event::WorkerEnded { end: End::Settled });
        assert_eq!(chronicle(vec![worker(), end, worker()]), []);
    }
}
