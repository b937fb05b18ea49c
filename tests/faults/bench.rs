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

use faults::{Plan, quiet};
use lab::{System, secs};

const USAGE: &str = "usage: benches/faults [--seed N] [--faults N] [--sessions N] [--restarts N] \
    [--quiet N] [--debian13]";

fn main() -> ExitCode {
    let mut plan =
        Plan { system: System::Ours, seed: 1, sessions: 4, faults: 400, manager_restarts: 5 };
    let mut quiet_sessions = 50;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|value| value.parse::<u64>().ok());
        let taken = match arg.as_str() {
            // Cargo's own.
            "--bench" => Some(()),
            "--debian13" => {
                plan.system = System::Debian13;
                Some(())
            }
            "--seed" => number().map(|n| plan.seed = n),
            "--faults" => number().map(|n| plan.faults = n as usize),
            "--sessions" => number().map(|n| plan.sessions = n as usize),
            "--restarts" => number().map(|n| plan.manager_restarts = n as usize),
            "--quiet" => number().map(|n| quiet_sessions = n as usize),
            _ => None,
        };
        if taken.is_none() {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    let mut whole = true;
    if plan.faults + plan.manager_restarts > 0 {
        let Some(report) = faults::run(plan) else { return ExitCode::FAILURE };
        print!("{report}");
        whole = report.is_whole();
    }
    if quiet_sessions > 0 {
        let Some(quiet) = quiet::measure(quiet_sessions, secs(30)) else {
            return ExitCode::FAILURE;
        };
        print!("{quiet}");
    }
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
