//! An open dialog: at the bottom, so that what it is about stays in view.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};
use tui_input::Input;

use super::super::dialog::{Dialog, Questions};
use super::{Palette, one_line};

/// Paints it over the last lines of `above` and over the line `bottom`.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    above: Rect,
    bottom: Rect,
    dialog: &Dialog,
    palette: Palette,
) {
    match dialog {
        Dialog::Confirm { question, .. } => {
            let line = Line::styled(format!("{question} [y/N]"), palette.attention());
            frame.render_widget(Clear, bottom);
            frame.render_widget(Paragraph::new(line), bottom);
        }
        Dialog::Line { title, input, .. } => ask(frame, bottom, title, input, palette),
        Dialog::Questions(questions) => {
            let lines = question(questions, above.width, palette);
            let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(above.height);
            let area = Rect { y: above.bottom() - height, height, ..above };
            frame.render_widget(Clear, area);
            frame.render_widget(Paragraph::new(lines), area);
            ask(frame, bottom, "Answer", &questions.input, palette);
        }
    }
}

/// A title and a line to type in, which scrolls sideways.
fn ask(frame: &mut Frame<'_>, area: Rect, title: &str, input: &Input, palette: Palette) {
    let title = format!("{}: ", one_line(title));
    let used = u16::try_from(textwrap::core::display_width(&title)).unwrap_or(u16::MAX);
    let used = used.min(area.width.saturating_sub(2));
    let room = usize::from(area.width.saturating_sub(used + 1));
    let scroll = input.visual_scroll(room);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(Line::styled(title, palette.attention())), area);
    let field = Rect { x: area.x + used, width: area.width.saturating_sub(used), ..area };
    let skipped = u16::try_from(scroll).unwrap_or(u16::MAX);
    frame.render_widget(Paragraph::new(input.value()).scroll((0, skipped)), field);
    let cursor = u16::try_from(input.visual_cursor().saturating_sub(scroll)).unwrap_or(0);
    let x = field.x.saturating_add(cursor).min(area.right().saturating_sub(1));
    frame.set_cursor_position(Position::new(x, area.y));
}

fn question(questions: &Questions, width: u16, palette: Palette) -> Vec<Line<'static>> {
    let Some(question) = questions.current() else { return Vec::new() };
    let harmless = crate::session::describe::harmless;
    let width = usize::from(width).max(1);
    let wrapped = |text: &str, indent: &str| -> Vec<String> {
        let options = textwrap::Options::new(width).subsequent_indent(indent);
        textwrap::wrap(text, options).into_iter().map(std::borrow::Cow::into_owned).collect()
    };
    let head = format!(
        "── Question {} of {} from {} · Enter accepts the suggestion · Esc leaves",
        questions.at + 1,
        questions.open.len(),
        questions.session
    );
    let mut lines = vec![Line::styled(head, palette.dim())];
    let text = format!("{}: {}", question.id, harmless(&question.text));
    let text = text.lines().flat_map(|line| wrapped(line, ""));
    lines.extend(text.map(|line| Line::styled(line, palette.strong())));
    for option in &question.options {
        let suggested =
            question.suggestion.as_ref().is_some_and(|one| one.letter == Some(option.letter));
        let mark = if suggested { "▶" } else { " " };
        let text = format!("{mark} {}) {}", option.letter, harmless(&option.text));
        let style = if suggested { palette.good() } else { ratatui::style::Style::new() };
        let wrapped = wrapped(&text, "     ");
        lines.extend(wrapped.into_iter().map(|line| Line::from(Span::styled(line, style))));
    }
    if let Some(suggestion) = &question.suggestion {
        let text = format!("Suggestion: {}", harmless(&suggestion.why));
        lines.extend(
            wrapped(&text, "  ").into_iter().map(|line| Line::styled(line, palette.good())),
        );
    }
    lines
}
