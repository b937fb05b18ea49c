//! Creating a convoy: its file, then its sessions, then their units; then the first of them start.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agent::vocabulary;
use crate::config::{Settings, values};
use crate::control::context::Context;
use crate::control::enable::Overrides;
use crate::control::error::{Error, Result};
use crate::control::install::{UnitFiles, check_agent, check_branch, check_user};
use crate::control::operation::{Operation, Perform};
use crate::control::privilege::Raised;
use crate::control::request::{self, Durable, Work, begin_or_resume};
use crate::control::session::Session;
use crate::control::target;
use crate::service::{self, Limits, Shared, quoted};
use crate::session::event::Held;
use crate::session::state::StateName;
use crate::session::store::crash_point;

use super::advance::advance;
use super::files::{self, Files, convoy_of};
use super::plan::{Plan, Share};
use super::written::{Planned, from_toml};
use super::{Standing, members, no_agents};

/// Creates a convoy, or adds sessions to one. Sessions that do not exist are created, and start when
/// those before them are done; the others stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Create {
    /// Its id; may be left out if the file has it.
    pub id: Option<String>,
    /// Sessions that exist, as typed.
    pub sessions: Vec<String>,
    /// More sessions: each with its task and what it comes after.
    pub planned: Vec<Planned>,
    /// The text of a file that describes it, in TOML, instead of sessions.
    pub toml: Option<String>,
    /// What all of them together may cost, in US dollars.
    pub budget: Option<f64>,
    /// How many of them may run at once.
    pub cap: Option<usize>,
    /// Merge their branches when all are done.
    pub merge: bool,
}

/// A session that the convoy creates.
struct Newcomer<'a> {
    session: &'a Session,
    work: Work,
    held: Held,
    unit: UnitFiles<'a>,
}

#[async_trait]
impl Perform for Create {
    async fn perform(self, on: &Operation<'_>) -> Result<Standing> {
        no_agents(on, "created")?;
        let context = Context::here(on.caller, &on.warnings)?;
        let plan = self.plan(&context)?.checked()?;
        check_place(&context, &plan)?;
        establish(on, &context, &plan, None).await?;
        members::standing(&context, &plan)
    }
}

/// A session that joins a convoy: where it is to be, what it is to do, and how.
pub(super) struct Joining<'a> {
    pub(super) session: &'a Session,
    pub(super) work: &'a Work,
    pub(super) set: &'a Overrides,
}

/// Writes a plan that was checked, creates those of its members that do not exist, and starts those
/// that may start.
pub(super) async fn establish(
    on: &Operation<'_>,
    context: &Context,
    plan: &Plan,
    joining: Option<&Joining<'_>>,
) -> Result<()> {
    let joins = |name: &str| joining.filter(|joining| joining.session.name == name);
    let sessions: Vec<Session> = plan
        .sessions
        .iter()
        .map(|name| match joins(name) {
            Some(joining) => Ok(joining.session.clone()),
            None => member(on, context, plan, name),
        })
        .collect::<Result<_>>()?;
    let newcomers: Vec<Newcomer<'_>> = sessions
        .iter()
        .filter_map(|session| newcomer(context, plan, session, joins(&session.name)).transpose())
        .collect::<Result<_>>()?;
    let limits = limits(&plan.limits)?;
    if !newcomers.is_empty() {
        check_user(context)?;
        // None of them can be created halfway because there is no manager.
        drop(context.manager().await?);
    }

    Files::of(&context.project, &plan.id)?.write(plan)?;
    crash_point("the plan of a convoy is written");
    for newcomer in &newcomers {
        begin_or_resume(newcomer.session, &newcomer.work, Durable::Now)?;
        request::coordinate(newcomer.session, &newcomer.work)?;
        request::hold(newcomer.session, &newcomer.held)?;
        crash_point("a member is created");
    }
    match install(context, plan, limits, &sessions, &newcomers).await {
        // Sessions that run in the foreground make a convoy too.
        Err(error) if newcomers.is_empty() => {
            context.warnings.add(format!("the convoy has no units: {}", error.in_one_line()))
        }
        installed => installed?,
    }
    advance(on, context, plan).await.map(drop)
}

