//! Reviewers that could not review. The verdicts of the others count; a round in which nobody can
//! review waits.

use jiff::Timestamp;

use super::{Assignment, Reviews, shortened};

/// A reviewer of the current round that could not review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Who was to review what.
    pub on: Assignment,
    /// Why it could not.
    pub why: String,
    /// When it may be able to again; `None` if a human has to do something first.
    pub until: Option<Timestamp>,
}

impl Missing {
    /// Who could not review, and why, in a line.
    #[must_use]
    pub fn headline(&self) -> String {
        format!("{} could not review {}: {}", self.on.reviewer, self.on.subject(), self.why)
    }

    /// The same for a human who has to decide.
    pub(super) fn in_short(&self) -> String {
        format!("{} could not review: {}", self.on.reviewer, shortened(&self.why))
    }

    fn is_back(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Reviews {
    /// The reviewers that could not review in the current round.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Whether the round can do without `reviewer` now: another one has given a verdict, or can be
    /// asked for one.
    #[must_use]
    pub fn can_do_without(&self, reviewer: &str, reviewers: &[String], now: Timestamp) -> bool {
        let of = |name: &str| self.missing.iter().find(|missing| missing.on.reviewer == name);
        let mut others = reviewers.iter().filter(|name| *name != reviewer);
        others.any(|name| of(name).is_none_or(|missing| missing.is_back(now)))
    }

    /// When the first of those that are missing may be able to review again.
    #[must_use]
    pub fn first_back(&self) -> Option<Timestamp> {
        self.missing.iter().filter_map(|missing| missing.until).min()
    }

    /// Records at `at` that a reviewer could not review. As long as the round has no verdict, those
    /// that may be able to review by now are asked again.
    pub(in crate::session) fn missed(&mut self, missing: Missing, at: Timestamp) {
        let is_open = self.opinions.is_empty();
        self.missing.retain(|known| {
            known.on.reviewer != missing.on.reviewer && !(is_open && known.is_back(at))
        });
        self.missing.push(missing);
    }

    /// Asks those that could not review again, since a human may have fixed the cause. Once the author
    /// has the verdicts, the next round does that.
    pub(in crate::session) fn ask_again(&mut self) {
        if !self.handed_over {
            self.missing.clear();
        }
    }

    pub(super) fn is_missing(&self, reviewer: &str) -> bool {
        self.missing.iter().any(|missing| missing.on.reviewer == reviewer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{names, review};
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Has one of them be unable to review until `until`, as found at `now`.
    fn miss(reviews: &mut Reviews, reviewer: &str, until: Option<i64>, now: i64) {
        let on = reviews.assign(reviewer, Some("c1".to_owned()));
        let missing = Missing { on, why: "no login".to_owned(), until: until.map(at) };
        reviews.missed(missing, at(now));
    }

    #[test]
    fn the_verdicts_of_the_others_count() {
        let (two, mut reviews) = (names(&["codex", "gemini"]), Reviews::default());
        assert!(reviews.can_do_without("codex", &two, at(0)), "gemini can be asked");
        miss(&mut reviews, "codex", Some(50), 0);
        assert_eq!(reviews.next(&two), Some(&two[1]));
        assert!(!reviews.agree(&two, Some("c1")), "nobody has reviewed it");
        review(&mut reviews, "gemini", "c1", true);
        assert_eq!(reviews.next(&two), None);
        assert!(reviews.agree(&two, Some("c1")) && !reviews.agree(&two, Some("c2")));
        assert_eq!(reviews.missing()[0].headline(), "codex could not review c1, round 1: no login");
        // The next round asks all of them, and no human's start does before that.
        reviews.run_started(None);
        reviews.ask_again();
        assert!(reviews.agree(&two, Some("c1")));
        reviews.next_round(None);
        assert_eq!((reviews.next(&two), reviews.missing()), (Some(&two[0]), &[][..]));
        review(&mut reviews, "codex", "c2", false);
        miss(&mut reviews, "gemini", None, 90);
        assert!(!reviews.agree(&two, Some("c2")), "codex objects");
        let dispute = reviews.dispute(None);
        assert!(dispute.contains(". gemini could not review: no login. The author"), "{dispute}");
    }

    #[test]
    fn a_round_that_nobody_can_review_waits_for_the_first_who_can() {
        let (two, mut reviews) = (names(&["codex", "gemini"]), Reviews::default());
        miss(&mut reviews, "codex", Some(50), 0);
        assert!(!reviews.can_do_without("gemini", &two, at(49)));
        assert_eq!(reviews.first_back(), Some(at(50)));
        assert!(reviews.can_do_without("gemini", &two, at(50)));
        miss(&mut reviews, "gemini", None, 50);
        assert_eq!(reviews.next(&two), Some(&two[0]), "asked again");
        assert!(!reviews.can_do_without("codex", &two, at(999)), "a human has to help gemini");
        assert_eq!(reviews.first_back(), None);
        reviews.retried();
        assert_eq!((reviews.next(&two), reviews.missing().len()), (Some(&two[0]), 0));
        assert!(!reviews.can_do_without("codex", &names(&["codex"]), at(0)), "the only one");
    }

    #[test]
    fn a_verdict_of_one_who_was_missing_counts_again() {
        let (two, mut reviews) = (names(&["codex", "gemini"]), Reviews::default());
        miss(&mut reviews, "codex", Some(50), 0);
        review(&mut reviews, "codex", "c1", false);
        assert!(reviews.missing().is_empty());
        review(&mut reviews, "gemini", "c1", true);
        assert!(!reviews.agree(&two, Some("c1")));
        miss(&mut reviews, "other", Some(1), 2);
        miss(&mut reviews, "another", Some(9), 9);
        assert_eq!(reviews.missing().len(), 2, "the round has verdicts: nobody is asked again");
    }
}
