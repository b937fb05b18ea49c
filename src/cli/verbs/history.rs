//! `samocode history`: a session's iterations and the events between them, from its journal.

use std::process::ExitCode;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::control::timeline::{self, Item};
use crate::session::clock;
use crate::session::journal::Step;
use crate::session::signal::Status;

use super::format::{clock, span};
use super::layout::{Cell, Grid};
use super::output::{self, shortened};
use super::{Common, complete, pager};

/// Show a session's iterations and the events between them
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  samocode history jwt-login")]
pub(in crate::cli) struct History {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// The most characters shown of a summary on a terminal.
const LONGEST: usize = 300;

impl History {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(&self, common: &Common) -> anyhow::Result<()> {
        let items = common.call(timeline::History { session: self.session.clone() }).await?;
        if self.json {
            let value = serde_json::json!({ "session": self.session, "history": items });
            return output::json(&value);
        }
        if items.is_empty() {
            return output::line(format!("Nothing has happened in {} yet.", self.session));
        }
        let (now, zone) = (Timestamp::now(), clock::shown_zone());
        let _paged = pager::paged(true);
        for line in lines(&items, output::width(), now, &zone) {
            output::line(line)?;
        }
        Ok(())
    }
}

fn lines(items: &[Item], width: Option<usize>, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let mut grid = Grid::new(&[]);
    for item in items {
        match item {
            Item::Iteration(of) => {
                let took = span(SignedDuration::from_secs(of.seconds));
                let runs =
                    if of.runs > 1 { format!("in {} runs  ", of.runs) } else { String::new() };
                let summary = of.summary.as_deref().unwrap_or_default();
                grid.row(
                    vec![
                        Cell::new(clock(of.at, now, zone)),
                        Cell::new(of.total).right(),
                        Cell::new(format!("{} {}", of.phase, of.iteration)),
                        Cell::new(leads_to(of.status, &of.step)),
                        Cell::new(took).right(),
                        Cell::new(of.cost().unwrap_or_else(|| "-".to_owned())).right(),
                    ],
                    Cell::new(format!("{runs}{}", shortened(summary, LONGEST, width)).trim_end()),
                );
            }
            Item::Event { at, text, .. } => {
                let text = shortened(text, LONGEST, width);
                grid.note(Cell::new(clock(*at, now, zone)), format!("·  {text}"));
            }
        }
    }
    grid.lines(width)
}

/// What the agent signalled, and what that led to where it does not go without saying.
fn leads_to(status: Status, step: &Step) -> String {
    match (status, step) {
        (Status::Blocked, Step::Block { .. })
        | (Status::Done, Step::Finish)
        | (_, Step::Stay | Step::HandOver) => status.to_string(),
        (_, Step::Enter { phase }) => format!("{status} → {phase}"),
        (Status::Waiting, Step::Wait { waits_for }) => format!("waiting for {waits_for}"),
        (_, Step::Wait { waits_for }) => format!("{status} → waiting for {waits_for}"),
        (_, Step::Review) => format!("{status} → review"),
        (_, Step::Block { .. } | Step::Dispute { .. }) => format!("{status} → blocked"),
        (_, Step::Finish) => format!("{status} → done"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::timeline::Iteration;
    use crate::session::phase::Phase;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn iteration(total: u32, phase: Phase, status: Status, step: Step) -> Item {
        Item::Iteration(Iteration {
            at: at(i64::from(total) * 120),
            total,
            phase,
            iteration: 1,
            status,
            step,
            summary: Some(format!(
                "Looked at sessions, the {total}. of them, and at /src/auth/session_store.rs"
            )),
            seconds: 120,
            runs: total,
            cost_usd: Some(0.12),
            cost_estimated: false,
        })
    }

    fn story() -> Vec<Item> {
        vec![
            iteration(
                1,
                Phase::Investigation,
                Status::Continue,
                Step::Enter { phase: Phase::Requirements },
            ),
            Item::Event {
                at: at(180),
                kind: "started".to_owned(),
                text: "started again by a human, after it had been stopped for a while".to_owned(),
            },
            iteration(
                2,
                Phase::Requirements,
                Status::Waiting,
                Step::Wait { waits_for: "qa_answers".into() },
            ),
            iteration(3, Phase::Done, Status::Done, Step::Finish),
        ]
    }

    fn plain(width: Option<usize>) -> String {
        let lines = lines(&story(), width, at(3600), &TimeZone::UTC).join("\n");
        anstream::adapter::strip_str(&lines).to_string()
    }

    #[test]
    fn the_story_fits_the_terminal_and_a_pipe_gets_all_of_it() {
        for (name, width) in crate::cli::ui::layout::WIDTHS {
            let text = plain(width);
            insta::assert_snapshot!(name, text);
        }
        crate::cli::ui::layout::assert_fits(plain);
    }

    #[test]
    fn a_status_is_not_said_twice() {
        assert_eq!(leads_to(Status::Done, &Step::Finish), "done");
        assert_eq!(leads_to(Status::Continue, &Step::Finish), "continue → done");
    }
}
