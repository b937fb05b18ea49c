//! What is done after a crash, and what is left alone.

use super::*;
use crate::platform::processes;

#[tokio::test]
async fn a_creation_killed_in_the_checkout_is_completed() {
    let lab = Lab::new();
    lab.filter("kill -9 0");
    assert!(lab.create("a").await.is_err());
    assert_eq!(lab.registered(), 1);
    assert!(!lab.path("a").join("x.big").exists());
    let lock = registrations(&lab.repo)[0].admin.join("index.lock");
    assert!(lock.exists(), "the kill must have come in the checkout");
    lab.git(&["config", "filter.big.smudge", "tr a-z A-Z"]);
    let created = lab.create("a").await.unwrap();
    assert_eq!(created.did, Did::Completed);
    assert_eq!(std::fs::read_to_string(lab.path("a").join("x.big")).unwrap(), "CONTENT\n");
    assert_healthy(&lab, "a").await;
}

#[tokio::test]
async fn a_creation_killed_in_the_hook_runs_the_hook_again() {
    let lab = Lab::new();
    lab.hook("post-checkout", "kill -9 0");
    // Everything but the hook was done, so it counts as made; as if the worker had died with git, the mark is put back.
    assert!(lab.create("a").await.unwrap().notes[0].starts_with("the post-checkout hook failed"));
    let known = registrations(&lab.repo).remove(0);
    std::fs::write(known.admin.join("locked"), OUR_LOCK).unwrap();
    std::fs::write(lab.path("a").join("README"), "edited meanwhile").unwrap();
    lab.forget_programs();
    lab.hook("post-checkout", "touch \"$(git rev-parse --git-dir)/hook-ran\"");
    assert_eq!(lab.create("a").await.unwrap().did, Did::Completed);
    assert!(known.admin.join("hook-ran").exists());
    assert_eq!(std::fs::read_to_string(lab.path("a").join("README")).unwrap(), "edited meanwhile");
}

#[tokio::test]
async fn a_creation_dropped_at_any_moment_is_completed_by_the_next() {
    let lab = Lab::new();
    lab.filter("tr a-z A-Z");
    let (mut cut, mut made) = (0, 0);
    for step in 0..30 {
        let branch = format!("feat/x{step}");
        match tokio::time::timeout(Duration::from_millis(step), lab.create(&branch)).await {
            Ok(created) => made += usize::from(created.is_ok()),
            Err(_) => cut += 1,
        }
        lab.create(&branch).await.unwrap_or_else(|error| panic!("step {step}: {error}"));
        assert_healthy(&lab, &branch).await;
        assert_eq!(std::fs::read_to_string(lab.path(&branch).join("x.big")).unwrap(), "CONTENT\n");
    }
    assert!(cut > 5, "{cut} cut off, {made} made");
    let junk = std::fs::read_dir(lab.repo.join(".git/worktrees")).unwrap().count();
    assert_eq!(junk, 30, "no registration without a worktree is left");
}

#[tokio::test]
async fn a_branch_without_its_worktree_and_a_registration_without_its_folder_are_completed() {
    let lab = Lab::new();
    lab.git(&["branch", "a"]);
    lab.create("a").await.unwrap();
    std::fs::remove_dir_all(lab.path("a")).unwrap();
    assert_eq!(lab.create("a").await.unwrap().did, Did::Completed);
    assert_healthy(&lab, "a").await;

    let admin = registrations(&lab.repo).remove(0).admin;
    std::fs::remove_dir_all(lab.path("a")).unwrap();
    std::fs::write(admin.join("locked"), "on the other disk").unwrap();
    let error = lab.create("a").await.unwrap_err().to_string();
    assert!(error.contains("locked (on the other disk)"), "{error}");
    std::fs::write(admin.join("locked"), OUR_LOCK).unwrap();
    assert_eq!(lab.create("a").await.unwrap().did, Did::Completed);
    assert_healthy(&lab, "a").await;
    assert_eq!(lab.registered(), 1);
}

