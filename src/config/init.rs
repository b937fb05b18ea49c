//! `samocode init`: creates a `.samocode` at the repository's root, and the folders it names.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use git2::Repository;

use super::find::FILE_NAME;
use super::{Dirs, Error, Project, file};

/// The options of `samocode init`.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// `WORKTREES` instead of `NAME-worktrees` beside the repository.
    pub worktrees: Option<PathBuf>,
    /// `SESSIONS` instead of `NAME-sessions` beside the repository.
    pub sessions: Option<PathBuf>,
}

/// The result of `samocode init`, for its message to the user.
#[derive(Debug, Clone)]
pub struct InitReport {
    /// The project after `init`.
    pub project: Project,
    /// Whether its file was written; if not, it existed before and is unchanged.
    pub written: bool,
    /// Whether its code is in a git repository.
    pub in_repository: bool,
    /// The folders that were created.
    pub made: Vec<PathBuf>,
    /// Whether the file was added to `.git/info/exclude`, so that it is not committed.
    pub excluded: bool,
}

/// Sets up a project for the git repository that contains `dir`, or for `dir` itself outside any
/// repository. Running it again changes nothing: an existing file is kept, whatever it contains.
///
/// # Errors
/// [`Error::Io`] when something cannot be written or created, [`Error::NoName`] for `/`, and those
/// of [`Project::read`] for an existing file.
pub fn init(dir: &Path, dirs: &Dirs, options: &InitOptions) -> Result<InitReport, Error> {
    let dir = dir.canonicalize().map_err(|reason| Error::io("open", dir, reason))?;
    if !dir.is_dir() {
        return Err(Error::io("open", &dir, io::Error::from(io::ErrorKind::NotADirectory)));
    }
    let repository = repository(&dir, &dirs.home);
    let root = repository.as_ref().map_or_else(|| dir.clone(), main_root);
    let config = root.join(FILE_NAME);
    let written = write_new(&config, &text(&root, dirs, options)?)?;
    let project = Project::read(&config, Some(&dirs.home))?;
    let made = make_folders(&project).inspect_err(|_| {
        // A file that names places nobody can use would make a project of all that is below.
        if written {
            let _ = fs::remove_file(&config);
        }
    })?;
    let excluded = match &repository {
        Some(repository) => exclude(repository)?,
        None => false,
    };
    // An existing file may name a repository elsewhere.
    let is_in = |known: &Repository| project.main_repo.starts_with(main_root(known));
    let in_repository =
        repository.as_ref().is_some_and(is_in) || Repository::open(&project.main_repo).is_ok();
    Ok(InitReport { in_repository, project, written, made, excluded })
}

/// Creates the folders that a project lacks, and returns them.
fn make_folders(project: &Project) -> Result<Vec<PathBuf>, Error> {
    let mut made = Vec::new();
    for folder in [&project.worktrees, &project.sessions] {
        if !folder.is_dir() {
            fs::create_dir_all(folder).map_err(|reason| Error::io("make", folder, reason))?;
            made.push(folder.clone());
        }
    }
    Ok(made)
}

/// The repository that contains a folder. A repository of the whole home folder, as some people
/// have for their dotfiles, is used only for the home folder itself.
fn repository(dir: &Path, home: &Path) -> Option<Repository> {
    let mut repository = Repository::discover(dir).ok()?;
    if repository.is_worktree() {
        // HEAD and the tracked files in question are those of the main checkout.
        repository = Repository::open(main_root(&repository)).ok()?;
    }
    let home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    (main_root(&repository) != home || dir == home).then_some(repository)
}

/// The main checkout's folder, also from a linked worktree; the repository's own folder if it is
/// bare.
fn main_root(repository: &Repository) -> PathBuf {
    let common = repository.commondir();
    let main =
        if repository.is_worktree() && common.ends_with(".git") { common.parent() } else { None };
    let root = main.or_else(|| repository.workdir()).unwrap_or(common);
    // libgit2 ends folders with a slash.
    root.components().collect()
}

