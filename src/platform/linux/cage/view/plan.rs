//! What a view consists of, and the steps that make it.

use std::collections::BTreeMap;
use std::ffi::{CString, NulError};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::super::places::HIDDEN;
use crate::platform::confinement::{Access, Rule};

/// The old root, until it is let go.
const OLD: &str = "/.old";
/// Most links that a path may lead through, as the kernel has it.
const MOST_LINKS: usize = 40;

/// The links that programs count on.
const LINKS: [(&str, &str); 6] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
    // Temporary files that are to outlive a boot; nothing here does.
    ("/var/tmp", "/tmp"),
];

/// Whose files are the kernel's own. It says itself who may change them.
const KERNELS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// One step of building the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Folder(CString),
    File(CString),
    Link {
        target: CString,
        at: CString,
    },
    Bind {
        from: CString,
        at: CString,
    },
    /// Makes what is bound there read-only, with all that is mounted below it.
    ReadOnly(CString),
    /// Puts an empty folder over what is there.
    Hide(CString),
    /// Makes what is there read-only, with the flags that its mount has.
    Keep {
        at: CString,
        flags: libc::c_ulong,
    },
}

/// What the view consists of, while it is planned.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What is bound: real paths, and whether something may be written there.
    real: BTreeMap<PathBuf, bool>,
    /// Links, with what they say.
    links: Vec<(PathBuf, PathBuf)>,
    /// Folders that are not there.
    hidden: Vec<PathBuf>,
    /// What is made read-only: real paths, with the flags of their mounts.
    kept: Vec<(PathBuf, libc::c_ulong)>,
}

impl Plan {
    /// What these rules name, except for what every view has of its own.
    pub(super) fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        let mut plan = Self::default();
        for rule in rules {
            // The root is the view's own.
            let real = rule.path.parent().and_then(|_| plan.walk(&rule.path, MOST_LINKS));
            if let Some(real) = real {
                *plan.real.entry(real).or_default() |= rule.access != Access::Read;
            }
        }
        for folder in HIDDEN.iter().map(PathBuf::from) {
            if !plan.real.keys().any(|path| path.starts_with(&folder)) && folder.is_dir() {
                plan.hidden.push(folder);
            }
        }
        plan.links.extend(LINKS.map(|(at, target)| (at.into(), target.into())));
        plan
    }

    /// Adds a path and the links that it leads through. Returns where it really is, unless it does not
    /// exist.
    fn walk(&mut self, path: &Path, depth: usize) -> Option<PathBuf> {
        let mut real = PathBuf::from("/");
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
                Component::ParentDir => drop(real.pop()),
                Component::Normal(name) => {
                    let next = real.join(name);
                    let Ok(target) = std::fs::read_link(&next) else {
                        real = next;
                        continue;
                    };
                    if depth == 0 {
                        return None;
                    }
                    self.links.push((next, target.clone()));
                    real = self.walk(&real.join(target), depth - 1)?;
                }
            }
        }
        real.symlink_metadata().is_ok().then_some(real)
    }

    /// Adds what is to be read-only, unless it does not exist or is a link.
    pub(super) fn keep(&mut self, path: &Path) {
        let is_link = |meta: std::fs::Metadata| meta.file_type().is_symlink();
        if path.symlink_metadata().map_or(true, is_link) {
            return;
        }
        if let (Ok(real), Ok(volume)) = (path.canonicalize(), rustix::fs::statvfs(path)) {
            // What a mount was given besides may not be taken from it.
            let flags = volume.f_flag.bits() & (libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC);
            self.kept.push((real, flags));
        }
    }

    /// Whether a folder can be the view's own, to be written: it is not bound itself, and nothing below it
    /// is closed to writing.
    pub(super) fn is_free(&self, folder: &Path) -> bool {
        self.real.iter().all(|(path, may_write)| {
            !folder.starts_with(path) && (*may_write || !path.starts_with(folder))
        })
    }

    /// The steps: outer folders first; what is below something bound is there already. What may only be
    /// read is read-only besides: Landlock holds neither modes nor times. What may be written below it is
    /// bound once more.
    pub(super) fn steps(&self) -> Result<Vec<Step>, NulError> {
        let mut bound: Vec<(&Path, bool)> = Vec::new();
        let (mut steps, mut made) = (Vec::new(), Vec::new());
        for (path, may_write) in &self.real {
            let outer = bound.iter().rev().find(|(outer, _)| path.starts_with(outer));
            if outer.is_some_and(|(_, may_write_outer)| *may_write_outer || !may_write) {
                continue;
            }
            if outer.is_none() {
                above(path, &mut made, &mut steps)?;
                let place = if path.is_dir() { Step::Folder } else { Step::File };
                steps.push(place(text(path)?));
            }
            bound.push((path, *may_write));
            let from = [OLD.as_bytes(), path.as_os_str().as_bytes()].concat();
            steps.push(Step::Bind { from: CString::new(from)?, at: text(path)? });
            if !may_write && !KERNELS.iter().any(|own| path.starts_with(own)) {
                steps.push(Step::ReadOnly(text(path)?));
            }
        }
        let is_bound = |path: &Path| bound.iter().any(|(outer, _)| path.starts_with(outer));
        for (at, target) in &self.links {
            if !is_bound(at) {
                above(at, &mut made, &mut steps)?;
                steps.push(Step::Link { target: text(target)?, at: text(at)? });
            }
        }
        for folder in self.hidden.iter().filter(|folder| is_bound(folder)) {
            steps.push(Step::Hide(text(folder)?));
        }
        for (at, flags) in &self.kept {
            if is_bound(at) {
                steps.push(Step::Keep { at: text(at)?, flags: *flags });
            }
        }
        Ok(steps)
    }
}

