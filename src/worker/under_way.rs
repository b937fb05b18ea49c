//! A run of the agent, from the start of its process to its end.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use crate::agent::confine::{Closed, Confinement, Proxy};
use crate::agent::event::Usage;
use crate::agent::outcome::{Facts, Reported};
use crate::agent::process::StartError;
use crate::agent::run::{GRACE, Run, Setting, TERM_GRACE};
use crate::agent::stream::Log;
use crate::agent::unknown::Unknown;
use crate::agent::{self, Agent, Outcome, Records};
use crate::config::settings::Inhibit;
use crate::platform::Counted;
use crate::platform::awake::Awake;
use crate::platform::cgroup::RunCgroup;
use crate::platform::strays;
use crate::session::Hint as _;
use crate::session::store::{self, crash_point};

use super::background::Pending;
use super::confine::calls::Served;
use super::confine::outbox::Outbox;
use super::context::LastSeen;
use super::follow::Watch;
use super::iterate::Plan;
use super::room::Room;
use super::{Trouble, Worker, rules, temporary};

/// How long killed processes may take to exit.
const STRAYS_BOUND: Duration = Duration::from_secs(5);

/// The files of a run: its log, open for appending, and its folder for temporary files, which is being
/// made. That may take longer than all else, where the folder is on a disk.
pub(super) struct RunFiles {
    pub(super) log: String,
    pub(super) file: File,
    pub(super) temporary: Pending<io::Result<TempDir>>,
}

/// A run whose process was started: it has the worker to itself until the process has ended.
pub(super) struct RunUnderWay<'w, 'a> {
    pub(super) worker: &'w mut Worker<'a>,
    agent: &'w Agent,
    pub(super) plan: &'w Plan,
    pub(super) process: Run,
    pub(super) cgroup: Option<RunCgroup>,
    pub(super) watch: Watch,
    pub(super) environment: agent::Environment,
    pub(super) confinement: Option<Confinement>,
    /// The way out of its network, if it has one of its own.
    proxy: Option<Proxy>,
    pub(super) outbox: Outbox,
    /// The calls that it makes from its cage.
    pub(super) calls: Served,
    /// The file that its output is in.
    log: PathBuf,
    temporary: TempDir,
    _awake: Option<Awake>,
}

/// What is known about a run when it ends.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// What the agent's own files say.
    pub(super) records: Records,
    pub(super) reported: Reported,
    /// What to change so that the agent may make its calls, if some were denied.
    pub(super) denied_by: Option<String>,
    /// What was in its output that is unknown.
    pub(super) unknown: Unknown,
    pub(super) counted: Counted,
    pub(super) log_error: Option<String>,
    pub(super) seen: LastSeen,
    pub(super) handoff_asked: bool,
    /// Why the worker ended it, for a person.
    pub(super) why: Option<String>,
    /// How it was confined.
    pub(super) confinement: Option<Confinement>,
    /// What led out of its network, and knows what it refused.
    pub(super) proxy: Option<Proxy>,
    /// The removal of its temporary folder. Wait for it before the end is recorded: recovery looks
    /// for such a folder only of a run that is open.
    pub(super) removal: Option<Pending<()>>,
}

impl Ended {
    /// Whether the agent said or did anything.
    pub(super) fn worked(&self) -> bool {
        !self.seen.is_empty() || self.reported.usage() != Usage::default()
    }
}

impl<'w, 'a> RunUnderWay<'w, 'a> {
    /// Starts the process. A run that cannot be started has ended.
    pub(super) fn start(
        worker: &'w mut Worker<'a>,
        agent: &'w Agent,
        plan: &'w Plan,
        RunFiles { log, file, temporary }: RunFiles,
    ) -> Result<Result<Self, Box<Ended>>, Trouble> {
        let state = worker.writer.state();
        let working_dir = state.working_dir().unwrap_or_default().to_owned();
        // A thread that panicked has said why.
        let made = temporary.wait().unwrap_or_else(|| Err(io::Error::other("it was not made")));
        let temporary = match made {
            Ok(folder) => folder,
            Err(error) => {
                return Ok(Err(Ended::would_not_start(format!("no temporary folder: {error}"))));
            }
        };
        if plan.resume && agent.capabilities().one_writer {
            end_orphans(worker.writer.folder.path());
        }
        let cgroup = worker.cgroup.and_then(|unit| {
            unit.run(&state.total.to_string())
                .inspect_err(|error| tracing::warn!("the run has no cgroup of its own: {error}"))
                .ok()
        });
        let mut environment = worker.environment(plan, temporary.path());
        let confinement = worker.confinement(agent, &mut environment, temporary.path());
        let calls = match &confinement {
            Some(_) => Served::open(worker, temporary.path(), &mut environment),
            None => Served::default(),
        };
        let task = match worker.task(plan, &log, &environment, confinement.as_ref()) {
            Ok(task) => task,
            Err(error) => return Ok(Err(Ended::would_not_start(error.to_string()))),
        };
        let closed = match confinement.as_ref().map(Confinement::close).transpose() {
            Ok(closed) => closed,
            Err(error) => return Ok(Err(Ended::would_not_start(error.to_string()))),
        };
        let (cage, proxy) = closed.map(|Closed { cage, proxy }| (cage, proxy)).unzip();
        let folder = worker.writer.folder.clone();
        let errors = log.replace(".jsonl", ".stderr");
        let setting = Setting {
            environment: environment.clone(),
            working_dir: Path::new(&working_dir),
            cgroup: cgroup.as_ref().and_then(|cgroup| cgroup.procs().try_clone().ok()),
            cage,
            log: file,
            stderr_log: Log::later(move || folder.open_log(&errors).map_err(io::Error::other)),
            veil: worker.redactor.veil(),
            grace: GRACE,
            term_grace: TERM_GRACE,
        };
        let started =
            Run::start(agent.launch(&task), agent.driver(&task, Path::new(&working_dir)), setting);
        let process = match started {
            Ok(process) => process,
            Err(error) => {
                let counted = cgroup.map(RunCgroup::end).unwrap_or_default();
                let ended = match error {
                    StartError::Limit { .. } => {
                        Box::new(Ended::with(Outcome::Exhausted { why: error.in_one_line() }))
                    }
                    _ => Ended::would_not_start(error.in_one_line()),
                };
                return Ok(Err(Box::new(Ended { counted, ..*ended })));
            }
        };
        let awake = match worker.setup.settings.inhibit {
            Inhibit::Idle => Awake::hold(&format!("session {} is running", worker.setup.instance)),
            Inhibit::None => None,
        };
        crash_point("the agent is started");
        let room = Room::of(worker, temporary.path(), cgroup.as_ref());
        let watch = Watch::new(worker, room);
        let log = worker.writer.folder.logs().join(log);
        Ok(Ok(Self {
            worker,
            agent,
            plan,
            process,
            cgroup,
            watch,
            environment,
            confinement,
            proxy: proxy.flatten(),
            outbox: Outbox::default(),
            calls,
            log,
            temporary,
            _awake: awake,
        }))
    }

