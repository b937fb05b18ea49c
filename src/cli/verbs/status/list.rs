//! The table of all sessions.

use std::path::Path;

use anstyle::AnsiColor;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::ui::format::{ago, bar, clock};
use crate::cli::ui::layout::{Cell, Grid, glued};
use crate::cli::ui::output::{BOLD, DIM, in_line, state_style};
use crate::control::view::View;
use crate::session::WaitsFor;
use crate::session::describe::harmless;
use crate::session::dollars;
use crate::session::state::StateName;

/// Which of the columns that not every list needs are shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Columns {
    /// The project, for a list of several.
    pub(super) project: bool,
}

/// Makes the commands in a text fit for pasting.
pub(super) type Paste<'a> = &'a dyn Fn(&str) -> String;

/// What NEEDS says of a session: why it needs attention, then the command that helps. The command
/// is never wrapped, so that it can be copied whole.
fn needs_cell(view: &View, paste: Paste<'_>, now: Timestamp, zone: &TimeZone) -> Cell {
    let (reason, command) = needs(view, now, zone);
    let reason = in_line(&reason, usize::MAX);
    let text = match (reason.as_str(), glued(&paste(&command))) {
        ("", command) => command,
        (reason, command) if command.is_empty() => reason.to_owned(),
        (reason, command) => format!("{reason}: {command}"),
    };
    let wants_a_human =
        matches!(view.state, StateName::Waiting | StateName::Blocked | StateName::Failed);
    let style = if wants_a_human { AnsiColor::Yellow.on_default() } else { DIM };
    Cell::new(text).style(style)
}

fn cells(view: &View, columns: Columns, now: Timestamp, zone: &TimeZone) -> Vec<Cell> {
    let iteration = if view.iteration > 0 { format!(" {}", view.iteration) } else { String::new() };
    let progress = view.last_progress.map_or_else(|| "-".to_owned(), |at| ago(at, now, zone));
    let mut cells = vec![Cell::new(harmless(&view.session)).style(BOLD)];
    if columns.project {
        cells.push(Cell::new(harmless(&view.project)));
    }
    cells.extend([
        Cell::new(format!("{} {}{iteration}", bar(view.phase), view.phase)),
        Cell::new(view.state).style(state_style(view.state)),
        Cell::new(progress),
        Cell::new(dollars(view.cost_usd, view.certainty())).right(),
    ]);
    cells
}

/// Why a session does not continue on its own, and the command that resumes it.
fn needs(view: &View, now: Timestamp, zone: &TimeZone) -> (String, String) {
    let reason = view.reason.clone().unwrap_or_default();
    let command = view.needs.as_ref().map(|needs| needs.command.clone()).unwrap_or_default();
    match (view.state, &view.needs) {
        (StateName::Waiting, Some(needs)) => {
            let file = view.read.as_deref().and_then(|path| Path::new(path).file_name());
            let file = file.map(|name| format!(" ({})", name.to_string_lossy()));
            let what = wanted(&needs.waits_for, needs.count);
            (format!("{what}{}", file.unwrap_or_default()), command)
        }
        (StateName::Failed, _) => ("the unit failed".to_owned(), command),
        (StateName::Stopped, _) => (String::new(), view.start_command()),
        (StateName::Limited, _) => {
            let until = view
                .until
                .map_or_else(String::new, |at| format!(" until {}", clock(at, now, zone)));
            (format!("usage limit{until}, then resumes"), String::new())
        }
        (StateName::Paused, _) => {
            let until = view
                .until
                .filter(|at| *at > now)
                .map_or_else(String::new, |at| format!("; retries at {}", clock(at, now, zone)));
            (format!("{reason}{until}"), String::new())
        }
        (StateName::Running | StateName::Blocked, _) => (reason, command),
        (StateName::Queued, _) if view.timer.is_some() => (reason, command),
        _ => (String::new(), command),
    }
}

/// What the session is waiting for, in words.
pub(super) fn wanted(waits_for: &WaitsFor, count: Option<usize>) -> String {
    match (waits_for, count) {
        (WaitsFor::QaAnswers, Some(0)) => "sending the answers".to_owned(),
        (WaitsFor::QaAnswers, Some(1)) => "1 answer".to_owned(),
        (WaitsFor::QaAnswers, Some(n)) => format!("{n} answers"),
        (other, _) => other.to_string(),
    }
}

