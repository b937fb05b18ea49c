//! Characters that show nothing. Models and web pages leave some without a width among words that are
//! copied from them.

/// Whether a character shows nothing: white space, or one without a width.
#[must_use]
pub fn is_blank(c: char) -> bool {
    const NO_WIDTH: [char; 9] = [
        '\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{2060}',
        '\u{feff}', '\u{202c}',
    ];
    c.is_whitespace() || NO_WIDTH.contains(&c)
}
