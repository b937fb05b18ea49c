//! `samocode demo`: runs a sample project through all eight phases and both gates.

mod place;
mod sample;
mod story;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::agent::vocabulary;
use crate::config::init::{InitOptions, init};
use crate::config::{Dirs, Env, Flags, Project, keys};
use crate::control::context::{Context, Warnings};
use crate::control::install::UnitFiles;
use crate::control::request::{Durable, Work, begin_or_resume};
use crate::control::session::Session;
use crate::control::{Answer, Caller, Error, run, target};
use crate::service::{self, Scope, ServiceManager, quiet};
use crate::session::state::StateName;

use super::failure::{self, Coded};
use super::format::count;
use super::run::INTERRUPTED;
use super::{Common, front, output};
use place::Place;
use story::Story;

/// Watch a sample session run from task to finished branch, with the built-in agent
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode demo             in ~/.cache/samocode/demo; replaces an earlier demo there\n  samocode demo --remove    remove its unit and files\n\nCosts nothing and touches none of your files. Exit code 0 when the session is done and its branch\nmerges cleanly."
)]
pub(in crate::cli) struct Demo {
    /// A new or empty folder for the sample project
    dir: Option<PathBuf>,
    /// Run in the foreground even where there is a service manager
    #[arg(long)]
    foreground: bool,
    /// Remove the demo's unit and files
    #[arg(long, conflicts_with = "foreground")]
    remove: bool,
}

/// The name of the demo's one session.
const SESSION: &str = "demo";
const TASK: &str = "Greet whoever comes into the shop";
const DIVE: &str = "what the shop can do today";

impl Demo {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        if common.system || common.config.is_some() {
            return Err(Error::usage("the demo makes its own project and runs as you")
                .hint("leave out --system and --config")
                .into());
        }
        let caller = common.caller()?;
        let caller = Caller { env: without_settings(caller.env), ..caller };
        let dirs = Dirs::user(&caller.env)?;
        let folder = match &self.dir {
            Some(dir) => std::path::absolute(dir).context("cannot tell the current folder")?,
            None => dirs.cache.join("demo"),
        };
        let manager = manager(self.foreground).await?;
        if self.remove && Place::is_free(&folder) {
            outln!("There is no demo in {}.", dirs.short(&folder));
            return Ok(ExitCode::SUCCESS);
        }
        let place = Place::claim(&folder)?;
        place.clear(manager.as_deref()).await?;
        if self.remove {
            place.remove()?;
            outln!("Removed the demo in {}.", dirs.short(&folder));
            return Ok(ExitCode::SUCCESS);
        }
        let repository = sample::make(place.root())?;
        let project = project(&repository, &dirs)?;
        let warnings = Warnings::default();
        let result = Context::of_project(caller, &warnings, project, &Flags::default());
        let context = front::accept(Answer { result, warnings: warnings.take() })?;
        let session = target::resolve(&context, SESSION)?;
        let show = Show { context: &context, session: &session, repository: &repository };
        show.begin(manager.is_some());
        let work =
            Work { task: Some(TASK.to_owned()), dive: Some(DIVE.to_owned()), ..Work::default() };
        begin_or_resume(&session, &work, Durable::Now)?;
        let played = match manager.as_deref() {
            Some(manager) => show.as_unit(manager).await,
            None => show.in_foreground().await,
        };
        match played {
            Ok(()) => show.end(manager.is_some()),
            Err(error) => {
                let (error, code) = failure::with_exit_code(error);
                let error = Error { message: error.in_one_line(), ..error };
                Err(Coded(code, error.hint(show.remedy(self.dir.as_deref()))).into())
            }
        }
    }
}

