//! `samocode usage`: how much of each account's windows is used.

use std::process::ExitCode;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::control::usage::{self, Account};
use crate::session::clock;

use super::Common;
use super::format::{ago, clock, span};
use super::layout::{Cell, Grid};
use super::output;

/// Show how much of each account's usage limits is used
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode usage\n\nAgents report it while they run; this is what they last said. Claude Code does, others do not.\nSAMOCODE_QUOTA_STOP_AT keeps sessions from filling a window."
)]
pub(in crate::cli) struct Usage {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Usage {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(&self, common: &Common) -> anyhow::Result<()> {
        let accounts = common.call(usage::Usage {}).await?;
        if self.json {
            return output::json(&serde_json::json!({ "accounts": accounts }));
        }
        if accounts.is_empty() {
            return output::line("No agent has said yet how much of its account is used.");
        }
        let (now, zone) = (Timestamp::now(), clock::shown_zone());
        lines(&accounts, output::width(), now, &zone).into_iter().try_for_each(output::line)
    }
}

/// How long the bar of a window is.
const BAR: usize = 20;

fn lines(
    accounts: &[Account],
    width: Option<usize>,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<String> {
    let mut grid = Grid::labelled(&["ACCOUNT", "WINDOW", "USED", "RESETS", "SEEN", ""]);
    for account in accounts {
        for window in &account.windows {
            let resets = window.resets_at.map_or_else(String::new, |at| {
                let left = span(SignedDuration::from_secs(at.duration_since(now).as_secs()));
                format!("{} (in {left})", clock(at, now, zone))
            });
            let used = usize::from(window.percent).min(100) * BAR / 100;
            let bar = format!("{}{}", "■".repeat(used), "□".repeat(BAR - used));
            grid.row(
                vec![
                    Cell::new(account.account.get(..8).unwrap_or(&account.account)),
                    Cell::new(name(&window.name)),
                    Cell::new(format!("{} %", window.percent)).right(),
                    Cell::new(resets),
                    Cell::new(account.seen.map_or_else(String::new, |at| ago(at, now, zone))),
                ],
                Cell::new(bar),
            );
        }
    }
    grid.lines(width)
}

/// A window's name as people call it.
fn name(window: &str) -> String {
    match window.split_once('_') {
        Some(("five", "hour")) => "5 hours".to_owned(),
        Some(("seven", "day")) => "week".to_owned(),
        _ => output::in_line(&window.replace('_', " "), 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::usage::Window;

    #[test]
    fn a_line_a_window_with_when_it_resets() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let window = |name: &str, percent, resets_at: Option<&str>| Window {
            name: name.to_owned(),
            percent,
            resets_at: resets_at.map(at),
        };
        let account = Account {
            account: "0123456789".to_owned(),
            seen: Some(at("2026-11-20T11:58:00Z")),
            windows: vec![
                window("five_hour", 42, Some("2026-11-20T14:30:00Z")),
                window("seven_day_opus", 100, None),
            ],
        };
        let shown = lines(&[account], None, at("2026-11-20T12:00:00Z"), &TimeZone::UTC).join("\n");
        let shown = anstream::adapter::strip_str(&shown).to_string();
        let rows: Vec<Vec<&str>> =
            shown.lines().skip(1).map(|line| line.split("  ").map(str::trim).collect()).collect();
        let has = |row: &[&str], cell: &str| assert!(row.contains(&cell), "{cell}: {row:?}");
        for cell in ["01234567", "5 hours", "42 %", "14:30 (in 2 h 30 min)", "2 min ago"] {
            has(&rows[0], cell);
        }
        has(&rows[1], "seven day opus");
        has(&rows[1], &"■".repeat(20));
    }
}