/// The table's lines. If `width` has no room for the NEEDS column, it moves to separate lines.
pub(super) fn lines(
    views: &[View],
    columns: Columns,
    paste: Paste<'_>,
    width: Option<usize>,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<String> {
    let mut header = vec!["SESSION", "PHASE", "STATE", "LAST PROGRESS", "COST", "NEEDS"];
    if columns.project {
        header.insert(1, "PROJECT");
    }
    let mut grid = Grid::new(&header);
    for view in views {
        grid.row(cells(view, columns, now, zone), needs_cell(view, paste, now, zone));
    }
    grid.lines(width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::view::{Needs, Tokens};
    use crate::session::phase::Phase;

    fn now() -> Timestamp {
        "2026-11-20T18:10:00Z".parse().unwrap()
    }

    fn view(session: &str, state: StateName, phase: Phase, iteration: u32, cost_usd: f64) -> View {
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
            cause: None,
            summary: None,
            needs: None,
            read: None,
            merge: None,
            cost_usd,
            unpriced_runs: 0,
            cost_estimated: false,
            tokens: Tokens { input: 0, output: 0 },
            unit: None,
            timer: None,
            notes: Vec::new(),
        }
    }

    fn needing(mut view: View, waits_for: &str, count: Option<usize>, command: &str) -> View {
        let (waits_for, command) = (waits_for.into(), command.to_owned());
        view.needs = Some(Needs { waits_for, count, command });
        view
    }

    fn evening() -> Vec<View> {
        let mut limited = view("old-parser", StateName::Limited, Phase::Implementation, 14, 109.77);
        limited.until = Some("2026-11-20T19:00:00Z".parse().unwrap());
        limited.last_progress = Some("2026-11-20T16:02:00Z".parse().unwrap());
        let mut waiting = view("jwt-login", StateName::Waiting, Phase::Requirements, 3, 0.42);
        waiting.read = Some("/home/u/shop-sessions/26-11-20-jwt-login/_qa.md".to_owned());
        let mut blocked = view("csv", StateName::Blocked, Phase::Planning, 2, 0.0);
        blocked.reason = Some(
            "the tests need a database\nthat is nowhere to be found, and \u{1b}[31mred".into(),
        );
        let mut new = view("new-one", StateName::New, Phase::Init, 0, 0.0);
        new.last_progress = None;
        vec![
            view("search-index", StateName::Running, Phase::Testing, 2, 3.1),
            needing(waiting, "qa_answers", Some(3), "samocode answer jwt-login"),
            limited,
            needing(blocked, "human_decision", None, "samocode send csv \"…\""),
            new,
        ]
    }

    fn plain(width: Option<usize>) -> String {
        let lines =
            lines(&evening(), Columns::default(), &str::to_owned, width, now(), &TimeZone::UTC);
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_table_fits_the_terminal_and_a_pipe_gets_all_of_it() {
        for (name, width) in crate::cli::ui::layout::WIDTHS {
            let text = plain(width);
            insta::assert_snapshot!(name, text);
        }
        crate::cli::ui::layout::assert_fits(plain);
    }

    #[test]
    fn a_list_of_several_projects_names_them() {
        let columns = Columns { project: true };
        let lines = lines(&evening(), columns, &str::to_owned, Some(140), now(), &TimeZone::UTC);
        let text = anstream::adapter::strip_str(&lines.join("\n")).to_string();
        assert!(text.starts_with("SESSION       PROJECT       PHASE"), "{text}");
        assert!(text.contains("\njwt-login     /home/u/shop  ■■■"), "{text}");
    }

    #[test]
    fn a_command_is_never_cut() {
        for width in [None, Some(30), Some(80), Some(100), Some(200)] {
            assert!(plain(width).contains("samocode send csv \"…\"\n"), "{}", plain(width));
        }
    }

    #[test]
    fn an_agents_words_bring_no_escape_sequence() {
        let lines =
            lines(&evening(), Columns::default(), &str::to_owned, Some(200), now(), &TimeZone::UTC);
        assert!(!lines.iter().any(|line| line.contains("\u{1b}[31mred")));
    }
}
