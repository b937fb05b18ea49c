//! The cage of a process: `no_new_privs`, Landlock for what it reaches by name, seccomp for the
//! system calls that lead around that. It is built before the fork, since that allocates; the child
//! only makes system calls. It survives exec, and nothing in it can leave it.

mod enter;
mod files;
mod network;
pub mod places;
mod syscalls;
mod view;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

use seccompiler::BpfProgram;

use network::Listeners;
use view::{Possible, View};

use crate::platform::confinement::{CageError, Lack, Network, Rule, Rules, Sockets, Support};
use crate::platform::handover::Handover;

/// Whether processes are confined unless somebody says otherwise.
pub const BY_DEFAULT: bool = true;

/// The version of Landlock that holds signals and abstract sockets.
const SIGNALS: u32 = 6;

/// What this kernel can hold. Whether a process may have a network of its own is asked only if one is
/// `wanted`: making one to see takes longer than all the rest.
#[must_use]
pub fn support(wanted: &Network) -> Support {
    let landlock = enter::landlock_version();
    let seccomp = Path::new("/proc/sys/kernel/seccomp/actions_avail").exists();
    of(landlock, seccomp, possible(landlock, wanted), wanted)
}

/// What a process gets of its own.
fn possible(landlock: u32, wanted: &Network) -> Possible {
    if landlock < SIGNALS { Possible::Nothing } else { view::possible(*wanted != Network::Host) }
}

/// What a kernel with this version of Landlock can hold; 0 for one without.
fn of(landlock: u32, seccomp: bool, possible: Possible, wanted: &Network) -> Support {
    let view = possible >= Possible::View;
    let lacks = [
        (landlock == 0, Lack::Files),
        (!seccomp, Lack::Calls),
        (landlock < SIGNALS, Lack::Signals),
        (*wanted != Network::Host && possible < Possible::Network, Lack::Network),
        (!view && !files::hold_sockets(landlock), Lack::View),
    ];
    let by = [
        (landlock > 0).then(|| format!("Landlock {landlock}")),
        seccomp.then(|| "seccomp".to_owned()),
        view.then(|| "own view".to_owned()),
    ];
    Support {
        by: by.into_iter().flatten().collect::<Vec<_>>().join(", "),
        lacks: lacks.into_iter().filter_map(|(lacks, what)| lacks.then_some(what)).collect(),
    }
}

/// A cage that is ready to be entered.
#[derive(Debug)]
pub struct Cage {
    ruleset: OwnedFd,
    filters: [BpfProgram; 2],
    view: Option<View>,
    handover: Option<Handover>,
}

impl Cage {
    /// Builds a cage with these rules.
    ///
    /// # Errors
    /// If the kernel has no Landlock or refuses a rule, or a network of its own is not possible.
    pub fn build(rules: &Rules) -> Result<Self, CageError> {
        let rules = &in_parts(rules);
        let landlock = enter::landlock_version();
        // With a view, the sockets of others are not there to be connected to, and Landlock holds
        // those without a name.
        let possible = possible(landlock, &rules.network);
        let has_view = rules.sockets == Sockets::None && possible >= Possible::View;
        let failed = |error: io::Error| CageError {
            doing: "plan a view of the agent's own".to_owned(),
            why: error.to_string(),
        };
        let (listeners, handover) = match &rules.network {
            Network::Host => (None, None),
            Network::Own(_) if !has_view || possible < Possible::Network => {
                return Err(CageError {
                    doing: "make a network of the agent's own".to_owned(),
                    why: Lack::Network.describe().to_owned(),
                });
            }
            Network::Own(ports) => {
                let (listeners, handover) = Listeners::at(ports).map_err(failed)?;
                (Some(listeners), Some(handover))
            }
        };
        let view = has_view.then(|| View::of(rules, files::own(landlock), listeners));
        let view = view.transpose().map_err(failed)?;
        let sockets = if has_view { Sockets::Any } else { rules.sockets };
        Ok(Self {
            ruleset: files::ruleset(rules, landlock)?,
            filters: syscalls::filters(sockets, landlock)?,
            view,
            handover,
        })
    }

    /// Our end of the handover of listeners in the process's own network, if it gets one. To be taken
    /// before the cage is entered.
    pub const fn take_handover(&mut self) -> Option<Handover> {
        self.handover.take()
    }

    /// The command that starts a program in the cage.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        Command::new(program)
    }

    /// Locks this process in, for good. Async-signal-safe.
    ///
    /// # Errors
    /// The kernel's.
    pub fn enter(&self) -> io::Result<()> {
        if let Some(view) = &self.view {
            view.enter(&self.ruleset)?;
        }
        enter::enter(&self.ruleset, &self.filters)
    }
}

/// The rules, and what they say of the root said of each thing in it: a view has a root of its own.
fn in_parts(rules: &Rules) -> Rules {
    let mut all = rules.clone();
    for rule in rules.paths.iter().filter(|rule| rule.path.parent().is_none()) {
        let entries = std::fs::read_dir("/").into_iter().flatten().flatten();
        all.paths.extend(entries.map(|entry| Rule { path: entry.path(), access: rule.access }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_lacks_is_known_by_its_version_of_landlock() {
        let own = Network::Own(Vec::new());
        let of = |landlock, seccomp, possible| of(landlock, seccomp, possible, &own);
        let lacks = |landlock| of(landlock, true, Possible::Network).lacks;
        assert_eq!(lacks(0), [Lack::Files, Lack::Signals]);
        assert_eq!(lacks(2), [Lack::Signals]);
        assert_eq!(lacks(5), [Lack::Signals]);
        assert_eq!(lacks(7), []);
        assert_eq!(of(0, false, Possible::Nothing).by, "");
        assert_eq!(of(7, true, Possible::Nothing).by, "Landlock 7, seccomp");
        assert_eq!(of(7, true, Possible::View).by, "Landlock 7, seccomp, own view");
        assert_eq!(of(7, false, Possible::Network).lacks, [Lack::Calls]);
        assert_eq!(of(7, true, Possible::Nothing).lacks, [Lack::Network, Lack::View]);
        assert_eq!(of(7, true, Possible::View).lacks, [Lack::Network]);
        assert_eq!(of(9, true, Possible::Nothing).lacks, [Lack::Network]);
        assert_eq!(super::of(7, true, Possible::View, &Network::Host).lacks, []);
    }
}
