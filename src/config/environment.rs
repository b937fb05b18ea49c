//! What of an environment reaches a unit and an agent. Pure: an environment in, one out.
//!
//! A unit gets PATH and the settings that `enable` finds ([`recorded`]); secrets go by the env
//! file. An agent gets the worker's environment without what is not for it: a list of what is
//! taken away, because the variables of toolchains cannot be listed.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::secret::is_secret;
use super::{AgentChoice, Env, EnvFile, Secret, keys};
use crate::session::Phase;

/// Whose variables a family of names are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Claude Code's, those of AWS included, which it needs for Bedrock.
    Claude,
    /// Codex's.
    Codex,
    /// Gemini CLI's.
    Gemini,
    /// Of the notices; never an agent's.
    Telegram,
    /// For everyone: proxies and certificates.
    Common,
}

/// The family of a variable that the env file may hold; `None` for any other.
#[must_use]
pub fn family(name: &str) -> Option<Family> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if starts(&["ANTHROPIC_", "CLAUDE_", "AWS_"]) {
        Some(Family::Claude)
    } else if starts(&["OPENAI_", "CODEX_"]) {
        Some(Family::Codex)
    } else if starts(&["GEMINI_"]) || name == "GOOGLE_API_KEY" {
        Some(Family::Gemini)
    } else if starts(&["TELEGRAM_"]) {
        Some(Family::Telegram)
    } else if name.ends_with("_PROXY")
        || name.ends_with("_proxy")
        || starts(&["GOOGLE_"])
        || name == "NODE_EXTRA_CA_CERTS"
    {
        Some(Family::Common)
    } else {
        None
    }
}

impl Family {
    /// Whether an agent gets this family's variables. A command may be a wrapper of any agent.
    const fn is_for(self, agent: &AgentChoice) -> bool {
        match self {
            Self::Claude => matches!(agent, AgentChoice::Claude | AgentChoice::Command { .. }),
            Self::Codex => matches!(agent, AgentChoice::Codex | AgentChoice::Command { .. }),
            Self::Gemini => matches!(agent, AgentChoice::Gemini | AgentChoice::Command { .. }),
            Self::Telegram => false,
            Self::Common => true,
        }
    }
}

/// What a service manager tells the one process it started (systemd.exec(5), `sd_listen_fds`(3)).
/// The session bus is not for agents either: over it they could start and stop units.
const OF_THE_MANAGER: &[&str] = &[
    "NOTIFY_SOCKET",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "CREDENTIALS_DIRECTORY",
    "MANAGERPID",
    "MANAGERPIDFDID",
    "SYSTEMD_EXEC_PID",
    "MAINPID",
    "SERVICE_RESULT",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "FDSTORE",
    "DBUS_SESSION_BUS_ADDRESS",
];
const OF_THE_MANAGER_PREFIXES: &[&str] =
    &["WATCHDOG_", "LISTEN_", "MONITOR_", "TRIGGER_", "DBUS_STARTER_"];

/// What Claude Code sets for the programs it runs. Where an agent started us these would make a
/// new Claude take itself for a child of the old one and refuse, or save no conversation.
const OF_A_PARENT_AGENT: &[&str] = &[
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_SESSION",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_HOST_SESSION_ID",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CODE_REMOTE",
    "CLAUDE_SESSION_ID",
    "CLAUDE_PID",
    "CLAUDE_PROJECT_DIR",
    "CLAUDE_PLUGIN_ROOT",
    "CLAUDE_ENV_FILE",
];

/// What would lead the agent's git to another repository: set where we were started by a git hook
/// (`git rev-parse --local-env-vars`).
const OF_A_GIT_HOOK: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
];

/// What is true of the worker's process and not of the agent's.
const OF_THE_PROCESS: &[&str] = &["PWD", "OLDPWD", "SHLVL", "_", "TMPDIR", "TMP", "TEMP"];

fn is_parents(name: &str) -> bool {
    OF_A_PARENT_AGENT.contains(&name)
        || (family(name).is_some() && name.ends_with("_FILE_DESCRIPTOR"))
}

