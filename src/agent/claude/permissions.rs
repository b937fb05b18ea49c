//! Settings of Claude Code that deny the calls of an unattended run, whatever flags it is given.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where an administrator's settings are: <https://code.claude.com/docs/en/settings>. Each system has
/// one of them.
const MANAGED: &[&str] = &[
    "/etc/claude-code/managed-settings.json",
    "/Library/Application Support/ClaudeCode/managed-settings.json",
];

/// The settings file that turns off the mode in which nobody has to approve a call, if one does.
/// `own` is the program's configuration folder.
pub(super) fn without_bypass(own: Option<&Path>) -> Option<PathBuf> {
    let own = own.map(|folder| folder.join("settings.json"));
    MANAGED.iter().map(PathBuf::from).chain(own).find(|file| denies(file))
}

fn denies(file: &Path) -> bool {
    let settings = fs::read(file).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let switch = settings.as_ref().map(|all| &all["permissions"]["disableBypassPermissionsMode"]);
    switch.and_then(Value::as_str) == Some("disable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_turns_off_the_mode_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.json");
        let found = || without_bypass(Some(folder.path()));
        assert_eq!(found(), None);
        for (text, denies) in [
            ("{}", false),
            (r#"{"permissions":{"disableBypassPermissionsMode":"enable"}}"#, false),
            (r#"{"permissions":{"disableBypassPermissionsMode":"disable"}}"#, true),
            ("not JSON", false),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(found(), denies.then(|| file.clone()), "{text}");
        }
    }
}
