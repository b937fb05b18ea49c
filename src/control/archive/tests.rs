use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::*;
use crate::control::host::tests::caller;
use crate::control::{Call, Host as _, Local};
use crate::git::git_command;
use crate::service::quiet;
use crate::session::store::{Folder, Lock, faults};

async fn ask<C: Call>(root: &Path, call: C) -> Result<C::Reply> {
    let answer = Local::new(caller(root)).request(call.into(), &quiet).await;
    answer.result.map(|reply| C::reply(reply).unwrap())
}

async fn archive(root: &Path, sessions: &[&str]) -> Result<Archived> {
    let sessions = sessions.iter().map(|&name| name.to_owned()).collect();
    ask(root, Archive { sessions, ..Archive::default() }).await
}

fn session(root: &Path, name: &str, state: &str, since: &str) -> PathBuf {
    let folder = root.join("sessions").join(format!("26-11-20-{name}"));
    fs::create_dir_all(&folder).unwrap();
    let hook = format!(
        r#"{{"task_id":"{name}","phase":"done","iteration":1,"total_iterations":1,"state":"{state}",
        "since":"{since}","seq":1,"branch":"{name}","cost_usd":0.0,"tokens":{{"input":0,"output":0}}}}"#
    );
    fs::write(Folder::new(&folder).hook(), hook).unwrap();
    fs::write(Folder::new(&folder).overview(), "# Session\n## Status\nPhase: done\n").unwrap();
    folder
}

const LONG_AGO: &str = "2020-01-01T00:00:00Z";

fn git(folder: &Path, args: &[&str]) -> String {
    let who = ["-c", "user.name=T", "-c", "user.email=t@example.org"];
    let out = git_command(folder).into_std().args(who).args(args).output().unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[tokio::test]
async fn one_that_may_not_be_archived_keeps_all_that_were_named() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let done = session(root, "done", "done", LONG_AGO);
    for (state, hint) in [
        ("waiting", "samocode why"),
        ("stopped", "--unfinished"),
        ("paused", "--now other"),
        ("queued", "--now other"),
    ] {
        session(root, "other", state, LONG_AGO);
        let error = archive(root, &["done", "other"]).await.unwrap_err();
        assert_eq!(error.class, Class::Refused, "{state}");
        assert!(error.hint.as_ref().unwrap().contains(hint), "{state}: {error:?}");
        assert!(done.exists());
    }
    let lock = Lock::take(&Folder::new(&done)).unwrap();
    let error = archive(root, &["done"]).await.unwrap_err();
    assert!(error.message.contains("done is running"), "{error}");
    drop(lock);
    // A process that another test is starting has the lock's descriptor until its exec.
    let free = || Lock::take(&Folder::new(&done)).is_ok();
    assert!((0..1000).any(|_| free() || {
        std::thread::sleep(std::time::Duration::from_millis(5));
        false
    }));
    for (named, message) in [
        (&["done", "26-11-20-done"][..], "done is named twice"),
        (&["done", "dune"], "no session 'dune'"),
        (&[], "say which"),
    ] {
        let error = archive(root, named).await.unwrap_err();
        assert!(error.message.contains(message), "{error}");
        assert!(done.exists());
    }
    let archived = archive(root, &["done"]).await.unwrap();
    assert_eq!(archived.archived[0].folder, root.join("sessions/_archive/26-11-20-done"));
}

#[tokio::test]
async fn all_that_have_been_done_for_long_enough_are_archived() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    session(root, "old", "done", LONG_AGO);
    let fresh = session(root, "fresh", "done", &Timestamp::now().to_string());
    let waiting = session(root, "waiting", "waiting", LONG_AGO);
    let week = 7 * 24 * 3600;
    let call = Archive { done: true, older_s: Some(week), ..Archive::default() };
    let all = ask(root, call.clone()).await.unwrap();
    let names: Vec<_> = all.archived.iter().map(|removed| removed.session.as_str()).collect();
    assert_eq!((names, all.left), (vec!["old"], vec![]));
    assert!(fresh.exists() && waiting.exists());
    assert_eq!(ask(root, call).await.unwrap().archived, vec![]);
    let all = ask(root, Archive { done: true, ..Archive::default() }).await.unwrap();
    assert_eq!(all.archived.len(), 1);
}

