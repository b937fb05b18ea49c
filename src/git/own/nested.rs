//! Repositories in a session's worktree, such as its submodules. git in the worktree asks each that the
//! index names what was changed in it, and that git goes by the settings there, which are the agent's.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::links::take_out_links;
use super::put_back::{put, remove};
use super::{CONFIG, OwnRepository, io};
use crate::git::command::{bare_git, git_for_reading, read};
use crate::git::leftovers::pointed_to;
use crate::git::{Error, plain};

/// How an index has the mode of an entry that is a repository.
const REPOSITORY: [u8; 4] = 0o160_000_u32.to_be_bytes();

/// How many may be in one another.
const DEPTH: usize = 8;

/// What names programs, or settings that do, in a repository's folder.
const FOREIGN: [&str; 4] = ["hooks", "commondir", "config.worktree", "info/attributes"];

/// Settings that are kept: none of them names a program, or another file.
const KEPT: [&str; 18] = [
    "core.repositoryformatversion",
    "core.bare",
    "core.filemode",
    "core.ignorecase",
    "core.symlinks",
    "core.logallrefupdates",
    "core.precomposeunicode",
    "core.autocrlf",
    "core.eol",
    "core.worktree",
    "extensions.objectformat",
    "extensions.refstorage",
    "user.name",
    "user.email",
    "lfs.repositoryformatversion",
    "lfs.url",
    "pull.rebase",
    "push.default",
];

/// The same of sections with names in them: section, and the name of the setting.
const KEPT_BY_NAME: [(&str, &str); 8] = [
    ("remote.", ".url"),
    ("remote.", ".pushurl"),
    ("remote.", ".fetch"),
    ("branch.", ".remote"),
    ("branch.", ".merge"),
    ("branch.", ".rebase"),
    ("submodule.", ".url"),
    ("submodule.", ".active"),
];

impl OwnRepository {
    /// Takes from them what could make git outside run a program. Call it only while no agent of the session
    /// runs, after [`put_back_link`](Self::put_back_link).
    ///
    /// # Errors
    /// git's and the file system's.
    pub(in crate::git) fn settle_nested(&self, root: &Path) -> Result<(), Error> {
        if !root.exists() {
            return Ok(());
        }
        let real = |path: &Path| path.canonicalize().map_err(io("look at", path));
        let places = [real(root)?, real(&self.folder)?];
        settle_below(root, &places, DEPTH)
    }
}

fn settle_below(tree: &Path, places: &[PathBuf], depth: usize) -> Result<(), Error> {
    let is_ours = |path: &Path| places.iter().any(|place| path.starts_with(place));
    for name in named_in_index(tree)? {
        // What is elsewhere is not the agent's.
        let Ok(folder) = tree.join(name).canonicalize() else { continue };
        let link = folder.join(".git");
        let Ok(meta) = link.symlink_metadata() else { continue };
        if !is_ours(&folder) {
            continue;
        }
        let place = if meta.is_dir() { Some(link.clone()) } else { place_of(&link, &folder) };
        match place.and_then(|place| place.canonicalize().ok()).filter(|place| is_ours(place)) {
            Some(place) => settle(&place)?,
            None => remove(&link)?,
        }
        if depth > 0 {
            settle_below(&folder, places, depth - 1)?;
        }
    }
    Ok(())
}

/// The folder that a file `.git` names.
fn place_of(link: &Path, folder: &Path) -> Option<PathBuf> {
    pointed_to(plain::read(link).ok()?.strip_prefix(b"gitdir: ")?, folder)
}

/// The paths in the index of a worktree that are repositories.
fn named_in_index(tree: &Path) -> Result<Vec<PathBuf>, Error> {
    let git = |args: &[&str]| {
        let mut command = git_for_reading(tree);
        command.args(args);
        read(&mut command)?.checked(format!("list the repositories in {}", tree.display()))
    };
    let link = tree.join(".git");
    let place = if link.is_dir() { Some(link) } else { place_of(&link, tree) };
    // Most have none, which is known without git.
    let index = place.and_then(|place| plain::read(&place.join("index")).ok()).unwrap_or_default();
    if memmem::find(&index, &REPOSITORY).is_none() {
        return Ok(Vec::new());
    }
    let listed = git(&["ls-files", "--stage", "-z"])?.stdout;
    let entries = listed.split(|byte| *byte == 0).filter(|entry| entry.starts_with(b"160000 "));
    let names = entries.filter_map(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1));
    Ok(names.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect())
}

/// Takes from a repository what could make git run a program.
fn settle(place: &Path) -> Result<(), Error> {
    take_out_links(place)?;
    for name in FOREIGN {
        remove(&place.join(name))?;
    }
    let config = place.join(CONFIG);
    let mut git = bare_git();
    git.args(["config", "--file"]).arg(&config).args(["--list", "-z"]);
    let doing = || format!("read the settings in {}", config.display());
    let listed = read(&mut git)?.checked(doing())?.stdout;
    let (mut kept, mut has_others) = (Vec::new(), false);
    for setting in listed.split(|byte| *byte == 0).filter(|setting| !setting.is_empty()) {
        let text = String::from_utf8_lossy(setting);
        let (key, value) = text.split_once('\n').unwrap_or((&text, "true"));
        if is_kept(key) {
            kept.push((key.to_owned(), value.to_owned()));
        } else {
            has_others = true;
        }
    }
    if has_others {
        put(&config, super::settings::lines(&kept).as_bytes())?;
    }
    Ok(())
}

fn is_kept(key: &str) -> bool {
    let has = |(section, name): &(&str, &str)| key.starts_with(section) && key.ends_with(name);
    KEPT.contains(&key) || KEPT_BY_NAME.iter().any(has)
}
