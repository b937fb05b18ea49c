//! What the shell offers for an argument: names of sessions, agents, states. The shell asks this
//! program, so it is always right.

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use crate::agent::vocabulary;
use crate::config::Env;
use crate::control::context::{Context, Warnings, is_outside};
use crate::control::registry;
use crate::control::{Caller, convoy};
use crate::service::Scope;
use crate::session::Phase;
use crate::session::state::StateName;

/// The sessions of the current project, or outside of any those that have a unit.
pub(super) fn sessions() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let candidates = known_sessions().unwrap_or_default().into_iter();
        candidates.map(|(name, state)| named(name, state)).collect()
    })
}

/// The agents that can be chosen.
pub(super) fn agents() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let words = vocabulary();
        let names = words.choices().map(|agent| match agent.takes_command {
            true => format!("{}:", agent.name),
            false => agent.name.to_owned(),
        });
        names.map(CompletionCandidate::new).collect()
    })
}

/// The states of sessions.
pub(super) fn states() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        StateName::ALL.into_iter().map(|word| CompletionCandidate::new(word.as_str())).collect()
    })
}

/// The phases of a session.
pub(super) fn phases() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        Phase::ALL.into_iter().map(|phase| CompletionCandidate::new(phase.as_str())).collect()
    })
}

/// The convoys of the current project.
pub(super) fn convoys() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let ids = || -> anyhow::Result<Vec<String>> {
            let context = Context::here(&caller()?, &Warnings::default())?;
            Ok(convoy::ids(&context.project)?)
        };
        ids().unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
    })
}

/// Examples of what `enable --every` takes.
pub(super) fn recurring() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let examples = ["hourly", "daily", "weekly", "monthly", "6h", "03:00", "Mon..Fri 09:00"];
        examples.into_iter().map(CompletionCandidate::new).collect()
    })
}

fn named(name: String, state: Option<StateName>) -> CompletionCandidate {
    let help = state.map(|state| state.as_str().into());
    CompletionCandidate::new(name).help(help)
}

fn caller() -> anyhow::Result<Caller> {
    let env = Env::of_process();
    Ok(Caller {
        origin: crate::cli::origin::of_process(&env),
        env,
        cwd: std::env::current_dir()?,
        config: flag_value("--config").map(Into::into),
        scope: if is_given("--system") { Scope::System } else { Scope::User },
        binary: super::front::own_binary()?,
    })
}

/// Names with their states; nothing after an error, which a shell that completes cannot show.
fn known_sessions() -> anyhow::Result<Vec<(String, Option<StateName>)>> {
    let caller = caller()?;
    let warnings = Warnings::default();
    let found = if is_outside(&caller) {
        let all = registry::recorded(caller.scope, &warnings)?.into_iter();
        all.map(|(_, session)| (session.instance.clone(), session)).collect::<Vec<_>>()
    } else {
        let all = registry::all_with_units(&Context::here(&caller, &warnings)?)?.into_iter();
        all.map(|session| (session.name.clone(), session)).collect()
    };
    let state = |hook: crate::session::hook::Hook| hook.state;
    Ok(found
        .into_iter()
        .map(|(name, session)| (name, session.folder.read_hook().map(state)))
        .collect())
}

/// Whether a flag is on the command line that is being completed, which follows our own `--`.
fn is_given(flag: &str) -> bool {
    std::env::args().any(|arg| arg == flag)
}

fn flag_value(flag: &str) -> Option<String> {
    let mut args = std::env::args().skip_while(|arg| arg != flag).skip(1);
    args.next()
}