#[tokio::test]
async fn a_session_comes_back_with_its_worktree_and_uncommitted_files() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    caller(root);
    let folder = session(root, "jwt", "done", LONG_AGO);
    let repo = root.join("repo");
    git(&repo, &["init", "-q", "-b", "main"]);
    git(&repo, &["commit", "-q", "--allow-empty", "-m", "start"]);
    let tree = root.join("worktrees/26-11-20-jwt");
    git(&repo, &["worktree", "add", "-q", "-b", "jwt", tree.to_str().unwrap()]);
    fs::write(tree.join("notes"), "not committed\n").unwrap();

    let all = archive(root, &["jwt"]).await.unwrap();
    let rescued = all.archived[0].rescued.clone().unwrap();
    assert_eq!(rescued.describe(), "1 uncommitted file");
    assert!(!tree.exists() && !folder.exists());

    let near = ask(root, Restore { session: "jtw".to_owned() }).await.unwrap_err();
    assert_eq!(near.hint.as_deref(), Some("did you mean 'jwt'?"));
    let again = session(root, "jwt", "done", LONG_AGO);
    let refused = ask(root, Restore { session: "jwt".to_owned() }).await.unwrap_err();
    assert!(refused.message.contains("exists again"), "{refused}");
    fs::remove_dir_all(again).unwrap();

    let restored = ask(root, Restore { session: "jwt".to_owned() }).await.unwrap();
    assert_eq!((restored.state, restored.worktree.as_ref()), (StateName::Done, Some(&tree)));
    assert_eq!(restored.rescued.as_ref(), Some(&rescued.reference));
    assert_eq!(fs::read_to_string(tree.join("notes")).unwrap(), "not committed\n");
    assert_eq!(git(&tree, &["status", "--porcelain", "--branch"]), "## jwt\n?? notes\n");
    assert!(folder.exists());

    // The branch moves while it is away: nothing is brought back, and that is said.
    archive(root, &["jwt"]).await.unwrap();
    let commit = git(&repo, &["commit-tree", "-p", "jwt", "-m", "more", "jwt^{tree}"]);
    git(&repo, &["branch", "-f", "jwt", commit.trim()]);
    let call = Restore { session: "jwt".to_owned() };
    let answer = Local::new(caller(root)).request(call.into(), &quiet).await;
    let told = answer.warnings.join("\n");
    assert!(told.contains(&rescued.reference) && told.contains("not brought back"), "{told}");
    assert_eq!(git(&tree, &["status", "--porcelain"]), "");
}

#[test]
fn a_folder_that_got_a_number_in_the_archive_comes_back_under_its_own_name() {
    let root = tempfile::tempdir().unwrap();
    let archive = root.path().join(ARCHIVE);
    for own in ["26-11-20-jwt", "26-11-20-jwt-2", "26-11-20-jwt-10", "26-11-21-other-2"] {
        fs::create_dir_all(archive.join(own)).unwrap();
        let created = |name: &str| {
            format!(
                r#"{{"seq":1,"at":"2026-11-20T10:00:00Z","kind":"created","name":"{name}","task":"t"}}"#
            )
        };
        if own.contains("jwt") {
            fs::write(Folder::new(archive.join(own)).journal(), created("jwt") + "\n").unwrap();
        }
    }
    let newest = find(root.path(), "jwt").unwrap();
    assert_eq!((newest.folder.as_str(), newest.name.as_str()), ("26-11-20-jwt", "jwt"));
    assert_eq!(newest.path, archive.join("26-11-20-jwt-10"));
    assert_eq!(find(root.path(), "26-11-20-jwt-2").unwrap().folder, "26-11-20-jwt");
    assert_eq!(find(root.path(), "other-2").unwrap().folder, "26-11-21-other-2");
}

/// A project with a finished session whose worktree has a file that is not committed.
fn with_uncommitted_work(root: &Path) -> (PathBuf, PathBuf) {
    caller(root);
    let folder = session(root, "jwt", "done", LONG_AGO);
    let repo = root.join("repo");
    git(&repo, &["init", "-q", "-b", "main"]);
    git(&repo, &["commit", "-q", "--allow-empty", "-m", "start"]);
    let tree = root.join("worktrees/26-11-20-jwt");
    git(&repo, &["worktree", "add", "-q", "-b", "jwt", tree.to_str().unwrap()]);
    fs::write(tree.join("notes"), "not committed\n").unwrap();
    (folder, tree)
}

