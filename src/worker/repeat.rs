//! Repetition is a stall too: the same tool call over and over is no progress.

/// So many equal calls in a row are pointed out to the agent …
const TOLD_AT: u32 = 20;

/// … and so many end the run.
const ENDED_AT: u32 = 40;

/// What follows from a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Fine,
    /// The agent should be told, this once.
    Tell,
    /// The run should be ended.
    End,
}

/// Counts equal tool calls in a row.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    last: Option<u64>,
    times: u32,
}

impl Repeats {
    /// Takes a call by its fingerprint: a hash of the tool and all of its input.
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

    /// How many equal calls in a row there were last.
    pub(super) const fn times(&self) -> u32 {
        self.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_calls_are_told_once_and_then_ended_and_another_call_begins_anew() {
        let mut repeats = Repeats::default();
        let verdicts: Vec<_> = (0..TOLD_AT).map(|_| repeats.call(7)).collect();
        assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Tell).count(), 1);
        assert_eq!(verdicts.last(), Some(&Verdict::Tell));
        assert_eq!(repeats.call(8), Verdict::Fine);
        let last = (0..ENDED_AT).map(|_| repeats.call(7)).last();
        assert_eq!(last, Some(Verdict::End));
    }
}
