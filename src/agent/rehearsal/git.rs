//! The few git operations that the rehearsal needs.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn git(work: &Path, args: &[&str]) -> Option<Output> {
    Command::new("git")
        .arg("-C")
        .arg(work)
        .args(args)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_EDITOR", "true")
        .stdin(Stdio::null())
        .output()
        .ok()
}

fn says(work: &Path, args: &[&str]) -> Option<String> {
    let output = git(work, args).filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether the folder is in a repository, and git is installed.
pub(super) fn is_repository(work: &Path) -> bool {
    says(work, &["rev-parse", "--is-inside-work-tree"]).as_deref() == Some("true")
}

/// How many files git tracks here.
pub(super) fn count_files(work: &Path) -> Option<usize> {
    says(work, &["ls-files"]).map(|list| list.lines().count())
}

/// Commits one path; `false` if it has no changes.
pub(super) fn commit(work: &Path, path: &str, message: &str) -> Result<bool, String> {
    // Of a sparse checkout git takes files that are not listed only if told to.
    let is_sparse =
        says(work, &["config", "--bool", "core.sparseCheckout"]).as_deref() == Some("true");
    let sparse = is_sparse.then_some("--sparse");
    let add: Vec<&str> = ["add"].into_iter().chain(sparse).chain(["--", path]).collect();
    run(work, &add)?;
    if git(work, &["diff", "--cached", "--quiet", "--", path])
        .is_some_and(|out| out.status.success())
    {
        return Ok(false);
    }
    let mut args = Vec::new();
    if says(work, &["config", "user.email"]).is_none_or(|email| email.is_empty()) {
        args.extend(["-c", "user.name=samocode", "-c", "user.email=samocode@localhost"]);
    }
    args.extend(["commit", "-q", "-m", message, "--", path]);
    run(work, &args).map(|()| true)
}

fn run(work: &Path, args: &[&str]) -> Result<(), String> {
    let verb = args.iter().find(|arg| matches!(**arg, "add" | "commit")).unwrap_or(&"");
    let output = git(work, args).ok_or_else(|| format!("git {verb} could not be started"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Err(format!("git {verb} failed in {}: {line}", work.display()))
}