/// Whether a variable of the worker's environment, or of the env file, goes on to an agent.
fn goes_to(agent: &AgentChoice, name: &str, value: &str) -> bool {
    let is_ours = (name.starts_with("SAMOCODE_") && !name.starts_with("SAMOCODE_REHEARSAL_"))
        || keys::lookup(name).is_some();
    let is_none_of = |names: &[&str]| !names.contains(&name);
    if is_ours
        || is_parents(name)
        || !is_none_of(OF_THE_MANAGER)
        || !is_none_of(OF_A_GIT_HOOK)
        || !is_none_of(OF_THE_PROCESS)
        || OF_THE_MANAGER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    {
        return false;
    }
    match family(name) {
        Some(family) if matches!(agent, AgentChoice::Rehearsal) => {
            family.is_for(agent) && !is_secret(name, value)
        }
        Some(Family::Common) if name.starts_with("GOOGLE_") => {
            matches!(agent, AgentChoice::Gemini | AgentChoice::Command { .. })
                || !is_secret(name, value)
        }
        Some(family) => family.is_for(agent),
        None => !is_secret(name, value),
    }
}

/// What an agent's environment says about its run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunIds {
    /// The session's name.
    pub session: String,
    /// Its folder of plain files.
    pub session_dir: PathBuf,
    /// The phase it is in.
    pub phase: Phase,
    /// The iteration, counted over all phases.
    pub iteration: u32,
    /// The run's id, by which its processes are found again.
    pub run: String,
    /// The run's own folder for temporary files.
    pub tmpdir: PathBuf,
    /// Folders to be searched for programs before all others, from
    /// [`Found`](super::agent_path::Found).
    pub path_additions: Vec<PathBuf>,
}

/// PATH where the environment has none: what systemd gives a unit.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The whole environment of an agent, to be set after clearing. A variable of the worker's own
/// environment counts before the same one of the env file, as in the settings.
#[must_use]
pub fn agent_environment(worker: &Env, file: &EnvFile, agent: &AgentChoice, run: &RunIds) -> Env {
    let mut env: Env = worker
        .iter()
        .filter(|(name, value)| goes_to(agent, &name.to_string_lossy(), &value.to_string_lossy()))
        .collect();
    for (name, _, value) in file.iter() {
        if goes_to(agent, name, value.expose()) {
            env.set_default(name, value.expose());
        }
    }
    if let Some(home) = super::dirs::home(worker) {
        env.set_default("HOME", home);
    }
    env.set_default("PATH", DEFAULT_PATH);
    let path = path_with(&run.path_additions, env.get("PATH").unwrap_or_default());
    env.set("PATH", path);
    env.set("SAMOCODE_SESSION", &run.session);
    env.set("SAMOCODE_SESSION_DIR", &run.session_dir);
    env.set("SAMOCODE_PHASE", run.phase.as_str());
    env.set("SAMOCODE_ITERATION", run.iteration.to_string());
    env.set("SAMOCODE_RUN", &run.run);
    env.set("TMPDIR", &run.tmpdir);
    env.set("GIT_TERMINAL_PROMPT", "0");
    make_git_durable(&mut env);
    if matches!(agent, AgentChoice::Claude) {
        // An update in the middle of a run would swap the program below it.
        env.set_default("DISABLE_AUTOUPDATER", "1");
    }
    env
}

/// Has git put a commit on the disk before it says it is made (git-config(1), `core.fsync`). Left to
/// itself it leaves that to the kernel, and a machine that loses its power within half a minute has
/// a branch that points to an empty file. What the caller's environment says of it counts.
fn make_git_durable(env: &mut Env) {
    let count = match env.text("GIT_CONFIG_COUNT") {
        None | Some("") => 0,
        Some(count) => match count.parse::<usize>() {
            Ok(count) => count,
            // git will complain of it, better than we could.
            Err(_) => return,
        },
    };
    let is_set = (0..count)
        .filter_map(|number| env.text(&format!("GIT_CONFIG_KEY_{number}")))
        .any(|key| key.eq_ignore_ascii_case("core.fsync"));
    if !is_set {
        env.set("GIT_CONFIG_COUNT", (count + 1).to_string());
        env.set(format!("GIT_CONFIG_KEY_{count}"), "core.fsync");
        env.set(format!("GIT_CONFIG_VALUE_{count}"), "all");
    }
}

