//! `samocode cost`: the cost of sessions, from their journals.

use std::process::ExitCode;

use clap::Args;
use jiff::SignedDuration;

use crate::control::cost::{self, Costs, Sum};

use super::Common;
use super::output::{self, BOLD, DIM, painted};
use super::words::{count, number, span, usd};

/// Show the cost of sessions
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode cost                   all sessions of the project\n  samocode cost jwt-login         one session, phase by phase\n\nThe cost of a run that died with its worker is unknown."
)]
pub(in crate::cli) struct Cost {
    /// Names, dated folder names, or instances [default: all sessions of the project]
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
                rows.extend(bill.phases.iter().map(|(phase, sum)| row(phase.as_str(), sum)));
                "PHASE"
            }
            bills => {
                rows.extend(bills.iter().map(|bill| row(&bill.session, &bill.total)));
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
                    "Cost unknown for {} of {}.",
                    total.unknown,
                    count(total.runs as usize, "run", "runs")
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

/// The table: names aligned left, amounts right, the total in bold.
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
