//! The task for an agent in a run: prompt, model and limits.

use std::path::Path;

use crate::agent::prompt::{self, PromptInput};
use crate::agent::roles::{self, RoleError};
use crate::agent::{ConversationId, Environment, Identity, Task};
use crate::git;
use crate::session::clock;
use crate::session::restored::Restored;
use crate::session::state::State;

use super::Worker;
use super::iterate::Plan;

impl Worker<'_> {
    /// Builds the task for this run.
    pub(super) fn task(&self, plan: &Plan, environment: &Environment) -> Result<Task, RoleError> {
        let state = self.writer.state();
        let settings = &self.setup.settings;
        let session = self.session_name();
        let now = clock::local_now();
        let mail = self.unseen_mail();
        let interrupted = interrupted(state);
        let notes = state.notes.for_agent();
        let restored = state.machine.damage().map(Restored::describe);
        let input = PromptInput {
            session: &session,
            session_dir: self.writer.folder.path(),
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
            mail: &mail,
            interrupted: interrupted.as_deref(),
            restarted: state.machine.restart_is_news(),
            restored: restored.as_deref(),
            elsewhere: state.elsewhere.as_ref(),
            handoff: state.handoff.as_ref(),
        };
        let prompt = match &plan.asked {
            Some(problem) => prompt::ask_for_signal(&input, problem),
            // An agent that names its conversations may have lost a prompt it had not answered.
            None if plan.resume && plan.named_by == ConversationId::Ours => prompt::resume(&input),
            None => prompt::compose(&input),
        };
        Ok(Task {
            conversation: plan.conversation.clone(),
            resume: plan.resume,
            prompt,
            system_prompt: roles::system_prompt(state.phase(), &self.setup.role_folders)?,
            max_budget_usd: self.budget_left(),
            identity: state
                .working_dir()
                .and_then(|dir| git::identity(Path::new(dir)))
                .map(|(name, email)| Identity { name, email }),
            environment: environment.clone(),
            live_input: true,
        })
    }

    /// What this run may spend in US dollars: the run's budget or the rest of the session's,
    /// whichever is lower.
    fn budget_left(&self) -> Option<f64> {
        let budgets = &self.setup.settings.budgets;
        let session =
            budgets.session.usd.map(|most| (most - self.writer.state().costs.usd).max(0.01));
        match (budgets.run.usd, session) {
            (Some(run), Some(session)) => Some(run.min(session)),
            (run, session) => run.or(session),
        }
    }
}

/// The note to an agent whose previous run was cut off.
fn interrupted(state: &State) -> Option<String> {
    let iteration = state.iteration.as_ref().filter(|iteration| iteration.cut_off)?;
    Some(match &iteration.failures.last {
        Some(why) => format!(
            "The previous run ended early: {why}. Its work is still there: check git status and \
             the session's files before you repeat anything."
        ),
        None => {
            "The previous run was interrupted from outside. Its work is still there: check git \
                 status and the session's files before you repeat anything."
                .to_owned()
        }
    })
}
