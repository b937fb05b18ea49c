//! The network of a strictly confined agent: one of its own, out of which only a proxy leads, and the
//! proxy lets through whom the list names. Names are looked up outside, so nothing leaves by DNS
//! either. What is encrypted stays so: the proxy sees the host, not what is said.
//!
//! ```text
//! request    what a client asks of the proxy         (pure)
//! address    which addresses are public              (pure)
//! upstream   the proxies that the human's settings name
//! proxy      serves it, on a thread of its own
//! ```

mod address;
pub mod proxy;
mod request;
mod upstream;

use std::ffi::OsStr;

use crate::agent::Environment;
use crate::config::peers::{Peer, Trust};
use crate::config::{AgentManifest, Env};

pub use proxy::Proxy;
use upstream::Upstream;

/// The proxy's usual port (that of Squid). Any would do: nobody else is in that network.
const PORT: u16 = 3128;

/// The variables that programs read a proxy from.
const VARIABLES: [&str; 6] =
    ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// The variables with the hosts to which no proxy leads.
const DIRECT: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// Node looks at these variables only if this one is set, since version 24.
const OF_NODE: &str = "NODE_USE_ENV_PROXY";

/// The network of a strictly confined agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Whom the key names.
    connect: Vec<Peer>,
    /// The agent's own service.
    service: Vec<Peer>,
    upstream: Upstream,
}

impl Network {
    /// The network of an agent in this environment.
    #[must_use]
    pub fn of(connect: &[Peer], service: Vec<Peer>, environment: &Environment) -> Self {
        let upstream = Upstream::of(environment);
        Self { connect: connect.to_vec(), service, upstream }
    }

    /// Whether a connection is let through, and how far its host is trusted.
    #[must_use]
    pub fn trust(&self, host: &str, port: u16) -> Option<Trust> {
        self.peers().filter_map(|peer| peer.allows(host, port)).max()
    }

    /// Whether a connection is let through because the agent's own service is there.
    #[must_use]
    pub fn is_service(&self, host: &str, port: u16) -> bool {
        self.service.iter().any(|peer| peer.allows(host, port).is_some())
    }

    /// All that it lets through: what the key names, then the agent's own service.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.connect.iter().chain(&self.service)
    }

    /// The ports of its loopback interface at which the outside accepts connections: the proxy's, then
    /// those that lead to the same port of this machine.
    #[must_use]
    pub fn listeners(&self) -> Vec<u16> {
        let mut local: Vec<u16> = self.peers().filter_map(Peer::local).collect();
        local.sort_unstable();
        local.dedup();
        let proxy = (PORT..).find(|port| !local.contains(port)).unwrap_or(PORT);
        [proxy].into_iter().chain(local).collect()
    }

    /// Points programs to the proxy, also those with a variable of their own. Its own servers at
    /// localhost are reached directly.
    pub fn redirect(&self, environment: &mut Environment) {
        let names = VARIABLES.into_iter().chain(DIRECT).chain([OF_NODE]);
        let names: Vec<&str> = names.collect();
        environment.retain(|(name, _)| !names.iter().any(|known| name == known));
        let proxy = format!("http://127.0.0.1:{}", self.listeners()[0]);
        let of_programs = environment.iter_mut().filter(|(name, _)| is_of_proxy(name));
        of_programs.for_each(|(_, value)| *value = proxy.clone().into());
        for name in VARIABLES {
            environment.push((name.into(), proxy.clone().into()));
        }
        for name in DIRECT {
            environment.push((name.into(), "localhost,127.0.0.1,::1".into()));
        }
        environment.push((OF_NODE.into(), "1".into()));
    }
}

/// The peers that an agent's own service consists of: the hosts that its spec names, and those in the
/// addresses that the human's variables give it.
#[must_use]
pub fn service(manifest: &AgentManifest, environment: &Environment) -> Vec<Peer> {
    let hosts = manifest.credentials.hosts.iter().filter_map(|host| Peer::parse(host));
    let routes = |name: &str| {
        manifest.credentials.base_url == name
            || manifest.variables.routes.iter().any(|prefix| name.starts_with(prefix))
    };
    let addresses = environment.iter().filter_map(|(name, value)| {
        // Whoever may speak to a proxy reaches whatever that reaches.
        (routes(name.to_str()?) && !is_of_proxy(name)).then_some(())?;
        peer_of(value.to_str()?)
    });
    hosts.chain(addresses).collect()
}

/// The environment of an agent for a process outside of its network, where its proxy is not: with the
/// human's own proxies.
pub fn outside<'a>(
    environment: &'a Environment,
    own: &'a Env,
) -> impl Iterator<Item = (&'a OsStr, &'a OsStr)> {
    let inside = environment.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
    let own = own.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    let of_proxies = own.filter(|(name, _): &(&OsStr, &OsStr)| is_of_proxy(name));
    inside.filter(|(name, _)| !is_of_proxy(name)).chain(of_proxies)
}

/// Whether a variable names a proxy, as `CLAUDE_CODE_HTTPS_PROXY` and `npm_config_proxy` do, or hosts
/// that need none.
fn is_of_proxy(name: &OsStr) -> bool {
    name.to_ascii_lowercase().to_str().is_some_and(|name| name.ends_with("_proxy"))
}

/// The host and port of an address for requests.
fn peer_of(address: &str) -> Option<Peer> {
    let url = reqwest::Url::parse(address.trim()).ok()?;
    let port = url.port_or_known_default()?;
    let host = url.host_str()?;
    let is_web = matches!(url.scheme(), "http" | "https" | "ws" | "wss");
    is_web.then(|| Peer::parse(&format!("{host}:{port}"))).flatten()
}

/// A host in the form in which it is compared: lower case, without brackets and a last dot.
fn host_of(text: &str) -> String {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let bare = bare.trim_end_matches('.').to_ascii_lowercase();
    match bare.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => bare,
    }
}

#[cfg(test)]
mod tests;
