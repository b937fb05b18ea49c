//! Puts back what of a session's repository could make the human's git, or the worker's, run a
//! program or read from elsewhere: settings, hooks, attributes, and where objects come from.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::links::take_out_links;
use super::{CONFIG, MIRRORED, OwnRepository, PROJECT, io, stored};
use crate::git::leftovers::{pointed_to, registered_as};
use crate::git::reader::tidy;
use crate::git::{Error, plain, quoted};
use crate::session::order;
use crate::session::store;

/// Folders that have to be folders, and no links to others.
const FOLDERS: [&str; 6] =
    ["objects", "objects/info", "objects/pack", "refs", "refs/heads", "logs"];

/// Files that git reads where there should be none: another folder for what is shared, and
/// replacements for history.
const FOREIGN: [&str; 4] = ["commondir", "gitdir", "config.worktree", "shallow"];
const HTTP_ALTERNATES: &str = "objects/info/http-alternates";

/// Files that are refused as links.
pub(super) const REPEATED: [&str; 2] = ["HEAD", "packed-refs"];

/// What the registration of a worktree names as shared, as git writes it.
const SHARES: &[u8] = b"../..\n";

/// What was in the place of a worktree's `.git`, beside the repository.
pub(super) const SET_ASIDE: &str = "set-aside";

/// The file that says where other objects are.
pub(super) const ALTERNATES: &str = "objects/info/alternates";

impl OwnRepository {
    /// Puts it back. Call it only while no agent of the session runs. What names programs is put back even
    /// if the rest is in no order.
    ///
    /// # Errors
    /// [`Error::Astray`] if a part of the repository was replaced by a link; the file system's.
    pub(in crate::git) fn put_back(&self) -> Result<(), Error> {
        let kept = self.kept.join(CONFIG);
        let config = fs::read(&kept).map_err(io("read", &kept))?;
        put(&self.folder.join(CONFIG), &config)?;
        for folder in MIRRORED {
            mirror(&self.kept.join(folder), &self.folder.join(folder))?;
        }
        for file in FOREIGN {
            remove(&self.folder.join(file))?;
        }
        take_out_links(&self.folder)?;
        self.check_folder("worktrees")?;
        self.put_back_registrations()?;
        self.keep_project()?;
        for folder in FOLDERS {
            self.check_folder(folder)?;
        }
        // git repeats a line of packed-refs that it does not understand, wherever a link leads to.
        for file in REPEATED {
            let path = self.folder.join(file);
            if path.symlink_metadata().is_ok_and(|meta| !meta.is_file()) {
                return Err(self.replaced(&path));
            }
        }
        remove(&self.folder.join(HTTP_ALTERNATES))?;
        put(&self.folder.join(ALTERNATES), &self.alternates()?)
    }

    /// Notes which project it is of, for whoever is in its worktree.
    pub(super) fn keep_project(&self) -> Result<(), Error> {
        use std::os::unix::ffi::OsStrExt as _;
        put(&self.kept.join(PROJECT), self.project.as_os_str().as_bytes())
    }

    /// Makes each worktree share this repository again: git in one would take settings and hooks from
    /// whatever else its registration names.
    fn put_back_registrations(&self) -> Result<(), Error> {
        let all = self.folder.join("worktrees");
        for entry in fs::read_dir(&all).map_err(io("read", &all))? {
            let entry = entry.map_err(io("read", &all))?;
            let path = entry.path();
            if !entry.file_type().map_err(io("look at", &path))?.is_dir() {
                remove(&path)?;
                continue;
            }
            put(&path.join("commondir"), SHARES)?;
            remove(&path.join("config.worktree"))?;
        }
        Ok(())
    }

    /// Makes the worktree's `.git` name this repository again, if something else is there. That is
    /// moved aside.
    pub(in crate::git) fn put_back_link(&self, root: &Path) -> Result<(), Error> {
        let (link, all) = (root.join(".git"), tidy(&self.folder.join("worktrees")));
        let is_file = link.symlink_metadata().is_ok_and(|meta| meta.is_file());
        let named = plain::read(&link).ok().filter(|_| is_file);
        let named = named.and_then(|bytes| pointed_to(bytes.strip_prefix(b"gitdir: ")?, root));
        if let Some(admin) = named.map(|named| tidy(&named)).filter(|it| it.parent() == Some(&all))
        {
            return put_back_place(&admin, &tidy(&link));
        }
        let Some(known) = registered_as(&tidy(&self.folder), &tidy(root)) else { return Ok(()) };
        if link.symlink_metadata().is_ok() {
            let aside = self.aside(SET_ASIDE);
            remove(&aside)?;
            fs::rename(&link, &aside).map_err(io("move away", &link))?;
        }
        let line = format!("gitdir: {}\n", known.admin.display());
        put(&link, line.as_bytes())
    }

