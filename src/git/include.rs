//! Copies what git ignores and a worktree needs anyway, such as `.env`, into a new worktree. Which
//! files, `.worktreeinclude` in the repository says, in the syntax of `.gitignore`, as Claude Code
//! has it.

use std::collections::HashSet;
use std::fs;
use std::fs::{File, FileTimes};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, renameat, statat};
use rustix::io::Errno;

use super::Error;
use super::command::{git_for_reading, read};
use super::plain;
use crate::platform::beneath;

/// The list of patterns, in the root of the repository.
const PATTERNS: &str = ".worktreeinclude";

/// The name of a copy until it is complete. The next one overwrites what a killed one left.
const UNFINISHED: &str = ".samocode-copy";

/// The ignored files that were copied into a worktree, and those that could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Included {
    /// The files, below the worktree's root; also those that an earlier attempt copied.
    pub copied: Vec<String>,
    /// Files that match and were not copied, each with the reason.
    pub left_out: Vec<String>,
}

/// Whether both are files with the same content.
fn is_same(one: &Path, other: &Path) -> bool {
    let size = |path: &Path| {
        let meta = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(meta.len())
    };
    let both = (size(one), size(other));
    matches!(both, (Some(one), Some(other)) if one == other)
        && matches!((plain::read(one), plain::read(other)), (Ok(one), Ok(other)) if one == other)
}

/// Copies the files of `repo`, a working tree's root, that match `.worktreeinclude` and are ignored
/// by git into the worktree at `root`. A file that is there stays as it is. Never follows a link.
/// The kernel shares the data of both where the file system can. Before each file, `progress` gets its
/// number, how many there are, and its path.
///
/// # Errors
/// git's, and those of the disk. Copies made before that stay.
pub fn include(
    repo: &Path,
    root: &Path,
    progress: &dyn Fn(usize, usize, &Path),
) -> Result<Included, Error> {
    let patterns = repo.join(PATTERNS);
    if !patterns.is_file() {
        return Ok(Included::default());
    }
    let list = |how: &[&str]| {
        let doing = format!("find what {} names", patterns.display());
        let mut command = git_for_reading(repo);
        command.args(["ls-files", "-z", "--others", "--ignored"]).args(how);
        let listed = read(&mut command)?.checked(doing)?;
        let paths = listed.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok::<_, Error>(paths.map(|path| as_path(path).to_owned()).collect::<Vec<PathBuf>>())
    };
    let wanted = list(&["--exclude-from", PATTERNS])?;
    // Whole folders are one entry.
    let ignored: HashSet<PathBuf> =
        list(&["--exclude-standard", "--directory"])?.into_iter().collect();
    let (from, to) = (folder(repo)?, folder(root)?);
    let mut included = Included::default();
    let is_copied = |path: &PathBuf| {
        // With a slash at its end: another repository, such as a worktree inside this one.
        let is_repository = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        !is_repository && path.ancestors().any(|above| ignored.contains(above))
    };
    let wanted: Vec<PathBuf> = wanted.into_iter().filter(is_copied).collect();
    for (done, path) in wanted.iter().enumerate() {
        progress(done + 1, wanted.len(), path);
        let shown = path.display();
        match copy(&from, &to, path) {
            Ok(Copied::Done) => included.copied.push(shown.to_string()),
            // Copied before, by one who was interrupted or whose setup failed.
            Ok(Copied::Exists) if is_same(&repo.join(path), &root.join(path)) => {
                included.copied.push(shown.to_string());
            }
            Ok(Copied::Exists) => {}
            Ok(Copied::Unfit(why)) => included.left_out.push(format!("{shown} ({why})")),
            Err(source) => {
                return Err(Error::Io {
                    doing: "copy to the worktree",
                    path: repo.join(path),
                    source,
                });
            }
        }
    }
    Ok(included)
}

enum Copied {
    Done,
    Exists,
    Unfit(&'static str),
}

fn copy(from: &OwnedFd, to: &OwnedFd, path: &Path) -> io::Result<Copied> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut source = match beneath::open(from.as_fd(), path, flags, Mode::empty()) {
        Ok(opened) => File::from(opened),
        Err(error) if is_link(&error) => return Ok(Copied::Unfit("a link")),
        Err(error) => return Err(error),
    };
    let meta = source.metadata()?;
    if !meta.is_file() {
        return Ok(Copied::Unfit("not a file"));
    }
    let parent = match parent(to, path) {
        Err(error) if is_link(&error) => {
            return Ok(Copied::Unfit("a link or a file is where its folder should be"));
        }
        parent => parent?,
    };
    let name = path.file_name().unwrap_or_default();
    if statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Ok(Copied::Exists);
    }
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = File::from(openat(&parent, UNFINISHED, flags, Mode::from_raw_mode(0o600))?);
    // Shares the data by a reflink where the file system can: copy_file_range(2).
    io::copy(&mut source, &mut target)?;
    target.set_permissions(std::fs::Permissions::from_mode(meta.permissions().mode() & 0o777))?;
    target.set_times(FileTimes::new().set_modified(meta.modified()?))?;
    target.sync_all()?;
    renameat(&parent, UNFINISHED, &parent, name)?;
    Ok(Copied::Done)
}

