//! The built-in agent: plays all phases of a session on plausible small files, and costs nothing.
//!
//! It is an agent like others: samocode starts itself as `samocode rehearsal`, passes the prompt on
//! standard input, and reads events and files. Each step first checks what exists, so that an
//! interrupted run can simply be played again.

mod git;
mod play;
mod texts;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::Lines;
use super::event::{Decoder, Event};
use super::spec::{AgentSpec, Capabilities, ConversationId, Program};
use super::{Agent, Input, Launch, Task};
use crate::config::{AgentManifest, AgentName, Credentials, Reach, Settings, Variables};
use crate::session::Phase;
use crate::session::store::StoreError;

/// The variable that holds how long each step takes, in milliseconds, for people who watch.
pub const PACE: &str = "SAMOCODE_REHEARSAL_PACE";

const WORDS: AgentManifest = AgentManifest {
    name: "rehearsal",
    takes_command: false,
    // It talks to no service, so it gets no keys.
    reach: Reach::Nothing,
    keys: &[],
    variables: Variables::NONE,
    credentials: Credentials::NONE,
};

/// The agent `rehearsal`: built in, plays a session without a model, and costs nothing.
#[derive(Debug, Clone, Copy)]
pub struct Rehearsal;

impl AgentSpec for Rehearsal {
    fn manifest(&self) -> &'static AgentManifest {
        &WORDS
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resumes: false,
            conversation: ConversationId::Ours,
            one_writer: false,
            live_input: false,
            reports_end: true,
            cost: false,
            limits: false,
            day_quota: false,
            max_turns: None,
            partial_messages: false,
            tells_version: false,
            wants_identity: false,
        }
    }

    fn program(&self, _name: &AgentName, _settings: &Settings) -> Program {
        Program::BuiltIn
    }

    fn launch(&self, agent: &Agent, task: &Task) -> Launch {
        Launch {
            program: agent.program().to_owned(),
            args: vec!["rehearsal".into()],
            input: Input::Text(task.prompt.clone().into_bytes()),
            defaults: Vec::new(),
            files: Vec::new(),
        }
    }

    fn decoder(&self, _working_dir: &Path) -> Box<dyn Decoder> {
        Box::new(Lines)
    }
}

