//! A worktree whose HEAD is not on the session's branch: commits made there are not part of the
//! session's result.

use serde::{Deserialize, Serialize};

/// Where HEAD is while it is not on the session's branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// The session's branch, where HEAD should be.
    pub branch: String,
    /// The branch that HEAD is on instead; absent if it is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// The commit that HEAD is at, in short; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// How many of HEAD's commits the session's branch lacks; absent if that branch no longer
    /// exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacking: Option<usize>,
    /// Whether the two have no commit in common, so that git merges them only with an option of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unrelated: bool,
    /// The ref that keeps commits which no branch has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// Whether a rebase is in progress, which has to end before HEAD can be moved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rebasing: bool,
}

impl Elsewhere {
    /// Whether the session's branch lacks commits that HEAD has, so that the session must not end.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.lacking != Some(0)
    }

    /// Describes it in a sentence without a full stop.
    #[must_use]
    pub fn describe(&self) -> String {
        let branch = &self.branch;
        let place = match (&self.on, &self.commit) {
            (Some(on), _) => format!("on branch '{on}'"),
            (None, Some(commit)) => format!("detached at {commit}"),
            (None, None) => "on no branch".to_owned(),
        };
        let kept = self.kept.as_ref().map_or_else(String::new, |kept| format!(" (kept as {kept})"));
        if self.on.as_ref() == Some(branch) {
            return format!("branch '{branch}', which HEAD is on, is gone or names another{kept}");
        }
        let place = if self.rebasing { format!("{place} in an unfinished rebase") } else { place };
        let lacking = match self.lacking {
            Some(0) => format!("'{branch}' has all of its commits"),
            Some(1) => format!("1 commit is missing from '{branch}'{kept}"),
            Some(count) => format!("{count} commits are missing from '{branch}'{kept}"),
            None => format!("branch '{branch}' no longer exists{kept}"),
        };
        format!("HEAD is {place}, not on '{branch}': {lacking}")
    }

    /// The git commands that bring the commits onto the session's branch; each to follow `git` or
    /// `git -C FOLDER`.
    #[must_use]
    pub fn remedy(&self) -> Vec<String> {
        let branch = &self.branch;
        let source = self.on.as_ref().or(self.kept.as_ref()).or(self.commit.as_ref());
        if self.rebasing {
            return vec!["rebase --continue".to_owned()];
        }
        if self.on.as_ref() == Some(branch) {
            // Makes the branch again, and leaves the files as they are.
            let from = self.kept.as_ref().or(self.commit.as_ref());
            let from = from.map_or("COMMIT", String::as_str);
            return vec![format!("update-ref --no-deref refs/heads/{branch} {from}")];
        }
        match (self.lacking, &self.on, source) {
            (None, Some(on), _) => vec![format!("branch -m {on} {branch}")],
            (None, None, _) => vec![format!("switch -c {branch}")],
            (Some(0), ..) | (_, _, None) => vec![format!("switch {branch}")],
            (Some(_), _, Some(source)) => {
                let anyway = if self.unrelated { "--allow-unrelated-histories " } else { "" };
                vec![format!("switch {branch}"), format!("merge {anyway}{source}")]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(on: Option<&str>, lacking: Option<usize>, kept: Option<&str>) -> Elsewhere {
        Elsewhere {
            branch: "t".into(),
            on: on.map(str::to_owned),
            commit: Some("c0ffee1".into()),
            lacking,
            unrelated: false,
            kept: kept.map(str::to_owned),
            rebasing: false,
        }
    }

    #[test]
    fn it_says_where_head_is_and_what_the_branch_lacks() {
        for (elsewhere, said, remedy) in [
            (
                at(Some("other"), Some(1), None),
                "HEAD is on branch 'other', not on 't': 1 commit is missing from 't'",
                "switch t; merge other",
            ),
            (
                at(None, Some(2), Some("refs/samocode/kept/t/c0ffee1")),
                "HEAD is detached at c0ffee1, not on 't': 2 commits are missing from 't' (kept as refs/samocode/kept/t/c0ffee1)",
                "switch t; merge refs/samocode/kept/t/c0ffee1",
            ),
            (
                at(Some("other"), None, None),
                "HEAD is on branch 'other', not on 't': branch 't' no longer exists",
                "branch -m other t",
            ),
            (
                Elsewhere { unrelated: true, ..at(Some("other"), Some(1), None) },
                "HEAD is on branch 'other', not on 't': 1 commit is missing from 't'",
                "switch t; merge --allow-unrelated-histories other",
            ),
            (
                Elsewhere { rebasing: true, ..at(None, Some(1), None) },
                "HEAD is detached at c0ffee1 in an unfinished rebase, not on 't': 1 commit is missing from 't'",
                "rebase --continue",
            ),
            (
                at(Some("t"), None, Some("refs/samocode/kept/t/c0ffee1")),
                "branch 't', which HEAD is on, is gone or names another (kept as refs/samocode/kept/t/c0ffee1)",
                "update-ref --no-deref refs/heads/t refs/samocode/kept/t/c0ffee1",
            ),
            (
                at(None, Some(0), None),
                "HEAD is detached at c0ffee1, not on 't': 't' has all of its commits",
                "switch t",
            ),
        ] {
            assert_eq!(elsewhere.describe(), said);
            assert_eq!(elsewhere.remedy().join("; "), remedy);
            assert_eq!(elsewhere.has_work(), elsewhere.lacking != Some(0));
        }
    }
}
