//! What changes in a repository beside a session's branch.

use super::*;
use crate::session::Stray;

/// A repository with the worktree of session `t`, whose refs are watched.
struct Beside {
    lab: Lab,
    watch: Watch,
    before: std::sync::Arc<Refs>,
    since: std::time::SystemTime,
    known: Vec<Stray>,
}

impl Beside {
    async fn of(lab: Lab) -> Self {
        lab.create("t").await.unwrap();
        let (place, sessions) = (lab.root().join("worktrees"), lab.root().join("sessions"));
        let mut watch = Watch::of(&lab.path("t"), &place, &sessions).unwrap();
        let before = watch.look().unwrap();
        Self { lab, watch, before, since: std::time::SystemTime::now(), known: Vec::new() }
    }

    /// What a run changed that ends now; the next one begins.
    async fn found(&mut self) -> Vec<Stray> {
        let after = self.watch.look().unwrap();
        let (path, before) = (self.lab.path("t"), self.before.clone());
        let (watch, since) = (&self.watch, self.since);
        let found = strays(&path, "t", watch, since, (&before, &after), &self.known).await.unwrap();
        self.before = after;
        self.known.clone_from(&found);
        found
    }

    async fn said(&mut self) -> Vec<String> {
        let found = self.found().await;
        found.iter().map(|stray| stray.describe("t").replace("while the agent ran, ", "")).collect()
    }
}

fn has(said: &[String], expected: &[&str]) {
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.starts_with(expected), "{said}, not {expected}");
    }
}

#[tokio::test]
async fn commits_in_other_checkouts_are_named_until_a_branch_has_them() {
    for options in [&[][..], &["--object-format=sha256"]] {
        let mut beside = Beside::of(Lab::with(options)).await;
        let (path, root) = (beside.lab.path("t"), beside.lab.root());
        commit(&path, "own", "work\n");
        has(&beside.said().await, &[]);

        // The main checkout; a worktree of the agent's, on a branch and on none.
        beside.lab.commit("main", "work\n");
        git(&path, &["worktree", "add", "--quiet", "-b", "a/side", "../../side"]);
        commit(&root.join("side"), "side", "work\n");
        git(&path, &["worktree", "add", "--quiet", "--detach", "../../loose"]);
        commit(&root.join("loose"), "loose", "work\n");
        // One among the worktrees of sessions.
        git(&path, &["worktree", "add", "--quiet", "-b", "among", "../among"]);
        commit(&root.join("worktrees/among"), "among", "work\n");
        // Branches without commits hide none.
        for number in 0..10 {
            git(&path, &["branch", &format!("a-{number}"), "main~1"]);
        }
        let said = beside.said().await;
        let loose = format!("the detached HEAD of {} got 1 commit", root.join("loose").display());
        has(
            &said,
            &[
                &loose,
                "branch 'a/side' got 1 commit that 't' lacks",
                "branch 'among' got 1 commit that 't' lacks",
                "branch 'main' got 1 commit",
            ],
        );
        git(&path, &["merge", "--quiet", "--no-edit", "among"]);
        // What nobody but an agent may have made stays, the other was told.
        git(&path, &["pack-refs", "--all"]);
        has(&beside.said().await, &[&loose, "branch 'a/side' got 1 commit"]);
        git(&path, &["merge", "--quiet", "--no-edit", "a/side"]);
        has(&beside.said().await, &[&loose]);
        // A removed worktree would take them along.
        git(&path, &["worktree", "remove", "--force", "../../loose"]);
        let said = beside.said().await;
        has(&said, &["the detached HEAD of"]);
        let kept = said[0].rsplit(' ').next().unwrap().trim_end_matches(')').to_owned();
        assert_eq!(git(&path, &["log", "-1", "--format=%s", &kept]), "loose");
        assert_eq!(beside.said().await, said, "it stays");
    }
}

