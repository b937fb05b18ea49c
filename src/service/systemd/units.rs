//! The text of the unit files. Pure: (what to run, for which manager) to text.
//!
//! The sources are in `units/`. What a manager is too old for is left out of them, by [`SINCE`].

use std::path::{Path, PathBuf};

use super::escape::{self, Unfit};
use crate::service::Scope;

/// The oldest systemd that is supported (RHEL 8's).
pub const OLDEST: u32 = 239;

/// The units every manager gets once: file name and source.
const SOURCES: [(&str, &str); 6] = [
    ("samocode@.service", include_str!("../../../units/samocode@.service")),
    ("samocode-wake.path", include_str!("../../../units/samocode-wake.path")),
    ("samocode-wake.service", include_str!("../../../units/samocode-wake.service")),
    ("samocode-failed@.service", include_str!("../../../units/samocode-failed@.service")),
    ("samocode.slice", include_str!("../../../units/samocode.slice")),
    ("samocode-convoy@.target", include_str!("../../../units/samocode-convoy@.target")),
];

/// The first systemd that knows a directive, for all that the units use. From the "Added in
/// version" notes of systemd.unit(5), systemd.service(5), systemd.path(5), systemd.exec(5),
/// systemd.kill(5), systemd.resource-control(5); 0 where they have none, which means before 211
/// or older than the notes.
const SINCE: [(&str, u32); 37] = [
    ("CPUWeight", 232),
    ("Delegate", 218),
    ("Description", 0),
    ("DirectoryMode", 0),
    ("DirectoryNotEmpty", 0),
    ("Environment", 0),
    ("ExecReload", 0),
    ("ExecStart", 0),
    ("KillMode", 0),
    ("LimitCORE", 0),
    ("MakeDirectory", 0),
    ("MemoryHigh", 231),
    ("MemoryMax", 231),
    ("NotifyAccess", 0),
    ("OOMPolicy", 243),
    ("OnFailure", 0),
    ("PartOf", 0),
    ("Restart", 0),
    ("RestartForceExitStatus", 215),
    ("RestartMode", 254),
    ("RestartPreventExitStatus", 0),
    ("RestartSec", 0),
    ("RuntimeMaxSec", 229),
    ("Slice", 0),
    ("StartLimitBurst", 229),
    ("StartLimitIntervalSec", 230),
    ("SuccessExitStatus", 0),
    ("SyslogIdentifier", 0),
    ("TasksMax", 227),
    ("TimeoutAbortSec", 243),
    ("TimeoutStopSec", 0),
    ("TriggerLimitIntervalSec", 250),
    ("Type", 0),
    ("User", 0),
    ("WantedBy", 0),
    ("Wants", 0),
    ("WatchdogSec", 0),
];

/// The directive a line sets.
fn directive(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('=')?;
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-').then_some(name)
}

/// `text` without the directives that systemd `version` does not know.
fn for_version(text: &str, version: u32) -> String {
    let known = |line: &&str| {
        let since = directive(line)
            .and_then(|name| SINCE.iter().find(|(known, _)| *known == name))
            .map_or(0, |(_, since)| *since);
        since <= version
    };
    let mut out = text.lines().filter(known).collect::<Vec<_>>().join("\n");
    out.push('\n');
    out
}

/// A file below the manager's unit folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    /// Relative to the unit folder: `samocode@.service`, `samocode@NAME.service.d/session.conf`.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

/// Unit files that are installed together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitSet {
    /// In the order they are written.
    pub files: Vec<UnitFile>,
}

impl UnitSet {
    /// These and `more`.
    #[must_use]
    pub fn with(mut self, more: Self) -> Self {
        self.files.extend(more.files);
        self
    }
}

/// What the shared units say.
#[derive(Debug, Clone)]
pub struct Shared<'a> {
    /// Whose manager they are for.
    pub scope: Scope,
    /// The manager's version, as `ServiceManager::version` returns it.
    pub version: u32,
    /// Absolute path of the samocode program, links not resolved.
    pub binary: &'a Path,
    /// The wake spool: `Spool::dir`.
    pub spool: &'a Path,
}

