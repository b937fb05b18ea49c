//! What a confined agent may reach. One table of grants decides; the cage, the explanations, the
//! words to the agent and the variables of tools all come from it.
//!
//! ```text
//! grants     the table                                   (pure)
//! caches     where tools keep what they download         (pure)
//! explain    why a path is open or closed                (pure, resolves links)
//! words      what the agent and the human are told       (pure)
//! ```

pub mod caches;
pub mod explain;
pub mod grants;
pub mod words;

use std::path::{Path, PathBuf};

use super::{Agent, Task};
use crate::config::confine::{Confine, LEVEL, Level};
use crate::platform::cage::{self, Cage};
use crate::platform::confinement::{CageError, Lack, Rule, Rules, Sockets, Support};

pub use explain::{Verdict, explain, explain_port};
pub use grants::{Because, Grant, Place, Repository, table};

/// The confinement of one run: its level, and what it grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// How closely.
    pub level: Level,
    /// The table.
    pub grants: Vec<Grant>,
    /// What the keys say.
    pub keys: Confine,
}

impl Confinement {
    /// The confinement of an agent in this place; `None` at the level off.
    #[must_use]
    pub fn of(keys: &Confine, place: &Place<'_>) -> Option<Self> {
        let confined = keys.level != Level::Off;
        confined.then(|| Self { level: keys.level, grants: table(place, keys), keys: keys.clone() })
    }

    /// The rules for the cage.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let rule = |grant: &Grant| Rule { path: grant.path.clone(), access: grant.access };
        Rules {
            paths: self.grants.iter().map(rule).collect(),
            sockets: if self.keys.any_socket { Sockets::Any } else { Sockets::None },
            ports: (self.level == Level::Strict).then(|| self.keys.ports.clone()),
        }
    }

    /// Builds the cage, and the folder of the shared cache.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn cage(&self) -> Result<Cage, CageError> {
        for grant in self.grants.iter().filter(|grant| grant.because == Because::Cache) {
            std::fs::create_dir_all(&grant.path).map_err(|error| CageError {
                doing: format!("make the agents' cache {}", grant.path.display()),
                why: error.to_string(),
            })?;
        }
        Cage::build(&self.rules())
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

/// Why this host cannot keep a level, with the remedy; `None` if it can.
#[must_use]
pub fn obstacle(level: Level, support: &Support) -> Option<String> {
    let missing: Vec<_> = support
        .lacks
        .iter()
        .filter(|lack| needs(level, **lack))
        .map(|lack| lack.describe())
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "{LEVEL}={level} cannot be kept on this host: {}; or set a level that it can keep, as in {LEVEL}=off",
            missing.join("; ")
        )
    })
}

/// How agents are confined on this host, for the journal and the human: the level and what holds
/// it, then what the level leaves open here.
#[must_use]
pub fn describe(level: Level, support: &Support) -> String {
    if level == Level::Off {
        return level.to_string();
    }
    let open: Vec<_> = support.lacks.iter().map(|lack| lack.describe()).collect();
    let open = if open.is_empty() { String::new() } else { format!("; {}", open.join("; ")) };
    format!("{level} ({}){open}", support.by)
}

/// What this host can hold.
#[must_use]
pub fn support() -> Support {
    cage::support()
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

    #[test]
    fn a_level_that_the_host_cannot_keep_is_an_obstacle_with_its_remedy() {
        let old = support(&[Lack::Signals, Lack::Ports]);
        assert_eq!(obstacle(Level::Off, &support(&[Lack::Files])), None);
        assert_eq!(obstacle(Level::Standard, &old), None);
        let why = obstacle(Level::Strict, &old).unwrap();
        assert!(why.contains("6.7") && why.contains("SAMOCODE_CONFINE=strict"), "{why}");
        let why = obstacle(Level::Standard, &support(&[Lack::Files])).unwrap();
        assert!(why.contains("SAMOCODE_CONFINE=off"), "{why}");
        assert_eq!(obstacle(Level::Strict, &support(&[])), None);
    }

    #[test]
    fn what_a_level_leaves_open_on_this_host_is_said() {
        assert_eq!(describe(Level::Off, &support(&[Lack::Files])), "off");
        assert_eq!(describe(Level::Standard, &support(&[])), "standard (Landlock 2, seccomp)");
        let text = describe(Level::Standard, &support(&[Lack::Signals]));
        assert!(text.starts_with("standard (Landlock 2, seccomp); signals"), "{text}");
    }
}
