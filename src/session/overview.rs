//! `_overview.md`: the state of a session, for people to read and edit.
//!
//! Agents and people write to the same file, so an edit replaces one value or adds one line and
//! leaves every other byte alone.

use std::fmt;
use std::ops::Range;

use super::markdown::{self, KeyLine, Line};
use super::phase::Phase;

mod new;

pub use new::NewOverview;

/// The lines of the `## Status` section, in file order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// `Phase:`, the phase the session is in.
    Phase,
    /// `Iteration:`, counted within the phase.
    Iteration,
    /// `Total Iterations:`, counted over all phases.
    TotalIterations,
    /// `Blocked:`, one of the words of [`Blocked`].
    Blocked,
    /// `Last Action:`, what the last iteration did.
    LastAction,
    /// `Next:`, what the next iteration should do.
    Next,
}

impl Field {
    /// All status lines, in file order.
    pub const ALL: [Self; 6] = [
        Self::Phase,
        Self::Iteration,
        Self::TotalIterations,
        Self::Blocked,
        Self::LastAction,
        Self::Next,
    ];

    /// The key before the colon.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Phase => "Phase",
            Self::Iteration => "Iteration",
            Self::TotalIterations => "Total Iterations",
            Self::Blocked => "Blocked",
            Self::LastAction => "Last Action",
            Self::Next => "Next",
        }
    }
}

/// The values of `Blocked:`: whether the session can continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blocked {
    /// The session can continue on its own.
    No,
    /// The session cannot continue without help.
    Yes,
    /// The session is waiting for a human.
    WaitingHuman,
}

