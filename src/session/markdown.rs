//! The small part of Markdown that session files need: lines, headings, code fences and `Key:
//! value` lines, all as byte ranges, so that an edit changes nothing else.

use std::ops::Range;

use super::blank::is_blank;

const BOM: &str = "\u{feff}";

/// A line as byte offsets into its text.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Start of the content, after any byte order mark.
    pub(super) start: usize,
    /// End of the content, before the line ending.
    pub(super) end: usize,
    /// Start of the next line; equal to `end` for a last line without a line ending.
    pub(super) next: usize,
    /// Whether it is part of a fenced code block, including the fences themselves.
    pub(super) fenced: bool,
}

impl Line {
    /// The line's text, without its ending.
    pub(super) fn content<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.end]
    }

    /// The level and plain title, if this is an ATX heading (`## Title`) outside code fences.
    pub(super) fn heading<'a>(&self, text: &'a str) -> Option<(usize, &'a str)> {
        if self.fenced { None } else { heading(self.content(text)) }
    }

    /// Whether it is a heading of this level and title, ignoring case.
    pub(super) fn is_heading(&self, text: &str, level: usize, title: &str) -> bool {
        self.heading(text).is_some_and(|(l, t)| l == level && t.eq_ignore_ascii_case(title))
    }
}

/// Splits a text into lines. A fence that is never closed is ignored, or it would hide the rest.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut at = 0;
    for raw in text.split_inclusive('\n') {
        let body = raw.strip_suffix('\n').map_or(raw, |b| b.strip_suffix('\r').unwrap_or(b));
        let start = if at == 0 && body.starts_with(BOM) { BOM.len() } else { at };
        lines.push(Line { start, end: at + body.len(), next: at + raw.len(), fenced: false });
        at += raw.len();
    }
    mark_fences(text, &mut lines);
    lines
}

fn mark_fences(text: &str, lines: &mut [Line]) {
    let fences: Vec<_> =
        lines.iter().enumerate().filter_map(|(n, l)| Some((n, fence(l.content(text))?))).collect();
    // Remember which fences have no end, to keep this linear.
    let mut hopeless: Vec<(char, usize)> = Vec::new();
    let mut at = 0;
    while let Some((first, open)) = fences.get(at) {
        at += 1;
        if hopeless.iter().any(|(mark, length)| *mark == open.mark && *length <= open.length) {
            continue;
        }
        let closes = |f: &Fence| f.mark == open.mark && f.length >= open.length && !f.has_info;
        if let Some(found) = fences[at..].iter().position(|(_, f)| closes(f)) {
            let last = fences[at + found].0;
            lines[*first..=last].iter_mut().for_each(|line| line.fenced = true);
            at += found + 1;
        } else {
            hopeless.push((open.mark, open.length));
        }
    }
}

struct Fence {
    mark: char,
    length: usize,
    has_info: bool,
}

fn fence(content: &str) -> Option<Fence> {
    let body = unindented(content)?;
    let mark = body.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let info = body.trim_start_matches(mark);
    let length = body.len() - info.len();
    let sound = length >= 3 && !(mark == '`' && info.contains('`'));
    sound.then(|| Fence { mark, length, has_info: !info.trim().is_empty() })
}

/// Whether a line on its own would open or close a code fence.
pub(super) fn is_fence(content: &str) -> bool {
    fence(content).is_some()
}

/// The content without its indentation, unless four or more spaces make it a code block.
fn unindented(content: &str) -> Option<&str> {
    let body = content.trim_start_matches(' ');
    (content.len() - body.len() < 4).then_some(body)
}

/// The level and plain title of an ATX heading.
pub(super) fn heading(content: &str) -> Option<(usize, &str)> {
    let body = unindented(content)?;
    let title = body.trim_start_matches('#');
    let level = body.len() - title.len();
    let sound = (1..=6).contains(&level) && (title.is_empty() || title.starts_with([' ', '\t']));
    let title = title.trim();
    let title = match title.trim_end_matches('#') {
        "" => "",
        cut if cut.ends_with([' ', '\t']) => cut.trim_end(),
        _ => title,
    };
    let bare = |c: char| matches!(c, '*' | '_' | ':') || c.is_whitespace();
    sound.then(|| (level, title.trim_matches(bare)))
}

/// A `Key: value` line as people and agents write it: `Key: v`, `- Key: v`, `**Key:** v`,
/// `**Key**: v`, `**Key: v**`.
#[derive(Debug, Clone)]
pub(super) struct KeyLine<'a> {
    /// Text before the key: indentation, bullet, opening emphasis.
    pub(super) lead: &'a str,
    /// Text between key and value: the colon and the end of the key's emphasis.
    pub(super) separator: &'a str,
    /// Range of the trimmed value, or where to insert one if it is empty.
    pub(super) value: Range<usize>,
    /// Emphasis that is still open before the value.
    open: &'a str,
    /// Whether that emphasis is closed after the value.
    closed: bool,
}

