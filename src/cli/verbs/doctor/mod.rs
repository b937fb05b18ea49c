//! `samocode doctor`: finds what is broken and how to fix it.
//!
//! ```text
//! check      one check and its result
//! manager    service manager, lingering, journald, units
//! agents     programs, versions, credentials, the env file
//! project    git, folders, disk
//! host       cgroups, inotify, notices, clock
//! ```

mod agents;
mod check;
mod confine;
mod host;
mod manager;
mod project;

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::agent::vocabulary;
use crate::config::{Dirs, Env, EnvFile, Error as ProjectError, Flags, Project, Settings};
use crate::control::context::project_owner;
use crate::control::privilege::{Raised, RunAs};
use crate::service::{self, Scope, ServiceManager};

use super::{Common, failure, layout, output, pager};
use check::{Check, Status};

/// Find problems that keep sessions from working, and how to fix them
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode doctor\n  samocode doctor --fix    fix what it can: lingering, units, folders, permissions\n\nOne line per check: ✓ fine, ! worth a look, ✗ broken. Exit code 0 when nothing is broken, else 1. Does not\nuse the network."
)]
pub(in crate::cli) struct Doctor {
    /// Fix what can be fixed without asking
    #[arg(long)]
    fix: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let patient = Patient::meet(common).await?;
        let look = async || -> Vec<Check> {
            let checks = patient.examine().await.into_iter();
            checks.map(|check| check.pasteable(common)).collect()
        };
        let mut checks = look().await;
        let mut fixed = Vec::new();
        if self.fix {
            for check in &checks {
                let Some(fix) = &check.fix else { continue };
                match fix.apply(patient.manager.as_deref().ok()).await {
                    Ok(()) => fixed.push(fix.to_string()),
                    Err(error) => {
                        output::error(&format!("cannot {fix}: {}", failure::one_line(&error)))
                    }
                }
            }
            if !fixed.is_empty() {
                checks = look().await;
            }
        }
        let broken = checks.iter().filter(|check| check.status == Status::Broken).count();
        let _paged = pager::paged(!self.json);
        let shown = if self.json {
            output::json(&json!({ "healthy": broken == 0, "fixed": fixed, "checks": checks }))
        } else {
            let fix = common.command("samocode doctor --fix");
            print(&checks, &fixed, broken, &fix, self.fix)
        };
        let verdict = if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        output::until_closed(shown.map(|()| verdict))
    }
}

fn print(
    checks: &[Check],
    fixed: &[String],
    broken: usize,
    fix: &str,
    fixing: bool,
) -> anyhow::Result<()> {
    for done in fixed {
        output::line(format!("Fixed: {done}."))?;
    }
    let mut group = "";
    for check in checks {
        if check.group != group {
            group = check.group;
            output::line(output::painted(output::BOLD, group))?;
        }
        for line in layout::wrap(&check.to_string(), "  ", "    ", output::width()) {
            output::line(line)?;
        }
    }
    let fixable = checks.iter().filter(|check| check.fix.is_some()).count();
    let worth = checks.iter().filter(|check| check.status == Status::Note).count();
    let mut verdict = match (broken, worth) {
        (0, 0) => "All is well.".to_owned(),
        (0, worth) => format!("Nothing is broken; {worth} worth a look."),
        (broken, _) => format!("{broken} broken."),
    };
    if fixable > 0 && !fixing {
        verdict.push_str(&format!(" {fix} fixes {fixable} of these."));
    }
    output::line(verdict)
}

/// The setup under examination: a user, a scope and, if there is one, a project.
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
        if let Some(run_as) = RunAs::choose(&caller, None, project_owner(&caller))? {
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
                checks.extend(host::notices(self, settings, file).await);
                checks.extend(confine::look(settings));
            }
            (Err(error), Ok(_)) => {
                checks.extend(project::unreadable(self));
                checks.push(Check::broken(
                    "Project",
                    error.to_string(),
                    "checks that depend on settings were skipped",
                ));
            }
            (_, Err(_)) => checks.extend(project::unreadable(self)),
        }
        checks.extend(host::look(self));
        // Group by heading, in order of first appearance.
        let order: Vec<&str> = checks.iter().map(|check| check.group).collect();
        checks.sort_by_key(|check| order.iter().position(|group| *group == check.group));
        checks
    }
}
