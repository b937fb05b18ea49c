//! Cgroups below the unit's own (cgroup v2, `Delegate=yes`): a leaf for the worker, and one for
//! each run. Every controller is optional; without cgroups a run is tracked through `/proc`
//! instead.
//!
//! Once controllers are on for those below, no process may start in the unit's own cgroup (EBUSY). So
//! the manager starts the worker in its leaf (`DelegateSubgroup=`), or turns them off after one that was
//! killed (`ExecStopPost=`): see the unit.
//!
//! Source: the kernel's `Documentation/admin-guide/cgroup-v2.rst`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::proc;
use crate::platform::Counted;

/// The leaf of the worker, which the unit names, too.
const WORKER_LEAF: &str = "worker";
const RUN_PREFIX: &str = "run-";

/// Memory of the unit that is reserved for the worker, in bytes: its budget, and some page cache
/// for the logs.
const RESERVE: u64 = 16 << 20;

/// Where the hierarchy of cgroup v2 is mounted, if it is.
#[must_use]
pub fn root() -> Option<&'static Path> {
    let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    places.into_iter().find(|root| root.join("cgroup.controllers").is_file())
}

/// The unit's cgroup, delegated to the worker.
#[derive(Debug)]
pub struct UnitCgroup {
    path: PathBuf,
}

impl UnitCgroup {
    /// Finds the worker's unit, moves the worker into its own leaf, and kills whatever the runs of
    /// an earlier worker left. `None` without a delegated cgroup.
    #[must_use]
    pub fn enter() -> Option<Self> {
        let own = own_cgroup()?;
        let path = if own.file_name()? == WORKER_LEAF { own.parent()?.to_owned() } else { own };
        let name = path.file_name()?.to_str()?;
        if !(name.starts_with("samocode@") && name.ends_with(".service")) {
            return None;
        }
        let unit = Self { path };
        let leaf = unit.path.join(WORKER_LEAF);
        make(&leaf).ok()?;
        fs::write(leaf.join("cgroup.procs"), std::process::id().to_string()).ok()?;
        for controller in ["+cpu", "+memory", "+pids"] {
            // Neither every kernel nor every manager offers every controller.
            let _ = fs::write(unit.path.join("cgroup.subtree_control"), controller);
        }
        unit.clear();
        Some(unit)
    }

    /// Creates a cgroup for a run. Its memory limit is below the unit's: a run that takes too much
    /// hits its own limit, where the kernel kills it at once, before the unit's, where the kernel
    /// would slow down everything including the worker.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn run(&self, name: &str) -> io::Result<RunCgroup> {
        let path = self.path.join(format!("{RUN_PREFIX}{name}"));
        make(&path)?;
        let limits = ["memory.high", "memory.max"].map(|file| number(&self.path.join(file)));
        if let Some(limit) = limits.into_iter().flatten().min() {
            // Without the controller the file does not exist, and neither does a limit to stay
            // below.
            let _ = fs::write(path.join("memory.max"), share_of_a_run(limit).to_string());
        }
        let procs = OpenOptions::new().write(true).open(path.join("cgroup.procs"))?;
        Ok(RunCgroup { path, procs })
    }

    /// Kills all runs and removes their cgroups.
    pub fn clear(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for entry in entries.filter_map(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with(RUN_PREFIX) {
                end_all(&entry.path());
            }
        }
    }
}

