//! One run of an iteration: record the intent, run the agent, record the outcome.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use uuid::Uuid;

use crate::agent::environment::RunIds;
use crate::agent::{self, Agent, Capabilities, ConversationId, Outcome, REGISTRY};
use crate::git::{Checkout, Programs};
use crate::session::Hint as _;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::review::Assignment;
use crate::session::state::{Conversation, Place, State};
use crate::session::store::{self, crash_point};
use crate::session::{Needs, Phase, clock, stamp};

use super::decide::Numbers;
use super::follow::STARTING;
use super::obstacles::{self, Obstacle};
use super::preparing::{Shown, provide};
use super::provision::Provided;
use super::under_way::{RunFiles, RunUnderWay};
use super::unready::Unready;
use super::{Trouble, Worker, prepare, review, temporary, tick};

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
    /// Whether the agent can resume a conversation.
    pub(super) resumes: bool,
    /// Who names the conversation.
    pub(super) named_by: ConversationId,
    /// Whether the agent reports what a run cost.
    pub(super) reports_cost: bool,
    /// Whether the agent has to be given the name and address for commits.
    pub(super) wants_identity: bool,
    /// What it reviews, if it is a reviewer's.
    pub(super) review: Option<Assignment>,
    agent: &'static str,
    /// Program and arguments of an agent that is chosen with a command line.
    program: Option<String>,
    /// Folders to add to the agent's PATH.
    path_additions: Vec<PathBuf>,
}

impl Plan {
    pub(super) fn new(state: &State, numbers: Numbers, agent: &Agent) -> Self {
        let Capabilities { resumes, conversation: named_by, cost, wants_identity, .. } =
            agent.capabilities();
        let program = agent.name().command().map(|_| agent.name().to_string());
        let is_ours = |known: &&Conversation| {
            known.agent == program.as_deref().unwrap_or(agent.word())
                && known.resumable
                && !known.id.is_empty()
        };
        let known = state.conversation().filter(|known| resumes && is_ours(known));
        let resume = known.is_some();
        let conversation = match (known, named_by) {
            (Some(known), _) => known.id.clone(),
            (None, ConversationId::Ours) => Uuid::new_v4().to_string(),
            (None, ConversationId::Agents) => String::new(),
        };
        let iteration = state.iteration.as_ref().filter(|_| resume);
        Self {
            run: Uuid::now_v7().to_string(),
            numbers,
            conversation,
            resume,
            asked: iteration.and_then(|known| known.asked.clone()),
            resumes,
            named_by,
            reports_cost: cost,
            wants_identity,
            review: None,
            agent: agent.word(),
            program,
            path_additions: agent.path_additions().to_vec(),
        }
    }

    /// The event of its start.
    pub(super) fn started(
        &self,
        phase: Phase,
        log: String,
        confined: Option<String>,
    ) -> event::RunStarted {
        let Numbers { iteration, total, attempt } = self.numbers;
        event::RunStarted {
            run: self.run.clone(),
            agent: self.agent.to_owned(),
            command: self.program.clone(),
            conversation: self.conversation.clone(),
            resume: self.resume,
            phase,
            iteration,
            total,
            attempt,
            log,
            confined,
            review: self.review.clone(),
        }
    }
}

