//! Programs that an agent makes its repository name, which our git must not run.

use super::*;

#[tokio::test]
async fn our_git_runs_no_program_that_the_repository_names() {
    let lab = Lab::new();
    lab.commit("x.big", "content\n");
    lab.create("t").await.unwrap();
    let path = lab.path("t");
    let trap = lab.root().join("trap");
    let ran = lab.root().join("ran");
    let script = format!("#!/bin/sh\necho \"$0 $*\" >>{}\nexit 1\n", ran.display());
    let program = |path: &Path| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &script).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program(&trap);
    // What an agent may do in its worktree.
    for key in [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.askPass",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
    ] {
        lab.git(&["config", key, trap.to_str().unwrap()]);
    }
    lab.git(&["config", "filter.evil.required", "true"]);
    lab.git(&["config", "extensions.worktreeConfig", "true"]);
    std::fs::write(
        lab.repo.join(".git/worktrees/t/config.worktree"),
        format!("[core]\n\tfsmonitor = {0}\n\thooksPath = {1}\n", trap.display(), path.display()),
    )
    .unwrap();
    for hook in ["reference-transaction", "post-checkout", "post-index-change", "pre-auto-gc"] {
        program(&path.join(hook));
        program(&lab.repo.join(".git/hooks").join(hook));
    }
    std::fs::write(path.join(".gitattributes"), "* filter=evil diff=evil\n").unwrap();
    std::fs::write(path.join("x.big"), "CONTENT\n").unwrap();

    assert!(changed_files(&path).await.unwrap() > 0);
    super::confirm::confirm(&path, &lab.repo, None).await.unwrap();
    head(&path).unwrap();
    commits_of(&path, "t", "main").unwrap();
    commits_work(&path).await;
    check(&path).await.unwrap();
    let lost = git(&path, &["commit-tree", "-m", "x", "-p", "HEAD", "HEAD^{tree}"]);
    let repo = git2::Repository::open(&path).unwrap();
    repo.set_head_detached(git2::Oid::from_str(&lost).unwrap()).unwrap();
    assert!(elsewhere(&path, "t").await.unwrap().unwrap().kept.is_some());
    let said = std::fs::read_to_string(&ran).unwrap_or_default();
    assert_eq!(said, "");
    // The trap works: git on its own runs it.
    let _ = Command::new("git").arg("-C").arg(&path).arg("status").output();
    assert!(ran.exists());
}
