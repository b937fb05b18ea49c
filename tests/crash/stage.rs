//! A session to be crashed: a project on the real disk, an agent that may be run again at any
//! point, and the worker without a service manager.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use samocode::platform::strays;
use samocode::session::event;
use samocode::session::history::History;
use samocode::session::journal::{Entry, Event};
use samocode::session::mail::{Kind, Message};
use samocode::session::state::State;
use samocode::session::store::{Folder, Journal, Lock, Vouchers, read_journal};

/// Decides by the numbers it is given, so that a run that is repeated does the same again.
pub(super) const AGENT: &str = r#"
set -e
prompt=$(cat)
nl='
'
signal() {
    printf '{"run":"%s","status":"%s","summary":"%s in %s"%s}' \
        "$SAMOCODE_RUN" "$1" "$1" "$SAMOCODE_PHASE" "$2" >"$SAMOCODE_SESSION_DIR/.signal"
    mv "$SAMOCODE_SESSION_DIR/.signal" "$SAMOCODE_SESSION_DIR/_signal.json"
}
go() { signal continue ",\"phase\":\"$1\""; }
gate() {
    case $prompt in
        *"${nl}GATE: open${nl}"*) go "$2" ;;
        *) signal waiting ",\"for\":\"$1\"" ;;
    esac
}
case $SAMOCODE_PHASE in
    investigation) go requirements ;;
    requirements) gate qa_answers planning ;;
    planning) gate plan_approval implementation ;;
    implementation)
        echo "$SAMOCODE_ITERATION" >"step-$SAMOCODE_ITERATION"
        git add .
        git diff --cached --quiet || git commit -qm "Step $SAMOCODE_ITERATION"
        # Nine iterations are a task; the second of two here leads on.
        if [ $((SAMOCODE_ITERATION % 9)) = 6 ]; then signal continue; else go testing; fi ;;
    testing) go done ;;
    done) signal done ;;
esac
"#;

/// How long a worker may take before the test says that it hangs.
const BOUND: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

pub(super) struct Stage {
    root: tempfile::TempDir,
    pub(super) folder: Folder,
}

/// The result of a session, without times, ids and retries, which may differ.
#[derive(Debug, PartialEq)]
pub(super) struct End {
    state: String,
    steps: Vec<String>,
    history: Vec<String>,
    overview: String,
    hook: String,
    commits: String,
}

impl End {
    /// Its phase and the signals that led to it.
    pub(super) fn stands(&self) -> (&str, &[String]) {
        (&self.state, &self.history)
    }
}

impl Stage {
    /// A project with the session `demo`, which may or may not have been created already.
    pub(super) fn new(asked_for: bool) -> Self {
        Self::at_level(asked_for, "off")
    }

