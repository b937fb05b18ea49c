//! The property lists of our agents: pure functions from what to run to text, and back.
//!
//! The sources in `launchd/` hold what is the same for everybody. The rest is added to them as values,
//! so nothing needs quoting.

use std::path::{Path, PathBuf};

use plist::{Dictionary, Value};

use super::{BOT, FAILED, HELD, NOTICES, Places, WAKE, WEB, label, timer_label};
use crate::service::{Convoy, Recorded, Session, Timer, Unfit, UnitFile};
use crate::session::clock;

const CONFIG: &str = "SAMOCODE_CONFIG";
const FOLDER: &str = "SAMOCODE_SESSION_DIR";
const SPOOL: &str = "SAMOCODE_SPOOL";

/// The variable that tells a worker where to report; see [`super::supervised`].
pub const STATUS: &str = "SAMOCODE_STATUS_FILE";

/// An agent that is installed once per user.
struct Shared {
    label: &'static str,
    source: &'static str,
    verb: &'static str,
    /// The folder that starts it while it holds anything.
    queue: fn(&Places) -> &Path,
}

const SHARED: [Shared; 4] = [
    Shared {
        label: WAKE,
        source: include_str!("../../../launchd/wake.plist"),
        verb: "wake",
        queue: |places| &places.spool,
    },
    Shared {
        label: NOTICES,
        source: include_str!("../../../launchd/notices.plist"),
        verb: "notices",
        queue: |places| &places.notices,
    },
    Shared {
        label: FAILED,
        source: include_str!("../../../launchd/failed.plist"),
        verb: "failed",
        queue: |places| &places.failed,
    },
    Shared {
        label: HELD,
        source: include_str!("../../../launchd/held.plist"),
        verb: "notices",
        queue: |places| &places.held,
    },
];

const SESSION_SOURCE: &str = include_str!("../../../launchd/session.plist");

const TIMER_SOURCE: &str = include_str!("../../../launchd/timer.plist");

const FRONT_SOURCE: &str = include_str!("../../../launchd/front.plist");

/// What all agents of a user have in common.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Absolute path of the samocode program.
    pub binary: &'a Path,
    /// Where the agents are kept.
    pub places: &'a Places,
    /// Variables of the installing process that decide where samocode keeps its files.
    pub inherited: &'a [(String, String)],
}

/// The name of an agent's file.
#[must_use]
pub fn file_name(label: &str) -> PathBuf {
    PathBuf::from(format!("{label}.plist"))
}

/// The labels of the agents that are installed once per user.
pub(super) fn shared_labels() -> impl Iterator<Item = &'static str> {
    SHARED.iter().map(|agent| agent.label)
}

/// The agents that are installed once per user.
///
/// # Errors
/// [`Unfit`] if a path cannot be written into them.
pub fn shared(ground: Ground<'_>) -> Result<Vec<UnitFile>, Unfit> {
    let file = |agent: &Shared| {
        let mut made = template(agent.source);
        insert(&mut made, "QueueDirectories", vec![text((agent.queue)(ground.places))?]);
        insert(&mut made, "EnvironmentVariables", variables(ground.inherited.iter().cloned())?);
        let log = ground.places.log_of_shared(agent.label);
        finish(made, agent.label, &[agent.verb], &log, ground.binary)
    };
    SHARED.iter().map(file).collect()
}

/// The agent that keeps the web page up on a port of the loopback interface.
///
/// # Errors
/// [`Unfit`] if a path cannot be written into it.
pub fn web(port: u16, ground: Ground<'_>) -> Result<UnitFile, Unfit> {
    front(WEB, &["web", "--quiet", "--port", &port.to_string()], ground)
}

/// The agent that keeps the bot up.
///
/// # Errors
/// [`Unfit`] if a path cannot be written into it.
pub fn bot(ground: Ground<'_>) -> Result<UnitFile, Unfit> {
    front(BOT, &["bot"], ground)
}

