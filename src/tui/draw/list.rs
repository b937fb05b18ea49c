//! The table of sessions. What does not fit is left out, the least important column first.

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table, TableState};

use crate::control::format::{ago, bar, count, usd};
use crate::control::view::View;
use crate::session::state::StateName;

use super::super::load::{self, Load};
use super::super::model::Model;
use super::{Palette, one_line};

/// A column: its title, its width, and from which width of the list on it is shown.
struct Column(&'static str, Constraint, u16);

/// From this width of the list on, memory and CPU are shown.
pub(in crate::tui) const ROOM_FOR_LOADS: u16 = 94;

/// Longer names are cut.
const LONGEST_NAME: usize = 26;

fn columns(model: &Model) -> Vec<(usize, Column)> {
    let width = |view: &View| view.instance.chars().count();
    let longest = model.sessions.all().iter().map(width).max().unwrap_or(0);
    let name = u16::try_from(longest.clamp(7, LONGEST_NAME)).unwrap_or(u16::MAX);
    let all = [
        Column("SESSION", Constraint::Length(name), 0),
        Column("PROJECT", Constraint::Length(14), if model.everywhere { 124 } else { u16::MAX }),
        Column("STATE", Constraint::Length(8), 0),
        Column("PHASE", Constraint::Length(8), 48),
        Column("", Constraint::Length(14), 112),
        Column("IT", Constraint::Length(3), 64),
        Column("NOW", Constraint::Fill(1), 40),
        Column("MEM", Constraint::Length(4), ROOM_FOR_LOADS),
        Column("CPU", Constraint::Length(5), ROOM_FOR_LOADS),
        Column("PROGRESS", Constraint::Length(11), 84),
        Column("COST", Constraint::Length(8), 72),
    ];
    let width = model.areas.list.width;
    all.into_iter().enumerate().filter(|(_, column)| width >= column.2).collect()
}

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &mut Model,
    palette: Palette,
    now: Timestamp,
) {
    model.areas.list = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if model.sessions.all().is_empty() {
        let text = "No sessions yet. Begin one with: samocode enable NAME --task \"…\"";
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let columns = columns(model);
    let titles = columns.iter().map(|(_, column)| column.0);
    let zone = model.zone.clone();
    let rows = model.sessions.shown().map(|view| {
        let mut cells: Vec<Line<'static>> =
            cells(view, model.loads.of(&view.instance), palette, now, &zone);
        Row::new(columns.iter().map(|(at, _)| std::mem::take(&mut cells[*at])).collect::<Vec<_>>())
    });
    let table = Table::new(rows, columns.iter().map(|(_, column)| column.1))
        .header(Row::new(titles.collect::<Vec<_>>()).style(palette.dim()))
        .row_highlight_style(palette.selected());
    let mut state = TableState::new().with_selected(model.sessions.position());
    state = state.with_offset(model.areas.first);
    frame.render_stateful_widget(table, area, &mut state);
    model.areas.first = state.offset();
}

fn cells(
    view: &View,
    load: Load,
    palette: Palette,
    now: Timestamp,
    zone: &jiff::tz::TimeZone,
) -> Vec<Line<'static>> {
    let project = view.project.rsplit('/').next().unwrap_or_default();
    let (now_doing, style) = doing(view, palette);
    let about = if view.cost_estimated { "~" } else { "" };
    let unknown = if view.unpriced_runs > 0 { "?" } else { "" };
    let cost = format!("{about}{}{unknown}", usd(view.cost_usd));
    let progress = view.last_progress.map_or_else(String::new, |at| ago(at, now, zone));
    vec![
        Line::from(one_line(&view.instance)),
        Line::styled(one_line(project), palette.dim()),
        Line::styled(view.state.to_string(), palette.state(view.state)),
        Line::styled(bar(view.phase), palette.state(view.state)),
        Line::from(view.phase.to_string()),
        Line::from(view.iteration.to_string()).right_aligned(),
        Line::from(Span::styled(one_line(&now_doing), style)),
        Line::from(load.memory.map_or_else(String::new, load::memory)).right_aligned(),
        Line::from(load.cpu.map_or_else(String::new, |cpu| format!("{cpu:.0}%"))).right_aligned(),
        Line::styled(progress, palette.dim()),
        Line::from(cost).right_aligned(),
    ]
}

/// What it does this second, or what it needs.
fn doing(view: &View, palette: Palette) -> (String, ratatui::style::Style) {
    let plain = ratatui::style::Style::new();
    if let Some(needs) = &view.needs {
        let what = match needs.count {
            Some(open) => format!("needs {}", count(open, "answer", "answers")),
            None => format!("needs {}", needs.waits_for.as_str().replace('_', " ")),
        };
        let why = view.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        return (what + &why, palette.attention());
    }
    let text = match view.state {
        StateName::Running | StateName::New => view.doing.clone().or_else(|| view.reason.clone()),
        _ => view.reason.clone().or_else(|| view.summary.clone()),
    };
    (text.unwrap_or_default(), plain)
}
