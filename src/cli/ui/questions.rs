//! Questions and answers as a terminal shows them.

use crate::control::answers::Question;
use crate::control::post::{Saved, Sent};
use crate::session::describe::harmless;

use super::output;

/// Options that fit into this many columns are shown on one line.
const WIDE: usize = 76;

/// Prints a question, its options and the suggested answer.
pub(in crate::cli) fn show(question: &Question) {
    let mut lines = question.text.lines().map(plain);
    let first = lines.next().unwrap_or_default();
    outln!("{}  {first}", output::painted(output::BOLD, &question.id));
    for line in lines {
        outln!("    {line}");
    }
    let options: Vec<String> = question
        .options
        .iter()
        .map(|option| format!("{}) {}", option.letter, plain(&option.text)))
        .collect();
    let one_line = options.join("   ");
    if one_line.chars().count() <= WIDE && !options.is_empty() {
        outln!("    {one_line}");
    } else {
        options.iter().for_each(|option| outln!("    {option}"));
    }
    if let Some(suggestion) = &question.suggestion {
        let why = plain(&suggestion.why);
        let text = match suggestion.letter {
            Some(letter) if why.is_empty() => letter.to_string(),
            Some(letter) => format!("{letter}, {why}"),
            None => why,
        };
        outln!("    {}", output::painted(output::DIM, format!("suggested: {text}")));
    }
}

/// Prints each saved answer with its question's id.
pub(in crate::cli) fn tell_saved(saved: &[Saved]) {
    for Saved { id, answer } in saved {
        outln!("{}  {}", output::painted(output::BOLD, id), plain(answer));
    }
}

/// Prints the outcome of a message. `done` is the action: `Sent.`
pub(in crate::cli) fn tell_sent(sent: &Sent, done: &str) {
    let name = output::painted(output::BOLD, &sent.session);
    outln!("{done} {name} {}", sent.outcome);
}

/// Agent text made safe for a terminal: control characters and escape sequences are replaced.
pub(in crate::cli) fn plain(text: &str) -> String {
    harmless(&text.replace('\n', " ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_an_agent_do_not_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}]0;x\nb\u{202e}"), "a␛]0;x b\u{fffd}");
    }
}
