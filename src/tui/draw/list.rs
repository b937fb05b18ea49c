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
use super::{Palette, cut, one_line, wrapped};

/// A column of the list.
struct Column {
    title: &'static str,
    width: Constraint,
    /// From which width of the list on it is shown.
    from: u16,
    /// Whether it is aligned right.
    is_amount: bool,
}

impl Column {
    const fn text(title: &'static str, width: Constraint, from: u16) -> Self {
        Self { title, width, from, is_amount: false }
    }

    const fn amount(title: &'static str, width: u16, from: u16) -> Self {
        Self { title, width: Constraint::Length(width), from, is_amount: true }
    }
}

/// From this width of the list on, memory and CPU are shown, while something runs.
pub(in crate::tui) const ROOM_FOR_LOADS: u16 = 76;

/// The width of the column of projects.
const PROJECT: u16 = 14;

/// From this width of the list on, nothing is kept short for them.
const WIDE: u16 = 94;

/// Longer names are cut; where there is little room beside memory and CPU, earlier.
const LONGEST_NAME: usize = 26;
const LONGEST_NARROW_NAME: usize = 18;

fn columns(model: &Model) -> Vec<(usize, Column)> {
    let length = |view: &View| view.instance.chars().count();
    let longest = model.sessions.all().iter().map(length).max().unwrap_or(0);
    let width = model.areas.list.width;
    let is_tight = model.shows_loads() && width < WIDE;
    let most = if is_tight { LONGEST_NARROW_NAME } else { LONGEST_NAME };
    let name = u16::try_from(longest.clamp(7, most)).unwrap_or(u16::MAX);
    let loads = if model.shows_loads() { ROOM_FOR_LOADS } else { u16::MAX };
    let all = [
        Column::text("SESSION", Constraint::Length(name), 0),
        Column::text(
            "PROJECT",
            Constraint::Length(PROJECT),
            if model.everywhere { 124 } else { u16::MAX },
        ),
        Column::text("STATE", Constraint::Length(8), 0),
        Column::text("PHASE", Constraint::Length(8), 48),
        Column::text("", Constraint::Length(14), 112),
        Column::amount("IT", 3, 64),
        Column::text("NOW", Constraint::Fill(1), 40),
        Column::amount("MEM", 4, loads),
        Column::amount("CPU", 4, loads),
        Column::text("PROGRESS", Constraint::Length(11), 84),
        Column::amount("COST", 8, 72),
    ];
    all.into_iter().enumerate().filter(|(_, column)| width >= column.from).collect()
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
        let lines = wrapped(text, area.width.into()).into_iter().map(Line::from);
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
        return;
    }
    let columns = columns(model);
    let room = Room::of(&columns, area.width);
    let titles = columns.iter().map(|(_, column)| {
        let title = Line::from(column.title);
        if column.is_amount { title.right_aligned() } else { title }
    });
    let zone = model.zone.clone();
    let rows = model.sessions.shown().map(|view| {
        let mut cells: Vec<Line<'static>> =
            cells(view, model.loads.of(&view.instance), palette, now, &zone, room);
        Row::new(columns.iter().map(|(at, _)| std::mem::take(&mut cells[*at])).collect::<Vec<_>>())
    });
    let table = Table::new(rows, columns.iter().map(|(_, column)| column.width))
        .header(Row::new(titles.collect::<Vec<_>>()).style(palette.dim()))
        .row_highlight_style(palette.selected());
    // In a list that has room again, what was scrolled away comes back.
    let most = model.sessions.shown().count().saturating_sub(model.areas.list.height.into());
    model.areas.first = model.areas.first.min(most);
    let mut state = TableState::new().with_selected(model.sessions.position());
    state = state.with_offset(model.areas.first);
    frame.render_stateful_widget(table, area, &mut state);
    model.areas.first = state.offset();
}

/// How wide the columns are whose text is cut.
#[derive(Clone, Copy)]
struct Room {
    name: usize,
    now: usize,
}

impl Room {
    fn of(columns: &[(usize, Column)], width: u16) -> Self {
        let length = |column: &Column| match column.width {
            Constraint::Length(length) => length,
            _ => 0,
        };
        // A column is separated from the next by a blank.
        let gaps = u16::try_from(columns.len().saturating_sub(1)).unwrap_or(0);
        let used: u16 = columns.iter().map(|(_, column)| length(column)).sum();
        let name = columns.first().map_or(0, |(_, column)| length(column)).min(width);
        let now = width.saturating_sub(used.saturating_add(gaps));
        Self { name: name.into(), now: now.into() }
    }
}

fn cells(
    view: &View,
    load: Load,
    palette: Palette,
    now: Timestamp,
    zone: &jiff::tz::TimeZone,
    room: Room,
) -> Vec<Line<'static>> {
    let project = view.project.rsplit('/').next().unwrap_or_default();
    let (now_doing, style) = doing(view, palette);
    let about = if view.cost_estimated { "~" } else { "" };
    let unknown = if view.unpriced_runs > 0 { "?" } else { "" };
    let cost = format!("{about}{}{unknown}", usd(view.cost_usd));
    let progress = view.last_progress.map_or_else(String::new, |at| ago(at, now, zone));
    vec![
        Line::from(cut(&one_line(&view.instance), room.name)),
        Line::styled(cut(&one_line(project), PROJECT.into()), palette.dim()),
        Line::styled(view.state.to_string(), palette.state(view.state)),
        Line::styled(bar(view.phase), palette.state(view.state)),
        Line::from(view.phase.to_string()),
        Line::from(view.iteration.to_string()).right_aligned(),
        Line::from(Span::styled(cut(&one_line(&now_doing), room.now), style)),
        Line::from(load.memory.map_or_else(String::new, load::memory)).right_aligned(),
        Line::from(load.cpu.map_or_else(String::new, load::cpu)).right_aligned(),
        Line::styled(progress, palette.dim()),
        Line::from(cost).right_aligned(),
    ]
}

/// What it does this second, or what it needs.
fn doing(view: &View, palette: Palette) -> (String, ratatui::style::Style) {
    let plain = ratatui::style::Style::new();
    if let Some(needs) = &view.needs {
        let what = match needs.count {
            Some(0) => "its questions are answered".to_owned(),
            Some(open) => format!("needs {}", count(open, "answer", "answers")),
            None => format!("needs {}", needs.waits_for),
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
