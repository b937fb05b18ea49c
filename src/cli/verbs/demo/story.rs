//! Narrates the demo while the session runs, and plays the human at the gates.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::config::Dirs;
use crate::control::context::Context;
use crate::control::folders::FolderWatch;
use crate::control::request::send;
use crate::control::session::Session;
use crate::control::wake::wake;
use crate::service::{Active, ServiceManager};
use crate::session::Phase;
use crate::session::WaitsFor;
use crate::session::event;
use crate::session::journal::{Entry, Event};
use crate::session::mail::Kind;
use crate::session::qa::Qa;
use crate::session::state::{Standing, State, StateName};
use crate::session::store::{self, read_journal};

use super::super::output;
use super::typed;

/// An iteration of the built-in agent takes a fraction of a second, so after this long it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Enough answers for both gates, with some spare for a gate that asks again.
const ANSWERS: u32 = 6;

/// Follows one session's journal and answers at its gates.
pub(super) struct Story<'a> {
    context: &'a Context,
    session: &'a Session,
    /// Whether the session runs as a unit. Otherwise no waker resumes it after an answer.
    as_unit: bool,
    seq: u64,
    answers: u32,
}

impl<'a> Story<'a> {
    pub(super) fn new(context: &'a Context, session: &'a Session, as_unit: bool) -> Self {
        Self { context, session, as_unit, seq: 0, answers: 0 }
    }

    /// Prints each event and answers at the gates, until the session is done.
    ///
    /// # Errors
    /// When it blocks, its unit fails, or it makes no progress.
    pub(super) async fn follow(
        &mut self,
        manager: Option<&dyn ServiceManager>,
    ) -> anyhow::Result<()> {
        let mut watch = FolderWatch::session(&self.session.folder)?;
        let mut progress = Instant::now();
        loop {
            let before = self.seq;
            let state = self.tell_new()?;
            if self.seq != before {
                progress = Instant::now();
            }
            let is_at_rest = !self.session.is_worked_on();
            match state.name() {
                StateName::Done if is_at_rest => return Ok(()),
                // Unread mail is an answer that the next worker has yet to take.
                StateName::Waiting if is_at_rest && !self.session.folder.has_unread() => {
                    self.answer(&state)?;
                }
                word @ (StateName::Blocked | StateName::Stopped | StateName::Failed) => {
                    self.fail(word)?
                }
                _ => {}
            }
            if self.seq == before {
                if let Some(manager) = manager {
                    let unit = manager.unit(&self.session.instance).await?;
                    if unit.status.active == Active::Failed {
                        bail!("{} has failed ({})", unit.status.name, unit.result);
                    }
                }
                if progress.elapsed() > PATIENCE {
                    bail!("nothing has happened for {} s", PATIENCE.as_secs());
                }
            }
            watch.changed().await;
        }
    }

    /// Prints each event, for as long as it is polled.
    pub(super) async fn watch(&mut self) -> anyhow::Result<()> {
        let mut watch = FolderWatch::session(&self.session.folder)?;
        loop {
            self.tell_new()?;
            watch.changed().await;
        }
    }

    fn fail(&self, word: StateName) -> anyhow::Result<()> {
        let reason = self.session.hook()?.reason.unwrap_or_else(|| "no reason given".to_owned());
        bail!("the session is {word}: {reason}")
    }

    /// Prints the journal entries added since the last call.
    pub(super) fn tell_new(&mut self) -> anyhow::Result<State> {
        let mut seq = self.seq;
        let (state, _) = read_journal(&self.session.folder, |entry| {
            if entry.seq > seq {
                seq = entry.seq;
                report(entry, &self.context.dirs);
            }
        })?;
        self.seq = seq;
        Ok(state)
    }

    /// Answers at a gate, as a person would.
    pub(super) fn answer(&mut self, state: &State) -> anyhow::Result<()> {
        self.answers += 1;
        if self.answers > ANSWERS {
            bail!("the session keeps asking after {ANSWERS} answers");
        }
        let name = &self.session.instance;
        let Standing::Waiting { waits_for, .. } = &state.standing else { return Ok(()) };
        outln!(
            "         {}",
            output::painted(output::DIM, "no process is running; it is waiting for you")
        );
        match waits_for {
            WaitsFor::QaAnswers => {
                typed(&format!("samocode answer {name} --accept-suggestions"));
                let body = self.accept()?;
                send(self.session, &self.context.caller, Kind::Answer, &body)?;
            }
            WaitsFor::PlanApproval => {
                typed(&format!("samocode approve {name}"));
                send(self.session, &self.context.caller, Kind::Approve, "")?;
            }
            other => bail!("the session is waiting for {other}, which the demo cannot provide"),
        }
        if !self.as_unit {
            typed(&format!("samocode run {name}"));
            return Ok(());
        }
        if !wake(self.context, self.session)? {
            bail!("the session no longer has a unit");
        }
        Ok(())
    }

    /// Accepts every suggestion and prints it.
    fn accept(&self) -> anyhow::Result<String> {
        let path = self.session.folder.qa();
        let text = store::read(&path)?.with_context(|| format!("{} is missing", path.display()))?;
        let mut qa = Qa::parse(String::from_utf8_lossy(&text).into_owned());
        let accepted = qa.accept_suggestions()?;
        for (id, answer) in &accepted {
            let asked = qa.questions().iter().find(|question| question.id == *id);
            outln!(
                "{id}  {}  {}",
                asked.map_or("", |q| &q.text),
                output::painted(output::BOLD, answer)
            );
        }
        store::replace(&path, qa.as_str().as_bytes())?;
        let lines: Vec<String> =
            accepted.iter().map(|(id, answer)| format!("{id}: {answer}")).collect();
        Ok(lines.join("\n"))
    }
}

fn report(entry: &Entry, dirs: &Dirs) {
    match &entry.event {
        Event::Prepared(event::Prepared { branch, working_dir, .. }) => {
            let branch = branch.as_deref().unwrap_or("none");
            let worktree: PathBuf = Path::new(working_dir).components().collect();
            line(Phase::Init, &format!("branch {branch}, worktree {}", dirs.short(&worktree)));
        }
        Event::SignalTaken(event::SignalTaken { phase, line: signal, .. }) => {
            line(*phase, signal.summary.as_deref().unwrap_or("no summary"));
        }
        Event::RunEnded(event::RunEnded { outcome, detail, failure: true, .. }) => {
            let detail = detail.as_deref().unwrap_or("no detail");
            output::note(&format!("a run failed ({outcome}): {detail}; retrying"));
        }
        Event::RunLost(_) => output::note("a run died with its worker; it is being resumed"),
        _ => {}
    }
}

fn line(phase: Phase, text: &str) {
    let done = phase.number();
    let bar = format!("{}{}", "■".repeat(done), "□".repeat(Phase::ALL.len() - done));
    outln!("{bar} {phase:<14} {text}");
}