#[tokio::test]
async fn what_others_do_is_not_the_agents_and_a_repository_at_rest_is_not_read() {
    let mut beside = Beside::of(Lab::cloned()).await;
    let path = beside.lab.path("t");
    // Two other sessions, one of them below another.
    for (name, folder) in [("u", "sessions/u"), ("v", "sessions/lead/workers/v")] {
        std::fs::create_dir_all(beside.lab.root().join(folder)).unwrap();
        beside.lab.create(name).await.unwrap();
        commit(&beside.lab.path(name), name, "work\n");
    }
    beside.lab.git(&["pull", "--quiet", "--ff-only"]);
    beside.lab.git(&["merge", "--quiet", "--no-ff", "--no-edit", "u"]);
    beside.lab.git(&["branch", "old", "main~1"]);
    beside.lab.git(&["tag", "v1"]);
    commit(&path, "own", "work\n");
    has(&beside.said().await, &[]);
    beside.lab.git(&["branch", "-D", "old"]);
    has(&beside.said().await, &[]);
    std::thread::sleep(Duration::from_millis(40));
    let (one, other) = (beside.watch.look().unwrap(), beside.watch.look().unwrap());
    assert!(std::sync::Arc::ptr_eq(&one, &other));
}

#[tokio::test]
async fn commits_that_a_deleted_or_moved_branch_or_a_stash_had_are_kept() {
    for options in [&[][..], &["--object-format=sha256"]] {
        let mut beside = Beside::of(Lab::with(options)).await;
        let path = beside.lab.path("t");
        beside.lab.git(&["checkout", "--quiet", "-b", "theirs"]);
        beside.lab.commit("theirs", "work\n");
        beside.lab.git(&["tag", "v1"]);
        beside.lab.commit("theirs", "more\n");
        beside.lab.git(&["checkout", "--quiet", "main"]);
        beside.lab.commit("main", "one\n");
        std::fs::write(beside.lab.repo.join("main"), "not yet\n").unwrap();
        beside.lab.git(&["stash"]);
        beside.found().await;
        beside.known.clear();

        git(&path, &["stash", "drop", "--quiet"]);
        git(&path, &["branch", "--quiet", "-D", "theirs"]);
        git(&path, &["tag", "-d", "v1"]);
        beside.lab.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
        std::fs::write(path.join("README"), "later\n").unwrap();
        git(&path, &["stash"]);
        let found = beside.found().await;
        let said: Vec<_> = found.iter().map(|stray| stray.describe("t")).collect();
        for expected in [
            "branch 'main' lost 1 commit (kept as refs/samocode/kept/t/",
            "branch 'theirs' lost 2 commits (kept as",
            "changes were stashed and not restored: WIP on t: ",
            "a stash was dropped: WIP on main: ",
        ] {
            assert!(said.iter().any(|said| said.contains(expected)), "{expected}: {said:?}");
        }
        git(&path, &["reflog", "expire", "--expire=now", "--all"]);
        git(&path, &["gc", "--quiet", "--prune=now"]);
        for stray in &found {
            if let Stray::Lost { kept, .. } | Stray::Dropped { kept, .. } = stray {
                git(&path, &["rev-parse", "--verify", &format!("{kept}^{{commit}}")]);
            }
        }
    }
}

#[tokio::test]
async fn commits_of_a_worktree_that_lived_within_one_run_are_kept() {
    for options in [&[][..], &["--object-format=sha256"]] {
        let mut beside = Beside::of(Lab::with(options)).await;
        let path = beside.lab.path("t");
        let aside = |work: &dyn Fn(&Path)| {
            git(&path, &["worktree", "add", "--quiet", "--detach", "../../aside"]);
            work(&beside.lab.root().join("aside"));
            git(&path, &["worktree", "remove", "--force", "../../aside"]);
        };
        // What is rewritten or stashed on the way is not lost, and no work is none.
        commit(&path, "own", "work\n");
        git(&path, &["commit", "--quiet", "--amend", "-m", "own, better"]);
        std::fs::write(path.join("README"), "later\n").unwrap();
        git(&path, &["stash"]);
        git(&path, &["stash", "pop", "--quiet"]);
        aside(&|_| ());
        assert_eq!(beside.said().await, [""; 0]);

        let aside = |work: &dyn Fn(&Path)| {
            git(&path, &["worktree", "add", "--quiet", "--detach", "../../aside"]);
            work(&beside.lab.root().join("aside"));
            git(&path, &["worktree", "remove", "--force", "../../aside"]);
        };
        aside(&|folder| {
            commit(folder, "one", "work\n");
            commit(folder, "two", "work\n");
        });
        let said = beside.said().await;
        has(&said, &["2 commits were made that no branch has: "]);
        let kept = said[0].rsplit(' ').next().unwrap().trim_end_matches(')').to_owned();
        assert_eq!(git(&path, &["log", "-1", "--format=%s", &kept]), "two");
        assert_eq!(beside.said().await, said, "it stays until the branch has it");
        git(&path, &["stash"]);
        git(&path, &["merge", "--quiet", "--no-edit", &kept]);
        git(&path, &["stash", "pop", "--quiet"]);
        assert_eq!(beside.said().await, [""; 0]);
    }
}

