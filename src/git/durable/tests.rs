//! Worktrees as a loss of power leaves them: files with another content than the index has, and the times and the size that it has.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use git2::{IndexEntry, IndexTime, Repository};

use super::*;
use crate::git::tests::{Lab, git};

const HOUR: Duration = Duration::from_secs(3600);

fn window() -> Window {
    Window { since: SystemTime::now() - HOUR, booted: None }
}

/// Puts `there` into files whose staged content, size and times are those that git has, as far as git looks.
fn damage(lab: &Lab, worktree: &Path, files: &[(&str, &[u8])]) {
    for (file, there) in files {
        let path = worktree.join(file);
        fs::write(&path, there).unwrap();
        // git reads a file that was written in the same second as the index.
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(10)).unwrap();
    }
    lab.next_tick();
    let repo = Repository::open(worktree).unwrap();
    let mut index = repo.index().unwrap();
    // The library doubts entries that are newer than the index it has read, so this one is to be newer than they are.
    index.write().unwrap();
    for (file, _) in files {
        let known = index.get_path(Path::new(file), 0).unwrap();
        let meta = fs::metadata(worktree.join(file)).unwrap();
        let time = |seconds: i64, rest: i64| {
            IndexTime::new(i32::try_from(seconds).unwrap(), u32::try_from(rest).unwrap())
        };
        let low = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap();
        index
            .add(&IndexEntry {
                ctime: time(meta.ctime(), meta.ctime_nsec()),
                mtime: time(meta.mtime(), meta.mtime_nsec()),
                dev: low(meta.dev()),
                ino: low(meta.ino()),
                uid: meta.uid(),
                gid: meta.gid(),
                file_size: low(meta.len()),
                ..known
            })
            .unwrap();
    }
    index.write().unwrap();
}

async fn worktree(lab: &Lab) -> PathBuf {
    lab.create("a").await.unwrap();
    lab.path("a")
}

fn text(worktree: &Path, file: &str) -> String {
    fs::read_to_string(worktree.join(file)).unwrap()
}

