//! Checks before a run: anything that would make it fail or exceed a budget.

use std::path::Path;
use std::time::Duration;

use crate::agent::environment::RunIds;
use crate::agent::{self, Agent, AgentError, REGISTRY};
use crate::config::secret::redactor;
use crate::config::{Dirs, EnvFile};
use crate::git::{self, Checkout};
use crate::platform::limits::{self, Limit};
use crate::platform::{free_space, threads, try_room};
use crate::session::Hint as _;
use crate::session::clock;
use crate::session::store::StoreError;

use super::account::{Account, Sources};
use super::file_stamp::FileStamp;
use super::obstacles::{Found, Space};
use super::room::{BRIEFLY, Places, Taken};
use super::{Worker, notices};

/// How long an agent's program may be missing between two runs before the session blocks.
const AGENT_PATIENCE: Duration = Duration::from_secs(60);

/// How many processes a git or an agent needs at least, with its helpers.
const HELPERS: usize = 4;

/// How much room for temporary files a run needs at least, in bytes.
const TEMPORARY: u64 = 64 * 1024;

impl Worker<'_> {
    /// The agent of the coming run, located and ready to run. A program that was there before gets
    /// some time to come back: an updater replaces it. `None` if the worker is to stop.
    pub(super) async fn agent(&mut self) -> Option<Result<Agent, AgentError>> {
        let deadline = tokio::time::Instant::now() + AGENT_PATIENCE;
        loop {
            match self.find_agent() {
                Err(AgentError::Program(missing))
                    if self.writer.state().total > 0 && tokio::time::Instant::now() < deadline =>
                {
                    self.notify.status(&notices::status_line(
                        self.writer.state(),
                        Some(&format!("waiting a minute for the agent's program: {missing}")),
                        None,
                    ));
                    if let Err(error) = self.writer.keep_hook_up() {
                        tracing::info!("cannot update the hook: {error}");
                    }
                    if self.pause(Duration::from_secs(1)).await {
                        return None;
                    }
                }
                found => return Some(found),
            }
        }
    }

    fn find_agent(&self) -> Result<Agent, AgentError> {
        let (settings, env) = (&self.setup.settings, &self.setup.env);
        let (phase, name) = (self.writer.state().phase(), self.agent_name());
        let agent = REGISTRY.agent(name, phase, settings, env, &self.setup.binary)?;
        let environment: agent::Environment = env.clone().into_iter().collect();
        agent.ready(rustix::process::geteuid().is_root(), &environment)?;
        Ok(agent)
    }

    /// Reads the env file again, in case a human fixed something in it.
    pub(super) fn read_env_file(&mut self) {
        // Stamp the file before reading it, so that a concurrent write is noticed next time.
        self.env_file_read = self.env_file_path().as_deref().and_then(FileStamp::of);
        match Dirs::user(&self.setup.env).and_then(|dirs| EnvFile::read(&dirs)) {
            Ok(read) => {
                self.redactor = redactor(&self.setup.env, &read);
                self.env_file = read;
            }
            Err(error) => {
                tracing::warn!("keeping the previous credentials: {}", error.in_one_line())
            }
        }
    }

    /// The session's checkout; `None` if it works in a folder that was not made for it.
    pub(super) fn checkout(&self) -> Option<Checkout> {
        let working_dir = self.writer.state().working_dir()?;
        Checkout::around(&self.setup.project, Path::new(working_dir))
    }

    pub(super) fn working_dir_is_gone(&self) -> bool {
        self.writer.state().working_dir().is_some_and(|dir| !Path::new(dir).is_dir())
    }

    /// Looks for obstacles to a run.
    pub(super) fn look_around(&self) -> Result<Found, StoreError> {
        let now = clock::local_now();
        Ok(Found {
            has_slot: self.is_admitted(),
            space: self.space(),
            spent_today: self.spent_today(&now)?,
            spent: self.spent_with_below(),
            spent_above: self.spent_above(),
            not_confined: self.not_confined(),
            now,
        })
    }

    /// The room for files on the disks that a run needs.
    pub(super) fn space(&self) -> Space {
        let places = [self.writer.folder.path(), Checkout::place(&self.setup.project)];
        let free = |path: &Path| Some((path.to_owned(), free_space(path)?));
        let temporary = tempfile::env::temp_dir();
        let no_temporary_files = try_room(&temporary, TEMPORARY).err().map(|error| {
            format!("cannot write temporary files to {}: {error}", temporary.display())
        });
        let try_processes = || threads::try_some(HELPERS).err();
        let no_processes = (!self.may_start).then(try_processes).flatten();
        let processes = no_processes.and_then(|error| Limit::of_start(&error));
        let files = || limits::try_files().err().and_then(|error| Limit::of(&error));
        let most = self.setup.settings.disk_max;
        let too_much = |most| Taken::of(&self.places(), BRIEFLY).too_much(most);
        Space {
            too_much: most.and_then(too_much),
            free: places.into_iter().filter_map(free).collect(),
            no_temporary_files,
            limit: processes.or_else(files),
        }
    }

    /// Where the session's files are.
    pub(super) fn places(&self) -> Places {
        let folder = &self.writer.folder;
        let checkout = self.checkout();
        let own = checkout.as_ref().and_then(Checkout::own_repository).map(Path::to_owned);
        let root = checkout.as_ref().map(|checkout| checkout.root().to_owned());
        Places {
            all: [folder.path().to_owned()].into_iter().chain(root).chain(own).collect(),
            without: folder.below().iter().map(|below| below.path().to_owned()).collect(),
        }
    }

    /// The account the agent will use, if it has one.
    pub(super) fn account(&self) -> Option<Account> {
        let name = self.agent_name();
        let env = REGISTRY.environment(&self.setup.env, &self.env_file, name, &RunIds::default());
        let known = REGISTRY.account(name, &env)?;
        let sources = Sources {
            env_file: self.env_file_path(),
            env_file_read: self.env_file_read.clone(),
            logins: known.logins,
        };
        let folder = self.setup.state_dir.join("accounts");
        let stop_at = self.setup.settings.quota_stop_at;
        Some(Account::new(&folder, &known.hash, sources, stop_at))
    }

    /// What a human does when the credentials of the agent are refused.
    pub(super) fn log_in(&self) -> String {
        let name = self.agent_name();
        let env = REGISTRY.environment(&self.setup.env, &self.env_file, name, &RunIds::default());
        let dirs = Dirs::user(&self.setup.env).ok();
        let env_file = dirs.map(|dirs| dirs.short(&dirs.env_file()));
        REGISTRY.log_in(name, &env, env_file.as_deref().unwrap_or("~/.config/samocode/env"))
    }

    /// A fingerprint of worktree and session, to see whether an iteration changed anything: the
    /// commit, git's list of changes, and the time of the newest artifact.
    pub(super) async fn fingerprint(&self) -> String {
        let working_dir = self.writer.state().working_dir().unwrap_or_default().to_owned();
        let working_dir = Path::new(&working_dir);
        let commit = git::head(working_dir).ok().and_then(|head| head.commit);
        let changed = git::changed_files(working_dir).await.unwrap_or(0);
        let newest = newest_file(self.writer.folder.path()).max(newest_file(working_dir));
        format!("{} {changed} {newest}", commit.unwrap_or_default())
    }
}

/// Modification time of the newest file directly in a folder, in nanoseconds since 1970, ignoring
/// the worker's own files.
fn newest_file(folder: &Path) -> u128 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with(['_', '.']))
        .filter_map(|entry| entry.metadata().ok()?.modified().ok())
        .filter_map(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
        .map(|age| age.as_nanos())
        .max()
        .unwrap_or(0)
}
