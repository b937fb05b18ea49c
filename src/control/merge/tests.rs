//! Against the real git; sessions are folders with a hook.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::control::host::tests::caller;
use crate::control::{Caller, Local, call, inspect};
use crate::service::quiet;
use crate::session::hook::Hook;
use crate::session::state::{State, StateName};
use crate::session::store::{Folder, Lock, faults};

struct Shop {
    root: tempfile::TempDir,
    caller: Caller,
}

impl Shop {
    /// A project with a repository whose checkout is on `work`, so that `main` may move.
    fn new(test: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut caller = caller(root.path());
        caller.env.set("PATH", std::env::var_os("PATH").unwrap());
        caller.env.set("SAMOCODE_TEST_COMMAND", test);
        let shop = Self { root, caller };
        shop.git(&["init", "--quiet", "-b", "main"]);
        for (key, value) in
            [("user.name", "T"), ("user.email", "t@example.org"), ("commit.gpgSign", "false")]
        {
            shop.git(&["config", key, value]);
        }
        shop.commit("poem", "one\ntwo\nthree\n");
        shop.git(&["switch", "--quiet", "-c", "work"]);
        shop
    }

    fn repo(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("repo")
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git").arg("-C").arg(self.repo()).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, file: &str, content: &str) {
        std::fs::write(self.repo().join(file), content).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", file]);
    }

    fn tip(&self, name: &str) -> String {
        self.git(&["rev-parse", name])
    }

    fn folder(&self, name: &str) -> Folder {
        Folder::new(self.root.path().join(format!("sessions/26-11-20-{name}")))
    }

    fn hook(&self, name: &str, state: StateName, branch: Option<&str>) {
        let folder = self.folder(name);
        std::fs::create_dir_all(folder.path()).unwrap();
        let hook = Hook {
            task_id: name.to_owned(),
            state,
            branch: branch.map(str::to_owned),
            ..Hook::of(&State::default())
        };
        std::fs::write(folder.hook(), serde_json::to_vec(&hook).unwrap()).unwrap();
    }

    /// A finished session whose branch has one commit.
    fn session(&self, name: &str, from: &str, file: &str, content: &str) {
        let now = self.git(&["rev-parse", "--abbrev-ref", "HEAD"]);
        self.git(&["switch", "--quiet", "-c", name, from]);
        self.commit(file, content);
        self.git(&["switch", "--quiet", &now]);
        self.hook(name, StateName::Done, Some(name));
    }

    fn call(&self, sessions: &[&str]) -> Merge {
        let sessions = sessions.iter().map(|name| (*name).to_owned()).collect();
        Merge { sessions, into: Some("main".into()), ..Merge::default() }
    }

    async fn perform(&self, merge: Merge) -> Result<Merged> {
        call(&Local::new(self.caller.clone()), merge, &quiet).await.result
    }

    async fn merge(&self, sessions: &[&str]) -> Merged {
        self.perform(self.call(sessions)).await.unwrap()
    }

    async fn refusal(&self, sessions: &[&str]) -> String {
        self.perform(self.call(sessions)).await.unwrap_err().in_one_line()
    }

    /// What `why` says beside the state.
    async fn notes(&self, session: &str) -> String {
        let explain = inspect::Explain { session: session.to_owned() };
        let answer = call(&Local::new(self.caller.clone()), explain, &quiet).await;
        answer.result.unwrap().view.notes.join("\n")
    }

    /// Whether nothing is left of a merge but its log.
    fn is_tidy(&self) -> bool {
        let is_gone = |path: &str| !self.root.path().join(path).exists();
        is_gone("worktrees/_merge/main")
            && is_gone("sessions/_merge/main.json")
            && self.git(&["worktree", "list"]).lines().count() == 1
    }
}

fn end<'m>(merged: &'m Merged, session: &str) -> &'m End {
    let part = merged.members.iter().find(|part| part.session == session).unwrap();
    part.end.as_ref().unwrap()
}

const RED: &str =
    "if test -e bad || { test -e left && test -e right; }; then echo 2 failed; exit 1; fi";

