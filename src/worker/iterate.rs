//! One run of an iteration: record the intent, run the agent, record the outcome.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use uuid::Uuid;

use crate::agent::environment::RunIds;
use crate::agent::outcome::{Facts, Told};
use crate::agent::process::StartError;
use crate::agent::run::{GRACE, Run, Setting, TERM_GRACE};
use crate::agent::{self, Agent, Outcome, REGISTRY};
use crate::config::settings::Inhibit;
use crate::platform::Counted;
use crate::platform::awake::Awake;
use crate::platform::cgroup::RunCgroup;
use crate::platform::strays;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::store::{StoreError, crash_point};
use crate::session::{Needs, clock, names, stamp};

use super::budget::Spent;
use super::context::LastSeen;
use super::decide::Numbers;
use super::follow::{STARTING, Watch};
use super::{Trouble, Worker, prepare};

/// How long killed processes may take to exit.
const STRAYS_BOUND: Duration = Duration::from_secs(5);

/// The coarsest resolution of file times: one kernel tick at 100 Hz.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The parameters of a run, fixed before it starts.
pub(super) struct Plan {
    pub(super) run: String,
    pub(super) numbers: Numbers,
    pub(super) conversation: String,
    pub(super) resume: bool,
    /// What was wrong with the signal, if this run only asks for one.
    pub(super) asked: Option<String>,
    /// Folders to add to the agent's PATH.
    path_additions: Vec<PathBuf>,
}

/// What is known about a run when it ends.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) told: Told,
    pub(super) counted: Counted,
    pub(super) log_error: Option<String>,
    pub(super) seen: LastSeen,
    pub(super) handoff_asked: bool,
    /// Why the worker ended it, for a person.
    pub(super) why: Option<String>,
}

