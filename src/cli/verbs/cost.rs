//! `samocode cost`: the cost of sessions, from their journals.

use std::process::ExitCode;

use anstyle::Style;
use clap::{Args, ValueEnum};
use jiff::SignedDuration;

use crate::control::cost::{self, By, Costs, Sum};

use super::format::{count, number, span};
use super::layout::{Cell, Grid};
use super::output::{self, BOLD, DIM, painted};
use super::{Common, complete};
use crate::session::journal::Usage;
use crate::session::{Phase, dollars};

/// Show the cost of sessions
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode cost                   all sessions of the project\n  samocode cost jwt-login         one session, phase by phase\n  samocode cost --by day          also phase, agent, model, convoy\n  samocode cost --csv >costs.csv\n\nThe cost of a run is known when it ends, and unknown if it was interrupted. FROM CACHE is how much of\nwhat the model read came from the cache, at a lower price."
)]
pub(in crate::cli) struct Cost {
    /// Names, dated folder names, or instances [default: all sessions of the project]
    #[arg(add = complete::sessions())]
    sessions: Vec<String>,
    /// Add up by this instead of by session
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Option<Group>,
    /// Print it as CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Group {
    Session,
    Phase,
    Day,
    Agent,
    Model,
    Convoy,
}

impl Group {
    const fn by(self) -> Option<By> {
        match self {
            Self::Session => None,
            Self::Phase => Some(By::Phase),
            Self::Day => Some(By::Day),
            Self::Agent => Some(By::Agent),
            Self::Model => Some(By::Model),
            Self::Convoy => Some(By::Convoy),
        }
    }
}

