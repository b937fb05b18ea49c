//! The help page.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::keys;
use super::Palette;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, palette: Palette) {
    let lines = keys::help().map(|(keys, what)| {
        Line::from(vec![Span::styled(format!("{keys:>10}  "), palette.strong()), Span::raw(what)])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}
