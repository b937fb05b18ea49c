//! The task for an agent in a run: prompt, model and limits.

use std::io::{self, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agent::confine::{self, Confinement, words};
use crate::agent::prompt::{self, PromptInput};
use crate::agent::roles::{self, Instructions, RoleError, Roles};
use crate::agent::{Agent, ConversationId, Environment, Identity, Task};
use crate::config::Settings;
use crate::git;
use crate::session::journal::{Entry, Event};
use crate::session::mail::{Kind, Message};
use crate::session::restored::Restored;
use crate::session::state::State;
use crate::session::store::Folder;
use crate::session::{clock, names};

use super::iterate::Plan;
use super::mail;
use super::{Setup, Worker, review};

/// The prompt of a run, as it is kept beside the run's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunPrompt {
    /// The parts of the system prompt.
    pub(crate) instructions: Vec<Instructions>,
    /// The text about its confinement, if it is confined: the end of the system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) confinement: Option<String>,
    /// The prompt itself, as it is written to the agent's input.
    pub(crate) prompt: String,
    /// Whether the conversation of an earlier run is resumed, which has the rest.
    pub(crate) resume: bool,
}

impl RunPrompt {
    /// The name of its file beside the log of a run.
    pub(crate) fn file(log: &str) -> String {
        log.replace(".jsonl", ".prompt.json")
    }

    /// The prompt of the next run if it started now, in this state. Its id is not known yet.
    pub(crate) fn next(
        mut state: State,
        folder: &Folder,
        settings: &Settings,
        agent: &Agent,
        roles: &Roles,
        confinement: Option<&Confinement>,
    ) -> Result<Self, RoleError> {
        let (seen, numbers) = review::turn(&state, settings);
        let mut plan = Plan::new(&seen, numbers, agent);
        plan.review = review::assignment(&seen, settings, || review::head(seen.working_dir()));
        let is_review = plan.review.is_some();
        "(a new id)".clone_into(&mut plan.run);
        let started = Event::RunStarted(plan.started(state.phase(), String::new(), None));
        // As the worker sees it, which records the start first.
        state.apply(&Entry { seq: state.seq + 1, at: Timestamp::now(), event: started });
        let mail = unseen(&state, folder);
        let occasion = Occasion { state: &state, folder, settings, plan: &plan, mail: &mail };
        let instructions =
            if is_review { roles.of_reviewer()? } else { roles.parts(state.phase())? };
        let confinement = confinement
            .map(|confined| words::for_agent(confined, &confine::support(confined.level)));
        Ok(Self { instructions, confinement, prompt: occasion.prompt(), resume: plan.resume })
    }

    fn system_prompt(&self) -> String {
        let text = roles::joined(&self.instructions);
        match &self.confinement {
            Some(confinement) => format!("{text}\n{confinement}"),
            None => text,
        }
    }
}

/// Everything that a run's prompt depends on.
struct Occasion<'a> {
    state: &'a State,
    folder: &'a Folder,
    settings: &'a Settings,
    plan: &'a Plan,
    /// Mail that no agent has seen.
    mail: &'a [Message],
}

impl Occasion<'_> {
    /// The prompt of the run.
    fn prompt(&self) -> String {
        let Self { state, settings, plan, .. } = self;
        let now = clock::local_now();
        let interrupted = interrupted(state);
        let mut notes = state.notes.for_agent();
        if let left @ 1.. = mail::left(state, self.folder) {
            notes.push(format!(
                "There are {left} more unread messages; you get them in the next iterations."
            ));
        }
        let files = self.folder.readable();
        let restored = state.machine.damage().map(Restored::describe);
        let input = PromptInput {
            session: &session_name(self.folder),
            session_dir: self.folder.path(),
            working_dir: Path::new(state.working_dir().unwrap_or_default()),
            branch: state.branch(),
            base: state.base(),
            phase: state.phase(),
            iteration: plan.numbers.iteration,
            total_iterations: plan.numbers.total,
            run: &plan.run,
            now: &now,
            time_limit: Some(settings.run_timeout.as_secs()),
            test_command: settings.test_command.as_deref(),
            gate: state.phase().is_gate().then_some(state.visit.gate),
            task: Some(state.task.as_str()).filter(|task| !task.is_empty()),
            dive: state.dive.as_deref(),
            notes: &notes,
            mail: self.mail,
            unsigned: &state.unsigned,
            interrupted: interrupted.as_deref(),
            restarted: state.machine.restart_is_news(),
            restored: restored.as_deref(),
            elsewhere: state.elsewhere.as_ref(),
            files: &files,
            strays: &state.strays,
            handoff: state.handoff.as_ref(),
            reviews: Some(&state.visit.reviews).filter(|reviews| !reviews.opinions().is_empty()),
        };
        if let Some(review) = &plan.review {
            return match &plan.asked {
                Some(problem) => prompt::ask_for_verdict(&input, problem),
                None => prompt::review(&input, review, &state.visit.reviews),
            };
        }
        match &plan.asked {
            Some(problem) => prompt::ask_for_signal(&input, problem),
            // An agent that names its conversations may have lost a prompt it had not answered.
            None if plan.resume && plan.named_by == ConversationId::Ours => prompt::resume(&input),
            None => prompt::compose(&input),
        }
    }
}

