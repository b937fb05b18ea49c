//! macOS: libproc, sysctl, kqueue, caffeinate. Type-checked on Linux, never run on a Mac so far.

pub mod awake;
pub mod beneath;
pub mod cage;
pub mod cgroup;
pub mod disk;
pub mod groups;
pub mod inotify;
pub mod load;
pub mod machine;
pub mod memory;
pub mod origin;
pub mod parent;
mod process;
pub mod processes;
pub mod strays;
