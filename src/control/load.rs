//! What running sessions use of the machine: from the files of their units' cgroups, and for those of
//! `samocode run`, which have none, from their processes.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::platform;
use crate::service::{self, Scope};

use super::error::Result;
use super::operation::{Operation, Perform};

/// Asks for memory and CPU time of all sessions of this machine that run. Cheap: it reads two small files
/// per unit and one per process, and asks no service manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {}

/// What a session uses, its agent and its builds included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The instance of its unit.
    pub instance: String,
    /// Memory now, in bytes; `None` where that cannot be known.
    pub memory_bytes: Option<u64>,
    /// CPU time since it started, in microseconds. The difference of two readings by the time
    /// between them is the share of one core.
    pub cpu_us: Option<u64>,
}

/// The slice of all sessions.
const SLICE: &str = "samocode.slice";

/// How the kernel calls a worker's program, and the verb of a worker.
const PROGRAM: &str = "samocode";
const WORKER: &str = "worker";

#[async_trait]
impl Perform for Load {
    async fn perform(self, on: &Operation<'_>) -> Result<Vec<Used>> {
        let user = match on.caller.scope {
            Scope::User => Some(rustix::process::getuid().as_raw()),
            Scope::System => None,
        };
        let units = platform::load::of_services(SLICE, user).into_iter().filter_map(|load| {
            let instance = service::instance_of(&load.unit)?.to_owned();
            Some(platform::Load { unit: instance, ..load })
        });
        let mut found: Vec<platform::Load> = units.collect();
        let own = user.unwrap_or_else(|| rustix::process::getuid().as_raw());
        // A unit's worker is a process like any other.
        for load in platform::load::of_processes(PROGRAM, WORKER, own) {
            if !found.iter().any(|known| known.unit == load.unit) {
                found.push(load);
            }
        }
        let used = |load: platform::Load| {
            let cpu_us = load.cpu.and_then(|cpu| u64::try_from(cpu.as_micros()).ok());
            Used { instance: load.unit, memory_bytes: load.memory, cpu_us }
        };
        Ok(found.into_iter().map(used).collect())
    }
}
