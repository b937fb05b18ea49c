//! `samocode approve` and `samocode reject`: a human's word at a gate.

use std::process::ExitCode;

use clap::Args;

use crate::session::WaitsFor;
use crate::session::mail::Kind;
use crate::session::qa::Qa;

use super::context::{Context, Usage};
use super::post::{Sent, Wait, check_sender, not_waiting, nothing_done, post};
use super::sessions::Session;
use super::{Common, output, questions, sessions};

/// Open the gate a session waits at; with open questions: take its suggestions
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode approve jwt-login\n  samocode approve jwt-login -m \"but keep the old endpoint for a release\"\n\nA session that waits outside of a gate, for something you were to do, is told that it is done.\n\nExit codes: 0 sent, also when it was sent before; 1 the session is not waiting, nothing done;\n2 usage or no such session."
)]
pub(super) struct Approve {
    /// A name, a dated folder name, or an instance
    session: String,
    /// Words for the agent
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Send back what a session waits for to be approved, with the reason
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode reject jwt-login -m \"no new dependency for this: use what is there\"\n\nExit codes: 0 sent, 1 the session is not waiting, nothing done, 2 usage or no such session."
)]
pub(super) struct Reject {
    /// A name, a dated folder name, or an instance
    session: String,
    /// What is to be done otherwise
    #[arg(short, long, value_name = "TEXT")]
    message: String,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

impl Approve {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let context = Context::load_for(common, &self.session)?;
        let session = sessions::find(&context, &self.session)?;
        check_sender(&session)?;
        let hook = session.hook()?;
        let Some(wait) = Wait::of(&hook) else {
            return Ok(nothing_done(&not_waiting(&session, &hook, "")));
        };
        let mut body = self.message.as_deref().unwrap_or_default().trim().to_owned();
        if wait.waits_for == WaitsFor::QaAnswers {
            let taken = take_suggestions(&session)?;
            if !self.json {
                questions::tell_saved(&taken);
            }
            // All answers, not those taken just now: an approval that was cut off after it had
            // taken them is given again, and says the same.
            let answers = questions::read(&session.folder).ok().flatten();
            let answers = answers.map(|qa| questions::in_words(&qa)).unwrap_or_default();
            if !answers.is_empty() {
                body = format!("{body}\n\nThe answers are:\n\n{answers}").trim().to_owned();
            }
        }
        let sent = post(&context, &session, Kind::Approve, &body, Some(&wait)).await?;
        tell(&sent, self.json, "Approved.")
    }
}

impl Reject {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let context = Context::load_for(common, &self.session)?;
        let session = sessions::find(&context, &self.session)?;
        check_sender(&session)?;
        let reason = self.message.trim();
        if reason.is_empty() {
            return Err(Usage(format!(
                "the agent needs to know why: samocode reject {} -m \"…\"",
                session.name
            ))
            .into());
        }
        let hook = session.hook()?;
        let Some(wait) = Wait::of(&hook) else {
            return Ok(nothing_done(&not_waiting(&session, &hook, "")));
        };
        let sent = post(&context, &session, Kind::Reject, reason, Some(&wait)).await?;
        tell(&sent, self.json, "Sent back.")
    }
}

fn tell(sent: &Sent, json: bool, done: &str) -> anyhow::Result<ExitCode> {
    if json {
        output::json(sent)?;
    } else {
        sent.tell(done);
    }
    Ok(ExitCode::SUCCESS)
}

/// Fills the suggestions in where answers are waited for. Where that cannot be done the approval
/// stands all the same: agents know what it means for open questions. What was taken for which
/// question.
fn take_suggestions(session: &Session) -> anyhow::Result<Vec<(String, String)>> {
    match questions::read(&session.folder) {
        Ok(Some(qa)) if qa.waiting() > 0 => {}
        Ok(_) => return Ok(Vec::new()),
        Err(error) => {
            output::note(&format!("the questions stay as they are: {error}"));
            return Ok(Vec::new());
        }
    }
    let (taken, left) =
        questions::edit(&session.folder, |qa| Ok((fill_suggestions(qa)?, qa.waiting())))?;
    if left > 0 {
        output::note(&format!(
            "{left} of the questions in {} had no suggestion; the agent decides",
            session.folder.qa().display()
        ));
    }
    Ok(taken)
}

/// Unlike [`Qa::accept_suggestions`] this is content with those there are.
fn fill_suggestions(qa: &mut Qa) -> anyhow::Result<Vec<(String, String)>> {
    let open: Vec<_> = questions::open(qa)
        .into_iter()
        .filter_map(|question| Some((question.id.clone(), question.suggested()?)))
        .collect();
    for (id, answer) in &open {
        qa.fill(id, answer)?;
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_takes_the_suggestions_there_are() {
        let mut qa = Qa::parse(
            "### Q1: Where?\nA) Here\nB) There\n**Suggestion:** B - far\n**Answer:** _waiting_\n\n\
             ### Q2: When?\n**Answer:** _waiting_\n\n### Q3: Who?\n**Answer:** me\n",
        );
        let taken = fill_suggestions(&mut qa).unwrap();
        assert_eq!(taken, [("Q1".to_owned(), "B - There".to_owned())]);
        assert_eq!(qa.waiting(), 1);
        assert!(qa.as_str().contains("**Answer:** B - There\n") && qa.as_str().contains("me\n"));
    }
}
