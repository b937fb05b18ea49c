//! `_qa.md` as the verbs show and change it.

use std::fs::File;

use anyhow::{Context as _, anyhow, bail};
use rustix::fs::{FlockOperation, flock};

use crate::session::describe::harmless;
use crate::session::qa::{Answer, Qa, Question};
use crate::session::store::{self, Folder};

use super::output;

/// The questions, as they are on disk now; `None` where no agent has asked any.
///
/// # Errors
/// When the file cannot be read, or is not UTF-8.
pub(super) fn read(folder: &Folder) -> anyhow::Result<Option<Qa>> {
    let path = folder.qa();
    let Some(bytes) = store::read(&path)? else { return Ok(None) };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(Qa::parse(text))),
        Err(_) => bail!("cannot answer: {} is not UTF-8: save it as UTF-8", path.display()),
    }
}

/// Changes the questions and returns what `change` does. It may be called again, when the file
/// was rewritten meanwhile; others who answer at the same time wait.
///
/// # Errors
/// What `change` says, then nothing is written; and what is in the way on disk.
pub(super) fn edit<T>(
    folder: &Folder,
    change: impl Fn(&mut Qa) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let path = folder.qa();
    let session = File::open(folder.path())
        .with_context(|| format!("cannot open {}", folder.path().display()))?;
    flock(&session, FlockOperation::LockExclusive)
        .with_context(|| format!("cannot lock {}", folder.path().display()))?;
    loop {
        let found = read(folder)?;
        let before = found.clone().ok_or_else(|| anyhow!("there is no {}", path.display()))?;
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

/// The questions that wait for an answer.
pub(super) fn open(qa: &Qa) -> Vec<&Question> {
    qa.questions().iter().filter(|question| question.answer == Answer::Waiting).collect()
}

/// Their ids: `Q2, Q3`.
pub(super) fn names(open: &[&Question]) -> String {
    open.iter().map(|question| question.id.as_str()).collect::<Vec<_>>().join(", ")
}

/// As many columns as options may take to stand in one line.
const WIDE: usize = 76;

/// Prints a question, its options and what is suggested.
pub(super) fn show(question: &Question) {
    let mut lines = question.text.lines().map(plain);
    let first = lines.next().unwrap_or_default();
    say!("{}  {first}", output::painted(output::BOLD, &question.id));
    for line in lines {
        say!("    {line}");
    }
    let options: Vec<String> = question
        .options
        .iter()
        .map(|(letter, text)| format!("{letter}) {}", plain(text)))
        .collect();
    let one_line = options.join("   ");
    if one_line.chars().count() <= WIDE && !options.is_empty() {
        say!("    {one_line}");
    } else {
        options.iter().for_each(|option| say!("    {option}"));
    }
    if let Some((letter, why)) = &question.suggestion {
        let why = plain(why);
        let text = match letter {
            Some(letter) if why.is_empty() => letter.to_string(),
            Some(letter) => format!("{letter}, {why}"),
            None => why,
        };
        say!("    {}", output::painted(output::DIM, format!("suggested: {text}")));
    }
}

/// Says what was filled in for which question.
pub(super) fn tell_saved(saved: &[(String, String)]) {
    for (id, answer) in saved {
        say!("{}  {}", output::painted(output::BOLD, id), plain(answer));
    }
}

/// Questions and answers in words, for the agent's mail.
pub(super) fn in_words(qa: &Qa) -> String {
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

/// The most of a question or an answer that is put into mail; `_qa.md` has all of it.
const LONGEST: usize = 2000;

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{} […]", &text[..end]),
    }
}

/// Text of an agent as it may go to a terminal: without what would steer it.
pub(super) fn plain(text: &str) -> String {
    harmless(&text.replace('\n', " ")).into_owned()
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
    fn answers_are_told_in_words_and_what_would_steer_a_terminal_is_not_shown() {
        let mut qa = Qa::parse(TWO);
        qa.fill("Q1", "b").unwrap();
        assert_eq!(in_words(&qa), "Q1: Where?\nAnswer: B - There");
        assert_eq!(names(&open(&qa)), "Q2");
        assert_eq!(plain("a\u{1b}]0;x\nb\u{202e}"), "a␛]0;x b\u{fffd}");
    }
}
