//! What the parts share: projects on the real disk, times taken inside the lab, journals.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::lab::{LabUser, Project, secs};

/// How long anything may take before the bench gives up.
pub(crate) const BOUND: Duration = secs(300);

/// A project whose sessions and worktrees are on the real disk, where fsync takes time.
pub(crate) fn project<'u>(user: &'u LabUser, keys: &[(&str, &str)]) -> Project<'u> {
    let builder =
        keys.iter().fold(user.project("shop"), |builder, (key, value)| builder.key(key, value));
    let mut project = builder.create();
    let disk = user.disk();
    let mut text = user.read("shop/.samocode");
    for (folder, name) in
        [(&mut project.sessions, "sessions"), (&mut project.worktrees, "worktrees")]
    {
        let new = disk.join(name);
        text = text.replace(&*folder.to_string_lossy(), &new.to_string_lossy());
        *folder = new;
    }
    user.write("shop/.samocode", text);
    project
}

/// `SAMOCODE_AGENT` for a program with these lines of shell.
pub(crate) fn agent(user: &LabUser, lines: &str) -> String {
    user.write_program("agent", format!("#!/bin/bash\n{lines}\n"));
    format!("command:{}", user.home.join("agent").display())
}

/// The time that a line of shell takes in the project's folder, taken inside the lab.
pub(crate) fn timed(project: &Project<'_>, line: &str) -> Duration {
    let line = format!(
        "s=$(date +%s%N); {{ {line}; }} >/dev/null || exit; e=$(date +%s%N); echo $((e - s))"
    );
    let outcome = project.user.sh(&line).cwd(&project.dir).within(BOUND).ok();
    let took = outcome.stdout.trim().parse().expect("nanoseconds");
    Duration::from_nanos(took)
}

/// Waits until all of these files of the user exist.
pub(crate) fn all_exist(user: &LabUser, files: impl Iterator<Item = String>) {
    for file in files {
        user.wait_until(&format!("{file} is there"), BOUND, || user.exists(&file));
    }
}

/// The entries of a session's journal.
pub(crate) fn journal(project: &Project<'_>, name: &str) -> Vec<Value> {
    let text = project.session_file(name, "_journal.jsonl").unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The time of a journal's entry.
pub(crate) fn at(entry: &Value) -> Timestamp {
    entry["at"].as_str().and_then(|at| at.parse().ok()).expect("a time")
}

/// The session's hook.
pub(crate) fn hook(project: &Project<'_>, name: &str) -> Value {
    let text = project.session_file(name, "_hook.json").unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// How many times the user's manager has read its files again.
pub(crate) fn reloads(user: &LabUser) -> usize {
    let said = user.journal(["--boot", "_COMM=systemd"]);
    said.lines().filter(|line| line.starts_with("Reloading")).count()
}

/// How many processes of samocode the user has.
pub(crate) fn processes(user: &LabUser) -> usize {
    let listed = user.run(["ps", "-o", "comm=", "-u", &user.name]).output().stdout;
    listed.lines().filter(|line| line.starts_with("samocode")).count()
}

/// Waits until this is so, and looks often: what is measured may be short.
pub(crate) fn until(bound: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < bound {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// A session's folder as one that the predecessor left, in this phase, with a worktree or not.
pub(crate) fn left_behind(project: &Project<'_>, name: &str, phase: &str) -> PathBuf {
    let dated = format!("25-03-01-{name}");
    let folder = project.sessions.join(&dated);
    let worktree = project.worktrees.join(&dated);
    let overview = format!(
        "# Session: {name}\nStarted: 03-01 10:00\nWorking Dir: {}\n\n## Task\nMeasure\n\n## Status\n\
         Phase: {phase}\nIteration: 1\nTotal Iterations: 9\nBlocked: no\nLast Action: -\nNext: -\n\n\
         ## Flow Log\n- [001 @ 03-01 10:00] Session created\n\n## Files\n\n## Notes\n",
        worktree.display()
    );
    project.user.write(folder.join("_overview.md"), overview);
    folder
}
