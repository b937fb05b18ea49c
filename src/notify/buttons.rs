//! What a button of a message carries. It names what is asked by a fingerprint, so that a press on an
//! old message can be told from one on what is asked now, without a list of what was sent.

use ring::digest::{Context, SHA256};
use serde::Serialize;

use super::text::clip;
use super::{Asked, Notice};

/// The longest label of a button.
const MAX_LABEL: usize = 60;

/// What a press means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Press {
    /// An option of a question.
    Answer {
        /// The question's fingerprint.
        key: String,
        /// The option's letter.
        letter: char,
    },
    /// The plan with this fingerprint is approved.
    Approve(String),
    /// It is rejected.
    Reject(String),
    /// It is to be shown.
    ShowPlan(String),
}

impl Press {
    /// The press as a button carries it: at most 64 bytes.
    #[must_use]
    pub fn data(&self) -> String {
        match self {
            Self::Answer { key, letter } => format!("a:{key}:{letter}"),
            Self::Approve(key) => format!("y:{key}"),
            Self::Reject(key) => format!("n:{key}"),
            Self::ShowPlan(key) => format!("p:{key}"),
        }
    }

    /// Reads what a button carries; `None` for what no samocode has made.
    #[must_use]
    pub fn parse(data: &str) -> Option<Self> {
        let (kind, rest) = data.split_once(':')?;
        let is_key = |key: &str| key.len() == 16 && key.bytes().all(|b| b.is_ascii_hexdigit());
        let key = |key: &str| is_key(key).then(|| key.to_owned());
        let mut kinds = kind.chars();
        match (kinds.next()?, kinds.next()) {
            ('a', None) => {
                let (of, letter) = rest.split_once(':')?;
                let mut letters = letter.chars();
                let letter = letters.next().filter(|_| letters.next().is_none())?;
                Some(Self::Answer { key: key(of)?, letter })
            }
            ('y', None) => key(rest).map(Self::Approve),
            ('n', None) => key(rest).map(Self::Reject),
            ('p', None) => key(rest).map(Self::ShowPlan),
            _ => None,
        }
    }

    /// The fingerprint of what was asked.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Answer { key, .. } => key,
            Self::Approve(key) | Self::Reject(key) | Self::ShowPlan(key) => key,
        }
    }
}

/// The fingerprint of a session's question.
#[must_use]
pub fn question_key(instance: &str, id: &str, text: &str) -> String {
    fingerprint(&["question", instance, id, text])
}

/// The fingerprint of a session's plan.
#[must_use]
pub fn plan_key(instance: &str, plan: &str) -> String {
    fingerprint(&["plan", instance, plan])
}

fn fingerprint(parts: &[&str]) -> String {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finish().as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A button below a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Button {
    /// Its label.
    pub text: String,
    /// What a press on it carries.
    pub callback_data: String,
}

impl Button {
    fn new(text: &str, press: &Press) -> Self {
        Self { text: clip(text, MAX_LABEL), callback_data: press.data() }
    }
}

/// The rows of buttons below a notice.
pub(super) fn rows(notice: &Notice) -> Vec<Vec<Button>> {
    let questions = notice.questions.iter().filter(|asked| !asked.options.is_empty());
    let mut rows: Vec<Vec<Button>> =
        questions.map(|asked| question_row(&notice.session, asked)).collect();
    if let Some(key) = &notice.plan {
        rows.push(vec![
            Button::new("Approve", &Press::Approve(key.clone())),
            Button::new("Reject…", &Press::Reject(key.clone())),
            Button::new("Read it", &Press::ShowPlan(key.clone())),
        ]);
    }
    rows
}

fn question_row(instance: &str, asked: &Asked) -> Vec<Button> {
    let key = question_key(instance, &asked.id, &asked.text);
    let button = |(letter, _): &(char, String)| {
        let mark = if asked.suggested == Some(*letter) { " ★" } else { "" };
        let press = Press::Answer { key: key.clone(), letter: *letter };
        Button::new(&format!("{} {letter}{mark}", asked.id), &press)
    };
    asked.options.iter().map(button).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_press_survives_the_way_there_and_back_and_nothing_else_is_one() {
        let key = question_key("jwt-login--shop", "Q1", "Where?");
        for press in [
            Press::Answer { key: key.clone(), letter: 'B' },
            Press::Approve(key.clone()),
            Press::Reject(key.clone()),
            Press::ShowPlan(key),
        ] {
            assert!(press.data().len() <= 64);
            assert_eq!(Press::parse(&press.data()), Some(press));
        }
        for data in
            ["", "a:", "a:0123456789abcdef", "a:0123456789abcdef:AB", "y:xyz", "q:0123456789abcdef"]
        {
            assert_eq!(Press::parse(data), None, "{data}");
        }
    }

    #[test]
    fn a_question_that_changed_has_another_key() {
        let key = question_key("a", "Q1", "Where?");
        assert_ne!(key, question_key("b", "Q1", "Where?"));
        assert_ne!(key, question_key("a", "Q1", "When?"));
        assert_ne!(key, question_key("a", "Q", "1Where?"));
    }
}
