//! Where a call comes from, as it is recorded beside a message that opens a gate.

use serde::{Deserialize, Serialize};

/// Where a call comes from. Its front end finds out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A run of an agent, which must not open gates.
    Run,
    /// A run of a confined agent, for which its worker performs the call outside of the cage.
    Confined {
        /// Whether its session coordinated others when the run began. Only then are the files of those
        /// below it held from it.
        coordinates: bool,
    },
    /// A person or a program outside of any run, described for people: `u on /dev/pts/3`.
    Outside(String),
}
