//! Runs the project's tests on what was merged: with a time limit, and leaving no process behind.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::confine::Confine;
use crate::config::settings::Provision;
use crate::config::{Env, Redactor};
use crate::control::error::{Attempt as _, Class, Error, Result};
use crate::git;
use crate::platform::shell::{Ended, Shell};
use crate::platform::strays;
use crate::session::describe::harmless;
use crate::worker::confine::Caged;

use super::series::Verdict;

/// How long to wait for processes that the tests left to end.
const ENDING: Duration = Duration::from_secs(5);

/// The tests, and how they are run.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    /// `SAMOCODE_TEST_COMMAND`, for the shell.
    pub(super) command: String,
    /// The folder in which the test command runs.
    pub(super) folder: PathBuf,
    /// `SAMOCODE_TEST_TIMEOUT`: the time limit of one run of the tests.
    pub(super) limit: Duration,
    /// The file that gets its output.
    pub(super) log: PathBuf,
    /// The caller's environment, in which the tests run.
    pub(super) env: Env,
    /// Marks its processes, as `SAMOCODE_RUN` marks those of an agent.
    pub(super) run: String,
    /// What the worktree gets before.
    pub(super) provision: Provision,
    /// The repository that ignored files are copied from.
    pub(super) repo: PathBuf,
    /// The root of the worktree that is tested.
    pub(super) root: PathBuf,
    /// How it is confined: it runs what agents wrote.
    pub(super) confine: Confine,
    /// The home folder.
    pub(super) home: PathBuf,
}

impl Trial {
    /// Runs the tests once, in a worktree that has what a session's gets: submodules, the files of
    /// `.worktreeinclude`, and what the setup command makes. Each time, since a branch may change
    /// what that needs. `progress` gets what is done.
    ///
    /// # Errors
    /// If they cannot be started, or their processes do not end.
    pub(super) async fn run(&self, progress: &(dyn Fn(String) + Send + Sync)) -> Result<Verdict> {
        if self.provision.submodules
            && let Err(error) = git::update_submodules(&self.root).await
        {
            return Ok(Verdict::Red(error.to_string()));
        }
        git::include(&self.repo, &self.root, &|at, of, path| {
            progress(format!("copying ignored files, {at} of {of}: {}", path.display()));
        })?;
        if let Some(setup) = &self.provision.setup {
            progress(format!("the setup command runs: {setup}"));
            let verdict = self.shell(setup, self.provision.limit, "run the setup command").await?;
            if let Verdict::Red(lines) = verdict {
                return Ok(Verdict::Red(format!("the setup command failed:\n{lines}")));
            }
        }
        progress(format!("testing with: {}", self.command));
        self.shell(&self.command, self.limit, "run the tests").await
    }

    async fn shell(&self, command: &str, limit: Duration, doing: &str) -> Result<Verdict> {
        // It may be an agent who merges, and the tests are not its run.
        let is_of_a_run = |name: &str| matches!(name, "SAMOCODE_SESSION" | "SAMOCODE_SESSION_DIR");
        let env = self.env.iter().filter(|(name, _)| !name.to_str().is_some_and(is_of_a_run));
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let caged = Caged::command(&self.confine, &self.home, (&self.folder, None), None, env);
        let caged = caged
            .map_err(|why| Error::new(Class::Configuration, format!("cannot {doing}: {why}")))?;
        let shell = Shell {
            command,
            folder: &self.folder,
            env: caged.env.clone(),
            run: &self.run,
            log: &self.log,
            limit,
            cage: caged.cage,
            filter: Redactor::of_env(&self.env).veil().filter(),
        };
        let ended = shell.run(None).await;
        let ended = ended.attempt(|| format!("{doing} in {}", self.folder.display()))?;
        // Nobody may meet what these left.
        end_processes(&self.run)?;
        Ok(match ended {
            Ended::Well => Verdict::Green,
            Ended::Badly { how, lines } if lines.is_empty() => {
                Verdict::Red(format!("{command} ended with {how} and wrote nothing"))
            }
            Ended::Badly { lines, .. } => Verdict::Red(harmless(&lines.join("\n")).into_owned()),
        })
    }

