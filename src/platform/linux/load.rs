//! What units use now, from the files of their cgroups. Nothing is asked of the service manager: a
//! directory per running unit, and two small files in it. Where the kernel does not count a unit's
//! memory, since nobody delegated its controller, the memory of its processes is added up.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup::{keyed, number, root};
use crate::platform::Load;

/// The slices below the one of all sessions are convoys, whose names nest at most this deep.
const DEEPEST: usize = 4;

/// What each service below a slice uses: of the system's manager, or of a user's.
#[must_use]
pub fn of_services(slice: &str, user: Option<u32>) -> Vec<Load> {
    let mut loads = Vec::new();
    if let Some(manager) = manager(user) {
        collect(&manager.join(slice), DEEPEST, &mut loads);
    }
    loads
}

/// The cgroup of a service manager. That of process 1 begins the tree, in a container too.
fn manager(user: Option<u32>) -> Option<PathBuf> {
    let first = fs::read_to_string("/proc/1/cgroup").ok()?;
    let path = first.lines().find_map(|line| line.strip_prefix("0::"))?;
    let path = path.strip_suffix("/init.scope").unwrap_or(path).trim_start_matches('/');
    let system = root()?.join(path);
    Some(match user {
        Some(uid) => system.join(format!("user.slice/user-{uid}.slice/user@{uid}.service")),
        None => system,
    })
}

fn collect(slice: &Path, depth: usize, loads: &mut Vec<Load>) {
    let entries = fs::read_dir(slice).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.ends_with(".slice") && depth > 0 {
            collect(&path, depth - 1, loads);
        } else if name.ends_with(".service") {
            loads.push(Load {
                memory: number(&path.join("memory.current")).or_else(|| added_up(&path)),
                cpu: keyed(&path.join("cpu.stat"), "usage_usec").map(Duration::from_micros),
                unit: name,
            });
        }
    }
}

/// How deep a unit's own cgroups are looked into: the worker's, the run's, and what it may make.
const WITHIN: usize = 3;

/// The memory of all processes in a cgroup and in those below it that is theirs alone: what they
/// share, such as programs and libraries, would count once for each.
fn added_up(cgroup: &Path) -> Option<u64> {
    let mut pids = Vec::new();
    processes(cgroup, WITHIN, &mut pids);
    let own: Vec<u64> = pids.into_iter().filter_map(own_memory).collect();
    (!own.is_empty()).then(|| own.iter().sum())
}

fn processes(cgroup: &Path, depth: usize, pids: &mut Vec<u32>) {
    let listed = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    pids.extend(listed.lines().filter_map(|pid| pid.parse::<u32>().ok()).filter(|pid| *pid != 0));
    if depth > 0 {
        let below = fs::read_dir(cgroup).into_iter().flatten().flatten();
        let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        below.for_each(|entry| processes(&entry.path(), depth - 1, pids));
    }
}

/// What a process has in memory less what it shares, in bytes; `None` if it has ended.
fn own_memory(pid: u32) -> Option<u64> {
    let pages = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = pages.split_whitespace().skip(1).map(str::parse::<u64>);
    let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
    Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_the_kernel_does_not_count_is_added_up_from_the_processes() {
        let folder = tempfile::tempdir().unwrap();
        let of_the_run = folder.path().join("samocode@jwt.service/worker/run-1");
        fs::create_dir_all(&of_the_run).unwrap();
        let load = || {
            let mut loads = Vec::new();
            collect(folder.path(), DEEPEST, &mut loads);
            loads.remove(0).memory
        };
        assert_eq!(load(), None, "it has no process");
        let block = vec![1_u8; 32 << 20];
        // The last is a process of another namespace, and none has the number before it.
        fs::write(of_the_run.join("cgroup.procs"), format!("{}\n4194305\n0\n", std::process::id()))
            .unwrap();
        let counted = load().unwrap();
        assert!(counted > 32 << 20, "{counted}");
        assert_eq!(block.iter().map(|byte| usize::from(*byte)).sum::<usize>(), block.len());
        fs::write(folder.path().join("samocode@jwt.service/memory.current"), "7\n").unwrap();
        assert_eq!(load(), Some(7), "the kernel knows better");
    }

    #[test]
    fn services_are_found_in_the_slice_and_in_those_below_it_with_what_they_use() {
        let folder = tempfile::tempdir().unwrap();
        let unit = |path: &str, memory: Option<&str>, cpu: Option<&str>| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.join("run-1")).unwrap();
            memory
                .into_iter()
                .for_each(|text| fs::write(path.join("memory.current"), text).unwrap());
            cpu.into_iter().for_each(|text| fs::write(path.join("cpu.stat"), text).unwrap());
        };
        unit("samocode@jwt.service", Some("1048576\n"), Some("usage_usec 2500\nuser_usec 1\n"));
        unit("samocode-convoy.slice/samocode-convoy-a.slice/samocode@b.service", None, None);
        let mut loads = Vec::new();
        collect(folder.path(), DEEPEST, &mut loads);
        loads.sort_by(|one, other| one.unit.cmp(&other.unit));
        let cpu = Some(Duration::from_micros(2500));
        let jwt = Load { unit: "samocode@jwt.service".into(), memory: Some(1 << 20), cpu };
        let bare = Load { unit: "samocode@b.service".into(), memory: None, cpu: None };
        assert_eq!(loads, [bare, jwt]);
        assert_eq!(of_services("no-such.slice", Some(0)), []);
    }
}
