//! A session on a stage: the real worker with its real files, an agent that is a script, and a
//! machine that kills the worker or fills the disk at any write.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::super::*;
use crate::agent::registry::testing::agent_of;
use crate::agent::{Agent, Outcome, REGISTRY, vocabulary};
use crate::config::{Env, Flags, Project, Settings};
use crate::notify::Channels;
use crate::session::hook::Hook;
use crate::session::journal::Entry;
use crate::session::mail::{Kind, Message};
use crate::session::overview::{Field, NewOverview, Overview};
use crate::session::state::State;
use crate::session::store::{Folder, Journal, LockError, Vouchers, faults, read_journal};
use crate::session::{Phase, Status};
use crate::worker::task::unseen;
use crate::worker::under_way::Ended;

/// The agent whose place the script takes: one that can resume its conversations.
static AGENT: LazyLock<Agent> =
    LazyLock::new(|| agent_of(&REGISTRY, "claude", "CLAUDE_PATH=/bin/true").unwrap());

/// What the agent does in one run.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) acts: Vec<Act>,
    pub(super) signal: Option<(Status, Option<Phase>)>,
    /// The verdict instead of that, if it is asked for a review.
    pub(super) approves: bool,
    pub(super) outcome: Fate,
}

/// How a run ends, apart from its signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Works,
    Fails,
    /// The account's usage limit is reached until a time that is over already, or far off.
    Limited {
        is_over: bool,
    },
    /// The service takes no more requests for now.
    Throttled,
    /// The credentials are refused.
    LoggedOut,
}

impl Fate {
    fn outcome(self) -> Outcome {
        let what = "what".to_owned();
        match self {
            Self::Works => Outcome::Finished,
            Self::Fails => Outcome::Failed { why: what },
            Self::Limited { is_over } => {
                let away = SignedDuration::from_hours(if is_over { -1 } else { 100 });
                let resets_at = Some(Timestamp::now() + away);
                Outcome::Limit { resets_at, kind: "five_hour".to_owned(), what }
            }
            Self::Throttled => Outcome::Throttled { what },
            Self::LoggedOut => Outcome::Auth { what },
        }
    }
}

/// What happens while a run is active.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// The agent writes another phase into the overview.
    Phase(Phase),
    /// The agent writes a byte that is not UTF-8 into its own line.
    Byte,
    /// The agent removes the overview.
    NoOverview,
    /// The agent writes `_qa.md`.
    Questions(&'static str),
    /// The human sends a message.
    Mail(Kind),
    /// The worker passes on what is in the inbox, and the agent takes it or does not.
    Live(bool),
}

/// What a worker meets: the write at which it is killed, and the one from which the disk is full.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) dies_at: Option<u32>,
    pub(super) full_from: Option<u32>,
}

/// How a worker ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Exited,
    Killed,
    DiskFull,
}

pub(super) struct Stage {
    _dir: TempDir,
    pub(super) setup: Arc<Setup>,
    sent: u32,
    boots: u32,
    /// Every message of the human: the last journal entry before it, its ID and kind.
    pub(super) mail: Vec<(u64, String, Kind)>,
    /// Messages that an agent was shown.
    pub(super) shown: HashSet<String>,
}

