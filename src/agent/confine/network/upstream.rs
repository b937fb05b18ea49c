//! The proxies that the human's own settings name, which the proxy goes through in turn.

use std::fmt;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

use crate::agent::{Environment, variable};

/// The proxies for requests in the clear and for tunnels, and the hosts that need none.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Upstream {
    http: Option<String>,
    https: Option<String>,
    direct: Vec<String>,
}

/// A proxy to go through.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of `Proxy-Authorization`, if it wants one.
    pub(super) authorization: Option<String>,
}

impl Upstream {
    /// Reads the usual variables, lower case first.
    pub(super) fn of(environment: &Environment) -> Self {
        let first = |names: [&str; 4]| {
            let values = names.into_iter().filter_map(|name| variable(environment, name)?.to_str());
            values.map(str::trim).find(|value| !value.is_empty()).map(str::to_owned)
        };
        let direct = first(["no_proxy", "NO_PROXY", "", ""]).unwrap_or_default();
        Self {
            http: first(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            https: first(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            direct: direct
                .split([',', ' '])
                .map(|entry| {
                    entry.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase()
                })
                .filter(|entry| !entry.is_empty() || direct.trim() == "*")
                .collect(),
        }
    }

    /// The proxy to go through to a host, if there is one for it.
    ///
    /// # Errors
    /// If the address of the proxy is none, or it does not speak HTTP.
    pub(super) fn hop(&self, host: &str, is_tunnel: bool) -> io::Result<Option<Hop>> {
        let address = if is_tunnel { &self.https } else { &self.http };
        let Some(address) = address else { return Ok(None) };
        if self.is_direct(host) {
            return Ok(None);
        }
        let full =
            if address.contains("://") { address.clone() } else { format!("http://{address}") };
        let url = Url::parse(&full).ok().filter(|url| url.scheme() == "http");
        let hop = url.and_then(|url| {
            let plain = |text: &str| percent_decoded(text);
            let user = plain(url.username());
            let password = plain(url.password().unwrap_or_default());
            let pair = STANDARD.encode(format!("{user}:{password}"));
            Some(Hop {
                host: url.host_str()?.trim_matches(['[', ']']).to_owned(),
                port: url.port_or_known_default()?,
                authorization: (!user.is_empty()).then(|| format!("Basic {pair}")),
            })
        });
        hop.map(Some).ok_or_else(|| {
            io::Error::other("HTTPS_PROXY is not of the form http://HOST:PORT, which a strictly confined agent needs")
        })
    }

    fn is_direct(&self, host: &str) -> bool {
        self.direct.iter().any(|entry| {
            let above = host.strip_suffix(entry.as_str());
            above.is_some_and(|rest| rest.is_empty() || rest.ends_with('.') || entry.is_empty())
        })
    }
}

fn percent_decoded(text: &str) -> String {
    let pairs = format!("a={}", text.replace('+', "%2B"));
    let mut pairs = form_urlencoded::parse(pairs.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Passwords stay out.
impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |address: &Option<String>| address.is_some();
        let Self { http, https, direct } = self;
        write!(f, "Upstream {{ http: {}, https: {}, direct: {direct:?} }}", has(http), has(https))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Upstream {
        Upstream::of(&variables.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    #[test]
    fn the_humans_proxy_is_gone_through_except_for_hosts_that_need_none() {
        let upstream = of(&[
            ("HTTPS_PROXY", "http://bob:a%20b@proxy.example:3129"),
            ("NO_PROXY", ".corp.example, 10.0.0.7,*.intern"),
        ]);
        let hop = upstream.hop("example.org", true).unwrap().unwrap();
        assert_eq!((hop.host.as_str(), hop.port), ("proxy.example", 3129));
        assert_eq!(hop.authorization.as_deref(), Some("Basic Ym9iOmEgYg=="));
        assert!(upstream.hop("example.org", false).unwrap().is_none());
        for direct in ["corp.example", "git.corp.example", "10.0.0.7", "a.intern"] {
            assert!(upstream.hop(direct, true).unwrap().is_none(), "{direct}");
        }
        assert!(upstream.hop("evilcorp.example", true).unwrap().is_some());
        assert!(!format!("{upstream:?}").contains("a%20b"));
    }

    #[test]
    fn all_may_be_direct_and_a_proxy_that_is_none_is_said() {
        let none = of(&[("https_proxy", "proxy:3128"), ("no_proxy", "*")]);
        assert!(none.hop("example.org", true).unwrap().is_none());
        let short = of(&[("all_proxy", "proxy:3128")]);
        assert_eq!(short.hop("example.org", false).unwrap().unwrap().port, 3128);
        for wrong in ["socks5://proxy:1080", "https://proxy", "http://"] {
            assert!(of(&[("https_proxy", wrong)]).hop("example.org", true).is_err(), "{wrong}");
        }
    }
}