/// Why the rehearsal cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// It was started by hand.
    #[error(
        "the rehearsal needs {0} in its environment: it is run by samocode (SAMOCODE_AGENT=rehearsal; try: samocode demo)"
    )]
    NoVariable(&'static str),
    /// The variable with the phase does not name one.
    #[error(transparent)]
    Phase(#[from] crate::session::phase::UnknownPhase),
    /// A session file could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the worktree could not be written.
    #[error("cannot write {path}: {error}", path = .path.display())]
    Work {
        /// The file in question.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// Standard input or output failed.
    #[error("the rehearsal lost its connection to samocode: {0}")]
    Pipe(#[from] io::Error),
}

/// Plays one iteration: what `samocode rehearsal` does.
///
/// # Errors
/// A [`RehearsalError`]; then no signal is written.
pub fn main() -> Result<(), RehearsalError> {
    let mut prompt = String::new();
    io::stdin().lock().take(4 * 1024 * 1024).read_to_string(&mut prompt)?;
    let working_dir = std::env::current_dir()?;
    perform(&|name| std::env::var_os(name), &prompt, &working_dir, &mut |event| {
        let mut line = serde_json::to_vec(event).map_err(io::Error::other)?;
        line.push(b'\n');
        let mut out = io::stdout().lock();
        out.write_all(&line)?;
        out.flush()
    })
}

/// Plays one iteration with this environment and prompt, and reports each step.
///
/// # Errors
/// As [`main`].
pub fn perform(
    variable: &dyn Fn(&str) -> Option<OsString>,
    prompt: &str,
    working_dir: &Path,
    say: &mut dyn FnMut(&Event) -> io::Result<()>,
) -> Result<(), RehearsalError> {
    let needed = |name| variable(name).ok_or(RehearsalError::NoVariable(name));
    let text = |name| needed(name).map(|value| value.to_string_lossy().into_owned());
    let pace = variable(PACE).and_then(|ms| ms.to_str()?.parse().ok()).unwrap_or(0);
    let phase: Phase = text("SAMOCODE_PHASE")?.parse()?;
    play::Stage {
        session: PathBuf::from(needed("SAMOCODE_SESSION_DIR")?),
        work: working_dir.to_owned(),
        phase,
        run: text("SAMOCODE_RUN")?,
        prompt: play::Prompt::read(prompt),
        pace: Duration::from_millis(pace),
        say,
    }
    .play()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::overview::{NewOverview, Overview};
    use crate::session::qa::Qa;
    use crate::session::store::Folder;
    use crate::session::{Signal, Status, WaitsFor};
    use std::process::Command;

    struct Session {
        folder: tempfile::TempDir,
        work: tempfile::TempDir,
    }

    impl Session {
        fn new(git: bool) -> Self {
            let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let overview = Overview::new(&NewOverview {
                name: "demo",
                started: "11-20 18:01",
                working_dir: "/w",
                task: "A greeting",
                dive: None,
                phase: Phase::Init,
                iteration: 1,
            });
            std::fs::write(Folder::new(folder.path()).overview(), overview.as_str()).unwrap();
            let session = Self { folder, work };
            if git {
                session.git(&["init", "-q"]);
                session.git(&["config", "user.name", "Test"]);
                session.git(&["config", "user.email", "test@localhost"]);
                session.git(&["config", "commit.gpgsign", "false"]);
            }
            session
        }

        fn git(&self, args: &[&str]) -> String {
            let output =
                Command::new("git").arg("-C").arg(self.work.path()).args(args).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        }

        fn run(&self, phase: Phase, prompt: &str) -> Signal {
            let variable = |name: &str| match name {
                "SAMOCODE_SESSION_DIR" => Some(self.folder.path().as_os_str().to_owned()),
                "SAMOCODE_PHASE" => Some(phase.as_str().into()),
                "SAMOCODE_RUN" => Some("r1".into()),
                _ => None,
            };
            let prompt = format!(
                "TIMESTAMP_FILE: 11-20-18:0{}\nTIMESTAMP_ITERATION: [001 @ 11-20 18:04]\n{prompt}\n",
                phase.number()
            );
            let mut events = Vec::new();
            perform(&variable, &prompt, self.work.path(), &mut |event| {
                events.push(event.clone());
                Ok(())
            })
            .unwrap();
            assert!(matches!(events.first(), Some(Event::Started { .. })));
            assert!(matches!(events.last(), Some(Event::Finished(end)) if !end.is_error));
            let bytes = std::fs::read(Folder::new(self.folder.path()).signal()).unwrap();
            Signal::parse(&bytes, "r1").unwrap()
        }

        fn answer(&self) {
            let path = Folder::new(self.folder.path()).qa();
            let mut qa = Qa::parse(std::fs::read_to_string(&path).unwrap());
            qa.accept_suggestions().unwrap();
            std::fs::write(path, qa.as_str()).unwrap();
        }

        /// Plays from investigation to done; returns the number of implementation iterations.
        fn whole(&self) -> usize {
            let goes_to = |signal: Signal| (signal.status, signal.phase);
            let go = |phase| (Status::Continue, Some(phase));
            assert_eq!(goes_to(self.run(Phase::Init, "")), go(Phase::Investigation));
            assert_eq!(goes_to(self.run(Phase::Investigation, "")), go(Phase::Requirements));
            let asked = self.run(Phase::Requirements, "GATE: closed");
            assert_eq!(
                (asked.status, asked.waits_for.clone()),
                (Status::Waiting, Some(WaitsFor::QaAnswers))
            );
            assert_eq!(self.run(Phase::Requirements, "GATE: closed").status, Status::Waiting);
            self.answer();
            assert_eq!(goes_to(self.run(Phase::Requirements, "GATE: open")), go(Phase::Planning));
            let asked = self.run(Phase::Planning, "GATE: closed");
            assert_eq!(
                (asked.status, asked.waits_for.clone()),
                (Status::Waiting, Some(WaitsFor::PlanApproval))
            );
            assert_eq!(goes_to(self.run(Phase::Planning, "GATE: open")), go(Phase::Implementation));
            let mut iterations = 1;
            loop {
                let signal = self.run(Phase::Implementation, "");
                assert_eq!(signal.status, Status::Continue);
                if signal.phase == Some(Phase::Testing) {
                    break;
                }
                iterations += 1;
            }
            assert_eq!(goes_to(self.run(Phase::Testing, "")), go(Phase::Quality));
            assert_eq!(goes_to(self.run(Phase::Quality, "")), go(Phase::Done));
            assert_eq!(self.run(Phase::Done, "").status, Status::Done);
            iterations
        }

        fn overview(&self) -> String {
            std::fs::read_to_string(Folder::new(self.folder.path()).overview()).unwrap()
        }
    }

    #[test]
    fn it_plays_all_phases_and_commits_its_work() {
        let session = Session::new(true);
        assert_eq!(session.whole(), 3);
        assert_eq!(session.git(&["log", "--oneline"]).lines().count(), 3);
        assert_eq!(session.git(&["status", "--porcelain"]), "");
        let overview = session.overview();
        for part in ["Last Action: Summary", "11-20-18:04-plan-", "] Dive: ", "Phase: init"] {
            assert!(overview.contains(part), "{part:?} is missing in\n{overview}");
        }
    }

    #[test]
    fn a_new_task_is_played_once_more_with_new_questions_and_commits() {
        let session = Session::new(true);
        session.whole();
        session.whole();
        assert_eq!(session.git(&["log", "--oneline"]).lines().count(), 6);
        let qa = std::fs::read_to_string(Folder::new(session.folder.path()).qa()).unwrap();
        assert_eq!(Qa::parse(qa).questions().len(), 4);
    }

    #[test]
    fn a_run_that_was_cut_off_before_its_signal_is_played_again_without_a_second_commit() {
        let session = Session::new(true);
        session.run(Phase::Investigation, "");
        session.run(Phase::Planning, "GATE: closed");
        let plan = std::fs::read_dir(session.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_string_lossy().contains("-plan-"))
            .unwrap();
        let before = std::fs::read(&plan).unwrap();
        session.run(Phase::Implementation, "");
        std::fs::write(&plan, before).unwrap();
        session.run(Phase::Implementation, "");
        assert_eq!(session.git(&["log", "--oneline"]).lines().count(), 1);
        assert_eq!(std::fs::read_to_string(&plan).unwrap().matches("- [x]").count(), 1);
    }

    #[test]
    fn it_works_without_git() {
        assert_eq!(Session::new(false).whole(), 3);
    }

    #[test]
    fn a_rejected_plan_is_changed_and_waits_again() {
        let session = Session::new(true);
        session.run(Phase::Planning, "GATE: closed");
        let mail = "GATE: closed\n\n## Mail\n\n[reject from human at 11-20 18:03]\n    Shorter.\n";
        assert_eq!(session.run(Phase::Planning, mail).status, Status::Waiting);
        assert!(session.overview().contains("Plan revised"));
    }

    #[test]
    fn started_by_hand_it_says_how_it_is_meant() {
        let told = perform(&|_| None, "", Path::new("/"), &mut |_| Ok(())).unwrap_err().to_string();
        assert!(told.contains("samocode demo"), "{told}");
    }
}
