//! `samocode history`: a session's iterations and the events between them, from its journal.

use std::process::ExitCode;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::control::timeline::{self, Item};
use crate::session::clock;
use crate::session::journal::Step;

use super::Common;
use super::output::{self, DIM, in_line, painted};
use super::words::{clock, span, usd};

/// Show a session's iterations and the events between them
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  samocode history jwt-login")]
pub(in crate::cli) struct History {
    /// A name, a dated folder name, or an instance
    session: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

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
        let (now, zone) = (Timestamp::now(), clock::local_zone());
        for item in &items {
            output::line(line(item, now, &zone))?;
        }
        Ok(())
    }
}

fn line(item: &Item, now: Timestamp, zone: &TimeZone) -> String {
    match item {
        Item::Iteration(of) => {
            let took = span(SignedDuration::from_secs(of.seconds));
            let cost = of.cost_usd.map_or_else(|| "-".to_owned(), usd);
            let runs = if of.runs > 1 { format!(" in {} runs", of.runs) } else { String::new() };
            let leads = leads_to(&of.step);
            let summary = of
                .summary
                .as_deref()
                .map_or_else(String::new, |summary| format!("  {}", in_line(summary, 120)));
            format!(
                "{:11}  {:>3}  {:17}  {:26}  {:>10}  {:>7}{runs}{summary}",
                clock(of.at, now, zone),
                of.total,
                format!("{} {}", of.phase, of.iteration),
                format!("{}{leads}", of.status),
                took,
                cost,
            )
        }
        Item::Event { at, text, .. } => {
            let text = in_line(text, 160);
            painted(DIM, format!("{:11}    ·  {text}", clock(*at, now, zone)))
        }
    }
}

fn leads_to(step: &Step) -> String {
    match step {
        Step::Enter { phase } => format!(" → {phase}"),
        Step::Wait { waits_for } => format!(" → {waits_for}"),
        Step::Block { .. } => " → blocked".to_owned(),
        Step::Finish => " → done".to_owned(),
        Step::Stay | Step::HandOver => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::timeline::Iteration;
    use crate::session::phase::Phase;
    use crate::session::signal::Status;

    #[test]
    fn a_line_tells_when_what_where_to_how_long_and_how_much() {
        let iteration = Item::Iteration(Iteration {
            at: Timestamp::from_second(120).unwrap(),
            total: 4,
            phase: Phase::Investigation,
            iteration: 1,
            status: Status::Continue,
            step: Step::Enter { phase: Phase::Requirements },
            summary: Some("Looked at sessions".to_owned()),
            seconds: 120,
            runs: 1,
            cost_usd: Some(0.12),
        });
        let now = Timestamp::from_second(3600).unwrap();
        assert_eq!(
            line(&iteration, now, &TimeZone::UTC).split_whitespace().collect::<Vec<_>>().join(" "),
            "00:02 4 investigation 1 continue → requirements 2 min $0.12 Looked at sessions"
        );
    }
}
