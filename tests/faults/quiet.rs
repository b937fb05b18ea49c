//! The cost of workers whose agents are quiet.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use super::inject::Target;
use super::{BOUND, until};
use crate::lab::{self, System};

/// The figures of so many running sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiet {
    pub(crate) sessions: usize,
    /// How long they were looked at.
    pub(crate) span: Duration,
    /// CPU time of all workers in that time.
    pub(crate) cpu: Duration,
    /// The largest and the mean PSS of a worker, in KiB.
    pub(crate) pss_max: u64,
    pub(crate) pss_mean: u64,
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.cpu.as_secs_f64() / self.span.as_secs_f64() * 100.0;
        writeln!(
            f,
            "{} running sessions with quiet agents, {:.0} s: all workers {share:.2} % of a core; \
             PSS of a worker {:.2} MiB, at most {:.2} MiB",
            self.sessions,
            self.span.as_secs_f64(),
            self.pss_mean as f64 / 1024.0,
            self.pss_max as f64 / 1024.0
        )
    }
}

/// Runs `sessions` sessions whose agents sleep, and looks at their workers for
/// `span`.
pub(crate) fn measure(sessions: usize, span: Duration) -> Option<Quiet> {
    let user = lab::on(System::Ours)?.user("quiet");
    user.write_program("agent", "#!/bin/sh\nexec sleep infinity\n");
    let agent = format!("command:{}", user.home.join("agent").display());
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "1000")
        .key("CLAUDE_TIMEOUT", "3600")
        .create();
    let names: Vec<String> = (1..=sessions).map(|n| format!("q{n}")).collect();
    for name in &names {
        user.samocode(["enable", name, "--task", "Be quiet"]).cwd(&project.dir).ok();
    }
    let targets: Vec<Target<'_>> =
        names.iter().map(|name| Target::new(&user, name, "sleep")).collect();
    let all_run = until(BOUND, || {
        names.iter().all(|name| {
            project.session_file(name, "_journal.jsonl").is_some_and(|j| j.contains("run_started"))
        })
    });
    assert!(all_run, "not all sessions run\n{}", user.diagnosis());
    // The cost of starting is not part of the cost of running.
    std::thread::sleep(Duration::from_secs(10));
    let (before, since) = (cpu(&targets), Instant::now());
    std::thread::sleep(span);
    let (cpu, span) = (cpu(&targets) - before, since.elapsed());
    let pss: Vec<u64> = targets.iter().filter_map(pss).collect();
    assert_eq!(pss.len(), sessions);
    let pss_max = pss.iter().copied().max().unwrap_or_default();
    let pss_mean = pss.iter().sum::<u64>() / pss.len().max(1) as u64;
    Some(Quiet { sessions, span, cpu, pss_max, pss_mean })
}

/// CPU time of all workers so far.
fn cpu(targets: &[Target<'_>]) -> Duration {
    let of = |target: &Target<'_>| {
        let text = fs::read_to_string(target.worker_cgroup().join("cpu.stat")).ok()?;
        let usec = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
        usec.parse().ok().map(Duration::from_micros)
    };
    targets.iter().filter_map(of).sum()
}

/// PSS of a worker in KiB.
fn pss(target: &Target<'_>) -> Option<u64> {
    let pid = target.worker()?.as_raw_nonzero();
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    kib.trim().strip_suffix(" kB")?.parse().ok()
}
