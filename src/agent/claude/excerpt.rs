//! Reads the beginning of a long string without the rest.

use serde_json::value::RawValue;

use crate::agent::event::{MAX_TEXT, cut};
use crate::session::surrogates::without_halves;

/// The first [`MAX_TEXT`] bytes of a string as JSON has it; of a long one, no more than that is
/// read.
pub(super) fn beginning(text: &RawValue) -> String {
    let json = text.get();
    let mut end = 1;
    // A character takes up to twelve bytes of JSON: two escapes of six.
    while end < json.len() && end <= MAX_TEXT {
        end += match json.as_bytes().get(end..) {
            Some(
                [
                    b'\\',
                    b'u',
                    b'd' | b'D',
                    b'8'..=b'9' | b'a'..=b'b' | b'A'..=b'B',
                    _,
                    _,
                    b'\\',
                    b'u',
                    ..,
                ],
            ) => 12,
            Some([b'\\', b'u', ..]) => 6,
            Some([b'\\', ..]) => 2,
            _ => 1,
        };
    }
    let end = (end..json.len()).find(|at| json.is_char_boundary(*at)).unwrap_or(json.len());
    let head = json.get(..end).unwrap_or(json);
    let head = if head.len() < json.len() { format!("{head}\"") } else { head.to_owned() };
    let mut text: String = serde_json::from_str(&head)
        .or_else(|_| serde_json::from_str(&without_halves(&head)))
        .unwrap_or_default();
    text.truncate(cut(&text, MAX_TEXT).len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_yields_its_beginning_whatever_it_is_cut_through() {
        for unit in ["a", "é", "😀", r"\n", r#"\""#, r"\\", r"\u00e9", r"\ud83d\ude00"] {
            for shift in 0..12 {
                let json = format!("\"{}{}\"", "x".repeat(shift), unit.repeat(4 * MAX_TEXT));
                let whole: String = serde_json::from_str(&json).unwrap();
                let raw: &RawValue = serde_json::from_str(&json).unwrap();
                let head = beginning(raw);
                assert!(whole.starts_with(&head), "{unit} {shift}");
                assert!(head.len() <= MAX_TEXT && head.len() > MAX_TEXT / 7, "{unit} {shift}");
            }
        }
        for (json, text) in [(r#""short \u00e9""#, "short é"), (r#""cut \ud83d""#, "cut \u{fffd}")]
        {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(beginning(raw), text);
        }
    }
}
