//! macOS has no cgroups: a worker's runs are followed by their process groups and by
//! [`strays`](super::strays), and have no limits of their own.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::time::Duration;

use crate::platform::Counted;

/// A unit's cgroup, of which there is none.
#[derive(Debug)]
pub struct UnitCgroup(Infallible);

impl UnitCgroup {
    /// `None`: there are no cgroups.
    #[must_use]
    pub const fn enter() -> Option<Self> {
        None
    }

    /// A cgroup for a run.
    ///
    /// # Errors
    /// Never called: there is no unit to call it on.
    pub fn run(&self, _name: &str) -> io::Result<RunCgroup> {
        match self.0 {}
    }

    /// Ends all runs there are.
    pub fn clear(&self) {
        match self.0 {}
    }
}

/// The cgroup of one run, of which there is none.
#[derive(Debug)]
pub struct RunCgroup(Infallible);

impl RunCgroup {
    /// What a child writes to in order to move itself in.
    #[must_use]
    pub const fn procs(&self) -> &File {
        match self.0 {}
    }

    /// CPU time of all processes so far.
    #[must_use]
    pub const fn cpu(&self) -> Option<Duration> {
        match self.0 {}
    }

    /// Ends whatever is alive in it and removes it.
    #[must_use]
    pub const fn end(self) -> Counted {
        match self.0 {}
    }
}
