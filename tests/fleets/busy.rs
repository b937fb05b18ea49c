//! A hundred sessions of the built-in agent, of which eight may run at once.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::ground::{BOUND, at, hook, journal, project};
use crate::lab::{self, Project, secs};
use crate::table::{Row, percentile};

const ALL: usize = 100;
const CAP: usize = 8;

pub(crate) fn measure() -> Vec<Row> {
    let user = lab::get().expect("a lab").user("busy");
    let cap = CAP.to_string();
    let project =
        project(&user, &[("SAMOCODE_AGENT", "rehearsal"), ("SAMOCODE_MAX_RUNNING", &cap)]);
    let names: Vec<String> = (1..=ALL).map(|number| format!("r{number}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    user.samocode([&["enable", "--task", "Greet"], &all[..]].concat())
        .cwd(&project.dir)
        .within(secs(120))
        .ok();
    // Each gets a message while it runs or waits in the queue.
    for name in &names {
        user.samocode(["send", name, "Greet them all"]).cwd(&project.dir).within(secs(120)).ok();
    }
    let began = std::time::Instant::now();
    loop {
        let mut open = 0;
        for name in &names {
            let hook = hook(&project, name);
            open += usize::from(hook["state"] != "done");
            if hook["state"] == "waiting" {
                let answer = ["answer", name, "--accept-suggestions"];
                let approve = ["approve", name, "-m", "Continue"];
                let verb = if hook["for"] == "qa_answers" { &answer[..] } else { &approve[..] };
                // It may have moved on by now.
                user.samocode(verb.iter().copied()).cwd(&project.dir).output();
            }
        }
        if open == 0 || began.elapsed() > BOUND * 2 {
            break;
        }
    }
    rows(&project, &names)
}

/// A place was taken, or made free.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Freed,
    Queued,
    Taken { was_queued: bool },
}

fn rows(project: &Project<'_>, names: &[String]) -> Vec<Row> {
    let mut changes: Vec<(Timestamp, Change)> = Vec::new();
    let mut runs: Vec<(Timestamp, i32)> = Vec::new();
    let (mut done, mut lost_mail, mut lost_signals, mut commits) = (0, 0, 0, Vec::new());
    for name in names {
        let entries = journal(project, name);
        let kind =
            |entry: &serde_json::Value| entry["kind"].as_str().unwrap_or_default().to_owned();
        let count = |wanted: &str| entries.iter().filter(|entry| kind(entry) == wanted).count();
        let (mut started, mut was_queued) = (None, false);
        for entry in &entries {
            match kind(entry).as_str() {
                "worker_started" => started = Some(at(entry)),
                "queued" => changes.push((at(entry), Change::Queued)),
                "prepared" | "run_started" => {
                    if let Some(since) = started.take() {
                        changes.push((since, Change::Taken { was_queued }));
                        was_queued = false;
                    }
                }
                // One that got no place ends as well.
                "worker_ended" if started.take().is_none() => {
                    changes.push((at(entry), Change::Freed));
                }
                _ => {}
            }
            was_queued |= kind(entry) == "queued";
            match kind(entry).as_str() {
                "run_started" => runs.push((at(entry), 1)),
                "run_ended" | "run_lost" => runs.push((at(entry), -1)),
                _ => {}
            }
        }
        done += usize::from(hook(project, name)["state"] == "done");
        lost_mail += usize::from(times_shown(project, name) != 1);
        let taken = count("signal_taken");
        let history = project.session_file(name, "_signal_history.jsonl").unwrap_or_default();
        lost_signals += history.lines().count().abs_diff(taken) + count("run_lost");
        commits.push(commits_of(project, name));
    }
    runs.sort_unstable();
    let mut now = 0;
    let most = runs
        .iter()
        .map(|(_, change)| {
            now += change;
            now
        })
        .max()
        .unwrap_or_default();
    let expected = commits.first().copied().unwrap_or_default();
    let lost_commits: usize = commits.iter().map(|count| expected.abs_diff(*count)).sum();
    let taken = latencies(changes);
    vec![
        Row::count(format!("{ALL} sessions of the built-in agent, {CAP} at once: done"), done, ALL),
        Row::count("— signals lost", lost_signals, 0),
        Row::count("— mail lost or shown twice", lost_mail, 0),
        Row::count("— commits lost", lost_commits, 0),
        Row::at_most("— the most that ran at once", most.unsigned_abs() as usize, CAP),
        Row {
            reached: None,
            bound: String::new(),
            ..Row::time(
                format!("— a free place is taken, median of {}", taken.len()),
                percentile(taken.clone(), 50),
                secs(1),
            )
        },
        Row::time("— p99", percentile(taken, 99), Duration::from_millis(200)),
    ]
}

/// How long places were free while sessions waited for one.
fn latencies(mut changes: Vec<(Timestamp, Change)>) -> Vec<Duration> {
    changes.sort_unstable();
    let (mut waiting, mut free, mut taken) = (0_usize, VecDeque::new(), Vec::new());
    for (at, change) in changes {
        match change {
            Change::Queued => waiting += 1,
            Change::Freed if waiting > free.len() => free.push_back(at),
            Change::Freed => {}
            Change::Taken { was_queued } => {
                waiting = waiting.saturating_sub(usize::from(was_queued));
                if was_queued && let Some(since) = free.pop_front() {
                    let took = Duration::try_from(at.duration_since(since)).unwrap_or_default();
                    taken.push(took);
                }
            }
        }
    }
    taken
}

/// How many prompts of a session have its message.
fn times_shown(project: &Project<'_>, name: &str) -> usize {
    let logs = project.session(name).expect("a folder").join("_logs");
    let count = format!("grep -l 'Greet them all' {}/*.prompt.json | wc -l", logs.display());
    project.user.sh(&count).ok().stdout.trim().parse().unwrap_or_default()
}

fn commits_of(project: &Project<'_>, name: &str) -> usize {
    let count = ["git", "rev-list", "--count", name];
    let counted = project.user.run(count).cwd(&project.dir).ok().stdout;
    counted.trim().parse().unwrap_or_default()
}
