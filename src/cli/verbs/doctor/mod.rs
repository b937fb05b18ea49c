//! `samocode doctor`: what is wrong, and how to mend it.
//!
//! ```text
//! check      one thing that was looked at
//! manager    service manager, lingering, journald, units
//! agents     programs, versions, credentials, the env file
//! project    git, folders, disk
//! host       cgroups, inotify, notices, clock
//! ```

mod agents;
mod check;
mod host;
mod manager;
mod project;

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::agent::vocabulary;
use crate::config::{Dirs, Env, EnvFile, Error as ProjectError, Flags, Project, Settings};
use crate::control::privilege::{Raised, RunAs};
use crate::service::{self, Scope, ServiceManager};

use super::{Common, failure, output};
use check::{Check, Status};

/// Look for what would keep sessions from working, and say how to mend it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode doctor\n  samocode doctor --fix    mends what it can: lingering, units, folders, permissions\n\nA line each: ✓ fine, ! worth a look, ✗ broken. Exit code 0 when nothing is broken, else 1. Uses no\nnetwork."
)]
pub(in crate::cli) struct Doctor {
    /// Mend what can be mended without a question
    #[arg(long)]
    fix: bool,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let patient = Patient::meet(common).await?;
        let mut checks = patient.examine().await;
        let mut mended = Vec::new();
        if self.fix {
            for check in &checks {
                let Some(fix) = &check.fix else { continue };
                match fix.apply(patient.manager.as_deref().ok()).await {
                    Ok(()) => mended.push(fix.to_string()),
                    Err(error) => output::error(&format!(
                        "cannot mend ({fix}): {}",
                        failure::one_line(&error)
                    )),
                }
            }
            if !mended.is_empty() {
                checks = patient.examine().await;
            }
        }
        let broken = checks.iter().filter(|check| check.status == Status::Broken).count();
        let shown = if self.json {
            output::json(&json!({ "healthy": broken == 0, "mended": mended, "checks": checks }))
        } else {
            print(&checks, &mended, broken, self.fix)
        };
        let verdict = if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        output::until_closed(shown.map(|()| verdict))
    }
}

fn print(checks: &[Check], mended: &[String], broken: usize, fixing: bool) -> anyhow::Result<()> {
    for done in mended {
        output::line(format!("Mended: {done}."))?;
    }
    let mut group = "";
    for check in checks {
        if check.group != group {
            group = check.group;
            output::line(output::painted(output::BOLD, group))?;
        }
        output::line(format!("  {check}"))?;
    }
    let fixable = checks.iter().filter(|check| check.fix.is_some()).count();
    let worth = checks.iter().filter(|check| check.status == Status::Note).count();
    let mut verdict = match (broken, worth) {
        (0, 0) => "All is well.".to_owned(),
        (0, worth) => format!("Nothing is broken; {worth} worth a look."),
        (broken, _) => format!("{broken} broken."),
    };
    if fixable > 0 && !fixing {
        verdict.push_str(&format!(" samocode doctor --fix mends {fixable} of these."));
    }
    output::line(verdict)
}

/// What is looked at.
struct Patient {
    scope: Scope,
    /// Whether agents would run as root.
    is_root: bool,
    env: Env,
    dirs: Dirs,
    manager: Result<Box<dyn ServiceManager>, service::Error>,
    project: Result<Project, ProjectError>,
}

impl Patient {
    async fn meet(common: &Common) -> anyhow::Result<Self> {
        let scope = common.scope();
        let caller = common.caller()?;
        let mut env = caller.env.clone();
        if let Some(run_as) = RunAs::choose(&caller, None, None)? {
            run_as.lower()?;
            env = run_as.environment(env);
        }
        let project = Project::find_with(common.config.as_deref(), &caller.cwd, &env);
        let manager = {
            let _root = Raised::up()?;
            service::connect(scope).await
        };
        let is_root = rustix::process::geteuid().is_root();
        Ok(Self { scope, is_root, dirs: Dirs::user(&env)?, env, manager, project })
    }

    async fn examine(&self) -> Vec<Check> {
        let mut checks = manager::look(self).await;
        let project = self.project.as_ref().ok();
        let file = EnvFile::read(&self.dirs);
        let settings = Settings::load(&vocabulary(), project, &self.env, &Flags::default());
        checks.extend(agents::env_file(self, &file));
        match (&settings, &file) {
            (Ok(settings), Ok(file)) => {
                checks.extend(agents::look(self, settings, file).await);
                checks.extend(project::look(self, settings).await);
                checks.extend(host::notices(self, settings, file));
            }
            (Err(error), Ok(_)) => {
                checks.extend(project::unreadable(self));
                checks.push(Check::broken(
                    "Project",
                    error.to_string(),
                    "what depends on the settings was left out",
                ));
            }
            (_, Err(_)) => checks.extend(project::unreadable(self)),
        }
        checks.extend(host::look(self));
        // Each heading once, where it came first.
        let order: Vec<&str> = checks.iter().map(|check| check.group).collect();
        checks.sort_by_key(|check| order.iter().position(|group| *group == check.group));
        checks
    }
}