impl Cost {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(&self, common: &Common) -> anyhow::Result<()> {
        let costs = common
            .call(cost::Cost { sessions: self.sessions.clone(), by: self.by.and_then(Group::by) })
            .await?;
        if self.json {
            return output::json(&costs);
        }
        let Costs { sessions, total, groups } = costs;
        let (head, sums): (_, Vec<(String, Sum)>) = match (self.by, sessions.as_slice()) {
            (None, [bill]) if !self.sessions.is_empty() => {
                let mut sums = Vec::new();
                for (phase, sum) in &bill.phases {
                    sums.push((phase.to_string(), sum.clone()));
                    let has_reviewers = *phase == Phase::Quality && !self.csv;
                    let reviewers = bill.reviewers.iter().filter(|_| has_reviewers);
                    sums.extend(
                        reviewers.map(|(name, sum)| (format!("  of it {name}"), sum.clone())),
                    );
                }
                ("PHASE", sums)
            }
            (None | Some(Group::Session), bills) => {
                let bills = bills.iter().map(|bill| (bill.session.clone(), bill.total.clone()));
                ("SESSION", bills.collect())
            }
            (Some(by), _) => {
                let head = match by {
                    Group::Day => "DAY",
                    Group::Phase => "PHASE",
                    Group::Agent => "AGENT",
                    Group::Model => "MODEL",
                    Group::Convoy => "CONVOY",
                    Group::Session => "SESSION",
                };
                (head, groups.into_iter().map(|group| (group.name, group.total)).collect())
            }
        };
        if self.csv {
            return csv(head, &sums);
        }
        let rows: Vec<Row> = sums.iter().map(|(name, sum)| row(name, sum)).collect();
        let rows = [rows, vec![row("total", &total)]].concat();
        for line in table(head, &rows, &sums, output::width()) {
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

/// How long the longest bar is beside the table, and below it.
const BESIDE: usize = 12;
const BELOW: usize = 24;

/// A bar shorter than this shows no difference.
const LEAST: usize = 4;

/// The table, and on a terminal a bar for each amount: beside it where the terminal is wide enough, else
/// below it.
fn table(
    head: &'static str,
    rows: &[Row],
    sums: &[(String, Sum)],
    width: Option<usize>,
) -> Vec<String> {
    let plain = lines(head, rows, &[], width);
    let Some(width) = width else { return plain };
    let charted = lines(head, rows, &bars(sums, BESIDE), Some(width));
    if charted.len() == plain.len() {
        return charted;
    }
    [plain, chart(sums, width)].concat()
}

/// A line for each amount: its name, its bar and the amount; nothing where that has no room.
fn chart(sums: &[(String, Sum)], width: usize) -> Vec<String> {
    let room = |most| {
        let mut grid = Grid::new(&[]);
        for ((name, sum), bar) in sums.iter().zip(bars(sums, most)) {
            let cost = dollars(sum.usd, sum.certainty());
            let bar = format!("{bar:most$}");
            grid.row(
                vec![Cell::new(name), Cell::new(bar).style(DIM), Cell::new(cost).right()],
                Cell::default(),
            );
        }
        grid.lines(Some(width))
    };
    let fitting = (LEAST..=BELOW).rev().map(room).find(|lines| lines.len() == sums.len());
    let fitting = fitting.filter(|_| sums.len() > 1);
    fitting.map_or_else(Vec::new, |lines| [vec![String::new()], lines].concat())
}

/// A bar for each amount, in steps of half a cell; none if nothing cost anything.
fn bars(sums: &[(String, Sum)], longest: usize) -> Vec<String> {
    let most = sums.iter().map(|(_, sum)| sum.usd).fold(0.0, f64::max);
    if most <= 0.0 {
        return Vec::new();
    }
    let halves = 2 * longest;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and the halves of a bar"
    )]
    let bar = |sum: &Sum| {
        let halves = (sum.usd / most * halves as f64).ceil().clamp(0.0, halves as f64) as usize;
        "█".repeat(halves / 2) + if halves % 2 == 1 { "▌" } else { "" }
    };
    sums.iter().map(|(_, sum)| bar(sum)).collect()
}

/// Numbers as programs read them, a line each, without a total.
fn csv(head: &str, sums: &[(String, Sum)]) -> anyhow::Result<()> {
    let head = head.to_lowercase();
    let names =
        "runs,seconds,usd,estimated,runs_of_unknown_cost,input,output,cache_read,cache_write";
    output::line(format!("{head},{names}"))?;
    for (name, sum) in sums {
        let Sum { runs, seconds, usd, estimated, unknown, tokens, .. } = sum;
        let Usage { input, output, cache_read, cache_write } = tokens;
        output::line(format!(
            "{},{runs},{seconds},{usd},{estimated},{unknown},{input},{output},{cache_read},{cache_write}",
            field(name)
        ))?;
    }
    Ok(())
}

/// A text as a field of CSV (RFC 4180).
fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The table: names aligned left, amounts right, the total in bold.
fn lines(head: &'static str, rows: &[Row], chart: &[String], width: Option<usize>) -> Vec<String> {
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
        let bar = chart.get(at).map(|bar| Cell::new(bar).style(DIM)).unwrap_or_default();
        grid.row(cells.collect(), bar);
    }
    grid.lines(width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::layout::{WIDTHS, assert_fits};

    fn sums() -> Vec<(String, Sum)> {
        let sum = |(name, usd): (&str, f64)| {
            (name.to_owned(), Sum { usd, runs: 3, seconds: 5_000, ..Sum::default() })
        };
        let named = [("implementation", 12.0), ("testing", 6.25), ("quality", 0.01), ("done", 0.0)];
        named.map(sum).to_vec()
    }

    fn printed(sums: &[(String, Sum)], width: Option<usize>) -> String {
        let rows: Vec<Row> = sums.iter().map(|(name, sum)| row(name, sum)).collect();
        let lines = table("PHASE", &rows, sums, width).join("\n");
        anstream::adapter::strip_str(&lines).to_string()
    }

    #[test]
    fn bars_are_in_proportion() {
        let lengths: Vec<usize> = bars(&sums(), 12).iter().map(|bar| bar.chars().count()).collect();
        assert_eq!(lengths, [12, 7, 1, 0]);
        assert_eq!(bars(&sums(), 12)[1..3], ["██████▌", "▌"]);
        assert_eq!(bars(&[(String::new(), Sum::default())], 12), [""; 0]);
    }

    #[test]
    fn every_terminal_gets_a_chart_that_fits_it() {
        assert_fits(|width| printed(&sums(), width));
        for (name, width) in WIDTHS {
            let text = printed(&sums(), width);
            assert_eq!(text.contains('█'), width.is_some(), "{text}");
            insta::assert_snapshot!(format!("chart_{name}"), text);
        }
        for width in 40..=130 {
            let text = printed(&sums(), Some(width));
            assert!(
                text.lines().any(|line| line.contains("████ ") || line.ends_with("███")),
                "{text}"
            );
        }
        assert!(!printed(&sums()[..1], Some(80)).contains('█'), "one bar compares nothing");
        let free = [sums()[3].clone(), sums()[3].clone()];
        assert!(!printed(&free, Some(80)).contains('█'));
    }

    #[test]
    fn a_field_of_csv_is_quoted_where_it_has_to_be() {
        for (text, quoted) in
            [("jwt", "jwt"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\nb", "\"a\nb\"")]
        {
            assert_eq!(field(text), quoted);
        }
    }
}
