//! Makes text of unknown origin safe for a message. An agent's text may contain control characters,
//! characters that reverse the reading direction, and markup.

/// Marks where a text was cut.
const CUT: char = '…';

/// Makes a text safe to show over several lines: removes control characters, terminal colours and
/// invisible direction marks, turns line ends into `\n`, and collapses empty lines into one.
pub(crate) fn tame_block(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    let mut newlines = 2;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\u{1b}' => {
                if chars.next_if_eq(&'[').is_some() {
                    // A colour sequence: parameters, then one final letter (ECMA-48, 5.4).
                    while chars.next_if(|c| matches!(c, '\u{20}'..='\u{3f}')).is_some() {}
                    let _final = chars.next_if(|c| matches!(c, '\u{40}'..='\u{7e}'));
                }
                continue;
            }
            '\r' if chars.peek() == Some(&'\n') => continue,
            '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
            '\t' => ' ',
            c => c,
        };
        if c == '\n' {
            newlines += 1;
            if newlines <= 2 {
                tamed.push(c);
            }
        } else if !is_hidden(c) {
            newlines = 0;
            tamed.push(c);
        }
    }
    tamed.truncate(tamed.trim_end().len());
    tamed
}

/// Like [`tame_block`], on one line: all white space becomes single spaces.
pub(crate) fn tame_line(text: &str) -> String {
    tame_block(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Invisible characters that change how the rest is shown. The joiners U+200C and U+200D stay:
/// emoji and several scripts need them.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{fffe}' | '\u{ffff}')
        || (c.is_control() && c != '\n')
}

/// Escapes a text for HTML and cuts it, between characters and never inside an entity, to at most
/// `budget` UTF-16 code units.
pub(crate) fn escape_within(text: &str, budget: usize) -> String {
    cut_within(text, budget, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    })
}

/// Cuts a text between characters to at most `budget` UTF-16 code units.
pub(crate) fn clip(text: &str, budget: usize) -> String {
    cut_within(text, budget, |_| None)
}

/// The length of a text in UTF-16 code units.
pub(crate) fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

fn cut_within(text: &str, budget: usize, entity: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::new();
    let mut used = 0;
    // The longest prefix that leaves room for the mark.
    let mut keep = 0;
    for c in text.chars() {
        // Entities are ASCII: one unit per byte.
        let entity = entity(c);
        used += entity.map_or(c.len_utf16(), str::len);
        if used > budget {
            out.truncate(keep);
            out.truncate(out.trim_end().len());
            if budget > 0 {
                out.push(CUT);
            }
            return out;
        }
        match entity {
            Some(entity) => out.push_str(entity),
            None => out.push(c),
        }
        if used < budget {
            keep = out.len();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_and_direction_characters_are_removed() {
        assert_eq!(tame_block("a\0b\u{7}c\u{202e}d\u{2066}e\u{200f}f\u{feff}"), "abcdef");
    }

    #[test]
    fn terminal_colours_are_removed_completely() {
        assert_eq!(tame_block("\u{1b}[1;31merror\u{1b}[0m: no\u{1b}[38;5;9m"), "error: no");
    }

    #[test]
    fn every_kind_of_line_end_becomes_one_newline_and_gaps_close() {
        assert_eq!(tame_block("\n\na\r\nb\rc\u{2028}d\n\n\n\n\ne\n"), "a\nb\nc\nd\n\ne");
        assert_eq!(tame_line(" a\r\n\tb  \n\n c "), "a b c");
    }

    #[test]
    fn emoji_and_joining_scripts_stay_intact() {
        let text = "👩\u{200d}💻 می\u{200c}خواهم שלום";
        assert_eq!(tame_block(text), text);
    }

    #[test]
    fn a_cut_never_splits_an_entity_or_a_surrogate_pair() {
        assert_eq!(escape_within("a<b", 6), "a&lt;b");
        assert_eq!(escape_within("a<b", 5), "a…");
        assert_eq!(escape_within("<<", 5), "&lt;…");
        assert_eq!(clip("😀😀", 4), "😀😀");
        assert_eq!(clip("😀😀", 3), "😀…");
        assert_eq!(clip("😀", 1), "…");
        assert_eq!(clip("x", 0), "");
    }

    /// Reverts the escaping; `None` if the text is not well-formed.
    fn unescape(text: &str) -> Option<String> {
        let mut plain = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let known = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>')];
            if let Some((entity, c)) = known.iter().find(|(e, _)| rest.starts_with(e)) {
                plain.push(*c);
                rest = &rest[entity.len()..];
            } else if matches!(c, '&' | '<' | '>') {
                return None;
            } else {
                plain.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        Some(plain)
    }

    proptest! {
        #[test]
        fn escaped_text_is_well_formed_and_within_its_budget(
            text in "(\\PC|[<>&\"';]|😀|\n){0,100}", budget in 0usize..150
        ) {
            let escaped = escape_within(&text, budget);
            prop_assert!(escaped.encode_utf16().count() <= budget);
            let plain = unescape(&escaped);
            prop_assert!(plain.is_some(), "{escaped}");
            let plain = plain.unwrap_or_default();
            match plain.strip_suffix(CUT) {
                Some(start) if plain != text => prop_assert!(text.starts_with(start)),
                _ => prop_assert!(plain == text || budget == 0),
            }
        }

        #[test]
        fn tamed_text_holds_no_control_but_newlines(text in any::<String>()) {
            let tamed = tame_block(&text);
            prop_assert!(tamed.chars().all(|c| c == '\n' || !is_hidden(c)));
            prop_assert!(!tamed.contains("\n\n\n"));
            prop_assert_eq!(tame_block(&tamed), tamed.clone());
        }
    }
}
