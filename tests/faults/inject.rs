//! The faults, and the processes they hit.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::LabUser;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    KillWorker,
    KillAgent,
    KillBoth,
    KillGrandchild,
    StopWorker,
    StopAgent,
    Sigterm,
    Sigint,
    Sighup,
    StopAndStart,
    RestartManager,
}

impl Class {
    /// Those that hit one session, in the shares in which they are injected.
    pub(crate) const OF_A_SESSION: [(Self, usize); 10] = [
        (Self::KillWorker, 8),
        (Self::KillAgent, 4),
        (Self::KillBoth, 3),
        (Self::KillGrandchild, 2),
        (Self::StopWorker, 1),
        (Self::StopAgent, 1),
        (Self::Sigterm, 2),
        (Self::Sigint, 1),
        (Self::Sighup, 1),
        (Self::StopAndStart, 2),
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KillWorker => "kill -9 worker",
            Self::KillAgent => "kill -9 agent",
            Self::KillBoth => "kill -9 both",
            Self::KillGrandchild => "kill -9 setsid child",
            Self::StopWorker => "SIGSTOP worker",
            Self::StopAgent => "SIGSTOP agent",
            Self::Sigterm => "SIGTERM worker",
            Self::Sigint => "SIGINT worker",
            Self::Sighup => "SIGHUP worker",
            Self::StopAndStart => "systemctl stop, start",
            Self::RestartManager => "manager restarted",
        }
    }

    /// Whether the agent has to be restarted because of it.
    pub(crate) const fn restarts_agent(self) -> bool {
        !matches!(self, Self::KillGrandchild | Self::Sighup)
    }
}

/// The processes of a session, by their numbers on this machine.
pub(crate) struct Target<'u> {
    user: &'u LabUser,
    unit: String,
    cgroup: PathBuf,
    /// The name of the agent's process.
    agent: &'static str,
}

impl<'u> Target<'u> {
    pub(crate) fn new(user: &'u LabUser, session: &str, agent: &'static str) -> Self {
        let (uid, unit) = (user.uid, format!("samocode@{session}.service"));
        let cgroup = format!(
            "/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service/samocode.slice/{unit}"
        );
        Self { user, unit, cgroup: user.lab.host_path(cgroup), agent }
    }

    /// The worker, from its first moments on.
    pub(crate) fn worker(&self) -> Option<Pid> {
        let leaf = processes(&self.cgroup.join("worker"));
        leaf.into_iter().chain(processes(&self.cgroup)).next()
    }

    /// The unit's cgroup of its worker.
    pub(crate) fn worker_cgroup(&self) -> PathBuf {
        self.cgroup.join("worker")
    }

    /// All processes of the run.
    fn run(&self) -> Vec<Pid> {
        let folders = fs::read_dir(&self.cgroup).into_iter().flatten().flatten();
        folders
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("run-"))
            .flat_map(|entry| processes(&entry.path()))
            .collect()
    }

    /// The agent itself, named so after its program.
    fn agent(&self) -> Option<Pid> {
        self.run().into_iter().find(|pid| stat(*pid).is_some_and(|stat| stat.name == self.agent))
    }

    /// The one that leads a session of its own.
    fn grandchild(&self) -> Option<Pid> {
        let leads = |pid: &Pid| {
            stat(*pid).is_some_and(|stat| {
                stat.name == "sleep" && stat.session == pid.as_raw_nonzero().get()
            })
        };
        self.run().into_iter().find(leads)
    }

    /// Injects a fault; false when its target does not exist at the moment.
    pub(crate) fn inject(&self, class: Class) -> bool {
        let send =
            |pid: Option<Pid>, signal| pid.is_some_and(|pid| kill_process(pid, signal).is_ok());
        match class {
            Class::KillWorker => send(self.worker(), Signal::KILL),
            Class::KillAgent => send(self.agent(), Signal::KILL),
            Class::KillBoth => {
                let (worker, agent) = (self.worker(), self.agent());
                agent.is_some() && send(worker, Signal::KILL) && {
                    // It may have ended with its worker already.
                    send(agent, Signal::KILL);
                    true
                }
            }
            Class::KillGrandchild => send(self.grandchild(), Signal::KILL),
            Class::StopWorker => send(self.worker(), Signal::STOP),
            Class::StopAgent => {
                let run = self.run();
                self.agent().is_some() && run.into_iter().any(|pid| send(Some(pid), Signal::STOP))
            }
            Class::Sigterm => send(self.worker(), Signal::TERM),
            Class::Sigint => send(self.worker(), Signal::INT),
            Class::Sighup => send(self.worker(), Signal::HUP),
            Class::StopAndStart => self.user.systemctl(["stop", &self.unit]).output().code == 0,
            Class::RestartManager => {
                let manager = format!("user@{}.service", self.user.uid);
                self.user.lab.root(["systemctl", "restart", &manager]).output().code == 0
            }
        }
    }

    /// Starts the unit again, as a person does after a stop.
    pub(crate) fn start(&self) {
        self.user.systemctl(["start", &self.unit]).output();
    }
}

/// The processes of a cgroup, not of those below.
fn processes(cgroup: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for a process of another PID namespace.
    text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
}

struct Stat {
    name: String,
    session: i32,
}

/// proc_pid_stat(5).
fn stat(pid: Pid) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (start, rest) = text.rsplit_once(')')?;
    let (_, name) = start.split_once('(')?;
    // state, ppid, pgrp, session
    let session = rest.split_whitespace().nth(3)?.parse().ok()?;
    Some(Stat { name: name.to_owned(), session })
}

/// The runs, of a session or of all, of which processes of the user are alive, by
/// the variables their agents have.
pub(crate) fn runs_alive(user: &LabUser, session: Option<&str>) -> Vec<(i32, String)> {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            (entry.metadata().ok()?.uid() == user.uid).then_some(())?;
            let environ = fs::read(entry.path().join("environ")).ok()?;
            let value = |name: &str| {
                let found =
                    environ.split(|b| *b == 0).find_map(|v| v.strip_prefix(name.as_bytes()));
                found.map(|value| String::from_utf8_lossy(value).into_owned())
            };
            let of = value("SAMOCODE_SESSION=")?;
            session.is_none_or(|session| of == session).then_some(())?;
            Some((pid, value("SAMOCODE_RUN=")?))
        })
        .collect()
}