fn front(label: &str, args: &[&str], ground: Ground<'_>) -> Result<UnitFile, Unfit> {
    let mut agent = template(FRONT_SOURCE);
    insert(&mut agent, "EnvironmentVariables", variables(ground.inherited.iter().cloned())?);
    finish(agent, label, args, &ground.places.log_of_shared(label), ground.binary)
}

/// The agent of one session.
///
/// # Errors
/// [`Unfit`] if a value cannot be written into it.
pub fn session(of: &Session, ground: Ground<'_>) -> Result<UnitFile, Unfit> {
    if !crate::session::names::is_instance(&of.instance) {
        return Err(Unfit::Name(of.instance.clone()));
    }
    let status = ground.places.status_of(&of.instance);
    let mut environment: Vec<(String, String)> = ground.inherited.to_vec();
    environment.extend(of.environment.iter().cloned());
    for (name, path) in
        [(CONFIG, &of.config), (FOLDER, &of.folder), (SPOOL, &of.spool), (STATUS, &status)]
    {
        environment.push((name.to_owned(), utf8(path)?));
    }
    let mut agent = template(SESSION_SOURCE);
    insert(&mut agent, "EnvironmentVariables", variables(environment)?);
    let log = ground.places.log_of(&of.instance);
    finish(agent, &label(&of.instance), &["worker", &of.instance], &log, ground.binary)
}

/// The timer of a session, at its next time.
///
/// # Errors
/// As [`session`].
pub fn timer(of: &Timer, ground: Ground<'_>) -> Result<UnitFile, Unfit> {
    if !crate::session::names::is_instance(&of.instance) {
        return Err(Unfit::Name(of.instance.clone()));
    }
    let mut agent = template(TIMER_SOURCE);
    insert(
        &mut agent,
        "StartCalendarInterval",
        calendar_interval(&of.at.to_zoned(clock::local_zone())),
    );
    insert(&mut agent, "EnvironmentVariables", variables(ground.inherited.iter().cloned())?);
    let (label, log) = (timer_label(&of.instance), ground.places.logs.join("timers.log"));
    finish(agent, &label, &["due", &of.instance, &of.at.to_string()], &log, ground.binary)
}

/// The minute that a time is in, by the local clock, as launchd compares it: no seconds, and no year.
/// The agent waits for the seconds.
fn calendar_interval(at: &jiff::Zoned) -> Dictionary {
    let mut interval = Dictionary::new();
    for (key, value) in
        [("Month", at.month()), ("Day", at.day()), ("Hour", at.hour()), ("Minute", at.minute())]
    {
        insert(&mut interval, key, i64::from(value));
    }
    interval
}

/// Adds label, program and log.
fn finish(
    mut agent: Dictionary,
    label: &str,
    args: &[&str],
    log: &Path,
    binary: &Path,
) -> Result<UnitFile, Unfit> {
    insert(&mut agent, "Label", Value::from(label));
    let mut words = vec![text(binary)?];
    words.extend(args.iter().map(|arg| Value::from(*arg)));
    insert(&mut agent, "ProgramArguments", words);
    for stream in ["StandardOutPath", "StandardErrorPath"] {
        insert(&mut agent, stream, text(log)?);
    }
    agent.sort_keys();
    Ok(UnitFile { path: file_name(label), text: xml(agent)? })
}

/// A convoy's own file.
///
/// # Errors
/// [`Unfit`] if a value cannot be written into it.
pub fn convoy(of: &Convoy) -> Result<UnitFile, Unfit> {
    for name in std::iter::once(&of.id).chain(&of.members) {
        if !crate::session::names::is_instance(name) {
            return Err(Unfit::Name(name.clone()));
        }
    }
    let mut convoy = Dictionary::new();
    insert(&mut convoy, "Config", text(&of.config)?);
    let members = of.members.iter().map(|member| Value::from(member.as_str()));
    insert(&mut convoy, "Members", members.collect::<Vec<Value>>());
    Ok(UnitFile { path: file_name(&of.id), text: xml(convoy)? })
}