#[tokio::test]
async fn what_git_calls_clean_is_compared_by_content_and_restored() {
    let lab = Lab::new();
    lab.commit("log", "one\ntwo\nthree\n");
    lab.commit("sub/état\n1", "version 2\n");
    lab.commit("run.sh", "#!/bin/sh\n");
    lab.git(&["update-index", "--chmod=+x", "run.sh"]);
    lab.git(&["commit", "-qm", "x"]);
    let path = worktree(&lab).await;
    damage(
        &lab,
        &path,
        &[
            ("log", b"one\n\0\0\0\0\0\0\0\0\0\0"),
            ("sub/état\n1", b"version 1\n"),
            ("run.sh", b"\0\0\0\0\0\0\0\0\0\0"),
        ],
    );
    assert_eq!(git(&path, &["status", "--porcelain"]), "", "git is deceived");

    let found = find_damage(&path, &window(), &lab.programs()).await.unwrap();
    assert_eq!(found.restorable(), ["log", "run.sh", "sub/état\n1"].map(PathBuf::from));
    assert_eq!(found.lost(), &[] as &[PathBuf]);
    assert_eq!(text(&path, "sub/état\n1"), "version 1\n", "nothing is touched yet");
    let kept = lab.path("kept");
    assert!(found.keep(&kept).await.unwrap());
    found.restore().await.unwrap();

    assert_eq!(text(&kept, "sub/état\n1"), "version 1\n");
    assert_eq!(fs::read(kept.join("log")).unwrap(), b"one\n\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(text(&path, "log"), "one\ntwo\nthree\n");
    assert_eq!(text(&path, "sub/état\n1"), "version 2\n");
    assert_eq!(fs::metadata(path.join("run.sh")).unwrap().mode() & 0o111, 0o111);
    assert_eq!(git(&path, &["status", "--porcelain"]), "");
    assert!(find_damage(&path, &window(), &lab.programs()).await.unwrap().is_none());
}

#[tokio::test]
async fn what_was_edited_after_it_was_staged_is_left_unless_its_data_is_lost() {
    let lab = Lab::new();
    for file in ["edited", "shortened", "holes", "emptied", "made_binary", "added"] {
        lab.commit(file, "one\ntwo\n");
    }
    let path = worktree(&lab).await;
    lab.next_tick();
    let edits: [(&str, &[u8]); 6] = [
        ("edited", b"one\nTWO\n"),
        ("shortened", b"one\n"),
        ("holes", b"one\n\0\0\0\0\0\0\0\0"),
        ("added", b"one\ntwo\nthree\n\0\0\0\0"),
        ("emptied", b""),
        ("made_binary", &[0xff, 0, 0, 0xfe]),
    ];
    for (file, there) in edits {
        fs::write(path.join(file), there).unwrap();
    }

    let found = find_damage(&path, &window(), &lab.programs()).await.unwrap();
    assert_eq!(found.restorable(), ["added", "emptied", "holes"].map(PathBuf::from));
    found.restore().await.unwrap();
    for (file, there) in edits {
        let expected = match file {
            "added" => &b"one\ntwo\nthree\n"[..],
            "holes" | "emptied" => b"one\ntwo\n",
            _ => there,
        };
        assert_eq!(fs::read(path.join(file)).unwrap(), expected, "{file}");
    }
}

#[tokio::test]
async fn an_older_version_that_is_newer_than_the_index_was_never_written_by_anybody() {
    let lab = Lab::new();
    let path = worktree(&lab).await;
    for version in 1..=3 {
        fs::write(path.join("state"), format!("version {version}\n")).unwrap();
        git(&path, &["add", "state"]);
        git(&path, &["commit", "-qm", "x"]);
    }
    lab.next_tick();
    fs::write(path.join("state"), "version 1\n").unwrap();
    let found = find_damage(&path, &window(), &lab.programs()).await.unwrap();
    assert_eq!(found.restorable(), [PathBuf::from("state")]);
    drop(found);
    fs::write(path.join("state"), "version 4\n").unwrap();
    assert!(find_damage(&path, &window(), &lab.programs()).await.unwrap().is_none());
}

#[tokio::test]
async fn filters_are_heeded() {
    let lab = Lab::new();
    lab.filter("tr a-z A-Z");
    let path = worktree(&lab).await;
    assert!(find_damage(&path, &window(), &lab.programs()).await.unwrap().is_none());
    damage(&lab, &path, &[("x.big", b"CONT\0\0\0\0")]);
    let found = find_damage(&path, &window(), &lab.programs()).await.unwrap();
    assert_eq!(found.restorable(), [PathBuf::from("x.big")]);
    found.restore().await.unwrap();
    assert_eq!(text(&path, "x.big"), "CONTENT\n");
}

#[tokio::test]
async fn only_what_was_written_in_the_window_is_looked_at() {
    let lab = Lab::new();
    let path = worktree(&lab).await;
    damage(&lab, &path, &[("README", b"\0\0\0\0\0\0")]);
    let after = SystemTime::now() + HOUR;
    let before = SystemTime::now() - HOUR;
    for (since, booted, looks) in [
        (before, None, true),
        (before, Some(after), true),
        (after, None, false),
        (before - HOUR, Some(before), false),
    ] {
        let found = find_damage(&path, &Window { since, booted }, &lab.programs()).await.unwrap();
        assert_eq!(!found.is_none(), looks, "{since:?} {booted:?}");
    }
}

#[tokio::test]
async fn a_missing_file_is_restored_unless_its_folder_says_that_it_was_deleted() {
    let lab = Lab::new();
    lab.commit("lost/file", "text\n");
    lab.commit("deleted/file", "text\n");
    let path = worktree(&lab).await;
    fs::remove_file(path.join("lost/file")).unwrap();
    // As if the name had not reached the disk: the index is the last that was written.
    lab.next_tick();
    git(&path, &["update-index", "--force-write-index"]);
    lab.next_tick();
    fs::remove_file(path.join("deleted/file")).unwrap();

    let found = find_damage(&path, &window(), &lab.programs()).await.unwrap();
    assert_eq!(found.restorable(), [PathBuf::from("lost/file")]);
    assert_eq!(found.lost(), [PathBuf::from("deleted/file")]);
    assert!(!found.keep(&lab.path("kept")).await.unwrap(), "there is nothing to be kept");
    found.restore().await.unwrap();
    assert_eq!(text(&path, "lost/file"), "text\n");
    assert!(!path.join("deleted/file").exists());
}

#[tokio::test]
async fn untracked_files_without_data_and_files_too_large_to_compare_are_named() {
    let lab = Lab::new();
    lab.commit(".gitignore", "ignored\n");
    lab.commit("large", "text\n");
    let path = worktree(&lab).await;
    for (file, bytes) in
        [("holes", &b"a\0\0"[..]), ("empty", b""), ("fine", b"text\n"), ("ignored", b"")]
    {
        fs::write(path.join(file), bytes).unwrap();
    }
    damage(&lab, &path, &[("large", b"")]);
    fs::File::create(path.join("large")).unwrap().set_len((1 << 30) + 1).unwrap();
    let modified = fs::metadata(path.join("large")).unwrap().modified().unwrap();
    lab.next_tick();

    let found = find_damage(&path, &window(), &lab.programs()).await.unwrap();
    assert_eq!(found.lost(), ["empty", "holes", "large"].map(PathBuf::from));
    assert_eq!(found.restorable(), &[] as &[PathBuf]);
    found.restore().await.unwrap();
    assert!(fs::metadata(path.join("large")).unwrap().modified().unwrap() > modified);
    assert_eq!(fs::read(path.join("holes")).unwrap(), b"a\0\0");
}

#[tokio::test]
async fn an_index_that_is_behind_its_commit_does_not_undo_it() {
    let lab = Lab::new();
    let path = worktree(&lab).await;
    fs::write(path.join("staged"), "of the agent\n").unwrap();
    git(&path, &["add", "staged"]);
    let index = lab.repo.join(".git/worktrees/a/index");
    let (before, written) =
        (fs::read(&index).unwrap(), fs::metadata(&index).unwrap().modified().unwrap());
    git(&path, &["reset", "-q", "--", "staged"]);
    fs::write(path.join("README"), "hello again\n").unwrap();
    git(&path, &["commit", "-qam", "x"]);
    // git was cut off after it had moved the branch, and the file has what it had before.
    fs::write(&index, before).unwrap();
    fs::File::options().write(true).open(&index).unwrap().set_modified(written).unwrap();
    fs::write(path.join("README"), "hello\n").unwrap();
    assert_ne!(git(&path, &["diff", "--cached", "README"]), "", "the next commit would undo it");

    let found = find_damage(&path, &window(), &lab.programs()).await.unwrap();
    assert_eq!(found.restorable(), [PathBuf::from("README")]);
    found.restore().await.unwrap();
    assert_eq!(text(&path, "README"), "hello again\n");
    assert_eq!(git(&path, &["status", "--porcelain"]), "A  staged");
}

#[tokio::test]
async fn a_folder_that_became_a_link_leads_nowhere() {
    let lab = Lab::new();
    lab.commit("sub/file", "text\n");
    let path = worktree(&lab).await;
    let outside = lab.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "").unwrap();
    fs::remove_dir_all(path.join("sub")).unwrap();
    std::os::unix::fs::symlink(&outside, path.join("sub")).unwrap();
    assert!(find_damage(&path, &window(), &lab.programs()).await.unwrap().is_none());
}

#[tokio::test]
async fn what_a_killed_restoring_left_is_removed() {
    let lab = Lab::new();
    let path = worktree(&lab).await;
    let left = path.join(".samocode-restore-x");
    fs::create_dir(&left).unwrap();
    assert!(find_damage(&path, &window(), &lab.programs()).await.unwrap().is_none());
    assert!(!left.exists());
}
