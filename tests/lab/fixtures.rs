//! Git repositories and projects for the tests.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::quoted;
use super::user::LabUser;

/// A git repository to be made below a user's home: one commit on `main`.
#[must_use = "nothing is made before create()"]
pub(crate) struct GitRepo<'u> {
    user: &'u LabUser,
    name: String,
    origin: bool,
    identity: bool,
    after: Vec<String>,
}

impl LabUser {
    /// A repository `~/NAME`.
    pub(crate) fn git_repo(&self, name: &str) -> GitRepo<'_> {
        GitRepo { user: self, name: name.into(), origin: false, identity: true, after: Vec::new() }
    }

    /// A repository `~/NAME` with a `.samocode` of the three required keys.
    pub(crate) fn project(&self, name: &str) -> ProjectBuilder<'_> {
        ProjectBuilder {
            repo: self.git_repo(name),
            keys: Vec::new(),
            plain: false,
            confined: false,
        }
    }
}

impl GitRepo<'_> {
    /// With a bare remote `~/NAME.git` as `origin`, its HEAD known.
    pub(crate) fn with_origin(mut self) -> Self {
        self.origin = true;
        self
    }

    /// Without `user.name` and `user.email`.
    pub(crate) fn without_identity(mut self) -> Self {
        self.identity = false;
        self
    }

    /// With a hook, a shell script without its first line.
    pub(crate) fn with_hook(mut self, hook: &str, script: &str) -> Self {
        let text = quoted(&format!("#!/bin/sh\n{script}\n"));
        self.after.push(format!("printf %s {text} >.git/hooks/{hook}; chmod +x .git/hooks/{hook}"));
        self
    }

    /// With files `*.big` behind a smudge filter, the way LFS does it: what is
    /// stored of `data.big` is a pointer, what a checkout gives is `content`.
    pub(crate) fn with_filter(mut self, content: &str) -> Self {
        let smudge = quoted(&format!("cat >/dev/null; printf %s {}", quoted(content)));
        self.after.push(format!(
            "git config filter.big.clean 'cat >/dev/null; echo pointer'
             git config filter.big.smudge {smudge}
             git config filter.big.required true
             echo '*.big filter=big' >.gitattributes
             printf %s {} >data.big
             git add . && git commit -qm 'Add a large file'",
            quoted(content)
        ));
        self
    }

    /// Runs a line of shell in the repository, before the first push.
    pub(crate) fn then(mut self, line: &str) -> Self {
        self.after.push(line.into());
        self
    }

    /// Makes it; the folder, a path in the lab.
    #[track_caller]
    pub(crate) fn create(self) -> PathBuf {
        let dir = self.user.home.join(&self.name);
        let mut script = format!(
            "set -eu
             git init -q -b main {dir} && cd {dir}
             export GIT_AUTHOR_NAME=Dev GIT_AUTHOR_EMAIL=dev@lab GIT_COMMITTER_NAME=Dev GIT_COMMITTER_EMAIL=dev@lab
             echo 'A small shop.' >README.md
             git add . && git commit -qm 'Begin'\n",
            dir = quoted(&dir.to_string_lossy()),
        );
        if self.identity {
            script.push_str("git config user.name Dev; git config user.email dev@lab\n");
        }
        for line in &self.after {
            script.push_str(line);
            script.push('\n');
        }
        if self.origin {
            let bare = quoted(&format!("{}.git", dir.display()));
            script.push_str(&format!(
                "git init -q --bare -b main {bare}
                 git remote add origin {bare}
                 git push -q -u origin main
                 git remote set-head origin main >/dev/null\n"
            ));
        }
        self.user.sh(&script).ok();
        dir
    }
}

/// A project to be made.
#[must_use = "nothing is made before create()"]
pub(crate) struct ProjectBuilder<'u> {
    repo: GitRepo<'u>,
    keys: Vec<(String, String)>,
    plain: bool,
    confined: bool,
}

impl<'u> ProjectBuilder<'u> {
    /// One more key of `.samocode`.
    pub(crate) fn key(mut self, key: &str, value: &str) -> Self {
        self.keys.push((key.into(), value.into()));
        self
    }

