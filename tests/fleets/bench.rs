//! `benches/fleet`: what many sessions at once take, beside a loop of the verbs for a single one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail the test by panicking"
)]

mod busy;
mod chatty;
mod ground;
#[path = "../lab/mod.rs"]
mod lab;
mod merged;
mod table;
mod together;
mod waiting;

use std::process::ExitCode;

use table::Row;

const USAGE: &str = "usage: benches/fleet [--only PART]…
PART: together, worktrees, waiting, busy, chatty, merged";

/// A part of the table.
type Part = (&'static str, fn() -> Vec<Row>);

const PARTS: [Part; 6] = [
    ("together", together::measure),
    ("worktrees", together::with_worktrees),
    ("waiting", waiting::measure),
    ("busy", busy::measure),
    ("chatty", chatty::measure),
    ("merged", merged::measure),
];

fn main() -> ExitCode {
    let mut only = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let known = |name: &String| PARTS.iter().any(|(part, _)| part == name);
        match arg.as_str() {
            // Cargo's own.
            "--bench" => {}
            "--only" => match args.next().filter(known) {
                Some(part) => only.push(part),
                None => {
                    eprintln!("{USAGE}");
                    return ExitCode::from(2);
                }
            },
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    if lab::get().is_none() {
        return ExitCode::FAILURE;
    }
    println!("| figure | to reach | measured | one by one | reached |");
    println!("|---|---|---|---|---|");
    let mut reached = true;
    for (name, part) in PARTS {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            for row in part() {
                println!("{row}");
                reached &= row.is_reached();
            }
        }
    }
    if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