impl Worker<'_> {
    /// Runs the agent once and handles the result.
    pub(super) async fn iterate(&mut self) -> Result<(), Trouble> {
        self.ask_to_run()?;
        let found = self.look_around()?;
        let (settings, instance) = (&self.setup.settings, &self.setup.instance);
        match obstacles::first(&found, self.writer.state(), settings, instance) {
            Some(Obstacle::Queue) => return self.queue().await,
            Some(Obstacle::Pause(event)) => return self.hold_back(*event).await,
            Some(Obstacle::Block(reason)) => return self.block(reason, Needs::HumanDecision),
            None => self.may_start = true,
        }
        if let Err(unready) = self.ready_place().await? {
            return self.hold_unready(unready).await;
        }
        self.read_env_file();
        let agent = match self.agent().await {
            Some(Ok(found)) => found,
            Some(Err(error)) => {
                let why = error.in_one_line();
                if self.does_without(&why, None)? {
                    return Ok(());
                }
                return self.block(self.as_reviewer() + &why, Needs::HumanDecision);
            }
            None => return Ok(()),
        };
        let account = self.account();
        if let (Some(account), false) = (&account, self.writer.state().forced)
            && let Some(obstacle) = account.obstacle(&self.setup.instance, Timestamp::now())?
        {
            let obstacle = self.around_reviewer(obstacle);
            self.tell_of_missing(std::slice::from_ref(&obstacle));
            return self.hold_back(obstacle).await;
        }
        if let Some(account) = &account
            && (!self.takes_part(account).await? || !self.await_login(account).await?)
        {
            return Ok(());
        }
        self.forget_lost(&agent)?;
        let plan = self.plan(&agent);
        let costs_before = self.writer.state().costs.clone();
        let files = self.record_start(&plan)?;
        let since = SystemTime::now() - TICK;
        let mut ended = match RunUnderWay::start(self, &agent, &plan, files)? {
            Ok(run) => run.follow().await?,
            Err(not_started) => *not_started,
        };
        crash_point("the run is over");
        self.may_start = !matches!(ended.outcome, Outcome::Exhausted { .. });
        self.settle_run(since).await;
        self.take_work_over().await?;
        if let Some(removal) = ended.removal.take() {
            // A run may leave gigabytes there.
            while !removal.is_done_within(tick(self.notify)) {
                self.notify.watchdog();
            }
        }
        self.explain_age(&agent, &mut ended).await;
        if let (Outcome::MaxTurns, Some(key)) = (&ended.outcome, agent.capabilities().max_turns) {
            ended.why.get_or_insert_with(|| format!("it used all of {key}"));
        }
        self.conclude(&plan, &ended, account.as_ref()).await?;
        self.yields();
        self.account_for(&costs_before, plan.reports_cost)?;
        self.note_unknown(&agent, &ended.unknown).await
    }

    /// Makes sure that the place the agent works in is there, whole, and what it was. Otherwise
    /// returns why not.
    async fn ready_place(&mut self) -> Result<Result<(), Unready>, Trouble> {
        let (project, settings) = (&self.setup.project, &self.setup.settings);
        if self.working_dir_is_gone() || self.writer.folder.is_unready() {
            self.writer.keep_hook_up()?;
            return self.restore_worktree().await;
        }
        let Some(checkout) = self.checkout() else { return Ok(Ok(())) };
        if !checkout.is_whole(self.writer.state().branch()) {
            self.writer.keep_hook_up()?;
            // A git process killed with its agent leaves locks that would block the next one.
            let programs = Programs::of(&self.setup.state_dir);
            let shown = Shown { notify: self.notify, redactor: &self.redactor };
            let writer = &mut self.writer;
            let restored = prepare::restore_worktree(writer, project, settings, &programs, shown);
            if let Err(unready) = super::pinging(self.notify, restored).await? {
                tracing::warn!("the worktree may be in a bad state: {unready}");
            }
        }
        if let Err(error) = checkout.refresh() {
            tracing::warn!("the agent sees the project's branches as they were: {error}");
        }
        match checkout.confirm(self.worktree.as_ref()).await {
            Ok(confirmed) => self.worktree = Some(confirmed),
            Err(error) => return Ok(Err(Unready::of(&error, checkout.root()))),
        }
        if self.writer.state().machine.is_first_run_since_boot() {
            self.restore_damaged(&checkout).await?;
        }
        // Somebody may have moved it since the last run; tell the agent where it is now.
        if let Some(moved) = self.head_moved().await {
            self.writer.record(moved)?;
        }
        self.look_beside();
        Ok(Ok(()))
    }

    /// Makes the worktree again, with what a new one gets. Otherwise returns why not.
    async fn restore_worktree(&mut self) -> Result<Result<(), Unready>, Trouble> {
        let (project, settings) = (&self.setup.project, &self.setup.settings);
        let checkout = Checkout::of_session(project, &self.writer.folder.name());
        // Where a project was moved, it is there.
        let is_gone = self.working_dir_is_gone() && !checkout.root().is_dir();
        if is_gone {
            self.writer.folder.mark_unready()?;
        }
        let programs = Programs::of(&self.setup.state_dir);
        let shown = Shown { notify: self.notify, redactor: &self.redactor };
        let writer = &mut self.writer;
        let restore = prepare::restore_worktree(writer, project, settings, &programs, shown);
        if let Err(why) = super::pinging(self.notify, restore).await? {
            return Ok(Err(why));
        }
        crash_point("the worktree is made again");
        let state = self.writer.state();
        let place = state.working_dir().zip(state.branch()).filter(|_| is_gone);
        if let Some((working_dir, branch)) = place {
            let (working_dir, branch) = (working_dir.to_owned(), branch.to_owned());
            self.writer.record(Event::Remade(event::Remade { working_dir, branch }))?;
        }
        let root = self.checkout().map(|checkout| checkout.root().to_owned());
        let working_dir = self.writer.state().working_dir().unwrap_or_default().to_owned();
        if let Some(root) = root {
            let ground = self.ground();
            let working_dir = Path::new(&working_dir);
            let provided = provide(&mut self.writer, shown, ground, &root, working_dir);
            match super::pinging(self.notify, provided).await {
                Ok(provided) => self.record_provided(provided)?,
                Err(why) => return Ok(Err(why)),
            }
        }
        store::remove(&self.writer.folder.unready_mark())?;
        Ok(Ok(()))
    }

    /// Records what the worktree was given, if that is anything.
    fn record_provided(&mut self, provided: Provided) -> Result<(), Trouble> {
        let Some(place) = self.writer.state().place.clone() else { return Ok(()) };
        if provided == Provided::default() {
            return Ok(());
        }
        let Provided { copied, notes } = provided;
        let Place { working_dir, branch, base } = place;
        let prepared = event::Prepared { working_dir, branch, base, notes, copied };
        Ok(self.writer.record(Event::Prepared(prepared))?)
    }

    /// Records that the agent is about to start, and brings the files in line. A run whose log
    /// cannot be written is not recorded.
    pub(super) fn record_start(&mut self, plan: &Plan) -> Result<RunFiles, Trouble> {
        let log = self.log_name(plan.numbers);
        self.writer.folder.make_subfolders()?;
        let file = self.writer.folder.open_log(&log)?;
        self.writer.folder.clear_signal()?;
        self.end_outage()?;
        let phase = self.writer.state().phase();
        let started = plan.started(phase, log.clone(), self.confined());
        let temporary = temporary::name(&plan.run);
        let make = move || tempfile::Builder::new().prefix(&temporary).rand_bytes(0).tempdir();
        let temporary = self.writer.record_start(started, make)?;
        self.writer.restore_overview()?;
        self.writer.open_overview()?;
        let doing = plan.review.as_ref().map(|review| review.doing(STARTING));
        self.writer.show_start(doing.as_deref().unwrap_or(STARTING))?;
        Ok(RunFiles { log, file, temporary })
    }

    pub(super) fn plan(&self, agent: &Agent) -> Plan {
        let settings = &self.setup.settings;
        let (state, numbers) = review::turn(self.writer.state(), settings);
        let review = review::assignment(&state, settings, || review::head(state.working_dir()));
        Plan { review, ..Plan::new(&state, numbers, agent) }
    }

    pub(super) fn environment(&self, plan: &Plan, temporary: &Path) -> agent::Environment {
        let state = self.writer.state();
        let ids = RunIds {
            session: self.setup.instance.clone(),
            session_dir: self.writer.folder.path().to_owned(),
            phase: state.phase(),
            iteration: plan.numbers.total,
            run: plan.run.clone(),
            tmpdir: temporary.to_owned(),
            port_base: self.port_base(),
            own_caches: self.setup.settings.own_caches.clone(),
            path_additions: plan.path_additions.clone(),
        };
        let name = self.agent_name();
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::registry::testing::agent_of;
    use crate::session::journal::{Entry, RunCost};
    use crate::worker::decide::next_run;

    /// In an iteration whose last run was this agent's and can be resumed.
    fn state(agent: &str, command: Option<&str>) -> State {
        let mut state = State::default();
        let started = event::RunStarted {
            run: "r".into(),
            agent: agent.into(),
            command: command.map(str::to_owned),
            conversation: "c".into(),
            resume: false,
            phase: Phase::Implementation,
            iteration: 1,
            total: 1,
            attempt: 1,
            log: "l".into(),
            confined: None,
            review: None,
        };
        let ended = event::RunEnded {
            run: "r".into(),
            outcome: "killed".into(),
            detail: None,
            failure: true,
            endless: false,
            resumable: true,
            context_window: None,
            cost: RunCost::default(),
        };
        for (seq, event) in (1..).zip([Event::RunStarted(started), Event::RunEnded(ended)]) {
            state.apply(&Entry { seq, at: Timestamp::UNIX_EPOCH, event });
        }
        state
    }

    #[test]
    fn a_conversation_is_resumed_by_the_program_that_began_it_and_by_no_other() {
        let claude = agent_of(&REGISTRY, "claude", "CLAUDE_PATH=/bin/true\n").unwrap();
        let codex = agent_of(&REGISTRY, "codex", "CODEX_PATH=/bin/true\n").unwrap();
        let acp = agent_of(&REGISTRY, "acp:/bin/true --acp", "").unwrap();
        let resumes = |state: &State, agent: &Agent| {
            let plan = Plan::new(state, next_run(state), agent);
            assert!(plan.resume == (plan.conversation == "c"), "{}", plan.conversation);
            plan.resume
        };
        let of_claude = state("claude", None);
        assert!(resumes(&of_claude, &claude));
        // The settings name another agent since.
        assert!(!resumes(&of_claude, &codex) && !resumes(&of_claude, &acp));
        assert!(resumes(&state("codex", None), &codex));
        assert!(resumes(&state("acp", Some("acp:/bin/true --acp")), &acp));
        assert!(!resumes(&state("acp", Some("acp:/bin/false --acp")), &acp));
    }
}
