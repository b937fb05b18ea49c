//! Sessions below sessions: `SESSION/workers/NAME/` is a session of its own, begun by the one above.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::Folder;
use crate::session::names;

/// The folder of a session in which the sessions below it lie.
pub(super) const WORKERS: &str = "workers";

/// How deep sessions may lie below one another. Deeper folders are not looked at.
const DEEPEST: usize = 8;

impl Folder {
    /// Where the sessions below this one lie. The folder exists for a session that coordinates.
    #[must_use]
    pub fn workers(&self) -> PathBuf {
        self.path().join(WORKERS)
    }

    /// Whether it coordinates others, or is meant to.
    #[must_use]
    pub fn coordinates(&self) -> bool {
        self.workers().symlink_metadata().is_ok_and(|meta| meta.is_dir())
    }

    /// Whether sessions may lie below it: nothing else, such as a link, is where their folder goes.
    #[must_use]
    pub fn may_coordinate(&self) -> bool {
        !self.workers().symlink_metadata().is_ok_and(|meta| !meta.is_dir())
    }

    /// The session above this one, if it lies below one.
    #[must_use]
    pub fn above(&self) -> Option<Self> {
        let workers = self.path().parent().filter(|above| above.ends_with(WORKERS))?;
        workers.parent().map(Self::new)
    }

    /// The sessions directly below this one, by name.
    #[must_use]
    pub fn below(&self) -> Vec<Self> {
        if !self.coordinates() {
            return Vec::new();
        }
        let entries = fs::read_dir(self.workers()).into_iter().flatten().flatten();
        // A link could lead out of the tree.
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let named = folders.filter(|entry| {
            let name = entry.file_name();
            name.to_str().filter(|name| !name.starts_with('_')).is_some_and(|name| {
                names::SessionName::new(names::name_in_folder(name).unwrap_or(name)).is_ok()
            })
        });
        let mut below: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
        below.sort_unstable();
        below.into_iter().map(Self::new).collect()
    }

    /// All sessions below this one, each before those below it.
    #[must_use]
    pub fn descendants(&self) -> Vec<Self> {
        let mut all = Vec::new();
        self.descend(DEEPEST, &mut all);
        all
    }

    fn descend(&self, depth: usize, all: &mut Vec<Self>) {
        if depth == 0 {
            return;
        }
        for below in self.below() {
            all.push(below.clone());
            below.descend(depth - 1, all);
        }
    }

    /// Where it lies among the sessions of a project, by plain names: `main-task/workers/impl-1`.
    /// `None` if it lies elsewhere.
    #[must_use]
    pub fn place_below(&self, sessions: &Path) -> Option<String> {
        let parts = self.path().strip_prefix(sessions).ok()?.components();
        let plain = parts.map(|part| match part {
            Component::Normal(name) => {
                name.to_str().map(|name| names::name_in_folder(name).unwrap_or(name).to_owned())
            }
            _ => None,
        });
        let plain: Vec<String> = plain.collect::<Option<_>>()?;
        (!plain.is_empty()).then(|| plain.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_lie_below_sessions_and_nothing_else_is_taken_for_one() {
        let root = tempfile::tempdir().unwrap();
        let lead = Folder::new(root.path().join("26-11-20-big"));
        assert!(!lead.coordinates() && lead.below().is_empty() && lead.above().is_none());
        for own in ["impl-2", "impl-1", "impl-1/workers/detail", "_archive", "26-11-21-dated"] {
            fs::create_dir_all(lead.workers().join(own)).unwrap();
        }
        fs::write(lead.workers().join("notes"), "").unwrap();
        std::os::unix::fs::symlink(root.path(), lead.workers().join("out")).unwrap();
        assert!(lead.coordinates() && lead.may_coordinate());
        let trap = Folder::new(root.path().join("26-11-20-trap"));
        fs::create_dir_all(trap.path()).unwrap();
        assert!(trap.may_coordinate());
        for target in [root.path(), Path::new("/nowhere")] {
            std::os::unix::fs::symlink(target, trap.workers()).unwrap();
            assert!(!trap.may_coordinate() && !trap.coordinates(), "a link leads out");
            fs::remove_file(trap.workers()).unwrap();
        }
        let names = |folders: Vec<Folder>| {
            folders
                .iter()
                .map(|folder| folder.place_below(root.path()).unwrap())
                .collect::<Vec<_>>()
        };
        let all = [
            "big/workers/dated",
            "big/workers/impl-1",
            "big/workers/impl-1/workers/detail",
            "big/workers/impl-2",
        ];
        assert_eq!(names(lead.descendants()), all);
        assert_eq!(names(lead.below()), [all[0], all[1], all[3]]);
        let detail = Folder::new(lead.workers().join("impl-1/workers/detail"));
        let above = detail.above().unwrap();
        assert_eq!(above.above(), Some(lead.clone()));
        assert_eq!(lead.place_below(Path::new("/elsewhere")), None);
    }
}
