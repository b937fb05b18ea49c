//! `_qa.md`: questions for the human, and their answers.
//!
//! Agents write the questions; people answer by editing the file or with `samocode answer`. Filling
//! in an answer replaces the text after `**Answer:**` and no other byte.

use std::ops::Range;

use super::blank::is_blank;
use super::markdown::{self, Line};

mod fill;

pub use fill::QaError;

/// The answer to a question: the text after `**Answer:**`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// No answer yet: `_waiting_`, or nothing.
    Waiting,
    /// The human's answer; one typed into the file may have several lines.
    Given(String),
}

/// A question with its options, suggestion and answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The question's ID, such as `Q1`.
    pub id: String,
    /// The question, from the heading and the lines below it.
    pub text: String,
    /// The lettered options, with upper-case letters.
    pub options: Vec<(char, String)>,
    /// The agent's suggestion: the letter of an option and the reason, or else the whole text.
    pub suggestion: Option<(Option<char>, String)>,
    /// The human's answer, if there is one.
    pub answer: Answer,
    /// Whether `_waiting_` has words beside or below it, which are no answer as long as it is there.
    pub is_overlooked: bool,
    place: Place,
}

/// Where to write a question's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Index of the `Answer:` line, and byte range of the answer.
    Value(usize, Range<usize>),
    /// There is no such line; add one after the line with this index.
    Behind(usize),
}

/// A parsed `_qa.md` that keeps its exact text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qa {
    text: String,
    questions: Vec<Question>,
    /// Number of open answers beside those of the questions.
    stray: usize,
}

impl Qa {
    /// Parses any text; everything that is not a question is left alone.
    #[must_use]
    pub fn parse(text: impl Into<String>) -> Self {
        let text = text.into();
        let lines = markdown::lines(&text);
        let mut questions = Vec::new();
        let mut stray = 0;
        let mut at = 0;
        while at < lines.len() {
            let Some((level, id, rest)) = question_heading(&text, &lines, at) else {
                let answer = markdown::key_line(&text, &lines[at], ANSWER);
                let words = answer.filter(|_| !lines[at].fenced).map(|a| &text[a.value]);
                stray += usize::from(words.is_some_and(|w| !w.is_empty() && is_waiting(w)));
                at += 1;
                continue;
            };
            // A bold line in a question that has no answer yet is part of its text.
            let has_answer =
                |until: usize| lines[at + 1..until].iter().any(|l| is_answer(&text, l));
            let is_end = |n: &usize| {
                lines[*n].heading(&text).is_some_and(|(other, _)| other <= level)
                    || question_heading(&text, &lines, *n)
                        .is_some_and(|(level, ..)| level < BOLD || has_answer(*n))
            };
            let end = (at + 1..lines.len()).find(is_end).unwrap_or(lines.len());
            let (asked, open) = question(&text, &lines, at, end - at - 1, &id, rest);
            questions.push(asked);
            stray += open;
            at = end;
        }
        Self { text, questions, stray }
    }

    /// The full text of the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The questions, in file order.
    #[must_use]
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// Number of open questions; 0 if the human has answered them all.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.questions.iter().filter(|q| q.answer == Answer::Waiting).count() + self.stray
    }

    /// Whether there are questions and every one has its answer.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        !self.questions.is_empty() && self.waiting() == 0
    }

    /// A fingerprint of the answers given so far, the same in every version; `None` without
    /// questions.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        for question in &self.questions {
            let answer = match &question.answer {
                Answer::Waiting => "",
                Answer::Given(answer) => answer,
            };
            for part in [question.id.as_str(), answer] {
                hash.update(&(part.len() as u64).to_le_bytes());
                hash.update(part.as_bytes());
            }
        }
        hash.update(&(self.stray as u64).to_le_bytes());
        let digits = hash.finish().as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        (!self.questions.is_empty()).then_some(digits)
    }
}

const ANSWER: &str = "Answer";
const SUGGESTION: &str = "Suggestion";

/// Level of a question that has a bold line instead of a heading: below every heading.
const BOLD: usize = 7;

/// Parses the line at `at` as a question: a heading like `### Q1: what?` or `## Question 1`, or a
/// bold line `**Q1: what?**` that an answer follows. Returns level, ID and rest.
fn question_heading<'a>(
    text: &'a str,
    lines: &[Line],
    at: usize,
) -> Option<(usize, String, &'a str)> {
    if let Some((level, title)) = lines[at].heading(text) {
        return question_title(title).map(|(id, rest)| (level, id, rest));
    }
    let (id, rest) = bold_title(text, &lines[at])?;
    let below = lines[at + 1..]
        .iter()
        .take_while(|line| line.heading(text).is_none() && bold_title(text, line).is_none());
    below.into_iter().any(|line| is_answer(text, line)).then_some((BOLD, id, rest))
}

