//! macOS has no cgroups: a worker's runs are tracked by their process groups and by
//! [`strays`](super::strays), and have no limits of their own.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::platform::Counted;

/// Where cgroups are mounted: nowhere.
#[must_use]
pub const fn root() -> Option<&'static Path> {
    None
}

/// Stands in for the unit's cgroup, which does not exist here.
#[derive(Debug)]
pub struct UnitCgroup(Infallible);

impl UnitCgroup {
    /// Always `None`, since there are no cgroups.
    #[must_use]
    pub const fn enter() -> Option<Self> {
        None
    }

    /// Would create a cgroup for a run.
    ///
    /// # Errors
    /// Never called, since [`UnitCgroup::enter`] returns `None`.
    pub fn run(&self, _name: &str) -> io::Result<RunCgroup> {
        match self.0 {}
    }

    /// Would kill all runs.
    pub fn clear(&self) {
        match self.0 {}
    }
}

/// Stands in for the cgroup of one run, which does not exist here.
#[derive(Debug)]
pub struct RunCgroup(Infallible);

impl RunCgroup {
    /// Would be the file that a child writes to in order to join.
    #[must_use]
    pub const fn procs(&self) -> &File {
        match self.0 {}
    }

    /// Would be the CPU time used by all its processes.
    #[must_use]
    pub const fn cpu(&self) -> Option<Duration> {
        match self.0 {}
    }

    /// Would be how often one of its processes was refused a child.
    #[must_use]
    pub const fn refused_processes(&self) -> Option<u64> {
        match self.0 {}
    }

    /// Would kill everything alive in it and remove it.
    #[must_use]
    pub const fn end(self) -> Counted {
        match self.0 {}
    }
}
