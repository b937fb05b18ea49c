//! Settings of tools in the home folder that a confined agent's tools may read, too.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::has_login;

/// The files, below the home folder.
const SETTINGS: [&str; 18] = [
    ".cargo/config.toml",
    ".cargo/config",
    ".config/go/env",
    ".config/pip/pip.conf",
    ".pip/pip.conf",
    ".config/uv/uv.toml",
    ".config/pnpm/rc",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".bunfig.toml",
    ".bundle/config",
    ".gemrc",
    ".condarc",
    ".m2/settings.xml",
    ".curlrc",
    ".ripgreprc",
    ".editorconfig",
];

/// Those that are there and have no login in them.
pub(super) fn settings(home: &Path) -> Vec<PathBuf> {
    let files = SETTINGS.iter().map(|file| home.join(file));
    let is_open = |file: &PathBuf| {
        let is_file = fs::metadata(file).is_ok_and(|meta| meta.is_file());
        is_file && fs::read_to_string(file).is_ok_and(|text| !has_login(&text))
    };
    files.filter(is_open).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_open_unless_they_have_a_login() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        assert_eq!(settings(home), Vec::<PathBuf>::new());
        fs::create_dir(home.join(".cargo")).unwrap();
        fs::write(home.join(".cargo/config.toml"), "[net]\nretry = 3\n").unwrap();
        fs::write(home.join(".cargo/credentials.toml"), "[registry]\n").unwrap();
        fs::write(home.join(".npmrc"), "//r.example/:_authToken=t\n").unwrap();
        assert_eq!(settings(home), [home.join(".cargo/config.toml")]);
    }
}
