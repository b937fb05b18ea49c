//! What runs cost.

use serde::{Deserialize, Serialize};

/// Tokens of a run or of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, without those from the cache.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Tokens read from the cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_read: u64,
    /// Tokens written to the cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Usage {
    /// Adds the tokens of `other`.
    pub const fn add(&mut self, other: Self) {
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.cache_write += other.cache_write;
    }
}

/// What a run cost and left behind; what nobody knows any more is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunCost {
    /// US dollars of this run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
    /// The total the agent reported for its conversation, from which the next run's part is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_usd: Option<f64>,
    /// Tokens of this run.
    #[serde(default)]
    pub tokens: Usage,
    /// CPU time of the run's cgroup in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Peak memory of the run's cgroup in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// Processes the run left behind, which were killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leftovers: Option<u32>,
}