#[tokio::test]
async fn six_sessions_become_one_tested_branch_and_each_that_is_left_out_is_explained() {
    let shop = Shop::new(RED);
    shop.session("rhyme", "main", "poem", "one\n2\nthree\n");
    shop.session("prose", "main", "poem", "one\nzwei\nthree\n");
    shop.session("bad", "main", "bad", "x\n");
    shop.session("onbad", "bad", "fine", "x\n");
    shop.session("left", "main", "left", "x\n");
    shop.session("right", "main", "right", "x\n");
    // The human is in the middle of something.
    std::fs::write(shop.repo().join("poem"), "edited\n").unwrap();
    std::fs::write(shop.repo().join("staged"), "staged\n").unwrap();
    shop.git(&["add", "staged"]);
    let before = (shop.git(&["status", "--porcelain"]), shop.tip("HEAD"));
    let all = ["onbad", "rhyme", "prose", "bad", "left", "right"];

    let predicted = shop.perform(Merge { dry_run: true, ..shop.call(&all) }).await.unwrap();
    assert_eq!(predicted.landed, Landed::Predicted);
    let foreseen: Vec<bool> = predicted.members.iter().map(|part| part.end.is_some()).collect();
    assert_eq!(foreseen, [false, true, false, false, false, false], "{predicted:?}");
    assert!(!shop.root.path().join("sessions/_merge").exists(), "a prediction leaves nothing");

    let merged = shop.merge(&all).await;
    assert_eq!((end(&merged, "rhyme"), end(&merged, "left")), (&End::Merged, &End::Merged));
    let End::Conflicts { files } = end(&merged, "prose") else { panic!("{merged:?}") };
    assert_eq!((files[0].path.as_str(), files[0].hunks.len()), ("poem", 1));
    let red = |with: &[&str]| End::Red {
        with: with.iter().map(|name| (*name).to_owned()).collect(),
        output: "2 failed".into(),
    };
    assert_eq!(end(&merged, "bad"), &red(&[]));
    assert_eq!(end(&merged, "onbad"), &End::HeldUp { by: "bad".into() });
    assert_eq!(end(&merged, "right"), &red(&["left"]));
    assert_eq!(merged.landed, Landed::Moved { commit: shop.tip("main") });
    assert_eq!(shop.git(&["ls-tree", "--name-only", "main"]), "left\npoem");
    assert!(shop.git(&["log", "--format=%s", "main"]).contains("Merge branch 'rhyme' into main"));
    assert_eq!((shop.git(&["status", "--porcelain"]), shop.tip("HEAD")), before);
    assert!(shop.is_tidy());
    for (name, note) in [
        ("prose", "left it out: conflict in poem; have it resolved: samocode merge --config"),
        ("bad", "left it out: the tests fail with it (2 failed); have it fixed: samocode enable"),
        ("right", "left it out: the tests fail with it and left together (2 failed)"),
        ("onbad", "left it out: it is built on bad; when bad is in: samocode merge --config"),
        ("rhyme", ""),
    ] {
        let notes = shop.notes(name).await;
        assert!(
            notes.contains(note) && note.is_empty() != notes.contains("left it out"),
            "{notes}"
        );
    }

    // What is in already stays in, and the rest fails as before.
    let again = shop.merge(&["rhyme", "prose"]).await;
    assert_eq!(end(&again, "rhyme"), &End::Contained);
    assert!(matches!(end(&again, "prose"), End::Conflicts { .. }));
    assert_eq!(again.landed, Landed::Nothing);

    // What is in by now is no longer said to be left out.
    shop.git(&["branch", "--force", "main", "prose"]);
    assert!(!shop.notes("prose").await.contains("left it out"));
}

#[tokio::test]
async fn a_branch_that_is_checked_out_is_not_moved_and_its_result_can_be_taken_over() {
    let shop = Shop::new("");
    shop.git(&["switch", "--quiet", "main"]);
    shop.session("one", "main", "a", "1\n");
    shop.session("two", "main", "b", "2\n");
    let main = shop.tip("main");
    let merged = shop.merge(&["one"]).await;
    assert_eq!(merged.tested, None);
    let Landed::Beside { commit, branch, checked_out, command } = merged.landed else { panic!() };
    assert_eq!((branch.as_str(), &checked_out), ("samocode-merge/main", &shop.repo()));
    assert_eq!((shop.tip("main"), shop.tip(&branch)), (main, commit));
    assert_eq!(shop.git(&["status", "--porcelain"]), "");
    // The next one builds on it.
    let merged = shop.merge(&["two", "one"]).await;
    assert_eq!(end(&merged, "one"), &End::Contained);
    assert_eq!(shop.git(&["ls-tree", "--name-only", &branch]), "a\nb\npoem");
    // But an earlier result is not lost where the branch has moved on.
    shop.commit("c", "3\n");
    let said = shop.refusal(&["one"]).await;
    assert!(said.contains("holds an earlier result that is not in main"), "{said}");
    shop.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    assert!(Command::new("sh").arg("-c").arg(&command).status().unwrap().success(), "{command}");
    assert_eq!(shop.tip("main"), shop.tip(&branch));
    assert!(shop.is_tidy());
}

