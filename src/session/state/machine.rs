//! The machine a session's workers ran on: a power cut loses what a kill does not, and the next
//! run is told of it.

use crate::session::restored::Restored;

/// What is known of the machine's starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The kernel's id of the boot the last worker was started in; empty where there is none.
    boot: String,
    restart: Restart,
    damage: Option<Restored>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Restart {
    /// None since the last run that was told of one.
    #[default]
    Past,
    /// No run has begun since.
    NoRunSince,
    /// The run that began since is told of it, and may not have seen it before its end.
    BeingTold,
}

impl Machine {
    pub(super) fn worker_started(&mut self, boot: &str) {
        if !self.boot.is_empty() && !boot.is_empty() && self.boot != boot {
            self.restart = Restart::NoRunSince;
        }
        boot.clone_into(&mut self.boot);
    }

    pub(super) fn run_started(&mut self) {
        if self.restart == Restart::NoRunSince {
            self.restart = Restart::BeingTold;
        }
    }

    pub(super) fn run_ended(&mut self) {
        if self.restart == Restart::BeingTold {
            self.restart = Restart::Past;
            self.damage = None;
        }
    }

    /// Adds what was found to have lost data in a restart.
    pub(super) fn restored(&mut self, found: &Restored) {
        self.damage.get_or_insert_default().add(found);
    }

    /// What was found to have lost data in a restart that is news.
    #[must_use]
    pub const fn damage(&self) -> Option<&Restored> {
        self.damage.as_ref()
    }

    /// The kernel's id of the boot the last worker was started in; empty where there is none.
    #[must_use]
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// Whether the machine was started since the last run: files may have lost their data.
    #[must_use]
    pub fn is_first_run_since_boot(&self) -> bool {
        self.restart == Restart::NoRunSince
    }

    /// Whether a run that begins now, or has just begun, is to be told of a restart.
    #[must_use]
    pub fn restart_is_news(&self) -> bool {
        self.restart != Restart::Past
    }
}
