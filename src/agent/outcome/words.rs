//! The end of a run in words, where its stream has none.

use super::{Facts, ProcessExit};
use crate::agent::event::{Finished, one_line};

/// What is known about an error without a text: the last line of the standard error output, else the
/// words and the status that the agent itself used for it.
pub(super) fn unspoken(finished: &Finished, facts: &Facts<'_>) -> String {
    // A success that is an error says nothing.
    let subtype = Some(&finished.subtype).filter(|subtype| subtype.starts_with("error"));
    let words = subtype.into_iter().chain(&finished.terminal_reason).chain(&finished.error_kind);
    let status = finished.api_status.map(|status| format!("HTTP status {status}"));
    let all: Vec<String> = words.cloned().chain(status).collect();
    if all.is_empty() || last_line(facts).is_some() {
        return last_words(facts);
    }
    one_line(&format!("the agent reported {}, and no more", all.join(", ")), 400)
}

fn last_line<'a>(facts: &Facts<'a>) -> Option<&'a str> {
    facts.stderr_tail.lines().map(str::trim).rfind(|line| !line.is_empty())
}

/// What programs say about an option that they do not know.
const UNKNOWN_OPTION: &[&str] = &[
    "unexpected argument",
    "unknown argument",
    "unknown option",
    "unrecognized option",
    "unrecognized argument",
    "unknown flag",
];

/// The line that refuses an option, which means that the program is older, or another, than the one
/// that samocode knows. Often a usage message follows it.
fn refused_option<'a>(facts: &Facts<'a>) -> Option<&'a str> {
    let is_refusal = |line: &&str| {
        let line = line.to_ascii_lowercase();
        UNKNOWN_OPTION.iter().any(|words| line.contains(words))
    };
    facts.stderr_tail.lines().map(str::trim).find(is_refusal)
}

/// What is known about a run that ended as if all were well and reported nothing.
pub(super) fn without_result(facts: &Facts<'_>) -> String {
    let why = "it exited without reporting a result";
    let Some(line) = last_line(facts) else { return why.to_owned() };
    let said = format!("{why}; it printed last: {}", one_line(line, 300));
    if facts.reported.started { said } else { format!("{said} ({ANOTHER})") }
}

/// What to do about a program that is none of this agent's, or of a version too old.
pub(crate) const ANOTHER: &str = "another program, or too old a version? Update it, or set its path; samocode doctor shows what it is";

/// The last line of the standard error output, else the bare fact.
pub(super) fn last_words(facts: &Facts<'_>) -> String {
    if let Some(line) = refused_option(facts).filter(|_| !facts.reported.started) {
        return format!("{} ({ANOTHER})", one_line(line, 300));
    }
    match (last_line(facts), facts.exit) {
        (Some(line), _) => one_line(line, 300),
        (None, ProcessExit::Code(code)) => {
            format!("it exited with code {code} and printed no error")
        }
        (None, ProcessExit::Signal(signal)) => format!("it was ended by signal {signal}"),
    }
}