#[tokio::test]
async fn each_bad_input_is_one_line_and_changes_nothing() {
    let shop = Shop::new("");
    shop.session("good", "main", "a", "1\n");
    shop.hook("bare", StateName::Done, None);
    shop.hook("gone", StateName::Done, Some("gone"));
    shop.hook("early", StateName::Waiting, Some("good"));
    shop.hook("running", StateName::Running, Some("good"));
    shop.hook("locked", StateName::Done, Some("good"));
    let _lock = Lock::take(&shop.folder("locked")).unwrap();
    shop.git(&["switch", "--quiet", "--orphan", "alone"]);
    shop.commit("x", "x\n");
    shop.git(&["switch", "--quiet", "work"]);
    shop.hook("alone", StateName::Done, Some("alone"));
    let before = shop.git(&["for-each-ref"]);
    for (sessions, said) in [
        (&["good", "good"][..], "session 'good' is named twice"),
        (&[], "no session to merge is named"),
        (&["god"], "there is no session 'god'"),
        (&["good", "bare"], "cannot merge bare: it has no branch"),
        (&["gone"], "its branch gone no longer exists"),
        (&["early"], "it is waiting, not done: to merge the commits it has so far, add"),
        (&["running"], "it is still running: wait for it with: samocode wait"),
        (&["locked"], "it is still running"),
        (&["alone"], "has no history in common with main"),
    ] {
        let line = shop.refusal(sessions).await;
        assert!(line.contains(said) && !line.contains('\n'), "{sessions:?}: {line}");
    }
    let into = |into: &str| Merge { into: Some(into.into()), ..shop.call(&["good"]) };
    for (target, said) in [
        ("mian", "there is no branch 'mian' to merge into: did you mean 'main'?"),
        ("elsewhere", "create it with: git -C"),
        ("-x", "'-x' is not a valid git branch name"),
    ] {
        let error = shop.perform(into(target)).await.unwrap_err();
        assert!(error.in_one_line().contains(said), "{error:?}");
    }
    std::fs::write(shop.repo().join("poem"), "edited\n").unwrap();
    let error = shop.perform(into("work")).await.unwrap_err();
    assert!(error.message.contains("and 1 file is not committed there"), "{error:?}");
    shop.git(&["checkout", "--quiet", "poem"]);
    std::fs::create_dir(shop.repo().join(".git/rebase-merge")).unwrap();
    let line = shop.refusal(&["good"]).await;
    assert!(
        line.contains("a git rebase is under way") && line.contains("rebase --abort"),
        "{line}"
    );
    std::fs::remove_dir(shop.repo().join(".git/rebase-merge")).unwrap();
    let project = &shop.caller;
    let files = Files::of(&project.cwd.join("sessions"), Path::new("/x"), "main").unwrap();
    let line = shop.refusal(&["good"]).await;
    assert!(line.contains("another merge into main is in progress"), "{line}");
    drop(files);
    let agent = Caller {
        env: {
            let mut env = shop.caller.env.clone();
            env.set("SAMOCODE_SESSION", "good");
            env
        },
        ..shop.caller.clone()
    };
    let refused = call(&Local::new(agent), shop.call(&["good"]), &quiet).await.result;
    assert_eq!(refused.unwrap_err().class, crate::control::Class::Refused);
    assert_eq!(shop.git(&["for-each-ref"]), before);
    let unfinished = Merge { unfinished: true, ..shop.call(&["early"]) };
    assert_eq!(end(&shop.perform(unfinished).await.unwrap(), "early"), &End::Merged);
}

#[tokio::test]
async fn a_target_that_moves_meanwhile_is_merged_into_again_on_its_new_tip() {
    let shop = Shop::new("");
    shop.session("one", "main", "a", "1\n");
    shop.session("human", "main", "h", "h\n");
    let repo = shop.repo();
    let test = format!(
        "test -e {0}/../moved || {{ touch {0}/../moved; git -C {0} branch -f main human; }}",
        repo.display()
    );
    let mut moving = Shop { caller: shop.caller.clone(), root: shop.root };
    moving.caller.env.set("SAMOCODE_TEST_COMMAND", test);
    let merged = moving.merge(&["one"]).await;
    assert_eq!(merged.base, moving.tip("human"));
    assert_eq!(moving.git(&["ls-tree", "--name-only", "main"]), "a\nh\npoem");
    assert!(moving.is_tidy());
}

#[tokio::test]
async fn tests_that_are_red_before_the_merge_stop_it_and_blame_nobody() {
    let shop = Shop::new("echo broken; false");
    shop.session("one", "main", "a", "1\n");
    let main = shop.tip("main");
    let line = shop.refusal(&["one"]).await;
    assert!(line.contains("the tests fail before anything is merged: broken"), "{line}");
    assert_eq!(shop.tip("main"), main);
}

