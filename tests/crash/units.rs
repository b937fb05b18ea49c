//! The same under a real systemd: whichever process is killed, the session recovers and leaves no
//! process behind; it waits for a failing disk to work again.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::lab::{self, Bot, LabUser, secs};
use crate::session::BOUND;

/// Leaves a process that has left its session, waits for a word, gives its signal, waits again.
const AGENT: &str = r#"#!/bin/sh
date +%s%N >>"$HOME/starts-$SAMOCODE_SESSION"
cat >/dev/null
setsid sleep 1000 &
echo $! >"$HOME/grandchild-$SAMOCODE_SESSION"
echo $$ >"$HOME/agent-$SAMOCODE_SESSION"
until [ -e "$HOME/go-$SAMOCODE_SESSION" ]; do sleep 0.02; done
printf '{"run":"%s","status":"blocked","reason":"enough"}' "$SAMOCODE_RUN" >"$SAMOCODE_SESSION_DIR/_signal.json"
touch "$HOME/gave-$SAMOCODE_SESSION"
until [ -e "$HOME/end-$SAMOCODE_SESSION" ]; do sleep 0.02; done
"#;

struct Bench {
    user: LabUser,
    sessions: PathBuf,
}

impl Bench {
    fn new(lab: &'static lab::Lab, hint: &str) -> Self {
        let user = lab.user(hint);
        user.write_program("agent", AGENT);
        let agent = format!("command:{}/agent", user.home.display());
        let project = user
            .project("shop")
            .key("SAMOCODE_AGENT", &agent)
            .key("SAMOCODE_RETRY_DELAY", "0")
            .key("SAMOCODE_DISK_FLOOR", "0")
            .create();
        let sessions = project.sessions;
        Self { user, sessions }
    }

    fn shop(&self) -> PathBuf {
        self.user.home.join("shop")
    }

    /// The JSON output of a verb.
    fn json(&self, verb: &[&str]) -> Value {
        let words = verb.iter().copied().chain(["--json"]);
        let message = self.user.samocode(words).cwd(self.shop()).ok().stdout;
        serde_json::from_str(&message).unwrap_or_else(|e| panic!("{e}: {message}"))
    }

    fn enable(&self, name: &str) {
        self.user.samocode(["enable", name, "--task", "Wait"]).cwd(self.shop()).ok();
        self.started(name, 1);
    }

