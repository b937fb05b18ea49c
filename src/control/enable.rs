//! Starting or resuming a session as a unit.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agent::doctor::without_credentials;
use crate::agent::environment::importable;
use crate::agent::exam::Exam;
use crate::agent::unseen::Unseen;
use crate::agent::{REGISTRY, vocabulary};
use crate::config::{Env, EnvFile, Flags};
use crate::git::{Plan, Start, WorktreePlan};
use crate::session::WaitsFor;
use crate::session::state::StateName;

use super::below;
use super::context::{Caller, Context};
use super::convoy::{self, branch_below, check_turn};
use super::error::{Error, Result};
use super::folders::FolderWatch;
use super::install::{UnitFiles, check_agent, check_branch, check_user, planned};
use super::operation::{Operation, Perform};
use super::queue;
use super::request::{Became, Work, coordinate, resume_despite_stop};
use super::session::Session;
use super::target::Target;
use super::timer;

/// Finds or creates a session, writes its unit, and starts it now and at every boot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Enable {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// The task to work on.
    pub work: Work,
    /// Settings for this session only.
    pub set: Overrides,
    /// Save the credentials found in the caller's environment.
    pub import_env: bool,
    /// In system scope: the name of the user to run the session as.
    pub run_as: Option<String>,
}

/// Settings that a call overrides, with values as in `.samocode`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// `SAMOCODE_AGENT`: `claude`, `rehearsal` or `command:PROGRAM ARGS`.
    pub agent: Option<String>,
    /// `SAMOCODE_BUDGET_USD`: the most the session may spend, in US dollars.
    pub budget: Option<String>,
    /// `SAMOCODE_PRIORITY`: 0 to 9; queued sessions with the highest start first.
    pub priority: Option<String>,
}

impl Overrides {
    pub(super) fn flags(&self) -> Flags {
        let given = self.clone().each().map(|(flag, key, value)| (flag, key, value.take()));
        let given = given.into_iter().filter_map(|(flag, key, value)| Some((flag, key, value?)));
        given.fold(Flags::default(), |flags, (flag, key, value)| flags.with(flag, key, value))
    }

    /// Each value with its flag and its key.
    pub(super) fn each(&mut self) -> [(&'static str, &'static str, &mut Option<String>); 3] {
        [
            ("--agent", "SAMOCODE_AGENT", &mut self.agent),
            ("--budget", "SAMOCODE_BUDGET_USD", &mut self.budget),
            ("--priority", "SAMOCODE_PRIORITY", &mut self.priority),
        ]
    }
}

/// A session that was enabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enabled {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
    /// The full name of its unit.
    pub unit: String,
    /// The session's folder, absolute.
    pub folder: PathBuf,
    /// Whether it was created, resumed or running already.
    pub became: Became,
    /// Whether the user's units keep running after logout; `None` if unknown.
    pub lingering: Option<bool>,
    /// What an existing session is waiting for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// Whether it has begun; otherwise it waits for its time.
    #[serde(default = "yes")]
    pub has_begun: bool,
    /// When it begins, if not now, or again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<timer::Upcoming>,
    /// Its branch and the commit it starts from, as far as known without a fetch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// What a version that knew no timers says.
const fn yes() -> bool {
    true
}

/// What a session needs from a human before it can continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// What it is waiting for: `qa_answers`, …
    #[serde(rename = "for")]
    pub waits_for: WaitsFor,
    /// Its state: usually waiting, but it may have been stopped since.
    pub state: StateName,
    /// The command to reply with.
    pub command: String,
}

