//! What a run cost, from what agents report.

use super::event::Cost;

/// What a run cost, in US dollars, given the total the conversation had reported before it
/// (`None` for a conversation's first run).
///
/// Current versions of Claude Code report totals that accumulate over the resumed runs of a
/// conversation; older versions report each run alone. Only current ones also report each result's
/// own share, which tells the two apart. A total includes what an earlier run spent after its last
/// report (after SIGTERM; after SIGKILL it is lost), so the difference is preferred to the share.
/// The share is the minimum, in case the total restarted from zero.
#[must_use]
pub fn difference(before: Option<f64>, reported: Cost) -> f64 {
    let cost = match reported.own {
        None => reported.total,
        Some(own) => (reported.total - before.unwrap_or(0.0)).max(own),
    };
    if cost.is_finite() { cost.max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn totals_that_run_on_are_not_counted_twice() {
        assert_close(difference(None, Cost { total: 0.0034, own: Some(0.0034) }), 0.0034);
        assert_close(difference(Some(0.0034), Cost { total: 0.0068, own: Some(0.0034) }), 0.0034);
    }

    #[test]
    fn what_a_terminated_run_spent_is_in_the_next_difference() {
        assert_close(difference(Some(0.0), Cost { total: 0.0051, own: Some(0.0034) }), 0.0051);
    }

    #[test]
    fn totals_of_older_versions_stand_for_themselves() {
        assert_close(difference(Some(0.5), Cost { total: 0.6, own: None }), 0.6);
    }

    #[test]
    fn a_restarted_count_and_nonsense_cost_no_less_than_nothing() {
        assert_close(difference(Some(9.0), Cost { total: 0.2, own: Some(0.2) }), 0.2);
        assert_close(difference(Some(1.0), Cost { total: f64::NAN, own: None }), 0.0);
        assert_close(difference(None, Cost { total: -4.0, own: None }), 0.0);
    }
}
