//! The prompt of a session's run: the last one, or the next.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agent::REGISTRY;
use crate::config::{Dirs, Flags};
use crate::session::event;
use crate::session::hand_edit::hand_edit;
use crate::session::journal::{Entry, Event};
use crate::session::state::{State, StateName};
use crate::session::store::{self, Vouchers, read_journal};
use crate::worker::mail::{portion, vouched};
use crate::worker::review;
use crate::worker::task::RunPrompt;

use super::confine::{self, Scene};
use super::error::{Class, Error, Result};
use super::install::UnitFiles;
use super::operation::{Operation, Perform};
use super::session::Session;
use super::target::Target;

/// Asks for the prompt of a session's current or last run, or with `next` of the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// The next run, if it started now, instead of the last one.
    #[serde(default)]
    pub next: bool,
}

/// The prompt of a run, in its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompted {
    /// The session's name, without date and project.
    pub session: String,
    /// The id of the run; `None` for one that has not started.
    pub run: Option<String>,
    /// Whether the conversation of an earlier run is resumed: the agent has what was said there.
    pub resumes: bool,
    /// In the order in which the agent gets them: what is the same from run to run comes first.
    pub parts: Vec<Part>,
}

/// One part of a prompt: instructions from a file, the values, or the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is: `workflow.md`, `agents/PHASE-agent.md`, or a heading of the prompt.
    pub name: String,
    /// The file that replaces the built-in text.
    pub file: Option<PathBuf>,
    /// About how many tokens it has.
    pub tokens: usize,
    /// The text of this part, as the agent gets it.
    pub text: String,
}

impl Part {
    fn new(name: impl Into<String>, file: Option<PathBuf>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { name: name.into(), file, tokens: text.len().div_ceil(BYTES_PER_TOKEN), text }
    }
}

/// In English text with some code, for the models of today.
const BYTES_PER_TOKEN: usize = 4;

#[async_trait]
impl Perform for Prompt {
    async fn perform(self, on: &Operation<'_>) -> Result<Prompted> {
        let target = on.resolve(&self.session)?;
        let session = &target.session;
        let last = if self.next { None } else { last_run(session)? };
        let (run, kept) = match last {
            Some((run, kept)) => (Some(run), kept),
            None => (None, next_run(on, &target)?),
        };
        let RunPrompt { instructions, confinement, prompt, resume } = kept;
        let instructions =
            instructions.into_iter().map(|part| Part::new(part.name, part.file, part.text));
        let confinement = confinement.map(|text| Part::new("confinement", None, text));
        let parts = instructions.chain(confinement).chain(sections(&prompt)).collect();
        Ok(Prompted { session: session.name.clone(), run, resumes: resume, parts })
    }
}

/// The last run that was started, and what it was kept; `None` if there is none, or if an older
/// samocode started it, which did not keep that.
fn last_run(session: &Session) -> Result<Option<(String, RunPrompt)>> {
    let mut last = None;
    read_journal(&session.folder, |entry| {
        if let Event::RunStarted(event::RunStarted { run, log, .. }) = &entry.event {
            last = Some((run.clone(), log.clone()));
        }
    })?;
    let Some((run, log)) = last else { return Ok(None) };
    let kept = store::read(&session.folder.logs().join(RunPrompt::file(&log)))?;
    let kept = kept.and_then(|kept| serde_json::from_slice(&kept).ok());
    Ok(kept.map(|kept| (run, kept)))
}

fn next_run(on: &Operation<'_>, target: &Target) -> Result<RunPrompt> {
    let Target { context, session } = target;
    let dirs = Dirs::user(&context.caller.env)?;
    let vouchers = Vouchers::of(&dirs.state, &session.instance);
    let state = as_the_worker_finds_it(session, &vouchers)?;
    match state.name() {
        StateName::Done => {
            return Err(Error::refused(format!("{} is done: there is no next run", session.name))
                .hint(format!("samocode enable {} --task \"…\"", session.instance)));
        }
        StateName::Waiting => {
            on.warnings.add("it is waiting: no run starts before a human answers")
        }
        StateName::Running if session.is_worked_on() => {
            on.warnings.add("a run is in progress: this is the prompt that would repeat it");
        }
        _ => {}
    }
    if state.place.is_none() {
        on.warnings.add("its worktree does not exist yet, so the prompt does not name it");
    }
    let unit = UnitFiles::new(context, session, &Flags::default())?;
    let (phase, binary) = (state.phase(), &context.caller.binary);
    let agent = review::agent(&state, &unit.settings);
    let agent = REGISTRY.agent(agent, phase, &unit.settings, &unit.env, binary)?;
    let roles = super::role::roles_of(context, &session.folder)?;
    let confinement = match &state.place {
        Some(_) => Scene::of(target, &unit, Path::new(confine::RUN))?.confinement(),
        None => None,
    };
    let confinement = confinement.as_ref();
    RunPrompt::next(state, &session.folder, &unit.settings, &agent, &roles, confinement)
        .map_err(|error| Error::of(Class::Configuration, &error))
}

