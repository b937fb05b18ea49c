//! Notifications to the human, and the unit's status line.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::git;
use crate::notify::outbox::Due;
use crate::notify::{About, Asked, Delivery, Notice, NoticeKind, Shelf};
use crate::service::Reader;
use crate::session::describe::quiet;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::qa::{Answer, Question};
use crate::session::state::{Standing, State};
use crate::session::store::{self, Document, Folder};
use crate::session::{WaitsFor, clock, dollars};

use super::{Setup, Trouble, Worker, mail};

/// Time limit for the last notification when there is nothing else left to do.
const LAST_WORD: Duration = Duration::from_secs(45);

/// Interval of inbox checks during the last notification: an answer must not wait for a slow
/// server.
const LAST_LOOK: Duration = Duration::from_secs(1);

impl Setup {
    /// Where notices are kept until they are sent.
    pub(super) fn shelf(&self) -> Shelf {
        Shelf::new(&self.state_dir, &self.project.config)
    }
}

impl Worker<'_> {
    /// Sends a notification if the session's state needs one and none was sent yet.
    pub(super) fn tell_human(&mut self) {
        let state = self.writer.state();
        if state.notified || state.stopped || self.setup.channels.notifiers.is_empty() {
            return;
        }
        if self.is_left_to_others() {
            return;
        }
        let about = self.about();
        let name = &self.setup.instance;
        let word = state.name();
        let to_read = |waits_for: Option<&WaitsFor>| {
            let document = Document::due(word, waits_for)?;
            self.writer.folder.document(document)
        };
        let notice = match &state.standing {
            Standing::Waiting { waits_for, reason } => {
                let questions =
                    self.writer.open_questions().filter(|_| *waits_for == WaitsFor::QaAnswers);
                let command = self.command(&waits_for.answer_command(name));
                let file = to_read(Some(waits_for));
                let plan = file.as_deref().filter(|_| *waits_for == WaitsFor::PlanApproval);
                let plan = plan.and_then(|plan| beginning(plan).ok());
                let words = reason.clone().or_else(|| first_words(plan.as_deref()?));
                let detail = with_file(words.as_deref(), file);
                Notice::waiting(&about, Some(waits_for), questions, detail.as_deref(), &command)
                    .about_plan(plan.as_deref())
                    .asking(if questions.is_some() { self.open_asked() } else { Vec::new() })
            }
            Standing::Blocked { reason, needs } => Notice::blocked(
                &about,
                Some(reason),
                Some(needs),
                &self.command(&format!("samocode send {name} \"…\", or samocode start {name}")),
            ),
            Standing::Done => {
                let summary =
                    state.last_signal.as_ref().and_then(|last| last.line.summary.as_deref());
                let detail = with_file(summary, to_read(None));
                let repo = &self.setup.project.main_repo;
                let merge = state.branch().map(|branch| git::merge_command(repo, branch, name));
                Notice::done(&about, detail.as_deref(), state.branch(), merge.as_deref())
            }
            Standing::Paused { detail, .. } => Notice::paused(&about, detail, None),
            Standing::Limited { until, .. } if is_long(*until, Timestamp::now()) => {
                let kept = state.conversation().and_then(|known| known.kept.as_ref());
                let kept = kept.and_then(|kept| kept.warning(Some(*until), Timestamp::now()));
                let kept = kept.map_or_else(String::new, |kept| format!("; {kept}"));
                Notice::limit(&about, &format!("until {}{kept}", local(*until)))
            }
            _ => return,
        };
        self.outbox.post(notice);
    }

    /// The questions without an answer.
    fn open_asked(&self) -> Vec<Asked> {
        let file = self.writer.folder.questions().filter(|file| file.is_utf8);
        let open = |question: &&Question| question.answer == Answer::Waiting;
        let all = file.iter().flat_map(|file| file.qa.questions());
        all.filter(open).map(Asked::from).collect()
    }

    /// Whether the session waits for others than the human: for those below it, or for the one above
    /// it, which opens its gates.
    fn is_left_to_others(&self) -> bool {
        let Standing::Waiting { waits_for, .. } = &self.writer.state().standing else {
            return false;
        };
        match waits_for {
            WaitsFor::Workers => self.expects_mail_from_below(),
            WaitsFor::QaAnswers | WaitsFor::PlanApproval => self.above_opens_gates(),
            _ => false,
        }
    }

    /// Notifies the human of a run that makes no progress.
    pub(super) fn tell_of_stall(&self, quiet_s: u64) {
        let reason = format!("no sign of progress for {}; the agent was nudged", quiet(quiet_s));
        let command = self.command(&format!("samocode logs {}", self.setup.instance));
        self.outbox.post(Notice::stalled(&self.about_its("stall"), &reason, Some(&command)));
    }

    /// Notifies the human that most of a budget is used.
    pub(super) fn tell_of_budget(&self, text: &str) {
        self.outbox.post(Notice::budget(&self.about_its("budget"), text));
    }

    /// Notifies the human of a reviewer that could not review.
    pub(super) fn tell_of_reviewer(&self, text: &str) {
        let command = self.command(&format!("samocode why {}", self.setup.instance));
        self.outbox.post(Notice::warning(&self.about_its("review"), text, Some(&command)));
    }

    /// Completes a command so that the human, who is not root, can paste it.
    fn command(&self, text: &str) -> String {
        let reader = Reader { scope: self.setup.scope, config: None, is_root: false };
        reader.pasteable(text)
    }

    fn about(&self) -> About {
        About {
            id: format!("{}-{}", self.setup.instance, self.writer.state().seq),
            session: self.setup.instance.clone(),
            project: self.setup.project.name.clone(),
            phase: Some(self.writer.state().phase()),
        }
    }

    /// For what is told beside the session's state, which may be told at the same event: each notice has
    /// an id of its own.
    fn about_its(&self, what: &str) -> About {
        let about = self.about();
        About { id: format!("{}-{what}", about.id), ..about }
    }

    /// Journals the notifications sent since the last call, and sends those that an earlier process
    /// of the project could not send.
    pub(super) fn note_deliveries(&mut self) -> Result<(), Trouble> {
        self.resend(Due::Seldom);
        let settled = self.outbox.settled();
        self.note(settled)
    }

    fn resend(&self, due: Due) {
        let (state, own) = (self.writer.state(), &self.setup.instance);
        self.outbox.resend(due, |notice| notice.session != *own || still_holds(state, notice.kind));
    }

    /// Gives pending notifications a limited time and journals the results. They hold nothing up:
    /// if mail arrives or the worker is asked to stop first, the next worker sends them again if
    /// they still apply.
    pub(super) async fn note_last_deliveries(&mut self) -> Result<(), Trouble> {
        self.resend(Due::AsAsked);
        let folder = &self.writer.folder;
        let kept =
            if mail::has_more(self.writer.state(), folder) { 0 } else { folder.count_unread() };
        let settled = tokio::select! {
            settled = super::pinging(self.notify, self.outbox.drain(LAST_WORD)) => settled,
            // A shutdown does not wait for the network; the next start sends what is left.
            () = self.signals.end() => self.outbox.settled(),
            // Neither does an answer.
            () = mail_in(folder, kept) => self.outbox.settled(),
        };
        self.note(settled)
    }

    fn note(&mut self, settled: Vec<Delivery>) -> Result<(), Trouble> {
        for delivery in settled {
            // A missing desktop is not worth an event.
            if delivery.result.as_ref().is_err_and(crate::notify::NotifyError::is_quiet) {
                continue;
            }
            if delivery.session != self.setup.instance {
                let how = match &delivery.result {
                    Ok(()) => "sent",
                    Err(_) => "could not be sent again",
                };
                tracing::info!("an earlier notice about {} {how}", delivery.session);
                continue;
            }
            self.writer.record(Event::Notified(event::Notified {
                what: delivery.kind.as_str().to_owned(),
                standing: delivery.kind.is_of_state(),
                by: delivery.notifier,
                error: delivery.result.err().map(|error| error.to_string()),
                remark: delivery.remark,
            }))?;
        }
        Ok(())
    }
}