/// Parses `line` as a line with this key, ignoring case.
pub(super) fn key_line<'a>(text: &'a str, line: &Line, key: &str) -> Option<KeyLine<'a>> {
    let content = line.content(text);
    let mut rest = content.trim_start();
    if let Some(item) = rest.strip_prefix(['-', '*', '+']).filter(|r| r.starts_with([' ', '\t'])) {
        rest = item.trim_start();
    }
    let mut open = "";
    for mark in ["**", "__", "*", "_"] {
        if let Some(inner) = rest.strip_prefix(mark) {
            (open, rest) = (&rest[..mark.len()], inner);
            break;
        }
    }
    let key_at = content.len() - rest.len();
    rest.get(..key.len()).filter(|word| word.eq_ignore_ascii_case(key))?;
    rest = &rest[key.len()..];
    let close = |rest: &mut &'a str, open: &mut &'a str| {
        if let Some(behind) = rest.strip_prefix(*open).filter(|_| !open.is_empty()) {
            (*rest, *open) = (behind, "");
        }
    };
    close(&mut rest, &mut open);
    rest = rest.trim_start().strip_prefix(':')?;
    close(&mut rest, &mut open);

    let separated = content.len() - rest.len();
    let mut value = rest.trim_end();
    let inner = value.strip_suffix(open).filter(|_| !open.is_empty());
    value = inner.unwrap_or(value);
    let from = if value.trim().is_empty() {
        usize::from(value.starts_with([' ', '\t']) || rest.starts_with([' ', '\t']))
    } else {
        value.len() - value.trim_start().len()
    };
    let from = line.start + separated + from;
    Some(KeyLine {
        lead: &content[..key_at],
        separator: &content[key_at + key.len()..separated],
        value: from..from + value.trim().len(),
        open,
        closed: inner.is_some(),
    })
}

impl KeyLine<'_> {
    /// The text to put in the value's range so that the line reads as `new` (a single line).
    pub(super) fn replacement(&self, text: &str, new: &str) -> String {
        let touches = !text[..self.value.start].ends_with(char::is_whitespace);
        let needs_space = self.value.is_empty() || new.starts_with(['*', '_']);
        let space = if touches && needs_space && !new.is_empty() { " " } else { "" };
        let needs_close = !self.open.is_empty() && !self.closed && new.ends_with(self.open);
        format!("{space}{new}{}", if needs_close { self.open } else { "" })
    }
}

/// Flattens text to one line: control characters and runs of white space become one space, so that
/// it cannot start a heading, a list item or a fence.
pub(super) fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Strips emphasis and code marks around a value.
pub(super) fn bare(value: &str) -> &str {
    value.trim_matches(|c: char| matches!(c, '*' | '_' | '`') || is_blank(c))
}

/// The text's line ending, taken from its first line.
pub(super) fn line_ending(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The text to insert at the end of `line` so that `new` follows it, with the line ending used
/// there.
pub(super) fn lines_behind(text: &str, line: &Line, new: &[&str]) -> String {
    let ended = line.next > line.end;
    let ending = if ended { &text[line.end..line.next] } else { line_ending(text) };
    let mut inserted = String::new();
    for content in new {
        if ended {
            inserted.extend([*content, ending]);
        } else {
            inserted.extend([ending, *content]);
        }
    }
    inserted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fenced(text: &str) -> Vec<bool> {
        lines(text).iter().map(|line| line.fenced).collect()
    }

    #[test]
    fn a_fence_ends_with_a_fence_at_least_as_long() {
        assert_eq!(fenced("a\n```sh\n~~~\n```x\n```\nb"), [false, true, true, true, true, false]);
        assert_eq!(fenced("````\n```\n````"), [true; 3]);
    }

    #[test]
    fn a_fence_that_is_never_closed_hides_nothing() {
        assert_eq!(fenced("```\na\n~~~\nb\n~~~\n"), [false, false, true, true, true]);
        assert_eq!(fenced("````\n```\nx\n```"), [false, true, true, true]);
    }

    #[test]
    fn headings_are_read_bare() {
        assert_eq!(heading("## Status"), Some((2, "Status")));
        assert_eq!(heading("   ## **Status:** ##"), Some((2, "Status")));
        assert_eq!(heading("##\tC#"), Some((2, "C#")));
        assert_eq!(heading("##"), Some((2, "")));
        for other in ["##Status", "    ## Status", "####### x", "> ## Status", "Status"] {
            assert_eq!(heading(other), None, "{other}");
        }
    }

    #[test]
    fn key_lines_are_read_in_the_forms_people_write() {
        for line in [
            "Phase: x",
            "phase:x",
            "- Phase: x  ",
            "  * **Phase:** x",
            "**Phase**: x",
            "__Phase: x__",
            "**Phase : x **",
        ] {
            let read = key_line(line, &lines(line)[0], "Phase").unwrap();
            assert_eq!(&line[read.value], "x", "{line}");
        }
        for line in ["Phases: x", "Phase x", "The Phase: x", "> Phase: x", "Pha"] {
            assert!(key_line(line, &lines(line)[0], "Phase").is_none(), "{line}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_content() {
        let text = "\u{feff}# T\r\nx";
        let lines = lines(text);
        assert_eq!(lines[0].heading(text), Some((1, "T")));
        assert_eq!(lines[1].content(text), "x");
    }
}
