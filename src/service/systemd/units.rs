//! Generates the unit files: pure functions from what to run, and under which manager, to text.
//!
//! The sources are in `units/`. Directives that a manager is too old for are left out, by
//! [`SINCE`].

use std::path::PathBuf;

use super::limits::directives;
use super::{
    BOT_SERVICE, DESKTOP_PATH, DESKTOP_SERVICE, HELD_SERVICE, HELD_TIMER, NOTICES_OF_SESSION,
    NOTICES_PATH, NOTICES_SERVICE,
};
use super::{WEB_SERVICE, WEB_SOCKET};
use super::{convoys, escape, hardening};
use crate::service::{Recorded, Scope, Session, Shared, Unfit, UnitFile};

/// The oldest supported systemd (RHEL 8's).
pub const OLDEST: u32 = 239;

/// The version that unit files are printed for if no manager reports its own: nothing is left out.
pub const NEWEST: u32 = 257;

/// Features our units use that systemd `version` lacks, with the consequences: see [`SINCE`].
#[must_use]
pub fn lacks(version: u32) -> Vec<&'static str> {
    let lacks = [
        (243, "a build that runs out of memory kills the whole unit (OOMPolicy=)"),
        (250, "a burst of mail may be held back by a limit (TriggerLimitIntervalSec=)"),
    ];
    lacks.into_iter().filter(|(since, _)| version < *since).map(|(_, what)| what).collect()
}

/// Parses the systemd version that a person typed.
///
/// # Errors
/// A message for that person.
pub fn parse_version(text: &str) -> Result<u32, String> {
    match text.trim_start_matches('v').parse() {
        Ok(version) if version >= OLDEST => Ok(version),
        Ok(_) => Err(format!("systemd before {OLDEST} is not supported")),
        Err(_) => Err(format!("not a systemd version; use one like {OLDEST} or {NEWEST}")),
    }
}

/// The units that are installed once per manager: file name and source.
const SOURCES: [(&str, &str); 18] = [
    ("samocode@.service", include_str!("../../../units/samocode@.service")),
    ("samocode-wake.path", include_str!("../../../units/samocode-wake.path")),
    ("samocode-wake.service", include_str!("../../../units/samocode-wake.service")),
    ("samocode-failed@.service", include_str!("../../../units/samocode-failed@.service")),
    (NOTICES_PATH, include_str!("../../../units/samocode-notices.path")),
    (NOTICES_SERVICE, include_str!("../../../units/samocode-notices.service")),
    (NOTICES_OF_SESSION, include_str!("../../../units/samocode-notices@.service")),
    (HELD_TIMER, include_str!("../../../units/samocode-held.timer")),
    (HELD_SERVICE, include_str!("../../../units/samocode-held.service")),
    (DESKTOP_PATH, include_str!("../../../units/samocode-desktop.path")),
    (DESKTOP_SERVICE, include_str!("../../../units/samocode-desktop.service")),
    (BOT_SERVICE, include_str!("../../../units/samocode-bot.service")),
    (WEB_SOCKET, include_str!("../../../units/samocode-web.socket")),
    (WEB_SERVICE, include_str!("../../../units/samocode-web.service")),
    ("samocode.slice", include_str!("../../../units/samocode.slice")),
    ("samocode-convoy@.target", include_str!("../../../units/samocode-convoy@.target")),
    ("samocode-timer@.timer", include_str!("../../../units/samocode-timer@.timer")),
    ("samocode-timer@.service", include_str!("../../../units/samocode-timer@.service")),
];

/// Whether a unit is for this manager. A user's has one unit for each kind of work on the user's
/// folder of notices, and serves that user's web page. The system's serves many users, so notices are sent by a unit of the session,
/// which runs as its user.
fn is_for(scope: Scope, name: &str) -> bool {
    match name {
        NOTICES_PATH | NOTICES_SERVICE | HELD_TIMER | HELD_SERVICE | DESKTOP_PATH
        | DESKTOP_SERVICE | BOT_SERVICE | WEB_SOCKET | WEB_SERVICE => scope == Scope::User,
        NOTICES_OF_SESSION => scope == Scope::System,
        _ => true,
    }
}

