//! `samocode enable`: finds or creates the session, writes its unit, starts it now and at boot.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::config::agent_path::find_agent;
use crate::config::environment::{importable, recorded, secrets_in_shell};
use crate::config::{Env, EnvFile, Flags, Project, Settings};
use crate::git::{self, Plan, Start, WorktreePlan};
use crate::service::{self, Limits, Scope, ServiceManager, Shared};
use crate::session::Phase;
use crate::session::store::crash_point;

use super::context::{Context, Usage, own_binary};
use super::privilege::Raised;
use super::request::{Became, Request, ask_to_go_on};
use super::sessions::{self, Session};
use super::{Common, by_hand, output};

/// Begin a session, or go on with one: start it now and at boot
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode enable jwt-login --task \"JWT login with httpOnly cookies\"\n  samocode enable jwt-login --task \"…\" --dive \"how sessions work today\" --budget 20\n  samocode enable jwt-login                      go on with it\n  sudo samocode enable --system --run-as dev jwt-login --task \"…\""
)]
pub(super) struct Enable {
    /// A name, a dated folder name, or an instance
    session: String,
    #[command(flatten)]
    work: Work,
    /// Save the credentials found in this shell to ~/.config/samocode/env
    #[arg(long)]
    import_env: bool,
    /// With --system: the user the session runs as; else who called sudo
    #[arg(long, value_name = "USER")]
    run_as: Option<String>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// What a session is asked for, by `enable` and by `run`.
#[derive(Debug, Clone, Args)]
pub(super) struct Work {
    /// What is to be done; a finished session goes on with a new one
    #[arg(long, value_name = "TEXT")]
    task: Option<String>,
    /// What the investigation should begin with
    #[arg(long, value_name = "TEXT")]
    dive: Option<String>,
    /// claude, rehearsal, or command:PROGRAM ARGS
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// The most the session may spend, in US dollars
    #[arg(long, value_name = "USD")]
    budget: Option<String>,
}

impl Work {
    /// What the flags set.
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

