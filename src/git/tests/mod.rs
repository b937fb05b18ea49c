//! Against the real git, in throw-away folders.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::leftovers::{OUR_LOCK, Registration, is_whole, registered_in};
use super::plan::plan;
use super::*;
use crate::session::Hint as _;

mod checks;
mod confirming;
mod creation;
mod head;
mod hostile;
mod reading;
mod recovery;
mod removal;
mod strays;

/// Carries out a plan, and tells nobody how far it is.
async fn create(planned: &Plan, programs: &Programs) -> Result<Created, Error> {
    super::create::create(planned, programs, &|_| {}).await
}

/// A repository and a place for worktrees, gone at the end.
pub(super) struct Lab {
    folder: tempfile::TempDir,
    pub(super) repo: PathBuf,
}

impl Lab {
    fn empty(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let lab = Self { folder, repo: root.join("repo") };
        git(&root, &[&["init", "--quiet", "-b", "main"], options, &["repo"]].concat());
        lab.configure();
        lab
    }

    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(options: &[&str]) -> Self {
        let lab = Self::empty(options);
        lab.commit("README", "hello\n");
        lab
    }

    /// A clone of another repository that then has one commit more.
    fn cloned() -> Self {
        let lab = Self::new();
        let root = lab.root();
        std::fs::rename(&lab.repo, root.join("upstream")).unwrap();
        git(&root, &["clone", "--quiet", "upstream", "repo"]);
        lab.configure();
        commit(&root.join("upstream"), "NEWS", "fresh\n");
        lab
    }

    fn configure(&self) {
        for (key, value) in [
            ("user.name", "T"),
            ("user.email", "t@example.org"),
            ("commit.gpgSign", "false"),
            ("gc.auto", "0"),
        ] {
            git(&self.repo, &["config", key, value]);
        }
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root().join("worktrees").join(name)
    }

    pub(super) fn commit(&self, file: &str, content: &str) {
        commit(&self.repo, file, content);
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        git(&self.repo, args)
    }

    pub(super) fn hook(&self, name: &str, script: &str) {
        let hook = self.repo.join(".git/hooks").join(name);
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        crate::write_program(&hook, format!("#!/bin/sh\n{script}\n"));
    }

    /// Files named `*.big` are upper-cased on the way out, as LFS fetches them, by a script.
    pub(super) fn filter(&self, script: &str) {
        self.git(&["config", "filter.big.clean", "tr A-Z a-z"]);
        self.git(&["config", "filter.big.smudge", "cat"]);
        self.commit(".gitattributes", "*.big filter=big\n");
        self.commit("x.big", "content\n");
        self.git(&["config", "filter.big.smudge", script]);
    }

    fn plan(&self, branch: &str) -> Result<Plan, Error> {
        plan(&self.repo, branch, &self.path(branch))
    }

    /// The record of what the repository's programs were at first.
    pub(super) fn programs(&self) -> Programs {
        Programs::of(&self.root().join("state"))
    }

    /// As after the command that a note about them names.
    fn forget_programs(&self) {
        let _ = std::fs::remove_dir_all(self.root().join("state"));
    }

    pub(super) async fn create(&self, branch: &str) -> Result<Created, Error> {
        create(&self.plan(branch)?, &self.programs()).await
    }

    /// Waits until the time that the kernel gives to files, which goes in steps of some milliseconds, has made one. The new time.
    pub(super) fn next_tick(&self) -> std::time::SystemTime {
        let probe = self.folder.path().join("probe");
        let now = || {
            std::fs::write(&probe, "").unwrap();
            std::fs::metadata(&probe).unwrap().modified().unwrap()
        };
        let (first, end) = (now(), std::time::Instant::now() + Duration::from_secs(5));
        loop {
            let next = now();
            if next > first {
                return next;
            }
            assert!(std::time::Instant::now() < end, "the clock of files stands still");
        }
    }

    fn registered(&self) -> usize {
        registrations(&self.repo).len()
    }
}

fn registrations(repo: &Path) -> Vec<Registration> {
    let all = std::fs::read_dir(repo.join(".git/worktrees"));
    all.into_iter().flatten().filter_map(|entry| registered_in(&entry.unwrap().path())).collect()
}

pub(super) fn git(folder: &Path, args: &[&str]) -> String {
    let output = git_command(folder).into_std().args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(repo: &Path, file: &str, content: &str) {
    let path = repo.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    git(repo, &["add", "--all"]);
    git(
        repo,
        &[
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@example.org",
            "-c",
            "commit.gpgSign=false",
            "commit",
            "--quiet",
            "-m",
            file,
        ],
    );
}

fn start_of(plan: Plan) -> Start {
    match plan {
        Plan::Worktree(plan) => plan.start,
        Plan::Plain { why, .. } => panic!("plain: {why}"),
    }
}

/// Everything a worktree must be before an agent may work in it.
async fn assert_healthy(lab: &Lab, branch: &str) {
    let path = lab.path(branch);
    assert_eq!(head(&path).unwrap().branch.as_deref(), Some(branch));
    assert_eq!(git(&path, &["status", "--porcelain"]), "", "clean and complete");
    let known = registrations(&lab.repo).into_iter().find(|known| known.folder == path).unwrap();
    assert_eq!(known.lock, None);
    assert!(!known.admin.join("index.lock").exists());
    let again = lab.create(branch).await.unwrap();
    assert_eq!((again.did, again.notes), (Did::Nothing, vec![]));
}

/// Runs a test again in a process of its own with other variables; true in that process.
fn in_environment(test: &str, variables: &[(&str, &str)]) -> bool {
    if std::env::var_os("SAMOCODE_TEST_INNER").is_some() {
        return true;
    }
    let test = format!("git::tests::{test}");
    // One that waits for what never comes is to fail, not to stay.
    let mut command = Command::new("timeout");
    command
        .arg("120")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture"])
        .env("SAMOCODE_TEST_INNER", "1")
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}
