//! Dialogs: a question before something that cannot be undone, a line of text, and a session's
//! questions one after another.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

use crate::control::answers::Question;

use super::messages::Action;

/// A dialog that is open. Keys go to it until it closes.
#[derive(Debug)]
pub(super) enum Dialog {
    /// Asks before an action; only `y` agrees.
    Confirm {
        /// What is about to happen, as a question.
        question: String,
        action: Action,
    },
    /// Asks for a line of text.
    Line { title: String, input: Input, purpose: Purpose, session: String },
    /// Asks a session's open questions.
    Questions(Questions),
}

/// What a line of text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A filter for the list, which follows each key.
    Filter,
    /// The reason for a rejection.
    Reject,
    /// A message to the session's agent.
    Send,
}

/// The open questions of a session, and how far the human has come.
#[derive(Debug)]
pub(super) struct Questions {
    pub(super) session: String,
    pub(super) open: Vec<Question>,
    pub(super) at: usize,
    pub(super) input: Input,
}

/// What a key did to a dialog.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The dialog stays open; the key was for it.
    Open,
    /// It closes, and nothing is done.
    Closed,
    /// It closes; this is to be done.
    Do(Action),
    /// It stays open, and this is to be done.
    DoAndStay(Action),
    /// The filter is now this; `true` if it stays open.
    Filter(String, bool),
}

impl Dialog {
    /// An empty line for this purpose.
    pub(super) fn line(purpose: Purpose, session: &str) -> Self {
        let title = match purpose {
            Purpose::Filter => "Show only sessions with".to_owned(),
            Purpose::Reject => format!("Reject: what should {session} change"),
            Purpose::Send => format!("Message to {session}"),
        };
        Self::Line { title, input: Input::default(), purpose, session: session.to_owned() }
    }

    /// Takes a key or pasted text.
    pub(super) fn take(&mut self, event: &Event) -> Outcome {
        if let Event::Paste(text) = event {
            self.paste(text);
            return self.changed();
        }
        let Event::Key(key) = event else { return Outcome::Open };
        if is_cancel(*key) {
            return match self {
                Self::Line { purpose: Purpose::Filter, .. } => {
                    Outcome::Filter(String::new(), false)
                }
                _ => Outcome::Closed,
            };
        }
        match self {
            Self::Confirm { action, .. } => match key.code {
                KeyCode::Char('y' | 'Y') => Outcome::Do(action.clone()),
                // Anything but a clear yes is a no.
                _ => Outcome::Closed,
            },
            Self::Line { input, purpose, session, .. } if key.code == KeyCode::Enter => {
                let text = input.value().trim().to_owned();
                match purpose {
                    Purpose::Filter => Outcome::Filter(text, false),
                    _ if text.is_empty() => Outcome::Closed,
                    Purpose::Reject => {
                        Outcome::Do(Action::Reject { session: session.clone(), reason: text })
                    }
                    Purpose::Send => Outcome::Do(Action::Send { session: session.clone(), text }),
                }
            }
            Self::Questions(questions) if key.code == KeyCode::Enter => questions.enter(),
            Self::Line { input, .. } | Self::Questions(Questions { input, .. }) => {
                input.handle_event(event);
                self.changed()
            }
        }
    }

    fn paste(&mut self, text: &str) {
        let (Self::Line { input, .. } | Self::Questions(Questions { input, .. })) = self else {
            return;
        };
        // One line: an end of line in the text must not send it.
        for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
            input.handle(tui_input::InputRequest::InsertChar(c));
        }
    }

    fn changed(&self) -> Outcome {
        match self {
            Self::Line { input, purpose: Purpose::Filter, .. } => {
                Outcome::Filter(input.value().to_owned(), true)
            }
            _ => Outcome::Open,
        }
    }
}

impl Questions {
    /// The question that is asked now.
    pub(super) fn current(&self) -> Option<&Question> {
        self.open.get(self.at)
    }

