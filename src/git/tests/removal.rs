//! Removing worktrees, and the difference that a branch makes.

use std::path::Path;
use std::process::Command;

use super::Lab;
use crate::git::{Removal, diff, remove_worktree};

/// Runs a line of shell and returns what it prints.
fn sh(folder: &Path, line: &str) -> String {
    let out = Command::new("sh").args(["-c", line]).current_dir(folder).output().unwrap();
    assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[tokio::test]
async fn a_worktree_whose_work_is_on_its_branch_is_removed_and_the_repository_itself_never() {
    let lab = Lab::new();
    let tree = lab.repo.with_file_name("tree");
    let at = tree.display();
    sh(&lab.repo, &format!("git worktree add -q -b jwt {at}"));
    let remove = async || remove_worktree(&lab.repo, &tree, "jwt").await.unwrap();
    sh(&tree, "echo new >new && git add new && git commit -qm new");
    assert_eq!(remove().await, Removal::Removed(None));
    assert!(!tree.exists());
    assert_eq!(remove().await, Removal::Absent);
    sh(&lab.repo, "git rev-parse -q --verify jwt && git show jwt:new");

    // The repository itself is no worktree to be removed.
    assert!(remove_worktree(&lab.repo, &lab.repo, "jwt").await.is_err());
    assert!(lab.repo.join(".git").exists());
}

#[tokio::test]
async fn a_difference_is_what_the_branch_changed_whatever_its_base_did_since() {
    let lab = Lab::new();
    sh(
        &lab.repo,
        "git checkout -qb jwt && echo new >new && git add new && git commit -qm new && git checkout -q -",
    );
    sh(&lab.repo, "echo other >other && git add other && git commit -qm other");
    let base = sh(&lab.repo, "git branch --show-current");
    let found = diff(&lab.repo, base.trim(), "jwt").await.unwrap();
    assert!(found.text.contains("+++ b/new\n") && !found.text.contains("other"), "{}", found.text);
    assert!(!found.is_cut);
    assert!(diff(&lab.repo, "--output=x", "jwt").await.is_err());
}