impl Stage {
    /// A session in `requirements`, on a file system in memory if there is one.
    pub(super) fn new() -> Self {
        // What a failed case left.
        faults::set(None, None);
        let memory = PathBuf::from("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.unwrap();
        let at = |name: &str| dir.path().join(name);
        let folder = Folder::new(at("s/26-11-20-x"));
        for path in [at("home"), at("repo"), at("w"), folder.path().to_owned()] {
            std::fs::create_dir_all(path).unwrap();
        }
        std::fs::write(at(".samocode"), "MAIN_REPO=repo\nWORKTREES=w\nSESSIONS=s\n").unwrap();
        let project = Project::read(&at(".samocode"), None).unwrap();
        let mut env = Env::default();
        env.set("HOME", at("home"));
        let mut settings =
            Settings::load(&vocabulary(), Some(&project), &env, &Flags::default()).unwrap();
        settings.retry_delay = Duration::ZERO;
        let setup = Setup {
            instance: "x".to_owned(),
            folder,
            project,
            settings,
            env,
            env_file: EnvFile::default(),
            channels: Channels::default(),
            spool: None,
            scope: crate::service::Scope::User,
            state_dir: at("state"),
            role_folders: Vec::new(),
            foreground: false,
            binary: PathBuf::new(),
        };
        let setup = Arc::new(setup);
        let stage =
            Self { setup, sent: 0, boots: 0, mail: Vec::new(), shown: HashSet::new(), _dir: dir };
        let working_dir = stage.setup.project.main_repo.display().to_string();
        stage.journal([
            Event::Created(event::Created {
                name: "x".into(),
                task: "t".into(),
                dive: None,
                parent: None,
            }),
            Event::Prepared(event::Prepared {
                working_dir: working_dir.clone(),
                branch: None,
                base: None,
                notes: Vec::new(),
                copied: Vec::new(),
            }),
            Event::PhaseSet(event::PhaseSet { phase: Phase::Requirements }),
            Event::WorkerEnded(event::WorkerEnded { end: End::Interrupted }),
        ]);
        let overview = Overview::new(&NewOverview {
            name: "x",
            started: "11-20 10:00",
            working_dir: &working_dir,
            task: "t",
            dive: None,
            phase: Phase::Requirements,
            iteration: 0,
        });
        std::fs::write(stage.setup.folder.overview(), overview.as_bytes()).unwrap();
        let hook = serde_json::to_vec(&Hook::of(&stage.state())).unwrap();
        std::fs::write(stage.setup.folder.hook(), hook).unwrap();
        stage
    }

    /// Records events as a verb does whose session has no worker.
    pub(super) fn journal(&self, events: impl IntoIterator<Item = Event>) {
        let lock = lock(&self.setup.folder);
        let mut journal = Journal::open(&self.setup.folder, &lock).unwrap();
        events.into_iter().for_each(|event| journal.append(event).unwrap());
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let (_, damage) =
            read_journal(&self.setup.folder, |entry| entries.push(entry.clone())).unwrap();
        assert_eq!(damage, None);
        entries
    }

    pub(super) fn state(&self) -> State {
        State::of(&self.entries())
    }

    /// The human sends a message.
    pub(super) fn send(&mut self, kind: Kind) {
        self.sent += 1;
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(self.sent.into());
        let message = Message::new("human", "x", at, kind, words(self.sent)).unwrap();
        let vouchers = Vouchers::of(&self.setup.state_dir, &self.setup.instance);
        faults::without(|| {
            vouchers.vouch(&message, "a test")?;
            self.setup.folder.deliver(&message)
        })
        .unwrap();
        let seq = read_journal(&self.setup.folder, |_| {}).unwrap().0.seq;
        self.mail.push((seq, message.id, kind));
    }

    /// The machine is started again: all workers so far ran under another boot.
    pub(super) fn reboot(&mut self) {
        self.boots += 1;
        let path = self.setup.folder.journal();
        let Ok(text) = std::fs::read_to_string(&path) else { return };
        let here = crate::platform::machine::boot_id();
        std::fs::write(&path, text.replace(&here, &format!("boot-{}", self.boots))).unwrap();
    }

    /// The human, or the agent, edits the overview.
    pub(super) fn edit_overview(&self, edit: impl FnOnce(&mut Overview)) -> bool {
        let path = self.setup.folder.overview();
        let Ok(bytes) = std::fs::read(&path) else { return false };
        let mut overview = Overview::parse(bytes);
        edit(&mut overview);
        std::fs::write(&path, overview.as_bytes()).unwrap();
        true
    }

    /// Starts a worker, which meets `met` and whose agent does one of `scripts` in each run. When
    /// there are no more, it is asked to stop. After a full disk it tries again once there is room.
    pub(super) fn start(&mut self, met: Faults, scripts: &[Script]) -> Ending {
        let mut scripts = scripts.iter();
        let mut is_started = false;
        faults::set(met.dies_at, met.full_from);
        let ending = loop {
            match self.live(&mut scripts, &mut is_started) {
                Ending::DiskFull if met.full_from.is_some() => faults::set(None, None),
                other => break other,
            }
        };
        faults::set(None, None);
        ending
    }

    fn live(
        &mut self,
        scripts: &mut std::slice::Iter<'_, Script>,
        is_started: &mut bool,
    ) -> Ending {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let work = AssertUnwindSafe(self.work(scripts, is_started)).catch_unwind();
        match runtime.block_on(work) {
            Ok(Ok(())) => Ending::Exited,
            Ok(Err(Trouble::Store(error))) => {
                assert!(error.is_disk_full(), "{error}");
                Ending::DiskFull
            }
            Ok(Err(Trouble::Unusable(why))) => panic!("{why}"),
            Err(payload) if payload.is::<faults::Killed>() => Ending::Killed,
            Err(payload) => std::panic::resume_unwind(payload),
        }
    }

    async fn work(
        &mut self,
        scripts: &mut std::slice::Iter<'_, Script>,
        is_started: &mut bool,
    ) -> Result<(), Trouble> {
        let setup = Arc::clone(&self.setup);
        let (notify, mut signals) = (Notify::from_env(), Signals::listen().unwrap());
        let outages = Outages::new(&setup, &notify);
        let mut lock = lock(&setup.folder);
        if self.sent > 1 {
            // From then on agents are confined.
            lock = setup.folder.set_apart(lock).map_err(|error| match error {
                LockError::Store(error) => Trouble::Store(error),
                LockError::Held(by) => panic!("{by}"),
            })?;
        }
        let mut worker = Worker::open(&setup, &notify, None, &mut signals, &outages, &lock)?;
        if !*is_started || worker.writer.state().seq == 0 {
            worker.record_worker_start()?;
            *is_started = true;
        }
        if worker.gives_up()? {
            return Ok(());
        }
        worker.recover().await?;
        loop {
            worker.take_mail()?;
            worker.note_deliveries()?;
            let state = worker.writer.state();
            match decide(state, Timestamp::now(), 3, SignedDuration::ZERO) {
                Decision::Rest => return worker.rest().await.map(drop),
                Decision::SleepUntil(_) | Decision::Prepare => {
                    return worker.interrupted().map(drop);
                }
                Decision::Block { reason, needs } => worker.give_up_on(reason, needs)?,
                Decision::Run(_) => {
                    let Some(script) = scripts.next() else {
                        return worker.interrupted().map(drop);
                    };
                    let plan = worker.plan(&AGENT);
                    let unseen = unseen(worker.writer.state(), &worker.writer.folder);
                    self.shown.extend(unseen.into_iter().map(|mail| mail.id));
                    worker.record_start(&plan)?;
                    crash_point("the agent starts");
                    self.play(script, &plan.run, &mut worker)?;
                    crash_point("the agent has ended");
                    let ended = Ended::with(script.outcome.outcome());
                    worker.conclude(&plan, &ended, None).await?;
                }
            }
        }
    }

    fn play(&mut self, script: &Script, run: &str, worker: &mut Worker<'_>) -> Result<(), Trouble> {
        let folder = self.setup.folder.clone();
        for act in &script.acts {
            match act {
                Act::Phase(phase) => {
                    self.edit_overview(|overview| overview.set(Field::Phase, phase.as_str()));
                }
                Act::Byte => {
                    let mut bytes = std::fs::read(folder.overview()).unwrap_or_default();
                    let line = b"Last Action: ";
                    if let Some(at) = bytes.windows(line.len()).position(|w| w == line) {
                        bytes.insert(at + line.len(), 0xe9);
                        std::fs::write(folder.overview(), bytes).unwrap();
                    }
                }
                Act::NoOverview => {
                    let _ = std::fs::remove_file(folder.overview());
                }
                Act::Questions(text) => std::fs::write(folder.qa(), text).unwrap(),
                Act::Mail(kind) => self.send(*kind),
                Act::Live(takes) => {
                    let mut said = String::new();
                    let done = worker.deliver_live(&mut |text| {
                        said.push_str(if *takes { text } else { "" });
                        *takes
                    });
                    for (number, (_, id, _)) in (1..).zip(&self.mail) {
                        if said.contains(&words(number)) {
                            self.shown.insert(id.clone());
                        }
                    }
                    done?;
                }
            }
            crash_point("the agent did something");
        }
        if let Some((status, phase)) = script.signal {
            let signal = match worker.writer.state().visit.reviews.under_way() {
                Some(_) => serde_json::json!({
                    "verdict": script.approves, "summary": "read it", "run": run,
                }),
                None => serde_json::json!({"status": status, "phase": phase, "run": run}),
            };
            std::fs::write(folder.signal(), signal.to_string()).unwrap();
        }
        Ok(())
    }
}

/// The body of the human's message of this number.
fn words(number: u32) -> String {
    format!("words {number}.")
}

/// Takes the lock. A child that another test is just starting has a copy of it for a moment.
fn lock(folder: &Folder) -> Lock {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        match Lock::take(folder) {
            Err(LockError::Held(_)) if std::time::Instant::now() < deadline => {
                std::thread::yield_now();
            }
            taken => return taken.unwrap(),
        }
    }
}
