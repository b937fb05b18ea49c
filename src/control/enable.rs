//! Beginning a session, or resuming one, as a unit.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agent::doctor::{Exam, without_credentials};
use crate::agent::environment::importable;
use crate::agent::unseen::Unseen;
use crate::agent::{REGISTRY, vocabulary};
use crate::config::{Env, EnvFile, Flags};
use crate::git::{Plan, Start, WorktreePlan};
use crate::session::WaitsFor;
use crate::session::state::Word;

use super::context::{Caller, Context};
use super::error::Result;
use super::folders::FolderWatch;
use super::host::{Operation, Perform};
use super::install::{UnitFiles, check_agent, check_branch, check_user, planned};
use super::request::{Became, Work, resume_despite_stop};
use super::session::Session;
use super::target::Target;

/// Finds or creates a session, writes its unit, starts it now and at boot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Enable {
    /// As it was typed.
    pub session: String,
    /// What it is to do.
    pub work: Work,
    /// What is set for it.
    pub set: Overrides,
    /// Save the credentials found in the caller's environment.
    pub import_env: bool,
    /// In system scope: the user the session runs as.
    pub run_as: Option<String>,
}

/// Settings that a call overrides, in the syntax of `.samocode`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// `SAMOCODE_AGENT`: `claude`, `rehearsal`, `command:PROGRAM ARGS`.
    pub agent: Option<String>,
    /// `SAMOCODE_BUDGET_USD`: the most the session may spend, in US dollars.
    pub budget: Option<String>,
}

impl Overrides {
    pub(super) fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        if let Some(agent) = &self.agent {
            flags = flags.with("--agent", "SAMOCODE_AGENT", agent);
        }
        if let Some(budget) = &self.budget {
            flags = flags.with("--budget", "SAMOCODE_BUDGET_USD", budget);
        }
        flags
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enabled {
    /// The session's name.
    pub session: String,
    /// Its instance.
    pub instance: String,
    /// Full name of its unit.
    pub unit: String,
    /// Its folder.
    pub folder: PathBuf,
    /// What was done.
    pub became: Became,
    /// Whether the user's units outlive a logout; `None` where that cannot be told.
    pub lingering: Option<bool>,
    /// What a session that was there already waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// Its branch and where that begins, as far as can be told without a fetch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// That a session waits for a human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// What for: `qa_answers`, …
    #[serde(rename = "for")]
    pub waits_for: WaitsFor,
    /// Its state: it may also have been stopped while it waited.
    pub state: Word,
    /// The command that gives it.
    pub command: String,
}

impl Waits {
    /// What a session waits for, if no human has answered in its files.
    pub(super) fn of(caller: &Caller, session: &Session) -> Result<Option<Self>> {
        let hook = session.hook()?;
        let open = hook.waits_for.clone().filter(|_| !session.is_answered_by_hand());
        Ok(open.map(|waits_for| Self {
            command: caller.command(&waits_for.answer_command(&session.instance)),
            waits_for,
            state: hook.state,
        }))
    }
}

#[async_trait]
impl Perform for Enable {
    async fn perform(self, on: &Operation<'_>) -> Result<Enabled> {
        let (flags, run_as) = (self.set.flags(), self.run_as.as_deref());
        let target = Target::begin(on.caller, &on.warnings, &self.session, &flags, run_as)?;
        let Target { context, session } = &target;
        check_user(context)?;
        let manager = context.manager().await?;
        let unit = UnitFiles::new(context, session, &flags)?;
        check_agent(context, &unit.settings, &unit.env, session)?;
        check_branch(&context.project, &unit.settings, session)?;
        if self.import_env {
            import_env(context)?;
        }
        let became = resume_despite_stop(session, &self.work)?;
        unit.install(manager.as_ref(), on.progress).await?;
        unit.start(manager.as_ref(), on.progress).await?;
        let waits = if became == Became::Known { Waits::of(on.caller, session)? } else { None };
        let of_units = manager.environment().await?.into_iter().collect();
        warn_of_unseen(context, &of_units)?;
        warn_of_credentials(context, &unit, &of_units)?;
        tell_notes(context, session).await;
        Ok(Enabled {
            session: session.name.clone(),
            instance: session.instance.clone(),
            unit: crate::service::unit_name(&session.instance),
            folder: session.folder.path().to_owned(),
            became,
            lingering: manager.lingering().await.ok(),
            waits,
            branch: planned_branch(context, session),
        })
    }
}

fn import_env(context: &Context) -> Result<()> {
    let found = importable(&vocabulary(), &context.caller.env, &context.env_file()?);
    if found.is_empty() {
        context
            .warnings
            .add("there is nothing in this shell that the environment file does not have");
        return Ok(());
    }
    EnvFile::save(&context.dirs, &found)?;
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    let file = context.dirs.short(&context.dirs.env_file());
    context.warnings.add(format!("saved {} in {file}", names.join(", ")));
    Ok(())
}

/// A user's unit does not see the shell's variables.
fn warn_of_unseen(context: &Context, of_units: &Env) -> Result<()> {
    let file = context.env_file()?;
    let unseen = Unseen::of(&vocabulary(), &context.caller.env, of_units, &file);
    let env_file = context.dirs.short(&context.dirs.env_file());
    for difference in unseen.describe(&env_file, "--import-env") {
        context.warnings.add(format!("{}: {}", difference.what, difference.remedy));
    }
    Ok(())
}

/// How long a session's worktree may take before the caller is answered without it.
const PREPARATION: Duration = Duration::from_secs(5);

/// Reports what was not as it should be when the worktree was made, such as empty submodules. A
/// large checkout is not waited for: `status` shows it later.
pub(super) async fn tell_notes(context: &Context, session: &Session) {
    let is_prepared = || {
        let hook = session.hook().ok();
        hook.is_some_and(|hook| hook.worktree.is_some() || hook.state != Word::New)
    };
    if let Ok(watch) = FolderWatch::new(session.folder.path()) {
        let _ = tokio::time::timeout(PREPARATION, watch.until(is_prepared)).await;
    }
    let notes = session.hook().map(|hook| hook.notes).unwrap_or_default();
    notes.into_iter().for_each(|note| context.warnings.add(note));
}

/// Without credentials the first run is refused, and the session paused until somebody logs in.
fn warn_of_credentials(context: &Context, unit: &UnitFiles<'_>, of_units: &Env) -> Result<()> {
    let exam = Exam {
        registry: &REGISTRY,
        env: &unit.env,
        units: of_units,
        dirs: &context.dirs,
        file: &context.env_file()?,
        settings: &unit.settings,
        is_root: false,
        samocode: &context.caller.binary,
    };
    for finding in without_credentials(&exam) {
        context.warnings.add(format!("{}: {}", finding.what, finding.remedy));
    }
    Ok(())
}

fn planned_branch(context: &Context, session: &Session) -> Option<String> {
    match planned(&context.project, &context.settings, session).ok()? {
        Plan::Plain { .. } => None,
        Plan::Worktree(WorktreePlan { branch, start, .. }) => Some(match start {
            Start::New(base) => format!("branch {branch} from {} ({})", base.name, base.short),
            Start::Attach(base) => format!("branch {branch} ({})", base.short),
            Start::Orphan => format!("branch {branch}"),
        }),
    }
}
