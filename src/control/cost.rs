//! The cost of sessions, from their journals.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::session::clock::shown_zone;
use crate::session::describe::harmless;
use crate::session::journal::{Entry, Event, Usage};
use crate::session::phase::Phase;
use crate::session::store::read_journal;
use crate::session::{Certainty, event};

use super::convoy::convoy_of;
use super::error::Result;
use super::operation::{Operation, Perform};
use super::registry;
use super::session::Session;
use super::target::Target;

/// Asks what sessions cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// The sessions, as typed; if empty, all sessions of the project.
    pub sessions: Vec<String>,
    /// By what else to add up.
    #[serde(default)]
    pub by: Option<By>,
}

/// By what costs are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The phase of a run.
    Phase,
    /// The day on which a run ended, in local time.
    Day,
    /// The agent of a run.
    Agent,
    /// The model that answered in a run.
    Model,
    /// The convoy of its session.
    Convoy,
}

/// What was spent on one day, in one phase and so on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The day, the phase, the agent, the model or the convoy; `-` for what has none or is not known.
    pub name: String,
    /// The sum over its runs.
    pub total: Sum,
}

/// The cost of each session, and their total.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// One entry per session.
    pub sessions: Vec<Bill>,
    /// The sum over all of them.
    pub total: Sum,
    /// What was asked for with `by`, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
}

/// The cost of one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    /// The session's name, without date and project.
    pub session: String,
    /// The sum over all phases.
    pub total: Sum,
    /// The phases that had runs.
    pub phases: BTreeMap<Phase, Sum>,
    /// The part of the quality phase that reviewers had, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reviewers: BTreeMap<String, Sum>,
}

impl Bill {
    /// The bill of a session that had no runs.
    pub(crate) fn empty(session: &str) -> Self {
        Self {
            session: session.to_owned(),
            total: Sum::default(),
            phases: BTreeMap::new(),
            reviewers: BTreeMap::new(),
        }
    }
}

#[async_trait]
impl Perform for Cost {
    async fn perform(self, on: &Operation<'_>) -> Result<Costs> {
        let (context, mut found) = Target::resolve_all(on.caller, &on.warnings, &self.sessions)?;
        if self.sessions.is_empty() {
            found = registry::all(&context)?;
        }
        let mut total = Sum::default();
        let mut sessions = Vec::with_capacity(found.len());
        let mut groups: BTreeMap<Key, Sum> = BTreeMap::new();
        for session in found {
            let ledger = Ledger::of(&session)?;
            let sum = ledger.total();
            total.add(&sum);
            let convoy = match self.by {
                Some(By::Convoy) => convoy_of(&context.project, &session.name)?,
                _ => None,
            };
            let Ledger { phases, reviewers, runs, .. } = ledger;
            for run in &runs {
                let key = match self.by {
                    None => break,
                    Some(By::Phase) => Key::Phase(run.phase),
                    Some(By::Day) => Key::Day(run.ended.to_zoned(shown_zone()).date()),
                    Some(By::Agent) => Key::Name(run.agent.clone()),
                    Some(By::Model) => Key::of(run.model.as_deref()),
                    Some(By::Convoy) => Key::of(convoy.as_deref()),
                };
                groups.entry(key).or_default().add(&run.sum);
            }
            sessions.push(Bill { session: session.name, total: sum, phases, reviewers });
        }
        let named = |(key, total): (Key, Sum)| Group { name: key.to_string(), total };
        let groups = groups.into_iter().map(named).collect();
        Ok(Costs { sessions, total, groups })
    }
}

/// What a group is called, in its order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Phase(Phase),
    Day(Date),
    Name(String),
}