impl Create {
    fn plan(&self, context: &Context) -> Result<Plan> {
        let plan = match &self.toml {
            Some(_) if !self.sessions.is_empty() || !self.planned.is_empty() => {
                return Err(Error::usage(
                    "a convoy comes from a file or from names, not from both",
                ));
            }
            Some(text) => from_toml(text, self.id.as_deref())
                .map_err(|what| Error::usage(format!("cannot read the convoy: {what}")))?,
            None => {
                let id = self.id.clone().unwrap_or_default();
                // An instance stands for its session.
                let plain = |typed: &String| match typed.contains("--") {
                    true => Ok(target::resolve(context, typed)?.name),
                    false => Ok(typed.clone()),
                };
                let sessions = self.sessions.iter().map(plain).collect::<Result<_>>()?;
                let notify_on_complete = true;
                let mut plan = Plan { id, sessions, notify_on_complete, ..Plan::default() };
                for session in &self.planned {
                    let name = plain(&session.name)?;
                    let after = session.after.iter().map(plain).collect::<Result<_>>()?;
                    plan.add(Planned { name, after, ..session.clone() });
                }
                plan
            }
        };
        let (budget, cap) = (self.budget.or(plan.budget), self.cap.or(plan.cap));
        let plan = Plan { budget, cap, merge: self.merge || plan.merge, ..plan };
        if self.toml.is_some() {
            return Ok(plan);
        }
        // What the names do not say stays as it is, or a higher budget would cost it its order.
        Ok(match files::find(&context.project, &plan.id)? {
            Some(known) => plan.over(known),
            None => plan,
        })
    }
}

/// Refuses an id that is taken: by a convoy that would lose members, or by another project's.
pub(super) fn check_place(context: &Context, plan: &Plan) -> Result<()> {
    let id = &plan.id;
    if let Some(known) = files::find(&context.project, id)? {
        let lost = known.sessions.iter().find(|name| !plan.sessions.contains(name));
        if let Some(lost) = lost {
            return Err(Error::refused(format!(
                "convoy '{id}' exists, and {lost} is in it but not in this one"
            ))
            .hint(format!("name it too, or remove the old one: samocode convoy remove {id}")));
        }
    }
    let theirs = service::registry(context.scope())?.convoy(id)?;
    match theirs.filter(|config| *config != context.project.config && config.exists()) {
        Some(config) => Err(Error::refused(format!(
            "another project has a convoy '{id}': {}",
            config.display()
        ))
        .hint(format!(
            "choose another id, or remove that one: samocode convoy remove --config {} {id}",
            quoted(&config)
        ))),
        None => Ok(()),
    }
}

/// A member, which exists or has a task to begin with.
fn member(on: &Operation<'_>, context: &Context, plan: &Plan, name: &str) -> Result<Session> {
    let session = target::resolve(context, name)?;
    let task = plan.tasks.get(name).map(|task| task.task.trim()).filter(|task| !task.is_empty());
    if let Some(other) = convoy_of(&context.project, &session.name)?.filter(|id| *id != plan.id) {
        return Err(Error::refused(format!("{name} is in convoy '{other}' already"))
            .hint(format!("see that one with: samocode convoy status {other}")));
    }
    match (session.exists(), task) {
        // The error for one that does not exist names the nearest one.
        (false, None) => Ok(on.resolve(name)?.session),
        (true, Some(task)) if session.state()?.task != task => Err(Error::refused(format!(
            "session '{name}' exists and has another task"
        ))
        .hint("leave the task out to take the session as it is, or give the new one another name")),
        _ => Ok(session),
    }
}