/// Whether a directive is for this manager: see [`is_for`].
fn has(scope: Scope, line: &str) -> bool {
    scope == Scope::System || directive(line) != Some(ON_SUCCESS)
}

/// Starts the session's unit that sends notices, each time the session's worker ends.
const ON_SUCCESS: &str = "OnSuccess";

/// Frees a session's cgroup for the next worker, which `DelegateSubgroup=` makes needless.
const EXEC_STOP_POST: &str = "ExecStopPost";

/// The first systemd with `DelegateSubgroup=`.
const SUBGROUPS: u32 = 254;

/// The first systemd that knows a directive, for all that the units use. From the "Added in
/// version" notes of systemd.unit(5), systemd.service(5), systemd.path(5), systemd.exec(5),
/// systemd.kill(5), systemd.resource-control(5), systemd.timer(5). Directives without a note have 0: they came before
/// 211, or before the notes.
const SINCE: [(&str, u32); 70] = [
    ("AccuracySec", 209),
    ("CPUWeight", 232),
    ("CapabilityBoundingSet", 0),
    ("ConditionDirectoryNotEmpty", 0),
    ("Delegate", 218),
    ("DelegateSubgroup", SUBGROUPS),
    ("Description", 0),
    ("DeviceAllow", 208),
    ("DevicePolicy", 208),
    ("DirectoryMode", 0),
    ("DirectoryNotEmpty", 0),
    ("Environment", 0),
    ("ExecReload", 0),
    ("ExecStart", 0),
    (EXEC_STOP_POST, 0),
    ("KillMode", 0),
    ("LimitCORE", 0),
    ("ListenStream", 0),
    ("LockPersonality", 235),
    ("MakeDirectory", 0),
    ("MemoryHigh", 231),
    ("MemoryMax", 231),
    ("NoNewPrivileges", 187),
    ("NotifyAccess", 0),
    ("OOMPolicy", 243),
    ("OnActiveSec", 0),
    ("OnCalendar", 0),
    ("OnFailure", 0),
    (ON_SUCCESS, 249),
    ("PartOf", 0),
    ("Persistent", 212),
    ("PrivateMounts", 239),
    ("ProtectClock", 245),
    ("ProtectControlGroups", 232),
    ("ProtectHostname", 242),
    ("ProtectKernelLogs", 244),
    ("ProtectKernelModules", 232),
    ("ProtectKernelTunables", 232),
    ("ProtectProc", 247),
    ("ProtectSystem", 214),
    ("ReadWritePaths", 231),
    ("Restart", 0),
    ("RestartForceExitStatus", 215),
    ("RestartMaxDelaySec", 254),
    ("RestartMode", 254),
    ("RestartPreventExitStatus", 0),
    ("RestartSec", 0),
    ("RestartSteps", 254),
    ("RestrictAddressFamilies", 211),
    ("RestrictNamespaces", 233),
    ("RestrictRealtime", 231),
    ("RestrictSUIDSGID", 242),
    ("RuntimeMaxSec", 229),
    ("Slice", 0),
    ("StartLimitBurst", 229),
    ("StartLimitIntervalSec", 230),
    ("SuccessExitStatus", 0),
    ("SyslogIdentifier", 0),
    ("SystemCallArchitectures", 209),
    ("SystemCallErrorNumber", 209),
    ("SystemCallFilter", 187),
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

/// The name of the directive on a line.
fn directive(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('=')?;
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-').then_some(name)
}

/// `text` without the directives that systemd `version` does not know or need.
pub(super) fn for_version(text: &str, version: u32) -> String {
    let known = |line: &&str| {
        let name = directive(line);
        let since = name
            .and_then(|name| SINCE.iter().find(|(known, _)| *known == name))
            .map_or(0, |(_, since)| *since);
        since <= version && (name != Some(EXEC_STOP_POST) || version < SUBGROUPS)
    };
    let mut out = text.lines().filter(known).collect::<Vec<_>>().join("\n");
    out.push('\n');
    out
}

/// Unit files that are installed together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitSet {
    /// The files, in the order in which they are written.
    pub files: Vec<UnitFile>,
}