#[tokio::test]
async fn a_registration_that_was_cut_off_at_its_first_files_is_removed() {
    let lab = Lab::new();
    for (branch, gitdir) in [("a", None), ("b", Some(""))] {
        let admin = lab.repo.join(".git/worktrees").join(branch);
        std::fs::create_dir_all(&admin).unwrap();
        std::fs::write(admin.join("locked"), OUR_LOCK).unwrap();
        if let Some(text) = gitdir {
            std::fs::write(admin.join("gitdir"), text).unwrap();
        }
        lab.create(branch).await.unwrap();
        assert_healthy(&lab, branch).await;
    }
    assert_eq!(std::fs::read_dir(lab.repo.join(".git/worktrees")).unwrap().count(), 2);
}

#[tokio::test]
async fn a_torn_or_moved_link_between_worktree_and_repository_is_mended() {
    let lab = Lab::new();
    lab.create("a").await.unwrap();
    let path = lab.path("a");
    std::fs::write(path.join("README"), "the agent's work").unwrap();
    std::fs::write(path.join(".git"), "").unwrap();
    lab.create("a").await.unwrap();
    assert_eq!(git(&path, &["status", "--porcelain"]), "M README");
    let elsewhere = lab.path("moved");
    std::fs::rename(&path, &elsewhere).unwrap();
    create(&plan(&lab.repo, "a", &elsewhere).unwrap(), &lab.programs()).await.unwrap();
    assert_eq!(registrations(&lab.repo)[0].folder, elsewhere);
    assert_eq!(git(&elsewhere, &["status", "--porcelain"]), "M README");
}

#[tokio::test]
async fn a_repository_that_was_moved_finds_its_worktree_again_moved_or_not() {
    for moves_along in [false, true] {
        let lab = Lab::new();
        lab.create("a").await.unwrap();
        std::fs::write(lab.path("a").join("README"), "the agent's work").unwrap();
        let (repo, mut path) = (lab.root().join("renamed"), lab.path("a"));
        std::fs::rename(&lab.repo, &repo).unwrap();
        if moves_along {
            std::fs::rename(lab.root().join("worktrees"), lab.root().join("trees")).unwrap();
            path = lab.root().join("trees/a");
        }
        create(&plan(&repo, "a", &path).unwrap(), &lab.programs()).await.unwrap();
        assert_eq!(registrations(&repo)[0].folder, path);
        assert_eq!(git(&path, &["status", "--porcelain"]), "M README");
        let again = create(&plan(&repo, "a", &path).unwrap(), &lab.programs()).await.unwrap();
        assert_eq!(again.did, Did::Nothing);
    }
}

#[tokio::test]
async fn work_in_a_healthy_worktree_is_never_touched() {
    let lab = Lab::new();
    lab.create("a").await.unwrap();
    let path = lab.path("a");
    std::fs::write(path.join("README"), "changed").unwrap();
    std::fs::write(path.join("new"), "new").unwrap();
    assert_eq!(lab.create("a").await.unwrap().did, Did::Nothing);
    assert_eq!(changed_files(&path).await.unwrap(), 2);
    git(&path, &["switch", "--quiet", "--detach"]);
    let created = lab.create("a").await.unwrap();
    assert_eq!(created.did, Did::Nothing);
    assert!(created.notes[0].contains("no branch"), "{created:?}");
    assert_eq!(std::fs::read_to_string(path.join("README")).unwrap(), "changed");
}

