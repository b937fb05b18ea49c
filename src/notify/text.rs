//! Makes text of unknown origin safe for a message. An agent's text may contain control characters,
//! characters that reverse the reading direction, and markup.

use unicode_segmentation::UnicodeSegmentation as _;

/// Marks where a text was cut.
const CUT: char = '…';

/// Makes a text safe to show over several lines: removes control characters, terminal colours and
/// invisible direction marks, turns line ends into `\n`, and collapses empty lines into one.
#[must_use]
pub fn tame_block(text: &str) -> String {
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
#[must_use]
pub fn tame_line(text: &str) -> String {
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

/// Escapes a text for HTML and cuts it, never inside a character or an entity, to at most `budget`
/// UTF-16 code units.
#[must_use]
pub fn escape_within(text: &str, budget: usize) -> String {
    fit(text, budget, entity)
}

/// The entity for a character that HTML and Slack read as markup.
pub(crate) const fn entity(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// Cuts a text to at most `budget` UTF-16 code units.
#[must_use]
pub fn clip(text: &str, budget: usize) -> String {
    fit(text, budget, |_| None)
}

/// The length of a text in UTF-16 code units.
#[must_use]
pub fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Replaces characters by their escapes (ASCII) and cuts the text to at most `budget` UTF-16 code
/// units: at the end of a sentence if that keeps half of the room, else of a word, else of a
/// character as a reader sees it.
pub(crate) fn fit(
    text: &str,
    budget: usize,
    escape: impl Fn(char) -> Option<&'static str>,
) -> String {
    let cost = |part: &str| -> usize {
        part.chars().map(|c| escape(c).map_or(c.len_utf16(), str::len)).sum()
    };
    let escaped = |part: &str| {
        let mut out = String::with_capacity(part.len());
        for c in part.chars() {
            match escape(c) {
                Some(escape) => out.push_str(escape),
                None => out.push(c),
            }
        }
        out
    };
    if budget == 0 {
        return String::new();
    }
    // The prefix that leaves room for the mark, and what it costs up to each place in it.
    let (mut used, mut end, mut costs) = (0, None, vec![(0, 0)]);
    for (at, character) in text.grapheme_indices(true) {
        used += cost(character);
        if used > budget {
            end.get_or_insert(at);
            break;
        }
        let next = at + character.len();
        if used < budget {
            costs.push((next, used));
        } else {
            end = Some(at).filter(|_| next < text.len());
        }
    }
    let Some(end) = end else { return escaped(text) };
    let place = cut_at(text, end, &costs, budget);
    let kept = text[..place.0].trim_end();
    let space = if place.1 == Bound::Sentence { " " } else { "" };
    format!("{}{space}{CUT}", escaped(kept))
}

/// What a text is cut after.
#[derive(PartialEq, Eq)]
enum Bound {
    Sentence,
    Word,
}

/// Where to cut a text of which the first `end` bytes fit.
fn cut_at(text: &str, end: usize, costs: &[(usize, usize)], budget: usize) -> (usize, Bound) {
    let cost_of = |place: usize| {
        let at = costs.binary_search_by_key(&place, |(at, _)| *at);
        at.ok().map(|at| costs[at].1)
    };
    // A sentence ends where the next begins, so one more character is looked at.
    let more = text[end..].graphemes(true).next().map_or(end, |next| end + next.len());
    let starts = text[..more].split_sentence_bound_indices().map(|(at, _)| at);
    let sentence = starts.filter(|at| (1..=end).contains(at)).last();
    let is_long = |at: &usize| {
        cost_of(text[..*at].trim_end().len())
            .is_some_and(|cost| cost * 2 >= budget && cost + 2 <= budget)
    };
    if let Some(at) = sentence.filter(is_long) {
        return (at, Bound::Sentence);
    }
    let word = text[..more].rfind(char::is_whitespace).filter(|at| *at <= end);
    let is_near = |at: &usize| cost_of(*at).is_some_and(|cost| cost * 4 >= budget * 3);
    (word.filter(is_near).unwrap_or(end), Bound::Word)
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

    #[test]
    fn a_cut_is_made_at_the_end_of_a_sentence_if_that_keeps_enough() {
        let text = "Login works. The token is kept in a cookie. Tests are missing.";
        assert_eq!(clip(text, 50), "Login works. The token is kept in a cookie. …");
        assert_eq!(clip(text, 40), "Login works. The token is kept in a…", "half would be lost");
        assert_eq!(clip(text, text.len()), text);
        assert_eq!(clip("One.\nTwo three four five", 10), "One.\nTwo…");
        assert_eq!(clip("第一句话。第二句话很长很长", 9), "第一句话。 …");
        assert_eq!(clip("version 1.2.3 of it is out", 18), "version 1.2.3 of…");
        assert_eq!(clip("abcdefghijkl", 8), "abcdefg…");
    }

    #[test]
    fn what_a_reader_sees_as_one_character_is_not_split() {
        let family = "👨\u{200d}👩\u{200d}👧";
        assert_eq!(clip(&format!("{family}{family}"), 12), format!("{family}…"));
        assert_eq!(clip(&format!("a{family}"), 8), "a…");
        assert_eq!(clip("e\u{301}e\u{301}", 3), "e\u{301}…");
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
            let fits = text.chars().map(|c| entity(c).map_or(c.len_utf16(), str::len)).sum::<usize>() <= budget;
            prop_assert_eq!(plain == text, fits || (budget == 0 && text.is_empty()));
            match plain.strip_suffix(CUT) {
                Some(start) if plain != text => prop_assert!(text.starts_with(start.trim_end())),
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
