//! Reboots of the machine: a power cut can lose data that a kill does not, so the next run is
//! warned.

use crate::session::restored::Restored;

/// The last known boot, and whether the agent knows about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Boot ID under which the last worker started; empty if there was none.
    boot: String,
    restart: Restart,
    damage: Option<Restored>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Restart {
    /// No reboot since the last run that was warned of one.
    #[default]
    Past,
    /// The machine rebooted, and no run has started since.
    NoRunSince,
    /// The current run was warned, but may end before it reads the warning.
    BeingTold,
}

impl Machine {
    pub(in crate::session) fn worker_started(&mut self, boot: &str) {
        if !self.boot.is_empty() && !boot.is_empty() && self.boot != boot {
            self.restart = Restart::NoRunSince;
        }
        boot.clone_into(&mut self.boot);
    }

    pub(in crate::session) fn run_started(&mut self) {
        if self.restart == Restart::NoRunSince {
            self.restart = Restart::BeingTold;
        }
    }

    pub(in crate::session) fn run_ended(&mut self) {
        if self.restart == Restart::BeingTold {
            self.restart = Restart::Past;
            self.damage = None;
        }
    }

    /// Adds files that lost data in a reboot.
    pub(in crate::session) fn restored(&mut self, found: &Restored) {
        self.damage.get_or_insert_default().add(found);
    }

    /// Files that lost data in a reboot the agent has not heard of.
    #[must_use]
    pub const fn damage(&self) -> Option<&Restored> {
        self.damage.as_ref()
    }

    /// Boot ID under which the last worker started; empty if there was none.
    #[must_use]
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// Whether no run has started since the last reboot, so that files may have lost data.
    #[must_use]
    pub fn is_first_run_since_boot(&self) -> bool {
        self.restart == Restart::NoRunSince
    }

    /// Whether a run that starts now should be warned of a reboot.
    #[must_use]
    pub fn restart_is_news(&self) -> bool {
        self.restart != Restart::Past
    }
}
