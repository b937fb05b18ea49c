//! `samocode answer`: fills in `_qa.md`, and resumes the session once no question is open.

use std::process::ExitCode;

use clap::Args;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::control::answers::{self, Answered, Question, Questions, Suggestion};
use crate::control::{Class, Error};

use super::format::count;
use super::run::INTERRUPTED;
use super::{Common, complete, output, questions};

/// Answer the questions a session is waiting on
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode answer jwt-login                      one question at a time; Enter accepts the suggestion\n  samocode answer jwt-login Q1=A Q2=\"only for admins\"\n  samocode answer jwt-login Q1=B --accept-suggestions\n  samocode answer jwt-login --json               the questions, for programs\n\nEach answer is saved at once. The session resumes when no question is left open.\n\nExit codes: 0 sent, or saved while others are open; 1 not waiting for answers, nothing done;\n2 usage, no such session or question, or not a terminal; 130 ended by Ctrl-C."
)]
pub(in crate::cli) struct Answer {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// The letter of an option, or your own words
    #[arg(value_name = "Q1=ANSWER", value_parser = pair)]
    answers: Vec<(String, String)>,
    /// Accept the suggestions for all open questions that are not answered here
    #[arg(long)]
    accept_suggestions: bool,
    /// Print the questions, or the result, as JSON
    #[arg(long)]
    json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((id, answer)) if !id.trim().is_empty() => {
            Ok((id.trim().to_owned(), answer.to_owned()))
        }
        _ => Err("write an answer as Q1=A, or Q1=\"your own words\"".to_owned()),
    }
}

/// How the dialogue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// All questions were asked.
    Through,
    /// The input ended before the questions did.
    Left,
    /// Ctrl-C was pressed; the answers so far are saved.
    Interrupted,
}

impl Answer {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let asks = self.answers.is_empty() && !self.accept_suggestions;
        let mut ended = Ended::Through;
        if asks {
            let asked = common.call(Questions { session: self.session.clone() }).await?;
            if self.json {
                output::json(&asked)?;
                return Ok(ExitCode::SUCCESS);
            }
            if let Some(refusal) = asked.refusal {
                return Err(refusal.into());
            }
            let open: Vec<&Question> = open(&asked.questions).collect();
            if !open.is_empty() {
                if !output::is_interactive() {
                    return list(&open, &asked.instance);
                }
                ended = self.dialogue(common, &open).await?;
            }
        }
        let answers = self.answers.into_iter();
        let answers =
            answers.map(|(id, answer)| answers::Answer { id, answer, to: None }).collect();
        let (session, accept_suggestions) = (self.session, self.accept_suggestions);
        let call = answers::Answers { session, answers, accept_suggestions, hold: false };
        let answered = common.call(call).await?;
        if self.json {
            output::json(&answered)?;
        } else {
            report(common, &answered);
        }
        let interrupted = ended == Ended::Interrupted;
        Ok(if interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
    }

    /// Asks one question after the other and saves each answer at once.
    async fn dialogue(&self, common: &Common, open: &[&Question]) -> anyhow::Result<Ended> {
        let mut input = BufReader::new(tokio::io::stdin());
        for question in open {
            questions::show(question);
            loop {
                let words = match ask(&mut input, question).await? {
                    Ok(words) => words,
                    Err(ended) => {
                        outln!();
                        return Ok(ended);
                    }
                };
                if is_keys(&words) {
                    output::note("arrow keys do nothing here: type a letter, or your own words");
                    continue;
                }
                let suggested = question.suggestion.as_ref().and_then(|one| one.answer.clone());
                let answer = match (words.trim(), suggested) {
                    ("", Some(suggested)) => suggested,
                    // Enter without a suggestion leaves it open.
                    ("", None) => break,
                    (words, _) => words.to_owned(),
                };
                let (id, to) = (question.id.clone(), Some(question.text.clone()));
                let saved = common.call(answers::Answers {
                    session: self.session.clone(),
                    answers: vec![answers::Answer { id, answer, to }],
                    accept_suggestions: false,
                    hold: true,
                });
                match saved.await.map_err(|error| error.downcast::<Error>()) {
                    Ok(_) => break,
                    // Not an answer to this question, so ask it again.
                    Err(Ok(error)) if error.class == Class::Usage => {
                        output::note(&error.in_one_line());
                    }
                    Err(Ok(error)) => return Err(error.into()),
                    Err(Err(error)) => return Err(error),
                }
            }
        }
        Ok(Ended::Through)
    }
}

fn open(questions: &[Question]) -> impl Iterator<Item = &Question> {
    questions.iter().filter(|question| question.answer.is_none())
}

fn report(common: &Common, answered: &Answered) {
    questions::tell_saved(&answered.saved);
    let file = &answered.file;
    let again = common.command(&format!("samocode answer {}", answered.instance));
    match &answered.sent {
        Some(sent) => questions::tell_sent(sent, "Sent."),
        None if answered.open.is_empty() => outln!(
            "Saved. Still missing, outside any question: {}. Fill in {file}, then run: {again}",
            count(answered.elsewhere, "answer", "answers")
        ),
        None => outln!("Saved. Still open: {}. Continue with: {again}", answered.open.join(", ")),
    }
}

/// Prints the open questions where there is no terminal to ask them on.
fn list(open: &[&Question], instance: &str) -> anyhow::Result<ExitCode> {
    for question in open {
        questions::show(question);
        outln!();
    }
    let example = open.first().map_or("Q1", |question| question.id.as_str());
    Err(Error::usage("cannot ask questions: not a terminal")
        .hint(format!(
            "answer with: samocode answer {instance} {example}=…, or --accept-suggestions"
        ))
        .into())
}

/// Whether a line contains control characters, as sent by arrow keys.
fn is_keys(line: &str) -> bool {
    line.trim().chars().any(|c| c.is_control() && c != '\t')
}

/// Prompts for a line. End of input and Ctrl-C end the dialogue.
async fn ask(
    input: &mut BufReader<tokio::io::Stdin>,
    question: &Question,
) -> anyhow::Result<Result<String, Ended>> {
    let default = match &question.suggestion {
        Some(Suggestion { letter: Some(letter), .. }) => format!("[{letter}] "),
        Some(_) => "[as suggested] ".to_owned(),
        None => String::new(),
    };
    out!("    {default}▸ ");
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
