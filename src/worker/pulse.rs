//! Detects whether a run is alive from its output and CPU time; the only source of watchdog pings
//! during a run.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The longest span over which CPU time is measured. Shorter if a stall is declared sooner.
const SPAN: Duration = Duration::from_secs(30);

/// Percentage of a core, over the span, that counts as progress. A hung Claude Code uses about 1 %,
/// one that waits for a sleeping tool 1.5 %.
const BUSY_PERCENT: u32 = 5;

/// The longest interval between checks of a run. A check costs a few system calls.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// If checks are further apart than this, the worker itself did not run: its cgroup was frozen or
/// its virtual machine paused. That time does not count as silence. (The clock stops while the host
/// sleeps, so sleep causes no such gap.)
const ABSENCE: Duration = Duration::from_secs(15);

/// The shortest interval between checks of a run, however small the limits are.
const SHORTEST_LOOK: Duration = Duration::from_millis(100);

/// How often to check a run: a third of the stall limit or of the watchdog interval.
pub(super) fn look_every(stall_after: Duration, watchdog: Option<Duration>) -> Duration {
    let shortest = watchdog.map_or(stall_after, |watchdog| watchdog.min(stall_after));
    (shortest / 3).clamp(SHORTEST_LOOK, LONGEST_LOOK)
}

/// What to do after a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Recent progress: feed the watchdog.
    Feed,
    /// No progress for `stall_after`: feed the watchdog, nudge the agent, notify the human.
    Nudge,
    /// No progress for as long again: stop feeding the watchdog, for the first time.
    Starve,
    /// Still no progress: keep the watchdog unfed.
    Silent,
}

/// Tracks the progress of one run.
#[derive(Debug)]
pub(super) struct Pulse {
    stall_after: Duration,
    span: Duration,
    progress: Instant,
    looked: Instant,
    cpu: VecDeque<(Instant, Duration)>,
    escalation: Escalation,
}

#[derive(Debug, PartialEq, Eq)]
enum Escalation {
    Nothing,
    Nudged,
    Starved,
}

impl Pulse {
    /// Starts tracking a run at `now`; the start counts as progress.
    #[must_use]
    pub(super) fn new(stall_after: Duration, now: Instant) -> Self {
        Self {
            stall_after,
            span: SPAN.min(stall_after),
            progress: now,
            looked: now,
            cpu: VecDeque::from([(now, Duration::ZERO)]),
            escalation: Escalation::Nothing,
        }
    }

    /// Records output on the stream.
    pub(super) fn progress(&mut self, now: Instant) {
        self.progress = now;
        self.escalation = Escalation::Nothing;
    }

    /// Starts a check, before anything else is measured: if the worker was suspended since the last
    /// one, so was the run.
    pub(super) fn look(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.looked);
        self.looked = now;
        if gap > ABSENCE {
            self.progress = (self.progress + gap).min(now);
            for (at, _) in &mut self.cpu {
                *at = (*at + gap).min(now);
            }
        }
    }

    /// Records that the run's processes have used `used` CPU time since it started.
    pub(super) fn cpu(&mut self, now: Instant, used: Duration) {
        self.cpu.push_back((now, used));
        while self.cpu.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= self.span) {
            self.cpu.pop_front();
        }
        let Some((since, before)) = self.cpu.front() else { return };
        let span = now.duration_since(*since);
        let burnt = used.saturating_sub(*before);
        // Measured over the whole span, so that a short burst at the start does not pass.
        if span >= self.span && burnt * 100 >= span * BUSY_PERCENT {
            self.progress(now);
        }
    }

    /// Time since the last progress.
    #[must_use]
    pub(super) fn quiet(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.progress)
    }

    /// Decides what to do now. Call [`Pulse::look`] first.
    pub(super) fn beat(&mut self, now: Instant) -> Beat {
        let quiet = self.quiet(now);
        if quiet >= self.stall_after * 2 {
            if self.escalation == Escalation::Starved {
                return Beat::Silent;
            }
            self.escalation = Escalation::Starved;
            return Beat::Starve;
        }
        if quiet >= self.stall_after && self.escalation == Escalation::Nothing {
            self.escalation = Escalation::Nudged;
            return Beat::Nudge;
        }
        Beat::Feed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(600);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// All beats other than `Feed`, with a check every 5 s from second `from` to `to`.
    fn beats(pulse: &mut Pulse, start: Instant, from: u64, to: u64) -> Vec<(u64, Beat)> {
        let looks = (from..=to).step_by(5).map(|at| {
            pulse.look(start + seconds(at));
            (at, pulse.beat(start + seconds(at)))
        });
        looks.filter(|(_, beat)| *beat != Beat::Feed).collect()
    }

    #[test]
    fn silence_is_nudged_once_and_then_starved_once() {
        let start = Instant::now();
        let mut pulse = Pulse::new(STALL, start);
        assert_eq!(
            beats(&mut pulse, start, 5, 1205),
            [(600, Beat::Nudge), (1200, Beat::Starve), (1205, Beat::Silent)]
        );
    }

    #[test]
    fn while_the_worker_was_away_nobody_was_silent() {
        let start = Instant::now();
        let mut pulse = Pulse::new(STALL, start);
        assert_eq!(beats(&mut pulse, start, 5, 300), []);
        // Frozen for hours: the silence before that still counts.
        let back = 300 + 9000;
        assert_eq!(
            beats(&mut pulse, start, back, back + 900),
            [(back + 300, Beat::Nudge), (back + 900, Beat::Starve)]
        );
        // A check that is late on a busy machine is not an absence.
        let mut pulse = Pulse::new(STALL, start);
        let nudged = (14..1200).step_by(14).find(|at| {
            pulse.look(start + seconds(*at));
            pulse.beat(start + seconds(*at)) == Beat::Nudge
        });
        assert_eq!(nudged, Some(602));
    }

    #[test]
    fn a_run_is_looked_at_often_enough_for_the_watchdog_and_for_a_short_patience() {
        let look = |stall, watchdog| look_every(seconds(stall), watchdog);
        assert_eq!(look(600, Some(seconds(30))), seconds(5));
        assert_eq!(look(600, Some(seconds(3))), seconds(1));
        assert_eq!(look(6, None), seconds(2));
        assert_eq!(look(0, None), SHORTEST_LOOK);
    }

    #[test]
    fn progress_restarts_the_ladder() {
        let start = Instant::now();
        let mut pulse = Pulse::new(STALL, start);
        assert_eq!(beats(&mut pulse, start, 5, 605), [(600, Beat::Nudge)]);
        pulse.progress(start + seconds(610));
        assert_eq!(beats(&mut pulse, start, 610, 1210), [(1210, Beat::Nudge)]);
    }

    #[test]
    fn a_silent_build_that_uses_cpu_is_alive_and_a_hung_agent_is_not() {
        let start = Instant::now();
        for (stall, step) in [(600, 5), (30, 5), (6, 2), (3, 1)] {
            for (percent, alive) in [(6, true), (1, false)] {
                let mut pulse = Pulse::new(seconds(stall), start);
                let beats: Vec<Beat> = (step..3600)
                    .step_by(step as usize)
                    .map(|at| {
                        let now = start + seconds(at);
                        pulse.look(now);
                        pulse.cpu(now, seconds(at) * percent / 100);
                        pulse.beat(now)
                    })
                    .collect();
                assert_eq!(!beats.contains(&Beat::Nudge), alive, "{percent} %, {stall} s");
                assert_eq!(beats.last() == Some(&Beat::Feed), alive, "{percent} %, {stall} s");
            }
        }
    }
}
