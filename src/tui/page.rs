//! The page below the list: the log, the plan and so on of the selected session.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::session::describe::harmless;

/// What a page shows of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tab {
    /// What happens, and what the agent says and does.
    #[default]
    Log,
    /// Its iterations and events, as `samocode history` has them.
    Story,
    Plan,
    Questions,
    /// The changes on its branch.
    Diff,
    Mail,
    /// The reason for its state, and the remedy.
    Why,
    /// The sessions it belongs to: those above and below it, and its convoy.
    Convoy,
}

impl Tab {
    pub(super) const ALL: [Self; 8] = [
        Self::Log,
        Self::Story,
        Self::Plan,
        Self::Questions,
        Self::Diff,
        Self::Mail,
        Self::Why,
        Self::Convoy,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Log => "Log",
            Self::Story => "Story",
            Self::Plan => "Plan",
            Self::Questions => "Questions",
            Self::Diff => "Diff",
            Self::Mail => "Mail",
            Self::Why => "Why",
            Self::Convoy => "Convoy",
        }
    }

    /// The tab this many to the right, in a circle.
    pub(super) fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

/// How a line is painted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    Strong,
    Dim,
    Good,
    Attention,
    Bad,
    Mark,
    /// A call of a tool: folded with its neighbours.
    Tool,
}

/// A line of a page, before it is wrapped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// What stands left of it: a time, say. Following lines are indented by as much.
    pub(super) margin: String,
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Text {
    /// A line of text by an agent or from a file, without what could steer a terminal.
    pub(super) fn new(tone: Tone, text: &str) -> Self {
        let text = harmless(text).replace('\t', "    ");
        Self { margin: String::new(), text, tone }
    }

    pub(super) fn with_margin(self, margin: impl Into<String>) -> Self {
        Self { margin: margin.into(), ..self }
    }
}

/// Each line of a text.
pub(super) fn lines(text: &str) -> Vec<Text> {
    text.lines().map(|line| Text::new(Tone::Plain, line)).collect()
}

/// A Markdown file: headings stand out.
pub(super) fn markdown(text: &str) -> Vec<Text> {
    let tone = |line: &str| if line.starts_with('#') { Tone::Strong } else { Tone::Plain };
    text.lines().map(|line| Text::new(tone(line), line)).collect()
}

/// A diff as git prints it.
pub(super) fn diff(text: &str) -> Vec<Text> {
    let tone = |line: &str| match line.as_bytes() {
        [b'd', b'i', b'f', b'f', b' ', ..] => Tone::Strong,
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] | [b'i', b'n', b'd', b'e', b'x', ..] => {
            Tone::Dim
        }
        [b'@', b'@', ..] => Tone::Mark,
        [b'+', ..] => Tone::Good,
        [b'-', ..] => Tone::Bad,
        _ => Tone::Plain,
    };
    text.lines().map(|line| Text::new(tone(line), line)).collect()
}

/// How many lines a page keeps. Older ones are in `samocode logs`.
const MOST: usize = 3000;

/// A page with its position.
#[derive(Debug, Default)]
pub(super) struct Page {
    lines: VecDeque<Text>,
    /// The first screen line shown, counted from the end, so that new lines do not move the text.
    above_end: usize,
    /// Whether calls of tools are shown one by one.
    pub(super) unfolded: bool,
    /// Instead of lines: that it is being read, or why it cannot be.
    pub(super) notice: Option<String>,
    /// Whether it begins at its first line rather than at its last.
    from_start: bool,
    /// How many screen lines there were when it was last painted, and how many fit.
    height: (usize, usize),
}

