//! The sixteen colours as every terminal knows them: crossterm writes `38;5;1` for red, which only
//! terminals of 256 colours understand; all understand `31`.

use std::io::{self, Write};

use memchr::memmem;

/// A writer that holds a frame until it is flushed, and writes it with plain codes for colours.
#[derive(Debug)]
pub(super) struct Basic<W> {
    to: W,
    frame: Vec<u8>,
}

impl<W> Basic<W> {
    pub(super) const fn new(to: W) -> Self {
        Self { to, frame: Vec::new() }
    }
}

impl<W: Write> Write for Basic<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let frame = std::mem::take(&mut self.frame);
        self.to.write_all(&plain(&frame))?;
        self.to.flush()
    }
}

/// The same bytes, with each `CSI … m` rewritten.
fn plain(frame: &[u8]) -> Vec<u8> {
    let mut seen = Vec::with_capacity(frame.len());
    let mut rest = frame;
    while let Some(at) = memmem::find(rest, b"\x1b[") {
        let (before, sequence) = rest.split_at(at + 2);
        seen.extend_from_slice(before);
        let is_parameter = |byte: &u8| byte.is_ascii_digit() || *byte == b';';
        let length = sequence.iter().take_while(|byte| is_parameter(byte)).count();
        let (parameters, after) = sequence.split_at(length);
        match (after.first(), std::str::from_utf8(parameters)) {
            (Some(b'm'), Ok(parameters)) => seen.extend_from_slice(basic(parameters).as_bytes()),
            _ => seen.extend_from_slice(parameters),
        }
        rest = after;
    }
    seen.extend_from_slice(rest);
    seen
}

/// Parameters of colours and styles, with a short code for each of the first sixteen colours.
fn basic(parameters: &str) -> String {
    let words: Vec<&str> = parameters.split(';').collect();
    let mut codes = Vec::with_capacity(words.len());
    let mut rest = &words[..];
    while let Some((first, others)) = rest.split_first() {
        let (code, left) = match (*first, others) {
            (ground @ ("38" | "48"), ["5", color, left @ ..]) => match color.parse::<u8>() {
                Ok(color @ 0..8) if ground == "38" => (format!("{}", 30 + color), left),
                Ok(color @ 0..8) => (format!("{}", 40 + color), left),
                Ok(color @ 8..16) if ground == "38" => (format!("{}", 82 + color), left),
                Ok(color @ 8..16) => (format!("{}", 92 + color), left),
                _ => (format!("{ground};5;{color}"), left),
            },
            _ => ((*first).to_owned(), others),
        };
        codes.push(code);
        rest = left;
    }
    codes.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::CrosstermBackend;
    use ratatui::style::{Color, Style};
    use ratatui::text::{Line, Span};
    use ratatui::{TerminalOptions, Viewport, layout::Rect};

    #[test]
    fn every_colour_is_written_in_the_code_that_all_terminals_know() {
        for (long, short) in [
            ("38;5;1", "31"),
            ("38;5;8;49", "90;49"),
            ("1;48;5;7;38;5;15", "1;47;97"),
            ("48;5;8", "100"),
            ("38;5;208", "38;5;208"),
            ("38;2;5;1;7", "38;2;5;1;7"),
            ("0", "0"),
            ("", ""),
            ("38;5", "38;5"),
        ] {
            assert_eq!(basic(long), short);
        }
        assert_eq!(
            plain(b"a\x1b[38;5;2mb\x1b[2J\x1b[3;5Hc\x1b["),
            b"a\x1b[32mb\x1b[2J\x1b[3;5Hc\x1b["
        );
    }

    #[test]
    fn a_frame_has_no_colour_of_256() {
        crossterm::style::force_color_output(true);
        let mut bytes = Vec::new();
        {
            let area = Rect::new(0, 0, 20, 1);
            let options = TerminalOptions { viewport: Viewport::Fixed(area) };
            let backend = CrosstermBackend::new(Basic::new(&mut bytes));
            let mut terminal = Terminal::with_options(backend, options).unwrap();
            let spans = [Color::Red, Color::DarkGray, Color::Cyan]
                .map(|color| Span::styled("x", Style::new().fg(color)));
            terminal.draw(|frame| frame.render_widget(Line::from(spans.to_vec()), area)).unwrap();
        }
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("\u{1b}[31") && text.contains("\u{1b}[90"), "{text:?}");
        assert!(!text.contains("38;5"), "{text:?}");
    }
}
