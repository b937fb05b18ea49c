//! Where tools keep what they download. A confined agent has a cache of its own: what it could
//! change in the human's would run in the human's next build.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::agent::Environment;

/// Variables of tools, and the folder of each below the agents' cache.
const CACHES: &[(&str, &str)] = &[
    ("XDG_CACHE_HOME", ""),
    ("CARGO_HOME", "cargo"),
    ("npm_config_cache", "npm"),
    ("YARN_CACHE_FOLDER", "yarn"),
    ("PIP_CACHE_DIR", "pip"),
    ("UV_CACHE_DIR", "uv"),
    ("GOPATH", "go"),
    ("GOCACHE", "go-build"),
    ("GOMODCACHE", "go/pkg/mod"),
    ("GRADLE_USER_HOME", "gradle"),
    ("DENO_DIR", "deno"),
    ("CCACHE_DIR", "ccache"),
];

/// The folder of the cache that all confined agents of a user share.
#[must_use]
pub fn folder(environment: &Environment, home: &Path) -> PathBuf {
    let named = crate::agent::variable(environment, "XDG_CACHE_HOME").map(Path::new);
    let caches = named.filter(|path| path.is_absolute()).map(Path::to_owned);
    caches.unwrap_or_else(|| home.join(".cache")).join("samocode/agent")
}

/// Points the tools to the agents' cache, except those that point below a folder that is opened: by a
/// key, or as the session's own caches.
pub fn redirect(environment: &mut Environment, cache: &Path, opened: &[PathBuf]) {
    for (name, below) in CACHES {
        let place = |value: &OsString| opened.iter().any(|path| Path::new(value).starts_with(path));
        if environment.iter().any(|(key, value)| key == name && place(value)) {
            continue;
        }
        environment.retain(|(key, _)| key != name);
        let value = if below.is_empty() { cache.to_owned() } else { cache.join(below) };
        environment.push(((*name).into(), value.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::variable;

    #[test]
    fn tools_use_the_agents_cache_unless_a_key_opens_theirs() {
        let mut environment: Environment = vec![
            ("CARGO_HOME".into(), "/home/u/.cargo".into()),
            ("GOPATH".into(), "/srv/go".into()),
        ];
        let cache = folder(&environment, Path::new("/home/u"));
        assert_eq!(cache, Path::new("/home/u/.cache/samocode/agent"));
        redirect(&mut environment, &cache, &[PathBuf::from("/srv")]);
        let value = |name| variable(&environment, name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(value("CARGO_HOME"), "/home/u/.cache/samocode/agent/cargo");
        assert_eq!(value("npm_config_cache"), "/home/u/.cache/samocode/agent/npm");
        assert_eq!(value("XDG_CACHE_HOME"), "/home/u/.cache/samocode/agent");
        assert_eq!(value("GOPATH"), "/srv/go");
        assert_eq!(environment.iter().filter(|(name, _)| name == "CARGO_HOME").count(), 1);
        let own: Environment = vec![("XDG_CACHE_HOME".into(), "/c".into())];
        assert_eq!(folder(&own, Path::new("/home/u")), Path::new("/c/samocode/agent"));
    }
}
