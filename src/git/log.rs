//! The commits of a branch.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;
use super::command::{git_command, run};

/// Longest wait for git to list them.
const LIMIT: Duration = Duration::from_secs(60);

/// The most commits listed, the newest ones.
const MOST: usize = 1000;

/// A commit, as a list of commits shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its shortened id.
    pub id: String,
    /// The first line of its message. Bytes that are not UTF-8 are replaced.
    pub title: String,
    /// When it was committed.
    pub at: Timestamp,
}

/// The commits of `branch` in `repo` that `base`, a commit or a branch, does not have, oldest first:
/// at most the newest 1,000.
///
/// # Errors
/// git's, for what it does not find.
pub async fn commits(repo: &Path, base: &str, branch: &str) -> Result<Vec<Commit>, Error> {
    for name in [base, branch] {
        if name.is_empty() || name.starts_with('-') {
            return Err(Error::BadBranch(name.to_owned()));
        }
    }
    let doing = format!("list the commits of {branch} since {base}");
    let mut command = git_command(repo);
    command.env("GIT_OPTIONAL_LOCKS", "0");
    command.args(["log", "--no-color", "--no-show-signature", "--reverse", "-z"]);
    command.arg(format!("--max-count={MOST}")).arg("--format=%h%x09%ct%x09%s");
    command.arg(format!("{base}..{branch}")).arg("--");
    let finished = run(command, &doing, LIMIT).await?.checked(doing)?;
    let text = String::from_utf8_lossy(&finished.stdout);
    Ok(text.split('\0').filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Commit> {
    let mut parts = line.trim_start_matches('\n').splitn(3, '\t');
    let (id, at, title) = (parts.next()?, parts.next()?, parts.next()?);
    let at = Timestamp::from_second(at.parse().ok()?).ok()?;
    Some(Commit { id: id.to_owned(), title: title.to_owned(), at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::tests::Lab;

    #[tokio::test]
    async fn commits_of_a_branch_come_in_their_order() {
        let repo = Lab::new();
        let base = repo.git(&["rev-parse", "HEAD"]);
        repo.git(&["checkout", "-q", "-b", "jwt"]);
        for title in ["Read\ttokens", "Write tokens: 'ü'"] {
            repo.git(&["commit", "-q", "--allow-empty", "-m", title]);
        }
        let found = commits(&repo.repo, &base, "jwt").await.unwrap();
        let titles: Vec<&str> = found.iter().map(|commit| commit.title.as_str()).collect();
        assert_eq!(titles, ["Read\ttokens", "Write tokens: 'ü'"]);
        assert!(commits(&repo.repo, "HEAD", "HEAD").await.unwrap().is_empty());
        assert!(commits(&repo.repo, &base, "--all").await.is_err());
        assert!(commits(&repo.repo, &base, "none").await.is_err());
    }
}
