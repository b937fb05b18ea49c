//! `samocode enable`: creates or finds the session, writes its unit, starts it now and at boot.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum, ValueHint};

use crate::control::enable::{self, Enabled, Overrides, Waits};
use crate::control::many::{Action, Chosen};
use crate::control::request::{self, Became, Work};
use crate::control::timer::Upcoming;
use crate::control::{Class, inspect};
use crate::service;
use crate::session::Hint as _;
use crate::session::mail::MAX_BYTES;
use crate::session::state::StateName;

use super::each::each;
use super::{Common, complete, input, output};

/// Start a session, new or existing, now and at boot
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode enable jwt-login --task \"JWT login with httpOnly cookies\"\n  samocode enable jwt-login --task \"…\" --dive \"how sessions work today\" --budget 20\n  samocode enable jwt-login --task-file task.md  the task from a file; --task - from a pipe\n  samocode enable jwt-login                      resume it; a new one: write its task in $EDITOR\n  samocode enable a b c --task \"…\"               three sessions with the same task\n  samocode enable jwt-login --task \"…\" --at 22:00           begin then; also \"Mon 09:00\", 2h\n  samocode enable deps --task \"…\" --every \"Mon..Fri 03:00\"  a fresh session each time: deps, deps-2, …\n  samocode enable server --task \"…\" --after schema,model   when those are done, from their branches\n  samocode enable login --task \"…\" --coordinator --delegate gates --budget 50\n  sudo samocode enable --system --run-as dev jwt-login --task \"…\""
)]
pub(in crate::cli) struct Enable {
    /// Names, dated folder names, or instances; new ones get the same task
    #[arg(required_unless_present = "all", add = complete::sessions())]
    sessions: Vec<String>,
    /// All sessions of the project that are not done
    #[arg(long, conflicts_with_all = ["sessions", "task", "task_file"])]
    all: bool,
    #[command(flatten)]
    work: WorkArgs,
    /// The parent of this session: it gets mail when this one waits, blocks or is done, and
    /// its agent may act on this one [default: the caller's own session, if an agent calls]
    #[arg(long, value_name = "SESSION", add = complete::sessions())]
    parent: Option<String>,
    /// Let it coordinate others: it begins sessions below its own, in its workers/ folder
    #[arg(long)]
    coordinator: bool,
    /// What a coordinator decides in your place: gates (it answers its workers' questions and
    /// approves their plans) or none
    #[arg(long, value_name = "WHAT", value_enum)]
    delegate: Option<Delegate>,
    /// Start it when these sessions are done, from their branches
    #[arg(long, value_name = "SESSION", num_args = 1.., value_delimiter = ',', add = complete::sessions())]
    after: Vec<String>,
    /// Make it a member of this convoy, which may be new
    #[arg(long, value_name = "ID")]
    convoy: Option<String>,
    /// Begin then, not now: 22:00, "tomorrow 06:30", "Mon 09:00", "2026-12-01 03:00", or 2h for in two
    /// hours. A machine that is off then catches up when it is on again
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Begin again and again, each time a fresh session from the same task, unless the last is not
    /// done: an interval such as 6h, which begins now or at --at, or times such as daily, 03:00,
    /// "Mon..Fri 09:00"
    #[arg(long, value_name = "WHEN")]
    every: Option<String>,
    /// Save the credentials found in this shell to ~/.config/samocode/env
    #[arg(long)]
    import_env: bool,
    /// With --system: the user the session runs as [default: the user who called sudo]
    #[arg(long, value_name = "USER")]
    run_as: Option<String>,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

/// What a human may leave to a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Delegate {
    Gates,
    None,
}

/// Flags that `enable` and `run` share: the work to do, and settings for it.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct WorkArgs {
    /// What to do; resumes a finished session with a new task. '-' reads standard input
    #[arg(long, value_name = "TEXT")]
    task: Option<String>,
    /// A file that says what to do
    #[arg(long, value_name = "FILE", conflicts_with = "task", value_hint = ValueHint::FilePath)]
    task_file: Option<PathBuf>,
    /// What to investigate first
    #[arg(long, value_name = "TEXT")]
    dive: Option<String>,
    /// The agent: claude, codex, gemini, acp:PROGRAM ARGS, command:PROGRAM ARGS, or rehearsal (built in)
    #[arg(long, value_name = "AGENT", add = complete::agents())]
    agent: Option<String>,
    /// The most the session may spend, in US dollars
    #[arg(long, value_name = "USD")]
    budget: Option<String>,
    /// Queued sessions with the highest priority start first: 0 to 9 [default: 5]
    #[arg(long, value_name = "N")]
    priority: Option<String>,
}

