//! `samocode stop`: at the iteration's end, or now; remembered until `start` or `enable`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;

use crate::service::ServiceManager;
use crate::session::mail::{Kind, Message};
use crate::session::state::Word;
use crate::session::store::{crash_point, read_journal};

use super::context::{self, manager};
use super::privilege::Raised;
use super::request::{send, stop};
use super::sessions::{self, Session};
use super::watch::Watch;
use super::whereabouts::{Gone, past_gone};
use super::{Common, output};

/// Stop sessions at the end of their iteration, until start or enable
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode stop jwt-login          after this iteration; Ctrl-C leaves it draining\n  samocode stop --now jwt-login    at once; the run is resumed by samocode start\n\nOn a full disk the session is interrupted, and the stop remembered by an empty file _stop in its\nfolder, or at least by a disabled unit. Exit code 1 where it cannot be remembered at all."
)]
pub(super) struct Stop {
    /// Names, dated folder names, or instances
    #[arg(required = true)]
    sessions: Vec<String>,
    /// Interrupt the run instead of waiting for its end
    #[arg(long)]
    now: bool,
}

/// What came of asking the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drained {
    /// It is at its end, or was not to be waited for.
    Over,
    /// A human had the session go on meanwhile.
    CalledOff,
}

/// How long a worker gets to see the message before it is asked by the unit's stop.
const NOTICE: Duration = Duration::from_secs(1);

impl Stop {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let (gone, found) = past_gone(common, &self.sessions)?;
        let manager = manager(common).await?;
        for gone in gone {
            stop_gone(manager.as_ref(), &gone).await?;
        }
        let Some((context, sessions)) = found else { return Ok(ExitCode::SUCCESS) };
        let mut code = ExitCode::SUCCESS;
        for typed in sessions {
            let session = match sessions::find(&context, typed) {
                Ok(session) => session,
                Err(error) => {
                    stop_gone(manager.as_ref(), &error.downcast()?).await?;
                    continue;
                }
            };
            let name = output::painted(output::BOLD, &session.name);
            if session.hook()?.state == Word::Done && !session.is_worked_on() {
                say!("{name} is done already.");
                continue;
            }
            if session.is_worked_on() && self.drain(&session).await? == Drained::CalledOff {
                say!("{name} goes on: it was started meanwhile.");
                code = ExitCode::FAILURE;
                continue;
            }
            // Whatever the worker managed to write down, from here on it is stopped.
            crash_point("the unit is to be stopped");
            manager.stop(&session.instance, &|line| output::note(line)).await?;
            crash_point("the unit is stopped, and nobody remembers");
            if let Err(error) = stop(&session) {
                remember_elsewhere(manager.as_ref(), &session, &error).await?;
            }
            // It may have come to its end just then.
            if session.hook()?.state == Word::Done {
                say!("{name} is done.");
                continue;
            }
            say!("{name} is stopped. Let it go on with: samocode start {}", session.instance);
        }
        Ok(code)
    }

    /// Asks the worker to stop, and waits for it to say so.
    async fn drain(&self, session: &Session) -> anyhow::Result<Drained> {
        let watch = Watch::new(session.folder.path())?;
        let message = match send(session, Kind::Stop, "") {
            Ok(message) => message,
            Err(error) => {
                // A session that has filled the disk has to be stoppable all the same.
                let instead =
                    if self.now { "" } else { "; its run is interrupted, and resumed by start" };
                output::note(&format!(
                    "the worker cannot be asked: {}{instead}",
                    context::one_line(&error)
                ));
                return Ok(Drained::Over);
            }
        };
        let is_over = || !session.is_worked_on() || is_stopped(session);
        if self.now {
            let _ = tokio::time::timeout(NOTICE, watch.until(is_over)).await;
            return Ok(Drained::Over);
        }
        let name = output::painted(output::BOLD, &session.name);
        say!("{name} stops at the end of its iteration (Ctrl-C leaves it draining) …");
        watch.until(|| is_over() || is_called_off(session, &message)).await;
        Ok(if is_called_off(session, &message) { Drained::CalledOff } else { Drained::Over })
    }
}

/// A stop that the journal could not take is remembered by a mark beside it, which needs no room,
/// and the unit is disabled, so that nothing brings the session back.
///
/// # Errors
/// When it can be remembered in neither way.
async fn remember_elsewhere(
    manager: &dyn ServiceManager,
    session: &Session,
    error: &anyhow::Error,
) -> anyhow::Result<()> {
    let name = &session.name;
    let why = context::one_line(error);
    let marked = session.folder.mark_stopped();
    let disabled = {
        let _root = Raised::up()?;
        manager.disable(&session.instance).await
    };
    match (marked, disabled) {
        (Err(_), Err(_)) => bail!(
            "{name} does not run, but that it was stopped could not be written down: {why}; it comes back at the next boot unless that is mended and samocode stop {name} is said again"
        ),
        (Err(_), Ok(())) => output::note(&format!(
            "the stop could not be written down ({why}): the unit is disabled instead, until start"
        )),
        (Ok(()), _) => output::note(&format!(
            "the stop could not be written down ({why}): it is remembered by {}, until start",
            session.folder.stop_mark().display()
        )),
    }
    Ok(())
}

/// Of a session whose folder is gone only the unit can be stopped.
async fn stop_gone(manager: &dyn ServiceManager, gone: &Gone) -> anyhow::Result<()> {
    manager.stop(&gone.instance, &|line| output::note(line)).await?;
    let name = output::painted(output::BOLD, &gone.instance);
    say!("{name} does not run. {}", capitalized(&gone.to_string()));
    Ok(())
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A stop is in the journal before it leaves the inbox, unless somebody else took it out.
fn is_called_off(session: &Session, stop: &Message) -> bool {
    !session.folder.is_unread(&stop.id)
        && read_journal(&session.folder, |_| {})
            .is_ok_and(|(state, _)| !state.stopped && state.word() != Word::Done)
}

fn is_stopped(session: &Session) -> bool {
    session.folder.read_hook().is_some_and(|hook| hook.state == Word::Stopped)
}