    /// The file that names the project's objects.
    pub(super) fn alternates(&self) -> Result<Vec<u8>, Error> {
        use std::os::unix::ffi::OsStrExt as _;
        let objects = self.shared()?;
        Ok([objects.as_os_str().as_bytes(), b"\n"].concat())
    }

    fn check_folder(&self, name: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        match path.symlink_metadata() {
            Ok(meta) if meta.is_dir() => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir(&path).map_err(io("create the folder", &path))
            }
            Ok(_) => Err(self.replaced(&path)),
            Err(source) => Err(io("look at", &path)(source)),
        }
    }

    /// Refuses objects that are links: git would take in what they lead to.
    pub(super) fn check_objects(&self) -> Result<(), Error> {
        self.check_below(&self.folder.join("objects"), 2)?;
        self.check_below(&self.folder.join("refs"), 16)
    }

    fn check_below(&self, folder: &Path, depth: usize) -> Result<(), Error> {
        for entry in fs::read_dir(folder).map_err(io("read", folder))?.flatten() {
            let kind = entry.file_type().map_err(io("look at", folder))?;
            if kind.is_dir() && depth > 0 {
                self.check_below(&entry.path(), depth - 1)?;
            } else if !kind.is_file() && !kind.is_dir() {
                return Err(self.replaced(&entry.path()));
            }
        }
        Ok(())
    }

    fn replaced(&self, path: &Path) -> Error {
        let kind = if path.is_symlink() { "a link" } else { "no regular file or folder" };
        Error::Astray {
            worktree: self.folder.clone(),
            what: format!("{} is {kind}", path.display()),
            remedy: format!("look at it, then: rm {}", quoted(path)),
        }
    }
}

/// Makes the registration of a worktree name its `.git` again.
fn put_back_place(admin: &Path, link: &Path) -> Result<(), Error> {
    let path = admin.join("gitdir");
    let named = plain::read(&path).ok().and_then(|bytes| pointed_to(&bytes, admin));
    if !admin.is_dir() || named.is_some_and(|named| tidy(&named) == link) {
        return Ok(());
    }
    put(&path, format!("{}\n", link.display()).as_bytes())
}

/// Makes a file have these contents, whatever is there.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let is_file = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    if is_file && plain::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    if !is_file {
        remove(path)?;
    }
    store::replace_again(path, bytes).map_err(stored)
}

/// Makes a folder have the files of another, and nothing else.
fn mirror(from: &Path, to: &Path) -> Result<(), Error> {
    let wanted = files(from)?;
    if files(to).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    remove(to)?;
    fs::create_dir(to).map_err(io("create the folder", to))?;
    for File { name, bytes, mode } in wanted {
        let path = to.join(name);
        fs::write(&path, bytes).map_err(io("write", &path))?;
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(&path, mode).map_err(io("change the mode of", &path))?;
    }
    Ok(())
}

/// A file in a folder that is put back.
#[derive(Debug, PartialEq, Eq)]
struct File {
    name: PathBuf,
    bytes: Vec<u8>,
    mode: u32,
}

/// The files of a folder.
///
/// # Errors
/// The file system's, and if there is anything but regular files.
fn files(folder: &Path) -> Result<Vec<File>, Error> {
    let failed = || io("read", folder);
    if !folder.symlink_metadata().map_err(failed())?.is_dir() {
        return Err(failed()(std::io::ErrorKind::NotADirectory.into()));
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let meta = entry.path().symlink_metadata().map_err(failed())?;
        if !meta.is_file() {
            return Err(failed()(std::io::ErrorKind::InvalidInput.into()));
        }
        let bytes = plain::read(&entry.path()).map_err(failed())?;
        let mode = meta.permissions().mode() & 0o777;
        all.push(File { name: entry.file_name().into(), bytes, mode });
    }
    order::by(&mut all, |a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Removes whatever is there, through no link.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    let removed = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(io("remove", path)),
    }
}