    /// Empties the log, unless a merge is resumed.
    pub(super) fn begin_log(&self, is_new: bool) -> Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(is_new);
        options.open(&self.log).map(drop).attempt(|| format!("write {}", self.log.display()))
    }
}

/// Ends all processes with this mark.
pub(super) fn end_processes(run: &str) -> Result<()> {
    strays::end_run(run, ENDING)
        .map(drop)
        .attempt(|| "end the processes that an interrupted merge left".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(folder: &std::path::Path, command: &str) -> Trial {
        Trial {
            command: command.to_owned(),
            folder: folder.to_owned(),
            limit: Duration::from_secs(60),
            log: folder.join("log"),
            env: Env::from_iter([("PATH", "/usr/bin:/bin"), ("SAMOCODE_SESSION", "jwt")]),
            run: format!("trial-{}", uuid::Uuid::new_v4()),
            provision: Provision::default(),
            repo: folder.to_owned(),
            root: folder.to_owned(),
            confine: Confine::default(),
            home: folder.to_owned(),
        }
    }

    #[tokio::test]
    async fn the_last_lines_of_red_tests_are_kept_and_those_of_earlier_ones_are_not_mixed_in() {
        let root = tempfile::tempdir().unwrap();
        let first = trial(root.path(), "echo earlier; exit 3");
        assert_eq!(first.run(&drop).await.unwrap(), Verdict::Red("earlier".into()));
        let later = trial(root.path(), "seq 1 40; echo; printf '\\033[31mred\\n' >&2; exit 1");
        let Verdict::Red(lines) = later.run(&drop).await.unwrap() else { panic!("green") };
        assert!(lines.starts_with("27\n") && lines.ends_with("red"), "{lines}");
        assert!(!lines.contains('\u{1b}'), "{lines}");
        let silent = trial(root.path(), "exit 1").run(&drop).await.unwrap();
        assert_eq!(
            silent,
            Verdict::Red("exit 1 ended with exit status: 1 and wrote nothing".into())
        );
        let green = trial(root.path(), "test -z \"$SAMOCODE_SESSION\"").run(&drop).await.unwrap();
        assert_eq!(green, Verdict::Green);
        let log = std::fs::read_to_string(root.path().join("log")).unwrap();
        assert!(log.starts_with("$ echo earlier; exit 3\nearlier\n$ seq"), "{log}");
    }

    #[tokio::test]
    async fn tests_run_where_setup_has_run_and_a_setup_that_fails_is_red() {
        let root = tempfile::tempdir().unwrap();
        let with = |setup: &str, command: &str| {
            let limit = Duration::from_secs(60);
            let provision = Provision { setup: Some(setup.into()), limit, ..Provision::default() };
            Trial { provision, ..trial(root.path(), command) }
        };
        let green = with("touch built", "rm built").run(&drop).await.unwrap();
        assert_eq!(green, Verdict::Green);
        let red = with("echo no network; exit 1", "true").run(&drop).await.unwrap();
        assert_eq!(red, Verdict::Red("the setup command failed:\nno network".into()));
    }

    #[tokio::test]
    async fn tests_that_hang_are_killed_with_what_they_started() {
        let root = tempfile::tempdir().unwrap();
        let hangs = "setsid flock held sh -c 'touch started; sleep 1000' & sleep 1000";
        let trial = Trial { limit: Duration::from_secs(1), ..trial(root.path(), hangs) };
        let Verdict::Red(lines) = trial.run(&drop).await.unwrap() else { panic!("green") };
        assert!(lines.contains("killed after 1 s"), "{lines}");
        assert!(root.path().join("started").exists(), "it had no time to start");
        let held = std::fs::File::open(root.path().join("held")).unwrap();
        assert!(held.try_lock().is_ok(), "it still runs");
    }
}