    /// What is asked of the session.
    pub(super) fn request(&self) -> Request {
        Request { task: self.task.clone(), dive: self.dive.clone() }
    }
}

impl Enable {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let flags = self.work.flags();
        let owner = sessions::owner(common, &self.session);
        let context = Context::load_owned(common, &flags, self.run_as.as_deref(), owner)?;
        check_user(&context)?;
        let session = sessions::resolve(&context, &self.session)?;
        let manager = context.manager().await?;
        let unit = Unit::new(&context, &session, &flags)?;
        check_agent(&unit.settings, &unit.env, &session)?;
        check_branch(&context.project, &unit.settings, &session)?;
        if self.import_env {
            import_env(&context)?;
        }
        let became = ask_to_go_on(&session, &self.work.request())?;
        unit.install(manager.as_ref()).await?;
        unit.start(manager.as_ref()).await?;
        let lingers = lingers(manager.as_ref()).await;
        if self.json {
            output::json(&serde_json::json!({
                "session": session.name,
                "instance": session.instance,
                "unit": crate::service::unit_name(&session.instance),
                "folder": session.folder.path(),
                "became": format!("{became:?}").to_lowercase(),
                "lingering": lingers,
            }))?;
        } else {
            tell(&context, &session, became);
            offer_linger(manager.as_ref(), lingers).await;
        }
        warn_of_secrets(&context)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// In system scope a unit without a user would run the session as root.
fn check_user(context: &Context) -> Result<(), Usage> {
    if context.common.scope() == Scope::System && context.run_as.is_none() {
        return Err(Usage(
            "--system needs the user that the session runs as: sudo samocode enable --system --run-as USER …"
                .to_owned(),
        ));
    }
    Ok(())
}

/// The agent has to be found and willing before anything is made; a worker that cannot start helps nobody.
pub(super) fn check_agent(settings: &Settings, env: &Env, session: &Session) -> anyhow::Result<()> {
    let phase = session.hook().map_or(Phase::Investigation, |hook| hook.phase);
    let agent = settings.agent(phase);
    let found = find_agent(settings, agent, env)?;
    let programs = crate::agent::Programs {
        claude: found.map_or_else(|| "claude".into(), |found| found.path),
        samocode: own_binary()?,
    };
    let environment: crate::agent::Environment = env.clone().into_iter().collect();
    let is_root = rustix::process::geteuid().is_root();
    crate::agent::choose(&agent.to_string(), &programs)?.ready(is_root, &environment)?;
    Ok(())
}

/// A name that git does not take as a branch is refused before a session is made of it.
pub(super) fn check_branch(
    project: &Project,
    settings: &Settings,
    session: &Session,
) -> Result<(), Usage> {
    if session.exists() {
        return Ok(());
    }
    match planned(project, settings, session) {
        Err(error) if error.is_about_name() => Err(Usage(error.to_string())),
        _ => Ok(()),
    }
}

fn planned(project: &Project, settings: &Settings, session: &Session) -> Result<Plan, git::Error> {
    let branch = settings.branch_of(&session.name);
    let path = project.worktrees.join(session.folder.name());
    git::plan(&project.main_repo, &branch, &path)
}

fn import_env(context: &Context) -> anyhow::Result<()> {
    let found = importable(&context.env, &context.env_file()?);
    if found.is_empty() {
        output::note("there is nothing in this shell that the environment file does not have");
        return Ok(());
    }
    EnvFile::save(&context.dirs, &found)?;
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    output::note(&format!(
        "saved {} in {}",
        names.join(", "),
        context.dirs.short(&context.dirs.env_file())
    ));
    Ok(())
}

/// A user's unit does not see the shell's variables.
fn warn_of_secrets(context: &Context) -> anyhow::Result<()> {
    let secrets = secrets_in_shell(&context.env, &context.env_file()?);
    if !secrets.is_empty() {
        let (are, them) = if secrets.len() == 1 { ("is", "it") } else { ("are", "them") };
        output::note(&format!(
            "{} {are} set in this shell only, and units do not see {them}: save {them} in {} with --import-env",
            secrets.join(", "),
            context.dirs.short(&context.dirs.env_file())
        ));
    }
    Ok(())
}

/// The unit of a session.
pub(super) struct Unit<'a> {
    context: &'a Context,
    session: &'a Session,
    /// What the drop-in records.
    environment: Vec<(String, String)>,
    /// The environment as the worker will see it, as far as settings go.
    pub(super) env: Env,
    /// What is set for the worker.
    pub(super) settings: Settings,
}

impl<'a> Unit<'a> {
    /// The unit as it will be: PATH and the settings of this shell and its flags count; what an
    /// earlier `enable` recorded and this one does not say stays.
    pub(super) fn new(
        context: &'a Context,
        session: &'a Session,
        flags: &Flags,
    ) -> anyhow::Result<Self> {
        context.project.check_places()?;
        let cwd = std::env::current_dir().context("cannot tell the current folder")?;
        let mut environment = recorded(&flags.over(&context.env), &cwd);
        let before = service::recorded(context.common.scope(), &session.instance)?;
        let uid = context.run_as.as_ref().map(super::privilege::RunAs::uid);
        if let Some(before) = before.as_ref().and_then(|before| before.uid)
            && Some(before) != uid
        {
            return Err(Usage(format!(
                "session '{}' runs as the user with id {before}, and its files are theirs: name it in a command of its own, without another --run-as",
                session.instance
            ))
            .into());
        }
        for (name, value) in before.map(|before| before.environment).unwrap_or_default() {
            if !environment.iter().any(|(known, _)| *known == name) {
                environment.push((name, value));
            }
        }
        let mut env = context.env.clone();
        env.extend(environment.iter().cloned());
        let settings = Settings::load(Some(&context.project), &env, &Flags::default())?;
        Ok(Self { context, session, environment, env, settings })
    }

    /// The unit of a session that was moved: all that was recorded stays, but for where it is.
    pub(super) fn moved(
        context: &'a Context,
        session: &'a Session,
        recorded: service::Recorded,
    ) -> anyhow::Result<Self> {
        let mut env = context.env.clone();
        env.extend(recorded.environment.iter().cloned());
        let settings = Settings::load(Some(&context.project), &env, &Flags::default())?;
        Ok(Self { context, session, environment: recorded.environment, env, settings })
    }