    /// Takes what was typed as the answer, or the suggestion if nothing was.
    fn enter(&mut self) -> Outcome {
        let Some(question) = self.current() else { return Outcome::Closed };
        let typed = self.input.value().trim().to_owned();
        let suggested = question.suggestion.as_ref().and_then(|one| one.answer.clone());
        let answer = if typed.is_empty() { suggested } else { Some(typed) };
        let action = answer.map(|answer| Action::Answer {
            session: self.session.clone(),
            id: question.id.clone(),
            to: question.text.clone(),
            answer,
        });
        self.at += 1;
        self.input = Input::default();
        let is_last = self.at >= self.open.len();
        match action {
            Some(action) if is_last => Outcome::Do(action),
            Some(action) => Outcome::DoAndStay(action),
            // A question without an answer stays open.
            None if is_last => Outcome::Closed,
            None => Outcome::Open,
        }
    }
}

fn is_cancel(key: KeyEvent) -> bool {
    key.code == KeyCode::Esc
        || (key.modifiers == KeyModifiers::CONTROL && key.code == KeyCode::Char('c'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::answers::{Choice, Suggestion};

    fn press(dialog: &mut Dialog, code: KeyCode) -> Outcome {
        dialog.take(&Event::Key(KeyEvent::from(code)))
    }

    fn type_in(dialog: &mut Dialog, text: &str) {
        for c in text.chars() {
            press(dialog, KeyCode::Char(c));
        }
    }

    #[test]
    fn only_a_clear_yes_agrees() {
        let action = Action::Stop { session: "jwt".to_owned(), now: true };
        for (key, agrees) in
            [(KeyCode::Char('y'), true), (KeyCode::Enter, false), (KeyCode::Char('n'), false)]
        {
            let mut dialog = Dialog::Confirm { question: String::new(), action: action.clone() };
            let outcome = press(&mut dialog, key);
            assert_eq!(outcome == Outcome::Do(action.clone()), agrees);
        }
    }

    #[test]
    fn a_pasted_text_with_line_ends_is_one_message_and_is_not_sent_by_itself() {
        let mut dialog = Dialog::line(Purpose::Send, "jwt");
        assert_eq!(dialog.take(&Event::Paste("use RS256\nplease".to_owned())), Outcome::Open);
        let (session, text) = ("jwt".to_owned(), "use RS256 please".to_owned());
        assert_eq!(press(&mut dialog, KeyCode::Enter), Outcome::Do(Action::Send { session, text }));
        let mut empty = Dialog::line(Purpose::Reject, "jwt");
        assert_eq!(press(&mut empty, KeyCode::Enter), Outcome::Closed, "a reason is needed");
    }

    #[test]
    fn a_filter_follows_each_key_and_esc_clears_it() {
        let mut dialog = Dialog::line(Purpose::Filter, "");
        assert_eq!(press(&mut dialog, KeyCode::Char('x')), Outcome::Filter("x".to_owned(), true));
        assert_eq!(press(&mut dialog, KeyCode::Enter), Outcome::Filter("x".to_owned(), false));
        assert_eq!(press(&mut dialog, KeyCode::Esc), Outcome::Filter(String::new(), false));
    }

    #[test]
    fn enter_accepts_a_suggestion_and_leaves_a_question_without_one_open() {
        let question = |id: &str, suggested: Option<&str>| Question {
            id: id.to_owned(),
            text: format!("{id}?"),
            options: vec![Choice { letter: 'A', text: "yes".to_owned() }],
            suggestion: suggested.map(|answer| Suggestion {
                letter: Some('A'),
                why: "simple".to_owned(),
                answer: Some(answer.to_owned()),
            }),
            answer: None,
        };
        let open = vec![question("Q1", Some("A")), question("Q2", None), question("Q3", None)];
        let (session, input) = ("jwt".to_owned(), Input::default());
        let mut dialog = Dialog::Questions(Questions { session, open, at: 0, input });
        let answer = |id: &str, answer: &str| Action::Answer {
            session: "jwt".to_owned(),
            id: id.to_owned(),
            to: format!("{id}?"),
            answer: answer.to_owned(),
        };
        assert_eq!(press(&mut dialog, KeyCode::Enter), Outcome::DoAndStay(answer("Q1", "A")));
        assert_eq!(press(&mut dialog, KeyCode::Enter), Outcome::Open);
        type_in(&mut dialog, "only admins");
        assert_eq!(press(&mut dialog, KeyCode::Enter), Outcome::Do(answer("Q3", "only admins")));
    }
}
