//! Filling answers in.

use super::super::markdown;
use super::{ANSWER, Answer, Place, Qa, Question, is_waiting};

/// Why an answer cannot be filled in; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QaError {
    /// There is no such question.
    #[error("{asked}: there is no such question; there {}", are(.known))]
    UnknownQuestion {
        /// What was asked for.
        asked: String,
        /// The questions there are.
        known: Vec<String>,
    },
    /// The question has no such option.
    #[error("{id}={letter}: question {id} has options {}; or give your own words", list(.options))]
    UnknownOption {
        /// The question.
        id: String,
        /// The letter that was given.
        letter: char,
        /// The letters there are.
        options: Vec<char>,
    },
    /// The answer has no words, or is the mark of a missing answer.
    #[error("{id}={given}: that is no answer; give a letter of its options or your own words")]
    NoAnswer {
        /// The question.
        id: String,
        /// What was given.
        given: String,
    },
    /// Some of the questions that wait have no suggestion that could be accepted.
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
    /// Fills in an answer and returns it as it was written: a letter as `A - its option`, own
    /// words as they are, in one line. An answer that was given before is replaced. Of several
    /// questions of the same id the first that waits is meant, else the last.
    ///
    /// # Errors
    /// A [`QaError`], one line that says what there is to choose from.
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

    /// Fills in the suggestion wherever an answer is waited for, and returns what was written for
    /// which question.
    ///
    /// # Errors
    /// [`QaError::NoSuggestion`] when one of these has none; then nothing is changed.
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
                markdown::insert_behind(&mut self.text, &line, &["", &new]);
            }
        }
        *self = Self::parse(std::mem::take(&mut self.text));
    }
}

impl Question {
    /// The answer that accepting the suggestion gives.
    #[must_use]
    pub fn suggested(&self) -> Option<String> {
        let (letter, why) = self.suggestion.as_ref()?;
        let option = letter.and_then(|l| self.options.iter().find(|(known, _)| *known == l));
        let answer = option.map_or_else(|| why.clone(), |(l, text)| format!("{l} - {text}"));
        Some(markdown::one_line(&answer)).filter(|answer| !is_waiting(answer))
    }
}

/// A lone letter, as `A`, `a` or `A)`.
fn letter(words: &str) -> Option<char> {
    let mut rest = words.chars();
    let letter = rest.next().filter(char::is_ascii_alphabetic)?;
    matches!(rest.as_str(), "" | ")" | ".").then(|| letter.to_ascii_uppercase())
}