    /// Writes the unit files, has the waker watch, and the session started at boot.
    pub(super) async fn install(&self, manager: &dyn ServiceManager) -> anyhow::Result<()> {
        let context = self.context;
        check_user(context)?;
        let scope = context.common.scope();
        let spool = context.spool()?;
        let binary = own_binary()?;
        let shared = Shared { binary: &binary, spool: spool.dir() };
        let settings = &self.settings;
        let limits = Limits {
            tasks_max: Some(settings.tasks_max.clone()),
            cpu_weight: Some(settings.cpu_weight.clone()),
            ..Limits::default()
        }
        .with_memory(&settings.memory_max);
        let session = service::Session {
            instance: self.session.instance.clone(),
            project: context.dirs.short(&context.project.root),
            config: context.project.config.clone(),
            folder: self.session.folder.path().to_owned(),
            spool: spool.dir().to_owned(),
            environment: self.environment.clone(),
            uid: context.run_as.as_ref().map(super::privilege::RunAs::uid),
            limits,
            convoy: None,
        };
        let _root = Raised::up()?;
        let before = service::recorded(scope, &self.session.instance)?;
        if before.is_some_and(|before| before.folder != self.session.folder.path()) {
            // What still runs there works on a folder that is gone.
            manager.stop(&self.session.instance, &|line| output::note(line)).await?;
        }
        spool.create(scope)?;
        manager.install(shared, Some(&session)).await?;
        crash_point("the unit is installed");
        manager.watch_spool().await?;
        crash_point("the waker watches");
        manager.enable(&self.session.instance).await?;
        crash_point("the unit is enabled");
        Ok(())
    }

    /// Starts the unit and waits until the manager says that it is up.
    pub(super) async fn start(&self, manager: &dyn ServiceManager) -> anyhow::Result<()> {
        let instance = &self.session.instance;
        manager.reset_failed(instance).await?;
        crash_point("the unit is to be started");
        manager.start(instance, &|line| output::note(line)).await?;
        crash_point("the unit is started");
        Ok(())
    }
}

fn tell(context: &Context, session: &Session, became: Became) {
    let bold = output::BOLD;
    let name = output::painted(bold, &session.name);
    let unit = crate::service::unit_name(&session.instance);
    let how = match became {
        Became::Created => format!("started as {unit}"),
        Became::Resumed => format!("resumed with a new task as {unit}"),
        Became::Revived => format!("goes on as {unit}"),
        Became::Known => match known_state(session) {
            Some(state) => format!("enabled as {unit}, {state}"),
            None => format!("enabled as {unit}"),
        },
        Became::Running => format!("is running already as {unit}"),
    };
    let branch =
        planned_branch(context, session).map_or_else(String::new, |text| format!("   {text}"));
    say!("{name}   {how}{branch}");
    let pad = " ".repeat(session.name.len());
    let instance = &session.instance;
    say!("{pad}   logs: samocode logs -f {instance}      stop: samocode stop {instance}");
}

/// What a session that was there already waits for.
fn known_state(session: &Session) -> Option<String> {
    let hook = session.folder.read_hook()?;
    let waits_for = hook.waits_for.clone().filter(|_| !by_hand::is_answered(session, &hook))?;
    let command = waits_for.answer_command(&session.instance);
    Some(format!("{} for {waits_for}: {command}", hook.state))
}

/// The branch and where it begins, as far as can be told without a fetch.
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

async fn lingers(manager: &dyn ServiceManager) -> Option<bool> {
    manager.lingering().await.ok()
}

/// A user's units end at logout unless lingering is on.
async fn offer_linger(manager: &dyn ServiceManager, lingers: Option<bool>) {
    if lingers != Some(false) {
        return;
    }
    if !output::is_interactive() {
        output::note(
            "your units stop when you log out. Keep them running with: samocode doctor --fix",
        );
        return;
    }
    say_on!("Your units stop when you log out. Keep them running (turns lingering on)? [Y/n] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_err() || !matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes") {
        return;
    }
    match manager.enable_linger().await {
        Ok(()) => say!("Lingering is on."),
        Err(error) => output::note(&format!("lingering stays off: {error}")),
    }
}