/// Messages that no agent has seen yet, except stops, which concern only the worker.
pub(super) fn unseen(state: &State, folder: &Folder) -> Vec<Message> {
    let messages = state.unseen.iter().filter_map(|id| folder.message(id));
    messages.filter(|message| message.kind != Kind::Stop).collect()
}

/// The session's plain name, as people and agents use it.
fn session_name(folder: &Folder) -> String {
    let folder = folder.name();
    names::name_in_folder(&folder).map_or(folder.clone(), str::to_owned)
}

impl Setup {
    /// Where the session's instructions come from.
    fn roles(&self) -> Roles {
        Roles::of(self.role_folders.clone(), &self.folder, &self.project.sessions)
    }
}

impl Worker<'_> {
    /// Builds the task for this run, and keeps what it says beside the run's log.
    pub(super) fn task(
        &self,
        plan: &Plan,
        log: &str,
        environment: &Environment,
        confinement: Option<&Confinement>,
    ) -> Result<Task, RoleError> {
        let state = self.writer.state();
        let occasion = Occasion {
            state,
            folder: &self.writer.folder,
            settings: &self.setup.settings,
            plan,
            mail: &unseen(state, &self.writer.folder),
        };
        let roles = self.setup.roles();
        let instructions = match &plan.review {
            Some(_) => roles.of_reviewer()?,
            None => roles.parts(state.phase())?,
        };
        let run = RunPrompt {
            instructions,
            confinement: confinement
                .map(|confined| words::for_agent(confined, &confine::support(confined.level))),
            prompt: occasion.prompt(),
            resume: plan.resume,
        };
        self.keep(run.clone(), log);
        Ok(Task {
            conversation: plan.conversation.clone(),
            resume: plan.resume,
            system_prompt: run.system_prompt(),
            prompt: run.prompt,
            max_budget_usd: self.budget_left(),
            identity: state
                .working_dir()
                .filter(|_| plan.wants_identity)
                .and_then(|dir| git::identity(Path::new(dir)))
                .map(|(name, email)| Identity { name, email }),
            environment: environment.clone(),
            live_input: true,
        })
    }

    /// For `samocode prompt`. The run does not depend on it, so the agent need not wait for it.
    fn keep(&self, run: RunPrompt, log: &str) {
        let (folder, name) = (self.writer.folder.clone(), RunPrompt::file(log));
        let keep = move || {
            let text = serde_json::to_vec_pretty(&run).unwrap_or_default();
            let file = folder.open_log(&name).map_err(io::Error::other);
            if let Err(error) = file.and_then(|mut file| file.write_all(&text)) {
                tracing::warn!("cannot save the prompt of this run: {error}");
            }
        };
        drop(self.writer.background.run(keep));
    }

    /// What this run may spend in US dollars: the run's budget, the rest of the session's or of one
    /// above it, whichever is lowest.
    fn budget_left(&self) -> Option<f64> {
        let budgets = &self.setup.settings.budgets;
        let spent = self.spent_with_below().0;
        let session = budgets.session.usd.map(|most| most - spent);
        let rests = [session, self.left_above()].into_iter().flatten();
        rests.map(|rest| rest.max(0.01)).chain(budgets.run.usd).reduce(f64::min)
    }
}

/// The note to an agent whose previous run was cut off.
fn interrupted(state: &State) -> Option<String> {
    let iteration = state.iteration.as_ref().filter(|iteration| iteration.cut_off)?;
    Some(match &iteration.failures.last {
        Some(why) => format!(
            "The previous run ended early: {}. Its work is still there: check git status and \
             the session's files before you repeat anything.",
            why.trim_end_matches('.')
        ),
        None => {
            "The previous run was interrupted from outside. Its work is still there: check git \
                 status and the session's files before you repeat anything."
                .to_owned()
        }
    })
}
