//! The cage of a process on macOS: `sandbox-exec` with a profile.

pub mod places;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::platform::confinement::{CageError, Lack, Network, Rules, Support};
use crate::platform::handover::Handover;
use crate::platform::seatbelt;

/// Whether processes are confined unless somebody says otherwise: not before this was tried on a Mac.
pub const BY_DEFAULT: bool = false;

/// The program that starts another in a sandbox.
const SANDBOX: &str = "/usr/bin/sandbox-exec";

/// What this system can hold. The network is never restricted here, `wanted` or not.
#[must_use]
pub fn support(_wanted: &Network) -> Support {
    let exists = Path::new(SANDBOX).exists();
    Support {
        by: if exists { "sandbox-exec".to_owned() } else { String::new() },
        lacks: if exists {
            vec![Lack::Network]
        } else {
            vec![Lack::Files, Lack::Calls, Lack::Network]
        },
    }
}

/// A cage that is ready to be entered.
#[derive(Debug)]
pub struct Cage {
    profile: OsString,
}

impl Cage {
    /// Builds a cage with these rules.
    ///
    /// # Errors
    /// None here.
    pub fn build(rules: &Rules) -> Result<Self, CageError> {
        Ok(Self { profile: seatbelt::profile(rules).into() })
    }

    /// Nothing: there are no networks of a process's own.
    pub const fn take_handover(&mut self) -> Option<Handover> {
        None
    }

    /// The command that starts a program in the cage.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(SANDBOX);
        command.arg("-p").arg(&self.profile).arg(program);
        command
    }

    /// Nothing: the command enters it.
    ///
    /// # Errors
    /// None.
    pub const fn enter(&self) -> io::Result<()> {
        Ok(())
    }
}
