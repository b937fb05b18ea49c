//! A question of an agent, as a notice carries it.

use serde::{Deserialize, Serialize};

use crate::session::qa::Question;

use super::text::tame_line;

/// A question that is waiting for the human's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its ID, such as `Q1`.
    pub id: String,
    /// The question.
    pub text: String,
    /// The options, each with its letter.
    pub options: Vec<(char, String)>,
    /// The letter of the option that the agent suggests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested: Option<char>,
}

impl From<&Question> for Asked {
    fn from(question: &Question) -> Self {
        Self {
            id: question.id.clone(),
            text: question.text.clone(),
            options: question.options.clone(),
            suggested: question.suggestion.as_ref().and_then(|(letter, _)| *letter),
        }
    }
}

impl Asked {
    /// The question and its options, a line each.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = format!("{}: {}", self.id, tame_line(&self.text));
        for (letter, option) in &self.options {
            let mark = if self.suggested == Some(*letter) { " (suggested)" } else { "" };
            words.push_str(&format!("\n{letter}) {}{mark}", tame_line(option)));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::qa::Qa;

    #[test]
    fn a_question_has_a_line_for_each_option_and_marks_the_suggested_one() {
        let qa = Qa::parse(
            "### Q1: Where is\nthe token?\nA) Cookie\nB) Header\n**Suggestion:** B - simple\n\
             **Answer:** _waiting_\n",
        );
        let asked = Asked::from(&qa.questions()[0]);
        assert_eq!(asked.in_words(), "Q1: Where is the token?\nA) Cookie\nB) Header (suggested)");
    }
}
