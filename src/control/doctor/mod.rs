//! Examining the setup: finds what keeps sessions from working, and how to fix it.
//!
//! ```text
//! check      one check and its result
//! manager    service manager, lingering, journald, units
//! live       a tiny real conversation with an agent
//! launchd    what differs under launchd: login session, keychain, sleep
//! agents     programs, versions, credentials, the env file
//! project    git, folders, disk
//! confine    whether agents can be confined as demanded
//! runs       the last errors of past runs
//! host       cgroups, inotify, notices, clock
//! ```

mod agents;
mod check;
mod confine;
mod host;
mod launchd;
pub mod live;
mod manager;
mod project;
mod runs;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agent::vocabulary;
use crate::config::{Dirs, Env, EnvFile, Error as ProjectError, Flags, Project, Settings};
use crate::service::{self, ServiceManager};
use crate::session::order;

use super::context::{Caller, Warnings, project_owner};
use super::error::{Error, Result};
use super::operation::{Operation, Perform};
use super::privilege::{Raised, RunAs};

use check::Check;

/// Checks everything that sessions need, without using the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examine {
    /// Also fix what can be fixed without asking: lingering, units, folders, permissions.
    #[serde(default)]
    pub fix: bool,
}

/// The result of an examination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Examined {
    /// Whether nothing is broken.
    pub healthy: bool,
    /// The fixes that were applied.
    pub fixed: Vec<String>,
    /// The fixes that failed, and why.
    #[serde(default)]
    pub not_fixed: Vec<Error>,
    /// All checks, by group; after the fixes, if there were any.
    pub checks: Vec<Checked>,
}

/// One check and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The heading it is listed under.
    pub group: Group,
    /// Whether it works, works but is worth a look, or is broken.
    pub status: Status,
    /// The finding, without a full stop.
    pub what: String,
    /// How to fix it by hand.
    pub remedy: Option<String>,
    /// What [`Examine::fix`] does about it.
    pub fix: Option<String>,
}

/// The result of a check, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It works; there is nothing to do.
    Ok,
    /// Works, but is worth a look.
    Note,
    /// Sessions would not work.
    Broken,
}

/// The subject of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    /// The service manager, lingering and journald.
    #[serde(rename = "Service manager")]
    Manager,
    /// The installed units and the wake spool.
    Units,
    /// The file with the credentials, and the agents' logins.
    Credentials,
    /// The agents' programs, versions and credentials.
    Agents,
    /// git and the repository.
    Git,
    /// The project's file, its settings, folders and disks.
    Project,
    /// The last errors of past runs.
    Runs,
    /// How the human is notified.
    Notices,
    /// Limits of the operating system, and the clock.
    Host,
}

impl Group {
    /// The heading for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Manager => "Service manager",
            Self::Units => "Units",
            Self::Credentials => "Credentials",
            Self::Agents => "Agents",
            Self::Git => "Git",
            Self::Project => "Project",
            Self::Runs => "Runs",
            Self::Notices => "Notices",
            Self::Host => "Host",
        }
    }
}

#[async_trait]
impl Perform for Examine {
    async fn perform(self, on: &Operation<'_>) -> Result<Examined> {
        let patient = Patient::of(on.caller).await?;
        let mut checks = patient.examine(&on.warnings).await;
        let (mut fixed, mut not_fixed) = (Vec::new(), Vec::new());
        if self.fix {
            for fix in checks.iter().filter_map(|check| check.fix.as_ref()) {
                match fix.apply(on.caller, patient.manager.as_deref().ok()).await {
                    Ok(()) => fixed.push(fix.to_string()),
                    Err(error) => {
                        let message = format!("cannot {fix}: {}", error.message);
                        not_fixed.push(on.caller.pasteable(Error { message, ..error }));
                    }
                }
            }
            if !fixed.is_empty() {
                checks = patient.examine(&on.warnings).await;
            }
        }
        Ok(Examined {
            healthy: !checks.iter().any(|check| check.status == Status::Broken),
            fixed,
            not_fixed,
            checks: checks.iter().map(|check| check.report(on.caller)).collect(),
        })
    }
}

/// The setup under examination: a user, a scope and, if there is one, a project.
struct Patient {
    /// The caller, with the environment of the user that sessions run as.
    caller: Caller,
    /// Whether agents would run as root.
    is_root: bool,
    dirs: Dirs,
    manager: Result<Box<dyn ServiceManager>, service::Error>,
    project: Result<Project, ProjectError>,
}

impl Patient {
    async fn of(caller: &Caller) -> Result<Self> {
        let mut caller = caller.clone();
        if let Some(run_as) = RunAs::choose(&caller, None, project_owner(&caller))? {
            run_as.lower()?;
            caller.env = run_as.environment(caller.env);
        }
        let project = Project::find_with(caller.config.as_deref(), &caller.cwd, &caller.env);
        let manager = {
            let _root = Raised::up()?;
            service::connect(caller.scope).await
        };
        let is_root = rustix::process::geteuid().is_root();
        Ok(Self { is_root, dirs: Dirs::user(&caller.env)?, caller, manager, project })
    }

    const fn env(&self) -> &Env {
        &self.caller.env
    }

    async fn examine(&self, warnings: &Warnings) -> Vec<Check> {
        let mut checks = manager::look(self).await;
        let project = self.project.as_ref().ok();
        let file = EnvFile::read(&self.dirs);
        let settings = Settings::load(&vocabulary(), project, self.env(), &Flags::default());
        match file {
            Ok(file) => {
                checks.extend(agents::env_file(self, &file));
                match settings {
                    Ok(settings) => {
                        checks.extend(agents::look(self, &settings, &file).await);
                        checks.extend(project::look(self, &settings).await);
                        checks.extend(host::notices(self, &settings, &file).await);
                        checks.extend(confine::look(&settings));
                    }
                    Err(error) => {
                        checks.extend(project::unreadable(self));
                        let check = Check::failed(Group::Project, error);
                        let skipped = "checks that depend on settings were skipped";
                        let remedy = match check.remedy {
                            Some(remedy) => format!("{remedy}; {skipped}"),
                            None => skipped.to_owned(),
                        };
                        checks.push(Check { remedy: Some(remedy), ..check });
                    }
                }
            }
            Err(error) => {
                checks.push(Check::failed(Group::Credentials, error));
                checks.extend(project::unreadable(self));
            }
        }
        checks.extend(project.map(|project| runs::look(project, warnings)).unwrap_or_default());
        checks.extend(host::look(self));
        // Group by heading, in order of first appearance.
        let order: Vec<Group> = checks.iter().map(|check| check.group).collect();
        order::by_key(&mut checks, |check| order.iter().position(|group| *group == check.group));
        checks
    }
}
