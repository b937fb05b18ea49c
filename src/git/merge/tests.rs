//! Against the real git, in throw-away folders.

use std::path::PathBuf;

use super::*;
use crate::git::tests::{Lab, git};

struct Repo {
    lab: Lab,
    integration: Integration,
}

impl Repo {
    fn new() -> Self {
        let lab = Lab::new();
        lab.commit("poem", "one\ntwo\nthree\nfour\nfive\n");
        let path = lab.root().join("worktrees/_merge/main");
        let run = format!("merge-{}", uuid::Uuid::new_v4());
        let integration = Integration::new(&lab.repo, &path, &run, lab.programs());
        Self { lab, integration }
    }

    /// A branch with one commit, from another; leaves main checked out.
    fn branch(&self, name: &str, from: &str, file: &str, content: &str) -> String {
        self.lab.git(&["switch", "--quiet", "-c", name, from]);
        self.lab.commit(file, content);
        self.lab.git(&["switch", "--quiet", "main"]);
        self.tip(name)
    }

    fn tip(&self, name: &str) -> String {
        self.lab.git(&["rev-parse", name])
    }

    fn repo(&self) -> &PathBuf {
        &self.lab.repo
    }

    fn foreseen(&self, commit: &str) -> Foreseen {
        let mut simulation = Simulation::of(self.repo(), &self.tip("main")).unwrap().unwrap();
        simulation.merge(commit, ["main", "theirs"]).unwrap()
    }

    fn objects(&self) -> String {
        self.lab.git(&["count-objects", "-v"])
    }
}