fn text(root: &Path, dirs: &Dirs, options: &InitOptions) -> Result<String, Error> {
    let name = root.file_name().ok_or_else(|| Error::NoName(root.to_owned()))?.to_string_lossy();
    let name = name.strip_suffix(".git").filter(|name| !name.is_empty()).unwrap_or(&name);
    let sibling = |suffix: &str| root.with_file_name(format!("{name}-{suffix}"));
    let chosen = |option: &Option<PathBuf>, suffix: &str| -> Result<PathBuf, Error> {
        match option {
            Some(path) => {
                std::path::absolute(path).map_err(|reason| Error::io("use", path, reason))
            }
            None => Ok(sibling(suffix)),
        }
    };
    let line = |key: &str, path: &Path| {
        let plain = path.to_str().filter(|text| !text.contains(char::is_control));
        plain.ok_or_else(|| Error::Unwritable(key.to_owned()))?;
        file::assignment(key, &dirs.short(path))
    };
    Ok(format!(
        "# A samocode project. Run 'samocode config' to see everything that can be set here.\n{}\n{}\n{}\n",
        line("MAIN_REPO", root)?,
        line("WORKTREES", &chosen(&options.worktrees, "worktrees")?)?,
        line("SESSIONS", &chosen(&options.sessions, "sessions")?)?,
    ))
}

/// Writes a new file atomically. Returns `false` if it already exists.
fn write_new(path: &Path, text: &str) -> Result<bool, Error> {
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let write = || -> io::Result<bool> {
        use std::os::unix::fs::PermissionsExt;

        let mut file = tempfile::Builder::new()
            .prefix(".samocode.")
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            written => written.map_err(|error| error.error)?,
        };
        fs::File::open(folder)?.sync_all()?;
        Ok(true)
    };
    write().map_err(|reason| Error::io("write", path, reason))
}

