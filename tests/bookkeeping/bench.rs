//! `benches/prompts`: how many turns and tokens of a session are bookkeeping. Recorded replies are
//! played to the real CLI, one session from init to done.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail the test by panicking"
)]

#[path = "../lab/mod.rs"]
mod lab;
mod replies;
mod tally;

use std::process::ExitCode;
use std::sync::PoisonError;

use lab::api::Request;
use lab::{Api, LabUser, Project, secs};
use replies::{Played, player, recorded};
use serde_json::Value;
use tally::{Spent, tokens};

/// The most turns of bookkeeping that a run may have: look, save, signal, and the closing line.
const MOST_TURNS: usize = 4;

/// The most tokens that our instructions may have in a run: each turn sends them again.
const MOST_WORDS: usize = 4000;

/// The session before its first run, left in init as an older samocode leaves one.
const OVERVIEW: &str = "# Session: prices\nStarted: 11-20 18:00\nWorking Dir: WORKTREE\n\n## Task\n\
    Give every article of the shop a price.\n\n## Status\nPhase: init\nIteration: 1\n\
    Total Iterations: 1\nBlocked: no\nLast Action: Session created\nNext: Begin investigation\n\n\
    ## Flow Log\n- [001 @ 11-20 18:00] Session created\n\n## Files\n";

fn main() -> ExitCode {
    let Some(lab) = lab::with_claude() else { return ExitCode::FAILURE };
    let user = lab.user_without_manager("bookkeeping");
    let played = Played::default();
    let api = Api::start_with(player(recorded(), played.clone()));
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let worktree = project.worktrees.join("26-11-20-prices");
    let overview = OVERVIEW.replace("WORKTREE", &worktree.to_string_lossy());
    user.write(project.sessions.join("26-11-20-prices/_overview.md"), overview);
    play(&project);

    let played = played.lock().unwrap_or_else(PoisonError::into_inner);
    println!(
        "| run | turns | for bookkeeping | tokens written | for bookkeeping | read for it | our words |"
    );
    println!("|---|---|---|---|---|---|---|");
    let (mut all, mut most, mut longest) = (Spent::default(), 0, 0);
    for (at, (run, results)) in recorded().iter().zip(results(&api.requests())).enumerate() {
        let spent = Spent::of(played.get(&at).map(Vec::as_slice).unwrap_or_default(), &results);
        let words = instructions(&user, run.phase());
        println!("| {} | {spent} | {words} |", run.name);
        (all, most, longest) = (all + spent, most.max(spent.on_books), longest.max(words));
    }
    println!("| all | {all} | |");
    if most > MOST_TURNS {
        println!("A run has {most} turns for bookkeeping, more than {MOST_TURNS}.");
        return ExitCode::FAILURE;
    }
    if longest > MOST_WORDS {
        println!("A run has {longest} tokens of instructions, more than {MOST_WORDS}.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Takes the session from init to done.
fn play(project: &Project<'_>) {
    let samocode = |words: &[&str]| {
        let out = project.user.samocode(words).cwd(&project.dir).within(secs(300)).output();
        (out.code, format!("{out}\n{}", project.overview("prices").unwrap_or_default()))
    };
    let steps: [(&[&str], i32); 5] = [
        (&["run", "prices"], 10),
        (&["answer", "prices", "--accept-suggestions"], 0),
        (&["run", "prices"], 10),
        (&["approve", "prices"], 0),
        (&["run", "prices"], 0),
    ];
    for (words, expected) in steps {
        let (code, said) = samocode(words);
        assert_eq!(code, expected, "{words:?}: {said}");
    }
}

/// About how many tokens the instructions of a phase have, workflow and role.
fn instructions(user: &LabUser, phase: &str) -> usize {
    let files = ["/repo/workflow.md".to_owned(), format!("/repo/agents/{phase}-agent.md")];
    files.iter().map(|file| tokens(&user.read(file))).sum()
}

/// The results of the calls of each run, in order.
fn results(requests: &[Request]) -> Vec<Vec<String>> {
    let mut runs: Vec<Vec<String>> = Vec::new();
    for request in requests {
        let results = request.tool_results();
        let failed = failures(&request.body);
        assert!(failed.is_empty(), "recorded calls failed: {failed:?}");
        match runs.last_mut().filter(|_| !results.is_empty()) {
            Some(run) => *run = results,
            None => runs.push(results),
        }
    }
    runs
}

/// Results that say the call failed: the replies no longer fit what they are played to.
fn failures(body: &Value) -> Vec<String> {
    let messages = body["messages"].as_array().into_iter().flatten();
    let blocks = messages.filter_map(|message| message["content"].as_array()).flatten();
    blocks
        .filter(|block| block["is_error"] == true)
        .map(|block| block["content"].to_string())
        .collect()
}
