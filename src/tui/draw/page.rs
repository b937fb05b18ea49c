//! The page of the selected session, below its tabs.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::model::Model;
use super::super::page::Tab;
use super::{Palette, cut, one_line, wrapped};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model, palette: Palette) {
    let rows = [Constraint::Length(1), Constraint::Min(0)];
    let [tabs, page] = Layout::vertical(rows).areas(area);
    model.areas.page = page;
    let line = tab_line(tabs, model, palette);
    frame.render_widget(Paragraph::new(line), tabs);
    if let Some(notice) = &model.page.notice {
        let lines = wrapped(&one_line(notice), page.width.into()).into_iter();
        let lines = lines.map(|line| Line::styled(line, palette.dim())).collect::<Vec<_>>();
        frame.render_widget(Paragraph::new(lines), page);
        return;
    }
    let lines = model.page.visible(page.width.into(), page.height.into()).into_iter();
    let lines: Vec<Line<'_>> = lines
        .map(|line| {
            let margin = Span::styled(line.margin, palette.dim());
            Line::from(vec![margin, Span::styled(line.text, palette.tone(line.tone))])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), page);
}

/// How many columns the tabs and what is beside them need at least.
const TABS: usize = 38;

/// Longer names are cut.
const LONGEST_NAME: usize = 40;

/// The session's name and the tabs; notes where each is.
fn tab_line(area: Rect, model: &mut Model, palette: Palette) -> Line<'static> {
    let name = model.sessions.selected().map_or_else(String::new, |view| one_line(&view.instance));
    let name = cut(&name, usize::from(area.width).saturating_sub(TABS).clamp(8, LONGEST_NAME));
    let mut spans = vec![Span::styled("── ", palette.dim()), Span::styled(name, palette.strong())];
    spans.push(Span::raw("  "));
    model.areas.tabs.clear();
    let hint = if model.page.is_at_end() { "" } else { "scrolled up; End follows again" };
    // Every tab has its name where there is room for all of them.
    let lengths = Tab::ALL.iter().enumerate().map(|(at, tab)| named(at, *tab).len() + 2);
    let needed = spans.iter().map(Span::width).sum::<usize>() + lengths.sum::<usize>() + hint.len();
    let has_room = needed <= usize::from(area.width) + if hint.is_empty() { 2 } else { 0 };
    for (at, tab) in Tab::ALL.into_iter().enumerate() {
        let text = if tab == model.tab || has_room { named(at, tab) } else { (at + 1).to_string() };
        let left: usize = spans.iter().map(Span::width).sum();
        let x = area.x.saturating_add(u16::try_from(left).unwrap_or(u16::MAX));
        let width = u16::try_from(text.len()).unwrap_or(0);
        model.areas.tabs.push((Rect::new(x, area.y, width, 1), tab));
        let style = if tab == model.tab { palette.selected() } else { palette.dim() };
        spans.extend([Span::styled(text, style), Span::raw("  ")]);
    }
    spans.push(Span::styled(hint, palette.attention()));
    Line::from(spans)
}

/// A tab's key and name.
fn named(at: usize, tab: Tab) -> String {
    format!("{} {}", at + 1, tab.name())
}
