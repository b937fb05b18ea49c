//! `samocode status SESSION`: one session in detail.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::Common;
use crate::cli::ui::format::{ago, bar, clock, count, number};
use crate::cli::ui::layout;
use crate::cli::ui::output::{self, BOLD, DIM, in_line, painted, shortened, state_style};
use crate::control::inspect::{Detail, Show, UnitDetail};
use crate::service::Active;
use crate::session::WaitsFor;
use crate::session::clock;
use crate::session::dollars;
use crate::session::state::StateName;

use super::list::wanted;

/// The width of labels.
const LABEL: usize = 10;

/// The most characters shown of a value on a terminal: a paragraph, not a page.
const LONGEST: usize = 400;

pub(super) async fn show(common: &Common, typed: &str, json: bool) -> anyhow::Result<()> {
    let shown = common.call(Show { session: typed.to_owned() }).await?;
    if json {
        return output::json(&shown.view);
    }
    let lines = lines(&shown, output::width(), Timestamp::now(), &clock::shown_zone());
    lines.into_iter().try_for_each(output::line)
}

fn lines(shown: &Detail, width: Option<usize>, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let view = &shown.view;
    let mut found = vec![format!(
        "{}  {}{}",
        painted(BOLD, &view.session),
        painted(state_style(view.state), view.state),
        view.since.map_or_else(String::new, |since| {
            painted(DIM, format!(" since {}", clock(since, now, zone))).to_string()
        })
    )];
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            let label = format!("  {}", painted(DIM, format!("{name:LABEL$}")));
            found.extend(layout::wrap(&value, &label, &" ".repeat(LABEL + 2), width));
        }
    };
    let text = |text: &str| shortened(text, LONGEST, width);
    let some = |value: &Option<String>| value.as_deref().map(text).unwrap_or_default();

    field("Task", text(&shown.task));
    let total = count(view.total_iterations as usize, "iteration", "iterations");
    let iteration = if view.iteration > 0 { format!(" {}", view.iteration) } else { String::new() };
    field("Phase", format!("{} {}{iteration} · {total} in all", bar(view.phase), view.phase));
    field("Doing", some(&view.doing));
    field("Progress", view.last_progress.map_or_else(String::new, |at| ago(at, now, zone)));
    field("Reason", some(&view.reason));
    for note in &view.notes {
        field("Note", text(note));
    }
    field("Until", view.until.map_or_else(String::new, |at| clock(at, now, zone)));
    if let Some(needs) = &view.needs {
        let what = wanted(&needs.waits_for, needs.count);
        field("Needs", format!("{what}: {}", layout::glued(&needs.command)));
        if view.state == StateName::Waiting && needs.waits_for == WaitsFor::QaAnswers {
            for (id, question) in &shown.questions {
                field("", format!("{id}  {}", shortened(question, 100, width)));
            }
        }
    }
    field("Read", view.read.clone().unwrap_or_default());
    field("Merge", view.merge.as_deref().map(layout::glued).unwrap_or_default());
    let said = view.summary.as_ref().filter(|said| view.reason.as_ref() != Some(said));
    field("Last said", said.map(|said| text(said)).unwrap_or_default());
    let (input, output) = (number(view.tokens.input), number(view.tokens.output));
    field(
        "Cost",
        format!(
            "{} · {input} tokens read, {output} written",
            dollars(view.cost_usd, view.certainty())
        ),
    );
    field("Agent", some(&shown.agent));
    field("Confined", some(&shown.confined));
    field("Branch", branch(shown));
    field("", some(&view.elsewhere));
    field("Worktree", some(&view.worktree));
    field("Folder", text(&view.folder));
    if let Some(unit) = &shown.unit {
        field("Unit", unit_line(unit));
        field("Cgroup", text(&unit.cgroup));
    }
    found
}

fn branch(shown: &Detail) -> String {
    let Some(branch) = &shown.view.branch else { return String::new() };
    let since = match (shown.commits, &shown.base) {
        (Some(commits), Some(base)) => {
            let short = base.get(..7).unwrap_or(base);
            format!(" · {} since {short}", count(commits, "commit", "commits"))
        }
        _ => String::new(),
    };
    in_line(&format!("{branch}{since}"), LONGEST)
}

fn unit_line(unit: &UnitDetail) -> String {
    let mut parts = vec![unit.name.clone(), unit.active.to_string()];
    if !unit.enabled.is_empty() {
        parts.push(unit.enabled.clone());
    }
    parts.extend(unit.main_pid.map(|pid| format!("pid {pid}")));
    parts.push(count(unit.restarts as usize, "restart", "restarts"));
    if unit.active == Active::Failed {
        parts.push(format!("result {}", unit.result));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn waiting() -> Detail {
        let folder = "/srv/projects/shop-sessions/26-11-20-jwt-login";
        let view = json!({
            "session": "jwt-login", "instance": "jwt-login", "project": "/srv/projects/shop",
            "folder": folder, "worktree": "/srv/projects/shop-worktrees/26-11-20-jwt-login",
            "branch": "jwt-login", "state": "waiting", "phase": "requirements", "iteration": 3,
            "total_iterations": 7, "doing": null, "last_progress": "2026-11-20T17:58:00Z",
            "since": "2026-11-20T17:59:00Z", "until": null, "reason": "2 questions asked",
            "summary": "2 questions asked", "read": format!("{folder}/_qa.md"),
            "needs": { "for": "qa_answers", "count": 2, "command": "samocode answer jwt-login" },
            "cost_usd": 0.42, "unpriced_runs": 0, "notes": [],
            "tokens": { "input": 91000, "output": 4200 }, "unit": null,
        });
        Detail {
            view: serde_json::from_value(view).unwrap(),
            unit: None,
            task: "JWT login with httpOnly cookies, and nothing that breaks the mobile client, \
                   which keeps its old endpoint for a release"
                .to_owned(),
            agent: Some("command:/srv/tools/agent --fast".to_owned()),
            confined: None,
            base: Some("5290082aabbccdd".to_owned()),
            commits: Some(1),
            questions: vec![("Q1".to_owned(), "In which header does the token travel?".to_owned())],
        }
    }

    #[test]
    fn one_session_fits_the_terminal_and_a_pipe_gets_all_of_it() {
        let now = "2026-11-20T18:00:00Z".parse().unwrap();
        for (name, width) in crate::cli::ui::layout::WIDTHS {
            let text = lines(&waiting(), width, now, &TimeZone::UTC).join("\n");
            let text = anstream::adapter::strip_str(&text).to_string();
            insta::assert_snapshot!(name, text);
            assert_eq!(text.matches("2 questions asked").count(), 1, "what is said once");
        }
        crate::cli::ui::layout::assert_fits(|width| {
            lines(&waiting(), width, now, &TimeZone::UTC).join("\n")
        });
    }
}
