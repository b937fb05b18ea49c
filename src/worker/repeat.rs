//! Detects repetition: the same tool call over and over is a stall too.

/// Number of equal calls in a row after which the agent is warned.
const TOLD_AT: u32 = 20;

/// Number of equal calls in a row after which the run is ended.
const ENDED_AT: u32 = 40;

/// What to do after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The call is not suspicious.
    Fine,
    /// The agent is to be warned, once per series.
    Tell,
    /// The run is to be ended as stalled.
    End,
}

/// Counts consecutive equal tool calls.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    last: Option<u64>,
    times: u32,
}

impl Repeats {
    /// Records a call by its fingerprint, a hash of the tool and its whole input.
    pub(super) fn call(&mut self, fingerprint: u64) -> Verdict {
        if self.last.replace(fingerprint) == Some(fingerprint) {
            self.times += 1;
        } else {
            self.times = 1;
        }
        match self.times {
            TOLD_AT => Verdict::Tell,
            n if n >= ENDED_AT => Verdict::End,
            _ => Verdict::Fine,
        }
    }

    /// Length of the latest series of equal calls.
    pub(super) const fn times(&self) -> u32 {
        self.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_calls_are_warned_of_once_then_ended_and_another_call_restarts_the_count() {
        let mut repeats = Repeats::default();
        let verdicts: Vec<_> = (0..TOLD_AT).map(|_| repeats.call(7)).collect();
        assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Tell).count(), 1);
        assert_eq!(verdicts.last(), Some(&Verdict::Tell));
        assert_eq!(repeats.call(8), Verdict::Fine);
        let last = (0..ENDED_AT).map(|_| repeats.call(7)).last();
        assert_eq!(last, Some(Verdict::End));
    }
}
