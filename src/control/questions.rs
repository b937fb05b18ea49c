//! Reading and changing `_qa.md`.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use crate::session::WaitsFor;
use crate::session::qa::{Answer, Qa, Question};
use crate::session::state::Standing;
use crate::session::store::{self, Folder};
use crate::session::utf16::utf16;

use super::error::{Attempt as _, Error, Result};
use super::session::Session;

/// Reads the questions from disk; `None` if there is no `_qa.md`.
///
/// # Errors
/// If the file cannot be read or is not UTF-8.
pub(crate) fn read(folder: &Folder) -> Result<Option<Qa>> {
    let path = folder.qa();
    let Some(bytes) = store::read(&path)? else { return Ok(None) };
    if let Some(text) = utf16(&bytes) {
        return Ok(Some(Qa::parse(text)));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(Qa::parse(text))),
        Err(_) => {
            let message = format!("cannot read the questions: {} is not UTF-8", path.display());
            Err(Error::unavailable(message).hint("save it as UTF-8"))
        }
    }
}

/// What to say of a file in which the human seems to have answered beside the mark that says that
/// nobody has.
pub(crate) fn note(session: &Session) -> Option<String> {
    let state = session.state().ok()?;
    if !matches!(&state.standing, Standing::Waiting { waits_for: WaitsFor::QaAnswers, .. }) {
        return None;
    }
    let qa = read(&session.folder).ok().flatten()?;
    // The agent may have written it like this.
    if state.visit.asked.and_then(|asked| asked.text).is_some_and(|text| text == qa.as_str()) {
        return None;
    }
    let question = qa.questions().iter().find(|question| question.is_overlooked)?;
    Some(format!(
        "{} still says _waiting_: if the words beside or below that are the answer, remove it",
        question.id
    ))
}

/// Puts questions back that were removed while the session waits for their answers, from its journal.
pub(crate) fn put_back(session: &Session) {
    let path = session.folder.qa();
    if path.symlink_metadata().is_ok_and(|meta| meta.len() > 0) {
        return;
    }
    let Ok(state) = session.state() else { return };
    if !matches!(&state.standing, Standing::Waiting { waits_for: WaitsFor::QaAnswers, .. }) {
        return;
    }
    let Some(text) = state.visit.asked.and_then(|asked| asked.text) else { return };
    let (name, file) = (&session.name, path.display());
    session.warnings.add(match store::replace(&path, text.as_bytes()) {
        Ok(()) => format!("{file} was removed: the questions are back, as {name} asked them"),
        Err(error) => format!("{file} was removed, and the questions cannot be put back: {error}"),
    });
}

/// Changes the questions under a lock and returns the result of `change`, which is called again if
/// someone else rewrote the file in between.
///
/// # Errors
/// Those of `change`, and then nothing is written; and those of the disk.
pub(crate) fn edit<T>(folder: &Folder, change: impl Fn(&mut Qa) -> Result<T>) -> Result<T> {
    let path = folder.qa();
    let session =
        File::open(folder.path()).attempt(|| format!("open {}", folder.path().display()))?;
    flock(&session, FlockOperation::LockExclusive)
        .attempt(|| format!("lock {}", folder.path().display()))?;
    loop {
        let found = read(folder)?;
        let before = found
            .clone()
            .ok_or_else(|| Error::unavailable(format!("there is no {}", path.display())))?;
        let mut after = before.clone();
        let done = change(&mut after)?;
        if read(folder)? != found {
            continue;
        }
        if after != before {
            store::replace(&path, after.as_str().as_bytes())?;
        }
        return Ok(done);
    }
}

/// The questions without an answer.
pub(crate) fn open(qa: &Qa) -> Vec<&Question> {
    qa.questions().iter().filter(|question| question.answer == Answer::Waiting).collect()
}

/// All answered questions as text, for a message to the agent.
pub(crate) fn in_words(qa: &Qa) -> String {
    let mut text = String::new();
    for question in qa.questions() {
        if let Answer::Given(answer) = &question.answer {
            let asked = question.text.lines().next().unwrap_or_default();
            text.push_str(&format!("{}: {}\n", question.id, cut(asked)));
            text.push_str(&format!("Answer: {}\n\n", cut(answer)));
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// The most characters of a question or answer quoted in a message; `_qa.md` has the full text.
const LONGEST: usize = 2000;

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{} […]", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "### Q1: Where?\nA) Here\nB) There\n**Suggestion:** A - near\n**Answer:** _waiting_\n\n### Q2: When?\n**Answer:** _waiting_\n";

    #[test]
    fn a_change_that_fails_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        std::fs::write(folder.qa(), TWO).unwrap();
        let failed = edit(&folder, |qa| {
            qa.fill("Q1", "B")?;
            Ok(qa.fill("Q9", "A")?)
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(folder.qa()).unwrap(), TWO);
    }

    #[test]
    fn what_was_written_meanwhile_is_changed_and_not_undone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        std::fs::write(folder.qa(), TWO).unwrap();
        let rewritten = TWO.replace("When?", "When exactly?");
        edit(&folder, |qa| {
            // The first look is at the old text.
            std::fs::write(folder.qa(), &rewritten).unwrap();
            Ok(qa.fill("Q2", "now")?)
        })
        .unwrap();
        let text = std::fs::read_to_string(folder.qa()).unwrap();
        assert!(text.contains("When exactly?") && text.contains("**Answer:** now"), "{text}");
    }

    #[test]
    fn a_file_that_is_not_utf_8_is_left_alone_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        std::fs::write(folder.qa(), b"### Q1: \xff?\n**Answer:** _waiting_\n").unwrap();
        let told = edit(&folder, |qa| Ok(qa.fill("Q1", "x")?)).unwrap_err().to_string();
        assert!(told.contains("_qa.md is not UTF-8"), "{told}");
    }

    #[test]
    fn answers_that_an_editor_saved_as_utf_16_are_read_and_kept_as_utf_8() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        let answered = TWO.replacen("_waiting_", "größer", 1);
        let bytes = [0xfeff].into_iter().chain(answered.encode_utf16());
        std::fs::write(folder.qa(), bytes.flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
        let file = folder.questions().unwrap();
        assert!(file.is_utf8 && file.qa.waiting() == 1);
        edit(&folder, |qa| Ok(qa.fill("Q2", "now")?)).unwrap();
        let text = std::fs::read_to_string(folder.qa()).unwrap();
        assert!(text.contains("größer") && text.contains("**Answer:** now"), "{text}");
    }

    #[test]
    fn questions_and_answers_go_to_the_agent_in_words() {
        let mut qa = Qa::parse(TWO);
        qa.fill("Q1", "b").unwrap();
        assert_eq!(in_words(&qa), "Q1: Where?\nAnswer: B - There");
        let open: Vec<&str> = open(&qa).iter().map(|question| question.id.as_str()).collect();
        assert_eq!(open, ["Q2"]);
    }
}
