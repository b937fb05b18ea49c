//! Filling in answers, one by one or by accepting the suggestions.

use super::super::markdown;
use super::{ANSWER, Answer, Place, Qa, Question, is_waiting};

/// Why an answer cannot be filled in. The file is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QaError {
    /// The file has no question with this ID.
    #[error("{asked}: no such question; there {}", are(.known))]
    UnknownQuestion {
        /// The ID that was given.
        asked: String,
        /// IDs of the existing questions.
        known: Vec<String>,
    },
    /// The question has no option with this letter.
    #[error("{id}={letter}: question {id} has options {}; or give your own words", list(.options))]
    UnknownOption {
        /// ID of the question that was answered.
        id: String,
        /// The letter given as the answer.
        letter: char,
        /// Letters of the existing options.
        options: Vec<char>,
    },
    /// The answer is empty, or is the `_waiting_` mark.
    #[error("{id}={given}: not an answer; give the letter of an option or your own words")]
    NoAnswer {
        /// ID of the question that was answered.
        id: String,
        /// The text given as the answer.
        given: String,
    },
    /// These open questions have no suggestion to accept.
    #[error("no suggestion to accept for {}; answer with {}=…", list(.0), .0.join("=… "))]
    NoSuggestion(Vec<String>),
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn are(known: &[String]) -> String {
    match known {
        [] => "are none".to_owned(),
        [one] => format!("is only {one}"),
        many => format!("are {}", list(many)),
    }
}

impl Qa {
    /// Fills in an answer and returns the text written: `A - its option` for a letter, other text
    /// on one line. Replaces any earlier answer. If several questions have the same ID, fills in
    /// the first open one, otherwise the last.
    ///
    /// # Errors
    /// A [`QaError`], one line that lists the choices.
    pub fn fill(&mut self, id: &str, answer: &str) -> Result<String, QaError> {
        let at = self.find(id)?;
        let question = &self.questions[at];
        let words = markdown::one_line(answer);
        let written = match (letter(&words), question.options.as_slice()) {
            (None, _) | (_, []) => words,
            (Some(letter), options) => {
                let option = options.iter().find(|(known, _)| *known == letter);
                let (letter, text) = option.ok_or_else(|| QaError::UnknownOption {
                    id: question.id.clone(),
                    letter,
                    options: options.iter().map(|(known, _)| *known).collect(),
                })?;
                markdown::one_line(&format!("{letter} - {text}"))
            }
        };
        if is_waiting(&written) {
            return Err(QaError::NoAnswer { id: question.id.clone(), given: written });
        }
        self.write(at, &written);
        Ok(written)
    }

    /// Accepts the suggestion of every open question, and returns their IDs with the text written.
    ///
    /// # Errors
    /// [`QaError::NoSuggestion`] if any of them has none; nothing is changed then.
    pub fn accept_suggestions(&mut self) -> Result<Vec<(String, String)>, QaError> {
        let mut accepted = Vec::new();
        let mut lacking = Vec::new();
        for (at, question) in self.questions.iter().enumerate() {
            if question.answer != Answer::Waiting {
                continue;
            }
            match question.suggested() {
                Some(answer) => accepted.push((at, question.id.clone(), answer)),
                None => lacking.push(question.id.clone()),
            }
        }
        if !lacking.is_empty() {
            return Err(QaError::NoSuggestion(lacking));
        }
        for (at, _, answer) in &accepted {
            self.write(*at, answer);
        }
        Ok(accepted.into_iter().map(|(_, id, answer)| (id, answer)).collect())
    }

    fn find(&self, id: &str) -> Result<usize, QaError> {
        let wanted = id.trim();
        let is_it = |q: &Question| {
            q.id.eq_ignore_ascii_case(wanted) || q.id.strip_prefix('Q').is_some_and(|n| n == wanted)
        };
        let waits = |q: &Question| is_it(q) && q.answer == Answer::Waiting;
        let found = self.questions.iter().position(waits);
        found.or_else(|| self.questions.iter().rposition(is_it)).ok_or_else(|| {
            let mut known: Vec<_> = self.questions.iter().map(|q| q.id.clone()).collect();
            known.dedup();
            QaError::UnknownQuestion { asked: markdown::one_line(id), known }
        })
    }

    fn write(&mut self, at: usize, answer: &str) {
        let lines = markdown::lines(&self.text);
        match self.questions[at].place.clone() {
            Place::Value(line, value) => {
                let Some(key) = markdown::key_line(&self.text, &lines[line], ANSWER) else {
                    return;
                };
                let new = key.replacement(&self.text, answer);
                self.text.replace_range(value, &new);
            }
            Place::Behind(line) => {
                let line = lines[line].clone();
                let new = format!("**{ANSWER}:** {answer}");
                let inserted = markdown::lines_behind(&self.text, &line, &["", &new]);
                self.text.insert_str(line.next, &inserted);
            }
        }
        *self = Self::parse(std::mem::take(&mut self.text));
    }
}

impl Question {
    /// The answer that accepting the suggestion would write.
    #[must_use]
    pub fn suggested(&self) -> Option<String> {
        let (letter, why) = self.suggestion.as_ref()?;
        let option = letter.and_then(|l| self.options.iter().find(|(known, _)| *known == l));
        let answer = option.map_or_else(|| why.clone(), |(l, text)| format!("{l} - {text}"));
        Some(markdown::one_line(&answer)).filter(|answer| !is_waiting(answer))
    }
}

/// Parses a single letter, such as `A`, `a` or `A)`.
fn letter(words: &str) -> Option<char> {
    let mut rest = words.chars();
    let letter = rest.next().filter(char::is_ascii_alphabetic)?;
    matches!(rest.as_str(), "" | ")" | ".").then(|| letter.to_ascii_uppercase())
}
