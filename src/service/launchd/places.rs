//! Where the agents of a user and what belongs to them are kept.

use std::path::PathBuf;

use crate::service::{Error, Scope, Spool};

/// The folders of one user's agents, all absolute. They need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// `~/Library/LaunchAgents`: launchd loads what is in it at login.
    pub at_login: PathBuf,
    /// Agents that do not start at login.
    pub parked: PathBuf,
    /// Copies of the shared agents as launchd has loaded them.
    pub loaded: PathBuf,
    /// One file per convoy; launchd does not read these.
    pub convoys: PathBuf,
    /// What workers report, a file per session.
    pub status: PathBuf,
    /// Locks that order what is done to an agent.
    pub locks: PathBuf,
    /// Standard output and error of the agents.
    pub logs: PathBuf,
    /// The wake spool.
    pub spool: PathBuf,
    /// Notices that have not been sent.
    pub notices: PathBuf,
    /// Notices that quiet hours hold back.
    pub held: PathBuf,
    /// An empty file per session that has given up and whose human has not been messaged.
    pub failed: PathBuf,
}

impl Places {
    /// The folders that the environment gives.
    ///
    /// # Errors
    /// [`Error::NoHome`].
    pub fn of_env() -> Result<Self, Error> {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let home = home.ok_or(Error::NoHome)?;
        Ok(Self::new(&home.join("Library"), Spool::of(Scope::User)?.dir()))
    }

    /// The folders of the user with this `~/Library` and this spool.
    #[must_use]
    pub fn new(library: &std::path::Path, spool: &std::path::Path) -> Self {
        let ours = spool.with_file_name("launchd");
        Self {
            at_login: library.join("LaunchAgents"),
            parked: ours.join("agents"),
            loaded: ours.join("loaded"),
            convoys: ours.join("convoys"),
            status: ours.join("status"),
            locks: ours.join("locks"),
            logs: library.join("Logs/samocode"),
            spool: spool.to_owned(),
            notices: spool.with_file_name("notices"),
            held: spool.with_file_name("notices-held"),
            failed: spool.with_file_name("failed"),
        }
    }

    /// The file in which the worker of an instance reports.
    #[must_use]
    pub fn status_of(&self, instance: &str) -> PathBuf {
        self.status.join(format!("{instance}.json"))
    }

    /// The log of a session's worker.
    #[must_use]
    pub fn log_of(&self, instance: &str) -> PathBuf {
        self.logs.join(format!("sessions/{instance}.log"))
    }

    /// The log of an agent that is installed once per user, by its label.
    #[must_use]
    pub fn log_of_shared(&self, label: &str) -> PathBuf {
        let name = label.rsplit('.').next().unwrap_or(label);
        self.logs.join(format!("{name}.log"))
    }
}
