//! The peers that a strictly confined agent may connect to, as `SAMOCODE_ALLOW_CONNECT` names them.

use std::fmt;
use std::net::IpAddr;

/// The ports of a host that is named without one.
const WEB: [u16; 2] = [443, 80];

/// The word for [`Peer::Registries`].
const REGISTRIES: &str = "registries";

/// Where package managers download from: cargo, npm, yarn, pip, go, Maven, Gradle and Bundler.
pub const HOSTS_OF_REGISTRIES: &[&str] = &[
    "index.crates.io",
    "static.crates.io",
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "pypi.org",
    "files.pythonhosted.org",
    "proxy.golang.org",
    "sum.golang.org",
    "repo.maven.apache.org",
    "repo1.maven.org",
    "plugins.gradle.org",
    "plugins-artifacts.gradle.org",
    "services.gradle.org",
    "rubygems.org",
    "index.rubygems.org",
];

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// The package registries of common tools.
    Registries,
    /// Any public host, at this port.
    Port(u16),
    /// One host.
    Host {
        /// In lower case; an address without brackets.
        name: String,
        /// `None` for the ports of the web.
        port: Option<u16>,
    },
    /// All public hosts below this name.
    Below {
        /// The name, without `*.`.
        name: String,
        /// `None` for the ports of the web.
        port: Option<u16>,
    },
}

/// How far an entry is trusted that lets a connection through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// It names no single host: only addresses of the public internet.
    Public,
    /// Somebody named this very host: whatever its address is.
    Named,
}

impl Peer {
    /// Reads an entry: `registries`, `443`, `example.org`, `example.org:8443`, `*.example.org`,
    /// `10.0.0.7:5432` or `[::1]:5432`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case(REGISTRIES) {
            return Some(Self::Registries);
        }
        let number = |text: &str| text.parse().ok().filter(|port: &u16| *port > 0);
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return number(text).map(Self::Port);
        }
        let is_bare = text.parse::<IpAddr>().is_ok();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !is_bare => (host, Some(number(port)?)),
            _ => (text, None),
        };
        let (is_below, host) = match host.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, host),
        };
        let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if !is_host(&name) {
            return None;
        }
        Some(if is_below { Self::Below { name, port } } else { Self::Host { name, port } })
    }

    /// Reads entries with commas or spaces between them, or `none`.
    #[must_use]
    pub fn parse_list(text: &str) -> Option<Vec<Self>> {
        if text.eq_ignore_ascii_case(super::confine::NONE) {
            return Some(Vec::new());
        }
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        let peers: Option<Vec<Self>> = words.map(Self::parse).collect();
        peers.filter(|peers| !peers.is_empty())
    }

    /// Whether this entry lets a connection to a host, in lower case, through, and how far it is
    /// trusted.
    #[must_use]
    pub fn allows(&self, host: &str, port: u16) -> Option<Trust> {
        let is_open = |own: &Option<u16>| own.map_or(WEB.contains(&port), |own| own == port);
        match self {
            Self::Registries => {
                (HOSTS_OF_REGISTRIES.contains(&host) && port == WEB[0]).then_some(Trust::Public)
            }
            Self::Port(own) => (*own == port).then_some(Trust::Public),
            Self::Host { name, port } => (name == host && is_open(port)).then_some(Trust::Named),
            Self::Below { name, port } => {
                let below = host.strip_suffix(name.as_str());
                let is_below = below.is_some_and(|rest| rest.ends_with('.') && rest.len() > 1);
                (is_below && is_open(port)).then_some(Trust::Public)
            }
        }
    }

    /// The port on the loopback interface that this entry opens, if it opens one.
    #[must_use]
    pub fn local(&self) -> Option<u16> {
        match self {
            Self::Host { name, port } if is_local(name) => *port,
            _ => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stars, name, port) = match self {
            Self::Registries => return f.write_str(REGISTRIES),
            Self::Port(port) => return write!(f, "{port}"),
            Self::Host { name, port } => ("", name, port),
            Self::Below { name, port } => ("*.", name, port),
        };
        match port {
            Some(port) if name.contains(':') => write!(f, "[{name}]:{port}"),
            Some(port) => write!(f, "{stars}{name}:{port}"),
            None => write!(f, "{stars}{name}"),
        }
    }
}

