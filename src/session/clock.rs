//! What can be known of the wall clock, which anyone may set.

use jiff::{SignedDuration, Timestamp};

/// By how much clocks are corrected in passing.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// Whether the clock has been set back between two looks at it. What was noted by the old time, as
/// the end of a wait, means nothing then.
#[must_use]
pub fn was_set_back(earlier: Timestamp, later: Timestamp) -> bool {
    earlier.duration_since(later) > SLACK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_in_passing_does_not_count() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        assert!(!was_set_back(at(0), at(0)) && !was_set_back(at(0), at(1_000_000)));
        assert!(!was_set_back(at(60), at(0)) && was_set_back(at(61), at(0)));
    }
}
