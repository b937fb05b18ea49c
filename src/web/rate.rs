//! Limits on how many requests are taken.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How many requests may come at once, and how many a second in the long run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) burst: f64,
    pub(super) per_second: f64,
}

/// Token buckets, one for each who asks.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    rate: Rate,
    known: Mutex<HashMap<K, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// Above this many, full buckets are dropped.
const MOST: usize = 1000;

impl<K: Hash + Eq> Buckets<K> {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, known: Mutex::new(HashMap::new()) }
    }

    /// Whether one more request is taken now.
    pub(super) fn take(&self, key: K, now: Instant) -> bool {
        let Rate { burst, per_second } = self.rate;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let refilled = |bucket: &Bucket| {
            let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.left + passed * per_second).min(burst)
        };
        if known.len() > MOST {
            known.retain(|_, bucket| refilled(bucket) < burst);
        }
        let bucket = known.entry(key).or_insert(Bucket { left: burst, at: now });
        let left = refilled(bucket);
        let is_taken = left >= 1.0;
        *bucket = Bucket { left: if is_taken { left - 1.0 } else { left }, at: now };
        is_taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_so_many_a_second_from_each() {
        let buckets = Buckets::new(Rate { burst: 3.0, per_second: 2.0 });
        let start = Instant::now();
        let taken = |key: &'static str, millis: u64| {
            buckets.take(key, start + Duration::from_millis(millis))
        };
        assert_eq!([0; 4].map(|at| taken("a", at)), [true, true, true, false]);
        assert!(taken("b", 0), "another is not held back");
        assert_eq!([500, 500, 1000].map(|at| taken("a", at)), [true, false, true]);
        assert_eq!([9000; 4].map(|at| taken("a", at)), [true, true, true, false]);
    }
}