impl Blocked {
    /// The word used in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::WaitingHuman => "waiting_human",
        }
    }

    fn read(value: &str) -> Option<Self> {
        let value = markdown::bare(value).to_ascii_lowercase();
        match value.split(|c: char| !c.is_ascii_alphabetic()).next()? {
            "no" | "false" => Some(Self::No),
            "yes" | "true" => Some(Self::Yes),
            "waiting" => Some(Self::WaitingHuman),
            _ => None,
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The contents of the `## Status` section; a missing, empty or unreadable line is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusLines {
    /// The phase, if the file has a valid one.
    pub phase: Option<Phase>,
    /// The phase as written, to show when it is not valid.
    pub phase_text: Option<String>,
    /// Iterations in the current phase.
    pub iteration: Option<u32>,
    /// Iterations of the whole session.
    pub total_iterations: Option<u32>,
    /// Whether the session can continue.
    pub blocked: Option<Blocked>,
    /// What the last iteration did, in the agent's words.
    pub last_action: Option<String>,
    /// What to do next, in the agent's words.
    pub next: Option<String>,
}

/// An `_overview.md`, with edits that leave everything else as it is, bytes that are not UTF-8
/// included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    bytes: Vec<u8>,
    /// The same with [`STRAY`] in place of each byte that is not UTF-8, so that offsets agree.
    text: String,
}

/// Stands for a byte that is not UTF-8 when the file is read.
const STRAY: char = '?';

impl Overview {
    /// Accepts any bytes. Missing parts read as `None` and are added when set.
    #[must_use]
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| STRAY));
        }
        Self { bytes, text }
    }

    /// The text of the file, with `?` for each byte that is not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The contents of the file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the `## Status` section.
    #[must_use]
    pub fn status(&self) -> StatusLines {
        let lines = markdown::lines(&self.text);
        let Some(section) = self.status_section(&lines) else {
            return StatusLines::default();
        };
        let value = |field: Field| {
            let (_, found) = self.find(section, field)?;
            Some(&self.text[found.value]).filter(|value| !value.is_empty())
        };
        StatusLines {
            phase: value(Field::Phase).and_then(|text| markdown::bare(text).parse().ok()),
            phase_text: value(Field::Phase).map(str::to_owned),
            iteration: value(Field::Iteration).and_then(leading_number),
            total_iterations: value(Field::TotalIterations).and_then(leading_number),
            blocked: value(Field::Blocked).and_then(Blocked::read),
            last_action: value(Field::LastAction).map(str::to_owned),
            next: value(Field::Next).map(str::to_owned),
        }
    }

    /// The text of the `## Task` section. It extends to the `## Status` section if that follows, so
    /// that a task with its own headings is read whole.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        let lines = markdown::lines(&self.text);
        let heading = lines.iter().position(|line| line.is_heading(&self.text, 2, "Task"))?;
        let behind = &lines[heading + 1..];
        let is_log = |line: &Line| line.is_heading(&self.text, 2, "Flow Log");
        let log = behind.iter().position(is_log).unwrap_or(behind.len());
        let status =
            behind[..log].iter().rposition(|line| line.is_heading(&self.text, 2, "Status"));
        let end = status.unwrap_or_else(|| self.section_length(behind));
        let (from, to) = (behind.first()?.start, behind[..end].last()?.end);
        Some(self.text[from..to].trim()).filter(|task| !task.is_empty())
    }

    /// The session's name, from the first heading.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        let lines = markdown::lines(&self.text);
        let (_, title) =
            lines.iter().filter_map(|line| line.heading(&self.text)).find(|h| h.0 == 1)?;
        let label = title.get(..8).filter(|label| label.eq_ignore_ascii_case("session:"));
        let title = label.map_or(title, |label| title[label.len()..].trim_start());
        Some(title).filter(|title| !title.is_empty())
    }

    /// When the session started, as written.
    #[must_use]
    pub fn started(&self) -> Option<&str> {
        self.head("Started")
    }

    /// The folder the agent works in, from `Working Dir:`.
    #[must_use]
    pub fn working_dir(&self) -> Option<&str> {
        self.head("Working Dir")
    }

    /// What to investigate first, from `Dive:`.
    #[must_use]
    pub fn dive(&self) -> Option<&str> {
        self.head("Dive")
    }

    /// Sets a status line, adding the line or the whole section if it is missing. The value is
    /// flattened to one line.
    pub fn set(&mut self, field: Field, value: &str) {
        let value = markdown::one_line(value);
        let lines = markdown::lines(&self.text);
        let Some(section) = self.status_section(&lines) else {
            let line = format!("{}: {value}", field.key());
            return self.add_section("Status", &line, &["Flow Log", "Files"]);
        };
        if let Some((_, found)) = self.find(section, field) {
            let new = found.replacement(&self.text, &value);
            let place = found.value;
            return self.splice(place, &new);
        }
        let near = |fields: &[Field]| fields.iter().find_map(|other| self.find(section, *other));
        let (mut before, after) = (Field::ALL, Field::ALL);
        before.reverse();
        let place = Field::ALL.iter().position(|other| *other == field).unwrap_or_default();
        let neighbour = near(&before[Field::ALL.len() - place..]).map(|found| (found, true));
        let neighbour = neighbour.or_else(|| near(&after[place..]).map(|found| (found, false)));
        let (at, line) = match neighbour {
            None => (0, format!("{}:", field.key())),
            Some(((at, like), behind)) => {
                let line = format!("{}{}{}", like.lead, field.key(), like.separator);
                (if behind { at } else { at - 1 }, line)
            }
        };
        let at = section[at].clone();
        self.splice(at.next..at.next, &markdown::lines_behind(&self.text, &at, &[&line]));
        self.set(field, &value);
    }

    /// Appends `- line` to the `## Flow Log`, flattened to one line. A line that already exists is
    /// not added again, so that replaying a step changes nothing.
    pub fn add_flow(&mut self, line: &str) {
        let line = format!("- {}", markdown::one_line(line));
        if line == "- " {
            return;
        }
        let lines = markdown::lines(&self.text);
        let Some(heading) = lines.iter().rposition(|l| l.is_heading(&self.text, 2, "Flow Log"))
        else {
            return self.add_section("Flow Log", &line, &["Files"]);
        };
        let length = 1 + self.section_length(&lines[heading + 1..]);
        let section = &lines[heading..heading + length];
        if section.iter().any(|old| old.content(&self.text).trim() == line) {
            return;
        }
        let blank = |line: &Line| line.content(&self.text).trim().is_empty();
        if let Some(last) = section.iter().rfind(|line| !blank(line)).cloned() {
            self.splice(last.next..last.next, &markdown::lines_behind(&self.text, &last, &[&line]));
        }
    }

    /// Number of lines before the next heading of level one or two.
    fn section_length(&self, lines: &[Line]) -> usize {
        let is_end = |line: &Line| line.heading(&self.text).is_some_and(|(level, _)| level <= 2);
        lines.iter().position(is_end).unwrap_or(lines.len())
    }

    /// The `## Status` section, including its heading: the last one with a phase, otherwise the
    /// last. An unquoted task may contain such a section too, before the real one. Without any, the
    /// lines of a heading `Status` of another level or those above the first section, if they have a phase.
    fn status_section<'l>(&self, lines: &'l [Line]) -> Option<&'l [Line]> {
        let has_phase = |section: &&[Line]| self.find(section, Field::Phase).is_some();
        let sections = || {
            let is_status = |at: &usize| lines[*at].is_heading(&self.text, 2, "Status");
            (0..lines.len()).rev().filter(is_status).map(|at| {
                let length = self.section_length(&lines[at + 1..]);
                &lines[at..=at + length]
            })
        };
        let of_other_level = || {
            let is_status = |line: &Line| {
                line.heading(&self.text)
                    .is_some_and(|(_, title)| title.eq_ignore_ascii_case("Status"))
            };
            let section = &lines[lines.iter().rposition(is_status)?..];
            let is_end = |line: &Line| line.heading(&self.text).is_some();
            let length = section[1..].iter().position(is_end).unwrap_or(section.len() - 1);
            Some(&section[..=length])
        };
        let head = || {
            let is_section =
                |line: &Line| line.heading(&self.text).is_some_and(|(level, _)| level > 1);
            &lines[..lines.iter().position(is_section).unwrap_or(lines.len())]
        };
        sections()
            .find(has_phase)
            .or_else(|| sections().next())
            .or_else(|| of_other_level().filter(has_phase))
            .or_else(|| Some(head()).filter(has_phase))
    }

    /// The first line of this field in a section, and its index there.
    fn find(&self, section: &[Line], field: Field) -> Option<(usize, KeyLine<'_>)> {
        let mut lines = section.iter().enumerate().filter(|(_, line)| !line.fenced);
        lines.find_map(|(at, line)| Some((at, markdown::key_line(&self.text, line, field.key())?)))
    }

    /// Reads a value from the lines above the first section.
    fn head(&self, key: &str) -> Option<&str> {
        let lines = markdown::lines(&self.text);
        let is_section =
            |line: &&Line| line.heading(&self.text).is_some_and(|(level, _)| level == 2);
        let mut head = lines.iter().take_while(|line| !is_section(line)).filter(|l| !l.fenced);
        let found = head.find_map(|line| markdown::key_line(&self.text, line, key))?;
        Some(&self.text[found.value]).filter(|value| !value.is_empty())
    }

    /// Adds a section with one line before the first of the sections `before`, or at the end.
    fn add_section(&mut self, title: &str, line: &str, before: &[&str]) {
        let lines = markdown::lines(&self.text);
        let place = before
            .iter()
            .find_map(|title| lines.iter().rposition(|line| line.is_heading(&self.text, 2, title)));
        let ending = markdown::line_ending(&self.text);
        let mut new = format!("## {title}{ending}{line}{ending}");
        let above = place.map_or(lines.last(), |place| lines[..place].last());
        if let Some(above) = above {
            let blank = above.content(&self.text).trim().is_empty();
            let unended = if above.next == above.end { ending } else { "" };
            new = format!("{unended}{}{new}", if blank { "" } else { ending });
        }
        let at = place.map_or(self.text.len(), |place| {
            new.push_str(ending);
            lines[place].start
        });
        self.splice(at..at, &new);
    }

    /// Replaces a range of the file.
    fn splice(&mut self, range: Range<usize>, new: &str) {
        self.bytes.splice(range.clone(), new.bytes());
        self.text.replace_range(range, new);
    }
}

/// Parses `3`, and also `3 of 10` and `**3**`.
fn leading_number(value: &str) -> Option<u32> {
    markdown::bare(value).split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests;