#[test]
fn a_merge_killed_at_any_point_is_completed_by_the_next_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for dies_at in 1.. {
        let shop = Shop::new("test ! -e bad");
        shop.session("one", "main", "poem", "one\n2\nthree\n");
        shop.session("bad", "main", "bad", "x\n");
        let attempt = || runtime.block_on(shop.merge(&["one", "bad"]));
        faults::set(Some(dies_at), None);
        let survived = std::panic::catch_unwind(AssertUnwindSafe(attempt));
        faults::set(None, None);
        let is_over = survived.is_ok();
        let merged = survived.unwrap_or_else(|_| attempt());
        let is_in = matches!(end(&merged, "one"), End::Merged | End::Contained);
        assert!(is_in && end(&merged, "bad").is_left_out(), "killed at {dies_at}: {merged:?}");
        assert_eq!(shop.git(&["ls-tree", "--name-only", "main"]), "poem", "killed at {dies_at}");
        let merges = shop.git(&["rev-list", "--merges", "--count", "main"]);
        assert_eq!((merges.as_str(), shop.is_tidy()), ("1", true), "killed at {dies_at}");
        if is_over {
            assert!(dies_at > 10, "there are more points at which it may be killed");
            break;
        }
    }
}

#[tokio::test]
async fn a_submodule_that_two_moved_to_different_commits_is_left_out_and_named() {
    let shop = Shop::new("true");
    let module = |commit: &str| {
        let entry = format!("160000,{},part", commit.repeat(40));
        shop.git(&["update-index", "--add", "--cacheinfo", &entry]);
        shop.git(&["commit", "--quiet", "-m", "part"]);
    };
    shop.git(&["switch", "--quiet", "main"]);
    module("1");
    for (name, commit) in [("one", "2"), ("other", "3")] {
        shop.git(&["switch", "--quiet", "-c", name, "main"]);
        module(commit);
        shop.hook(name, StateName::Done, Some(name));
    }
    shop.git(&["switch", "--quiet", "work"]);
    let merged = shop.merge(&["one", "other"]).await;
    assert_eq!(end(&merged, "one"), &End::Merged);
    let End::Conflicts { files } = end(&merged, "other") else { panic!("{merged:?}") };
    let said: Vec<_> = files.iter().map(|file| format!("{}: {}", file.path, file.kind)).collect();
    assert_eq!(said, ["part: both changed this submodule"]);
    assert_eq!(shop.git(&["rev-parse", "main:part"]), "2".repeat(40));
    assert!(shop.is_tidy());
    let there = "switch --quiet main; init --quiet part; -C part -c user.name=A -c user.email=a@b commit --quiet --allow-empty -m x";
    there.split("; ").for_each(|line| drop(shop.git(&line.split(' ').collect::<Vec<_>>())));
    assert!(shop.refusal(&["other"]).await.contains("submodule update"));
}

#[tokio::test]
async fn an_agent_merges_into_its_own_branch_and_into_no_other() {
    let shop = Shop::new("true");
    shop.session("lead", "main", "lead", "x\n");
    let below = shop.folder("lead").workers().join("api");
    shop.session("api", "lead", "api", "x\n");
    std::fs::create_dir_all(below.parent().unwrap()).unwrap();
    std::fs::rename(shop.folder("api").path(), &below).unwrap();
    let mut caller = shop.caller.clone();
    caller.env.set("SAMOCODE_SESSION", "lead");
    let merge = async |into: Option<&str>| {
        let merge = Merge { into: into.map(str::to_owned), ..shop.call(&["api"]) };
        call(&Local::new(caller.clone()), merge, &quiet).await.result
    };
    let (main, tip) = (shop.tip("main"), shop.tip("lead"));
    let refused = merge(Some("main")).await.unwrap_err();
    assert!(refused.message.contains("an agent cannot merge into main"), "{refused:?}");
    assert_eq!((shop.tip("main"), shop.tip("lead")), (main.clone(), tip));
    let merged = merge(None).await.unwrap();
    assert_eq!((merged.into.as_str(), end(&merged, "api")), ("lead", &End::Merged));
    assert_eq!(shop.git(&["ls-tree", "--name-only", "lead"]), "api\nlead\npoem");
    assert_eq!(shop.tip("main"), main);
}

#[tokio::test]
async fn a_session_without_commits_is_no_reason_to_merge_none_of_the_others() {
    let shop = Shop::new("true");
    shop.session("good", "main", "a", "a\n");
    shop.hook("idle", StateName::Done, Some("work"));
    let begun = r#"{"seq":1,"at":"2026-11-20T10:00:00Z","kind":"prepared","working_dir":"/x","#;
    let line = format!("{begun}\"base\":\"{}\"}}\n", shop.tip("work"));
    std::fs::write(shop.folder("idle").journal(), line).unwrap();
    assert!(shop.refusal(&["idle"]).await.contains("work has no commits of its own"));
    assert_eq!(shop.merge(&["idle", "good"]).await.members.len(), 1);
}