/// Whether a notice that could not be sent before still tells how the session stands.
const fn still_holds(state: &State, kind: NoticeKind) -> bool {
    match kind {
        NoticeKind::Waiting => matches!(state.standing, Standing::Waiting { .. }),
        NoticeKind::Blocked => matches!(state.standing, Standing::Blocked { .. }),
        NoticeKind::Paused => matches!(state.standing, Standing::Paused { .. }),
        NoticeKind::Done => matches!(state.standing, Standing::Done),
        NoticeKind::Failed => matches!(state.standing, Standing::GaveUp),
        NoticeKind::Limit => matches!(state.standing, Standing::Limited { .. }),
        NoticeKind::Stalled | NoticeKind::Test => false,
        NoticeKind::Warning
        | NoticeKind::Budget
        | NoticeKind::Mail
        | NoticeKind::Convoy
        | NoticeKind::Member
        | NoticeKind::Digest => true,
    }
}

/// The agent's words, and the file in which a human reads the rest.
fn with_file(words: Option<&str>, file: Option<PathBuf>) -> Option<String> {
    let file = file.map(|file| format!("Read {}", file.display()));
    match (words, file) {
        (Some(words), Some(file)) => Some(format!("{}\n{file}", words.trim_end())),
        (words, file) => words.map(str::to_owned).or(file),
    }
}

