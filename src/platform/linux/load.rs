//! What units use now, from the files of their cgroups. Nothing is asked of the service manager: a
//! directory per running unit, and two small files in it. Where the kernel does not count a unit's
//! memory, since nobody delegated its controller, the memory of its processes is added up. What was
//! started without a unit is a tree of processes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup::{keyed, number, root};
use super::proc;
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

/// What each process of this user that runs `program` as `program MARK NAME` uses, with all that is below
/// it, under that name. Where its parent runs `program` too, which starts it again and adopts what it
/// leaves behind, the parent and all below that.
#[must_use]
pub fn of_processes(program: &str, mark: &str, user: u32) -> Vec<Load> {
    let table = Table::read();
    let found = table.0.iter().filter_map(|(&pid, process)| {
        let name = (process.program == program).then(|| argument_after(pid, mark))??;
        (uid(pid)? == user).then_some(())?;
        let parent = table.0.get(&process.parent);
        let has_parent = parent.is_some_and(|parent| parent.program == program);
        let tree = table.below(if has_parent { process.parent } else { pid });
        let own: Vec<u64> = tree.iter().filter_map(|pid| own_memory(*pid)).collect();
        let ticks: u64 = tree.iter().filter_map(|pid| table.0.get(pid)).map(|it| it.ticks).sum();
        let milliseconds = ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second();
        Some(Load {
            unit: name,
            memory: (!own.is_empty()).then(|| own.iter().sum()),
            cpu: Some(Duration::from_millis(milliseconds)),
        })
    });
    found.collect()
}

/// A process in the kernel's table.
struct Process {
    program: String,
    parent: u32,
    /// Its CPU time and that of the children it has reaped, in clock ticks.
    ticks: u64,
}

/// All processes.
struct Table(HashMap<u32, Process>);

impl Table {
    fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        Self(pids.filter_map(|pid| Some((pid, process(pid)?))).collect())
    }

    /// A process and all below it.
    fn below(&self, top: u32) -> Vec<u32> {
        let mut tree = vec![top];
        let mut at = 0;
        while let Some(&parent) = tree.get(at) {
            let children = self.0.iter().filter(|(_, process)| process.parent == parent);
            tree.extend(children.map(|(pid, _)| *pid));
            at += 1;
        }
        tree
    }
}

fn process(pid: u32) -> Option<Process> {
    let stat = String::from_utf8_lossy(&proc::read(format!("/proc/{pid}/stat")).ok()?).into_owned();
    // The second field may hold anything, but ends with the last `)`.
    let (head, rest) = stat.rsplit_once(')')?;
    let program = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // utime, stime, cutime and cstime: fields 14 to 17 of proc_pid_stat(5).
    let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Process { program, parent: fields.get(1)?.parse().ok()?, ticks })
}

/// The last of a process's arguments, if there are two and the first is this one.
fn argument_after(pid: u32, mark: &str) -> Option<String> {
    let line = proc::text(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<&str> = line.trim_end_matches('\0').split('\0').collect();
    match words[..] {
        [_, first, name] if first == mark => Some(name.to_owned()),
        _ => None,
    }
}

/// The user a process runs as. Its folder belongs to root where it keeps others out of its memory.
fn uid(pid: u32) -> Option<u32> {
    let status = proc::text(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next()?.parse().ok()
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

    #[test]
    fn a_tree_of_processes_is_found_by_how_its_root_was_started() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("a-worker");
        // The shell by another name: what it starts is below it.
        std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
        let script = folder.path().join("mark");
        fs::write(
            &script,
            "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'\necho\nread x",
        )
        .unwrap();
        let mut child = std::process::Command::new(&program)
            .args(["mark", "jwt"])
            .current_dir(folder.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        let user = rustix::process::getuid().as_raw();
        let loads = of_processes("a-worker", "mark", user);
        assert_eq!(of_processes("a-worker", "other", user), []);
        assert_eq!(of_processes("a-worker", "mark", user + 1), []);
        drop(child.stdin.take());
        child.wait().unwrap();
        let [load] = &loads[..] else { panic!("{loads:?}") };
        assert_eq!(load.unit, "jwt");
        assert!(load.memory.is_some_and(|bytes| bytes > 0), "{load:?}");
        assert!(load.cpu.is_some_and(|cpu| !cpu.is_zero()), "what it has reaped counts: {load:?}");
        assert_eq!(of_processes("a-worker", "mark", user), [], "it has ended");
    }
}
