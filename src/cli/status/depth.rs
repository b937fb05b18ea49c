//! One session in depth.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::Common;
use crate::cli::context::Context;
use crate::cli::output::{self, BOLD, DIM, in_line, painted, state_style};
use crate::cli::sessions::{self, Session};
use crate::cli::view::View;
use crate::cli::words::{ago, bar, clock, count, number, usd};
use crate::git;
use crate::service::{self, Active, Enablement, UnitDetail};
use crate::session::WaitsFor;
use crate::session::journal::Event;
use crate::session::qa::{Answer, Qa};
use crate::session::state::{State, Word};
use crate::session::store;

use super::list::wanted;

/// The longest value, in characters: a paragraph, not a page.
const LONGEST: usize = 400;

pub(super) async fn show(common: &Common, typed: &str, json: bool) -> anyhow::Result<()> {
    let context = Context::load_for(common, typed)?;
    let session = sessions::find(&context, typed)?;
    let detail = unit(common, &session).await;
    let mut view =
        View::of(&context.project, &session, detail.as_ref().map(|detail| &detail.status))?;
    if let (Some(unit), Some(detail)) = (&mut view.unit, &detail) {
        unit.restarts = Some(detail.restarts);
    }
    if json {
        return output::json(&view);
    }
    let known = Known::read(&session)?;
    for line in lines(&view, detail.as_ref(), &known, Timestamp::now(), &TimeZone::system()) {
        output::line(line)?;
    }
    Ok(())
}

/// The unit; `None` without a service manager.
async fn unit(common: &Common, session: &Session) -> Option<UnitDetail> {
    let manager = match service::connect(common.scope()).await {
        Ok(manager) => manager,
        Err(service::Error::NoManager { .. }) => return None,
        Err(error) => {
            output::note(&error.to_string());
            return None;
        }
    };
    match manager.unit(&session.instance).await {
        Ok(detail) => Some(detail),
        Err(error) => {
            output::note(&error.to_string());
            None
        }
    }
}

/// What the session's other files and its worktree tell.
#[derive(Default)]
struct Known {
    task: String,
    agent: Option<String>,
    base: Option<String>,
    commits: Option<usize>,
    questions: Vec<(String, String)>,
}

impl Known {
    fn read(session: &Session) -> anyhow::Result<Self> {
        let mut agent = None;
        let (state, _) = store::read_journal(&session.folder, |entry| {
            if let Event::RunStarted { agent: name, .. } = &entry.event {
                agent = Some(name.clone());
            }
        })?;
        let commits = commits(&state);
        let qa = store::read(&session.folder.qa())?.unwrap_or_default();
        let qa = Qa::parse(String::from_utf8_lossy(&qa).into_owned());
        let open = qa.questions().iter().filter(|question| question.answer == Answer::Waiting);
        let questions = open.map(|question| (question.id.clone(), question.text.clone())).collect();
        Ok(Self {
            task: state.task,
            agent,
            base: state.place.and_then(|place| place.base),
            commits,
            questions,
        })
    }
}

/// Commits since the branch began; `None` where that cannot be told.
fn commits(state: &State) -> Option<usize> {
    let (folder, base) = (state.working_dir()?, state.base()?);
    git::commits_since(Path::new(folder), base).ok()
}

fn lines(
    view: &View,
    unit: Option<&UnitDetail>,
    known: &Known,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<String> {
    let mut found = vec![format!(
        "{}  {}{}",
        painted(BOLD, &view.session),
        painted(state_style(view.state), view.state),
        view.since.map_or_else(String::new, |since| {
            painted(DIM, format!(" since {}", clock(since, now, zone))).to_string()
        })
    )];
    let mut tell = |name: &str, value: String| {
        if !value.is_empty() {
            found.push(format!("  {}{value}", painted(DIM, format!("{name:10}"))));
        }
    };
    let text = |text: &str| in_line(text, LONGEST);
    let some = |value: &Option<String>| value.as_deref().map(text).unwrap_or_default();

    tell("Task", text(&known.task));
    let total = count(view.total_iterations as usize, "iteration", "iterations");
    let iteration = if view.iteration > 0 { format!(" {}", view.iteration) } else { String::new() };
    tell("Phase", format!("{} {}{iteration} · {total} in all", bar(view.phase), view.phase));
    tell("Doing", some(&view.doing));
    tell("Progress", view.last_progress.map_or_else(String::new, |at| ago(at, now, zone)));
    tell("Reason", some(&view.reason));
    tell("Until", view.until.map_or_else(String::new, |at| clock(at, now, zone)));
    if let Some(needs) = &view.needs {
        let what = wanted(&needs.waits_for, needs.count);
        tell("Needs", format!("{what}: {}", needs.command));
        if view.state == Word::Waiting && needs.waits_for == WaitsFor::QaAnswers {
            for (id, question) in &known.questions {
                tell("", format!("{id}  {}", in_line(question, 100)));
            }
        }
    }
    tell("Last said", some(&view.summary));
    let (input, output) = (number(view.tokens.input), number(view.tokens.output));
    tell("Cost", format!("{} · {input} tokens read, {output} written", usd(view.cost_usd)));
    tell("Agent", some(&known.agent));
    tell("Branch", branch(view, known));
    tell("Worktree", some(&view.worktree));
    tell("Folder", text(&view.folder));
    if let Some(detail) = unit {
        tell("Unit", unit_line(&detail.status.name, detail));
        tell("Cgroup", text(&detail.cgroup));
    }
    found
}

fn branch(view: &View, known: &Known) -> String {
    let Some(branch) = &view.branch else { return String::new() };
    let since = match (known.commits, &known.base) {
        (Some(commits), Some(base)) => {
            let short = base.get(..7).unwrap_or(base);
            format!(" · {} since {short}", count(commits, "commit", "commits"))
        }
        _ => String::new(),
    };
    in_line(&format!("{branch}{since}"), LONGEST)
}

fn unit_line(name: &str, detail: &UnitDetail) -> String {
    let mut parts = vec![name.to_owned(), detail.status.active.to_string()];
    if detail.enabled != Enablement::Absent {
        parts.push(detail.enabled.to_string());
    }
    parts.extend(detail.main_pid.map(|pid| format!("pid {pid}")));
    parts.push(count(detail.restarts as usize, "restart", "restarts"));
    if detail.status.active == Active::Failed {
        parts.push(format!("result {}", detail.result));
    }
    parts.join(" · ")
}