/// The beginning of a text that an agent wrote, which may be of any size.
fn beginning(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    store::open_regular(path)?.take(64 << 10).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The first paragraph of a document, without its headings.
fn first_words(text: &str) -> Option<String> {
    let is_heading = |line: &str| line.starts_with('#') || line.starts_with("---");
    let lines = text.lines().map(str::trim).skip_while(|line| line.is_empty() || is_heading(line));
    let words = lines.take_while(|line| !line.is_empty() && !is_heading(line));
    Some(words.collect::<Vec<_>>().join(" ")).filter(|words| !words.is_empty())
}

/// Whether a usage limit lasts long enough to say so.
fn is_long(until: Timestamp, now: Timestamp) -> bool {
    until.duration_since(now) >= SignedDuration::from_mins(10)
}

/// Waits until the inbox has more than the files that stay there.
async fn mail_in(folder: &Folder, known: usize) {
    while folder.count_unread() <= known {
        tokio::time::sleep(LAST_LOOK).await;
    }
}

/// The unit's status line: phase, iteration, current activity and cost.
pub(super) fn status_line(state: &State, doing: Option<&str>, quiet_min: Option<u64>) -> String {
    let (phase, iteration) = (state.phase(), state.visit.iterations);
    let mut parts = vec![format!("{phase} {iteration}")];
    match &state.standing {
        _ if state.stopped => parts.push("stopped".to_owned()),
        Standing::Waiting { waits_for, .. } => parts.push(format!("waiting for {waits_for}")),
        Standing::Blocked { reason, .. } => parts.push(format!("blocked: {reason}")),
        Standing::Queued => parts.push("queued: waiting for other sessions".to_owned()),
        Standing::Limited { until, .. } => {
            parts.push(format!("usage limit until {}", local(*until)))
        }
        Standing::Held(held) => parts.push(format!("queued: {}", held.reason())),
        Standing::Scheduled(scheduled) => parts.push(format!("queued: {}", scheduled.reason())),
        Standing::Paused { detail, .. } => parts.push(format!("paused: {detail}")),
        Standing::Done => parts.push("done".to_owned()),
        Standing::New | Standing::Running | Standing::GaveUp => {
            parts.extend(doing.map(str::to_owned));
        }
    }
    parts.extend(quiet_min.filter(|min| *min > 0).map(|min| format!("quiet for {min} min")));
    parts.push(dollars(state.costs.usd, state.costs.certainty()));
    parts.join(" · ")
}

fn local(at: Timestamp) -> String {
    at.to_zoned(clock::local_zone()).strftime("%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Phase;
    use crate::session::state::{Costs, Visit};

    #[test]
    fn the_status_line_names_phase_iteration_doing_and_cost() {
        let state = State {
            visit: Visit { phase: Phase::Implementation, iterations: 5, ..Visit::default() },
            costs: Costs { usd: 2.309, ..Costs::default() },
            standing: Standing::Running,
            ..State::default()
        };
        assert_eq!(
            status_line(&state, Some("editing src/auth.rs"), Some(0)),
            "implementation 5 · editing src/auth.rs · $2.31"
        );
        assert_eq!(
            status_line(&state, None, Some(3)),
            "implementation 5 · quiet for 3 min · $2.31"
        );
    }

    #[test]
    fn a_plans_first_paragraph_is_its_summary() {
        let plan = "# Plan\n\n## Summary\n\nKeep the token\nin a cookie.\n\nMore.\n";
        assert_eq!(first_words(plan).as_deref(), Some("Keep the token in a cookie."));
        assert_eq!(first_words("# Plan\n"), None);
    }

    #[test]
    fn a_short_limit_is_not_worth_a_message() {
        let now = Timestamp::from_second(1000).unwrap();
        assert!(!is_long(Timestamp::from_second(1000 + 599).unwrap(), now));
        assert!(is_long(Timestamp::from_second(1000 + 600).unwrap(), now));
        assert!(!is_long(Timestamp::from_second(0).unwrap(), now));
    }

    #[test]
    fn a_message_names_the_file_to_read_after_the_agents_words() {
        let file = || Some(PathBuf::from("/s/26-11-20-jwt/_qa.md"));
        let text = with_file(Some("3 questions asked\n"), file());
        assert_eq!(text.as_deref(), Some("3 questions asked\nRead /s/26-11-20-jwt/_qa.md"));
        assert_eq!(with_file(None, file()).as_deref(), Some("Read /s/26-11-20-jwt/_qa.md"));
        assert_eq!(with_file(Some("words"), None).as_deref(), Some("words"));
    }

    #[test]
    fn a_plan_of_any_size_and_in_any_encoding_is_quoted_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let plan = folder.path().join("01-01-00:20-plan-x.md");
        std::fs::write(&plan, b"# Plan\n\nCaf\xe9 first\n\nmore").unwrap();
        std::fs::File::options().write(true).open(&plan).unwrap().set_len(1 << 40).unwrap();
        let words = beginning(&plan).ok().and_then(|text| first_words(&text));
        assert_eq!(words.as_deref(), Some("Caf\u{fffd} first"));
    }
}
