//! `samocode cost`: what sessions cost, from their journals.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::session::journal::{Entry, Event, Usage};
use crate::session::phase::Phase;
use crate::session::store::read_journal;

use super::Common;
use super::context::Context;
use super::output::{self, BOLD, DIM, painted};
use super::sessions::{self, Session};
use super::words::{number, span, usd};

/// Show what sessions cost
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode cost                   all sessions of the project\n  samocode cost jwt-login         one of them by phases\n\nA run that died with its worker reported nothing; it is counted as unknown."
)]
pub(super) struct Cost {
    /// Names, dated folder names, or instances; else all sessions of the project
    sessions: Vec<String>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// What some runs cost together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Sum {
    usd: f64,
    tokens: Usage,
    runs: u32,
    /// Runs of which nobody knows what they cost.
    unknown: u32,
    seconds: i64,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.usd += other.usd;
        self.tokens.add(other.tokens);
        self.runs += other.runs;
        self.unknown += other.unknown;
        self.seconds += other.seconds;
    }
}

/// A session's costs by phase.
#[derive(Debug, Default)]
struct Bill {
    phases: BTreeMap<Phase, Sum>,
    run: Option<(Phase, Timestamp)>,
}

impl Bill {
    fn of(session: &Session) -> anyhow::Result<Self> {
        let mut bill = Self::default();
        read_journal(&session.folder, |entry| bill.entry(entry))?;
        Ok(bill)
    }

    fn entry(&mut self, entry: &Entry) {
        match &entry.event {
            Event::RunStarted { phase, .. } => self.run = Some((*phase, entry.at)),
            Event::RunEnded { cost, .. } => {
                let tokens = cost.tokens;
                let unknown = u32::from(cost.usd.is_none() && tokens != Usage::default());
                self.count(
                    entry,
                    Sum { usd: cost.usd.unwrap_or(0.0), tokens, unknown, ..Sum::default() },
                );
            }
            Event::RunLost { .. } => self.count(entry, Sum { unknown: 1, ..Sum::default() }),
            _ => {}
        }
    }

    fn count(&mut self, entry: &Entry, mut sum: Sum) {
        let Some((phase, since)) = self.run.take() else { return };
        sum.runs = 1;
        sum.seconds = entry.at.duration_since(since).as_secs().max(0);
        self.phases.entry(phase).or_default().add(&sum);
    }

    fn total(&self) -> Sum {
        let mut total = Sum::default();
        self.phases.values().for_each(|sum| total.add(sum));
        total
    }
}

impl Cost {
    pub(super) fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).map(|()| ExitCode::SUCCESS))
    }

    fn show(&self, common: &Common) -> anyhow::Result<()> {
        let context = match self.sessions.first() {
            Some(typed) => Context::load_for(common, typed)?,
            None => Context::load(common)?,
        };
        let found = if self.sessions.is_empty() {
            sessions::all(&context)?
        } else {
            let named = self.sessions.iter().map(|typed| sessions::find(&context, typed));
            named.collect::<anyhow::Result<_>>()?
        };
        let mut total = Sum::default();
        let mut bills = Vec::with_capacity(found.len());
        for session in &found {
            let bill = Bill::of(session)?;
            total.add(&bill.total());
            bills.push((session, bill));
        }
        if self.json {
            let sessions: Vec<_> = bills
                .iter()
                .map(|(session, bill)| {
                    serde_json::json!({
                        "session": session.name, "total": bill.total(), "phases": bill.phases,
                    })
                })
                .collect();
            return output::json(&serde_json::json!({ "sessions": sessions, "total": total }));
        }
        let mut rows = Vec::new();
        let head = match bills.as_slice() {
            [(_, bill)] if !self.sessions.is_empty() => {
                rows.extend(bill.phases.iter().map(|(phase, sum)| row(phase.as_str(), sum)));
                "PHASE"
            }
            bills => {
                rows.extend(bills.iter().map(|(session, bill)| row(&session.name, &bill.total())));
                "SESSION"
            }
        };
        rows.push(row("total", &total));
        for line in lines(head, &rows) {
            output::line(line)?;
        }
        if total.unknown > 0 {
            output::line(painted(
                DIM,
                format!(
                    "Of {} of the {} runs nobody knows what they cost.",
                    total.unknown, total.runs
                ),
            ))?;
        }
        Ok(())
    }
}

type Row = [String; 7];

fn row(name: &str, sum: &Sum) -> Row {
    [
        name.to_owned(),
        sum.runs.to_string(),
        span(SignedDuration::from_secs(sum.seconds)),
        usd(sum.usd),
        number(sum.tokens.input),
        number(sum.tokens.output),
        number(sum.tokens.cache_read.saturating_add(sum.tokens.cache_write)),
    ]
}

/// The table: names to the left, amounts to the right, the last line in bold.
fn lines(head: &str, rows: &[Row]) -> Vec<String> {
    let header = [head, "RUNS", "TIME", "COST", "TOKENS READ", "WRITTEN", "CACHED"];
    let header = header.map(str::to_owned);
    let width = |at: usize| {
        std::iter::once(&header).chain(rows).map(|row| row[at].chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |row: &Row| {
        let mut line = format!("{:width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            line += &format!("  {cell:>width$}");
        }
        line
    };
    let last = rows.len().saturating_sub(1);
    let rows = rows
        .iter()
        .enumerate()
        .map(|(at, row)| if at == last { painted(BOLD, line(row)) } else { line(row) });
    std::iter::once(painted(DIM, line(&header))).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::journal::RunCost;

    fn at(second: i64, event: Event) -> Entry {
        Entry { seq: 0, at: Timestamp::from_second(second).unwrap(), event }
    }

    fn started(phase: Phase) -> Event {
        Event::RunStarted {
            run: "r".into(),
            agent: "claude".into(),
            conversation: "c".into(),
            resume: false,
            phase,
            iteration: 1,
            total: 1,
            attempt: 1,
            log: "l".into(),
        }
    }

    #[test]
    fn each_run_counts_once_in_its_phase_and_a_lost_one_as_unknown() {
        let mut bill = Bill::default();
        let cost = RunCost {
            usd: Some(0.5),
            tokens: Usage { input: 10, output: 2, ..Usage::default() },
            ..RunCost::default()
        };
        let ended = Event::RunEnded {
            run: "r".into(),
            context_window: None,
            outcome: "finished".into(),
            detail: None,
            failure: false,
            resumable: true,
            cost,
        };
        for entry in [
            at(0, started(Phase::Testing)),
            at(60, ended.clone()),
            // The same end told again is of no run.
            at(61, ended.clone()),
            at(100, started(Phase::Testing)),
            at(130, Event::RunLost { run: "r".into() }),
            at(200, started(Phase::Done)),
            at(201, ended),
        ] {
            bill.entry(&entry);
        }
        let testing = &bill.phases[&Phase::Testing];
        assert_eq!((testing.runs, testing.unknown, testing.seconds), (2, 1, 90));
        assert!((bill.total().usd - 1.0).abs() < 1e-9);
        assert_eq!(bill.total().tokens.input, 20);
    }
}