/// The units every manager gets once.
///
/// # Errors
/// [`Unfit`] where a path cannot be written into a unit file.
pub fn shared(of: &Shared<'_>) -> Result<UnitSet, Unfit> {
    let (scope, at_boot, mode) = match of.scope {
        Scope::User => ("", "default.target", "0700"),
        Scope::System => (" --system", "multi-user.target", "1733"),
    };
    let filled = [
        ("@binary@", escape::program(of.binary)?),
        ("@spool@", escape::bare_path(of.spool)?),
        ("@spool_mode@", mode.to_owned()),
        ("@scope@", scope.to_owned()),
        ("@at_boot@", at_boot.to_owned()),
    ];
    let files = SOURCES
        .iter()
        .map(|(name, source)| {
            let mut text = for_version(source, of.version);
            for (place, value) in &filled {
                text = text.replace(place, value);
            }
            UnitFile { path: PathBuf::from(name), text }
        })
        .collect();
    Ok(UnitSet { files })
}

/// Limits of one session, in systemd's syntax. `None` leaves the manager's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// `MemoryHigh=`: bytes with an optional K, M, G or T, per cent of the machine, or `infinity`.
    pub memory_high: Option<String>,
    /// `MemoryMax=`, likewise.
    pub memory_max: Option<String>,
    /// `TasksMax=`: a number, per cent, or `infinity`.
    pub tasks_max: Option<String>,
    /// `CPUWeight=`: 1 to 10000.
    pub cpu_weight: Option<String>,
}

impl Limits {
    /// With `max` as the most a session may use, and `MemoryHigh=` just below it. The worker keeps
    /// its runs below both, see `worker/cgroup.rs`: throttling would hit the worker too, and let a
    /// build that leaks crawl for hours. What is no amount is left for the check to refuse.
    #[must_use]
    pub fn with_memory(self, max: &str) -> Self {
        let number = max.trim_end_matches(['K', 'M', 'G', 'T', '%']);
        let unit = match &max[number.len()..] {
            "" | "%" => Some(1.0),
            "K" => Some(1024_f64),
            "M" => Some(1024_f64.powi(2)),
            "G" => Some(1024_f64.powi(3)),
            "T" => Some(1024_f64.powi(4)),
            _ => None,
        };
        let high = number.parse::<f64>().ok().filter(|number| number.is_finite()).zip(unit);
        let suffix = if max.ends_with('%') { "%" } else { "" };
        Self {
            // Whole numbers: old managers take no others.
            memory_high: high.map(|(number, unit)| {
                format!("{:.0}{suffix}", (number * unit * 0.98).floor().max(1.0))
            }),
            memory_max: Some(max.to_owned()),
            ..self
        }
    }

    /// The directives that are set, checked: systemd would ignore a bad one with a warning that
    /// nobody reads.
    fn directives(&self) -> Result<Vec<(&'static str, &str)>, Unfit> {
        const SIZE: &str = "a number with K, M, G or T, per cent like 50%, or infinity";
        let amount = |text: &str, suffixes: &str| {
            let number = text.trim_end_matches(|c: char| suffixes.contains(c));
            text == "infinity"
                || (text.len() - number.len() <= 1
                    && number.parse::<f64>().is_ok_and(|n| n > 0.0 && n.is_finite())
                    && number.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
        };
        let weight =
            |text: &str| text.parse::<u32>().is_ok_and(|weight| (1..=10_000).contains(&weight));
        let all = [
            ("MemoryHigh", &self.memory_high, SIZE),
            ("MemoryMax", &self.memory_max, SIZE),
            ("TasksMax", &self.tasks_max, "a number, per cent like 50%, or infinity"),
            ("CPUWeight", &self.cpu_weight, "a number from 1 to 10000"),
        ];
        let mut set = Vec::new();
        for (directive, value, allowed) in all {
            let Some(value) = value.as_deref() else { continue };
            let sound = match directive {
                "CPUWeight" => weight(value),
                "TasksMax" => amount(value, "%") && !value.contains('.'),
                _ => amount(value, "KMGT%"),
            };
            if !sound {
                return Err(Unfit::Limit { directive, value: value.to_owned(), allowed });
            }
            set.push((directive, value));
        }
        Ok(set)
    }
}

/// What the drop-in of one session says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// The unit instance.
    pub instance: String,
    /// The project's name, for `systemctl status`.
    pub project: String,
    /// The project's `.samocode`: `SAMOCODE_CONFIG`.
    pub config: PathBuf,
    /// The session's folder: `SAMOCODE_SESSION_DIR`.
    pub folder: PathBuf,
    /// The wake spool, for the tokens the worker leaves: `SAMOCODE_SPOOL`.
    pub spool: PathBuf,
    /// PATH and the non-secret settings recorded by `enable`; never a secret.
    pub environment: Vec<(String, String)>,
    /// For `--system`: the user id the session runs as.
    pub uid: Option<u32>,
    /// Limits.
    pub limits: Limits,
    /// The convoy it belongs to.
    pub convoy: Option<String>,
}