/// Reads an agent written by [`session`]; `None` if it lacks the project or the session's folder.
#[must_use]
pub fn read_session(agent: &[u8]) -> Option<Recorded> {
    let agent = read(agent)?;
    let (mut config, mut folder, mut environment) = (None, None, Vec::new());
    for (name, value) in agent.get("EnvironmentVariables")?.as_dictionary()? {
        let value = value.as_string()?;
        match name.as_str() {
            CONFIG => config = Some(PathBuf::from(value)),
            FOLDER => folder = Some(PathBuf::from(value)),
            SPOOL | STATUS => {}
            name if INHERITED.contains(&name) => {}
            _ => environment.push((name.clone(), value.to_owned())),
        }
    }
    Some(Recorded { config: config?, folder: folder?, environment, uid: None })
}

/// Reads a file written by [`convoy`]: the project's `.samocode`, and the members.
#[must_use]
pub fn read_convoy(file: &[u8]) -> Option<(PathBuf, Vec<String>)> {
    let convoy = read(file)?;
    let members = convoy.get("Members")?.as_array()?.iter();
    let members = members.filter_map(|member| member.as_string().map(str::to_owned)).collect();
    Some((PathBuf::from(convoy.get("Config")?.as_string()?), members))
}

/// The program that an agent runs.
#[must_use]
pub fn program(agent: &[u8]) -> Option<String> {
    let words = read(agent)?;
    Some(words.get("ProgramArguments")?.as_array()?.first()?.as_string()?.to_owned())
}

/// Variables of the installing process that its agents need to find the same files: launchd gives
/// them few of its own.
pub const INHERITED: [&str; 4] =
    ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", super::LAUNCHCTL];

fn read(file: &[u8]) -> Option<Dictionary> {
    Value::from_reader(std::io::Cursor::new(file)).ok()?.into_dictionary()
}

/// One of our own sources, which the tests parse.
fn template(source: &str) -> Dictionary {
    read(source.as_bytes()).unwrap_or_default()
}

fn insert(into: &mut Dictionary, key: &str, value: impl Into<Value>) {
    into.insert(key.to_owned(), value.into());
}

fn utf8(path: &Path) -> Result<String, Unfit> {
    let text = path.to_str().ok_or_else(|| Unfit::NotUtf8(path.display().to_string()))?;
    sound(text)?;
    Ok(text.to_owned())
}

fn text(path: &Path) -> Result<Value, Unfit> {
    if !path.is_absolute() {
        return Err(Unfit::Relative(path.display().to_string()));
    }
    utf8(path).map(Value::from)
}

/// XML has no way to write most control characters, and parsers change the others.
fn sound(text: &str) -> Result<(), Unfit> {
    let is_unfit = |c: char| {
        (c.is_control() && c != '\t' && c != '\n') || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    if text.chars().any(is_unfit) { Err(Unfit::Character(text.to_owned())) } else { Ok(()) }
}

fn variables(all: impl IntoIterator<Item = (String, String)>) -> Result<Value, Unfit> {
    let mut variables = Dictionary::new();
    for (name, value) in all {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(Unfit::Variable(name));
        }
        sound(&value)?;
        variables.insert(name, Value::from(value));
    }
    variables.sort_keys();
    Ok(variables.into())
}

fn xml(agent: Dictionary) -> Result<String, Unfit> {
    let mut bytes = Vec::new();
    let value = Value::from(agent);
    let written = value.to_writer_xml(&mut bytes);
    let text = String::from_utf8(bytes).ok().filter(|_| written.is_ok());
    text.map(|text| text + "\n").ok_or_else(|| Unfit::Character(format!("{value:?}")))
}

#[cfg(test)]
mod tests;