#[tokio::test]
async fn a_dead_gits_index_lock_is_removed_and_a_living_ones_respected() {
    if !processes::SHOWS_OPEN_FILES {
        return crate::skipped("this system does not show who has a file open");
    }
    let lab = Lab::new();
    lab.create("a").await.unwrap();
    let lock = registrations(&lab.repo)[0].admin.join("index.lock");
    // Another process, since a child that another test just forked would share a file of ours.
    let script = format!("exec 3>{}; echo; read x", lock.display());
    let mut command = tokio::process::Command::new("sh");
    let mut holder =
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    tokio::io::AsyncReadExt::read_u8(holder.stdout.as_mut().unwrap()).await.unwrap();
    let held_by = i32::try_from(holder.id().unwrap()).unwrap();
    assert!(matches!(lab.create("a").await, Err(Error::Busy { pid, .. }) if pid == held_by));
    holder.kill().await.unwrap();
    let created = lab.create("a").await.unwrap();
    assert!(created.notes[0].contains("index.lock"), "{created:?}");
    assert_healthy(&lab, "a").await;
}

#[tokio::test]
async fn a_git_that_outlived_its_samocode_is_not_disturbed() {
    let lab = Lab::new();
    let lingering = lab.root().join("lingering");
    lab.filter(&format!(
        "echo >> {}; read x < {}; cat",
        lingering.display(),
        lab.root().join("pipe").display()
    ));
    assert!(Command::new("mkfifo").arg(lab.root().join("pipe")).status().unwrap().success());
    let mut command = git_command(&lab.repo).into_std();
    command.args(["worktree", "add", "--lock", "--reason", OUR_LOCK, "-b", "a"]).arg(lab.path("a"));
    let mut child = command.spawn().unwrap();
    // Opens when the filter waits, so the checkout is under way.
    let pipe =
        tokio::fs::OpenOptions::new().write(true).open(lab.root().join("pipe")).await.unwrap();
    let (created, ()) = tokio::join!(lab.create("a"), async { drop(pipe) });
    assert!(child.wait().unwrap().success());
    assert_eq!(created.unwrap().did, Did::Completed);
    assert_eq!(std::fs::read_to_string(lingering).unwrap(), "\n", "one checkout, not two");
    lab.git(&["config", "filter.big.smudge", "cat"]);
    assert_healthy(&lab, "a").await;
}

#[tokio::test]
async fn a_git_that_hangs_is_ended_with_its_helpers() {
    let lab = Lab::new();
    let pidfile = lab.root().join("pid");
    let hang = format!("alias.hang=!echo $$ > {}; mkfifo -m 600 f$$; cat f$$", pidfile.display());
    // The limit that is enough for git to start its helper depends on the machine.
    let mut limit = Duration::from_millis(300);
    let pid: i32 = loop {
        let mut command = git_command(&lab.repo);
        command.args(["-c", &hang, "hang"]);
        let error = super::super::command::run(command, "hang", limit).await.unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }));
        let written = std::fs::read_to_string(&pidfile).unwrap_or_default();
        if let Some(pid) = written.strip_suffix('\n').and_then(|pid| pid.parse().ok()) {
            break pid;
        }
        limit *= 4;
        assert!(limit < Duration::from_secs(100), "git never started its helper");
    };
    super::super::leftovers::outlast(pid).await;
    let listed = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(listed.stdout).unwrap();
    assert!(state.is_empty() || state.starts_with('Z'), "{state}");
}

#[tokio::test]
async fn a_worktree_is_whole_until_a_killed_git_leaves_something_in_it() {
    let lab = Lab::new();
    let path = lab.path("a");
    assert!(!is_whole(&path, Some("a")));
    lab.create("a").await.unwrap();
    assert!(is_whole(&path, Some("a")));
    let admin = registrations(&lab.repo).remove(0).admin;
    let branch = lab.repo.join(".git/refs/heads/a.lock");
    for left in [admin.join("index.lock"), admin.join("HEAD.lock"), admin.join("locked"), branch] {
        std::fs::write(&left, "").unwrap();
        assert!(!is_whole(&path, Some("a")), "{}", left.display());
        std::fs::remove_file(&left).unwrap();
    }
    assert!(is_whole(&path, Some("a")));
    std::fs::remove_file(path.join(".git")).unwrap();
    assert!(!is_whole(&path, Some("a")));
}