/// Keeps the file out of commits and `git status`, on this machine only, since its paths are this
/// machine's. A file that is already tracked or ignored is left alone.
fn exclude(repository: &Repository) -> Result<bool, Error> {
    let is_tracked =
        repository.index().is_ok_and(|index| index.get_path(Path::new(FILE_NAME), 0).is_some());
    let is_ignored = repository.is_path_ignored(FILE_NAME).unwrap_or(true);
    if repository.is_bare() || is_tracked || is_ignored {
        return Ok(false);
    }
    let path = repository.commondir().join("info/exclude");
    let append = || -> io::Result<()> {
        fs::create_dir_all(path.with_file_name(""))?;
        let old = fs::read(&path).unwrap_or_default();
        let gap = if old.is_empty() || old.ends_with(b"\n") { "" } else { "\n" };
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&path)?;
        file.write_all(format!("{gap}/{FILE_NAME}\n").as_bytes())?;
        file.sync_all()
    };
    append().map_err(|reason| Error::io("write", &path, reason))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        _base: tempfile::TempDir,
        home: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let base = tempfile::tempdir().unwrap();
            let home = base.path().canonicalize().unwrap();
            Self { _base: base, home }
        }

        fn repository(&self, name: &str) -> Repository {
            let mut options = git2::RepositoryInitOptions::new();
            Repository::init_opts(self.home.join(name), options.initial_head("trunk")).unwrap()
        }

        fn init(&self, dir: &str) -> Result<InitReport, Error> {
            init(&self.home.join(dir), &Dirs::of_home(&self.home), &InitOptions::default())
        }
    }

    #[test]
    fn a_folder_whose_name_no_line_can_hold_is_refused() {
        use std::os::unix::ffi::OsStrExt as _;

        let place = Place::new();
        for name in [&b"new\nline"[..], b"not\xff"] {
            let dir = place.home.join(std::ffi::OsStr::from_bytes(name));
            fs::create_dir(&dir).unwrap();
            let done = init(&dir, &Dirs::of_home(&place.home), &InitOptions::default());
            assert!(matches!(done, Err(Error::Unwritable(key)) if key == "MAIN_REPO"));
            assert!(!dir.join(".samocode").exists());
        }
    }

    #[test]
    fn a_project_whose_folders_cannot_be_made_is_none() {
        let place = Place::new();
        fs::create_dir(place.home.join("shop")).unwrap();
        fs::write(place.home.join("shop-sessions"), "in the way").unwrap();
        assert!(matches!(place.init("shop"), Err(Error::Io { action: "make", .. })));
        assert!(!place.home.join("shop/.samocode").exists());
    }

    #[test]
    fn a_repository_becomes_a_project_from_any_folder_in_it() {
        let place = Place::new();
        let repository = place.repository("my shop");
        fs::create_dir(place.home.join("my shop/src")).unwrap();
        let report = place.init("my shop/src").unwrap();
        let text = fs::read_to_string(place.home.join("my shop/.samocode")).unwrap();
        assert!(text.ends_with(
            "MAIN_REPO=\"~/my shop\"\nWORKTREES=\"~/my shop-worktrees\"\nSESSIONS=\"~/my shop-sessions\"\n"
        ), "{text}");
        assert!(report.written && report.excluded && report.in_repository);
        assert_eq!(
            report.made,
            [place.home.join("my shop-worktrees"), place.home.join("my shop-sessions")]
        );
        assert!(report.made.iter().all(|folder| folder.is_dir()));
        assert_eq!(report.project.main_repo, place.home.join("my shop"));
        assert!(
            repository.statuses(None).unwrap().iter().all(|status| status.status().is_ignored())
        );
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let place = Place::new();
        place.repository("shop");
        place.init("shop").unwrap();
        let (config, exclude) =
            (place.home.join("shop/.samocode"), place.home.join("shop/.git/info/exclude"));
        let text = fs::read_to_string(&config).unwrap() + "CLAUDE_MODEL=sonnet\n";
        fs::write(&config, &text).unwrap();
        let excluded = fs::read_to_string(&exclude).unwrap();
        fs::remove_dir(place.home.join("shop-sessions")).unwrap();
        let report = place.init("shop").unwrap();
        assert!(!report.written && !report.excluded);
        assert_eq!(report.made, [place.home.join("shop-sessions")]);
        assert_eq!(fs::read_to_string(&config).unwrap(), text);
        assert_eq!(fs::read_to_string(&exclude).unwrap(), excluded);
        assert_eq!(
            fs::read_dir(place.home.join("shop")).unwrap().count(),
            2,
            "no temporary file is left"
        );
    }

    #[test]
    fn a_repository_in_a_folder_below_is_one() {
        let place = Place::new();
        fs::create_dir(place.home.join("p")).unwrap();
        place.repository("p/repo");
        fs::write(place.home.join("p/.samocode"), "MAIN_REPO=repo\nWORKTREES=w\nSESSIONS=s\n")
            .unwrap();
        let report = place.init("p").unwrap();
        assert!(report.in_repository && !report.written);
        assert_eq!(report.project.main_repo, place.home.join("p/repo"));
    }

    #[test]
    fn a_broken_file_is_reported_and_kept() {
        let place = Place::new();
        place.repository("shop");
        fs::write(place.home.join("shop/.samocode"), "nonsense").unwrap();
        assert!(matches!(place.init("shop"), Err(Error::Syntax { .. })));
        assert_eq!(fs::read_to_string(place.home.join("shop/.samocode")).unwrap(), "nonsense");
    }

    #[test]
    fn a_folder_without_git_works_too_even_in_a_home_that_is_a_repository() {
        let place = Place::new();
        fs::create_dir(place.home.join("notes")).unwrap();
        for _ in 0..2 {
            let report = place.init("notes").unwrap();
            assert_eq!((report.in_repository, report.excluded), (false, false));
            assert_eq!(report.project.main_repo, place.home.join("notes"));
            place.repository("");
        }
    }

    #[test]
    fn from_a_linked_worktree_the_main_checkout_becomes_the_project() {
        let place = Place::new();
        let repository = place.repository("shop");
        let me = git2::Signature::now("Test", "test@example.org").unwrap();
        let tree = repository.find_tree(repository.index().unwrap().write_tree().unwrap()).unwrap();
        repository.commit(Some("HEAD"), &me, &me, "first", &tree, &[]).unwrap();
        repository.worktree("tree", &place.home.join("tree"), None).unwrap();
        let report = place.init("tree").unwrap();
        assert_eq!(report.project.root, place.home.join("shop"));
    }

    #[test]
    fn what_is_tracked_is_not_excluded() {
        let place = Place::new();
        let repository = place.repository("shop");
        fs::write(
            place.home.join("shop/.samocode"),
            "MAIN_REPO=.\nWORKTREES=../w\nSESSIONS=../s\n",
        )
        .unwrap();
        let mut index = repository.index().unwrap();
        index.add_path(Path::new(FILE_NAME)).unwrap();
        index.write().unwrap();
        assert!(!place.init("shop").unwrap().excluded);
    }
}
