//! How long it takes to recover from a hang with the unit's own watchdog.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::broken::Broken;
use super::cast::{Cast, Stage};
use super::inject::Class;
use super::until;
use crate::lab::{self, System, secs};

/// The time an agent may be silent here.
const STALL_AFTER: Duration = secs(5);

/// What hung and for how long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hangs {
    /// Of an agent: from its last sign of life to its restart.
    pub(crate) agent: Vec<Duration>,
    /// Of a worker.
    pub(crate) worker: Vec<Duration>,
}

impl fmt::Display for Hangs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |times: &[Duration]| {
            let worst = times.iter().max().copied().unwrap_or_default().as_secs_f64();
            format!("{} times, at most {worst:.1} s to the restart", times.len())
        };
        writeln!(
            f,
            "agent hangs, STALL_AFTER {} s: {}",
            STALL_AFTER.as_secs(),
            seconds(&self.agent)
        )?;
        writeln!(f, "worker hangs: {}", seconds(&self.worker))
    }
}

/// Stops so many agents and as many workers, each in a session of its own.
/// `None`, and `SKIPPED` is printed, without a lab.
pub(crate) fn measure(each: usize) -> Option<Hangs> {
    let user = lab::on(System::Ours)?.user("hangs");
    let stage = Stage::set(&user, Cast::Noting);
    stage.has_the_units_own_watchdog(STALL_AFTER);
    let names: Vec<String> = (1..=2 * each).map(|n| format!("h{n}")).collect();
    let sessions: Vec<Broken<'_>> = names.iter().map(|name| Broken::noting(&stage, name)).collect();
    let mut hangs = Hangs::default();
    let times: Vec<Option<Duration>> = std::thread::scope(|scope| {
        let hung: Vec<_> = sessions
            .iter()
            .enumerate()
            .map(|(at, session)| {
                let class = if at < each { Class::StopAgent } else { Class::StopWorker };
                scope.spawn(move || hang(session, class))
            })
            .collect();
        hung.into_iter().map(|hung| hung.join().expect("no panic")).collect()
    });
    for (at, time) in times.into_iter().enumerate() {
        let time = time.unwrap_or_else(|| panic!("{} hangs\n{}", names[at], user.diagnosis()));
        if at < each { hangs.agent.push(time) } else { hangs.worker.push(time) }
    }
    user.write("finish", "");
    for session in &sessions {
        assert!(!session.conclude().is_some(), "{}", session.name);
    }
    Some(hangs)
}

fn hang(session: &Broken<'_>, class: Class) -> Option<Duration> {
    let mut at = SystemTime::now();
    until(secs(60), || {
        at = SystemTime::now();
        session.target.inject(class)
    });
    let mut restarted = None;
    until(secs(120), || {
        restarted = session.started_since(at);
        restarted.is_some()
    });
    restarted
}
