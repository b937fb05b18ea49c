//! Whether there was a desktop lately. On a machine that never has one, nobody looks for a notice there;
//! where one has just crashed, or somebody has logged out, notices are kept for the next.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/desktop-seen     when it last took a notice, about
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

/// How long a desktop is expected to come back: as long as notices are kept.
const LATELY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How exact the file is. It need not be written for each notice.
const ABOUT: SignedDuration = SignedDuration::from_hours(1);

/// The note of when there was a desktop.
#[derive(Debug, Clone)]
pub(super) struct Seen(PathBuf);

impl Seen {
    /// The note in a user's state folder.
    pub(super) fn of(state: &Path) -> Self {
        Self(state.join("desktop-seen"))
    }

    /// Notes that there is one now. That it cannot be written does no harm.
    pub(super) fn note(&self, now: Timestamp) {
        if self.is_within(ABOUT, now) {
            return;
        }
        if let Some(folder) = self.0.parent() {
            let _ = fs::create_dir_all(folder);
        }
        let _ = fs::write(&self.0, now.to_string());
    }

    /// Whether there was one lately.
    pub(super) fn is_recent(&self, now: Timestamp) -> bool {
        self.is_within(LATELY, now)
    }

    fn is_within(&self, span: SignedDuration, now: Timestamp) -> bool {
        let at = fs::read_to_string(&self.0).ok().and_then(|text| text.trim().parse().ok());
        at.is_some_and(|at: Timestamp| now.duration_since(at).abs() < span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desktop_is_expected_back_for_a_week() {
        let state = tempfile::tempdir().unwrap();
        let seen = Seen::of(&state.path().join("new"));
        let now: Timestamp = "2026-11-20T17:00:00Z".parse().unwrap();
        let hours = |hours| now + SignedDuration::from_hours(hours);
        assert!(!seen.is_recent(now), "there was none");
        seen.note(now);
        assert!(seen.is_recent(now) && seen.is_recent(hours(6 * 24)));
        assert!(!seen.is_recent(hours(8 * 24)));
        seen.note(hours(6 * 24));
        assert!(seen.is_recent(hours(8 * 24)));
    }
}
