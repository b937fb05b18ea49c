//! The time formats of session files, all in local time and shared with the Python samocode.

use jiff::Zoned;

use super::phase::Phase;

/// `MM-DD-HH:mm`, the start of an artifact's file name; the prompt's `TIMESTAMP_FILE`.
#[must_use]
pub fn file(at: &Zoned) -> String {
    at.strftime("%m-%d-%H:%M").to_string()
}

/// `MM-DD HH:MM`, as in `Started:`; the prompt's `TIMESTAMP_LOG`.
#[must_use]
pub fn log(at: &Zoned) -> String {
    at.strftime("%m-%d %H:%M").to_string()
}

/// `[NNN @ MM-DD HH:MM]`, the start of a flow-log line; the prompt's `TIMESTAMP_ITERATION`.
#[must_use]
pub fn iteration(iteration: u32, at: &Zoned) -> String {
    format!("[{iteration:03} @ {}]", log(at))
}

/// `YYYY-MM-DD HH:MM:SS`, the timestamp of `_signal_history.jsonl`.
#[must_use]
pub fn history(at: &Zoned) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `MM-DD-HHMM-NNN-PHASE.jsonl`, the agent's raw stream in `_logs/`.
#[must_use]
pub fn log_file(iteration: u32, phase: Phase, at: &Zoned) -> String {
    format!("{}-{iteration:03}-{phase}.jsonl", at.strftime("%m-%d-%H%M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_the_documented_one() {
        let at = jiff::civil::date(2026, 1, 2).at(3, 4, 5, 678_000_000);
        let at = at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(1))).unwrap();
        assert_eq!(file(&at), "01-02-03:04");
        assert_eq!(log(&at), "01-02 03:04");
        assert_eq!(iteration(7, &at), "[007 @ 01-02 03:04]");
        assert_eq!(iteration(1234, &at), "[1234 @ 01-02 03:04]");
        assert_eq!(history(&at), "2026-01-02 03:04:05");
        assert_eq!(log_file(42, Phase::Testing, &at), "01-02-0304-042-testing.jsonl");
    }
}
