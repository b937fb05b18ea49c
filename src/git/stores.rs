//! Where git keeps what a checkout consists of, besides its files.

use std::path::{Path, PathBuf};

use super::quoted;

/// The folders of the repository that a checkout belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stores {
    /// What all checkouts of the repository share: objects, references, settings, hooks.
    pub common: PathBuf,
    /// What is this checkout's own: its HEAD and index. The same as `common` unless it is linked.
    pub own: PathBuf,
}

/// The command that merges a session's branch into what is checked out in `repo`. A bare repository
/// has nothing checked out: there samocode merges.
#[must_use]
pub fn merge_command(repo: &Path, branch: &str, session: &str) -> String {
    let is_bare = repo.join("HEAD").is_file() && repo.join("objects").is_dir();
    if is_bare {
        return format!("samocode merge {session}");
    }
    format!("git -C {} merge {}", quoted(repo), quoted(Path::new(branch)))
}

/// The folders of the checkout in `folder`; `None` if it is none.
#[must_use]
pub fn stores(folder: &Path) -> Option<Stores> {
    let repository = git2::Repository::discover(folder).ok()?;
    let tidy = |path: &Path| path.components().collect();
    Some(Stores { common: tidy(repository.commondir()), own: tidy(repository.path()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_checked_out_samocode_merges() {
        let folder = tempfile::tempdir().unwrap();
        git2::Repository::init(folder.path().join("a b")).unwrap();
        git2::Repository::init_bare(folder.path().join("bare")).unwrap();
        let merge = |name: &str| merge_command(&folder.path().join(name), "u/x", "x");
        let shown = folder.path().join("a b");
        assert_eq!(merge("a b"), format!("git -C '{}' merge u/x", shown.display()));
        assert_eq!(merge("bare"), "samocode merge x");
    }
}