/// A line as wide as the screen at most, with its margin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScreenLine {
    pub(super) margin: String,
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Page {
    /// An empty page that is still being read.
    pub(super) fn loading(from_start: bool, unfolded: bool) -> Self {
        let notice = Some("reading…".to_owned());
        Self { notice, from_start, unfolded, ..Self::default() }
    }

    /// Adds lines at the end.
    pub(super) fn push(&mut self, lines: Vec<Text>) {
        self.notice = None;
        self.lines.extend(lines);
        let surplus = self.lines.len().saturating_sub(MOST);
        self.lines.drain(..surplus);
    }

    /// Replaces all lines, and stays where it is.
    pub(super) fn set(&mut self, lines: Vec<Text>) {
        self.notice = lines.is_empty().then(|| "nothing yet".to_owned());
        self.lines = lines.into();
    }

    /// Scrolls down by this many lines, or up if negative.
    pub(super) fn scroll(&mut self, lines: isize) {
        let (all, fit) = self.height;
        if self.from_start {
            let last = all.saturating_sub(fit);
            self.above_end = self.above_end.saturating_add_signed(lines).min(last);
        } else {
            let most = all.saturating_sub(fit);
            self.above_end = self.above_end.saturating_add_signed(-lines).min(most);
        }
    }

    /// Scrolls to the first line or to the last.
    pub(super) fn jump(&mut self, to_end: bool) {
        let far = isize::try_from(self.height.0).unwrap_or(isize::MAX);
        self.scroll(if to_end { far } else { -far });
    }

    /// How many lines fit, for scrolling by a page.
    pub(super) fn fits(&self) -> isize {
        isize::try_from(self.height.1.saturating_sub(1)).unwrap_or(1).max(1)
    }

    /// Whether new lines at the end are in view.
    pub(super) const fn is_at_end(&self) -> bool {
        self.from_start || self.above_end == 0
    }

    /// The lines to paint in this room.
    pub(super) fn visible(&mut self, width: usize, height: usize) -> Vec<ScreenLine> {
        let all: Vec<ScreenLine> =
            self.folded().iter().flat_map(|text| wrapped(text, width)).collect();
        self.height = (all.len(), height);
        let most = all.len().saturating_sub(height);
        self.above_end = self.above_end.min(most);
        let first = if self.from_start { self.above_end } else { most - self.above_end };
        all.into_iter().skip(first).take(height).collect()
    }

    /// The lines with calls of tools that follow one another as one line.
    fn folded(&self) -> Vec<Cow<'_, Text>> {
        let mut folded: Vec<Cow<'_, Text>> = Vec::with_capacity(self.lines.len());
        let mut calls = 0;
        for line in &self.lines {
            calls = if line.tone == Tone::Tool { calls + 1 } else { 0 };
            if self.unfolded || calls < 2 {
                folded.push(Cow::Borrowed(line));
                continue;
            }
            let text = format!("{}   (+{} before)", line.text, calls - 1);
            folded.pop();
            folded.push(Cow::Owned(Text { text, ..line.clone() }));
        }
        folded
    }
}

fn wrapped(text: &Text, width: usize) -> Vec<ScreenLine> {
    let margin = textwrap::core::display_width(&text.margin);
    let room = width.saturating_sub(margin).max(1);
    let wrapped = textwrap::wrap(&text.text, textwrap::Options::new(room).break_words(true));
    let line = |(at, text_of_line): (usize, Cow<'_, str>)| ScreenLine {
        margin: if at == 0 { text.margin.clone() } else { " ".repeat(margin.min(width)) },
        text: text_of_line.into_owned(),
        tone: text.tone,
    };
    wrapped.into_iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(page: &mut Page, width: usize, height: usize) -> Vec<String> {
        let lines = page.visible(width, height).into_iter();
        lines.map(|line| format!("{}{}", line.margin, line.text)).collect()
    }

    #[test]
    fn new_lines_are_in_view_until_somebody_scrolls_up() {
        let mut page = Page::loading(false, false);
        page.push((1..=5).map(|n| Text::new(Tone::Plain, &n.to_string())).collect());
        assert_eq!(texts(&mut page, 9, 2), ["4", "5"]);
        page.scroll(-1);
        assert_eq!(texts(&mut page, 9, 2), ["3", "4"]);
        assert!(!page.is_at_end());
        page.jump(false);
        assert_eq!(texts(&mut page, 9, 2), ["1", "2"]);
        page.jump(true);
        page.push(lines("6"));
        assert_eq!(texts(&mut page, 9, 2), ["5", "6"]);
    }

    #[test]
    fn a_document_begins_at_its_first_line() {
        let mut page = Page::loading(true, false);
        page.set(lines("1\n2\n3\n4"));
        assert_eq!(texts(&mut page, 9, 2), ["1", "2"]);
        page.scroll(9);
        assert_eq!(texts(&mut page, 9, 2), ["3", "4"]);
        page.set(lines("1\n2"));
        assert_eq!(texts(&mut page, 9, 2), ["1", "2"]);
    }

    #[test]
    fn long_and_wide_lines_are_wrapped_below_their_margin() {
        let mut page = Page::loading(true, false);
        page.set(vec![Text::new(Tone::Plain, "one two 日本語").with_margin("09:00 ")]);
        assert_eq!(texts(&mut page, 13, 9), ["09:00 one two", "      日本語"]);
        assert_eq!(texts(&mut page, 1, 2).len(), 2, "no width is too small");
    }

    #[test]
    fn calls_that_follow_one_another_are_folded() {
        let mut page = Page::loading(true, false);
        let call = |text| Text::new(Tone::Tool, text);
        page.set(vec![call("· a"), call("· b"), Text::new(Tone::Plain, "so"), call("· c")]);
        assert_eq!(texts(&mut page, 40, 9), ["· b   (+1 before)", "so", "· c"]);
        page.unfolded = true;
        assert_eq!(texts(&mut page, 40, 9), ["· a", "· b", "so", "· c"]);
    }

    #[test]
    fn an_agents_escape_sequences_are_shown_and_not_obeyed() {
        let text = Text::new(Tone::Plain, "\u{1b}]0;title\u{7}\u{1b}[2J\u{202e}x\ty");
        assert!(!text.text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
}
