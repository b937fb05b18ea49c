//! A virtual machine: its own kernel, disk, clock and memory controller, for
//! what the lab (`tests/lab`) cannot show. Memory that runs out, a power cut, a
//! reboot, a machine that sleeps.
//!
//! Debian's kernel and an image of a Debian 13, both made once by
//! `tests/machine/image.sh`, under qemu's emulation: no /dev/kvm, no root, but
//! some ten seconds to boot and programs that run ten times slower. So each
//! test gets a machine of its own, one at a time, does much with it, and waits long.
//!
//! ```ignore
//! let Some(machine) = Machine::boot() else { return };   // prints "SKIPPED: why"
//! let agent = machine.agent("leak", "exec tail /dev/zero");   // ~/leak
//! machine.project("shop", &format!("SAMOCODE_AGENT={agent}\n"));
//! let session = machine.enable("shop");                  // named as its project
//! session.wait_to_rest("blocked", "investigation");
//! machine.power_cut();                                   // SIGKILL; boots again from its disk
//! machine.dev("samocode why shop").ok();                 // a line of shell as the user
//! ```
//!
//! | in the machine | what it is |
//! |---|---|
//! | `dev` | an ordinary user whose manager lingers |
//! | `/usr/local/bin/samocode` | the program under test |
//! | `/usr/local/bin/claude` | the real CLI, after [`Machine::boot_with_claude`] alone |
//! | `/usr/local/bin/samocode-tests` | then also the tests themselves, for what they serve in there |
//! | `/dev/vport0p1` | through which commands come; `lab-shell.service` runs them |

mod disk;
mod qemu;
mod shell;
mod user;

mod cuts;
mod feature;
mod memory;
mod power;
mod suspend;

pub(crate) use qemu::Machine;
pub(crate) use user::Session;

/// How long anything may take in a machine that is emulated on a busy one.
pub(crate) const BOUND: std::time::Duration = crate::lab::secs(240);