#[tokio::test]
async fn nothing_is_removed_where_the_folder_cannot_be_moved_to_the_archive() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let (folder, tree) = with_uncommitted_work(root);
    fs::write(root.join("sessions").join(ARCHIVE), "").unwrap();
    let all = archive(root, &["jwt"]).await.unwrap();
    assert_eq!((all.archived.len(), all.left.len()), (0, 1));
    assert!(folder.exists() && tree.join("notes").exists());
}

/// Does something that is killed at its Nth step, then again to its end; false if it has no Nth step.
fn killed_at(step: u32, runtime: &tokio::runtime::Runtime, mut act: impl AsyncFnMut()) -> bool {
    faults::set(Some(step), None);
    let survived = catch_unwind(AssertUnwindSafe(|| runtime.block_on(act())));
    faults::set(None, None);
    if survived.is_err() {
        runtime.block_on(act());
    }
    survived.is_err()
}

#[test]
fn whoever_is_killed_while_archiving_or_restoring_nothing_is_lost_and_the_next_completes_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut steps = 0;
    for step in 1.. {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let (folder, tree) = with_uncommitted_work(root);
        let archived = killed_at(step, &runtime, async || {
            // One that was killed after its last step has nothing left to do.
            if folder.exists() {
                let all = archive(root, &["jwt"]).await.unwrap();
                assert_eq!(all.left, [], "killed at {step}");
            }
        });
        assert!(!folder.exists() && !tree.exists(), "killed at {step}");
        let restored = killed_at(step, &runtime, async || {
            if !folder.exists() {
                ask(root, Restore { session: "jwt".to_owned() }).await.unwrap();
            }
        });
        assert!(folder.exists(), "killed at {step}");
        let notes = fs::read_to_string(tree.join("notes")).unwrap_or_default();
        assert_eq!(notes, "not committed\n", "killed at {step}");
        let status = git(&tree, &["status", "--porcelain", "--branch"]);
        assert_eq!(status, "## jwt\n?? notes\n", "killed at {step}");
        if !archived && !restored {
            steps = step;
            break;
        }
    }
    assert!(steps > 3, "there are more steps at which they may be killed: {steps}");
}

#[tokio::test]
async fn a_session_with_others_below_it_is_archived_after_them_and_they_come_back_below_it() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    caller(root);
    let lead = session(root, "lead", "done", LONG_AGO);
    let below = lead.join("workers/impl-1");
    fs::create_dir_all(lead.join("workers")).unwrap();
    fs::rename(session(root, "impl-1", "done", LONG_AGO), &below).unwrap();

    let all = archive(root, &["lead"]).await.unwrap();
    let why = all.left[0].error.in_one_line();
    assert!(why.contains("1 session is below it: impl-1") && lead.exists(), "{why}");
    let all = archive(root, &["lead", "impl-1"]).await.unwrap();
    let names: Vec<&str> = all.archived.iter().map(|one| one.session.as_str()).collect();
    assert_eq!((names, all.left), (vec!["impl-1", "lead"], Vec::new()));

    // Its folder came along with the other's.
    let missing = ask(root, Restore { session: "impl-1".to_owned() }).await.unwrap_err();
    assert_eq!(missing.class, Class::NotFound);
    ask(root, Restore { session: "lead".to_owned() }).await.unwrap();
    let restored = ask(root, Restore { session: "impl-1".to_owned() }).await.unwrap();
    assert_eq!((restored.folder.as_path(), below.exists()), (below.as_path(), true));
}

#[tokio::test]
async fn one_that_comes_back_below_a_confined_session_gets_a_record_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    caller(root);
    let lead = Folder::new(session(root, "lead", "done", LONG_AGO));
    let lock = Lock::take(&lead).unwrap();
    drop(lead.set_apart(lock).unwrap());
    let kept = lead.workers().join("_archive/impl");
    fs::create_dir_all(&kept).unwrap();
    let old = session(root, "impl", "done", LONG_AGO);
    for file in fs::read_dir(&old).unwrap().flatten() {
        fs::rename(file.path(), kept.join(file.file_name())).unwrap();
    }
    fs::remove_dir(&old).unwrap();
    let restored = ask(root, Restore { session: "impl".into() }).await.unwrap();
    let folder = Folder::new(&restored.folder);
    assert_eq!(restored.folder, lead.workers().join("impl"));
    assert!(!folder.lacks_record() && folder.hook().starts_with(root.join("sessions/.samocode")));
    assert_eq!(restored.state, StateName::Done);
}
