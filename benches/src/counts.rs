//! Counts instead of times: how often a run waits for the disk and how many gits it starts. They
//! are the same on a busy machine.

use std::fs;
use std::io;
use std::process::Command;

use crate::BLOCKED;
use crate::project::Project;

/// What strace counted.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    /// Calls that wait for the disk, git's own included.
    pub(crate) syncs: usize,
    /// Git processes, those that git starts included.
    pub(crate) gits: usize,
}

impl Counts {
    /// Of a run; `None` where strace cannot tell.
    pub(crate) fn of(project: &Project, name: &str, run: &Command) -> io::Result<Option<Self>> {
        let log = project.path(name);
        let out = log.display().to_string();
        let calls = "trace=fsync,fdatasync,syncfs,sync_file_range,execve";
        // Of the names tried along PATH, only the one that exists.
        let strace = ["strace", "-f", "-qq", "-z", "-e", calls, "-o", &out];
        match project.wrapped(&strace, run).status() {
            Ok(status) if status.code() == Some(BLOCKED) => {}
            _ => return Ok(None),
        }
        let text = fs::read_to_string(log)?;
        let calls = text.lines().filter(|line| !line.contains("resumed"));
        let (started, synced): (Vec<&str>, Vec<&str>) =
            calls.partition(|line| line.contains("execve("));
        let is_git = |line: &&&str| {
            let program = line.split('"').nth(1).unwrap_or_default();
            program.rsplit('/').next() == Some("git") && !line.contains("ENOENT")
        };
        let syncs = synced.iter().filter(|line| line.contains("sync(") || line.contains("syncfs("));
        Ok(Some(Self { syncs: syncs.count(), gits: started.iter().filter(is_git).count() }))
    }
}