impl WorkArgs {
    /// Splits the flags into the work to do and the settings for it. Where a task is needed and
    /// none was given, the person at the terminal writes it.
    pub(super) async fn split(
        self,
        common: &Common,
        session: Option<&str>,
    ) -> anyhow::Result<(Work, Overrides)> {
        let task = match (self.task, self.task_file) {
            (Some(dash), _) if dash == "-" => Some(input::stdin(MAX_BYTES, TOO_LONG)?),
            (Some(text), _) => Some(text),
            (None, Some(file)) => Some(input::file(&file, MAX_BYTES)?),
            (None, None) => match (input::editor(), session) {
                (Some(editor), Some(session)) if needs_task(common, session).await => {
                    let about = format!("What should session {session} do?");
                    Some(input::edited(&editor, &about)?)
                }
                _ => None,
            },
        };
        let work = Work { task, dive: self.dive, ..Work::default() };
        Ok((work, Overrides { agent: self.agent, budget: self.budget, priority: self.priority }))
    }
}

/// The hint for a task that is too long for a prompt.
const TOO_LONG: &str = "put it in a file in the repository, and name the file in the task";

/// Whether a session is new, or done and comes back only with a new task.
async fn needs_task(common: &Common, session: &str) -> bool {
    let call = inspect::Show { session: session.to_owned() };
    match common.call_with(call, &service::quiet).await.map(|answer| answer.result) {
        Ok(Ok(shown)) => shown.view.state == StateName::Done,
        Ok(Err(error)) => error.class == Class::NotFound,
        Err(_) => false,
    }
}

impl Enable {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let first = self.sessions.first().map(String::as_str);
        let (work, set) = self.work.split(common, first).await?;
        let delegate = self.delegate.map(|what| match what {
            Delegate::Gates => request::Delegate::Gates,
            Delegate::None => request::Delegate::None,
        });
        let work = Work {
            parent: self.parent,
            coordinates: self.coordinator,
            delegate,
            after: self.after,
            convoy: self.convoy,
            at: self.at,
            every: self.every,
            ..work
        };
        let (import_env, run_as) = (self.import_env, self.run_as);
        let action = Action::Enable { work: Box::new(work), set, import_env, run_as };
        let chosen = if self.all { Chosen::All } else { Chosen::Named(self.sessions) };
        let mut lingering = None;
        let result = each::<enable::Enable>(common, chosen, action, |enabled| {
            lingering = enabled.lingering;
            if self.json {
                output::json(enabled)?;
            } else {
                report(common, enabled);
            }
            Ok(())
        })
        .await;
        if !self.json {
            offer_linger(common, lingering).await;
        }
        result?;
        Ok(ExitCode::SUCCESS)
    }
}

fn report(common: &Common, enabled: &Enabled) {
    let Enabled { session, instance, unit, .. } = enabled;
    let name = output::painted(output::BOLD, session);
    let how = match enabled.became {
        _ if !enabled.has_begun => {
            let when = enabled.timer.as_ref().map(Upcoming::when).unwrap_or_default();
            format!("starts {when}")
        }
        Became::Created => format!("started as {unit}"),
        Became::Resumed => format!("resumed with a new task as {unit}"),
        Became::Revived => format!("resumed as {unit}"),
        Became::Known => match &enabled.waits {
            Some(Waits { waits_for, state, command }) => {
                format!("enabled as {unit}, {state} for {waits_for}: {command}")
            }
            None => format!("enabled as {unit}"),
        },
        Became::Running => format!("is already running as {unit}"),
    };
    let branch = enabled.branch.as_ref().map_or_else(String::new, |text| format!("   {text}"));
    outln!("{name}   {how}{branch}");
    let pad = " ".repeat(session.len());
    if !enabled.has_begun {
        let start = common.command(&format!("samocode start {instance}"));
        let stop = common.command(&format!("samocode stop {instance}"));
        outln!("{pad}   start it now: {start}      call it off: {stop}");
        return;
    }
    if let Some(timer) = &enabled.timer {
        outln!("{pad}   next: {}", timer.when());
    }
    let logs = format!("samocode logs -f {instance}");
    let stop = format!("samocode stop {instance}");
    outln!("{pad}   logs: {}      stop: {}", common.command(&logs), common.command(&stop));
}

/// Offers to turn lingering on: without it, a user's units stop at logout.
async fn offer_linger(common: &Common, lingers: Option<bool>) {
    if lingers != Some(false) {
        return;
    }
    if !output::is_interactive() {
        output::note(
            "your units stop when you log out. Keep them running with: samocode doctor --fix",
        );
        return;
    }
    out!("Your units stop when you log out. Keep them running (turns lingering on)? [Y/n] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_err() || !matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes") {
        return;
    }
    let on = async { service::connect(common.scope()).await?.enable_linger().await };
    match on.await {
        Ok(()) => outln!("Lingering is on."),
        Err(error) => output::note(&format!("lingering stays off: {}", error.in_one_line())),
    }
}