/// The member as it is to be created; `None` if it has begun before.
fn newcomer<'a>(
    context: &'a Context,
    plan: &'a Plan,
    session: &'a Session,
    joining: Option<&Joining<'_>>,
) -> Result<Option<Newcomer<'a>>> {
    let Some(task) = plan.tasks.get(&session.name).filter(|task| !task.task.trim().is_empty())
    else {
        return Ok(None);
    };
    let is_begun = session.exists()
        && (!matches!(session.hook()?.state, StateName::New | StateName::Queued)
            || service::recorded(context.scope(), &session.instance)?.is_some());
    if is_begun {
        return Ok(None);
    }
    let (set, work) = match joining {
        Some(Joining { set, work, .. }) => ((*set).clone(), (*work).clone()),
        None => {
            let (agent, budget) = (task.agent.clone(), task.budget.clone());
            let work = Work { task: Some(task.task.clone()), ..Work::default() };
            (Overrides { agent, budget, ..Overrides::default() }, work)
        }
    };
    let in_member = |error: Error| {
        let message = format!("{}: {}", session.name, error.message);
        Error { message, ..error }
    };
    let flags = set.flags();
    // Said of the flag, not of the unit's environment, which gets its value.
    Settings::load(&vocabulary(), Some(&context.project), &context.caller.env, &flags)
        .map_err(|error| in_member(error.into()))?;
    let unit = UnitFiles::new(context, session, &flags).map_err(in_member)?;
    check_agent(context, &unit.settings, &unit.env, session).map_err(in_member)?;
    check_branch(&context.project, &unit.settings, session).map_err(in_member)?;
    let held = Held { convoy: plan.id.clone(), after: plan.before(&session.name).to_vec() };
    Ok(Some(Newcomer { session, work, held, unit }))
}

/// The limits of the convoy's slice.
fn limits(share: &Share) -> Result<Limits> {
    type Parse = fn(&str) -> Option<String>;
    let read = |key: &str, value: &Option<String>, parse: Parse| {
        let Some(text) = value else { return Ok(None) };
        let bad = || Error::usage(format!("{key} = \"{text}\" is not a limit"));
        parse(text).map(Some).ok_or_else(bad)
    };
    Ok(Limits {
        memory_high: None,
        memory_max: read("memory_max", &share.memory_max, values::memory)?,
        tasks_max: read("tasks_max", &share.tasks_max, values::tasks)?,
        cpu_weight: read("cpu_weight", &share.cpu_weight, values::cpu_weight)?,
    })
}

/// Writes the units of the convoy and of those of its sessions that have one, with one reload.
async fn install(
    context: &Context,
    plan: &Plan,
    limits: Limits,
    sessions: &[Session],
    newcomers: &[Newcomer<'_>],
) -> Result<()> {
    let manager = context.manager().await?;
    let convoy = service::Convoy {
        id: plan.id.clone(),
        config: context.project.config.clone(),
        members: sessions.iter().map(|session| session.instance.clone()).collect(),
        limits,
    };
    let id = || Some(plan.id.clone());
    let mut units = members_units(context, sessions, Some(&plan.id))?;
    for newcomer in newcomers {
        units.push(newcomer.unit.unit(id())?);
    }
    let spool = context.spool()?;
    let shared = Shared { binary: &context.caller.binary, spool: spool.dir() };
    let _root = Raised::up()?;
    spool.create(context.scope())?;
    manager.install_convoy(shared, Some(&convoy), &units).await?;
    crash_point("the units of a convoy are installed");
    manager.watch_spool().await?;
    manager.start_convoy(&plan.id).await?;
    Ok(())
}

/// The units that sessions have already, in this convoy or in none.
pub(super) fn members_units(
    context: &Context,
    sessions: &[Session],
    convoy: Option<&str>,
) -> Result<Vec<service::Session>> {
    let mut units = Vec::new();
    for session in sessions {
        if let Some(recorded) = service::recorded(context.scope(), &session.instance)?
            && recorded.folder == session.folder.path()
        {
            let unit = UnitFiles::moved(context, session, recorded)?;
            units.push(unit.unit(convoy.map(str::to_owned))?);
        }
    }
    Ok(units)
}