const CONFIG: &str = "SAMOCODE_CONFIG";
const FOLDER: &str = "SAMOCODE_SESSION_DIR";
const SPOOL: &str = "SAMOCODE_SPOOL";

/// The drop-in of a session, relative to the unit folder.
#[must_use]
pub fn drop_in(instance: &str) -> PathBuf {
    PathBuf::from(format!("samocode@{instance}.service.d/session.conf"))
}

/// The files of one session: its drop-in, and for `--system` one for `samocode-failed@`, so that
/// what tells the human runs as the same user.
///
/// # Errors
/// [`Unfit`] where a value cannot be written into a unit file.
pub fn session(of: &Session, version: u32) -> Result<UnitSet, Unfit> {
    let instance = escape::name(&of.instance)?;
    let mut service = vec!["[Service]".to_owned()];
    for (name, path) in [(CONFIG, &of.config), (FOLDER, &of.folder), (SPOOL, &of.spool)] {
        let text = path.to_str().ok_or_else(|| Unfit::NotUtf8(path.display().to_string()))?;
        service.push(format!("Environment={}", escape::assignment(name, text)?));
    }
    for (name, value) in &of.environment {
        service.push(format!("Environment={}", escape::assignment(name, value)?));
    }
    if let Some(uid) = of.uid {
        service.push(format!("User={uid}"));
    }
    let failed = format!("{}\n", service.join("\n"));
    for (directive, value) in of.limits.directives()? {
        service.push(format!("{directive}={value}"));
    }

    let title = escape::description(&format!("samocode session {instance} of {}", of.project));
    let mut unit = vec!["[Unit]".to_owned(), format!("Description={title}")];
    if let Some(convoy) = &of.convoy {
        unit.push(format!("PartOf=samocode-convoy@{}.target", escape::name(convoy)?));
    }
    let text = format!(
        "# Generated by samocode. Do not edit: `samocode enable` overwrites it.\n{}\n\n{}\n",
        unit.join("\n"),
        service.join("\n")
    );
    let mut files = vec![UnitFile { path: drop_in(instance), text: for_version(&text, version) }];
    if of.uid.is_some() {
        let path = format!("samocode-failed@{instance}.service.d/session.conf");
        files.push(UnitFile { path: PathBuf::from(path), text: failed });
    }
    Ok(UnitSet { files })
}

/// What a session's drop-in says of where the session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The project's `.samocode`.
    pub config: PathBuf,
    /// The session's folder.
    pub folder: PathBuf,
    /// The recorded environment, without what has a field here.
    pub environment: Vec<(String, String)>,
    /// The user id it runs as, in system scope.
    pub uid: Option<u32>,
}

/// Reads a drop-in that [`session`] wrote; `None` when it names no project and session folder.
#[must_use]
pub fn read_session(text: &str) -> Option<Recorded> {
    let (mut config, mut folder, mut uid, mut environment) = (None, None, None, Vec::new());
    for line in text.lines() {
        if let Some(user) = line.strip_prefix("User=") {
            uid = user.parse().ok();
        }
        let Some((name, value)) =
            line.strip_prefix("Environment=").and_then(escape::read_assignment)
        else {
            continue;
        };
        match name.as_str() {
            CONFIG => config = Some(PathBuf::from(value)),
            FOLDER => folder = Some(PathBuf::from(value)),
            SPOOL => {}
            _ => environment.push((name, value)),
        }
    }
    Some(Recorded { config: config?, folder: folder?, environment, uid })
}

/// The drop-in that makes a convoy's target start its members.
///
/// # Errors
/// [`Unfit::Name`].
pub fn convoy(id: &str, members: &[String]) -> Result<UnitSet, Unfit> {
    let mut text =
        "# Generated by samocode. Do not edit: `samocode convoy` overwrites it.\n[Unit]\n"
            .to_owned();
    for member in members {
        text.push_str(&format!("Wants=samocode@{}.service\n", escape::name(member)?));
    }
    let path =
        PathBuf::from(format!("samocode-convoy@{}.target.d/members.conf", escape::name(id)?));
    Ok(UnitSet { files: vec![UnitFile { path, text }] })
}

#[cfg(test)]
mod tests;
