//! What a confined agent may reach. One table of grants decides; the cage, the explanations, the
//! words to the agent and the variables of tools all come from it.
//!
//! ```text
//! grants     the table                                   (pure)
//! network    whom it may connect to at the level strict
//! caches     where tools keep what they download         (pure)
//! calls      what its samocode leaves to its worker      (files)
//! explain    why a path is open or closed                (pure, resolves links)
//! refusals   what its output says it was refused     (looks at the files)
//! signing    commits are left unsigned                (pure)
//! words      what the agent and the human read            (pure)
//! ```

pub mod caches;
pub mod calls;
pub mod explain;
pub mod grants;
pub mod network;
pub mod refusals;
pub mod signing;
pub mod words;

use std::path::{Path, PathBuf};

use super::{Agent, Task};
use crate::config::Settings;
use crate::config::confine::{Confine, LEVEL, Level, SOCKETS};
use crate::platform::cage::{self, Cage};
use crate::platform::confinement::{
    self as platform, Access, CageError, Lack, Rule, Rules, Sockets, Support,
};
use crate::session::Phase;
use crate::session::store::Folder;

pub use explain::{Verdict, explain, explain_peer};
pub use grants::{Because, Grant, Place, Repository, table};
pub use network::{Network, Proxy};

/// The confinement of one run: its level, and what it grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// How closely.
    pub level: Level,
    /// The table.
    pub grants: Vec<Grant>,
    /// What the keys say.
    pub keys: Confine,
    /// The home folder of its user.
    pub home: PathBuf,
    /// The folder it starts in.
    pub work: PathBuf,
    /// What of the session's folder is not the agent's.
    pub kept: Vec<PathBuf>,
    /// Its own network, at the level strict.
    pub network: Option<Network>,
}

/// A cage to enter, and the proxy of its network; drop that when what is in the cage has ended.
#[derive(Debug)]
pub struct Closed {
    /// The cage.
    pub cage: Cage,
    /// The way out of its network, if it has one of its own.
    pub proxy: Option<Proxy>,
}

impl Confinement {
    /// The confinement in this place at a level; `None` at the level off.
    #[must_use]
    pub fn of(level: Level, keys: &Confine, place: &Place<'_>) -> Option<Self> {
        let confined = level != Level::Off;
        confined.then(|| {
            let session = place.session.map(Folder::new);
            let record = session.as_ref().map(Folder::readable_record).unwrap_or_default();
            let record = record.into_iter().map(|path| {
                let because = Because::Record;
                Grant { path, access: Access::Read, because }
            });
            Self {
                level,
                grants: table(place, keys).into_iter().chain(record).collect(),
                keys: keys.clone(),
                home: place.home.to_owned(),
                work: place.work.to_owned(),
                kept: session.as_ref().map(Folder::held).unwrap_or_default(),
                network: (level == Level::Strict)
                    .then(|| Network::of(&keys.connect, place.service.clone(), place.environment)),
            }
        })
    }

    /// Whether it has a view of its own on this host, with a `/tmp` of its own.
    #[must_use]
    pub fn has_view(&self, support: &Support) -> bool {
        !support.lacks.contains(&Lack::View) && !self.keys.any_socket
    }

    /// The rules for the cage.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let rule = |grant: &Grant| Rule { path: grant.path.clone(), access: grant.access };
        Rules {
            paths: self.grants.iter().map(rule).collect(),
            work: self.work.clone(),
            kept: self.kept.clone(),
            sockets: if self.keys.any_socket { Sockets::Any } else { Sockets::None },
            network: match &self.network {
                Some(network) => platform::Network::Own(network.listeners()),
                None => platform::Network::Host,
            },
        }
    }

    /// Builds the cage, and the folders of the shared cache and of the agent's settings, which it could
    /// not make itself, and starts the proxy of its network.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn close(&self) -> Result<Closed, CageError> {
        let is_made = |grant: &&Grant| matches!(grant.because, Because::Cache | Because::Login);
        for grant in self.grants.iter().filter(is_made) {
            std::fs::create_dir_all(&grant.path).map_err(|error| CageError {
                doing: format!("make the folder {}", grant.path.display()),
                why: error.to_string(),
            })?;
        }
        let mut cage = Cage::build(&self.rules())?;
        let handover = self.network.clone().zip(cage.take_handover());
        let proxy = handover.map(|(network, handover)| Proxy::serve(network, handover));
        let proxy = proxy.transpose().map_err(|error| CageError {
            doing: "start the proxy of the agent's network".to_owned(),
            why: error.to_string(),
        })?;
        Ok(Closed { cage, proxy })
    }
}

/// Whether a level cannot be kept without this.
#[must_use]
pub const fn needs(level: Level, lack: Lack) -> bool {
    match level {
        Level::Off => false,
        Level::Standard => matches!(lack, Lack::Files | Lack::Calls),
        Level::Strict => true,
    }
}

/// What a level leaves open on this host, a clause each.
fn missing(level: Level, support: &Support, is_needed: bool) -> String {
    let concerns = |lack: Lack| lack != Lack::Network || level == Level::Strict;
    let wanted = |lack: &Lack| concerns(*lack) && needs(level, *lack) == is_needed;
    let lacks = support.lacks.iter().copied().filter(wanted);
    lacks.map(Lack::describe).collect::<Vec<_>>().join("; ")
}

