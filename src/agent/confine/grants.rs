//! The table of grants: what a confined agent may reach, and why.

use std::path::{Path, PathBuf};

use super::{caches, resolved};
use crate::agent::{Environment, variable};
use crate::config::confine::{Confine, Level, READ, WRITE};
use crate::config::peers::Peer;
use crate::platform::cage::places::{DEVICES, LINKED, SHARED_MEMORY, SYSTEM};
use crate::platform::confinement::Access;

/// Why something is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// The system's programs, libraries and settings.
    System,
    /// A device that every program may use.
    Device,
    /// A folder with programs: one of PATH, or a toolchain in the home folder.
    Programs,
    /// The agent's own program, or a file its command line names.
    Program,
    /// Settings of git.
    GitSettings,
    /// Settings of another tool, without a login in them.
    ToolSettings,
    /// The folder it works in.
    Work,
    /// The session's folder.
    Session,
    /// What the worker recorded of the session.
    Record,
    /// The run's folder for temporary files.
    Temporary,
    /// The part of the repository that a commit needs.
    Repository,
    /// The session's own repository.
    OwnRepository,
    /// The objects of the project's repository.
    SharedObjects,
    /// The folder of the agent's own settings and login.
    Login,
    /// A file of them.
    LoginFile,
    /// The cache that agents share.
    Cache,
    /// A key opens it.
    Key(&'static str),
}

impl Because {
    /// The reason in words, to follow a path.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::System => "part of the system".to_owned(),
            Self::Device => "a device".to_owned(),
            Self::Programs => "programs".to_owned(),
            Self::Program => "the agent's program".to_owned(),
            Self::GitSettings => "git's settings".to_owned(),
            Self::ToolSettings => "settings of a tool, without a login in them".to_owned(),
            Self::Work => "the folder it works in".to_owned(),
            Self::Session => "the session's folder".to_owned(),
            Self::Record => "the session's record, which only its worker writes".to_owned(),
            Self::Temporary => "its temporary files".to_owned(),
            Self::Repository => "the repository, as far as commits need it".to_owned(),
            Self::OwnRepository => "the session's own repository".to_owned(),
            Self::SharedObjects => "the objects of the project's repository".to_owned(),
            Self::Login | Self::LoginFile => "the agent's own settings and login".to_owned(),
            Self::Cache => "the cache that agents share".to_owned(),
            Self::Key(key) => format!("opened by {key}"),
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// A file or a folder with all that is below it.
    pub path: PathBuf,
    /// What may be done with it.
    pub access: Access,
    /// Why.
    pub because: Because,
}

/// The repository of the folder an agent works in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repository {
    /// One that others use, too.
    Shared {
        /// What all its checkouts share.
        common: PathBuf,
        /// What is this checkout's own.
        own: PathBuf,
    },
    /// The session's own.
    Own {
        /// The repository.
        folder: PathBuf,
        /// The folder with the project's objects, which it reads.
        objects: PathBuf,
    },
}

/// Where a run takes place.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The home folder.
    pub home: &'a Path,
    /// The agent's environment.
    pub environment: &'a Environment,
    /// The agent's program, if it is an agent that runs.
    pub program: Option<&'a Path>,
    /// The hosts of the agent's own service.
    pub service: Vec<Peer>,
    /// Files that its command line names.
    pub files: Vec<PathBuf>,
    /// The folder it works in.
    pub work: &'a Path,
    /// The session's folder, if it is for one.
    pub session: Option<&'a Path>,
    /// The run's folder for temporary files.
    pub temporary: &'a Path,
    /// The repository of the folder it works in, if that is a checkout.
    pub repository: Option<Repository>,
    /// The files that the user's settings of git name.
    pub git_files: Vec<PathBuf>,
    /// Other tools' settings that may be read.
    pub settings: Vec<PathBuf>,
    /// The folders with the agent's settings and login.
    pub login: Vec<PathBuf>,
    /// The files with them.
    pub login_files: Vec<PathBuf>,
}

/// Folders of the home folder with toolchains and programs, and no secrets.
const TOOLCHAINS: &[&str] = &[
    ".rustup",
    ".cargo/bin",
    ".nvm",
    ".fnm",
    ".volta",
    ".bun",
    ".deno",
    ".pyenv",
    ".rbenv",
    ".nodenv",
    ".goenv",
    ".jenv",
    ".tfenv",
    ".rvm",
    ".asdf",
    ".proto",
    ".pixi",
    ".sdkman",
    ".jdks",
    ".dotnet",
    ".juliaup",
    ".julia/juliaup",
    ".ghcup",
    ".cabal/bin",
    ".stack/programs",
    ".opam",
    ".elan",
    ".foundry",
    ".pub-cache",
    ".krew/bin",
    ".yarn/bin",
    ".config/yarn/global",
    ".composer/vendor",
    ".config/composer/vendor",
    ".gem/ruby",
    ".local/bin",
    ".local/lib",
    ".local/pipx",
    ".local/share/claude",
    ".local/share/fnm",
    ".local/share/gem",
    ".local/share/mise",
    ".local/share/nvm",
    ".local/share/pipx",
    ".local/share/pnpm",
    ".local/share/pyenv",
    ".local/share/uv",
    ".local/share/virtualenv",
    ".local/state/nix",
    ".nix-profile",
    ".guix-profile",
    ".npm-global",
    ".npm-packages",
    "miniconda3",
    "miniforge3",
    "anaconda3",
    "go/bin",
    "sdk",
    "Android/Sdk",
    ".local/share/codex",
    // Which version of a tool is meant.
    ".tool-versions",
    ".asdfrc",
    ".config/mise",
    ".local/state/mise",
    ".nvmrc",
    ".node-version",
    ".python-version",
    ".ruby-version",
];

