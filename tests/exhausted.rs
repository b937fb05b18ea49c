//! Limits of the machine that are reached: one line names the limit and the remedy, and what can
//! work without more works.

use crate::lab::{self, Outcome, secs};

/// Fails unless the command said this once, in an error of one line with its hint.
#[track_caller]
fn is_named(out: &Outcome, remedy: &str) {
    assert!(out.code == 1 && out.is_one_error() && out.stderr.contains(remedy), "{out}");
}

#[test]
fn a_limit_of_files_or_processes_is_named_and_what_can_work_works() {
    let Some(lab) = lab::get() else { return };
    // The kernel counts processes by user: this one has no others.
    let user = lab.user_without_manager("exhausted");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    assert_eq!(project.samocode(["run", "jwt", "--task", "t"]).output().code, 10);
    let limited = |limit: &str, words: &str| {
        user.sh(&format!("ulimit {limit}; exec samocode {words}")).cwd(&project.dir)
    };

    for files in [6, 7, 10, 20] {
        for words in ["status", "wait jwt", "run jwt"] {
            is_named(&limited(&format!("-n {files}"), words).output(), "ulimit -n");
        }
    }
    limited("-Sn 6", "status").ok();

    let remedy = "the limit on processes is reached: end some, or raise SAMOCODE_TASKS_MAX";
    for words in ["status", "why jwt", "history jwt", "send jwt Hello", "approve jwt"] {
        limited("-u 1", words).ok();
    }
    for words in ["logs jwt", "show jwt diff", "run jwt"] {
        is_named(&limited("-u 1", words).output(), remedy);
    }
    let waited = limited("-u 1", "wait jwt --until done --timeout 1s").output();
    assert_eq!((waited.code, waited.stderr.matches(remedy).count()), (124, 1), "{waited}");
    // Neither git nor an agent could be started. It resumes as soon as they can.
    let mut run = limited("-Su 2", "run new --task t").within(secs(60)).spawn();
    let new = project.named("new");
    user.wait_until("it is paused", secs(30), || new.stands().0 == "paused");
    assert!(new.reason().contains(remedy), "{}", new.reason());
    assert_eq!(new.journal("blocked").len(), 0);
    run.signal(rustix::process::Signal::INT);
    run.wait(secs(30));
    assert_eq!(project.samocode(["run", "new"]).output().code, 10);
}

#[test]
fn a_small_stack_a_closing_umask_and_an_empty_tmpdir_stop_nothing() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("narrow");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let after = |first: &str, words: &str| {
        user.sh(&format!("{first}; exec samocode {words}")).cwd(&project.dir).output()
    };
    for (name, first) in
        [("stack", "ulimit -s 256"), ("umask", "umask 777"), ("tmp", "export TMPDIR=")]
    {
        let run = after(first, &format!("run {name} --task t"));
        assert_eq!(run.code, 10, "{first}: {run}");
    }
    for place in ["/etc/passwd", "/missing"] {
        let run = after(&format!("export TMPDIR={place}"), "run other --task t");
        is_named(&run, "set TMPDIR to a folder that you may write to");
    }
}

#[test]
fn a_full_disk_is_named_and_what_only_looks_works() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("full");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", "rehearsal")
        .key("SAMOCODE_DISK_FLOOR", "1k")
        .create();
    let (path, uid) = (project.sessions.display(), user.uid);
    let mount =
        format!("mkdir -p {path}; mount -t tmpfs -o size=256k,uid={uid},gid={uid} tmpfs {path}");
    lab.root_sh(&mount).ok();
    assert_eq!(project.samocode(["run", "jwt", "--task", "t"]).output().code, 10);
    user.sh("cat /dev/zero >fill; true").cwd(&project.sessions).ok();

    for words in [
        &["send", "jwt", "Hello"][..],
        &["approve", "jwt"],
        &["answer", "jwt", "--accept-suggestions"],
        &["run", "other", "--task", "t"],
    ] {
        is_named(&project.samocode(words.iter().copied()).output(), "the disk is full: free some");
    }
    for words in [&["status"][..], &["why", "jwt"], &["logs", "jwt"], &["show", "jwt"]] {
        project.samocode(words.iter().copied()).ok();
    }
    user.sh("rm fill").cwd(&project.sessions).ok();
    project.samocode(["answer", "jwt", "--accept-suggestions"]).ok();
    assert_eq!(project.samocode(["run", "jwt"]).output().code, 10);
    lab.root_sh(&format!("umount -l {path}")).ok();
}

#[test]
fn a_session_that_takes_too_much_of_the_disk_is_ended_and_what_is_large_is_named() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("filler");
    let agent = user.shell_agent("head -c 40M /dev/zero >big; exec sleep 1000");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_DISK_MAX", "20 MiB")
        .create();
    let mut run = project.samocode(["run", "jwt", "--task", "t"]).within(secs(180)).spawn();
    let session = project.named("jwt");
    user.wait_until("it is paused", secs(120), || session.stands().0 == "paused");
    let reason = session.reason();
    assert!(reason.contains("SAMOCODE_DISK_MAX allows 20 MiB"), "{reason}");
    assert!(reason.contains("/big (40 MiB)"), "{reason}");
    let ended = session.journal("run_ended").remove(0);
    assert_eq!(ended["outcome"], "failed", "{ended}");
    assert!(ended["detail"].to_string().contains("/big (40 MiB)"), "{ended}");
    let why = project.samocode(["why", "jwt"]).output().stdout;
    assert!(why.contains("SAMOCODE_DISK_MAX"), "{why}");
    run.signal(rustix::process::Signal::INT);
    run.wait(secs(60));
}