fn is_answer(text: &str, line: &Line) -> bool {
    !line.fenced && markdown::key_line(text, line, ANSWER).is_some()
}

/// The ID and text of a line `**Q1: what?**` or `**Q1:** what?`.
fn bold_title<'a>(text: &'a str, line: &Line) -> Option<(String, &'a str)> {
    let content = line.content(text).trim();
    let inner = content.strip_prefix("**").or_else(|| content.strip_prefix("__"))?;
    question_title(inner.trim_end_matches(['*', '_'])).filter(|_| !line.fenced)
}

/// Parses `Q1: what?` or `Question 1` into ID and rest.
fn question_title(title: &str) -> Option<(String, &str)> {
    let word = title.get(..9).filter(|word| word.eq_ignore_ascii_case("question "));
    let number =
        word.map_or_else(|| title.strip_prefix(['Q', 'q']), |w| Some(&title[w.len()..]))?;
    let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &number[..number.len() - rest.len()];
    let bounded = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let mark = |c: char| matches!(c, ':' | '.' | ')' | '-' | '–' | '—' | '*') || c.is_whitespace();
    (bounded && !number.is_empty()).then(|| (format!("Q{number}"), rest.trim_start_matches(mark)))
}

/// Parses the question whose heading is line `at` and whose body has `length` lines. Also returns
/// the number of open answers below its own: some question that cannot be read waits for them.
fn question(
    text: &str,
    lines: &[Line],
    at: usize,
    length: usize,
    id: &str,
    rest: &str,
) -> (Question, usize) {
    let mut asked = vec![rest.trim()];
    let mut options: Vec<(char, String)> = Vec::new();
    let mut suggestion = None;
    let mut answer = None;
    let mut open = 0;
    let mut last = at;
    for (n, line) in lines.iter().enumerate().take(at + 1 + length).skip(at + 1) {
        let content = line.content(text).trim();
        let key = |key| markdown::key_line(text, line, key).filter(|_| !line.fenced);
        if is_break(content) && !line.fenced {
            continue;
        }
        if !content.is_empty() {
            last = n;
        }
        if let Some(found) = key(SUGGESTION).filter(|_| suggestion.is_none()) {
            suggestion = Some(text[found.value].to_owned());
        } else if let Some(found) = key(ANSWER) {
            if answer.is_none() {
                answer = Some((n, found.value));
            } else if is_waiting(
                &text[answer_range(text, &lines[n + 1..=at + length], found.value)],
            ) {
                open += 1;
            }
        } else if answer.is_some() {
            // Lines below the answer are part of it; `answer_range` decides which.
        } else if let Some((letter, option)) =
            option(content).filter(|(l, _)| !line.fenced && follows(&options, *l))
        {
            options.push((letter, option.to_owned()));
        } else if options.is_empty() && suggestion.is_none() {
            asked.push(content);
        }
    }
    let place = answer.map_or(Place::Behind(last), |(n, value)| {
        Place::Value(n, answer_range(text, &lines[n + 1..=at + length], value))
    });
    let answer = match &place {
        Place::Value(_, range) if !is_waiting(&text[range.clone()]) => {
            Answer::Given(text[range.clone()].trim().to_owned())
        }
        _ => Answer::Waiting,
    };
    let is_overlooked = answer == Answer::Waiting
        && match &place {
            Place::Value(n, range) if !range.is_empty() => {
                let below = &lines[n + 1..=at + length];
                !is_mark(&text[range.clone()]) || below.iter().any(|line| has_words(text, line))
            }
            _ => false,
        };
    let question = Question {
        id: id.to_owned(),
        text: asked.join("\n").trim().to_owned(),
        suggestion: suggestion
            .filter(|words| !words.is_empty())
            .map(|words| read_suggestion(&words, &options)),
        options,
        answer,
        is_overlooked,
        place,
    };
    (question, open)
}

/// Options are lettered from A upwards; anything out of order is ordinary text.
fn follows(options: &[(char, String)], letter: char) -> bool {
    options.last().map_or(letter == 'A', |(last, _)| letter > *last)
}