    /// Its repository, changed: `.repo(|repo| repo.with_origin())`.
    pub(crate) fn repo(mut self, change: impl FnOnce(GitRepo<'u>) -> GitRepo<'u>) -> Self {
        self.repo = change(self.repo);
        self
    }

    /// Its agents are confined as they are by default. What they were asked they may keep.
    pub(crate) fn confined(mut self) -> Self {
        self.confined = true;
        self
    }

    /// On a plain folder instead of a repository.
    pub(crate) fn without_git(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Makes it.
    #[track_caller]
    pub(crate) fn create(self) -> Project<'u> {
        let Self { repo, keys, plain, confined } = self;
        let (user, dir) = (repo.user, repo.user.home.join(&repo.name));
        if plain {
            user.write(dir.join("README.md"), "A small shop.\n");
        } else {
            // A person keeps the file out of their history the same way.
            repo.then("echo .samocode >>.git/info/exclude").create();
        }
        let beside = |suffix: &str| PathBuf::from(format!("{}-{suffix}", dir.display()));
        let (worktrees, sessions) = (beside("worktrees"), beside("sessions"));
        let mut text = format!(
            "MAIN_REPO={}\nWORKTREES={}\nSESSIONS={}\n",
            dir.display(),
            worktrees.display(),
            sessions.display()
        );
        // The agents of most tests write their notes beside the project.
        let is_set = keys.iter().any(|(key, _)| key == "SAMOCODE_CONFINE");
        let is_open = keys.iter().any(|(key, _)| key == "SAMOCODE_ALLOW_WRITE");
        let asked = (confined && !is_open).then(|| {
            user.sh("mkdir -p ~/asked").ok();
            ("SAMOCODE_ALLOW_WRITE".to_owned(), "~/asked".to_owned())
        });
        // Those that are confined are so by default.
        let is_set = is_set || confined;
        let level = (!is_set).then(|| ("SAMOCODE_CONFINE".to_owned(), "off".to_owned()));
        for (key, value) in keys.into_iter().chain(level).chain(asked) {
            text.push_str(&format!("{key}={value}\n"));
        }
        user.write(dir.join(".samocode"), text);
        Project { user, dir, worktrees, sessions }
    }
}

/// A project; the paths are paths in the lab.
pub(crate) struct Project<'u> {
    pub(crate) user: &'u LabUser,
    /// The repository, with `.samocode` in it.
    pub(crate) dir: PathBuf,
    pub(crate) worktrees: PathBuf,
    pub(crate) sessions: PathBuf,
}

impl Project<'_> {
    /// The newest session folder of that name, `YY-MM-DD-NAME`.
    pub(crate) fn session(&self, name: &str) -> Option<PathBuf> {
        self.newest(&self.sessions, name)
    }

    /// The session's worktree.
    pub(crate) fn worktree(&self, name: &str) -> Option<PathBuf> {
        self.newest(&self.worktrees, name)
    }

    /// A file of the session, if it exists.
    pub(crate) fn session_file(&self, name: &str, file: &str) -> Option<String> {
        let path = self.session(name)?.join(file);
        fs::read_to_string(self.user.host_path(path)).ok()
    }

    /// The session's `_overview.md`.
    pub(crate) fn overview(&self, name: &str) -> Option<String> {
        self.session_file(name, "_overview.md")
    }

    /// A status line of the overview: `status("jwt", "Phase")`.
    pub(crate) fn status(&self, name: &str, key: &str) -> Option<String> {
        let overview = self.overview(name)?;
        let line = overview.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.trim().to_string())
    }

    fn newest(&self, folder: &Path, name: &str) -> Option<PathBuf> {
        let suffix = format!("-{name}");
        let names = || {
            let entries = fs::read_dir(self.user.host_path(folder)).ok()?;
            Some(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()))
        };
        let dated = names()?.filter(|found| found.strip_suffix(&suffix).is_some_and(is_date)).max();
        // One that lies below another has no date; neither has its worktree.
        let below = || {
            let places = names()?.map(|above| folder.join(above).join("workers").join(name));
            let mut places = places.chain([folder.join(name)]);
            places.find(|place| self.user.host_path(place).is_dir())
        };
        dated.map(|found| folder.join(found)).or_else(below)
    }
}

/// `YY-MM-DD`.
fn is_date(text: &str) -> bool {
    text.len() == 8
        && text.bytes().enumerate().all(|(at, byte)| match at {
            2 | 5 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}