/// How much of its unit's memory a run may use, in bytes.
fn share_of_a_run(unit: u64) -> u64 {
    unit - RESERVE.min(unit / 4)
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// The cgroup of one run.
#[derive(Debug)]
pub struct RunCgroup {
    path: PathBuf,
    procs: File,
}

impl RunCgroup {
    /// `cgroup.procs`, open for writing: a child joins by writing `0`.
    #[must_use]
    pub const fn procs(&self) -> &File {
        &self.procs
    }

    /// The CPU time used by all its processes so far.
    #[must_use]
    pub fn cpu(&self) -> Option<Duration> {
        keyed(&self.path.join("cpu.stat"), "usage_usec").map(Duration::from_micros)
    }

    /// How often the unit's limit refused one of its processes a child so far. Older kernels count
    /// where the process is, newer ones where the limit is.
    #[must_use]
    pub fn refused_processes(&self) -> Option<u64> {
        let counted = |folder: &Path| keyed(&folder.join("pids.events"), "max");
        let unit = self.path.parent().and_then(counted);
        let own = counted(&self.path);
        (unit.is_some() || own.is_some()).then(|| unit.unwrap_or(0) + own.unwrap_or(0))
    }

    /// Kills everything alive in it and removes it.
    #[must_use]
    pub fn end(self) -> Counted {
        let leftovers = processes(&self.path);
        if leftovers > 0 {
            end_processes(&self.path);
        }
        let counted = Counted {
            cpu: self.cpu(),
            peak_memory: number(&self.path.join("memory.peak")),
            oom_kills: keyed(&self.path.join("memory.events"), "oom_kill").unwrap_or(0),
            leftovers,
        };
        remove_tree(&self.path);
        counted
    }
}

fn end_all(path: &Path) {
    if processes(path) > 0 {
        end_processes(path);
    }
    remove_tree(path);
}

/// The number of processes in a cgroup and all below it, not counting zombies.
fn processes(path: &Path) -> u32 {
    let own = fs::read_to_string(path.join("cgroup.procs"))
        .map_or(0, |text| u32::try_from(text.lines().count()).unwrap_or(u32::MAX));
    own + children(path).iter().map(|child| processes(child)).sum::<u32>()
}

fn children(path: &Path) -> Vec<PathBuf> {
    fs::read_dir(path).map_or_else(
        |_| Vec::new(),
        |entries| {
            entries
                .filter_map(Result::ok)
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path())
                .collect()
        },
    )
}

/// `cgroup.kill` (Linux 5.14) kills everything at once; on older kernels each process gets SIGKILL.
/// Then waits for the kernel to report in `cgroup.events` that the cgroup is empty.
fn end_processes(path: &Path) {
    const BOUND: Duration = Duration::from_secs(5);
    let deadline = Instant::now() + BOUND;
    let Ok(events) = File::open(path.join("cgroup.events")) else { return };
    loop {
        if fs::write(path.join("cgroup.kill"), "1").is_err() {
            kill_each(path);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if keyed(&path.join("cgroup.events"), "populated") != Some(1) || left.is_zero() {
            return;
        }
        // Wakes when the contents change; the next round kills a fork that slipped through.
        let round = left.min(Duration::from_millis(200));
        let timeout = Timespec::try_from(round).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let _ = poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&timeout));
    }
}

fn kill_each(path: &Path) {
    let pids = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    for pid in pids.lines().filter_map(|line| line.parse().ok()) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    for child in children(path) {
        kill_each(&child);
    }
}

fn remove_tree(path: &Path) {
    for child in children(path) {
        remove_tree(&child);
    }
    let _ = fs::remove_dir(path);
}

pub(super) fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Reads one key of the kernel's flat keyed files.
pub(super) fn keyed(path: &Path, key: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok()).flatten()
    })
}

/// The worker's cgroup in the unified hierarchy: the line that starts with `0::`.
fn own_cgroup() -> Option<PathBuf> {
    let lines = proc::text("/proc/self/cgroup").ok()?;
    let path = lines.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = unified_mount(&proc::text("/proc/self/mountinfo").ok()?)?;
    Some(mount.join(path.trim_start_matches('/')))
}

/// The mount point of the unified hierarchy: `/sys/fs/cgroup`, or `…/unified` on a hybrid host.
fn unified_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let root = mount.split(' ').nth(3)?;
        let point = mount.split(' ').nth(4)?;
        (kind.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(point))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_leaves_some_of_the_units_memory_to_the_worker() {
        assert_eq!(share_of_a_run(4 << 30), (4 << 30) - (16 << 20));
        assert_eq!(share_of_a_run(32 << 20), 24 << 20);
    }

    #[test]
    fn the_unified_hierarchy_is_found_on_a_hybrid_host() {
        let hybrid = "26 21 0:23 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n\
                      27 26 0:24 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      28 26 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(unified_mount(hybrid), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(unified_mount("21 20 0:19 / /proc rw - proc proc rw\n"), None);
    }
}
