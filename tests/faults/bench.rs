//! `benches/faults`: the faults at length, and what quiet workers cost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail the test by panicking"
)]

#[path = "mod.rs"]
mod faults;
#[path = "../lab/mod.rs"]
mod lab;

use std::process::ExitCode;

use faults::{Cast, Plan, hangs, quiet};
use lab::{System, secs};

const USAGE: &str = "usage: benches/faults [--seed N] [--faults N] [--rehearsals N] [--claude N] \
    [--codex N] [--gemini N] [--qwen N] [--opencode N] [--sessions N] [--restarts N] [--hangs N] [--quiet N] \
    [--debian13]";

fn main() -> ExitCode {
    let mut plan = Plan {
        system: System::Ours,
        cast: Cast::Noting,
        seed: 1,
        sessions: 4,
        faults: 400,
        manager_restarts: 5,
    };
    let (mut rehearsals, mut claude, mut hang, mut quiet_sessions) = (100, 40, 4, 50);
    let (mut codex, mut gemini, mut qwen, mut opencode) = (40, 40, 40, 40);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|value| value.parse::<u64>().ok());
        let mut count = |into: &mut usize| number().map(|n| *into = n as usize);
        let taken = match arg.as_str() {
            // Cargo's own.
            "--bench" => Some(()),
            "--debian13" => {
                plan.system = System::Debian13;
                Some(())
            }
            "--faults" => count(&mut plan.faults),
            "--rehearsals" => count(&mut rehearsals),
            "--claude" => count(&mut claude),
            "--codex" => count(&mut codex),
            "--gemini" => count(&mut gemini),
            "--qwen" => count(&mut qwen),
            "--opencode" => count(&mut opencode),
            "--sessions" => count(&mut plan.sessions),
            "--restarts" => count(&mut plan.manager_restarts),
            "--hangs" => count(&mut hang),
            "--quiet" => count(&mut quiet_sessions),
            "--seed" => number().map(|n| plan.seed = n),
            _ => None,
        };
        if taken.is_none() {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    let plans = [
        plan,
        Plan { cast: Cast::Rehearsal, faults: rehearsals, manager_restarts: 0, ..plan },
        Plan { cast: Cast::Claude, faults: claude, manager_restarts: 0, ..plan },
        Plan { cast: Cast::Codex, faults: codex, manager_restarts: 0, ..plan },
        Plan { cast: Cast::Gemini, faults: gemini, manager_restarts: 0, ..plan },
        Plan { cast: Cast::Qwen, faults: qwen, manager_restarts: 0, ..plan },
        Plan { cast: Cast::Opencode, faults: opencode, manager_restarts: 0, ..plan },
    ];
    let mut whole = true;
    for plan in plans.into_iter().filter(|plan| plan.faults + plan.manager_restarts > 0) {
        let Some(report) = faults::run(plan) else { return ExitCode::FAILURE };
        println!("{report}");
        whole &= report.is_whole();
    }
    if hang > 0 {
        let Some(hangs) = hangs::measure(hang) else { return ExitCode::FAILURE };
        print!("{hangs}");
    }
    if quiet_sessions > 0 {
        let Some(quiet) = quiet::measure(quiet_sessions, secs(30)) else {
            return ExitCode::FAILURE;
        };
        print!("{quiet}");
    }
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
