//! The table of all sessions.

use crate::session::WaitsFor;
use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::ui::output::{BOLD, DIM, in_line, painted, state_style};
use crate::cli::ui::words::{ago, bar, clock, usd};
use crate::control::view::View;
use crate::session::describe::harmless;
use crate::session::state::Word;

const HEADER: [&str; 6] = ["SESSION", "PHASE", "STATE", "LAST PROGRESS", "COST", "NEEDS"];
/// Columns between columns.
const GAP: usize = 2;
/// A reason is never cut shorter than this: less would be meaningless.
const SHORTEST_REASON: usize = 24;
/// A reason's longest form when output is piped.
const LONGEST_REASON: usize = 100;

/// One session's cells.
struct Row {
    session: String,
    phase: String,
    state: Word,
    progress: String,
    cost: String,
    /// Why it needs attention, and the command that helps; either may be empty.
    reason: String,
    command: String,
}

impl Row {
    fn of(view: &View, now: Timestamp, zone: &TimeZone) -> Self {
        let (reason, command) = needs(view, now, zone);
        let iteration =
            if view.iteration > 0 { format!(" {}", view.iteration) } else { String::new() };
        Self {
            session: harmless(&view.session).into_owned(),
            phase: format!("{} {}{iteration}", bar(view.phase), view.phase),
            state: view.state,
            progress: view.last_progress.map_or_else(|| "-".to_owned(), |at| ago(at, now, zone)),
            cost: usd(view.cost_usd),
            reason,
            command,
        }
    }

    /// The NEEDS cell in at most `most` columns. The command is never cut.
    fn needs(&self, most: usize) -> String {
        match (self.reason.as_str(), self.command.as_str()) {
            ("", command) => command.to_owned(),
            (reason, "") => in_line(reason, most),
            (reason, command) => {
                let left = most.saturating_sub(command.chars().count() + 2).max(SHORTEST_REASON);
                format!("{}: {command}", in_line(reason, left))
            }
        }
    }
}

/// Why a session does not continue by itself, and the command that resumes it.
fn needs(view: &View, now: Timestamp, zone: &TimeZone) -> (String, String) {
    let reason = view.reason.clone().unwrap_or_default();
    let instance = &view.instance;
    let command = view.needs.as_ref().map(|needs| needs.command.clone()).unwrap_or_default();
    match (view.state, &view.needs) {
        (Word::Waiting, Some(needs)) => (wanted(&needs.waits_for, needs.count), command),
        (Word::Failed, _) => ("the unit failed".to_owned(), command),
        (Word::Stopped, _) => (String::new(), format!("samocode start {instance}")),
        (Word::Limited, _) => {
            let until = view
                .until
                .map_or_else(String::new, |at| format!(" until {}", clock(at, now, zone)));
            (format!("usage limit{until}, then resumes by itself"), String::new())
        }
        (Word::Paused, _) => {
            let until = view
                .until
                .filter(|at| *at > now)
                .map_or_else(String::new, |at| format!("; retries at {}", clock(at, now, zone)));
            (format!("{reason}{until}"), String::new())
        }
        (Word::Running | Word::Blocked, _) => (reason, command),
        _ => (String::new(), command),
    }
}

/// What the session is waiting for, in words.
pub(super) fn wanted(waits_for: &WaitsFor, count: Option<usize>) -> String {
    match (waits_for, count) {
        (WaitsFor::QaAnswers, Some(0)) => "sending the answers".to_owned(),
        (WaitsFor::QaAnswers, Some(1)) => "1 answer".to_owned(),
        (WaitsFor::QaAnswers, Some(n)) => format!("{n} answers"),
        (WaitsFor::QaAnswers, None) => "answers".to_owned(),
        (WaitsFor::PlanApproval, _) => "approval".to_owned(),
        (WaitsFor::FileUpdate, _) => "a file update".to_owned(),
        (WaitsFor::HumanAction, _) => "a manual step".to_owned(),
        (WaitsFor::Other(other), _) => other.replace('_', " "),
    }
}

