//! An environment as a value, so that code which depends on it can be tested without the process's
//! own.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// A set of environment variables. Its `Debug` shows names only: values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Env(BTreeMap<OsString, OsString>);

impl Env {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// Apart, so that the program has it once and not for each kind of iterator.
    fn of(variables: Vec<(OsString, OsString)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// The value of a variable; an empty one is treated as unset.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable if it is UTF-8 and not empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(OsStr::to_str)
    }

    /// Sets a variable, replacing any earlier value.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Sets a variable unless it has a value.
    pub fn set_default(&mut self, name: &str, value: impl Into<OsString>) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }

    /// Removes a variable, if it is set.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(OsStr::new(name));
    }

    /// All variables in the order of their names.
    pub fn iter(&self) -> btree_map::Iter<'_, OsString, OsString> {
        self.0.iter()
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self::of(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<N: Into<OsString>, V: Into<OsString>> Extend<(N, V)> for Env {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, variables: I) {
        self.0.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}

impl IntoIterator for Env {
    type Item = (OsString, OsString);
    type IntoIter = btree_map::IntoIter<OsString, OsString>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Env {
    type Item = (&'a OsString, &'a OsString);
    type IntoIter = btree_map::Iter<'a, OsString, OsString>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_names_and_no_values() {
        let env = Env::from_iter([("ANTHROPIC_API_KEY", "sk-ant-secret")]);
        let shown = format!("{env:?}");
        assert!(shown.contains("ANTHROPIC_API_KEY") && !shown.contains("sk-ant"), "{shown}");
    }

    #[test]
    fn an_empty_variable_is_treated_as_unset() {
        let mut env = Env::from_iter([("A", "")]);
        assert_eq!(env.get("A"), None);
        env.set_default("A", "x");
        assert_eq!(env.text("A"), Some("x"));
    }
}