/// The user's service manager where there is one.
async fn manager(foreground: bool) -> anyhow::Result<Option<Box<dyn ServiceManager>>> {
    if foreground {
        return Ok(None);
    }
    match service::connect(Scope::User).await {
        Ok(manager) => Ok(Some(manager)),
        Err(service::Error::NoManager { .. } | service::Error::TooOld { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Drops settings in the shell: they are for the user's own projects, not for the sample.
fn without_settings(mut env: Env) -> Env {
    vocabulary().names().for_each(|name| env.remove(&name));
    env
}

/// Makes the sample a project that uses the built-in agent in every phase, whatever the user's own
/// settings are.
fn project(repository: &Path, dirs: &Dirs) -> anyhow::Result<Project> {
    let report = init(repository, dirs, &InitOptions::default())?;
    let config = report.project.config;
    let mut text = std::fs::read_to_string(&config)
        .with_context(|| format!("cannot read {}", config.display()))?;
    let agent = keys::KEYS.iter().find(|key| key.name == "SAMOCODE_AGENT");
    for name in agent.map(keys::names).unwrap_or_default() {
        text.push_str(&format!("{name}=rehearsal\n"));
    }
    std::fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    Ok(Project::read(&config, Some(&dirs.home))?)
}

struct Show<'a> {
    context: &'a Context,
    session: &'a Session,
    repository: &'a Path,
}

impl Show<'_> {
    fn short(&self, path: &Path) -> String {
        self.context.dirs.short(path)
    }

    fn begin(&self, has_manager: bool) {
        let how = if has_manager {
            format!("as {}", crate::service::unit_name(&self.session.instance))
        } else {
            "in the foreground".to_owned()
        };
        outln!(
            "Starting a session {how} in a sample project, {}, with the built-in agent. You would type:",
            self.short(self.repository)
        );
        let verb = if has_manager { "enable" } else { "run" };
        typed(&format!("cd {}", self.short(self.repository)));
        typed("samocode init");
        typed(&format!("samocode {verb} {} --task \"{TASK}\"", self.session.instance));
    }

    /// Runs the session as a unit, independent of us, and follows it.
    async fn as_unit(&self, manager: &dyn ServiceManager) -> anyhow::Result<()> {
        let unit = UnitFiles::new(self.context, self.session, &Flags::default())?;
        unit.install(manager, &output::note).await?;
        unit.start(manager, &output::note).await?;
        let mut story = Story::new(self.context, self.session, true);
        tokio::select! {
            ended = story.follow(Some(manager)) => ended,
            _ = tokio::signal::ctrl_c() => {
                let error = Error::refused("interrupted; the session keeps running");
                Err(Coded(INTERRUPTED, error).into())
            }
        }
    }

    /// In the foreground, where a waiting session has no process until it is answered.
    async fn in_foreground(&self) -> anyhow::Result<()> {
        let mut story = Story::new(self.context, self.session, false);
        let flags = Flags::default();
        loop {
            // There is no unit to query, so the worker's end is what ends this.
            tokio::select! {
                ended = run::work(self.context, self.session, &flags, &quiet) => {
                    ended?;
                }
                ended = story.watch() => ended?,
            }
            let state = story.tell_new()?;
            let word = state.name();
            match word {
                StateName::Done => return Ok(()),
                StateName::Waiting => story.answer(&state)?,
                StateName::Running | StateName::New | StateName::Paused | StateName::Stopped => {
                    let error = Error::refused(format!("interrupted; the session is {word}"));
                    return Err(Coded(INTERRUPTED, error).into());
                }
                _ => bail!("the session is {word}"),
            }
        }
    }

    /// Shows the result, with the commands a person would use.
    fn end(&self, has_manager: bool) -> anyhow::Result<ExitCode> {
        let config = &self.context.project.config;
        typed("samocode status");
        let shown = std::process::Command::new(&self.context.caller.binary)
            .arg("--config")
            .arg(config)
            .arg("status")
            .env_clear()
            .envs(&self.context.caller.env)
            .status()
            .context("cannot run samocode status")?;
        if !shown.success() {
            bail!("samocode status failed ({shown})");
        }
        let branch = self.session.hook()?.branch.context("the session made no branch")?;
        typed(&format!("git log --oneline main..{branch}"));
        let commits = sample::commits(self.repository, &branch)?;
        for commit in &commits {
            outln!("{commit}");
        }
        if commits.is_empty() {
            bail!("the branch {branch} has no commits");
        }
        if !sample::merges(self.repository, &branch)? {
            bail!("the branch {branch} does not merge into main");
        }
        let name = &self.session.instance;
        let state = self.session.state()?.name();
        outln!(
            "\n{} The session is {state}; branch {branch} has {} and merges cleanly into main.",
            output::painted(output::state_style(state), "✓"),
            count(commits.len(), "commit", "commits")
        );
        outln!("Look at it:\n  cd {}", self.short(self.repository));
        outln!("  git log -p main..{branch}");
        outln!("  ls {}", self.short(self.session.folder.path()));
        if has_manager && crate::service::launchd::is_used() {
            outln!("  samocode logs {name}");
        } else if has_manager {
            let unit = crate::service::unit_name(name);
            outln!("  systemctl --user status {unit}");
            outln!("  journalctl --user SAMOCODE_SESSION={name}");
        }
        outln!("Merge it:      git merge {branch}");
        let dir = self.context.dirs.cache.join("demo");
        let dir = self.place().filter(|place| **place != dir).map(|place| self.short(place));
        let dir = dir.map_or_else(String::new, |dir| format!(" {dir}"));
        outln!("Remove it:     samocode demo --remove{dir}");
        Ok(ExitCode::SUCCESS)
    }

    fn place(&self) -> Option<&Path> {
        self.repository.parent()
    }

    /// The hint for a demo that failed.
    fn remedy(&self, dir: Option<&Path>) -> String {
        let dir = dir.map_or_else(String::new, |dir| format!(" {}", self.short(dir)));
        format!(
            "look at it with: cd {}; samocode status; remove it with: samocode demo --remove{dir}",
            self.short(self.repository)
        )
    }
}

fn typed(command: &str) {
    outln!("{} {}", output::painted(output::DIM, "$"), output::painted(output::BOLD, command));
}
