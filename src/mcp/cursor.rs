//! The cursor of a wait: which sessions were reported in which states, so that a wait for several
//! does not report the same one again.

use crate::control::wait::Mark;
use crate::control::{Error, Result};

/// Between the marks, and between the parts of each: neither occurs in an instance, a state or a
/// time.
const BETWEEN: char = ' ';
const PARTS: char = '@';

/// The marks in a cursor that an earlier result had.
pub(super) fn parse(cursor: Option<&str>) -> Result<Vec<Mark>> {
    let cursor = cursor.unwrap_or_default();
    cursor.split_whitespace().map(|mark| self::mark(mark).ok_or_else(|| unknown(cursor))).collect()
}

/// The cursor for these marks; one mark a session.
pub(super) fn of(marks: &[Mark]) -> String {
    let marks = marks.iter().map(|mark| {
        let since = mark.since.map_or_else(String::new, |since| since.to_string());
        format!("{}{PARTS}{}{PARTS}{since}", mark.instance, mark.state)
    });
    marks.collect::<Vec<_>>().join(&BETWEEN.to_string())
}

/// Adds what was reported now; an earlier mark of the same session is void.
pub(super) fn with(mut marks: Vec<Mark>, reported: Mark) -> Vec<Mark> {
    marks.retain(|mark| mark.instance != reported.instance);
    marks.push(reported);
    marks
}

fn mark(text: &str) -> Option<Mark> {
    let mut parts = text.split(PARTS);
    let (instance, state, since) = (parts.next()?, parts.next()?, parts.next()?);
    let state = serde_json::from_value(state.into()).ok()?;
    let since = if since.is_empty() { None } else { Some(since.parse().ok()?) };
    Some(Mark { instance: instance.to_owned(), state, since })
}

fn unknown(cursor: &str) -> Error {
    Error::usage(format!("cannot wait from the cursor '{cursor}': it is not one of ours"))
        .hint("pass the cursor of the last session_wait as it was, or none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::state::StateName;

    fn mark(instance: &str, state: StateName, since: Option<&str>) -> Mark {
        let since = since.map(|since| since.parse().unwrap());
        Mark { instance: instance.to_owned(), state, since }
    }

    #[test]
    fn a_cursor_comes_back_as_the_marks_it_was_made_of() {
        let marks = [
            mark("jwt", StateName::Done, Some("2026-11-20T17:04:11.25Z")),
            mark("search--shop", StateName::Waiting, None),
        ];
        assert_eq!(parse(Some(&of(&marks))).unwrap(), marks);
        assert_eq!(parse(None).unwrap(), []);
        assert_eq!(parse(Some("")).unwrap(), []);
    }

    #[test]
    fn a_session_has_one_mark_its_last() {
        let first = mark("jwt", StateName::Waiting, None);
        let last = mark("jwt", StateName::Done, None);
        assert_eq!(with(vec![first], last.clone()), [last]);
    }

    #[test]
    fn a_made_up_cursor_is_refused_with_what_to_do() {
        for cursor in ["latest", "jwt@working@", "jwt@done@yesterday"] {
            let error = parse(Some(cursor)).unwrap_err();
            assert!(error.message.contains(cursor) && error.hint.is_some(), "{error:?}");
        }
    }
}
