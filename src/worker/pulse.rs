//! Whether a run is alive, judged by what it does: the one source of the watchdog's pings.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The longest span over which CPU time is looked at; where silence counts as a stall sooner,
/// that time.
const SPAN: Duration = Duration::from_secs(30);

/// The share of a core, over the span, that counts as progress, in percent. A hung Claude Code
/// uses about 1 %, one that waits for a sleeping tool 1.5 %.
const BUSY_PERCENT: u32 = 5;

/// The longest time between two looks at a run; a look costs a few system calls.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// Between looks that lie further apart the worker itself did not run: its cgroup was frozen, its
/// virtual machine paused. That time is nobody's silence. (The clock stands still while a host
/// sleeps; there is no such gap then.)
const ABSENCE: Duration = Duration::from_secs(15);

/// The shortest.
const SHORTEST_LOOK: Duration = Duration::from_millis(100);

/// How often a run is looked at: a third of what silence may take, and of what the watchdog waits.
pub(super) fn look_every(stall_after: Duration, watchdog: Option<Duration>) -> Duration {
    let shortest = watchdog.map_or(stall_after, |watchdog| watchdog.min(stall_after));
    (shortest / 3).clamp(SHORTEST_LOOK, LONGEST_LOOK)
}

/// What to do at a beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// There was progress lately: feed the watchdog.
    Feed,
    /// There was none for `stall_after`: feed it, nudge the agent, tell the human.
    Nudge,
    /// There was none for as long again: stop feeding, for the first time.
    Starve,
    /// Still none: keep silent.
    Silent,
}

/// The signs of life of one run.
#[derive(Debug)]
pub(super) struct Pulse {
    stall_after: Duration,
    span: Duration,
    progress: Instant,
    looked: Instant,
    cpu: VecDeque<(Instant, Duration)>,
    said: Said,
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Nudged,
    Starved,
}

impl Pulse {
    /// A run that begins `now`; the start counts as progress.
    #[must_use]
    pub(super) fn new(stall_after: Duration, now: Instant) -> Self {
        Self {
            stall_after,
            span: SPAN.min(stall_after),
            progress: now,
            looked: now,
            cpu: VecDeque::from([(now, Duration::ZERO)]),
            said: Said::Nothing,
        }
    }

    /// The stream said something.
    pub(super) fn progress(&mut self, now: Instant) {
        self.progress = now;
        self.said = Said::Nothing;
    }

    /// A look at the run, before all else that is found out by it: where the worker was away, the
    /// run was too.
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

    /// The run's processes have used `used` CPU time since its start.
    pub(super) fn cpu(&mut self, now: Instant, used: Duration) {
        self.cpu.push_back((now, used));
        while self.cpu.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= self.span) {
            self.cpu.pop_front();
        }
        let Some((since, before)) = self.cpu.front() else { return };
        let span = now.duration_since(*since);
        let burnt = used.saturating_sub(*before);
        // A share of the whole span, so that a short burst right after the start does not pass.
        if span >= self.span && burnt * 100 >= span * BUSY_PERCENT {
            self.progress(now);
        }
    }

    /// How long there has been no progress.
    #[must_use]
    pub(super) fn quiet(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.progress)
    }

    /// What to do now, after a [`Pulse::look`].
    pub(super) fn beat(&mut self, now: Instant) -> Beat {
        let quiet = self.quiet(now);
        if quiet >= self.stall_after * 2 {
            if self.said == Said::Starved {
                return Beat::Silent;
            }
            self.said = Said::Starved;
            return Beat::Starve;
        }
        if quiet >= self.stall_after && self.said == Said::Nothing {
            self.said = Said::Nudged;
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

    /// The beats that do more than feed, at looks every 5 s from second `from` to `to`.
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
        // Frozen for hours; what was silence before still is.
        let back = 300 + 9000;
        assert_eq!(
            beats(&mut pulse, start, back, back + 900),
            [(back + 300, Beat::Nudge), (back + 900, Beat::Starve)]
        );
        // A look that comes late on a busy machine is none.
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
    fn progress_starts_the_ladder_anew() {
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
