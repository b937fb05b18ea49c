//! How an agent is confined, as `SAMOCODE_CONFINE` and the `SAMOCODE_ALLOW_` keys say.

use std::fmt;
use std::path::PathBuf;

use super::dirs;
use super::layers::{Layers, Rank};
use super::peers::Peer;
use super::{Error, keys};
use crate::session::Phase;

/// How closely an agent is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum Level {
    /// Not at all: it may do what its user may.
    Off,
    /// Files, system calls, signals and UNIX sockets; the network is open.
    #[default]
    Standard,
    /// The same, with a network of its own: only the peers that are named.
    Strict,
}

impl Level {
    /// The level as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Standard => "standard",
            Self::Strict => "strict",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::Off, Self::Standard, Self::Strict];
        all.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How an agent is confined in one phase.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confine {
    /// `SAMOCODE_CONFINE`.
    pub level: Level,
    /// Whether somebody wrote the level down: then it is a demand, and nothing runs without it. The
    /// default takes what the host has.
    pub demanded: bool,
    /// `SAMOCODE_ALLOW_READ`: what else it may read and execute.
    pub read: Vec<PathBuf>,
    /// `SAMOCODE_ALLOW_WRITE`: what else it may write.
    pub write: Vec<PathBuf>,
    /// `SAMOCODE_ALLOW_CONNECT`: whom it may connect to at the level strict, besides its own service.
    pub connect: Vec<Peer>,
    /// `SAMOCODE_ALLOW_SOCKETS`: whether it may use any UNIX socket.
    pub any_socket: bool,
}

/// The key of the level.
pub const LEVEL: &str = "SAMOCODE_CONFINE";
/// The key of what may be read.
pub const READ: &str = "SAMOCODE_ALLOW_READ";
/// The key of what may be written.
pub const WRITE: &str = "SAMOCODE_ALLOW_WRITE";
/// The key of peers.
pub const CONNECT: &str = "SAMOCODE_ALLOW_CONNECT";
/// The key of UNIX sockets.
pub const SOCKETS: &str = "SAMOCODE_ALLOW_SOCKETS";

/// Whether a variable says how agents are confined, in all phases or in one.
#[must_use]
pub fn is_of_confinement(name: &str) -> bool {
    let all = [LEVEL, READ, WRITE, CONNECT, SOCKETS];
    all.iter().any(|key| {
        name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

/// Reads the keys for every phase.
pub(super) fn by_phase(layers: &Layers<'_>) -> Result<[Confine; Phase::ALL.len()], Error> {
    let levels = layers.by_phase(LEVEL, |name| {
        layers.read(name, |setting| {
            let level = Level::parse(&setting.text).ok_or_else(|| keys::Kind::Confine.allowed())?;
            Ok((level, setting.rank != Rank::Default))
        })
    })?;
    let read = layers.by_phase(READ, |name| folders(layers, name))?;
    let write = layers.by_phase(WRITE, |name| folders(layers, name))?;
    let connect = layers.by_phase(CONNECT, |name| layers.value(name, Peer::parse_list))?;
    let sockets = layers.by_phase(SOCKETS, |name| layers.value(name, any_socket))?;
    Ok(std::array::from_fn(|phase| Confine {
        level: levels[phase].0,
        demanded: levels[phase].1,
        read: read[phase].clone(),
        write: write[phase].clone(),
        connect: connect[phase].clone(),
        any_socket: sockets[phase],
    }))
}

/// Paths with `:` between them, like those of PATH. A relative one starts at the file's folder.
fn folders(layers: &Layers<'_>, name: &str) -> Result<Vec<PathBuf>, Error> {
    layers.read(name, |setting| {
        if setting.text.eq_ignore_ascii_case(NONE) {
            return Ok(Vec::new());
        }
        let home = Some(layers.dirs.home.as_path());
        let paths = setting.text.split(':').map(str::trim).filter(|path| !path.is_empty());
        paths
            .map(|path| dirs::expand(path, &setting.base, home))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| keys::Kind::Paths.allowed())
    })
}

/// The word for an empty list.
pub(super) const NONE: &str = "none";

fn any_socket(text: &str) -> Option<bool> {
    [(NONE, false), ("any", true)]
        .into_iter()
        .find_map(|(word, any)| text.eq_ignore_ascii_case(word).then_some(any))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::peers::listed;
    use crate::config::vocabulary::sample;
    use crate::config::{Env, Flags, Settings};
    use crate::session::Hint as _;

    fn settings(set: &[(&'static str, &str)]) -> Result<Settings, Error> {
        let home = tempfile::tempdir().unwrap();
        let mut env = Env::default();
        env.set("HOME", home.path());
        let flags = set.iter().fold(Flags::default(), |flags, (key, value)| {
            flags.with("--set", *key, (*value).to_owned())
        });
        Settings::load(&sample::vocabulary(), None, &env, &flags)
    }

    #[test]
    fn a_default_is_no_demand() {
        let settings = settings(&[]).unwrap();
        for phase in Phase::ALL {
            let confine = settings.confine(phase);
            assert_eq!((confine.level, confine.demanded), (Level::Standard, false));
            assert_eq!(
                (confine.read.len(), confine.write.len(), confine.any_socket),
                (0, 0, false)
            );
            assert_eq!(confine.connect, [Peer::Registries]);
        }
    }

    #[test]
    fn a_level_and_what_is_allowed_may_differ_by_phase() {
        let settings = settings(&[
            (LEVEL, "Standard"),
            ("SAMOCODE_CONFINE_TESTING", "strict"),
            (READ, "/data: /etc/models"),
            (WRITE, "/var/cache/x"),
            (CONNECT, "example.org, 5432"),
            ("SAMOCODE_ALLOW_SOCKETS_TESTING", "any"),
        ])
        .unwrap();
        let (work, testing) =
            (settings.confine(Phase::Implementation), settings.confine(Phase::Testing));
        assert_eq!((work.level, testing.level), (Level::Standard, Level::Strict));
        assert!(work.demanded && testing.demanded);
        assert_eq!((work.any_socket, testing.any_socket), (false, true));
        assert_eq!(work.read, [PathBuf::from("/data"), PathBuf::from("/etc/models")]);
        assert_eq!(work.write, [PathBuf::from("/var/cache/x")]);
        assert_eq!(listed(&testing.connect), "example.org, 5432");
    }

    #[test]
    fn a_value_that_is_not_understood_is_refused_with_those_that_are() {
        for (key, value, hint) in [
            (LEVEL, "strickt", "off, standard or strict"),
            (CONNECT, "https://example.org", "hosts, ports"),
            (CONNECT, "443, 99999", "hosts, ports"),
            (CONNECT, "0", "hosts, ports"),
            (SOCKETS, "/run/x", "none or any"),
        ] {
            let error = settings(&[(key, value)]).unwrap_err().in_one_line();
            assert!(error.contains(key) && error.contains(hint), "{key}={value}: {error}");
        }
    }
}
