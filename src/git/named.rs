//! The files that a user's own settings of git name: git works otherwise where it cannot read them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::plain;
use crate::config::has_login;

/// The settings files of a user, below the home folder.
const SETTINGS: [&str; 2] = [".gitconfig", ".config/git/config"];

/// Settings whose value is a file, or a folder.
const NAMING: [(&str, &str); 8] = [
    ("core", "excludesfile"),
    ("core", "attributesfile"),
    ("core", "hookspath"),
    ("commit", "template"),
    ("init", "templatedir"),
    ("mailmap", "file"),
    ("blame", "ignorerevsfile"),
    ("gpg", "allowedsignersfile"),
];

/// The most files that are read: settings may include themselves.
const MOST: usize = 50;

/// The files that the settings of the user with this home folder include or name, unless they have
/// secrets in them.
#[must_use]
pub fn named_by_settings(home: &Path) -> Vec<PathBuf> {
    let mut left: Vec<PathBuf> = SETTINGS.iter().map(|file| home.join(file)).collect();
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    while let Some(file) = left.pop() {
        if seen.len() == MOST || !seen.insert(file.clone()) {
            continue;
        }
        let Ok(text) = plain::text(&file) else { continue };
        let is_first = SETTINGS.iter().any(|first| file == home.join(first));
        if !is_first {
            if has_login(&text) {
                continue;
            }
            found.push(file.clone());
        }
        let base = file.canonicalize().unwrap_or(file);
        for (section, key, value) in values(&text) {
            let is_include = section.starts_with("include") && key == "path";
            let path = match value.strip_prefix("~/") {
                Some(below) => home.join(below),
                None if Path::new(&value).is_absolute() => PathBuf::from(&value),
                // Only what is included may be relative, to the file.
                None if is_include => base.with_file_name(&value),
                None => continue,
            };
            if is_include {
                left.push(path);
            } else if NAMING.contains(&(section.as_str(), key.as_str())) && !home.starts_with(&path)
            {
                found.push(path);
            }
        }
    }
    found
}

/// Section and key in lower case, without the subsection, and the value.
fn values(text: &str) -> Vec<(String, String, String)> {
    let (mut section, mut found) = (String::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        let mut rest = line;
        if let Some((header, after)) = line.strip_prefix('[').and_then(|line| line.split_once(']'))
        {
            let name = header.split([' ', '\t', '.', '"']).next().unwrap_or_default();
            section = name.to_lowercase();
            rest = after.trim();
        }
        let Some((key, value)) = rest.split_once('=') else { continue };
        let value = value.trim();
        let value = match value.strip_prefix('"').and_then(|value| value.split_once('"')) {
            Some((quoted, _)) => quoted,
            None => value.split([';', '#']).next().unwrap_or_default().trim_end(),
        };
        found.push((section.clone(), key.trim().to_lowercase(), value.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_settings_include_and_name_is_found_and_secrets_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path();
        let write = |path: &str, text: &str| {
            let path = home.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            ".gitconfig",
            "[user]\n\tname = Dev\n[include]\n\tpath = ~/.git-who\n\tpath = \"dots/more\" ; mine\n\
             [includeIf \"gitdir:~/work/\"]\n\tpath = ~/.git-secret\n\
             [core] excludesFile = ~/.ignore\n\thooksPath = /\n\tattributesfile = relative\n\
             [gpg \"ssh\"]\n\tallowedSignersFile = /etc/signers\n",
        );
        write(
            ".git-who",
            "[user]\nemail = d@lab\n[include]\npath = ~/.gitconfig\npath = .git-who\n",
        );
        write("dots/more", "[url \"ssh://git@example.org/\"]\ninsteadOf = x:\n");
        write(
            ".git-secret",
            "[url \"https://t0ken@example.org/\"]\ninsteadOf = y:\n[core]\nhooksPath = ~/h\n",
        );
        write(".config/git/config", "[Commit]\n\tTemplate = ~/message # text\n");
        let mut found = named_by_settings(home);
        found.sort();
        let mut wanted =
            [".git-who", "dots/more", ".ignore", "message"].map(|file| home.join(file)).to_vec();
        wanted.push(PathBuf::from("/etc/signers"));
        wanted.sort();
        assert_eq!(found, wanted);
        assert_eq!(named_by_settings(&home.join("none")), Vec::<PathBuf>::new());
    }
}
