//! Against the real git: what a removal would have lost is in the commit that was saved.

use std::fs;
use std::path::{Path, PathBuf};

use crate::git::tests::{Lab, git};
use crate::git::{Removal, Rescued, bring_back, remove_worktree};

struct Bench {
    lab: Lab,
    tree: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let lab = Lab::new();
        let tree = lab.repo.with_file_name("26-11-20-jwt");
        lab.git(&["worktree", "add", "-q", "-b", "jwt", tree.to_str().unwrap()]);
        Self { lab, tree }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.tree.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.tree, args)
    }

    async fn remove(&self) -> Removal {
        remove_worktree(&self.lab.repo, &self.tree, "jwt").await.unwrap()
    }

    async fn rescued(&self) -> Rescued {
        match self.remove().await {
            Removal::Removed(Some(rescued)) => rescued,
            other => panic!("{other:?}"),
        }
    }

    fn file(&self, commit: &str, file: &str) -> String {
        self.lab.git(&["show", &format!("{commit}:{file}")])
    }

    fn contains(&self, reference: &str, commit: &str) -> bool {
        let repo = git2::Repository::open(&self.lab.repo).unwrap();
        let tip = repo.refname_to_id(reference).unwrap();
        repo.graph_descendant_of(tip, git2::Oid::from_str(commit).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn changed_untracked_and_staged_files_are_saved_as_they_are() {
    let bench = Bench::new();
    bench.write(".gitignore", "target\n");
    bench.write("gone", "soon");
    bench.git(&["add", "."]);
    bench.git(&["-c", "user.name=T", "-c", "user.email=t@e", "commit", "-qm", "more"]);
    let tip = bench.git(&["rev-parse", "HEAD"]);
    bench.write("README", "staged\n");
    bench.git(&["add", "README"]);
    bench.write("README", "changed\n");
    bench.write("deep/new file", "new\n");
    bench.write("target/built", "again\n");
    fs::remove_file(bench.tree.join("gone")).unwrap();
    std::os::unix::fs::symlink("/nowhere", bench.tree.join("link")).unwrap();
    bench.lab.hook("post-index-change", "exit 1");
    bench.lab.hook("reference-transaction", "exit 1");

    let rescued = bench.rescued().await;
    assert!(rescued.reference.starts_with("refs/samocode/rescue/jwt/2"), "{rescued:?}");
    assert_eq!((rescued.files, rescued.commits), (4, 0));
    assert!(!bench.tree.exists());
    let saved = &rescued.reference;
    assert_eq!(bench.file(saved, "README"), "changed");
    assert_eq!(bench.file(saved, "deep/new file"), "new");
    assert_eq!(bench.file(saved, "link"), "/nowhere");
    assert_eq!(bench.file(&format!("{saved}^2"), "README"), "staged");
    assert_eq!(bench.lab.git(&["rev-parse", &format!("{saved}^1")]), tip);
    let listed = bench.lab.git(&["ls-tree", "-r", "--name-only", saved]);
    assert!(!listed.contains("gone") && !listed.contains("target"), "{listed}");
    // As the human pastes it, with hooks.
    fs::remove_file(bench.lab.repo.join(".git/hooks/reference-transaction")).unwrap();
    let command = rescued.command(&bench.lab.repo, "jwt");
    let done = std::process::Command::new("sh").args(["-c", &command]).status().unwrap();
    assert!(done.success(), "{command}");
    assert_eq!(bench.file("jwt-rescued", "README"), "changed");

    // In a worktree that was made again they are as they were, but for what was staged.
    let tree = bench.tree.to_str().unwrap();
    bench.lab.git(&["worktree", "add", "-q", tree, "jwt"]);
    assert_eq!(bring_back(&bench.tree, "jwt").await.unwrap().as_ref(), Some(saved));
    let status = bench.git(&["status", "--porcelain"]);
    assert_eq!(status, "M README\n D gone\n?? deep/\n?? link", "git() trims the first line");
    // On another commit they would undo its changes.
    bench.git(&["checkout", "-q", "--force", "--detach", "main"]);
    assert_eq!(bring_back(&bench.tree, "jwt").await.unwrap(), None);
}

#[tokio::test]
async fn commits_on_no_branch_are_saved_wherever_they_are_known() {
    let bench = Bench::new();
    let commit = |what: &str| {
        bench.git(&[
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@e",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            what,
        ]);
        bench.git(&["rev-parse", "HEAD"])
    };
    bench.git(&["checkout", "-q", "--detach"]);
    // Known to the reflog of HEAD only.
    let left = commit("left behind");
    bench.git(&["checkout", "-q", "jwt"]);
    bench.git(&["checkout", "-q", "--detach"]);
    // Known to a reference of the worktree only.
    let own = commit("of the worktree");
    bench.git(&["update-ref", "refs/worktree/mine", "HEAD"]);
    bench.git(&["checkout", "-q", "--detach", "jwt"]);
    let head = commit("at HEAD");
    let rescued = bench.rescued().await;
    assert_eq!((rescued.files, rescued.commits), (0, 3));
    for id in [&left, &own, &head] {
        assert!(bench.contains(&rescued.reference, id), "{id}");
    }
}

#[tokio::test]
async fn a_conflict_is_saved_with_both_of_its_sides() {
    let bench = Bench::new();
    bench.write("README", "mine\n");
    let who = ["-c", "user.name=T", "-c", "user.email=t@e"];
    bench.git(&[&who[..], &["commit", "-qam", "mine"]].concat());
    bench.git(&["checkout", "-q", "--detach", "HEAD~"]);
    bench.write("README", "theirs\n");
    bench.git(&[&who[..], &["commit", "-qam", "theirs"]].concat());
    let theirs = bench.git(&["rev-parse", "HEAD"]);
    bench.git(&["checkout", "-q", "jwt"]);
    let merged = std::process::Command::new("git")
        .args(["merge", "-q", &theirs])
        .current_dir(&bench.tree)
        .output()
        .unwrap();
    assert!(!merged.status.success());
    let rescued = bench.rescued().await;
    assert!(bench.file(&rescued.reference, "README").contains("<<<<<<<"));
    assert!(bench.contains(&rescued.reference, &theirs));
}

#[tokio::test]
async fn a_repository_inside_with_work_of_its_own_keeps_the_worktree() {
    let bench = Bench::new();
    let inner = bench.tree.join("vendor/lib");
    git(
        &bench.lab.root(),
        &["clone", "-q", bench.lab.repo.to_str().unwrap(), inner.to_str().unwrap()],
    );
    fs::write(inner.join("README"), "changed\n").unwrap();
    let Removal::Nested(nested) = bench.remove().await else { panic!("was removed") };
    assert_eq!((nested.path.as_path(), nested.files, nested.commits), (inner.as_path(), 1, 0));
    assert_eq!(fs::read_to_string(inner.join("README")).unwrap(), "changed\n");
    // What its remote has can be cloned again.
    git(&inner, &["checkout", "-q", "--", "README"]);
    assert_eq!(bench.rescued().await.files, 1);
}

#[tokio::test]
async fn a_worktree_with_no_commit_yet_and_one_marked_as_unchanged_are_saved() {
    let bench = Bench::new();
    bench.git(&["update-index", "--assume-unchanged", "README"]);
    bench.write("README", "changed in secret\n");
    assert_eq!(bench.file(&bench.rescued().await.reference, "README"), "changed in secret");

    let bench = Bench::new();
    bench.git(&["checkout", "-q", "--orphan", "fresh"]);
    bench.git(&["rm", "-rqf", "--cached", "."]);
    bench.write("first", "1");
    let rescued = bench.rescued().await;
    assert_eq!(bench.file(&rescued.reference, "first"), "1");
}

#[tokio::test]
async fn a_removal_that_fails_leaves_everything_and_saves_the_same_only_once() {
    let bench = Bench::new();
    bench.write("new", "new\n");
    bench.lab.git(&["worktree", "lock", bench.tree.to_str().unwrap()]);
    for _ in 0..2 {
        let failed = remove_worktree(&bench.lab.repo, &bench.tree, "jwt").await.unwrap_err();
        assert!(failed.to_string().contains("locked"), "{failed}");
        assert_eq!(fs::read_to_string(bench.tree.join("new")).unwrap(), "new\n");
        assert_eq!(bench.git(&["status", "--porcelain"]), "?? new");
    }
    bench.lab.git(&["worktree", "unlock", bench.tree.to_str().unwrap()]);
    bench.rescued().await;
    let refs = bench.lab.git(&["for-each-ref", "refs/samocode/rescue"]);
    assert_eq!(refs.lines().count(), 1, "{refs}");
    assert!(!bench.lab.repo.join(".git/worktrees").exists(), "git has forgotten it");
}

#[tokio::test]
async fn a_removal_that_was_killed_is_finished_and_closed_folders_are_no_obstacle() {
    let bench = Bench::new();
    bench.write("new", "new\n");
    bench.write("cache/mod/file", "x\n");
    let closed = bench.tree.join("cache/mod");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    fs::set_permissions(&closed, mode).unwrap();
    let aside = bench.tree.with_file_name(".26-11-20-jwt.removed-by-samocode");
    // Killed after the rename, when the work had been saved.
    fs::rename(&bench.tree, &aside).unwrap();
    assert_eq!(bench.remove().await, Removal::Absent);
    assert!(!aside.exists());
    assert_eq!(bench.lab.git(&["worktree", "list"]).lines().count(), 1);
    assert!(Path::new(&bench.lab.repo).exists());
}
