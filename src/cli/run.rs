//! `samocode run`: the same worker in the foreground, for containers and hosts without a service
//! manager.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Args;
use tokio::process::Command;

use crate::config::Dirs;
use crate::service::exit::Exit;
use crate::service::foreground::{self, Ended};
use crate::session::WaitsFor;
use crate::session::state::Word;
use crate::session::store::OutageNotes;

use super::context::{Coded, Context, own_binary};
use super::enable::{Work, check_agent, check_branch};
use super::request::{Became, ask};
use super::sessions::{self, Session};
use super::view::View;
use super::{Common, output};

/// Work on a session in the foreground until it waits, is blocked or done
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode run jwt-login --task \"JWT login with httpOnly cookies\"\n\nExit codes: 0 done, 10 waiting, 11 blocked, 12 stopped, 13 paused, 2 usage, 78 configuration,\n1 anything else."
)]
pub(super) struct Run {
    /// A name, a dated folder name, or an instance
    session: String,
    #[command(flatten)]
    work: Work,
    /// Print how it ended as JSON
    #[arg(long)]
    json: bool,
}

impl Run {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let flags = self.work.flags();
        let context = Context::load_with(common, &flags, None)?;
        let session = sessions::resolve(&context, &self.session)?;
        context.project.check_places()?;
        check_agent(&context.settings, &context.env, &session)?;
        check_branch(&context.project, &context.settings, &session)?;
        if ask(&session, &self.work.request())? == Became::Running {
            let words = format!(
                "{} is worked on by another process already: samocode status {instance} shows it, samocode stop {instance} ends it",
                session.name,
                instance = session.instance
            );
            return Err(Coded(1, words).into());
        }
        let ended = work(&context, &session, &flags, !self.json).await?;
        if self.json {
            output::json(&View::of(&context.project, &session, None)?)?;
        }
        Ok(ended)
    }
}

/// Works on a session in the foreground and tells how it ended.
pub(super) async fn work(
    context: &Context,
    session: &Session,
    flags: &crate::config::Flags,
    talks: bool,
) -> anyhow::Result<ExitCode> {
    let mut command = Command::new(own_binary()?);
    command
        .arg("worker")
        .arg(&session.instance)
        .env_clear()
        .envs(&flags.over(&context.env))
        .env("SAMOCODE_CONFIG", &context.project.config)
        .env("SAMOCODE_SESSION_DIR", session.folder.path())
        .stdin(std::process::Stdio::null());
    let live = talks && std::io::stderr().is_terminal();
    let name = session.name.clone();
    let outcome = foreground::supervise(command, &foreground::Options::default(), |status| {
        if live {
            // Back to the line's beginning, and clear what was longer.
            let name = output::painted(output::BOLD, &name);
            let _ = write!(anstream::stderr(), "\r{name} {status}\x1b[K");
        } else if talks {
            say_aside!("{name} {status}");
        }
    })
    .await;
    if live {
        say_aside!();
    }
    let outcome =
        outcome.map_err(|error| Coded(1, format!("cannot run {}: {error}", session.name)))?;
    let mut hook = session.hook()?;
    let stopped = matches!(outcome.ended, Ended::Stopped);
    if let Some(outage) = OutageNotes::of(Dirs::runtime(&context.env))
        .last(&session.instance, session.folder.path())
        .filter(|_| stopped)
    {
        hook.pause(outage.reason, outage.since);
    }
    if talks {
        tell(session, hook.state, hook.waits_for.as_ref(), hook.reason.as_deref());
    }
    if let Some(code) = outcome.status.code() {
        let code = u8::try_from(code).unwrap_or(1);
        if code == Exit::Configuration.code() || code == Exit::Usage.code() {
            return Ok(ExitCode::from(code));
        }
    }
    Ok(ExitCode::from(match outcome.ended {
        Ended::Finished => code_of(hook.state),
        // It was in no run that was cut off.
        _ => match hook.state {
            rests @ (Word::Stopped | Word::Paused | Word::Limited | Word::Queued) => code_of(rests),
            _ => 1,
        },
    }))
}

/// The exit code of a state, for `run` and `wait`.
pub(super) const fn code_of(state: Word) -> u8 {
    match state {
        Word::Done => 0,
        Word::Waiting => 10,
        Word::Blocked => 11,
        Word::Stopped => 12,
        Word::Paused | Word::Limited | Word::Queued => 13,
        Word::New | Word::Running | Word::Failed => 1,
    }
}

fn tell(session: &Session, state: Word, waits_for: Option<&WaitsFor>, reason: Option<&str>) {
    let name = output::painted(output::BOLD, &session.name);
    let word = output::painted(output::state_style(state), state);
    match (state, waits_for) {
        (Word::Waiting, Some(waits_for)) => {
            let command = waits_for.answer_command(&session.instance);
            say!("{name} {word} for {waits_for}: {command}, then samocode run {0}", session.name);
        }
        (Word::Blocked | Word::Paused, _) => {
            let reason = output::in_line(reason.unwrap_or("no reason was given"), 300);
            say!("{name} {word}: {reason}");
        }
        _ => say!("{name} {word}"),
    }
}
