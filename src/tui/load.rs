//! What running sessions use of the machine, from one reading to the next.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::control::load::Used;

/// How often it is read while a session runs and the list has room for it. A cgroup reports no
/// changes; nothing is read while nothing runs.
pub(super) const EVERY: Duration = Duration::from_secs(2);

/// A session's memory, and its CPU since the reading before.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Load {
    /// In bytes.
    pub(super) memory: Option<u64>,
    /// In percent of one core.
    pub(super) cpu: Option<f64>,
}

/// The last two readings, by instance.
#[derive(Debug, Default)]
pub(super) struct Loads {
    at: Option<Instant>,
    cpu_us: HashMap<String, u64>,
    now: HashMap<String, Load>,
}

impl Loads {
    /// Takes in a reading.
    pub(super) fn read(&mut self, at: Instant, used: Vec<Used>) {
        let passed = self.at.replace(at).map(|before| at.duration_since(before));
        let passed = passed.filter(|passed| !passed.is_zero());
        let before = std::mem::take(&mut self.cpu_us);
        self.now.clear();
        for one in used {
            let spent = one.cpu_us.zip(before.get(&one.instance));
            // A unit that was started again counts from zero.
            let spent = spent.and_then(|(now, before)| now.checked_sub(*before));
            #[expect(clippy::cast_precision_loss, reason = "a share in percent")]
            let cpu = spent
                .zip(passed)
                .map(|(spent, passed)| spent as f64 / passed.as_micros() as f64 * 100.0);
            self.now.insert(one.instance.clone(), Load { memory: one.memory_bytes, cpu });
            self.cpu_us.extend(one.cpu_us.map(|cpu| (one.instance, cpu)));
        }
    }

    /// What a session uses; nothing if it does not run.
    pub(super) fn of(&self, instance: &str) -> Load {
        self.now.get(instance).copied().unwrap_or_default()
    }
}

/// An amount of memory in four characters or fewer: `52M`, `1.2G`.
pub(super) fn memory(bytes: u64) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    #[expect(clippy::cast_precision_loss, reason = "it is shown with two digits")]
    let (mut amount, mut unit) = (bytes as f64 / 1024.0, 0);
    while amount >= 1000.0 && unit + 1 < UNITS.len() {
        (amount, unit) = (amount / 1024.0, unit + 1);
    }
    let digits = usize::from(amount < 9.95 && unit > 1);
    format!("{amount:.digits$}{}", UNITS[unit])
}

/// Percent of a core in four characters, as long as fewer than a hundred cores are used.
pub(super) fn cpu(percent: f64) -> String {
    let amount = format!("{percent:.0}");
    if amount.len() < 4 { amount + "%" } else { amount }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(instance: &str, cpu_us: u64) -> Used {
        Used { instance: instance.to_owned(), memory_bytes: Some(1 << 20), cpu_us: Some(cpu_us) }
    }

    #[test]
    fn cpu_is_the_share_of_a_core_between_two_readings() {
        let start = Instant::now();
        let mut loads = Loads::default();
        loads.read(start, vec![used("a", 5_000_000), used("b", 9_000_000)]);
        assert_eq!(loads.of("a"), Load { memory: Some(1 << 20), cpu: None });
        loads.read(start + EVERY, vec![used("a", 8_000_000), used("b", 7)]);
        assert_eq!(loads.of("a").cpu, Some(150.0));
        assert_eq!(loads.of("b").cpu, None, "it was started again");
        loads.read(start + EVERY * 2, Vec::new());
        assert_eq!(loads.of("a"), Load::default());
    }

    #[test]
    fn cpu_takes_four_characters() {
        let texts =
            [(0.4, "0%"), (99.5, "100%"), (999.4, "999%"), (999.6, "1000"), (9000.0, "9000")];
        for (percent, text) in texts {
            assert_eq!(cpu(percent), text);
        }
    }

    #[test]
    fn memory_takes_four_characters_at_most() {
        let cases = [(0, "0K"), (52 << 20, "52M"), (1 << 30, "1.0G"), (1023 << 20, "1.0G")];
        for (bytes, text) in cases {
            assert_eq!(memory(bytes), text);
        }
        for shift in 0..60 {
            for bytes in [(1_u64 << shift) - 1, 1 << shift, (1 << shift) + (1 << shift) / 3] {
                assert!(memory(bytes).len() <= 4, "{bytes}: {}", memory(bytes));
            }
        }
    }
}
