//! Settings that affect commits, read by git itself: no other program reads its files the same way
//! (its own system file, conditions, environment variables).

use std::collections::HashMap;
use std::path::Path;

use super::checks::ASK_LIMIT;
use super::command::{git_command, run};

/// All settings of a repository, by key in lower case; the last value wins. A key without a value
/// maps to `None`.
#[derive(Debug, Default)]
pub(super) struct Settings {
    values: HashMap<String, Option<String>>,
    /// Whether the shared settings name a working tree, which `extensions.worktreeConfig` would
    /// make count in all of them.
    names_worktree: bool,
}

impl Settings {
    /// Asks git. `None` if it cannot tell, or reports no repository: there is none, it belongs to
    /// another user, or git is older than 2.26.
    pub(super) async fn read(folder: &Path) -> Option<Self> {
        let mut command = git_command(folder);
        command.args(["config", "-z", "--show-scope", "--list"]);
        let doing = format!("read the git settings of {}", folder.display());
        let asked = run(command, &doing, ASK_LIMIT).await.ok()?.checked(doing).ok()?;
        Self::parse(&asked.stdout)
    }

    /// `SCOPE`, NUL, the key, then a line feed and the value if it has one, NUL, and so on.
    fn parse(listed: &[u8]) -> Option<Self> {
        let mut fields = listed.split(|byte| *byte == 0);
        let (mut settings, mut in_repository) = (Self::default(), false);
        while let (Some(scope), Some(entry)) = (fields.next(), fields.next()) {
            in_repository |= scope == b"local";
            let entry = String::from_utf8_lossy(entry);
            let (key, value) = match entry.split_once('\n') {
                Some((key, value)) => (key, Some(value.to_owned())),
                None => (entry.as_ref(), None),
            };
            let key = key.to_lowercase();
            settings.names_worktree |= scope == b"local"
                && (key == "core.worktree" || (key == "core.bare" && is_on(value.as_ref())));
            settings.values.insert(key, value);
        }
        in_repository.then_some(settings)
    }

    /// Whether they prove that a commit will work: author and committer are configured, git makes
    /// up neither of them, nothing is signed, and no worktree is sent elsewhere.
    pub(super) fn are_enough(&self) -> bool {
        let variable = |name: &str| std::env::var(name).ok();
        self.name_who_commits(variable)
            && !self.may_be_on("commit.gpgsign")
            && !(self.names_worktree && self.may_be_on("extensions.worktreeconfig"))
    }

    fn name_who_commits(&self, variable: impl Fn(&str) -> Option<String>) -> bool {
        let set = |key: &str| self.values.get(key).cloned().flatten();
        let is_given = |who: &str, what: &str| {
            // In git's own order; a variable that is set but empty is an error.
            let named = variable(&format!("GIT_{who}_{what}").to_uppercase())
                .or_else(|| set(&format!("{who}.{what}")))
                .or_else(|| set(&format!("user.{what}")))
                .or_else(|| variable("EMAIL").filter(|_| what == "email"));
            // git strips dots, quotes and the like from both ends, and requires something to be
            // left.
            named.is_some_and(|text| text.chars().any(char::is_alphanumeric))
        };
        ["author", "committer"].iter().all(|who| {
            is_given(who, "name")
                && is_given(who, "email")
                && variable(&format!("GIT_{who}_DATE").to_uppercase()).is_none()
        })
    }

    /// Whether a worktree may have other settings than the repository itself.
    pub(super) fn depend_on_worktree(&self) -> bool {
        self.values.keys().any(|key| key.starts_with("includeif."))
            || self.may_be_on("extensions.worktreeconfig")
    }

    fn may_be_on(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| is_on(value.as_ref()))
    }
}

/// Whether git may read a value as true; a key without a value is.
fn is_on(value: Option<&String>) -> bool {
    let value = value.map(|value| value.to_lowercase());
    !value.is_some_and(|value| matches!(value.as_str(), "" | "0" | "no" | "off" | "false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(listed: &str) -> Settings {
        let listed = format!("local\0core.bare\nfalse\0{listed}");
        Settings::parse(listed.as_bytes()).unwrap()
    }

    const WHO: &str = "global\0user.name\nT\0global\0user.email\nt@example.org\0";

    #[test]
    fn only_what_is_named_for_both_author_and_committer_is_enough() {
        let names = |listed: &str, variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
            settings(listed)
                .name_who_commits(|name| find(name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(names(WHO, &[]));
        assert!(!names("", &[]));
        assert!(!names("global\0user.name\nT\0", &[]));
        assert!(names("global\0user.name\nT\0", &[("EMAIL", "t@example.org")]));
        assert!(!names("global\0author.name\nT\0global\0author.email\nt@x\0", &[]));
        assert!(!names(WHO, &[("GIT_COMMITTER_NAME", "")]));
        assert!(!names(WHO, &[("GIT_AUTHOR_DATE", "yesterday")]));
        assert!(!names("global\0user.name\n.\0global\0user.email\nt@x\0", &[]));
        assert!(!names(&format!("{WHO}local\0user.name\n\0"), &[]));
    }

    #[test]
    fn a_signature_and_what_differs_between_worktrees_are_looked_at_closely() {
        let is_on = |listed: &str| settings(listed).may_be_on("commit.gpgsign");
        assert!(is_on("local\0commit.gpgsign\ntrue\0"));
        assert!(is_on("local\0commit.gpgsign\0"), "a key alone means true");
        assert!(is_on("local\0commit.gpgsign\nmaybe\0"));
        assert!(!is_on("local\0commit.gpgsign\ntrue\0local\0commit.gpgsign\noff\0"));
        assert!(!is_on(""));
        assert!(settings("global\0includeif.gitdir:~/work/.path\nwork\0").depend_on_worktree());
        assert!(settings("local\0extensions.worktreeconfig\ntrue\0").depend_on_worktree());
        assert!(!settings(WHO).depend_on_worktree());
    }

    #[test]
    fn settings_of_no_repository_tell_nothing() {
        assert!(Settings::parse(WHO.as_bytes()).is_none());
        assert!(Settings::parse(b"").is_none());
    }
}
