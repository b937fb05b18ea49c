//! `samocode cost`: the cost of sessions, from their journals.

use std::process::ExitCode;

use anstyle::Style;
use clap::Args;
use jiff::SignedDuration;

use crate::control::cost::{self, Costs, Sum};

use super::format::{count, number, span};
use super::layout::{Cell, Grid};
use super::output::{self, BOLD, DIM, painted};
use super::{Common, complete};
use crate::session::{Phase, dollars};

/// Show the cost of sessions
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode cost                   all sessions of the project\n  samocode cost jwt-login         one session, phase by phase\n\nThe cost of a run is known when it ends, and unknown if it was interrupted. FROM CACHE is how much of\nwhat the model read came from the cache, at a lower price."
)]
pub(in crate::cli) struct Cost {
    /// Names, dated folder names, or instances [default: all sessions of the project]
    #[arg(add = complete::sessions())]
    sessions: Vec<String>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Cost {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(&self, common: &Common) -> anyhow::Result<()> {
        let costs = common.call(cost::Cost { sessions: self.sessions.clone() }).await?;
        if self.json {
            return output::json(&costs);
        }
        let Costs { sessions, total } = costs;
        let mut rows = Vec::new();
        let head = match sessions.as_slice() {
            [bill] if !self.sessions.is_empty() => {
                for (phase, sum) in &bill.phases {
                    rows.push(row(phase.as_str(), sum));
                    let reviewers = bill.reviewers.iter().filter(|_| *phase == Phase::Quality);
                    rows.extend(reviewers.map(|(name, sum)| row(&format!("  of it {name}"), sum)));
                }
                "PHASE"
            }
            bills => {
                rows.extend(bills.iter().map(|bill| row(&bill.session, &bill.total)));
                "SESSION"
            }
        };
        rows.push(row("total", &total));
        for line in lines(head, &rows, output::width()) {
            output::line(line)?;
        }
        if total.unknown > 0 {
            output::line(painted(
                DIM,
                format!(
                    "Cost unknown for {} of {}.",
                    total.unknown,
                    count(total.runs as usize, "run", "runs")
                ),
            ))?;
        }
        Ok(())
    }
}

type Row = [String; 8];

fn row(name: &str, sum: &Sum) -> Row {
    [
        name.to_owned(),
        sum.runs.to_string(),
        span(SignedDuration::from_secs(sum.seconds)),
        dollars(sum.usd, sum.certainty()),
        number(sum.tokens.input),
        number(sum.tokens.output),
        number(sum.tokens.cache_read.saturating_add(sum.tokens.cache_write)),
        sum.cached_percent.map_or_else(String::new, |percent| format!("{percent} %")),
    ]
}

/// The table: names aligned left, amounts right, the total in bold.
fn lines(head: &'static str, rows: &[Row], width: Option<usize>) -> Vec<String> {
    let names =
        [head, "RUNS", "TIME", "COST", "TOKENS READ", "WRITTEN", "CACHED", "FROM CACHE", ""];
    let mut grid = Grid::labelled(&names);
    let last = rows.len().saturating_sub(1);
    for (at, row) in rows.iter().enumerate() {
        let style = if at == last { BOLD } else { Style::new() };
        let cells = row.iter().enumerate().map(|(at, cell)| {
            let cell = Cell::new(cell).style(style);
            if at == 0 { cell } else { cell.right() }
        });
        grid.row(cells.collect(), Cell::default());
    }
    grid.lines(width)
}
