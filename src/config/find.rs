//! Finding and reading a project.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::file::{ConfigFile, Entry};
use super::within::{self, Within};
use super::{Env, Error, dirs, is_trusted, keys};

/// The name of a project's file.
pub const FILE_NAME: &str = ".samocode";

/// A project: where its repository, worktrees and sessions are. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The project's file. Links in it are not resolved.
    pub config: PathBuf,
    /// The folder the file is in.
    pub root: PathBuf,
    /// The folder's name, for people; [`project_slug`](crate::session::names::project_slug) turns
    /// it into part of an instance's name.
    pub name: String,
    /// `MAIN_REPO`: the repository that sessions branch from.
    pub main_repo: PathBuf,
    /// `WORKTREES`: where each session's git worktree is made.
    pub worktrees: PathBuf,
    /// `SESSIONS`: where each session's folder is made.
    pub sessions: PathBuf,
    pub(super) file: ConfigFile,
}

impl Project {
    /// Finds the project: the file `config` if given, else the first `.samocode` in `cwd` or above.
    /// In a linked git worktree the main checkout's file is used, so that a copy checked out with
    /// the branch does not become a second project; in a confined session's, and in its folder, none that
    /// its agent could have written.
    ///
    /// # Errors
    /// [`Error::NoProject`], [`Error::Stranger`] for a file found in the search that belongs to
    /// another user, and those of [`read`](Self::read).
    pub fn find(config: Option<&Path>, cwd: &Path) -> Result<Self, Error> {
        Self::find_with(config, cwd, &Env::of_process())
    }

    /// [`find`](Self::find) with an environment other than the process's; only HOME is used.
    ///
    /// # Errors
    /// Those of [`find`](Self::find).
    pub fn find_with(config: Option<&Path>, cwd: &Path, env: &Env) -> Result<Self, Error> {
        let home = dirs::home(env);
        if let Some(config) = config {
            let path = dirs::expand(&config.to_string_lossy(), cwd, home.as_deref());
            let path =
                path.ok().filter(|_| config.to_str().is_some()).unwrap_or_else(|| cwd.join(config));
            return Self::read(&path, home.as_deref());
        }
        let found = match within::session(cwd) {
            Some(Within { outer, project }) => {
                project.filter(|file| is_there(file)).or_else(|| walk_up(&outer))
            }
            None => main_checkout(cwd).and_then(|main| walk_up(&main)).or_else(|| walk_up(cwd)),
        };
        let found = found.ok_or_else(|| {
            let mut above = cwd.ancestors().map(|folder| folder.join(FILE_NAME));
            Error::NoProject { cwd: cwd.to_owned(), folder: above.find(|path| path.is_dir()) }
        })?;
        let owner = fs::metadata(&found).map_err(|reason| Error::io("read", &found, reason))?.uid();
        if !is_trusted(owner, rustix::process::geteuid().as_raw()) {
            return Err(Error::Stranger { path: found, owner });
        }
        Self::read(&found, home.as_deref())
    }

    /// Reads a project's file; `~` in it stands for `home`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Folder`] and [`Error::NotAFile`] when it cannot be read, [`Error::Syntax`] with its
    /// line, [`Error::Missing`] when a required key is not set.
    pub fn read(config: &Path, home: Option<&Path>) -> Result<Self, Error> {
        let config =
            std::path::absolute(config).map_err(|reason| Error::io("read", config, reason))?;
        if config.is_dir() && config.file_name().is_none_or(|name| name != FILE_NAME) {
            return Err(Error::Folder(config));
        }
        let file = ConfigFile::read(&config)?;
        let root = config.parent().unwrap_or(Path::new("/")).to_owned();
        let missing: Vec<_> = keys::KEYS
            .iter()
            .filter(|key| key.of_project && file.get(key.name).is_none())
            .collect();
        if !missing.is_empty() {
            let keys = missing.into_iter().map(|key| key.name).collect();
            return Err(Error::Missing { path: config, keys });
        }
        let at =
            |entry: &Entry, what| Error::Syntax { path: config.clone(), line: entry.line, what };
        let folder = |name: &'static str| {
            let entry = file
                .get(name)
                .ok_or_else(|| Error::Missing { path: config.clone(), keys: vec![name] })?;
            dirs::expand(&entry.value, &root, home)
                .map_err(|what| at(entry, format!("{name}: {what}")))
        };
        let (main_repo, worktrees, sessions) =
            (folder("MAIN_REPO")?, folder("WORKTREES")?, folder("SESSIONS")?);
        if let Some(entry) = file.get("SESSIONS").filter(|_| worktrees == sessions) {
            let what = "SESSIONS and WORKTREES are the same folder: give each its own".to_owned();
            return Err(at(entry, what));
        }
        let named = root.file_name().or_else(|| main_repo.file_name());
        let name =
            named.map_or_else(|| "project".to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Self { config, root, name, main_repo, worktrees, sessions, file })
    }

    /// Checks that SESSIONS can hold sessions; it need not exist yet.
    ///
    /// # Errors
    /// [`Error::Place`].
    pub fn check_sessions(&self) -> Result<(), Error> {
        self.check("SESSIONS", &self.sessions, unfit(&self.sessions))
    }

    /// Checks that a session can run: MAIN_REPO exists, and WORKTREES and SESSIONS exist or can be
    /// created.
    ///
    /// # Errors
    /// [`Error::Place`].
    pub fn check_places(&self) -> Result<(), Error> {
        let repo = &self.main_repo;
        let missing = || (!repo.exists()).then(|| "does not exist".to_owned());
        self.check("MAIN_REPO", repo, unfit(repo).or_else(missing))?;
        self.check("WORKTREES", &self.worktrees, unfit(&self.worktrees))?;
        self.check_sessions()
    }

    fn check(&self, key: &'static str, path: &Path, what: Option<String>) -> Result<(), Error> {
        let (config, path) = (self.config.clone(), path.to_owned());
        what.map_or(Ok(()), |what| Err(Error::Place { config, key, path, what }))
    }
}

