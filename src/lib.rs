//! samocode runs coding agents unattended, with the operating system as their supervisor.

pub mod agent;
pub mod cli;
pub mod config;
pub mod git;
pub mod notify;
pub mod service;
pub mod session;
pub mod worker;

/// Says on the real standard error, past the capture of passing tests' output, that a test did not
/// run. `tests/run.sh` counts these lines.
#[cfg(test)]
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    let test = std::thread::current();
    let line = format!("SKIPPED: {}: {why}\n", test.name().unwrap_or("a test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
}
