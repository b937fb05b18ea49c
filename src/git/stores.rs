//! Where git keeps what a checkout consists of, besides its files.

use std::path::{Path, PathBuf};

use super::leftovers::registered_in;
use super::reader::tidy;
use super::{plain, quoted};

/// The folders of the repository that a checkout belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stores {
    /// A repository that others use, too.
    Shared {
        /// What all its checkouts share: objects, references, settings, hooks.
        common: PathBuf,
        /// What is this checkout's own: its HEAD and index. The same as `common` unless it is linked.
        own: PathBuf,
    },
    /// A repository of the session's own.
    Own {
        /// The repository.
        folder: PathBuf,
        /// The folder with the project's objects, which it reads.
        objects: PathBuf,
    },
}

impl Stores {
    /// Folders of other repositories that a shared one takes objects from.
    #[must_use]
    pub fn borrowed(&self) -> Vec<PathBuf> {
        let Self::Shared { common, .. } = self else { return Vec::new() };
        let objects = common.join("objects");
        let text = plain::text(&objects.join("info/alternates")).unwrap_or_default();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let folders = lines.map(|line| objects.join(line));
        folders.map(|folder| folder.canonicalize().unwrap_or(folder)).collect()
    }
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

/// The folders of the checkout in `folder`; `None` if it is none, or if its files name a repository
/// that does not know it: an agent may have changed them.
#[must_use]
pub fn stores(folder: &Path) -> Option<Stores> {
    let repository = git2::Repository::discover(folder).ok()?;
    let (common, own) = (tidy(repository.commondir()), tidy(repository.path()));
    let root = tidy(repository.workdir()?);
    let is_known = if common == own {
        own == root.join(".git")
    } else {
        own.parent() == Some(&common.join("worktrees"))
            && registered_in(&own).is_some_and(|known| known.folder == root)
    };
    is_known.then_some(Stores::Shared { common, own })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_repository_takes_objects_from_is_known() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let common = root.join("shop/.git");
        std::fs::create_dir_all(common.join("objects/info")).unwrap();
        std::fs::create_dir_all(root.join("base.git/objects")).unwrap();
        let stores = Stores::Shared { own: common.clone(), common: common.clone() };
        assert_eq!(stores.borrowed(), Vec::<PathBuf>::new());
        let lines = "# base\n../../../base.git/objects\n/nonexistent/objects\n";
        std::fs::write(common.join("objects/info/alternates"), lines).unwrap();
        let wanted = [root.join("base.git/objects"), PathBuf::from("/nonexistent/objects")];
        assert_eq!(stores.borrowed(), wanted);
    }

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