const GIT_SETTINGS: &[&str] = &[".gitconfig", ".config/git"];

/// What a commit writes of a repository that a linked checkout shares with others.
const OF_A_COMMIT: &[&str] = &["objects", "refs", "logs", "reftable", "lfs"];

/// Where git-lfs keeps its files in a repository.
const LARGE: &str = "lfs";

/// The table for one run. Rows add up: what one of them opens, no other closes.
#[must_use]
pub fn table(place: &Place<'_>, keys: &Confine) -> Vec<Grant> {
    let mut rows = Rows(Vec::new());
    for path in SYSTEM {
        rows.add(path, Access::Read, Because::System);
    }
    for file in LINKED {
        rows.linked(Path::new(file), keys.level);
    }
    for path in DEVICES {
        rows.add(path, Access::Device, Because::Device);
    }
    for path in SHARED_MEMORY {
        rows.add(path, Access::Write, Because::Device);
    }
    rows.programs(place);
    for path in GIT_SETTINGS {
        rows.add(place.home.join(path), Access::Read, Because::GitSettings);
    }
    for path in &place.git_files {
        rows.add(path, Access::Read, Because::GitSettings);
    }
    for path in &place.settings {
        rows.add(path, Access::Read, Because::ToolSettings);
    }
    rows.add(place.work, Access::Write, Because::Work);
    if let Some(session) = place.session {
        rows.add(session, Access::Write, Because::Session);
    }
    rows.add(place.temporary, Access::Write, Because::Temporary);
    if let Some(repository) = &place.repository {
        rows.repository(repository);
    }
    for path in &place.login {
        rows.add(path, Access::Write, Because::Login);
    }
    for path in &place.login_files {
        rows.add(path, Access::Write, Because::LoginFile);
    }
    rows.add(caches::folder(place.environment, place.home), Access::Write, Because::Cache);
    for path in &keys.read {
        rows.add(path, Access::Read, Because::Key(READ));
    }
    for path in &keys.write {
        rows.add(path, Access::Write, Because::Key(WRITE));
    }
    rows.0
}

struct Rows(Vec<Grant>);

impl Rows {
    fn add(&mut self, path: impl Into<PathBuf>, access: Access, because: Because) {
        let path = path.into();
        // A relative path would be granted wherever the worker happens to be.
        if path.is_absolute() {
            self.0.push(Grant { path, access, because });
        }
    }

    /// The folder that a file of the system really is in, since such a file is often replaced. A
    /// folder that has others below it is too much, and so is one with sockets, as beside the servers to
    /// ask for names, for an agent whose network is restricted.
    fn linked(&mut self, file: &Path, level: Level) {
        let real = resolved(file);
        if level == Level::Strict {
            return self.add(real, Access::Read, Because::System);
        }
        if let Some(folder) = real.parent().filter(|folder| folder.components().count() > 2) {
            self.add(folder, Access::Read, Because::System);
        }
    }

    fn programs(&mut self, place: &Place<'_>) {
        let path = variable(place.environment, "PATH").unwrap_or_default();
        for folder in std::env::split_paths(path) {
            // A PATH with the home folder in it would open all of it.
            if folder.is_absolute() && !place.home.starts_with(&folder) {
                self.add(folder, Access::Read, Because::Programs);
            }
        }
        for folder in TOOLCHAINS {
            self.add(place.home.join(folder), Access::Read, Because::Programs);
        }
        if let Some(program) = place.program {
            self.add(package_of(&resolved(program)), Access::Read, Because::Program);
        }
        for file in &place.files {
            self.add(file, Access::Read, Because::Program);
        }
    }

    fn repository(&mut self, repository: &Repository) {
        let (common, own) = match repository {
            Repository::Shared { common, own } => (common, own),
            Repository::Own { folder, objects } => {
                self.add(folder, Access::Write, Because::OwnRepository);
                self.add(objects, Access::Read, Because::SharedObjects);
                let large = objects.with_file_name(LARGE);
                return self.add(large, Access::Read, Because::SharedObjects);
            }
        };
        self.add(common, Access::Read, Because::Repository);
        if own == common {
            self.add(own, Access::Write, Because::Repository);
            return;
        }
        self.add(own, Access::Write, Because::Repository);
        for part in OF_A_COMMIT {
            self.add(common.join(part), Access::Write, Because::Repository);
        }
    }
}

/// A program of npm needs its package and those beside it; any other just its file.
fn package_of(program: &Path) -> &Path {
    let is_packages = |folder: &&Path| folder.file_name().is_some_and(|name| name == PACKAGES);
    program.ancestors().filter(is_packages).last().unwrap_or(program)
}

/// Where npm installs packages.
const PACKAGES: &str = "node_modules";

#[cfg(test)]
mod tests;