    fn starts(&self, name: &str) -> Vec<u64> {
        if !self.user.exists(format!("starts-{name}")) {
            return Vec::new();
        }
        let text = self.user.read(format!("starts-{name}"));
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Waits until the agent has been started so many times and is at work.
    fn started(&self, name: &str, times: usize) {
        let agent = format!("agent-{name}");
        self.user.wait_until(&format!("{name} is started"), secs(60), || {
            self.starts(name).len() >= times && self.user.exists(&agent)
        });
    }

    fn let_end(&self, name: &str) {
        self.user.write(format!("end-{name}"), "");
    }

    /// Waits until the session has blocked by its signal, which was taken once.
    fn ended(&self, name: &str, folder: &str) {
        let history = self.sessions.join(folder).join("_signal_history.jsonl");
        let unit = format!("samocode@{name}.service");
        self.user.wait_until(&format!("{name} has ended"), secs(60), || {
            self.user.exists(&history)
                && self.user.unit_property(&unit, "ActiveState") == "inactive"
        });
        let lines = self.user.read(&history);
        assert_eq!(lines.lines().count(), 1, "{name}: {lines}");
        assert!(lines.contains(r#""iteration":1,"#) && lines.contains("enough"), "{name}: {lines}");
        let left = self.left(name);
        assert!(left.is_empty(), "{name} has left {left}\n{}", self.user.diagnosis());
    }

    /// Processes of the session's runs.
    fn left(&self, name: &str) -> String {
        let look = format!(
            "grep -lsz '^SAMOCODE_SESSION={name}$' /proc/[0-9]*/environ | while read f; do cat ${{f%environ}}cmdline | tr '\\0' ' '; echo; done"
        );
        self.user.sh(&look).output().stdout.trim().to_owned()
    }

    fn folder(&self, name: &str) -> String {
        let list = self.user.sh(&format!("ls {}", self.sessions.display())).ok().stdout;
        let end = format!("-{name}");
        list.lines().find(|folder| folder.ends_with(&end)).expect("there is a folder").to_owned()
    }
}

#[test]
fn a_session_recovers_from_any_kill_and_leaves_no_process() {
    let Some(lab) = lab::get() else { return };
    let bench = Bench::new(lab, "killed");
    // The action, and whether a new run follows.
    let faults = [
        ("worker", "kill -9 $worker", true),
        ("agent", "kill -9 $agent", true),
        ("both", "kill -9 $worker $agent", true),
        ("term", "kill -TERM $worker", true),
        ("int", "kill -INT $worker", true),
        ("abort", "kill -ABRT $worker", true),
        ("grandchild", "kill -9 $grandchild", false),
        ("hangup", "kill -HUP $worker", false),
        // It may be gone before the last.
        ("thrice", "kill -TERM $worker; kill -TERM $worker; kill -INT $worker; true", true),
    ];
    for (name, fault, again) in faults {
        bench.enable(name);
        let unit = format!("samocode@{name}.service");
        let worker = bench.user.unit_property(&unit, "MainPID");
        bench.user.sh(&format!("rm agent-{name}.old; cp agent-{name} agent-{name}.old")).output();
        let at = bench
            .user
            .sh(&format!(
                "worker={worker}; agent=$(cat agent-{name}); grandchild=$(cat grandchild-{name}); rm agent-{name}; date +%s%N; {fault}"
            ))
            .ok()
            .stdout;
        if again {
            bench.started(name, 2);
            let at: u64 = at.trim().parse().unwrap();
            let after = bench.starts(name)[1].saturating_sub(at);
            println!("{name}: the agent runs again after {} ms", after / 1_000_000);
        }
        bench.user.write(format!("go-{name}"), "");
        bench.let_end(name);
        bench.ended(name, &bench.folder(name));
        assert_eq!(bench.starts(name).len(), if again { 2 } else { 1 }, "{name}");
    }
}

#[test]
fn a_session_waits_for_a_failing_disk_and_a_missing_folder() {
    let Some(lab) = lab::get() else { return };
    let bench = Bench::new(lab, "refused");
    let bot = Bot::start();
    bench.user.gets_messages_from(&bot);
    let sessions = bench.sessions.display().to_string();
    let uid = bench.user.uid;
    // A name, the command that breaks it, the expected message, the command that fixes it.
    let faults = [
        (
            "full",
            "dd if=/dev/zero of=$d/fill bs=4k 2>/dev/null; dd if=/dev/zero of=$d/fill2 bs=1 2>/dev/null; true",
            "No space left on device",
            "rm $d/fill $d/fill2",
        ),
        (
            "readonly",
            "mount --bind $d $d && mount -o remount,bind,ro $d",
            "Read-only file system",
            "umount -l $d",
        ),
        ("denied", "chmod 0 $d", "Permission denied", "chmod 755 $d"),
        ("moved", "mv $d $d.away", "No such file or directory", "mv $d.away $d"),
    ];
    lab.root_sh(&format!(
        "d={sessions}/26-11-20-full; mkdir -p $d && mount -t tmpfs -o size=256k,uid={uid},gid={uid},mode=755 tmpfs $d; chown {uid}:{uid} {sessions}"
    ))
    .ok();
    let mut folders = Vec::new();
    for (name, breaking, _, _) in faults {
        bench.enable(name);
        let folder = bench.folder(name);
        bench.user.write(format!("go-{name}"), "");
        bench.user.wait_until("the signal is given", secs(20), || {
            bench.user.exists(format!("gave-{name}"))
        });
        lab.root_sh(&format!("d={sessions}/{folder}; {breaking}")).ok();
        bench.let_end(name);
        folders.push(folder);
    }
    for (name, _, message, _) in faults {
        let unit = format!("samocode@{name}.service");
        let paused = || {
            let status = bench.user.unit_property(&unit, "StatusText");
            (status.starts_with("paused: cannot ") && status.contains(message)).then_some(status)
        };
        let status =
            bench.user.wait_for(&format!("{name} says that it is paused"), secs(30), paused);
        println!("{name}: {status}");
        let journal = bench.user.journal(["-u", &unit]);
        let lines: Vec<&str> = journal.lines().filter(|line| line.contains(message)).collect();
        assert_eq!(lines.len(), 1, "{name} says it once: {lines:#?}");
    }
    for (name, _, message, _) in &faults[..2] {
        let shown = bench.json(&["status", name]);
        let reason = shown["reason"].as_str().unwrap_or_default();
        assert_eq!((shown["state"].as_str(), reason.contains(message)), (Some("paused"), true));
        let wait = ["wait", name, "--timeout", "60s"];
        let waited = bench.user.samocode(wait).cwd(bench.shop()).output();
        assert_eq!(waited.code, 13, "{waited}");
    }
    bench
        .user
        .wait_until("the user is notified of each", secs(30), || bot.count_of("is paused") == 4);
    for ((_, _, _, fix), folder) in faults.iter().zip(&folders) {
        lab.root_sh(&format!("d={sessions}/{folder}; {fix}")).ok();
    }
    for ((name, ..), folder) in faults.iter().zip(&folders) {
        bench.ended(name, folder);
        let unit = format!("samocode@{name}.service");
        assert_eq!(bench.user.unit_property(&unit, "NRestarts"), "0", "{name} needed no restart");
        assert_eq!(bench.json(&["status", name])["state"], "blocked");
        let happened = bench.json(&["history", name]).to_string();
        assert!(happened.contains("resumes; had been paused since"), "{happened}");
    }
    assert_eq!(bot.count_of("is paused"), 4, "{:?}", bot.messages());
}

#[test]
fn a_session_waits_while_the_disk_of_worktrees_or_temporary_files_is_full() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("crowded");
    let agent = user.obedient_agent("");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_DISK_FLOOR", "1M")
        .create();
    let (worktrees, uid) = (project.worktrees.display(), user.uid);
    let temporary = user.home.join("temporary");
    user.write(
        ".config/systemd/user/samocode@.service.d/temporary.conf",
        format!("[Service]\nEnvironment=TMPDIR={}\n", temporary.display()),
    );
    let small = |path: &str| {
        lab.root_sh(&format!(
            "d={path}; mkdir -p $d && chown {uid}:{uid} $d && mount -t tmpfs -o size=128k,uid={uid},gid={uid} tmpfs $d"
        ))
        .ok();
    };
    small(&worktrees.to_string());
    small(&temporary.display().to_string());
    user.sh("head -c 128k /dev/zero >~/temporary/fill; true").ok();

    let session = project.named("crowded");
    session.enable(&["--task", "Paint the fence"]);
    session.wait_for_state("paused");
    assert!(session.reason().contains(&worktrees.to_string()), "{}", session.reason());
    lab.root_sh(&format!("umount -l {worktrees}")).ok();
    project.samocode(["start", "crowded"]).ok();
    let message = format!("cannot write temporary files to {}: No space", temporary.display());
    user.wait_until("it waits for the other disk", secs(30), || {
        session.stands().0 == "paused" && session.reason().contains(&message)
    });
    assert_eq!(session.journal("run_started").len(), 0, "nothing was tried");
    user.sh("rm ~/temporary/fill").ok();
    project.samocode(["start", "crowded"]).ok();
    session.wait_to_rest("waiting", "requirements");
    assert_eq!(session.journal("blocked").len(), 0);
}

#[test]
fn an_obstacle_to_the_next_run_gives_one_line_and_one_message() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("logless");
    let bot = Bot::start();
    user.gets_messages_from(&bot);
    let agent = user.obedient_agent("until [ -e ~/go ]; do sleep 0.02; done");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("logless");
    session.enable(&["--task", "Paint the fence"]);
    user.wait_until("a run is under way", BOUND, || session.journal("run_started").len() == 1);
    let folder = project.session("logless").expect("a session");
    let logs = folder.join("_logs");
    user.run(["chmod", "555", &logs.display().to_string()]).ok();
    user.write("go", "");
    user.wait_until("it says that it is paused", BOUND, || {
        user.unit_property(&session.unit(), "StatusText").starts_with("paused: cannot ")
    });

    // Each attempt takes the lock again.
    let taken = || fs::metadata(user.host_path(folder.join("_lock"))).and_then(|it| it.modified());
    let mut last = taken().expect("a lock");
    for _ in 0..2 {
        user.wait_until("it is tried again", secs(60), || taken().is_ok_and(|at| at > last));
        last = taken().expect("a lock");
    }
    let waits = session.journal("").len();
    assert_eq!(bot.count_of("is paused"), 1, "{:?}", bot.messages());
    assert_eq!(session.journal("run_started").len(), 1, "no run is reported as started");
    assert_eq!(session.journal("outage").len(), 0, "it is not over");

    user.run(["chmod", "755", &logs.display().to_string()]).ok();
    session.wait_to_rest("waiting", "requirements");
    assert_eq!(session.journal("outage").len(), 1);
    assert_eq!(session.journal("")[waits]["kind"], "outage", "nothing was recorded in between");
    assert_eq!(session.journal("run_lost").len(), 0);
    assert_eq!(bot.count_of("is paused"), 1, "{:?}", bot.messages());
}