/// Why an existing path is not a folder and cannot become one.
#[must_use]
pub fn unfit(path: &Path) -> Option<String> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => None,
        Ok(_) => Some("is not a folder".to_owned()),
        Err(_) => {
            let target = fs::read_link(path).ok()?;
            Some(format!("is a link to {}, which does not exist", super::shown(&target)))
        }
    }
}

/// The first `.samocode` file in a folder or above. Folders of this name are skipped; anything else
/// is an error to report.
fn walk_up(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| is_there(path))
}

/// Whether a file exists. Also true for one that cannot be examined: that is an error to report,
/// not a reason to use another project's file.
fn is_there(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(metadata) => !metadata.is_dir(),
        Err(error) => {
            !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        }
    }
}

/// The main checkout of the repository whose linked worktree `cwd` is in. There `.git` is a file
/// that points to a folder with a file `commondir` (gitrepository-layout(5)).
fn main_checkout(cwd: &Path) -> Option<PathBuf> {
    let dot_git = cwd.ancestors().map(|folder| folder.join(".git")).find(|path| path.exists())?;
    let pointer = ConfigLine::read(&dot_git)?;
    let git_dir = dot_git.parent()?.join(pointer.0.strip_prefix("gitdir:")?.trim());
    let common = git_dir.join(ConfigLine::read(&git_dir.join("commondir"))?.0);
    let common = common.canonicalize().ok()?;
    (common.file_name()? == ".git").then(|| common.parent().map(Path::to_owned)).flatten()
}

/// Reads one of git's small files of a single line.
struct ConfigLine(String);

