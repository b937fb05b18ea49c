//! `samocode answer`: fills in `_qa.md`, and has the session go on when no question is left.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::session::WaitsFor;
use crate::session::hook::Hook;
use crate::session::mail::Kind;
use crate::session::qa::{Answer as Given, Qa, QaError, Question};

use super::context::{Context, Usage};
use super::post::{Wait, check_sender, not_waiting, nothing_done, post};
use super::sessions::Session;
use super::{Common, USAGE, output, questions, sessions};

/// Answer the questions a session waits with
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode answer jwt-login                      question by question; Enter takes the suggestion\n  samocode answer jwt-login Q1=A Q2=\"only for admins\"\n  samocode answer jwt-login Q1=B --accept-suggestions\n  samocode answer jwt-login --json               the questions, for programs\n\nAnswers are saved at once; the session goes on when no question is open any more.\n\nExit codes: 0 sent, or saved while others are open; 1 not waiting for answers, nothing done;\n2 usage, no such session or question, or nobody there to be asked; 130 ended by Ctrl-C."
)]
pub(super) struct Answer {
    /// A name, a dated folder name, or an instance
    session: String,
    /// A letter of the question's options, or own words
    #[arg(value_name = "Q1=ANSWER", value_parser = pair)]
    answers: Vec<(String, String)>,
    /// Take what is suggested for all questions that are open and not named
    #[arg(long)]
    accept_suggestions: bool,
    /// Print the questions, or what was done, as JSON
    #[arg(long)]
    json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((id, answer)) if !id.trim().is_empty() => {
            Ok((id.trim().to_owned(), answer.to_owned()))
        }
        _ => Err("an answer is given as Q1=A, or Q1=\"your own words\"".to_owned()),
    }
}

/// How the dialogue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// All questions were asked.
    Through,
    /// By the end of the input.
    Left,
    /// By Ctrl-C.
    Interrupted,
}

