//! What a check of agents looks at, and what it finds.

use std::path::{Path, PathBuf};

use crate::config::{Dirs, Env, EnvFile, Settings};

/// Everything that the checks look at.
#[derive(Clone, Copy)]
pub struct Exam<'a> {
    /// The environment of the shell.
    pub env: &'a Env,
    /// What the service manager passes to every unit.
    pub units: &'a Env,
    /// The folders of the user whose agents are checked.
    pub dirs: &'a Dirs,
    /// The user's credentials file.
    pub file: &'a EnvFile,
    /// The settings in effect.
    pub settings: &'a Settings,
    /// Whether agents would run as root.
    pub is_root: bool,
    /// The folders that agents work in: the repository, and the sessions' worktrees.
    pub folders: &'a [PathBuf],
    /// How many sessions share the logins.
    pub sessions: usize,
    /// samocode's own program, which the built-in agent runs.
    pub samocode: &'a Path,
}

/// One finding of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The subject of the finding.
    pub about: About,
    /// Whether what was checked works.
    pub status: Status,
    /// The result, in one line without a full stop.
    pub what: String,
    /// How to fix it; empty if nothing needs fixing.
    pub remedy: String,
}

/// The subject of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Whether an agent's program is found, starts, and has a known version.
    Program,
    /// Whether units see credentials for an agent.
    Credentials,
}

/// Whether what was checked works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Works as it should.
    Ok,
    /// Works, but is worth a look.
    Note,
    /// Sessions would not work.
    Broken,
}

impl Finding {
    pub(super) fn new(
        about: About,
        status: Status,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { about, status, what: what.into(), remedy: remedy.into() }
    }
}
