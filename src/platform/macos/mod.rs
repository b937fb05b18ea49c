//! macOS: libproc, sysctl, kqueue, caffeinate. Type-checked on Linux, and never run on a Mac yet.

pub mod awake;
pub mod cgroup;
pub mod machine;
pub mod parent;
mod process;
pub mod strays;