/// The entries as they are written.
#[must_use]
pub fn listed(peers: &[Peer]) -> String {
    if peers.is_empty() {
        return super::confine::NONE.to_owned();
    }
    peers.iter().map(Peer::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether a host is this machine itself.
#[must_use]
pub fn is_local(host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

/// Whether this can be the name or the address of a host.
fn is_host(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_letter);
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(list: &str, host: &str, port: u16) -> Option<Trust> {
        let peers = Peer::parse_list(list).unwrap();
        peers.iter().filter_map(|peer| peer.allows(host, port)).max()
    }

    #[test]
    fn entries_are_written_as_they_are_read() {
        for text in [
            "registries",
            "443",
            "example.org",
            "example.org:8443",
            "*.example.org",
            "*.example.org:22",
            "10.0.0.7:5432",
            "[::1]:5432",
            "fe80::1",
            "localhost:4000",
        ] {
            assert_eq!(Peer::parse(text).map(|peer| peer.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Peer::parse("Example.ORG."), Peer::parse("example.org"));
        assert_eq!(listed(&Peer::parse_list("443 80,registries").unwrap()), "443, 80, registries");
        assert_eq!(listed(&Peer::parse_list("none").unwrap()), "none");
    }

    #[test]
    fn what_is_no_peer_is_refused() {
        for text in [
            "",
            "0",
            "65536",
            "a:0",
            "a:b",
            "https://example.org",
            "a b",
            "*",
            "*.",
            ".org",
            "a..b",
            "a/b",
            "[::1",
            "443,",
            "exa mple",
        ] {
            assert_eq!(Peer::parse(text), None, "{text}");
        }
        assert_eq!(Peer::parse_list(" , "), None);
        assert_eq!(Peer::parse_list("443, https://x"), None);
    }

    #[test]
    fn a_named_host_is_trusted_and_whoever_comes_by_a_pattern_only_in_public() {
        assert_eq!(allowed("example.org", "example.org", 443), Some(Trust::Named));
        assert_eq!(allowed("example.org", "example.org", 80), Some(Trust::Named));
        assert_eq!(allowed("example.org", "example.org", 22), None);
        assert_eq!(allowed("example.org", "www.example.org", 443), None);
        assert_eq!(allowed("example.org:22", "example.org", 443), None);
        assert_eq!(allowed("*.example.org", "a.b.example.org", 443), Some(Trust::Public));
        assert_eq!(allowed("*.example.org", "example.org", 443), None);
        assert_eq!(allowed("*.example.org", "evilexample.org", 443), None);
        assert_eq!(allowed("443", "example.org", 443), Some(Trust::Public));
        assert_eq!(allowed("443, example.org", "example.org", 443), Some(Trust::Named));
        assert_eq!(allowed("registries", "static.crates.io", 443), Some(Trust::Public));
        assert_eq!(allowed("registries", "static.crates.io", 80), None);
        assert_eq!(allowed("registries", "example.org", 443), None);
        assert_eq!(allowed("none", "example.org", 443), None);
    }

    #[test]
    fn ports_of_this_machine_are_known() {
        let local = |text: &str| Peer::parse(text).unwrap().local();
        assert_eq!(local("localhost:4000"), Some(4000));
        assert_eq!(local("127.0.0.1:4000"), Some(4000));
        assert_eq!(local("[::1]:4000"), Some(4000));
        assert_eq!(local("localhost"), None);
        assert_eq!(local("example.org:4000"), None);
        assert_eq!(local("4000"), None);
    }
}