    /// The same with the agent confined at a level.
    pub(super) fn at_level(asked_for: bool, level: &str) -> Self {
        let root = tempfile::Builder::new()
            .prefix("crash-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["repo", "worktrees", "sessions", "home", "tmp"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("agent.sh"), AGENT).unwrap();
        fs::write(
            at("home/.gitconfig"),
            "[user]\nname = Test\nemail = test@localhost\n[commit]\ngpgsign = false\n[core]\nfsync = none\n",
        )
        .unwrap();
        fs::write(at("repo/.samocode"), format!(
            "MAIN_REPO={0}/repo\nWORKTREES={0}/worktrees\nSESSIONS={0}/sessions\nSAMOCODE_DISK_FLOOR=0\nSAMOCODE_RETRY_DELAY=0\nSAMOCODE_CONFINE={level}\nSAMOCODE_AGENT=command:/bin/sh {0}/agent.sh\n",
            root.path().display()
        ))
        .unwrap();
        let folder = Folder::new(at("sessions/26-11-20-demo"));
        let stage = Self { root, folder };
        stage.git("repo", &["init", "-q", "-b", "main"]);
        stage.git("repo", &["commit", "-q", "--allow-empty", "-m", "Begin"]);
        if asked_for {
            fs::create_dir(stage.folder.path()).unwrap();
            let lock = Lock::take(&stage.folder).unwrap();
            let mut journal = Journal::open(&stage.folder, &lock).unwrap();
            let event = Event::Created(event::Created {
                name: "demo".into(),
                task: "Count".into(),
                dive: None,
                parent: None,
            });
            journal.append(event).unwrap();
        }
        stage
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn git(&self, folder: &str, args: &[&str]) -> String {
        let output =
            self.command("git").arg("-C").arg(self.at(folder)).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A command whose environment holds nothing of this process's but PATH.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.at("home"))
            .env("TMPDIR", self.at("tmp"))
            .stdin(Stdio::null());
        command
    }

    pub(super) fn worker(&self) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_samocode"));
        command
            .args(["worker", "demo"])
            .env("SAMOCODE_CONFIG", self.at("repo/.samocode"))
            .env("SAMOCODE_SESSION_DIR", self.folder.path());
        command
    }

    /// `samocode run demo` with this task.
    pub(super) fn run(&self, task: &str) -> Command {
        self.verb(&["run", "26-11-20-demo", "--task", task])
    }

    /// A verb, in the project's folder.
    pub(super) fn verb(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_samocode"));
        command.current_dir(self.at("repo")).args(args);
        command
    }

    /// Runs to the end; its output is kept in the file `output`.
    pub(super) fn end(&self, command: Command) -> ExitStatus {
        self.disturb(command, &[])
    }

    /// Runs to the end and sends signals, each so many milliseconds after the previous one.
    pub(super) fn disturb(&self, mut command: Command, signals: &[(u16, Signal)]) -> ExitStatus {
        let output =
            fs::OpenOptions::new().append(true).create(true).open(self.at("output")).unwrap();
        let mut child =
            command.stdout(output.try_clone().unwrap()).stderr(output).spawn().expect("it starts");
        let pid = Pid::from_child(&child);
        let watch = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        for (after_ms, signal) in signals {
            let after = Timespec { tv_sec: 0, tv_nsec: i64::from(*after_ms) * 1_000_000 };
            if poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&after)).unwrap() > 0 {
                break;
            }
            kill_process(pid, *signal).unwrap();
        }
        if poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&BOUND)).unwrap() == 0 {
            child.kill().unwrap();
            panic!("it hangs:\n{}", self.output());
        }
        child.wait().unwrap()
    }

    pub(super) fn output(&self) -> String {
        let tail = fs::read_to_string(self.folder.journal()).unwrap_or_default();
        format!("{}\n{tail}", fs::read_to_string(self.at("output")).unwrap_or_default())
    }

    /// Runs workers until the session rests, dying at each of `deaths` in turn; returns how many died.
    pub(super) fn work(&self, deaths: &[usize]) -> usize {
        let mut died = 0;
        for at in deaths {
            let mut worker = self.worker();
            worker.env("SAMOCODE_CRASH_AT", at.to_string());
            let status = self.end(worker);
            if status.signal() != Some(9) {
                assert_eq!(status.code(), Some(0), "{}", self.output());
                return died;
            }
            died += 1;
        }
        let status = self.end(self.worker());
        assert_eq!(status.code(), Some(0), "{}", self.output());
        died
    }

    pub(super) fn state(&self) -> State {
        read_journal(&self.folder, |_| {}).unwrap().0
    }

    pub(super) fn mail(&self, kind: Kind, body: &str) {
        let now = jiff::Timestamp::now();
        let message = Message::new("human", "demo", now, kind, body).unwrap();
        let state = self.root.path().join("home/.local/state/samocode");
        Vouchers::of(&state, "demo").vouch(&message, "a test").unwrap();
        self.folder.deliver(&message).unwrap();
    }

    /// From the start through both gates to the end; before each of the three parts `deaths` is
    /// asked where it is to die.
    pub(super) fn whole(&self, mut deaths: impl FnMut(usize) -> Vec<usize>) {
        self.work(&deaths(0));
        self.mail(Kind::Answer, "Q1: A");
        self.work(&deaths(1));
        self.mail(Kind::Approve, "");
        self.work(&deaths(2));
    }

    /// The session's result; asserts what must hold for any session at rest.
    pub(super) fn came_to(&self) -> End {
        let mut entries = Vec::new();
        let (state, damage) =
            read_journal(&self.folder, |entry| entries.push(entry.clone())).unwrap();
        assert_eq!(damage, None, "{}", self.output());
        self.assert_nothing_is_left(&entries);
        let hook = self.folder.read_hook().expect("there is a hook");
        assert_eq!(hook.seq, state.seq, "the hook is of the last entry");
        let history = History::parse(&fs::read(self.folder.history()).unwrap_or_default());
        assert_eq!((history.damaged, history.torn_at), (Vec::new(), None));
        let history = history.lines.into_iter().map(|mut line| {
            line.timestamp = None;
            format!("{line:?}")
        });
        let unread = self.folder.unread().unwrap();
        assert!(unread.messages.is_empty() && unread.foreign.is_empty(), "{unread:?}");
        let overview = fs::read_to_string(self.folder.overview()).unwrap();
        let worktree = "worktrees/26-11-20-demo";
        assert_eq!(self.git(worktree, &["status", "--porcelain"]), "");
        End {
            state: format!(
                "{} {} {} {} {:?} {:?} {} {:?} {:?}",
                state.name,
                state.phase(),
                state.visit.iterations,
                state.total,
                state.visit.gate,
                state.standing,
                state.stopped,
                state.iteration.is_some(),
                state.branch(),
            ),
            steps: steps(&entries),
            history: history.collect(),
            overview: without_times(&overview).replace(&self.root.path().display().to_string(), ""),
            hook: format!(
                "{} {} {} {} {} {:?} {:?}",
                hook.task_id,
                hook.phase,
                hook.iteration,
                hook.total_iterations,
                hook.state,
                hook.waits_for,
                hook.summary
            ),
            commits: self.git(worktree, &["log", "--format=%s"]),
        }
    }

    /// The titles of the commits that the session's branch has in the project's repository.
    pub(super) fn fetched(&self) -> String {
        self.git("repo", &["log", "--format=%s", "demo"])
    }

    /// Whether those are all.
    pub(super) fn is_fetched(&self) -> bool {
        self.fetched() == self.git("worktrees/26-11-20-demo", &["log", "--format=%s"])
    }

    /// No process of any run, and no temporary folder.
    fn assert_nothing_is_left(&self, entries: &[Entry]) {
        let runs: BTreeSet<&str> = entries
            .iter()
            .filter_map(|entry| match &entry.event {
                Event::RunStarted(event::RunStarted { run, .. }) => Some(run.as_str()),
                _ => None,
            })
            .collect();
        for run in runs {
            let left = strays::find(run).unwrap();
            assert!(left.is_empty(), "of run {run} is left: {left:?}");
        }
        let left: Vec<PathBuf> = list(&self.at("tmp"));
        assert!(left.is_empty(), "{left:?}");
    }
}