impl Answer {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let context = Context::load_for(common, &self.session)?;
        let session = sessions::find(&context, &self.session)?;
        let hook = session.hook()?;
        let qa = questions::read(&session.folder)?.unwrap_or_else(|| Qa::parse(""));
        let asks = self.answers.is_empty() && !self.accept_suggestions;
        let wait = match waits_for_answers(&session, &hook, &qa) {
            Ok(wait) => Some(wait),
            Err(why) if !(asks && self.json) => return Ok(nothing_done(&why)),
            Err(_) => None,
        };
        if asks && self.json {
            output::json(&as_json(&session, &hook, &qa, wait.is_some()))?;
            return Ok(ExitCode::SUCCESS);
        }
        check_sender(&session)?;
        let mut ended = Ended::Through;
        if !asks {
            self.save(&session)?;
        } else if !questions::open(&qa).is_empty() {
            if !output::is_interactive() {
                return Ok(list(&session, &qa));
            }
            ended = dialogue(&session, &qa).await?;
        }
        let finished = self.finish(&context, &session, wait.as_ref()).await?;
        Ok(if ended == Ended::Interrupted { ExitCode::from(INTERRUPTED) } else { finished })
    }

    /// Fills in what was given, all of it or nothing.
    fn save(&self, session: &Session) -> anyhow::Result<()> {
        let saved = questions::edit(&session.folder, |qa| {
            let mut saved = Vec::new();
            for (id, answer) in &self.answers {
                saved.push((id.to_uppercase(), qa.fill(id, answer).map_err(usage)?));
            }
            if self.accept_suggestions {
                saved.extend(qa.accept_suggestions().map_err(usage)?);
            }
            Ok(saved)
        })?;
        if !self.json {
            questions::tell_saved(&saved);
        }
        Ok(())
    }

    /// Sends the answers if none is missing, and says what is.
    async fn finish(
        &self,
        context: &Context,
        session: &Session,
        wait: Option<&Wait>,
    ) -> anyhow::Result<ExitCode> {
        let qa = questions::read(&session.folder)?.unwrap_or_else(|| Qa::parse(""));
        let open = questions::open(&qa);
        let sent = if qa.waiting() == 0 {
            let body = questions::in_words(&qa);
            Some(post(context, session, Kind::Answer, &body, wait).await?)
        } else {
            None
        };
        if self.json {
            let open: Vec<&str> = open.iter().map(|question| question.id.as_str()).collect();
            output::json(&json!({ "session": session.name, "open": open, "sent": sent }))?;
            return Ok(ExitCode::SUCCESS);
        }
        match sent {
            Some(sent) => sent.tell("Sent."),
            None if open.is_empty() => say!(
                "Saved. {} answers are waited for outside of any question: fill them in in {}, then: samocode answer {}",
                qa.waiting(),
                session.folder.qa().display(),
                session.instance
            ),
            None => say!(
                "Saved. Still open: {}. Go on with: samocode answer {}",
                questions::names(&open),
                session.instance
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

fn usage(error: QaError) -> anyhow::Error {
    Usage(error.to_string()).into()
}

/// The wait that answers would end, or why there is none.
fn waits_for_answers(session: &Session, hook: &Hook, qa: &Qa) -> Result<Wait, String> {
    let Some(wait) = Wait::of(hook) else {
        return Err(not_waiting(session, hook, " for answers"));
    };
    // An answer would open any gate, so at another one than that of the questions it is refused.
    let elsewhere = !wait.phase.is_gate() && !questions::open(qa).is_empty();
    if wait.waits_for != WaitsFor::QaAnswers && !elsewhere {
        return Err(not_waiting(session, hook, " for answers"));
    }
    if qa.questions().is_empty() && qa.waiting() == 0 {
        return Err(format!(
            "{} waits for answers, but there is no question in {}: say it with samocode send {} \"…\".",
            session.name,
            session.folder.qa().display(),
            session.instance
        ));
    }
    Ok(wait)
}

/// Prints what is open, for one who cannot be asked.
fn list(session: &Session, qa: &Qa) -> ExitCode {
    for question in questions::open(qa) {
        questions::show(question);
        say!();
    }
    let example = questions::open(qa).first().map_or_else(|| "Q1".to_owned(), |q| q.id.clone());
    output::error(&format!(
        "not a terminal, so nobody is asked: answer with samocode answer {} {example}=…, or --accept-suggestions",
        session.instance
    ));
    ExitCode::from(USAGE)
}

/// Asks one question after the other and saves each answer at once.
async fn dialogue(session: &Session, qa: &Qa) -> anyhow::Result<Ended> {
    let mut input = BufReader::new(tokio::io::stdin());
    for question in questions::open(qa) {
        questions::show(question);
        loop {
            let words = match ask(&mut input, question).await? {
                Ok(words) => words,
                Err(ended) => {
                    say!();
                    return Ok(ended);
                }
            };
            if is_keys(&words) {
                output::note("an arrow or another key is no answer: type a letter or own words");
                continue;
            }
            let answer = match (words.trim(), question.suggested()) {
                ("", Some(suggested)) => suggested,
                // Enter without a suggestion leaves it open.
                ("", None) => break,
                (words, _) => words.to_owned(),
            };
            match save_one(session, question, &answer) {
                Ok(()) => break,
                Err(error) if error.is::<QaError>() => output::note(&error.to_string()),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Ended::Through)
}

/// Whether a line holds what keys send that type nothing: the terminal hands arrows through.
fn is_keys(line: &str) -> bool {
    line.trim().chars().any(|c| c.is_control() && c != '\t')
}

/// Prompts for a line; the end of the input and Ctrl-C end the dialogue.
async fn ask(
    input: &mut BufReader<tokio::io::Stdin>,
    question: &Question,
) -> anyhow::Result<Result<String, Ended>> {
    let default = match &question.suggestion {
        Some((Some(letter), _)) => format!("[{letter}] "),
        Some((None, _)) => "[as suggested] ".to_owned(),
        None => String::new(),
    };
    say_on!("    {default}▸ ");
    let mut line = Vec::new();
    let read = tokio::select! {
        read = input.read_until(b'\n', &mut line) => read?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            return Ok(Err(Ended::Interrupted));
        }
    };
    if read == 0 {
        return Ok(Err(Ended::Left));
    }
    Ok(Ok(String::from_utf8_lossy(&line).into_owned()))
}

/// Fills in one answer, if the question is still the one that was shown.
fn save_one(session: &Session, shown: &Question, answer: &str) -> anyhow::Result<()> {
    questions::edit(&session.folder, |qa| {
        let is_same = |question: &&Question| question.id == shown.id && question.text == shown.text;
        if !qa.questions().iter().any(|question| is_same(&question)) {
            anyhow::bail!(
                "{} was changed in {} meanwhile: look at it with samocode answer {}",
                shown.id,
                session.folder.qa().display(),
                session.instance
            );
        }
        qa.fill(&shown.id, answer)?;
        Ok(())
    })
}

fn as_json(session: &Session, hook: &Hook, qa: &Qa, waiting: bool) -> Value {
    let questions: Vec<Value> = qa
        .questions()
        .iter()
        .map(|question| {
            let options: Vec<Value> = question
                .options
                .iter()
                .map(|(letter, text)| json!({ "letter": letter, "text": text }))
                .collect();
            let suggestion = question.suggestion.as_ref().map(|(letter, why)| {
                json!({ "letter": letter, "why": why, "answer": question.suggested() })
            });
            let answer = match &question.answer {
                Given::Waiting => None,
                Given::Given(words) => Some(words),
            };
            json!({
                "id": question.id,
                "text": question.text,
                "options": options,
                "suggestion": suggestion,
                "answer": answer,
            })
        })
        .collect();
    json!({
        "session": session.name,
        "instance": session.instance,
        "state": hook.state,
        "waiting": waiting,
        "open": qa.waiting(),
        "questions": questions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_types_nothing_is_told_from_words() {
        for keys in ["\u{1b}[A\n", "no \u{1b}[D\n", "\u{1b}OP", "a\u{7}b"] {
            assert!(is_keys(keys), "{keys:?}");
        }
        for words in ["\n", "B\r\n", "own words,\tcafé\n", ""] {
            assert!(!is_keys(words), "{words:?}");
        }
    }

    #[test]
    fn an_answer_is_parted_at_its_first_equals_sign() {
        assert_eq!(pair("Q1=a=b").unwrap(), ("Q1".to_owned(), "a=b".to_owned()));
        assert_eq!(pair("1=A").unwrap(), ("1".to_owned(), "A".to_owned()));
        assert!(pair("A").is_err() && pair("=A").is_err());
    }
}