fn conflict(foreseen: Foreseen) -> Conflict {
    match foreseen {
        Foreseen::Conflicts(mut files) if files.len() == 1 => files.remove(0),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn conflicts_are_foreseen_in_memory_and_git_agrees() {
    let repo = Repo::new();
    let one = repo.branch("one", "main", "poem", "one\n2\nthree\nfour\nfive\n");
    let two = repo.branch("two", "main", "poem", "one\nzwei\nthree\nfour\nfive\n");
    let far = repo.branch("far", "main", "poem", "one\ntwo\nthree\nfour\n5\n");
    let before = (repo.objects(), repo.lab.git(&["for-each-ref"]));
    let mut simulation = Simulation::of(repo.repo(), &repo.tip("main")).unwrap().unwrap();
    assert_eq!(simulation.merge(&one, ["main", "one"]).unwrap(), Foreseen::Clean);
    assert_eq!(simulation.merge(&one, ["main", "one"]).unwrap(), Foreseen::Contained);
    let found = conflict(simulation.merge(&two, ["main", "two"]).unwrap());
    assert_eq!((found.path.as_str(), found.kind), ("poem", ConflictKind::BothChanged));
    assert_eq!(found.hunks, ["line 2:\n<<<<<<< main\n2\n=======\nzwei\n>>>>>>> two"]);
    // One that conflicts is not merged, so the next one is.
    assert_eq!(simulation.merge(&far, ["main", "far"]).unwrap(), Foreseen::Clean);
    assert_eq!((repo.objects(), repo.lab.git(&["for-each-ref"])), before, "nothing is written");

    let tree = &repo.integration;
    tree.put_at(&repo.tip("main")).await.unwrap();
    let Merged::Commit(with_one) = tree.merge(&one, "Merge one").await.unwrap() else { panic!() };
    let Merged::Conflicts(files) = tree.merge(&two, "Merge two").await.unwrap() else { panic!() };
    assert_eq!(files[0].path, "poem");
    assert!(files[0].hunks[0].contains("zwei"), "{files:?}");
    assert_eq!(tree.head().unwrap(), with_one, "no trace of the one that conflicts");
    assert_eq!(git(tree.path(), &["status", "--porcelain"]), "");
    assert!(matches!(tree.merge(&far, "Merge far").await.unwrap(), Merged::Commit(_)));
    let text = std::fs::read_to_string(tree.path().join("poem")).unwrap();
    assert_eq!(text, "one\n2\nthree\nfour\n5\n");
}

#[test]
fn each_kind_of_conflict_has_its_name() {
    let repo = Repo::new();
    let lfs = |oid: &str| {
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 3\n")
    };
    for (file, content) in [("gone", "a\nb\n"), ("data", "\0a"), ("big", &lfs("aa"))] {
        repo.lab.commit(file, content);
    }
    let start = repo.tip("main");
    let submodule = |commit: &str| {
        let entry = format!("160000,{commit},module");
        repo.lab.git(&["update-index", "--add", "--cacheinfo", &entry]);
        repo.lab.git(&["commit", "--quiet", "-m", "module"]);
    };
    submodule(&"1".repeat(40));
    let with_module = repo.tip("main");
    repo.lab.git(&["rm", "--quiet", "gone"]);
    repo.lab.git(&["commit", "--quiet", "-m", "gone"]);
    for (file, content) in [("data", "\0b"), ("big", &lfs("bb")), ("new", "ours\n")] {
        repo.lab.commit(file, content);
    }
    submodule(&"2".repeat(40));
    for (file, content, kind) in [
        ("gone", "a\nB\n", ConflictKind::Deleted),
        ("data", "\0c", ConflictKind::Binary),
        ("big", &lfs("cc"), ConflictKind::Lfs),
        ("new", "theirs\n", ConflictKind::BothAdded),
    ] {
        let tip = repo.branch(&format!("b-{file}"), &start, file, content);
        let found = conflict(repo.foreseen(&tip));
        assert_eq!((found.path.as_str(), found.kind), (file, kind));
        assert_eq!(found.hunks.is_empty(), kind != ConflictKind::BothAdded, "{found:?}");
    }
    repo.lab.git(&["switch", "--quiet", "-c", "b-module", &with_module]);
    submodule(&"3".repeat(40));
    repo.lab.git(&["switch", "--quiet", "main"]);
    let found = conflict(repo.foreseen(&repo.tip("b-module")));
    assert_eq!((found.path.as_str(), found.kind), ("module", ConflictKind::Submodule));
}

#[test]
fn where_only_git_can_merge_nothing_is_foreseen() {
    let repo = Repo::new();
    repo.lab.git(&["config", "merge.mine.driver", "true"]);
    assert!(Simulation::of(repo.repo(), &repo.tip("main")).unwrap().is_none());
    let sha256 = Lab::with(&["--object-format=sha256"]);
    let tip = sha256.git(&["rev-parse", "main"]);
    assert!(Simulation::of(&sha256.repo, &tip).unwrap().is_none());
}

#[tokio::test]
async fn hooks_and_filters_run_and_a_hook_may_refuse() {
    let repo = Repo::new();
    repo.lab.filter("tr a-z A-Z");
    let tip = repo.branch("one", "main", "more.big", "more\n");
    let refused = repo.branch("two", "main", "bad", "bad\n");
    repo.lab.hook("pre-merge-commit", "! test -e bad || { echo no bad files >&2; exit 1; }");
    let tree = &repo.integration;
    tree.put_at(&repo.tip("main")).await.unwrap();
    assert!(matches!(tree.merge(&tip, "Merge one").await.unwrap(), Merged::Commit(_)));
    let text = std::fs::read_to_string(tree.path().join("more.big")).unwrap();
    assert_eq!(text, "MORE\n");
    let Merged::Refused(said) = tree.merge(&refused, "Merge two").await.unwrap() else { panic!() };
    assert_eq!(said, "no bad files");
    assert!(!tree.path().join("bad").exists());
}

#[tokio::test]
async fn no_setting_decides_a_conflict() {
    let repo = Repo::new();
    for (key, value) in
        [("pull.twohead", "ours"), ("rerere.enabled", "true"), ("rerere.autoUpdate", "true")]
    {
        repo.lab.git(&["config", key, value]);
    }
    let one = repo.branch("one", "main", "poem", "1\n");
    let two = repo.branch("two", "main", "poem", "2\n");
    let tree = &repo.integration;
    tree.put_at(&one).await.unwrap();
    assert!(matches!(tree.merge(&two, "Merge").await.unwrap(), Merged::Conflicts(_)));
}

#[tokio::test]
async fn whatever_is_left_of_a_killed_merge_the_worktree_is_put_right() {
    let repo = Repo::new();
    let one = repo.branch("one", "main", "poem", "1\n");
    let two = repo.branch("two", "main", "poem", "2\n");
    let main = repo.tip("main");
    let tree = &repo.integration;
    tree.put_at(&one).await.unwrap();
    let path = tree.path().to_owned();
    let admin = repo.repo().join(".git/worktrees/main");
    let status = || git(&path, &["status", "--porcelain"]);
    // In the middle of a merge.
    let merge = std::process::Command::new("git")
        .arg("-C")
        .arg(&path)
        .args(["merge", "--quiet", &two])
        .output()
        .unwrap();
    assert!(!merge.status.success());
    std::fs::write(admin.join("index.lock"), "").unwrap();
    std::fs::write(path.join("stray"), "").unwrap();
    tree.put_at(&main).await.unwrap();
    assert_eq!((tree.head().unwrap(), status()), (main.clone(), String::new()));
    // While it was made: locked, and without an index.
    std::fs::write(admin.join("locked"), "initializing").unwrap();
    std::fs::remove_file(path.join(".git")).unwrap();
    tree.put_at(&one).await.unwrap();
    assert_eq!((tree.head().unwrap(), status()), (one.clone(), String::new()));
    // Its folder no longer exists, or its registration.
    std::fs::remove_dir_all(&path).unwrap();
    tree.put_at(&main).await.unwrap();
    std::fs::remove_dir_all(&admin).unwrap();
    tree.put_at(&one).await.unwrap();
    assert_eq!((tree.head().unwrap(), status()), (one, String::new()));
    tree.remove().unwrap();
    tree.remove().unwrap();
    assert!(!path.exists() && !admin.exists());
    assert_eq!(repo.lab.git(&["status", "--porcelain"]), "", "the checkout is as it was");
}

#[tokio::test]
async fn a_branch_moves_only_from_where_it_was_seen() {
    let repo = Repo::new();
    let (main, one) = (repo.tip("main"), repo.branch("one", "main", "poem", "1\n"));
    repo.lab.git(&["branch", "target"]);
    let moved = |branch, from, to| move_branch(repo.repo(), branch, from, to, "test");
    assert!(!moved("target", Some(&one), &one).await.unwrap());
    assert_eq!(repo.tip("target"), main);
    assert!(moved("target", Some(&main), &one).await.unwrap());
    assert_eq!(repo.tip("target"), one);
    assert!(moved("target", Some(&main), &one).await.unwrap(), "repeated");
    assert!(!moved("target", None, &main).await.unwrap(), "it exists");
    assert!(moved("new", None, &main).await.unwrap());
    assert_eq!(checked_out_at(repo.repo(), "main").unwrap().as_ref(), Some(repo.repo()));
    assert_eq!(checked_out_at(repo.repo(), "target").unwrap(), None);
}

#[test]
fn who_descends_from_whom_and_who_from_nobody() {
    let repo = Repo::new();
    let one = repo.branch("one", "main", "a", "1\n");
    let two = repo.branch("two", "one", "b", "2\n");
    let side = repo.branch("side", "main", "c", "3\n");
    let all = [two.as_str(), &one, &side, &one];
    let inside = contained(repo.repo(), &all).unwrap();
    assert_eq!(inside, [vec![1, 3], vec![], vec![], vec![1]]);
    assert!(contains(repo.repo(), &two, &one).unwrap());
    assert!(!contains(repo.repo(), &one, &two).unwrap());
    assert_eq!(commits_beyond(repo.repo(), &two, &repo.tip("main")).unwrap(), 2);
    repo.lab.git(&["switch", "--quiet", "--orphan", "alone"]);
    repo.lab.commit("d", "4\n");
    assert!(is_unrelated(repo.repo(), &one, &repo.tip("alone")).unwrap());
    assert!(!is_unrelated(repo.repo(), &one, &side).unwrap());
}

#[test]
fn an_operation_under_way_is_named_with_the_commands_that_end_it() {
    let repo = Repo::new();
    let one = repo.branch("one", "main", "poem", "1\n");
    let failing = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        assert!(!command.arg("-C").arg(repo.repo()).args(args).output().unwrap().status.success());
    };
    assert_eq!(under_way(repo.repo(), "main").unwrap(), None);
    repo.lab.commit("poem", "2\n");
    failing(&["rebase", &one]);
    let (what, commands) = under_way(repo.repo(), "main").unwrap().unwrap();
    assert!(what.starts_with("a git rebase is under way in "), "{what}");
    assert!(commands.contains("rebase --continue") && commands.contains("rebase --abort"));
    repo.lab.git(&["rebase", "--abort"]);
    failing(&["merge", &one]);
    assert!(under_way(repo.repo(), "x").unwrap().unwrap().0.contains("git merge"));
    repo.lab.git(&["merge", "--abort"]);
    // In another worktree it counts if it is about the branch.
    repo.lab.git(&["switch", "--quiet", "--detach"]);
    let other = repo.lab.path("other");
    repo.lab.git(&["worktree", "add", "--quiet", other.to_str().unwrap(), "main"]);
    let mut rebase = std::process::Command::new("git");
    rebase.arg("-C").arg(&other).args(["rebase", &one]).output().unwrap();
    assert_eq!(under_way(repo.repo(), "one").unwrap(), None);
    let (what, _) = under_way(repo.repo(), "main").unwrap().unwrap();
    assert!(what.ends_with(&other.display().to_string()), "{what}");
}