impl ConfigLine {
    fn read(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let is_small = metadata.is_file() && metadata.len() <= 8192;
        is_small
            .then(|| fs::read_to_string(path).ok())
            .flatten()
            .map(|text| Self(text.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Hint as _;

    const THREE: &str = "MAIN_REPO=.\nWORKTREES=~/shop-worktrees\nSESSIONS=../shop-sessions\n";

    fn env() -> Env {
        Env::from_iter([("HOME", "/h")])
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_predecessors_three_keys_are_enough() {
        let base = tempfile::tempdir().unwrap();
        let shop = base.path().join("shop");
        write(&shop.join(FILE_NAME), THREE);
        let cwd = shop.join("src/deep");
        fs::create_dir_all(&cwd).unwrap();
        let project = Project::find_with(None, &cwd, &env()).unwrap();
        assert_eq!(project.config, shop.join(FILE_NAME));
        assert_eq!((project.root.as_path(), project.name.as_str()), (shop.as_path(), "shop"));
        assert_eq!(project.main_repo, shop);
        assert_eq!(project.worktrees, Path::new("/h/shop-worktrees"));
        assert_eq!(project.sessions, base.path().join("shop-sessions"));
    }

    #[test]
    fn a_named_file_may_have_any_name_and_be_relative() {
        let base = tempfile::tempdir().unwrap();
        write(&base.path().join("a/other.conf"), THREE);
        let project =
            Project::find_with(Some(Path::new("a/other.conf")), base.path(), &env()).unwrap();
        assert_eq!(project.config, base.path().join("a/other.conf"));
        let folder = Project::find_with(Some(Path::new("a")), base.path(), &env())
            .unwrap_err()
            .in_one_line();
        assert!(folder.contains("name the project's file, as in --config"), "{folder}");
    }

    #[test]
    fn places_that_lead_nowhere_or_are_files_are_told_apart_from_those_yet_to_be_made() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join(FILE_NAME);
        write(&path, "MAIN_REPO=.\nWORKTREES=trees\nSESSIONS=sessions\n");
        let check = || Project::read(&path, None).unwrap().check_places();
        let told = |error: Result<(), Error>| error.unwrap_err().in_one_line();
        check().unwrap();
        std::os::unix::fs::symlink("/nowhere/s", base.path().join("sessions")).unwrap();
        assert!(
            told(check())
                .contains("sessions is a link to /nowhere/s, which does not exist: fix it")
        );
        write(&base.path().join("trees"), "");
        assert!(told(check()).contains("WORKTREES=") && told(check()).contains("is not a folder"));
        write(&path, "MAIN_REPO=gone\nWORKTREES=t\nSESSIONS=s\n");
        assert!(told(check()).contains("gone does not exist"));
    }

    #[test]
    fn without_a_file_it_is_said_what_to_do() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join(FILE_NAME)).unwrap();
        let error = Project::find_with(None, base.path(), &env()).unwrap_err();
        assert!(
            matches!(error, Error::NoProject { .. }),
            "a folder of that name is not a project: {error}"
        );
        assert!(error.in_one_line().contains("samocode init"));
    }

    #[test]
    fn in_a_confined_sessions_folders_no_file_of_its_agents_is_used() {
        let base = tempfile::tempdir().unwrap();
        let (shop, trees) = (base.path().join("shop"), base.path().join("trees"));
        write(&shop.join(FILE_NAME), THREE);
        let tree = trees.join("26-11-20-jwt");
        let planted = tree.join("src/.samocode-repositories/deep.kept/project");
        write(&tree.join(FILE_NAME), THREE);
        write(&tree.join("src").join(FILE_NAME), THREE);
        write(&planted, tree.join(FILE_NAME).to_str().unwrap());
        let deep = tree.join("src/deep");
        fs::create_dir_all(&deep).unwrap();
        let found = |cwd: &Path| Project::find_with(None, cwd, &env()).map(|found| found.config);
        assert_eq!(found(&tree).unwrap(), tree.join(FILE_NAME), "a worktree of somebody else's");

        let kept = trees.join(within::REPOSITORIES).join("26-11-20-jwt.kept");
        fs::create_dir_all(&kept).unwrap();
        assert!(matches!(found(&deep), Err(Error::NoProject { .. })));
        write(&kept.join(within::PROJECT), shop.join(FILE_NAME).to_str().unwrap());
        assert_eq!(found(&deep).unwrap(), shop.join(FILE_NAME));
        assert_eq!(found(&tree).unwrap(), shop.join(FILE_NAME));

        // The session's folder, whose record is apart.
        let session = shop.join("sessions/26-11-20-jwt");
        write(&session.join(FILE_NAME), THREE);
        assert_eq!(found(&session).unwrap(), session.join(FILE_NAME));
        fs::create_dir_all(shop.join("sessions/.samocode/26-11-20-jwt")).unwrap();
        assert_eq!(found(&session).unwrap(), shop.join(FILE_NAME));
    }

    #[test]
    fn missing_and_empty_keys_are_named() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join(FILE_NAME);
        write(&path, "MAIN_REPO=.\nSESSIONS=\n");
        match Project::read(&path, None).unwrap_err() {
            Error::Missing { keys, .. } => assert_eq!(keys, ["WORKTREES", "SESSIONS"]),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn one_folder_for_worktrees_and_sessions_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join(FILE_NAME);
        write(&path, "MAIN_REPO=.\nWORKTREES=../x\nSESSIONS=../x/.\n");
        let error = Project::read(&path, None).unwrap_err().to_string();
        assert!(error.contains(":3: SESSIONS and WORKTREES are the same folder"), "{error}");
    }

    #[test]
    fn in_a_worktree_the_main_checkouts_file_counts() {
        let base = tempfile::tempdir().unwrap();
        let (shop, tree) = (base.path().join("shop"), base.path().join("trees/26-11-20-x"));
        write(&shop.join(FILE_NAME), THREE);
        write(&shop.join(".git/worktrees/x/commondir"), "../..\n");
        write(
            &tree.join(".git"),
            &format!("gitdir: {}\n", shop.join(".git/worktrees/x").display()),
        );
        write(&tree.join(FILE_NAME), THREE);
        let cwd = tree.join("src");
        fs::create_dir(&cwd).unwrap();
        let project = Project::find_with(None, &cwd, &env()).unwrap();
        assert_eq!(project.root, shop.canonicalize().unwrap());
    }

    #[test]
    fn a_worktree_of_a_repository_without_a_project_uses_what_is_above_it() {
        let base = tempfile::tempdir().unwrap();
        let (bare, tree) = (base.path().join("bare"), base.path().join("p/tree"));
        write(&bare.join(".git/worktrees/x/commondir"), "../..\n");
        write(
            &tree.join(".git"),
            &format!("gitdir: {}\n", bare.join(".git/worktrees/x").display()),
        );
        write(&base.path().join("p").join(FILE_NAME), THREE);
        let project = Project::find_with(None, &tree, &env()).unwrap();
        assert_eq!(project.root, base.path().join("p"));
    }
}
