//! Decides which variables reach a unit and an agent. Pure: takes an environment, returns one.
//!
//! A unit gets PATH and the settings that `enable` finds ([`recorded`]); secrets go through the env
//! file. An agent gets the worker's environment minus what is not for it. The lists here name what
//! is removed, because no list could name the variables of all toolchains.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::config::agent_name::program_path;
use crate::config::secret::is_secret;
use crate::config::{
    AgentManifest, AgentName, Credentials, Env, EnvFile, Owner, Reach, Secret, Variables,
    Vocabulary, dirs, keys,
};
use crate::session::Phase;
use crate::session::store::Folder;

/// Variables that a service manager sets for the one process it started (systemd.exec(5),
/// `sd_listen_fds`(3); launchd's begin with XPC). Agents do not get the session bus either: over it they could start and stop
/// units.
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
    "XPC_SERVICE_NAME",
    "XPC_FLAGS",
];
const OF_THE_MANAGER_PREFIXES: &[&str] =
    &["WATCHDOG_", "LISTEN_", "MONITOR_", "TRIGGER_", "DBUS_STARTER_"];

/// Variables that would point the agent's git at another repository; they are set if a git hook
/// started samocode (`git rev-parse --local-env-vars`).
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

/// Variables that describe the worker's process, not the agent's.
const OF_THE_PROCESS: &[&str] = &["PWD", "OLDPWD", "SHLVL", "_", "TMPDIR", "TMP", "TEMP"];

/// Whether a variable of the worker's environment, or of the env file, is passed on to an agent.
fn goes_to(vocabulary: &Vocabulary, agent: &AgentManifest, name: &str, value: &str) -> bool {
    let is_ours = (name.starts_with("SAMOCODE_") && !name.starts_with("SAMOCODE_REHEARSAL_"))
        || vocabulary.lookup(name).is_some();
    let is_none_of = |names: &[&str]| !names.contains(&name);
    if is_ours
        || vocabulary.is_of_parent(name)
        || !is_none_of(OF_THE_MANAGER)
        || !is_none_of(OF_A_GIT_HOOK)
        || !is_none_of(OF_THE_PROCESS)
        || OF_THE_MANAGER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    {
        return false;
    }
    vocabulary.reaches(agent, name, value)
}

/// The facts about a run that its agent's environment holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunIds {
    /// The session's name, as in `SAMOCODE_SESSION`.
    pub session: String,
    /// Its folder of plain files.
    pub session_dir: PathBuf,
    /// The phase it is in.
    pub phase: Phase,
    /// The iteration, counted over all phases.
    pub iteration: u32,
    /// The run's id, by which its processes can be found later.
    pub run: String,
    /// The run's own folder for temporary files.
    pub tmpdir: PathBuf,
    /// The first of the ports that the session has for itself.
    pub port_base: Option<u16>,
    /// Variables of package caches of which the session has its own: `SAMOCODE_OWN_CACHES`.
    pub own_caches: Vec<String>,
    /// Folders to put first in PATH, from [`Found`](super::find::Found).
    pub path_additions: Vec<PathBuf>,
}

/// PATH if the environment has none: systemd's default for units.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const UNDECLARED: AgentManifest = AgentManifest {
    name: "",
    takes_command: false,
    reach: Reach::Nothing,
    keys: &[],
    variables: Variables::NONE,
    credentials: Credentials::NONE,
};

/// The complete environment of an agent. A variable in the worker's environment overrides the same
/// one in the env file, as in the settings.
#[must_use]
pub fn agent_environment(
    vocabulary: &Vocabulary,
    worker: &Env,
    file: &EnvFile,
    agent: &str,
    run: &RunIds,
) -> Env {
    // An agent without a declaration gets no declared variable.
    let agent = vocabulary.agent(agent).unwrap_or(&UNDECLARED);
    let goes = |name: &str, value: &str| goes_to(vocabulary, agent, name, value);
    let mut env: Env = worker
        .iter()
        .filter(|(name, value)| goes(&name.to_string_lossy(), &value.to_string_lossy()))
        .collect();
    for (name, _, value) in file.iter() {
        if vocabulary.owner(name).is_some() && goes(name, value.expose()) {
            env.set_default(name, value.expose());
        }
    }
    if let Some(home) = dirs::home(worker) {
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
    if let Some(base) = run.port_base {
        env.set("SAMOCODE_PORT_BASE", base.to_string());
    }
    for name in &run.own_caches {
        env.set(name.as_str(), Folder::new(&run.session_dir).own_caches().join(name));
    }
    env.set("GIT_TERMINAL_PROMPT", "0");
    make_git_durable(&mut env);
    for (name, value) in agent.variables.defaults {
        env.set_default(name, *value);
    }
    env
}

/// Adds what only the program of the agent's command line gets.
pub(super) fn add_of_program(
    env: &mut Env,
    vocabulary: &Vocabulary,
    worker: &Env,
    file: &EnvFile,
    name: &AgentName,
) {
    for variable in of_program(vocabulary, name) {
        let of_file = || Some(file.get(variable)?.expose().into());
        if let Some(value) = worker.get(variable).map(OsStr::to_owned).or_else(of_file) {
            env.set(*variable, value);
        }
    }
}

/// The variables that only the program of the agent's command line gets.
pub(super) fn of_program(vocabulary: &Vocabulary, name: &AgentName) -> &'static [&'static str] {
    let program = name.command().map(|command| Path::new(&command.program));
    let agent = vocabulary.agent(name.word());
    agent.zip(program).map_or(&[], |(agent, program)| agent.of_program(program))
}

