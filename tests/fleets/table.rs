//! Rows of the table, and the numbers in them.

use std::fmt;
use std::time::Duration;

/// A figure with its bound.
pub(crate) struct Row {
    pub(crate) figure: String,
    pub(crate) bound: String,
    pub(crate) measured: String,
    /// What a loop of the single verb took.
    pub(crate) one_by_one: Option<Duration>,
    /// `None` where there is no bound.
    pub(crate) reached: Option<bool>,
}

impl Row {
    /// A time that may be at most so long.
    pub(crate) fn time(figure: impl Into<String>, took: Duration, most: Duration) -> Self {
        Self {
            figure: figure.into(),
            bound: format!("≤ {}", Time(most)),
            measured: Time(took).to_string(),
            one_by_one: None,
            reached: Some(took <= most),
        }
    }

    /// A count that must be what it is meant to be.
    pub(crate) fn count(figure: impl Into<String>, found: usize, expected: usize) -> Self {
        Self {
            figure: figure.into(),
            bound: expected.to_string(),
            measured: found.to_string(),
            one_by_one: None,
            reached: Some(found == expected),
        }
    }

    /// A count that may be at most so large.
    pub(crate) fn at_most(figure: impl Into<String>, found: usize, most: usize) -> Self {
        let row = Self::count(figure, found, most);
        Self { bound: format!("≤ {most}"), reached: Some(found <= most), ..row }
    }

    pub(crate) fn beside(self, one_by_one: Duration) -> Self {
        Self { one_by_one: Some(one_by_one), ..self }
    }

    pub(crate) fn is_reached(&self) -> bool {
        self.reached != Some(false)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_by_one = self.one_by_one.map(|took| Time(took).to_string()).unwrap_or_default();
        let reached = match self.reached {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        let Self { figure, bound, measured, .. } = self;
        write!(f, "| {figure} | {bound} | {measured} | {one_by_one} | {reached} |")
    }
}

/// A time with its unit.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= Duration::from_secs(1) {
            write!(f, "{:.2} s", self.0.as_secs_f64())
        } else {
            write!(f, "{:.1} ms", self.0.as_secs_f64() * 1000.0)
        }
    }
}

/// The value that so many of a hundred do not exceed.
pub(crate) fn percentile(mut values: Vec<Duration>, of_hundred: usize) -> Duration {
    values.sort_unstable();
    let at = (values.len() * of_hundred).div_ceil(100).saturating_sub(1);
    values.get(at).copied().unwrap_or_default()
}
