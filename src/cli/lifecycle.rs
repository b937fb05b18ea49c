//! `disable`, `start`, `restart`, `reload`: what systemctl's users expect.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;

use crate::config::Flags;
use crate::service::ServiceManager;
use crate::session::journal::{End, Event};
use crate::session::state::Word;
use crate::session::store::read_journal;

use super::context::{Context, Usage, manager};
use super::enable::{Unit, check_agent};
use super::privilege::Raised;
use super::request::{Became, Request, ask, ask_to_go_on};
use super::sessions::{self, Session};
use super::watch::Watch;
use super::whereabouts::{Gone, past_gone};
use super::{Common, by_hand, output};

/// Let a session go on: stopped, blocked or failed
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode start jwt-login\n  samocode start jwt-login search-index"
)]
pub(super) struct Start {
    /// Names, dated folder names, or instances
    #[arg(required = true)]
    sessions: Vec<String>,
}

impl Start {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let context = Context::load_for(common, &self.sessions[0])?;
        let manager = context.manager().await?;
        for session in all_of(&context, &self.sessions)? {
            let unit = Unit::new(&context, &session, &Flags::default())?;
            check_agent(&unit.settings, &unit.env, &session)?;
            let became = ask_to_go_on(&session, &Request::default())?;
            if became == Became::Running
                && matches!(session.hook()?.state, Word::Paused | Word::Limited)
            {
                // Its worker sleeps until a time, and holds the journal meanwhile.
                manager.stop(&session.instance, &|line| output::note(line)).await?;
                ask(&session, &Request::default())?;
            }
            unit.install(manager.as_ref()).await?;
            unit.start(manager.as_ref()).await?;
            tell_started(&session)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// All that were named: a mistyped name is found before anything is done to the others.
fn all_of(context: &Context, typed: &[String]) -> anyhow::Result<Vec<Session>> {
    typed.iter().map(|typed| sessions::find(context, typed)).collect()
}

fn tell_started(session: &Session) -> anyhow::Result<()> {
    let hook = session.hook()?;
    let name = output::painted(output::BOLD, &session.name);
    match (hook.state, &hook.waits_for) {
        (Word::Waiting, Some(waits_for)) if !by_hand::is_answered(session, &hook) => {
            let command = waits_for.answer_command(&session.instance);
            say!("{name} waits for {waits_for}: {command}");
        }
        _ => say!("{name} is started."),
    }
    Ok(())
}

/// No longer start a session at boot; a run under way goes on
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode disable jwt-login\n\nOf a session whose folder or project is gone the unit is stopped and removed."
)]
pub(super) struct Disable {
    /// Names, dated folder names, or instances
    #[arg(required = true)]
    sessions: Vec<String>,
}

impl Disable {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let (mut gone, found) = past_gone(common, &self.sessions)?;
        let manager = manager(common).await?;
        let _root = Raised::up()?;
        if let Some((context, sessions)) = found {
            for typed in sessions {
                let session = match sessions::find(&context, typed) {
                    Ok(session) => session,
                    Err(error) => {
                        gone.push(error.downcast()?);
                        continue;
                    }
                };
                manager.disable(&session.instance).await?;
                let name = output::painted(output::BOLD, &session.instance);
                say!("{name} is no longer started at boot.");
            }
        }
        for Gone { instance, .. } in gone {
            remove(manager.as_ref(), &instance).await?;
            let name = output::painted(output::BOLD, &instance);
            say!("{name} is gone, and so is its unit now.");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Removes the unit of a session that is gone, whatever it does.
async fn remove(manager: &dyn ServiceManager, instance: &str) -> anyhow::Result<()> {
    manager.disable(instance).await?;
    manager.stop(instance, &|line| output::note(line)).await?;
    manager.remove(instance).await?;
    Ok(())
}

/// Interrupt the run and go on in the same conversation
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  samocode restart jwt-login")]
pub(super) struct Restart {
    /// Names, dated folder names, or instances
    #[arg(required = true)]
    sessions: Vec<String>,
}

impl Restart {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let context = Context::load_for(common, &self.sessions[0])?;
        let manager = context.manager().await?;
        for session in all_of(&context, &self.sessions)? {
            ask_to_go_on(&session, &Request::default())?;
            let unit = Unit::new(&context, &session, &Flags::default())?;
            unit.install(manager.as_ref()).await?;
            manager.reset_failed(&session.instance).await?;
            manager.restart(&session.instance, &|line| output::note(line)).await?;
            let name = output::painted(output::BOLD, &session.name);
            say!("{name} is restarted.");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Execute the installed samocode anew at the end of the iteration
#[derive(Debug, Args)]
#[command(after_help = "Example, after an upgrade:\n  samocode reload --all")]
pub(super) struct Reload {
    /// Names, dated folder names, or instances
    #[arg(required_unless_present = "all")]
    sessions: Vec<String>,
    /// All sessions of the project that run
    #[arg(long, conflicts_with = "sessions")]
    all: bool,
    /// How long to wait for the iterations' ends, in seconds
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    timeout: u64,
}

impl Reload {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let context = match self.sessions.first() {
            Some(typed) => Context::load_for(common, typed)?,
            None => Context::load(common)?,
        };
        let manager = context.manager().await?;
        let mut chosen: Vec<Session> = Vec::new();
        if self.all {
            chosen.extend(sessions::all(&context)?.into_iter().filter(Session::is_worked_on));
        }
        chosen.extend(all_of(&context, &self.sessions)?);
        for session in &chosen {
            reload(manager.as_ref(), session, Duration::from_secs(self.timeout)).await?;
        }
        if chosen.is_empty() {
            say!("No session is running.");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks the worker, and waits by the journal for it to have executed itself anew.
async fn reload(
    manager: &dyn ServiceManager,
    session: &Session,
    bound: Duration,
) -> anyhow::Result<()> {
    if !session.is_worked_on() {
        return Err(Usage(format!(
            "{} is not running; it takes the installed samocode when it starts",
            session.name
        ))
        .into());
    }
    let watch = Watch::new(session.folder.path())?;
    let since = session.state()?.seq;
    manager.reload(&session.instance).await?;
    let name = output::painted(output::BOLD, &session.name);
    let wait = watch.until(|| {
        // A worker that began after one that was killed executes the installed program, too.
        let mut is_over = false;
        let read = read_journal(&session.folder, |entry| {
            is_over |= entry.seq > since
                && match entry.event {
                    Event::WorkerEnded { end } => end != End::Reloaded,
                    Event::WorkerStarted { .. } => true,
                    _ => false,
                };
        });
        read.is_ok() && is_over
    });
    say!("{name} goes over to the installed samocode at the end of its iteration …");
    if tokio::time::timeout(bound, wait).await.is_err() {
        bail!(
            "{} is still in its iteration after {} s; it reloads when that ends",
            session.name,
            bound.as_secs()
        );
    }
    say!("{name} is reloaded.");
    Ok(())
}