/// Opens the folder of a file below `root`, and creates it where it is missing.
fn parent(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = root.try_clone()?;
    for part in path.parent().unwrap_or(Path::new("")).components() {
        let Component::Normal(name) = part else { return Err(Errno::INVAL.into()) };
        match mkdirat(&at, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        at = openat(&at, name, flags, Mode::empty())?;
    }
    Ok(at)
}

fn is_link(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::LOOP, Errno::NOTDIR].iter().any(|known| code == Some(known.raw_os_error()))
}

fn folder(path: &Path) -> Result<OwnedFd, Error> {
    let opened = File::open(path).map(OwnedFd::from);
    opened.map_err(|source| Error::Io { doing: "open", path: path.to_owned(), source })
}

fn as_path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::git::tests::Lab;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A repository with ignored files, and a worktree of it inside.
    fn lab(patterns: &str) -> (Lab, PathBuf) {
        let lab = Lab::new();
        lab.commit(".gitignore", ".env*\n/config/local/\n/trees/\nnode_modules/\n*.link\n");
        lab.commit(PATTERNS, patterns);
        for file in [
            ".env",
            ".env.test",
            "sub/.env",
            "config/local/a/b.json",
            "node_modules/x/index.js",
            "notes",
        ] {
            write(&lab.repo, file, file);
        }
        let root = lab.repo.join("trees/one");
        lab.git(&["worktree", "add", "-q", root.to_str().unwrap()]);
        (lab, root)
    }

    fn silent(_: usize, _: usize, _: &Path) {}

    fn copied(lab: &Lab, root: &Path) -> Vec<String> {
        let mut all = include(&lab.repo, root, &silent).unwrap().copied;
        all.sort_unstable();
        all
    }

    #[test]
    fn ignored_files_that_match_are_copied_with_their_mode_and_others_are_not() {
        let (lab, root) = lab("# secrets\n.env*\n!.env.test\nconfig/local/\nnotes\nREADME\n");
        let secret = fs::Permissions::from_mode(0o640);
        fs::set_permissions(lab.repo.join(".env"), secret).unwrap();
        // A worktree beside it has files that match, and is not this repository's.
        write(&lab.repo, "trees/two/.env", "foreign");
        lab.git(&["init", "-q", "trees/two"]);
        // "notes" is untracked and not ignored: an agent would commit it.
        assert_eq!(copied(&lab, &root), [".env", "config/local/a/b.json", "sub/.env"]);
        assert_eq!(fs::read_to_string(root.join("sub/.env")).unwrap(), "sub/.env");
        let mode = fs::metadata(root.join(".env")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(crate::git::tests::git(&root, &["status", "--porcelain"]), "");
        // What is there stays, and a copy that was cut off is made again.
        write(&root, ".env", "mine");
        fs::rename(root.join("sub/.env"), root.join("sub").join(UNFINISHED)).unwrap();
        assert_eq!(copied(&lab, &root), ["config/local/a/b.json", "sub/.env"]);
        assert_eq!(fs::read_to_string(root.join(".env")).unwrap(), "mine");
        assert!(!root.join("sub").join(UNFINISHED).exists());
    }

    #[test]
    fn each_copy_is_announced_with_how_many_there_are() {
        let (lab, root) = lab(".env*\nconfig/local/\nnotes\n");
        let told = std::cell::RefCell::new(Vec::new());
        let tell = |at, of, path: &Path| {
            told.borrow_mut().push((at, of, path.display().to_string()));
        };
        include(&lab.repo, &root, &tell).unwrap();
        let mut told = told.into_inner();
        assert_eq!(
            told.iter().map(|one| (one.0, one.1)).collect::<Vec<_>>(),
            [(1, 4), (2, 4), (3, 4), (4, 4)]
        );
        told.sort_by(|one, other| one.2.cmp(&other.2));
        assert_eq!(told[2].2, "config/local/a/b.json", "{told:?}");
    }

    #[test]
    fn nothing_is_copied_without_patterns() {
        let (lab, root) = lab("# none\n");
        assert_eq!(include(&lab.repo, &root, &silent).unwrap(), Included::default());
        fs::remove_file(lab.repo.join(PATTERNS)).unwrap();
        assert_eq!(include(&lab.repo, &root, &silent).unwrap(), Included::default());
    }

    #[test]
    fn links_are_followed_neither_out_of_the_repository_nor_out_of_the_worktree() {
        let (lab, root) = lab(".env*\n*.link\nconfig/local/\n");
        let outside = lab.root().join("outside");
        write(&outside, "secret", "secret");
        symlink(outside.join("secret"), lab.repo.join("own.link")).unwrap();
        fs::create_dir_all(root.join("config")).unwrap();
        symlink(&outside, root.join("config/local")).unwrap();
        let included = include(&lab.repo, &root, &silent).unwrap();
        let mut left_out = included.left_out;
        left_out.sort_unstable();
        assert_eq!(
            left_out,
            [
                "config/local/a/b.json (a link or a file is where its folder should be)",
                "own.link (a link)"
            ]
        );
        assert!(!root.join("own.link").exists() && !outside.join("a").exists());
    }
}
