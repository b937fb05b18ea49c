//! What a branch changed, as git prints it.

use std::path::Path;
use std::time::Duration;

use super::Error;
use super::command::{STDOUT_KEPT, git_command, run};

/// Longest wait for git to print it.
const LIMIT: Duration = Duration::from_secs(60);

/// A difference in git's own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Whether more was printed than is kept.
    pub is_cut: bool,
}

/// What `branch` changed in `repo` since it began at `base`, a commit or a branch.
///
/// # Errors
/// git's, for what it does not find.
pub async fn diff(repo: &Path, base: &str, branch: &str) -> Result<Diff, Error> {
    for name in [base, branch] {
        if name.is_empty() || name.starts_with('-') {
            return Err(Error::BadBranch(name.to_owned()));
        }
    }
    let doing = format!("compare {branch} with {base}");
    let mut command = git_command(repo);
    command.env("GIT_OPTIONAL_LOCKS", "0").args(["diff", "--no-ext-diff", "--no-textconv"]);
    command.arg("--no-color").arg(format!("{base}...{branch}")).arg("--");
    let finished = run(command, &doing, LIMIT).await?.checked(doing)?;
    Ok(Diff {
        is_cut: finished.stdout.len() >= STDOUT_KEPT,
        text: String::from_utf8_lossy(&finished.stdout).into_owned(),
    })
}

/// The paths that `branch` changed in `repo` since it began at `base`.
///
/// # Errors
/// git's, for what it does not find.
pub async fn changed_paths(repo: &Path, base: &str, branch: &str) -> Result<Vec<String>, Error> {
    for name in [base, branch] {
        if name.is_empty() || name.starts_with('-') {
            return Err(Error::BadBranch(name.to_owned()));
        }
    }
    let doing = format!("list what {branch} changed since {base}");
    let mut command = git_command(repo);
    command.env("GIT_OPTIONAL_LOCKS", "0").args(["diff", "--name-only", "--no-renames", "-z"]);
    command.arg(format!("{base}...{branch}")).arg("--");
    let finished = run(command, &doing, LIMIT).await?.checked(doing)?;
    let paths = finished.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    Ok(paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect())
}