impl Worker<'_> {
    /// Runs the agent once and handles the result.
    pub(super) async fn iterate(&mut self, numbers: Numbers) -> Result<(), Trouble> {
        if !self.has_slot()? {
            return self.queue().await;
        }
        if let Some(pause) = self.disk_is_full() {
            return self.hold_back(pause).await;
        }
        match self.budget_is_spent()? {
            Some(Spent::Session(problem)) => return self.block(problem, Needs::HumanDecision),
            Some(Spent::Day(pause)) if !self.writer.state().forced => {
                return self.hold_back(*pause).await;
            }
            Some(Spent::Day(_)) | None => {}
        }
        if self.working_dir_is_gone() {
            let (project, settings) = (&self.setup.project, &self.setup.settings);
            let restore = prepare::restore_worktree(&mut self.writer, project, settings);
            if let Err(reason) = super::pinging(self.notify, restore).await? {
                return self.block(reason, Needs::HumanDecision);
            }
        } else if let Some(checkout) = self.checkout() {
            if !checkout.is_whole(self.writer.state().branch()) {
                // A git process killed with its agent leaves locks that would block the next one.
                let (project, settings) = (&self.setup.project, &self.setup.settings);
                let restored = prepare::restore_worktree(&mut self.writer, project, settings);
                if let Err(reason) = super::pinging(self.notify, restored).await? {
                    tracing::warn!("the worktree may be in a bad state: {reason}");
                }
            }
            match checkout.confirm(self.worktree.as_ref()).await {
                Ok(confirmed) => self.worktree = Some(confirmed),
                Err(error) => return self.block(error.to_string(), Needs::HumanDecision),
            }
            if self.writer.state().machine.is_first_run_since_boot() {
                self.restore_damaged(&checkout).await?;
            }
            // Somebody may have moved it since the last run; the agent is told what is true now.
            if let Some(moved) = self.head_moved().await {
                self.writer.record(moved)?;
            }
        }
        self.read_env_file();
        let agent = match self.agent().await {
            Some(Ok(found)) => found,
            Some(Err(error)) => return self.block(error.to_string(), Needs::HumanDecision),
            None => return Ok(()),
        };
        let plan = self.plan(numbers, &agent);
        let account = self.account();
        if let (Some(account), false) = (&account, self.writer.state().forced)
            && let Some(obstacle) = account.obstacle(&self.setup.instance, Timestamp::now())?
        {
            return self.hold_back(obstacle).await;
        }
        let spent_before = self.spent();
        let log = self.log_name(numbers);
        self.writer.folder.try_logs()?;
        self.writer.folder.clear_signal()?;
        self.end_outage()?;
        self.writer.record(Event::RunStarted(event::RunStarted {
            run: plan.run.clone(),
            agent: agent.word().to_owned(),
            conversation: plan.conversation.clone(),
            resume: plan.resume,
            phase: self.writer.state().phase(),
            iteration: numbers.iteration,
            total: numbers.total,
            attempt: numbers.attempt,
            log: log.clone(),
        }))?;
        self.writer.restore_overview()?;
        self.writer.open_overview()?;
        self.writer.show_start(STARTING)?;
        let since = SystemTime::now() - TICK;
        let ended = self.run(&agent, &plan, &log).await?;
        crash_point("the run is over");
        self.settle_run(since).await;
        self.conclude(&plan, &agent, ended, account.as_ref()).await?;
        self.account_for(spent_before)
    }

    /// Runs the process itself, from start to exit.
    async fn run(&mut self, agent: &Agent, plan: &Plan, log: &str) -> Result<Ended, Trouble> {
        let state = self.writer.state();
        let working_dir = state.working_dir().unwrap_or_default().to_owned();
        let name = temporary_name(&plan.run);
        let temporary = match tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir() {
            Ok(folder) => folder,
            Err(error) => return Ok(would_not_start(format!("no temporary folder: {error}"))),
        };
        let cgroup = self.cgroup.and_then(|unit| {
            unit.run(&state.total.to_string())
                .inspect_err(|error| tracing::warn!("the run has no cgroup of its own: {error}"))
                .ok()
        });
        let environment = self.environment(plan, temporary.path());
        let task = match self.task(plan) {
            Ok(task) => task,
            Err(error) => return Ok(would_not_start(error.to_string())),
        };
        let setting = Setting {
            environment: environment.clone(),
            working_dir: Path::new(&working_dir),
            cgroup: cgroup.as_ref().and_then(|cgroup| cgroup.procs().try_clone().ok()),
            log: self.open_log(log)?,
            stderr_log: self.open_log(&log.replace(".jsonl", ".stderr"))?,
            grace: GRACE,
            term_grace: TERM_GRACE,
        };
        let started =
            Run::start(agent.launch(&task), agent.decoder(Path::new(&working_dir)), setting);
        let mut run = match started {
            Ok(run) => run,
            Err(error) => {
                let counted = cgroup.map(RunCgroup::end).unwrap_or_default();
                let mut ended = would_not_start(error.to_string());
                if matches!(error, StartError::Limit { .. }) {
                    ended.outcome = Outcome::Exhausted { why: error.to_string() };
                }
                return Ok(Ended { counted, ..ended });
            }
        };
        let _awake = match self.setup.settings.inhibit {
            Inhibit::Idle => Awake::hold(&format!("session {} is running", self.setup.instance)),
            Inhibit::None => None,
        };
        crash_point("the agent is started");
        self.writer.catch_up()?;
        let mut watch = Watch::new(self, plan);
        let (exit, ended_by) = watch.drive(self, &mut run, cgroup.as_ref()).await?;
        crash_point("the agent has ended");
        let mut counted = cgroup.map(RunCgroup::end).unwrap_or_default();
        if self.cgroup.is_none() {
            let left = strays::end_left_behind(&plan.run, STRAYS_BOUND);
            counted.leftovers += counted_strays(&plan.run, left);
        }
        let summary = run.summary();
        let outcome = agent.outcome(&Facts {
            exit: exit.into(),
            told: &watch.told,
            stderr_tail: &summary.stderr_tail,
            oom_kills: counted.oom_kills,
            ended_by,
            resumed: plan.resume,
            rejected: self.writer.state().iteration.as_ref().is_some_and(|known| known.rejected),
            reports_end: agent.capabilities().reports_end,
            conversation: &plan.conversation,
            environment: &environment,
        });
        let log_error = summary.log_error.map(|error| format!("the log is incomplete: {error}"));
        Ok(Ended {
            outcome,
            told: watch.told,
            counted,
            log_error,
            seen: watch.seen,
            handoff_asked: watch.handoff_asked,
            why: watch.why_ended,
        })
    }

    fn plan(&self, numbers: Numbers, agent: &Agent) -> Plan {
        let state = self.writer.state();
        let known = state.conversation();
        let resume = agent.capabilities().resumes
            && known.is_some_and(|conversation| conversation.resumable);
        let conversation = known
            .filter(|_| resume)
            .map_or_else(|| Uuid::new_v4().to_string(), |known| known.id.clone());
        Plan {
            run: Uuid::now_v7().to_string(),
            numbers,
            conversation,
            resume,
            asked: state
                .iteration
                .as_ref()
                .filter(|_| resume)
                .and_then(|known| known.asked.clone()),
            path_additions: agent.path_additions().to_vec(),
        }
    }

    fn environment(&self, plan: &Plan, temporary: &Path) -> agent::Environment {
        let state = self.writer.state();
        let ids = RunIds {
            session: self.setup.instance.clone(),
            session_dir: self.writer.folder.path().to_owned(),
            phase: state.phase(),
            iteration: plan.numbers.total,
            run: plan.run.clone(),
            tmpdir: temporary.to_owned(),
            path_additions: plan.path_additions.clone(),
        };
        let name = self.setup.settings.agent(state.phase());
        REGISTRY.environment(&self.setup.env, &self.env_file, name, &ids).into_iter().collect()
    }

    /// `MM-DD-HHMM-NNN-PHASE.jsonl`, with the number of the run if it is not the iteration's first.
    fn log_name(&self, numbers: Numbers) -> String {
        let name = stamp::log_file(numbers.total, self.writer.state().phase(), &clock::local_now());
        if numbers.attempt == 1 && !self.writer.folder.logs().join(&name).exists() {
            return name;
        }
        name.replace(".jsonl", &format!("-run{}.jsonl", numbers.attempt))
    }

    fn open_log(&self, name: &str) -> Result<File, StoreError> {
        self.writer.folder.make_subfolders()?;
        let path = self.writer.folder.logs().join(name);
        OpenOptions::new().create(true).append(true).open(&path).map_err(|source| StoreError {
            action: "open the log",
            path,
            source,
        })
    }

    /// The session's plain name, as people and agents use it.
    pub(super) fn session_name(&self) -> String {
        let folder = self.writer.folder.name();
        names::name_in_folder(&folder).map_or(folder.clone(), str::to_owned)
    }
}

/// Name of a run's private folder for temporary files. A later worker can derive it to clean up,
/// but nobody can predict it before the run starts.
pub(super) fn temporary_name(run: &str) -> String {
    format!("samocode-{run}")
}

/// Kills processes that a run left behind, if it had no cgroup.
pub(super) fn end_strays(run: &str) -> u32 {
    counted_strays(run, strays::end_run(run, STRAYS_BOUND))
}

fn counted_strays(run: &str, ended: std::io::Result<usize>) -> u32 {
    match ended {
        Ok(ended) => u32::try_from(ended).unwrap_or(u32::MAX),
        Err(error) => {
            tracing::warn!("cannot kill all processes of run {run}: {error}");
            0
        }
    }
}

fn would_not_start(why: String) -> Ended {
    Ended {
        outcome: Outcome::WouldNotStart { why },
        told: Told::default(),
        counted: Counted::default(),
        log_error: None,
        seen: LastSeen::default(),
        handoff_asked: false,
        why: None,
    }
}
