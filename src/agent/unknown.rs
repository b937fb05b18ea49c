//! What a decoder met and does not know: a sign that the program is newer than the one this version
//! was tried with, or another one.

use std::collections::BTreeMap;

use super::event::one_line;

/// How many different names are kept.
const MAX_NAMES: usize = 16;

/// Lines that are not of the program's format.
pub const NOT_JSON: &str = "lines that are not JSON";

/// Counts of what was unknown, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unknown(BTreeMap<String, u64>);

impl Unknown {
    /// Counts one of this name.
    pub fn note(&mut self, name: &str) {
        if let Some(count) = self.0.get_mut(name) {
            *count = count.saturating_add(1);
            return;
        }
        let name = if self.0.len() < MAX_NAMES { one_line(name, 60) } else { "others".to_owned() };
        let count = self.0.entry(name).or_default();
        *count = count.saturating_add(1);
    }

    /// Counts the names that are not among those known of something: `field mood of turn`.
    pub fn note_fields<'a>(
        &mut self,
        about: &str,
        names: impl IntoIterator<Item = &'a str>,
        known: &[&str],
    ) {
        for name in names.into_iter().filter(|name| !known.contains(name)) {
            self.note(&format!("field {name} of {about}"));
        }
    }

    /// The names and how often each came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Whether everything was known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names and counts in words: `turn.paused (3), item sketch (1)`.
    #[must_use]
    pub fn describe(&self) -> String {
        let each = self.iter().map(|(name, count)| format!("{name} ({count})"));
        each.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_and_bounded() {
        let mut unknown = Unknown::default();
        assert!(unknown.is_empty());
        for _ in 0..3 {
            unknown.note("turn.paused");
        }
        unknown.note("item\nsketch");
        assert_eq!(unknown.describe(), "item sketch (1), turn.paused (3)");
        (0..100).for_each(|n| unknown.note(&n.to_string()));
        assert_eq!(unknown.iter().count(), MAX_NAMES + 1);
        assert_eq!(unknown.iter().map(|(_, count)| count).sum::<u64>(), 104);
    }
}