/// A PATH with folders in front that it does not have yet.
fn path_with(additions: &[PathBuf], path: &OsStr) -> OsString {
    let present: Vec<PathBuf> = std::env::split_paths(path).collect();
    let new = additions.iter().filter(|folder| !present.contains(folder));
    // Fails only for a folder with ':' in its name, which no PATH can hold.
    std::env::join_paths(new.chain(&present)).unwrap_or_else(|_| path.to_owned())
}

/// Variables that say where things are, wanted by the worker but no keys of the table.
const PLACES: &[&str] = &["CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"];

/// What `enable` writes into the unit's drop-in: PATH, where the user's files are, and the keys
/// of the table that are no secrets, as far as they are set. A program's relative path becomes
/// absolute from `cwd`. Values that are not UTF-8, or have control characters, are left out.
#[must_use]
pub fn recorded(env: &Env, cwd: &Path) -> Vec<(String, String)> {
    let of_table =
        keys::KEYS.iter().filter(|key| !key.secret && !key.of_project).flat_map(keys::names);
    let names =
        ["PATH"].into_iter().chain(PLACES.iter().copied()).map(str::to_owned).chain(of_table);
    names
        .filter_map(|name| {
            let value = env.text(&name).filter(|value| !value.chars().any(char::is_control))?;
            let is_program =
                keys::lookup(&name).is_some_and(|(key, _)| key.kind == keys::Kind::Program);
            let value = match value {
                value if is_program => super::agent_choice::program_path(value, cwd, None).ok(),
                value if name.starts_with("SAMOCODE_AGENT") => {
                    AgentChoice::parse(value, cwd, None).ok().map(|choice| choice.to_string())
                }
                _ => None,
            }
            .unwrap_or_else(|| value.to_owned());
            Some((name, value))
        })
        .collect()
}

/// The secrets that are set in the shell but not in the env file, so that no unit sees them: only
/// those that some agent or notice would use.
#[must_use]
pub fn secrets_in_shell(env: &Env, file: &EnvFile) -> Vec<String> {
    shell_only(env, file)
        .filter(|(name, value)| is_secret(name, value))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// What `enable --import-env` saves: the secrets, and what goes with them, such as a base URL or
/// a region; also those that the env file has with another value.
#[must_use]
pub fn importable(env: &Env, file: &EnvFile) -> Vec<(String, Secret)> {
    of_families(env)
        .filter(|(name, value)| file.get(name).is_none_or(|known| known.expose() != *value))
        .map(|(name, value)| (name.to_owned(), Secret::new(value)))
        .collect()
}

fn shell_only<'a>(env: &'a Env, file: &'a EnvFile) -> impl Iterator<Item = (&'a str, &'a str)> {
    of_families(env).filter(|(name, _)| file.get(name).is_none())
}

fn of_families(env: &Env) -> impl Iterator<Item = (&str, &str)> {
    env.iter().filter_map(|(name, value)| {
        let (name, value) = (name.to_str()?, value.to_str()?);
        let is_recorded =
            PLACES.contains(&name) || keys::lookup(name).is_some_and(|(key, _)| !key.secret);
        let wanted =
            family(name).is_some() && !is_parents(name) && !is_recorded && !value.is_empty();
        wanted.then_some((name, value))
    })
}

/// Everything that may be a secret, from the environment and the env file, for a
/// [`Redactor`](super::Redactor).
#[must_use]
pub fn redactor(env: &Env, file: &EnvFile) -> super::Redactor {
    let mut redactor = super::Redactor::of_env(env);
    for (name, _, value) in file.iter() {
        if is_secret(name, value.expose()) {
            redactor.add(name, value.expose());
        }
    }
    redactor
}

#[cfg(test)]
mod tests;
