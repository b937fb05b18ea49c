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
/// `own` is the program's configuration folder, `repository` the one that sessions work on: what is
/// committed there is in every worktree.
pub(super) fn without_bypass(own: Option<&Path>, repository: Option<&Path>) -> Option<PathBuf> {
    let own = own.map(|folder| folder.join("settings.json"));
    let shared = repository.map(|folder| folder.join(".claude/settings.json"));
    MANAGED.iter().map(PathBuf::from).chain(own).chain(shared).find(|file| denies(file))
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
        let found = || without_bypass(Some(folder.path()), None);
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
        let repository = tempfile::tempdir().unwrap();
        let committed = repository.path().join(".claude/settings.json");
        fs::create_dir(committed.parent().unwrap()).unwrap();
        fs::write(&committed, r#"{"permissions":{"disableBypassPermissionsMode":"disable"}}"#)
            .unwrap();
        assert_eq!(without_bypass(Some(folder.path()), Some(repository.path())), Some(committed));
    }
}
