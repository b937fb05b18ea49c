//! Why a path is open or closed to a confined agent.

use std::path::Path;

use super::grants::{Because, Grant};
use super::{Confinement, resolved};
use crate::config::confine::{CONNECT, READ};
use crate::config::peers::{Peer, listed};
use crate::platform::cage::places::HIDDEN;
use crate::platform::confinement::Access;

/// Whether something is open to a confined agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be used like this, for this reason.
    Open(Access, String),
    /// It is closed; this key would open it, with this value.
    Closed {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
}

impl Verdict {
    /// The verdict in one sentence, to follow what it is about.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Open(Access::Read, why) => format!("may be read and executed: {why}"),
            Self::Open(Access::Device, why) => format!("may be used: {why}"),
            Self::Open(Access::Write, why) => format!("may be written: {why}"),
            Self::Closed { key, value } => format!("is closed; {key}={value} opens it"),
        }
    }
}

/// Whether a path is open: the widest of the grants that cover it.
#[must_use]
pub fn explain(grants: &[Grant], path: &Path) -> Verdict {
    let path = resolved(path);
    let covering = grants.iter().filter(|grant| covers(grant, &path));
    match covering.max_by_key(|grant| grant.access) {
        Some(grant) => Verdict::Open(grant.access, grant.because.describe()),
        None => Verdict::Closed { key: READ, value: path.display().to_string() },
    }
}

/// Whether a grant is about a path, which has no links in it.
pub(super) fn covers(grant: &Grant, path: &Path) -> bool {
    let granted = resolved(&grant.path);
    let is_hidden = |folder: &&str| path.starts_with(folder) && !granted.starts_with(folder);
    path.starts_with(&granted) && !HIDDEN.iter().any(is_hidden)
}

/// Whether a host is open, at a port or at those of the web.
#[must_use]
pub fn explain_peer(confinement: &Confinement, peer: &Peer) -> Verdict {
    let Some(network) = &confinement.network else {
        let why = format!("the network is open at the level {}", confinement.level);
        return Verdict::Open(Access::Device, why);
    };
    let open = match peer {
        Peer::Host { name, port } => {
            let port = port.unwrap_or(443);
            network.trust(name, port).map(|_| network.is_service(name, port))
        }
        entry => network.peers().any(|known| known == entry).then_some(false),
    };
    match open {
        Some(true) => Verdict::Open(Access::Device, "the agent's own service".to_owned()),
        Some(false) => Verdict::Open(Access::Device, Because::Key(CONNECT).describe()),
        None => {
            let all = [confinement.keys.connect.as_slice(), std::slice::from_ref(peer)].concat();
            Verdict::Closed { key: CONNECT, value: listed(&all) }
        }
    }
}