/// Range of the answer, which may have several lines. A `_waiting_` mark is replaced alone, even if
/// people wrote something below it.
fn answer_range(text: &str, below: &[Line], value: Range<usize>) -> Range<usize> {
    if !value.is_empty() && is_waiting(&text[value.clone()]) {
        return value;
    }
    let mut end = value.end;
    for line in below {
        let content = line.content(text);
        let is_key = [SUGGESTION, ANSWER]
            .into_iter()
            .any(|key| markdown::key_line(text, line, key).is_some());
        if !line.fenced && (is_break(content.trim()) || is_key) {
            break;
        }
        if !content.trim().is_empty() {
            end = line.start + content.trim_end().len();
        }
    }
    value.start..end
}

/// Parses `A) text` in the forms agents use: `- A) `, `A. `, `**A)** `, `**A) text**`, `(A) `.
fn option(content: &str) -> Option<(char, &str)> {
    let item = content.strip_prefix(['-', '*', '+']).filter(|rest| rest.starts_with(' '));
    let content = item.unwrap_or(content).trim_start();
    let plain = content.trim_start_matches(['*', '_', '(', '`']);
    let mut rest = plain.chars();
    let letter = rest.next().filter(char::is_ascii_alphabetic)?;
    let rest = rest.as_str().trim_start_matches(['*', '_', '`']);
    let text = rest.strip_prefix([')', '.'])?;
    let spaced = text.trim_start_matches(['*', '_', '`']);
    let emphasised = content.starts_with(['*', '_']) && text.len() == spaced.len();
    let text = spaced.strip_prefix([' ', '\t'])?.trim();
    let text = if emphasised { text.trim_end_matches(['*', '_']) } else { text };
    (!text.is_empty()).then(|| (letter.to_ascii_uppercase(), text))
}

/// Parses `A - why`, `**A)** why` or `Option A: why`; any other text is the suggestion itself.
fn read_suggestion(words: &str, options: &[(char, String)]) -> (Option<char>, String) {
    let plain = words.trim_start_matches(['*', '_', '(', '`']);
    let label = plain.get(..7).filter(|label| label.eq_ignore_ascii_case("option "));
    let plain = label.map_or(plain, |label| plain[label.len()..].trim_start());
    let mut rest = plain.chars();
    let letter = rest.next().map(|c| c.to_ascii_uppercase());
    let known = letter.filter(|letter| options.iter().any(|(option, _)| option == letter));
    let mark = |c: char| {
        matches!(c, ')' | '.' | ':' | ',' | ';' | '-' | '–' | '—' | '*' | '_' | '`' | '(')
    };
    let rest = rest.as_str();
    let bounded = rest.trim().is_empty() || rest.trim_start().starts_with(mark);
    match known.filter(|_| bounded) {
        None => (None, words.to_owned()),
        known => {
            let why = rest.trim_start_matches(|c: char| c != '(' && (mark(c) || c.is_whitespace()));
            (known, why.to_owned())
        }
    }
}

/// Whether there is no answer yet: the text is empty, `waiting`, or starts with `_waiting_`.
fn is_waiting(answer: &str) -> bool {
    let words = answer.trim_matches(is_blank);
    let plain = words.trim_start_matches(['*', '_', '`']);
    let word = plain.get(..7).filter(|word| word.eq_ignore_ascii_case("waiting"));
    let behind = word.map(|word| &plain[word.len()..]);
    let marked = plain.len() < words.len();
    plain.trim_matches(is_blank).is_empty()
        || behind.is_some_and(|b| b.is_empty() || (marked && b.starts_with(['*', '_', '`'])))
}

/// Whether it is `_waiting_` and nothing else.
fn is_mark(answer: &str) -> bool {
    let word = answer.trim_matches(|c| is_blank(c) || matches!(c, '*' | '_' | '`'));
    word.eq_ignore_ascii_case("waiting")
}

/// Whether a line below an answer is neither empty nor part of the questions' form.
fn has_words(text: &str, line: &Line) -> bool {
    let content = line.content(text).trim();
    let is_key =
        || [SUGGESTION, ANSWER].iter().any(|key| markdown::key_line(text, line, key).is_some());
    !content.is_empty() && !is_break(content) && !is_key()
}

/// Whether the line is a horizontal rule, such as `---` or `***`.
fn is_break(content: &str) -> bool {
    let mark = content.chars().next().filter(|c| matches!(c, '-' | '*' | '_'));
    mark.is_some_and(|mark| {
        content.chars().all(|c| c == mark || c == ' ')
            && content.chars().filter(|c| *c == mark).count() >= 3
    })
}

#[cfg(test)]
mod tests;
