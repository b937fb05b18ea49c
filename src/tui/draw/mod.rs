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
use ratatui::widgets::{Clear, Paragraph};

use crate::control::format::{about_usd, count};
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
    footer(frame, middle, bottom, model, palette);
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
    let estimated = all.iter().any(|view| view.cost_estimated);
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
    spans.push(Span::styled(format!(" · {}", about_usd(cost, estimated)), palette.dim()));
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

/// What was done or went wrong, else the keys. What does not fit the last line is painted over those
/// above it, up to three: it may end with the command that helps.
fn footer(frame: &mut Frame<'_>, above: Rect, bottom: Rect, model: &Model, palette: Palette) {
    const MOST: usize = 3;
    let (text, style) = match &model.note {
        Some(Ok(done)) => (one_line(done), palette.good()),
        Some(Err(error)) => (one_line(&error.in_one_line()), palette.bad()),
        None if model.help => ("any key closes this page".to_owned(), palette.dim()),
        None => (keys_that_fit(bottom.width), palette.dim()),
    };
    let mut lines = wrapped(&text, bottom.width.into());
    if lines.len() > MOST {
        let rest = lines.split_off(MOST - 1).join(" ");
        lines.push(cut(&rest, bottom.width.into()));
    }
    let more = u16::try_from(lines.len().saturating_sub(1)).unwrap_or(0).min(above.height);
    let area = Rect { y: bottom.y - more, height: bottom.height + more, ..bottom };
    frame.render_widget(Clear, area);
    let lines: Vec<Line<'_>> = lines.into_iter().map(|line| Line::styled(line, style)).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let options = textwrap::Options::new(width.max(1));
    let whole = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
    let lines = textwrap::wrap(text, whole).into_iter();
    lines.map(std::borrow::Cow::into_owned).collect()
}

/// The text, cut so that it fits, with a mark where it is.
fn cut(text: &str, width: usize) -> String {
    use textwrap::core::display_width;
    if display_width(text) <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| {
        let needed = display_width(c.encode_utf8(&mut [0; 4]));
        let fits = needed <= room;
        room = if fits { room - needed } else { 0 };
        fits
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    if width > 0 {
        kept.push('…');
    }
    kept
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