/// Adds the folders that a path is in, unless they are made already.
fn above(path: &Path, made: &mut Vec<PathBuf>, steps: &mut Vec<Step>) -> Result<(), NulError> {
    let mut outer: Vec<&Path> = path.ancestors().skip(1).collect();
    outer.reverse();
    for folder in outer.into_iter().filter(|folder| folder.parent().is_some()) {
        if !made.iter().any(|known| known == folder) {
            made.push(folder.to_owned());
            steps.push(Step::Folder(text(folder)?));
        }
    }
    Ok(())
}

pub(super) fn text(path: &Path) -> Result<CString, NulError> {
    CString::new(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_the_views_own_unless_it_is_bound_or_something_in_it_is_closed() {
        let free = |rules: &[(&str, Access)]| {
            let rule =
                |(path, access): &(&str, Access)| Rule { path: path.into(), access: *access };
            let rules: Vec<Rule> = rules.iter().map(rule).collect();
            Plan::of(rules.iter()).is_free(Path::new("/tmp"))
        };
        let own = tempfile::tempdir_in("/tmp").unwrap();
        let own = own.path().to_str().unwrap();
        assert!(free(&[("/usr", Access::Read), (own, Access::Write)]));
        assert!(!free(&[(own, Access::Read)]));
        assert!(!free(&[("/tmp", Access::Write)]));
    }

    #[test]
    fn what_is_only_read_is_read_only_and_what_is_written_in_it_is_bound_once_more() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let [read, written, deeper, beside] =
            ["a", "a/w", "a/w/r", "b"].map(|name| root.join(name));
        for folder in [&deeper, &beside] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let rule = |path: &PathBuf, access| Rule { path: path.clone(), access };
        let rules = [
            rule(&deeper, Access::Read),
            rule(&beside, Access::Read),
            rule(&beside, Access::Write),
            rule(&written, Access::Write),
            rule(&read, Access::Read),
        ];
        let steps = Plan::of(rules.iter()).steps().unwrap();
        let at = |path: &PathBuf| text(path).unwrap();
        let bind = |path: &PathBuf| {
            let from = CString::new(format!("{OLD}{}", path.display())).unwrap();
            Step::Bind { from, at: at(path) }
        };
        let found: Vec<Step> = steps
            .into_iter()
            .filter(|step| matches!(step, Step::Bind { .. } | Step::ReadOnly(_)))
            .collect();
        let wanted = [bind(&read), Step::ReadOnly(at(&read)), bind(&written), bind(&beside)];
        assert_eq!(found, wanted);
    }
}