impl Key {
    fn of(name: Option<&str>) -> Self {
        Self::Name(name.map_or_else(|| "-".to_owned(), |name| harmless(name).into_owned()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phase(phase) => phase.fmt(f),
            Self::Day(day) => day.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The total cost of a number of runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sum {
    /// Cost in US dollars, of the runs whose price is known.
    pub usd: f64,
    /// Tokens of these runs, by kind.
    pub tokens: Usage,
    /// How much of their input was read from the cache, in percent; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_percent: Option<u8>,
    /// How many runs the sum is of.
    pub runs: u32,
    /// Runs whose cost is unknown: they were interrupted, or have not ended.
    pub unknown: u32,
    /// Whether the cost of some run is an estimate from its tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// Their total duration, in seconds.
    pub seconds: i64,
}

impl Sum {
    /// Adds another sum to it.
    pub(crate) fn add(&mut self, other: &Self) {
        self.usd = (self.usd + other.usd).min(f64::MAX);
        self.tokens.add(other.tokens);
        self.cached_percent = self.tokens.cached_percent();
        self.runs += other.runs;
        self.unknown += other.unknown;
        self.estimated |= other.estimated;
        self.seconds += other.seconds;
    }

    /// What is known of the amount.
    #[must_use]
    pub const fn certainty(&self) -> Certainty {
        Certainty { incomplete: self.unknown > 0, estimated: self.estimated }
    }
}

/// Adds up the costs in a session's journal.
#[derive(Debug, Default)]
struct Ledger {
    phases: BTreeMap<Phase, Sum>,
    reviewers: BTreeMap<String, Sum>,
    runs: Vec<Run>,
    under_way: Option<UnderWay>,
}

/// A run that has not ended.
#[derive(Debug)]
struct UnderWay {
    phase: Phase,
    agent: String,
    /// Who reviews, if it is a review.
    reviewer: Option<String>,
    since: Timestamp,
}

/// A run that was counted.
#[derive(Debug)]
struct Run {
    phase: Phase,
    agent: String,
    model: Option<String>,
    ended: Timestamp,
    sum: Sum,
}

impl Ledger {
    fn of(session: &Session) -> Result<Self> {
        let mut ledger = Self::default();
        read_journal(&session.folder, |entry| ledger.entry(entry))?;
        if let Some(run) = session.hook()?.run {
            ledger.running(run.tokens, Timestamp::now());
        }
        Ok(ledger)
    }

    fn entry(&mut self, entry: &Entry) {
        match &entry.event {
            Event::RunStarted(event::RunStarted { phase, agent, review, .. }) => {
                self.under_way = Some(UnderWay {
                    phase: *phase,
                    agent: agent.clone(),
                    reviewer: review.as_ref().map(|review| review.reviewer.clone()),
                    since: entry.at,
                });
            }
            Event::RunEnded(event::RunEnded { cost, .. }) => {
                let tokens = cost.tokens;
                let unknown = u32::from(cost.is_unknown());
                let (usd, estimated) = (cost.usd.unwrap_or(0.0), cost.estimated);
                let sum = Sum { usd, tokens, unknown, estimated, ..Sum::default() };
                self.count(entry.at, cost.model.clone(), sum);
            }
            Event::RunLost(event::RunLost { tokens, .. }) => {
                self.count(entry.at, None, Sum { tokens: *tokens, unknown: 1, ..Sum::default() });
            }
            _ => {}
        }
    }

    /// Counts a run that has not ended, with the tokens it has used so far.
    fn running(&mut self, tokens: Usage, now: Timestamp) {
        let unknown = u32::from(!tokens.is_none());
        self.count(now, None, Sum { tokens, unknown, ..Sum::default() });
    }

    fn count(&mut self, ended: Timestamp, model: Option<String>, mut sum: Sum) {
        let Some(run) = self.under_way.take() else { return };
        let UnderWay { phase, agent, reviewer, since } = run;
        sum.runs = 1;
        sum.seconds = ended.duration_since(since).as_secs().max(0);
        self.phases.entry(phase).or_default().add(&sum);
        if let Some(reviewer) = reviewer {
            self.reviewers.entry(reviewer).or_default().add(&sum);
        }
        self.runs.push(Run { phase, agent, model, ended, sum });
    }

    fn total(&self) -> Sum {
        let mut total = Sum::default();
        self.phases.values().for_each(|sum| total.add(sum));
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::journal::RunCost;

    fn at(second: i64, event: Event) -> Entry {
        Entry { seq: 0, at: Timestamp::from_second(second).unwrap(), event }
    }

    fn started(phase: Phase) -> Event {
        Event::RunStarted(event::RunStarted {
            run: "r".into(),
            agent: "claude".into(),
            command: None,
            conversation: "c".into(),
            resume: false,
            phase,
            iteration: 1,
            total: 1,
            attempt: 1,
            log: "l".into(),
            confined: None,
            review: None,
        })
    }

    #[test]
    fn each_run_counts_once_in_its_phase_and_a_lost_one_as_unknown() {
        let mut ledger = Ledger::default();
        let cost = RunCost {
            usd: Some(0.5),
            tokens: Usage { input: 10, output: 2, cache_read: 20, ..Usage::default() },
            model: Some("opus-4".into()),
            ..RunCost::default()
        };
        let ended = Event::RunEnded(event::RunEnded {
            run: "r".into(),
            context_window: None,
            outcome: "finished".into(),
            detail: None,
            failure: false,
            endless: false,
            resumable: true,
            cost,
        });
        for entry in [
            at(0, started(Phase::Testing)),
            at(60, ended.clone()),
            // An end that is recorded twice belongs to no run.
            at(61, ended.clone()),
            at(100, started(Phase::Testing)),
            at(130, Event::RunLost(event::RunLost { run: "r".into(), tokens: Usage::default() })),
            at(200, started(Phase::Done)),
            at(201, ended),
        ] {
            ledger.entry(&entry);
        }
        // Nothing is under way any more.
        ledger.running(Usage { input: 7, ..Usage::default() }, Timestamp::UNIX_EPOCH);
        let testing = &ledger.phases[&Phase::Testing];
        assert_eq!((testing.runs, testing.unknown, testing.seconds), (2, 1, 90));
        assert_eq!(testing.cached_percent, Some(67));
        assert!((ledger.total().usd - 1.0).abs() < 1e-9);
        assert_eq!(ledger.total().tokens.input, 20);
        ledger.entry(&at(300, started(Phase::Done)));
        let now = Timestamp::from_second(310).unwrap();
        ledger.running(Usage { input: 7, ..Usage::default() }, now);
        assert_eq!(ledger.runs.iter().filter(|run| run.agent == "claude").count(), 4);
        let models: Vec<_> = ledger.runs.iter().map(|run| run.model.as_deref()).collect();
        assert_eq!(models, [Some("opus-4"), None, Some("opus-4"), None]);
        assert_eq!(Key::of(models[0]).to_string(), "opus-4");
        assert_eq!(Key::of(None).to_string(), "-");
        let total = ledger.total();
        assert_eq!((total.runs, total.unknown, total.tokens.input), (4, 2, 27));
        assert_eq!(total.seconds, 101);
    }
}