#[tokio::test]
async fn commits_that_a_run_left_on_the_way_back_to_its_branch_are_kept() {
    let mut beside = Beside::of(Lab::new()).await;
    let path = beside.lab.path("t");
    // A rebase and a branch that stays leave nothing behind.
    commit(&path, "own", "work\n");
    git(&path, &["commit", "--quiet", "--amend", "-m", "better"]);
    git(&path, &["checkout", "--quiet", "-b", "other", "HEAD~1"]);
    git(&path, &["checkout", "--quiet", "t"]);
    git(&path, &["rebase", "--quiet", "main"]);
    git(&path, &["branch", "--quiet", "-D", "other"]);
    assert_eq!(beside.said().await, [""; 0]);
    git(&path, &["checkout", "--quiet", "--detach"]);
    commit(&path, "loose", "work\n");
    git(&path, &["checkout", "--quiet", "-b", "short"]);
    commit(&path, "short", "work\n");
    git(&path, &["checkout", "--quiet", "t"]);
    git(&path, &["branch", "--quiet", "-D", "short"]);
    let said = beside.said().await;
    has(&said, &["2 commits were made that no branch has: "]);
    let kept = said[0].rsplit(' ').next().unwrap().trim_end_matches(')').to_owned();
    git(&path, &["merge", "--quiet", &kept]);
    assert_eq!(beside.said().await, [""; 0]);
    // Under other refs than those of branches nobody sees them.
    let other = git(&path, &["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "hidden"]);
    git(&path, &["update-ref", "refs/heads/pushed", other.trim()]);
    git(&path, &["update-ref", "refs/hidden/x", other.trim()]);
    has(&beside.said().await, &["branch 'pushed' got 1 commit that 't' lacks: "]);
}

#[tokio::test]
async fn a_deleted_branch_that_others_need_is_named_although_its_commits_are_elsewhere() {
    let mut beside = Beside::of(Lab::new()).await;
    let (path, root) = (beside.lab.path("t"), beside.lab.root());
    beside.lab.git(&["branch", "merged"]);
    git(&path, &["worktree", "add", "--quiet", "-b", "other", "../../other"]);
    beside.found().await;
    git(&path, &["update-ref", "-d", "refs/heads/main"]);
    git(&path, &["update-ref", "-d", "refs/heads/other"]);
    git(&path, &["branch", "--quiet", "-D", "merged"]);
    let said = beside.said().await;
    let on = |name: &str, folder: &Path| {
        format!("branch '{name}' was deleted, which {} is on (it is", folder.display())
    };
    has(&said, &[&on("main", &beside.lab.repo), &on("other", &root.join("other"))]);
    // The command is right, and once it was used nothing more is said.
    for said in &said {
        let command = said.rsplit_once(": git ").unwrap().1.trim_end_matches(')');
        git(&path, &command.split(' ').collect::<Vec<_>>());
    }
    beside.lab.git(&["status"]);
    assert_eq!(beside.said().await, [""; 0]);
    // With no checkout on it, a name tells that others start from it.
    beside.lab.git(&["checkout", "--quiet", "--detach"]);
    beside.found().await;
    beside.known.clear();
    git(&path, &["update-ref", "-d", "refs/heads/main"]);
    has(&beside.said().await, &["branch 'main' was deleted (it is restored by: "]);
}

#[tokio::test]
async fn reflogs_tell_what_a_run_did_whose_worker_died() {
    let mut beside = Beside::of(Lab::new()).await;
    let path = beside.lab.path("t");
    let since = std::time::SystemTime::now() + Duration::from_secs(1);
    while std::time::SystemTime::now() < since {
        std::thread::sleep(Duration::from_millis(20));
    }
    beside.lab.commit("main", "work\n");
    git(&path, &["branch", "new", "main"]);
    beside.before = std::sync::Arc::new(beside.watch.look_back(since).unwrap());
    has(&beside.said().await, &["branch 'main' got 1 commit", "branch 'new' got 1 commit"]);
}

#[tokio::test]
async fn commits_that_only_a_tag_or_a_remote_has_are_named_and_notes_too() {
    let mut beside = Beside::of(Lab::cloned()).await;
    let path = beside.lab.path("t");
    // What came with a fetch is older than the run.
    let old = [
        "-c",
        "user.name=o",
        "-c",
        "user.email=o@example.org",
        "commit-tree",
        "-m",
        "old",
        "HEAD^{tree}",
    ];
    let commit_tree = std::process::Command::new("git")
        .args(old)
        .current_dir(&path)
        .envs([
            ("GIT_COMMITTER_DATE", "@1500000000 +0000"),
            ("GIT_AUTHOR_DATE", "@1500000000 +0000"),
        ])
        .output()
        .unwrap();
    let old = String::from_utf8(commit_tree.stdout).unwrap();
    git(&path, &["tag", "theirs", old.trim()]);
    has(&beside.said().await, &[]);

    commit(&path, "tagged", "work\n");
    git(&path, &["tag", "-a", "-m", "v9", "v9"]);
    git(&path, &["reset", "--quiet", "--hard", "HEAD~1"]);
    git(&path, &["notes", "add", "-m", "the work"]);
    let tagged = "tag 'v9' got 1 commit that 't' lacks";
    has(&beside.said().await, &["refs/notes/commits changed", tagged]);
    // The notes were told.
    has(&beside.said().await, &[tagged]);
    git(&path, &["merge", "--quiet", "v9"]);
    has(&beside.said().await, &[]);

    git(&path, &["checkout", "--quiet", "-b", "side"]);
    commit(&path, "pushed", "work\n");
    git(&path, &["push", "--quiet", "origin", "side"]);
    git(&path, &["checkout", "--quiet", "t"]);
    git(&path, &["branch", "-D", "side"]);
    has(&beside.said().await, &["1 commit was made that no branch has"]);
}

#[tokio::test]
async fn a_broken_ref_hides_no_other() {
    let gone = format!("{}\n", "1".repeat(40));
    for broken in ["", "garbage\n", &gone, "ref: refs/heads/none\n"] {
        let mut beside = Beside::of(Lab::new()).await;
        let (path, root) = (beside.lab.path("t"), beside.lab.root());
        beside.lab.git(&["branch", "theirs"]);
        beside.lab.git(&["checkout", "--quiet", "theirs"]);
        beside.lab.commit("theirs", "work\n");
        beside.lab.git(&["checkout", "--quiet", "main"]);
        std::fs::write(beside.lab.repo.join(".git/refs/heads/broken"), broken).unwrap();
        beside.found().await;
        beside.known.clear();

        git(&path, &["worktree", "add", "--quiet", "-b", "side", "../../side", "t"]);
        commit(&root.join("side"), "side", "work\n");
        git(&path, &["update-ref", "-d", "refs/heads/theirs"]);
        let expected = ["branch 'side' got 1 commit that", "branch 'theirs' lost 1 commit (kept"];
        has(&beside.said().await, &expected);
        // An agent may break one, too: its commits are kept.
        let side = beside.lab.repo.join(".git/refs/heads/side");
        // As git replaces a ref: what is written over in place is seen with the folder's next change.
        std::fs::write(root.join("empty"), "").unwrap();
        std::fs::rename(root.join("empty"), side).unwrap();
        let side = ["branch 'side' lost 1 commit (kept", "branch 'side' was deleted"];
        has(&beside.said().await, &["branch 'theirs' lost", side[0], side[1]]);
    }
}
