//! What a run that left no usable signal has to say for itself: denied calls, permission mode, and
//! the agent's last words. Without them a human learns only that a file is missing.

use crate::agent::event::one_line;
use crate::agent::outcome::Reported;

/// The most characters of the last words, and of a denied call with its reason.
const LONGEST: usize = 240;

/// Adds to `problem` what may explain it. `by` says what to change so that calls are allowed, `words`
/// is the agent's last text.
pub(super) fn explained(
    problem: &str,
    reported: &Reported,
    by: Option<&str>,
    words: &str,
) -> String {
    let mut text = problem.trim_end_matches('.').to_owned();
    if let Some(denials) = denials(reported, by) {
        text += &format!("; {denials}");
    }
    if let Some(mode) = &reported.permissions {
        text += &format!("; permission mode: {}", one_line(mode, 40));
    }
    let at_end = reported.finished.as_ref().map(|finished| finished.text.as_str());
    let words = at_end.filter(|text| !text.trim().is_empty()).unwrap_or(words);
    let words = one_line(words, LONGEST);
    if !words.is_empty() {
        text += &format!("; the agent said last: {words}");
    }
    text
}

/// How many calls the agent was not allowed to make, with an example and what to change.
pub(super) fn denials(reported: &Reported, by: Option<&str>) -> Option<String> {
    let (counted, last) = &reported.denied;
    let finished = reported.finished.as_ref();
    let count = finished.map_or(0, |finished| finished.denied).max(*counted);
    let example = match (last, finished.and_then(|finished| finished.denied_example.as_ref())) {
        (Some(denied), _) if denied.why.is_empty() => denied.call.clone(),
        (Some(denied), _) => format!("{} ({})", denied.call, denied.why),
        (None, Some(call)) => call.clone(),
        (None, None) => String::new(),
    };
    let calls = if count == 1 { "call was" } else { "calls were" };
    let example = if example.is_empty() { example } else { format!(", such as: {example}") };
    let by = by.map_or_else(String::new, |by| format!("; {by}"));
    (count > 0).then(|| format!("{count} {calls} denied{}{by}", one_line(&example, LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{Denied, Finished};

    #[test]
    fn denied_calls_mode_and_missing_signal_explain_a_missing_signal() {
        let denied = Denied { call: "running touch x".into(), why: "needs approval".into() };
        let finished =
            Finished { denied: 3, text: "I could not\nwrite it.".into(), ..Finished::default() };
        let reported = Reported {
            permissions: Some("default".into()),
            denied: (2, Some(denied)),
            finished: Some(finished),
            ..Reported::default()
        };
        assert_eq!(
            explained("there is no _signal.json", &reported, Some("remove x"), "earlier"),
            "there is no _signal.json; 3 calls were denied, such as: running touch x (needs \
             approval); remove x; permission mode: default; the agent said last: I could not write it."
        );
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        assert_eq!(explained("no signal.", &Reported::default(), None, ""), "no signal");
        let reported = Reported { denied: (1, None), ..Reported::default() };
        assert_eq!(
            explained("no signal", &reported, None, "bye"),
            "no signal; 1 call was denied; the agent said last: bye"
        );
    }
}
