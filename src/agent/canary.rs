//! Programs that are newer than the version this samocode was tested with: what their output has
//! that the decoders do not know is counted here, for `doctor`, and said by the worker.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/canaries/AGENT.json
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::unknown::Unknown;
use crate::session::store::{self, StoreError};

/// The most names that are kept of a program.
const MAX_NAMES: usize = 50;

/// What was met in the output of one version of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Met {
    /// The version, as the program prints it.
    pub version: String,
    /// What was unknown, and how often it came.
    pub unknown: BTreeMap<String, u64>,
}

impl Met {
    /// What is recorded of the agent in `state`, the folder of data that sessions share.
    #[must_use]
    pub fn read(state: &Path, agent: &str) -> Self {
        let bytes = store::read(&file(state, agent)).ok().flatten().unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Adds what a run met. A count that two sessions write at once may lose one of them.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(state: &Path, agent: &str, version: &str, met: &Unknown) -> Result<(), StoreError> {
        let mut all = Self::read(state, agent);
        if all.version != version {
            all = Self { version: version.to_owned(), ..Self::default() };
        }
        for (name, times) in met.iter() {
            if all.unknown.len() < MAX_NAMES || all.unknown.contains_key(name) {
                let count = all.unknown.entry(name.to_owned()).or_default();
                *count = count.saturating_add(times);
            }
        }
        let path = file(state, agent);
        store::make_folder(path.parent().unwrap_or(state))?;
        store::replace_derived(&path, &serde_json::to_vec_pretty(&all).unwrap_or_default())
    }

    /// The names with their counts: `event sketch (3), field mood of result (1)`.
    #[must_use]
    pub fn describe(&self) -> String {
        let each = self.unknown.iter().map(|(name, times)| format!("{name} ({times})"));
        each.collect::<Vec<_>>().join(", ")
    }
}

fn file(state: &Path, agent: &str) -> PathBuf {
    state.join("canaries").join(format!("{agent}.json"))
}

/// Whether a version that a program prints is newer than the one it was tested with. Without a
/// number it counts as newer: it is at least another one.
#[must_use]
pub fn is_newer(printed: &str, tested: &str) -> bool {
    match (numbers(printed), numbers(tested)) {
        (Some(printed), Some(tested)) => printed > tested,
        _ => true,
    }
}

/// Whether a version that a program prints is older than the one it was tested with.
#[must_use]
pub fn is_older(printed: &str, tested: &str) -> bool {
    numbers(printed).is_some_and(|printed| Some(printed) < numbers(tested))
}

/// The first number with dots in a text: `codex-cli 0.171.0` has 0, 171 and 0.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let mut words = text.split(|c: char| !is_part(c)).map(|word| word.trim_matches('.'));
    let word = words.find(|word| word.contains('.'))?;
    word.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::REGISTRY;

    #[test]
    fn versions_are_compared_number_by_number_whatever_is_around_them() {
        for (printed, tested, newer) in [
            ("2.1.329 (Claude Code)", "2.1.329", false),
            ("2.1.197 (Claude Code)", "2.1.329", false),
            ("2.1.1000 (Claude Code)", "2.1.329", true),
            ("2.2", "2.1.329", true),
            ("codex-cli 0.171.0", "0.171.0", false),
            ("codex-cli 0.172.0-alpha.3", "0.171.0", true),
            ("v1.0.0", "0.61.0", true),
            ("0.61.0", "0.61.0", false),
            ("nightly", "0.61.0", true),
            ("99999999999999999999.1", "0.61.0", true),
        ] {
            assert_eq!(is_newer(printed, tested), newer, "{printed} {tested}");
        }
        assert!(is_older("2.1.197 (Claude Code)", "2.1.329") && is_older("1.9", "2.1.329"));
        assert!(!is_older("2.1.329", "2.1.329") && !is_older("2.1.1000", "2.1.329"));
        assert!(!is_older("nightly", "2.1.329"));
    }

    #[test]
    fn what_runs_met_adds_up_until_the_version_changes() {
        let state = tempfile::tempdir().unwrap();
        let met = |names: &[&str]| {
            let mut unknown = Unknown::default();
            names.iter().for_each(|name| unknown.note(name));
            unknown
        };
        let add = |version, names: &[&str]| {
            Met::add(state.path(), "claude", version, &met(names)).unwrap();
            Met::read(state.path(), "claude")
        };
        assert_eq!(Met::read(state.path(), "claude"), Met::default());
        add("2.2", &["event sketch"]);
        assert_eq!(add("2.2", &["event sketch", "x"]).describe(), "event sketch (2), x (1)");
        let newer = add("2.3", &["y"]);
        assert_eq!((newer.version.as_str(), newer.describe().as_str()), ("2.3", "y (1)"));
        std::fs::write(file(state.path(), "claude"), "torn {").unwrap();
        assert_eq!(Met::read(state.path(), "claude"), Met::default());
        let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        for names in many.chunks(10) {
            add("2.4", &names.iter().map(String::as_str).collect::<Vec<_>>());
        }
        assert_eq!(Met::read(state.path(), "claude").unknown.len(), MAX_NAMES);
    }

    #[test]
    fn the_versions_that_were_tested_are_those_that_the_tests_run() {
        for (agent, pinned) in [
            ("claude", include_str!("../../tests/lab/claude/package.json")),
            ("codex", include_str!("../../tests/lab/codex/package.json")),
            ("gemini", include_str!("../../tests/lab/gemini/package.json")),
        ] {
            let tested = REGISTRY.spec(agent).unwrap().tested().unwrap();
            assert!(pinned.contains(&format!("\": \"{tested}\"")), "{agent} {tested}");
        }
    }
}
