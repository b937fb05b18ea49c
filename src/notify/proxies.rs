//! The proxies that notices go through.

use std::fmt;

use reqwest::{ClientBuilder, NoProxy, Proxy};

use super::NotifyError;
use crate::config::Secret;

/// The proxies to use. Nothing is read from the environment behind the caller's back.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http://` addresses. May contain a password, as may `https`.
    pub http: Option<Secret>,
    /// For `https://` addresses, which the Bot API uses.
    pub https: Option<Secret>,
    /// Hosts to reach directly, separated by commas.
    pub none_for: Option<String>,
}

impl Proxies {
    /// Reads the usual variables (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, lower case
    /// first) through `look_up`; an empty value means no proxy.
    pub fn from_variables(look_up: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| look_up(name).filter(|value| !value.trim().is_empty()))
        };
        let secret = |names: &[&str]| first(names).map(|value| Secret::new(&value));
        Self {
            http: secret(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            https: secret(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            none_for: first(&["no_proxy", "NO_PROXY"]),
        }
    }

    /// Adds the proxy for addresses of this scheme. Redirects are not followed, so no other scheme
    /// is needed.
    pub(super) fn apply(
        &self,
        builder: ClientBuilder,
        scheme: &str,
        label: &str,
    ) -> Result<ClientBuilder, NotifyError> {
        let (url, key) = match scheme {
            "https" => (&self.https, "HTTPS_PROXY"),
            _ => (&self.http, "HTTP_PROXY"),
        };
        let Some(url) = url else { return Ok(builder) };
        // An unknown scheme would only show up as a failed connection.
        let usable = match url.expose().split_once("://") {
            Some((scheme, _)) => matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https"),
            None => true,
        };
        let proxy = usable.then(|| Proxy::all(url.expose()).ok()).flatten().ok_or_else(|| {
            NotifyError::Final(format!(
                "{label}: {key} or ALL_PROXY is not a usable proxy; \
                 write http://HOST:PORT"
            ))
        })?;
        let none_for = self.none_for.as_deref().and_then(NoProxy::from_string);
        Ok(builder.proxy(proxy.no_proxy(none_for)))
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http)
            .field("https", &self.https)
            .field("none_for", &self.none_for)
            .finish()
    }
}
