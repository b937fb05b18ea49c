//! Paints the model. Everything that an agent or a file supplied was made harmless before it got
//! here.

mod dialog;
mod help;
mod list;
mod page;
mod style;

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::control::format::{count, usd};
use crate::session::state::StateName;

use super::model::Model;
use super::sessions::{Sort, needs_human};

pub(super) use list::ROOM_FOR_LOADS;
pub(super) use style::Palette;

/// From this many columns on, list and page are side by side.
const WIDE: u16 = 170;

/// Paints all of it, and notes where things are, for the mouse.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, palette: Palette) {
    let now = Timestamp::now();
    draw_at(frame, model, palette, now);
}

fn draw_at(frame: &mut Frame<'_>, model: &mut Model, palette: Palette, now: Timestamp) {
    let rows = [Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)];
    let [top, middle, bottom] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(Paragraph::new(header(model, palette)), top);
    if model.help {
        help::draw(frame, middle, palette);
    } else if model.zoomed {
        model.areas.list = Rect::default();
        page::draw(frame, middle, model, palette);
    } else {
        let [list, page] = split(middle, model.sessions.all().len());
        list::draw(frame, list, model, palette, now);
        page::draw(frame, page, model, palette);
    }
    let line = footer(model, bottom.width, palette);
    frame.render_widget(Paragraph::new(line), bottom);
    if let Some(open) = &model.dialog {
        dialog::draw(frame, middle, bottom, open, palette);
    }
}

/// Room for the list and for the page.
fn split(area: Rect, sessions: usize) -> [Rect; 2] {
    if area.width >= WIDE {
        return Layout::horizontal([Constraint::Percentage(50); 2]).spacing(2).areas(area);
    }
    // The list takes what it needs, up to half.
    let most = (area.height / 2).max(3);
    let needed = u16::try_from(sessions).unwrap_or(most).saturating_add(1);
    let list = Constraint::Length(needed.clamp(2, most));
    Layout::vertical([list, Constraint::Min(0)]).areas(area)
}

fn header(model: &Model, palette: Palette) -> Line<'static> {
    let all = model.sessions.all();
    let of = |state: StateName| all.iter().filter(|view| view.state == state).count();
    let need = all.iter().filter(|view| needs_human(view.state)).count();
    let cost: f64 = all.iter().map(|view| view.cost_usd).sum();
    let mut spans = vec![
        Span::styled("samocode", palette.strong()),
        Span::raw(format!("  {}", count(all.len(), "session", "sessions"))),
    ];
    if need > 0 {
        let verb = if need == 1 { "needs" } else { "need" };
        spans.push(Span::raw(" · "));
        spans.push(Span::styled(format!("{need} {verb} you"), palette.attention()));
    }
    for state in [StateName::Running, StateName::Queued, StateName::Limited, StateName::Paused] {
        if of(state) > 0 {
            spans.push(Span::raw(format!(" · {} {state}", of(state))));
        }
    }
    spans.push(Span::styled(format!(" · {}", usd(cost)), palette.dim()));
    if model.sessions.sort != Sort::default() {
        let sort = format!(" · by {}", model.sessions.sort.name());
        spans.push(Span::styled(sort, palette.mark()));
    }
    if !model.sessions.filter().is_empty() {
        let filter = format!(" · only \"{}\"", model.sessions.filter());
        spans.push(Span::styled(filter, palette.mark()));
    }
    Line::from(spans)
}

fn footer(model: &Model, width: u16, palette: Palette) -> Line<'static> {
    match &model.note {
        Some(Ok(done)) => Line::styled(one_line(done), palette.good()),
        Some(Err(error)) => Line::styled(one_line(&error.in_one_line()), palette.bad()),
        None => Line::styled(keys_that_fit(width), palette.dim()),
    }
}

/// The keys to remember, as many as fit.
fn keys_that_fit(width: u16) -> String {
    let all = [
        "? help",
        "q leave",
        "↑↓ select",
        "Tab page",
        "a answer",
        "y approve",
        "r reject",
        "m message",
        "b start",
        "s stop",
        "A attach",
        "/ filter",
    ];
    let mut line = String::new();
    for key in all {
        let gap = if line.is_empty() { "" } else { "  " };
        if line.chars().count() + gap.len() + key.chars().count() > usize::from(width) {
            break;
        }
        line.push_str(gap);
        line.push_str(key);
    }
    line
}

fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    crate::session::describe::harmless(&text).into_owned()
}

#[cfg(test)]
mod tests;
