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
    ("NUGET_PACKAGES", "nuget"),
    ("DOTNET_CLI_HOME", "dotnet"),
    ("COMPOSER_HOME", "composer"),
    ("BUNDLE_USER_HOME", "bundle"),
    ("GEM_SPEC_CACHE", "gem/specs"),
    ("MIX_HOME", "mix"),
    ("HEX_HOME", "hex"),
    ("BUN_INSTALL_CACHE_DIR", "bun"),
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
    maven(environment, cache);
}

/// Maven's repository of what it downloaded is named by an option only.
fn maven(environment: &mut Environment, cache: &Path) {
    add_option(environment, "MAVEN_OPTS", "-Dmaven.repo.local=", &cache.join("m2"));
}

/// Points Java to the run's folder for temporary files, where `/tmp` is closed: it does not go by TMPDIR.
pub fn java_temporary(environment: &mut Environment, folder: &Path) {
    add_option(environment, "JAVA_TOOL_OPTIONS", "-Djava.io.tmpdir=", folder);
}

/// Adds an option to a variable that has several, unless the human has set it there.
fn add_option(environment: &mut Environment, variable: &str, option: &str, value: &Path) {
    let mut all = crate::agent::variable(environment, variable).unwrap_or_default().to_owned();
    if all.to_string_lossy().contains(option) {
        return;
    }
    environment.retain(|(name, _)| name != variable);
    if !all.is_empty() {
        all.push(" ");
    }
    all.push(option);
    all.push(value);
    environment.push((variable.into(), all));
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
        assert_eq!(value("MAVEN_OPTS"), "-Dmaven.repo.local=/home/u/.cache/samocode/agent/m2");
        let mut theirs: Environment = vec![("MAVEN_OPTS".into(), "-Xmx1g".into())];
        redirect(&mut theirs, Path::new("/c"), &[]);
        let options = variable(&theirs, "MAVEN_OPTS").unwrap();
        assert_eq!(options, "-Xmx1g -Dmaven.repo.local=/c/m2");
        redirect(&mut theirs, Path::new("/c"), &[]);
        assert_eq!(variable(&theirs, "MAVEN_OPTS").unwrap(), "-Xmx1g -Dmaven.repo.local=/c/m2");
        java_temporary(&mut theirs, Path::new("/tmp/run"));
        assert_eq!(variable(&theirs, "JAVA_TOOL_OPTIONS").unwrap(), "-Djava.io.tmpdir=/tmp/run");
        let own: Environment = vec![("XDG_CACHE_HOME".into(), "/c".into())];
        assert_eq!(folder(&own, Path::new("/home/u")), Path::new("/c/samocode/agent"));
    }
}
