//! Settings of Claude Code that deny the calls of an unattended run, whatever flags it is given.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::session::store;

/// Where an administrator's settings are: <https://code.claude.com/docs/en/settings>. Each system has
/// one of them.
pub(super) const MANAGED: &[&str] = &[
    "/etc/claude-code/managed-settings.json",
    "/Library/Application Support/ClaudeCode/managed-settings.json",
];

/// Those of a project, in its folder.
const PROJECTS: [&str; 2] = [".claude/settings.json", ".claude/settings.local.json"];

/// The settings file that turns off the mode in which nobody has to approve a call, if one does.
/// `own` is the program's configuration folder, `folders` are those that agents work in.
pub(super) fn without_bypass(own: Option<&Path>, folders: &[PathBuf]) -> Option<PathBuf> {
    let own = own.map(|folder| folder.join("settings.json"));
    let local = folders.iter().flat_map(|folder| PROJECTS.map(|file| folder.join(file)));
    MANAGED.iter().map(PathBuf::from).chain(own).chain(local).find(|file| denies(file))
}

fn denies(file: &Path) -> bool {
    // An agent can put anything in its place, such as a FIFO.
    let text = store::read(file).ok().flatten();
    let settings = text.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let switch = settings.as_ref().map(|all| &all["permissions"]["disableBypassPermissionsMode"]);
    switch.and_then(Value::as_str) == Some("disable")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_setting_that_turns_off_the_mode_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.json");
        let found = || without_bypass(Some(folder.path()), &[]);
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
        for name in ["settings.json", "settings.local.json"] {
            let worktree = tempfile::tempdir().unwrap();
            let own = worktree.path().join(".claude").join(name);
            fs::create_dir(own.parent().unwrap()).unwrap();
            fs::write(&own, r#"{"permissions":{"disableBypassPermissionsMode":"disable"}}"#)
                .unwrap();
            let folders = [folder.path().to_owned(), worktree.path().to_owned()];
            assert_eq!(without_bypass(Some(folder.path()), &folders), Some(own));
        }
    }
}