pub(super) fn list(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The signals and messages in the journal, each of which must be taken exactly once; asserts
/// that the numbers of runs neither skip nor repeat.
fn steps(entries: &[Entry]) -> Vec<String> {
    let (mut total, mut attempt, mut taken) = (0, 0, true);
    let mut steps = Vec::new();
    for entry in entries {
        match &entry.event {
            Event::RunStarted(event::RunStarted { total: number, attempt: run, .. }) => {
                let next = if taken { (total + 1, 1) } else { (total, attempt + 1) };
                assert_eq!((*number, *run), next, "at line {}", entry.seq);
                (total, attempt) = next;
                taken = false;
            }
            Event::SignalTaken(event::SignalTaken { phase, status, step, .. }) => {
                assert!(!taken, "iteration {total} has a second signal at line {}", entry.seq);
                taken = true;
                steps.push(format!("{total} {phase} {status} {step:?}"));
            }
            Event::Mail(event::Mail { mail, .. }) => steps.push(format!("mail {mail}")),
            Event::Imported(event::Imported { total: known, .. }) => total = *known,
            Event::Created(_) | Event::Resumed(_) => {
                steps.push(entry.event.kind().to_owned());
            }
            _ => {}
        }
    }
    steps
}

/// The text with `MM-DD HH:MM` taken out.
fn without_times(text: &str) -> String {
    let is_stamp = |window: &[u8]| {
        window.iter().enumerate().all(|(at, byte)| match at {
            2 => *byte == b'-',
            5 => *byte == b' ',
            8 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
    };
    let mut left = text.as_bytes();
    let mut out = Vec::new();
    while let Some((first, rest)) = left.split_first() {
        if left.len() >= 11 && is_stamp(&left[..11]) {
            left = &left[11..];
        } else {
            out.push(*first);
            left = rest;
        }
    }
    String::from_utf8(out).unwrap()
}
