//! Linux: cgroup v2, `/proc`, pidfds, logind.

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
mod proc;
pub mod processes;
pub mod strays;
#[cfg(all(panic = "abort", target_env = "gnu"))]
mod unwind;