/// Makes git flush a commit to disk before it reports success (git-config(1), `core.fsync`). By
/// default git leaves that to the kernel, and after a power cut within half a minute a branch may
/// point to an empty file. A value in the caller's environment wins.
fn make_git_durable(env: &mut Env) {
    let count = match env.text("GIT_CONFIG_COUNT") {
        None | Some("") => 0,
        Some(count) => match count.parse::<usize>() {
            Ok(count) => count,
            // git's own complaint is better than ours would be.
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

/// A PATH with the given folders in front, unless it already has them.
fn path_with(additions: &[PathBuf], path: &OsStr) -> OsString {
    let present: Vec<PathBuf> = std::env::split_paths(path).collect();
    let new = additions.iter().filter(|folder| !present.contains(folder));
    // Fails only for a folder with ':' in its name, which no PATH can hold.
    std::env::join_paths(new.chain(&present)).unwrap_or_else(|_| path.to_owned())
}

/// Variables with locations that the worker needs, but that are not keys of the table.
const PLACES: &[&str] = &["XDG_CONFIG_HOME", "XDG_STATE_HOME"];

fn places(vocabulary: &Vocabulary) -> impl Iterator<Item = &'static str> {
    let of_agents = vocabulary.agents().iter().flat_map(|agent| agent.variables.places);
    of_agents.chain(PLACES).copied()
}

/// The variables that `enable` writes into the unit's drop-in: PATH, the locations of the user's
/// files, and the keys of the table that are set and not secret. A program's relative path is
/// resolved against `cwd`. Values that are not UTF-8, or have control characters, are left out.
#[must_use]
pub fn recorded(vocabulary: &Vocabulary, env: &Env, cwd: &Path) -> Vec<(String, String)> {
    let of_table =
        vocabulary.keys().filter(|key| !key.secret && !key.of_project).flat_map(keys::names);
    let names = ["PATH"].into_iter().chain(places(vocabulary)).map(str::to_owned).chain(of_table);
    names
        .filter_map(|name| {
            let value = env.text(&name).filter(|value| !value.chars().any(char::is_control))?;
            let kind = vocabulary.lookup(&name).map(|(key, _)| key.kind);
            let value = match kind {
                Some(keys::Kind::Program) => program_path(value, cwd, None).ok(),
                Some(keys::Kind::Agent) => {
                    AgentName::parse(value, cwd, None, vocabulary).ok().map(|name| name.to_string())
                }
                Some(keys::Kind::Agents) => {
                    let names = AgentName::parse_list(value, cwd, None, vocabulary).ok();
                    let names = names.filter(|names| !names.is_empty());
                    names.map(|names| {
                        let texts: Vec<_> = names.iter().map(ToString::to_string).collect();
                        texts.join(", ")
                    })
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
pub fn secrets_in_shell(vocabulary: &Vocabulary, env: &Env, file: &EnvFile) -> Vec<String> {
    of_families(vocabulary, env)
        .filter(|(name, _)| file.get(name).is_none())
        .filter(|(name, value)| is_secret(name, value))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// The variables that `enable --import-env` saves: secrets and related ones, such as a base URL or
/// a region, including those that have another value in the env file.
#[must_use]
pub fn importable(vocabulary: &Vocabulary, env: &Env, file: &EnvFile) -> Vec<(String, Secret)> {
    of_families(vocabulary, env)
        .filter(|(name, value)| file.get(name).is_none_or(|known| known.expose() != *value))
        .map(|(name, value)| (name.to_owned(), Secret::new(value)))
        .collect()
}

pub(super) fn of_families<'a>(
    vocabulary: &'a Vocabulary,
    env: &'a Env,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    env.iter().filter_map(|(name, value)| {
        let (name, value) = (name.to_str()?, value.to_str()?);
        let is_recorded = places(vocabulary).any(|place| place == name)
            || vocabulary.lookup(name).is_some_and(|(key, _)| !key.secret);
        let wanted = vocabulary.owner(name).is_some_and(|owner| owner != Owner::Program)
            && !vocabulary.is_of_parent(name)
            && !is_recorded
            && !value.is_empty();
        wanted.then_some((name, value))
    })
}

#[cfg(test)]
mod tests;