/// Why a level that somebody wrote down cannot be kept on this host, with the remedy; `None` if it
/// can, and if nobody did.
#[must_use]
pub fn obstacle(keys: &Confine, support: &Support) -> Option<String> {
    if keys.level == Level::Strict && keys.any_socket {
        let strict = Level::Strict;
        return Some(format!(
            "{LEVEL}={strict} and {SOCKETS}=any exclude each other: through a socket an agent reaches any network; \
             remove one of them"
        ));
    }
    let missing = missing(keys.level, support, true);
    (keys.demanded && !missing.is_empty()).then(|| {
        let level = keys.level;
        format!(
            "{LEVEL}={level} is not possible on this host: {missing}; or set a level that is, as in {LEVEL}=off"
        )
    })
}

/// The level that holds on this host: the default is off where it cannot be kept.
#[must_use]
pub fn level(keys: &Confine, support: &Support) -> Level {
    let kept = keys.demanded || (cage::BY_DEFAULT && missing(keys.level, support, true).is_empty());
    if kept { keys.level } else { Level::Off }
}

/// Whether agents are confined in any phase on this host.
#[must_use]
pub fn is_used(settings: &Settings) -> bool {
    let mut all = Phase::ALL.map(|phase| settings.confine(phase)).into_iter();
    all.any(|keys| keys.level != Level::Off && level(keys, &support(keys.level)) != Level::Off)
}

/// How agents are confined on this host, for the journal and the human: the level and what holds
/// it, then what the level leaves open here.
#[must_use]
pub fn describe(keys: &Confine, support: &Support) -> String {
    let level = level(keys, support);
    if level == Level::Off {
        return match missing(keys.level, support, true) {
            _ if keys.demanded => level.to_string(),
            missing if missing.is_empty() => {
                format!("{level} by default; {LEVEL}={} confines agents", Level::Standard)
            }
            missing => format!("{level}: {missing}"),
        };
    }
    let open = missing(level, support, false);
    let open = if open.is_empty() { open } else { format!("; {open}") };
    format!("{level} ({}){open}", support.by)
}

/// Whether keys of the project's open a folder, or something in it.
#[must_use]
pub fn is_opened(keys: &Confine, folder: &Path) -> bool {
    let mut opened = keys.read.iter().chain(&keys.write);
    opened.any(|path| path.starts_with(folder) || folder.starts_with(path))
}

/// What this host can hold, as far as it matters to a level.
#[must_use]
pub fn support(level: Level) -> Support {
    cage::support(&match level {
        Level::Strict => platform::Network::Own(Vec::new()),
        Level::Off | Level::Standard => platform::Network::Host,
    })
}

/// The files that an agent's command line names.
#[must_use]
pub fn named_files(agent: &Agent) -> Vec<PathBuf> {
    let args = agent.launch(&Task::default()).args;
    args.into_iter().map(PathBuf::from).filter(|arg| arg.is_absolute() && arg.is_file()).collect()
}

/// A path without links and dots, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn support(lacks: &[Lack]) -> Support {
        Support { by: "Landlock 2, seccomp".to_owned(), lacks: lacks.to_vec() }
    }

    fn keys(level: Level, demanded: bool) -> Confine {
        Confine { level, demanded, ..Confine::default() }
    }

    #[test]
    fn a_level_that_is_written_down_and_cannot_be_kept_is_an_obstacle_with_its_remedy() {
        let old = support(&[Lack::Signals, Lack::Network]);
        let none = support(&[Lack::Files]);
        assert_eq!(obstacle(&keys(Level::Off, true), &none), None);
        assert_eq!(obstacle(&keys(Level::Standard, true), &old), None);
        let why = obstacle(&keys(Level::Strict, true), &old).unwrap();
        assert!(
            why.contains("user namespaces") && why.contains("SAMOCODE_CONFINE=strict"),
            "{why}"
        );
        let why = obstacle(&keys(Level::Standard, true), &none).unwrap();
        assert!(why.contains("SAMOCODE_CONFINE=off"), "{why}");
        assert_eq!(obstacle(&keys(Level::Strict, true), &support(&[])), None);
        let any = Confine { any_socket: true, ..keys(Level::Strict, true) };
        assert!(obstacle(&any, &support(&[])).unwrap().contains("SAMOCODE_ALLOW_SOCKETS=any"));
    }

    #[test]
    fn the_default_takes_what_the_host_has_and_says_what_is_missing() {
        let (default, none) = (keys(Level::Standard, false), support(&[Lack::Files]));
        assert_eq!(obstacle(&default, &none), None);
        assert_eq!(level(&default, &none), Level::Off);
        let text = describe(&default, &none);
        assert!(text.starts_with("off: access to files cannot be restricted"), "{text}");
        assert_eq!(level(&keys(Level::Standard, true), &none), Level::Standard);
        let kept = if cage::BY_DEFAULT { Level::Standard } else { Level::Off };
        assert_eq!(level(&default, &support(&[Lack::Signals])), kept);
    }

    #[test]
    fn what_a_level_leaves_open_on_this_host_is_said() {
        let standard = keys(Level::Standard, true);
        assert_eq!(describe(&keys(Level::Off, true), &support(&[Lack::Files])), "off");
        assert_eq!(describe(&standard, &support(&[])), "standard (Landlock 2, seccomp)");
        assert_eq!(
            describe(&standard, &support(&[Lack::Network])),
            "standard (Landlock 2, seccomp)"
        );
        let text = describe(&standard, &support(&[Lack::Signals]));
        assert!(text.starts_with("standard (Landlock 2, seccomp); signals"), "{text}");
    }
}