impl Waits {
    /// What a session is waiting for; `None` if a human has answered in its files.
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
        let Target { context, session } =
            Target::begin(on.caller, &on.warnings, &self.session, &flags, run_as)?;
        let mut work = self.work;
        if work.delegate.is_some() && on.caller.session().is_some() {
            return Err(Error::refused("only a human delegates the gates of sessions"));
        }
        let (session, parent) = below::place(on.caller, &context, session, work.parent.as_deref())?;
        let (context, session) = (&context, &session);
        work.parent = parent.as_ref().map(|parent| parent.instance.clone());
        check_user(context)?;
        let manager = context.manager().await?;
        let unit = UnitFiles::new(context, session, &flags)?;
        check_agent(context, &unit.settings, &unit.env, session)?;
        check_branch(&context.project, &unit.settings, session)?;
        if self.import_env {
            import_env(context)?;
        }
        let is_new = !session.exists();
        if is_new {
            timer::forget_before_beginning(session)?;
        } else {
            below::check(context, session)?;
        }
        let mut upcoming = None;
        let became = if work.at.is_some() || work.every.is_some() {
            upcoming = Some(timer::set(on, context, session, &unit, (&work, &self.set)).await?);
            if is_new { Became::Created } else { Became::Known }
        } else if work.after.is_empty() && work.convoy.is_none() {
            if is_new {
                let above = session.folder.above();
                branch_below(context, &session.name, above.as_ref()).await?;
            } else {
                check_turn(context, session)?;
            }
            let became = resume_despite_stop(session, &work)?;
            coordinate(session, &work)?;
            unit.install(manager.as_ref(), on.progress).await?;
            unit.start(manager.as_ref(), on.progress).await?;
            timer::forget_single(context, session).await?;
            became
        } else {
            convoy::join(on, context, session, &work, &self.set).await?;
            if is_new { Became::Created } else { Became::Known }
        };
        // The limit may have been raised since others were queued.
        queue::look(context);
        let waits = if became == Became::Known { Waits::of(on.caller, session)? } else { None };
        let of_units = manager.environment().await?.into_iter().collect();
        warn_of_unseen(context, &of_units)?;
        warn_of_credentials(context, &unit, &of_units)?;
        if upcoming.is_none() {
            tell_notes(context, session).await;
        }
        Ok(Enabled {
            session: session.name.clone(),
            instance: session.instance.clone(),
            unit: crate::service::unit_name(&session.instance),
            folder: session.folder.path().to_owned(),
            became,
            lingering: manager.lingering().await.ok(),
            waits,
            has_begun: match &upcoming {
                Some(upcoming) => upcoming.latest.as_ref() == Some(&session.name),
                None => true,
            },
            timer: upcoming.or_else(|| timer::of(session)),
            branch: planned_branch(context, session),
        })
    }
}

fn import_env(context: &Context) -> Result<()> {
    let found = importable(&vocabulary(), &context.caller.env, &context.env_file()?);
    if found.is_empty() {
        context
            .warnings
            .add("nothing to import: the environment file already has this shell's credentials");
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

/// How long to wait for the session's worktree before replying without it.
const PREPARATION: Duration = Duration::from_secs(5);

/// Reports problems found while making the worktree, such as empty submodules. Does not wait for a
/// large checkout to finish: `status` shows its problems later.
pub(super) async fn tell_notes(context: &Context, session: &Session) {
    let is_prepared = || {
        let hook = session.hook().ok();
        hook.is_some_and(|hook| hook.worktree.is_some() || hook.state != StateName::New)
    };
    if let Ok(watch) = FolderWatch::session(&session.folder) {
        let _ = tokio::time::timeout(PREPARATION, watch.until(is_prepared)).await;
    }
    let notes = session.hook().map(|hook| hook.notes).unwrap_or_default();
    notes.into_iter().for_each(|note| context.warnings.add(note));
}

/// Without credentials the first run is refused, and the session paused until someone logs in.
fn warn_of_credentials(context: &Context, unit: &UnitFiles<'_>, of_units: &Env) -> Result<()> {
    let exam = Exam {
        env: &unit.env,
        units: of_units,
        dirs: &context.dirs,
        file: &context.env_file()?,
        settings: &unit.settings,
        is_root: false,
        folders: std::slice::from_ref(&context.project.main_repo),
        // doctor tells of what they share.
        sessions: 0,
        samocode: &context.caller.binary,
    };
    for finding in without_credentials(&REGISTRY, &exam) {
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