/// The state once the worker has read what changed since: mail, and edits by hand.
fn as_the_worker_finds_it(session: &Session, vouchers: &Vouchers) -> Result<State> {
    let mut state = session.state()?;
    let apply = |state: &mut State, event| {
        state.apply(&Entry { seq: state.seq + 1, at: Timestamp::now(), event });
    };
    let overview = session.overview();
    if state.seq == 0 {
        let event = session.imported(&overview);
        apply(&mut state, event.map_err(|why| Error::new(Class::Refused, why))?);
    }
    let edit = hand_edit(&state, &overview.status(), session.folder.questions().as_ref());
    if let Some(edit) = edit.filter(|_| !session.is_worked_on()) {
        apply(&mut state, edit.event());
    }
    for (_, message) in portion(&state, &session.folder, session.folder.unread()?.messages) {
        let is_known = state.unseen.contains(&message.id) || session.folder.was_read(&message.id);
        if !is_known {
            let event = vouched(&state, &message, vouchers);
            apply(&mut state, Event::Mail(event));
        }
    }
    Ok(state)
}

/// The prompt by its headings; what comes before the first has none.
fn sections(prompt: &str) -> Vec<Part> {
    let mut parts: Vec<(String, String)> = vec![("names and values".to_owned(), String::new())];
    for line in prompt.split_inclusive('\n') {
        if let Some(title) = line.strip_prefix("## ") {
            parts.push((title.trim().to_owned(), String::new()));
        }
        if let Some((_, text)) = parts.last_mut() {
            text.push_str(line);
        }
    }
    parts.into_iter().map(|(name, text)| Part::new(name, None, text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::call;
    use crate::control::host::Local;
    use crate::control::host::tests::caller;
    use crate::service::quiet;
    use crate::session::store::Folder;

    #[test]
    fn the_parts_of_a_prompt_add_up_to_it() {
        let prompt = "SESSION: jwt\n\n## The task\n\n    JWT\n\n## Mail\n\n[text]\n    ## no heading\n\nDo it.\n";
        let parts = sections(prompt);
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["names and values", "The task", "Mail"]);
        let whole: String = parts.iter().map(|part| part.text.as_str()).collect();
        assert_eq!(whole, prompt);
        assert_eq!(parts[1].tokens, 6, "{:?}", parts[1]);
    }

    #[tokio::test]
    async fn the_next_run_is_told_what_the_session_is_and_which_file_says_so() {
        let root = tempfile::tempdir().unwrap();
        let host = Local::new(caller(root.path()));
        let project = root.path().join(".samocode");
        let keys = std::fs::read_to_string(&project).unwrap();
        std::fs::write(&project, keys + "SAMOCODE_AGENT=rehearsal\n").unwrap();
        let folder = root.path().join("sessions/26-11-20-jwt");
        std::fs::create_dir(&folder).unwrap();
        let write = |phase: &str| {
            let text = format!("# Session: jwt\n## Task\nJWT login\n## Status\nPhase: {phase}\n");
            std::fs::write(Folder::new(&folder).overview(), text).unwrap();
        };
        write("testing");
        let own = root.path().join(".samocode.d/agents/testing-agent.md");
        std::fs::create_dir_all(own.parent().unwrap()).unwrap();
        std::fs::write(&own, "Test it all.\n").unwrap();

        let ask = || Prompt { session: "jwt".to_owned(), next: true };
        let told = call(&host, ask(), &quiet).await.result.unwrap();
        assert_eq!((told.run, told.resumes), (None, false));
        let [workflow, role, values, task] = &told.parts[..] else { panic!("{:?}", told.parts) };
        assert_eq!((workflow.name.as_str(), &workflow.file), ("workflow.md", &None));
        assert_eq!((role.text.as_str(), &role.file), ("Test it all.", &Some(own)));
        assert!(values.text.contains("PHASE: testing\n"), "{values:?}");
        assert!(task.text.contains("    JWT login\n"), "{task:?}");

        write("lunch");
        let error = call(&host, ask(), &quiet).await.result.unwrap_err();
        assert!(error.message.contains("lunch"), "{error:?}");
    }
}