    /// Follows the process to its end, ends what it left behind, and judges the outcome.
    pub(super) async fn follow(mut self) -> Result<Ended, Trouble> {
        let exit = self.drive().await?;
        crash_point("the agent has ended");
        let Self {
            worker,
            agent,
            plan,
            mut process,
            cgroup,
            mut watch,
            environment,
            confinement,
            proxy,
            outbox,
            calls,
            log,
            temporary,
            ..
        } = self;
        // Those who made them have ended.
        drop(calls);
        let mut counted = cgroup.map(RunCgroup::end).unwrap_or_default();
        if worker.cgroup.is_none() {
            let left = strays::end_left_behind(&plan.run, STRAYS_BOUND);
            counted.leftovers += counted_strays(&plan.run, left);
        }
        if confinement.is_some() {
            outbox.finish(worker, &environment).await?;
        }
        let removal = worker.writer.background.run(move || temporary::remove(temporary));
        let mut summary = process.summary();
        if watch.seen.text().trim().is_empty()
            && let Some(line) = last_plain_line(&log)
        {
            if summary.stderr_tail.trim().is_empty() {
                summary.stderr_tail.clone_from(&line);
            }
            watch.seen.push(&line);
        }
        let iteration = worker.writer.state().iteration.as_ref();
        let named = Some(watch.reported.conversation.as_str()).filter(|id| !id.is_empty());
        let facts = Facts {
            exit: exit.into(),
            reported: &watch.reported,
            stderr_tail: &summary.stderr_tail,
            oom_kills: counted.oom_kills,
            ended_by: watch.ended_by,
            resumed: plan.resume,
            rejected: iteration.is_some_and(|known| known.rejected),
            reports_end: agent.capabilities().reports_end,
            conversation: named.unwrap_or(&plan.conversation),
            environment: &environment,
        };
        let (outcome, records) = (agent.outcome(&facts), agent.records(&facts));
        let was_denied = watch.reported.was_denied();
        let working_dir = worker.writer.state().working_dir().unwrap_or_default();
        let denied_by =
            was_denied.then(|| agent.denies(&environment, Path::new(working_dir))).flatten();
        let log_error = summary.log_error.map(|error| format!("the log is incomplete: {error}"));
        Ok(Ended {
            outcome: rules::believed(outcome, Timestamp::now()),
            records,
            denied_by,
            reported: watch.reported,
            unknown: summary.unknown,
            counted,
            log_error,
            seen: watch.seen,
            handoff_asked: watch.handoff_asked,
            why: watch.why_ended,
            confinement,
            proxy,
            removal: Some(removal),
        })
    }
}

impl Ended {
    /// A run with this outcome of which nothing else is known.
    pub(super) fn with(outcome: Outcome) -> Self {
        Self {
            outcome,
            records: Records::default(),
            reported: Reported::default(),
            denied_by: None,
            unknown: Unknown::default(),
            counted: Counted::default(),
            log_error: None,
            seen: LastSeen::default(),
            handoff_asked: false,
            why: None,
            confinement: None,
            proxy: None,
            removal: None,
        }
    }

    fn would_not_start(why: String) -> Box<Self> {
        Box::new(Self::with(Outcome::WouldNotStart { why }))
    }
}

/// The last line of an agent's output that is text and no event: some say in no other way what is
/// wrong.
fn last_plain_line(log: &Path) -> Option<String> {
    const MOST: u64 = 4096;
    let end = store::read_tail(log, MOST).ok()?;
    let text = String::from_utf8_lossy(&end);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.rfind(|line| !line.starts_with(['{', '['])).map(str::to_owned)
}

/// Kills processes that a run left behind, if it had no cgroup.
pub(super) fn end_strays(run: &str) -> u32 {
    counted_strays(run, strays::end_run(run, STRAYS_BOUND))
}

/// Kills processes of the session's earlier runs. The worker has the session to itself, so no one
/// misses them, and one of them may have the conversation open that is to be resumed.
fn end_orphans(folder: &Path) {
    match strays::end_with("SAMOCODE_SESSION_DIR", folder.as_os_str(), STRAYS_BOUND) {
        Ok(0) => {}
        Ok(ended) => tracing::warn!("killed {ended} processes left by earlier runs"),
        Err(error) => tracing::warn!("cannot kill processes left by earlier runs: {error}"),
    }
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