/// The table's lines. If `width` has no room for the NEEDS column, it moves to separate lines, so
/// that commands can be copied whole.
pub(super) fn lines(
    views: &[View],
    width: Option<usize>,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<String> {
    let rows: Vec<Row> = views.iter().map(|view| Row::of(view, now, zone)).collect();
    let cells = |row: &Row| {
        [&row.session, &row.phase, row.state.as_str(), &row.progress, &row.cost]
            .map(|cell| cell.chars().count())
    };
    let mut widths = [0, 1, 2, 3, 4].map(|at| HEADER[at].len());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(cells(row)) {
            *width = (*width).max(cell);
        }
    }
    let used = widths.iter().map(|width| width + GAP).sum::<usize>();
    let least = rows.iter().map(|row| row.needs(0).chars().count()).max().unwrap_or(0);
    let beside = width.is_none_or(|width| used + least <= width);
    let room =
        width.map_or(LONGEST_REASON, |width| width.saturating_sub(if beside { used } else { GAP }));

    let mut found = vec![header(widths, beside && least > 0)];
    for row in &rows {
        let (style, needs) = (state_style(row.state), row.needs(room));
        let mut line = [
            pad(BOLD, &row.session, widths[0]),
            pad(Style::new(), &row.phase, widths[1]),
            pad(style, row.state.as_str(), widths[2]),
            pad(Style::new(), &row.progress, widths[3]),
            format!("{:>width$}", row.cost, width = widths[4]),
        ]
        .join(&" ".repeat(GAP));
        let emphasis = if wants_a_human(row.state) { AnsiColor::Yellow.on_default() } else { DIM };
        if needs.is_empty() {
            found.push(line);
        } else if beside {
            line.push_str(&" ".repeat(GAP));
            line.push_str(&painted(emphasis, needs));
            found.push(line);
        } else {
            found.push(line);
            found.push(format!("{}{}", " ".repeat(GAP), painted(emphasis, needs)));
        }
    }
    found
}

const fn wants_a_human(state: Word) -> bool {
    matches!(state, Word::Waiting | Word::Blocked | Word::Failed)
}

fn header(widths: [usize; 5], with_needs: bool) -> String {
    let mut line = String::new();
    for (at, width) in widths.into_iter().enumerate() {
        let cell = HEADER[at];
        // Amounts are aligned right.
        line += &if at == 4 { format!("{cell:>width$}") } else { format!("{cell:width$}") };
        line += &" ".repeat(GAP);
    }
    if with_needs {
        line += HEADER[5];
    }
    painted(DIM, line.trim_end())
}

/// A styled cell, padded to `width`.
fn pad(style: Style, cell: &str, width: usize) -> String {
    let spaces = width.saturating_sub(cell.chars().count());
    format!("{}{}", painted(style, cell), " ".repeat(spaces))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::view::{Needs, Tokens};
    use crate::session::phase::Phase;

    fn now() -> Timestamp {
        "2026-11-20T18:10:00Z".parse().unwrap()
    }

    fn view(session: &str, state: Word, phase: Phase, iteration: u32, cost_usd: f64) -> View {
        View {
            session: session.to_owned(),
            instance: session.to_owned(),
            project: "/home/u/shop".to_owned(),
            folder: String::new(),
            worktree: None,
            elsewhere: None,
            branch: None,
            state,
            phase,
            iteration,
            total_iterations: iteration,
            doing: None,
            last_progress: Some(now() - jiff::SignedDuration::from_secs(iteration.into())),
            since: Some(now()),
            until: None,
            reason: None,
            summary: None,
            needs: None,
            cost_usd,
            tokens: Tokens { input: 0, output: 0 },
            unit: None,
            notes: Vec::new(),
        }
    }

    fn needing(mut view: View, waits_for: &str, count: Option<usize>, command: &str) -> View {
        let (waits_for, command) = (waits_for.into(), command.to_owned());
        view.needs = Some(Needs { waits_for, count, command });
        view
    }

    fn evening() -> Vec<View> {
        let mut limited = view("old-parser", Word::Limited, Phase::Implementation, 14, 109.77);
        limited.until = Some("2026-11-20T19:00:00Z".parse().unwrap());
        limited.last_progress = Some("2026-11-20T16:02:00Z".parse().unwrap());
        let waiting = view("jwt-login", Word::Waiting, Phase::Requirements, 3, 0.42);
        let mut blocked = view("csv", Word::Blocked, Phase::Planning, 2, 0.0);
        blocked.reason = Some(
            "the tests need a database\nthat is nowhere to be found, and \u{1b}[31mred".into(),
        );
        let mut new = view("new-one", Word::New, Phase::Init, 0, 0.0);
        new.last_progress = None;
        vec![
            view("search-index", Word::Running, Phase::Testing, 2, 3.1),
            needing(waiting, "qa_answers", Some(3), "samocode answer jwt-login"),
            limited,
            needing(blocked, "human_decision", None, "samocode send csv \"…\""),
            new,
        ]
    }

    fn plain(width: Option<usize>) -> String {
        let lines = lines(&evening(), width, now(), &TimeZone::UTC);
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_wide_table_has_what_is_needed_beside() {
        insta::assert_snapshot!("wide", plain(Some(140)));
    }

    #[test]
    fn at_eighty_columns_what_is_needed_has_its_own_line() {
        let text = plain(Some(80));
        insta::assert_snapshot!("narrow", text);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_command_is_never_cut() {
        for width in [None, Some(30), Some(80), Some(100), Some(200)] {
            assert!(plain(width).contains("samocode send csv \"…\"\n"), "{}", plain(width));
        }
    }

    #[test]
    fn an_agents_words_bring_no_escape_sequence() {
        let lines = lines(&evening(), Some(200), now(), &TimeZone::UTC);
        assert!(!lines.iter().any(|line| line.contains("\u{1b}[31mred")));
    }
}