impl UnitSet {
    /// This set followed by `more`.
    #[must_use]
    pub fn with(mut self, more: Self) -> Self {
        self.files.extend(more.files);
        self
    }
}

/// The units that are installed once per manager.
///
/// # Errors
/// [`Unfit`] if a path cannot be written to a unit file.
pub fn shared(of: Shared<'_>, scope: Scope, version: u32) -> Result<UnitSet, Unfit> {
    let (option, at_boot, mode) = match scope {
        Scope::User => ("", "default.target", "0700"),
        Scope::System => (" --system", "multi-user.target", "1733"),
    };
    let filled = [
        ("@binary@", escape::program(of.binary)?),
        ("@spool@", escape::bare_path(of.spool)?),
        ("@notices@", escape::bare_path(&of.spool.with_file_name("notices"))?),
        ("@spool_mode@", mode.to_owned()),
        ("@scope@", option.to_owned()),
        ("@at_boot@", at_boot.to_owned()),
    ];
    let files = SOURCES
        .iter()
        .filter(|(name, _)| is_for(scope, name))
        .map(|(name, source)| {
            let lines = source.lines().filter(|line| has(scope, line));
            let lines = lines.flat_map(|line| hardening::in_place_of(line, scope));
            let lines = lines.collect::<Vec<_>>();
            let text = fill(&for_version(&lines.join("\n"), version), &filled);
            UnitFile { path: PathBuf::from(name), text }
        })
        .collect();
    Ok(UnitSet { files })
}

/// `text` with its placeholders replaced, once each: a value may contain another placeholder.
fn fill(text: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let (place, value) = values
            .iter()
            .find(|(place, _)| rest.starts_with(place))
            .map_or(("@", "@"), |known| (known.0, known.1.as_str()));
        filled.push_str(value);
        rest = &rest[place.len()..];
    }
    filled + rest
}

const CONFIG: &str = "SAMOCODE_CONFIG";
const FOLDER: &str = "SAMOCODE_SESSION_DIR";
const SPOOL: &str = "SAMOCODE_SPOOL";

/// The path of a session's drop-in, relative to the unit folder.
#[must_use]
pub fn drop_in(instance: &str) -> PathBuf {
    PathBuf::from(format!("samocode@{instance}.service.d/session.conf"))
}

/// The files of one session: its drop-in, and for `--system` one for `samocode-failed@` and
/// `samocode-notices@`, so that the processes that notify the human run as the same user.
///
/// # Errors
/// [`Unfit`] if a value cannot be written to a unit file.
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
    for (directive, value) in directives(&of.limits, version)? {
        service.push(format!("{directive}={value}"));
    }

    let title = escape::description(&format!("samocode session {instance} of {}", of.project));
    let mut unit = vec!["[Unit]".to_owned(), format!("Description={title}")];
    if let Some(convoy) = &of.convoy {
        unit.push(format!("PartOf=samocode-convoy@{}.target", escape::name(convoy)?));
        service.push(format!("Slice={}", convoys::slice(convoy)?));
    }
    let text = format!(
        "# Generated by samocode. Do not edit: `samocode enable` overwrites it.\n{}\n\n{}\n",
        unit.join("\n"),
        service.join("\n")
    );
    let mut files = vec![UnitFile { path: drop_in(instance), text: for_version(&text, version) }];
    if of.uid.is_some() {
        for template in ["samocode-failed", "samocode-notices"] {
            let path = format!("{template}@{instance}.service.d/session.conf");
            files.push(UnitFile { path: PathBuf::from(path), text: failed.clone() });
        }
    }
    Ok(UnitSet { files })
}

/// Reads a drop-in written by [`session`]; `None` if it lacks the project or the session's folder.
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

#[cfg(test)]
mod tests;
