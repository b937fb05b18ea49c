//! Small parts of several pages.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::control::format::{ago, clock, count};
use crate::control::view::View;
use crate::session::state::StateName;
use crate::session::{Phase, WaitsFor, dollars};

use super::plain;

/// A state in a word, coloured.
pub(super) fn state(state: StateName) -> Markup {
    html! { span class={ "pill state-" (state) } { (state) } }
}

/// How far a session is, as eight squares.
pub(super) fn bar(phase: Phase) -> Markup {
    let (number, all) = (phase.number(), Phase::ALL.len());
    html! {
        span.bar role="img" aria-label={ "Phase " (number) " of " (all) ": " (phase) } {
            @for at in 1..=all { i class=(if at <= number { "on" } else { "" }) {} }
        }
    }
}

/// How long ago something happened. The script keeps it true.
pub(super) fn moment(at: Timestamp, now: Timestamp, zone: &TimeZone) -> Markup {
    html! { time datetime=(at) data-ago title=(clock(at, now, zone)) { (ago(at, now, zone)) } }
}

/// What a session has cost.
pub(super) fn cost(view: &View) -> String {
    dollars(view.cost_usd, view.certainty())
}

/// Where the script shows memory and CPU of a session that runs.
pub(super) fn load(view: &View) -> Markup {
    html! { span.load data-load=(view.instance) {} }
}

/// What a session needs from a human, in a few words.
pub(super) fn needs(view: &View) -> Option<String> {
    let needs = view.needs.as_ref()?;
    Some(match (&needs.waits_for, needs.count) {
        (WaitsFor::QaAnswers, Some(0)) => "its questions are answered".to_owned(),
        (WaitsFor::QaAnswers, Some(open)) => format!("needs {}", count(open, "answer", "answers")),
        (WaitsFor::PlanApproval, _) => "needs your approval of its plan".to_owned(),
        (other, _) => format!("needs {other}"),
    })
}

/// What a session does this second, or why it does nothing.
pub(super) fn doing(view: &View) -> Option<&str> {
    let text = match view.state {
        StateName::Running | StateName::New => view.doing.as_deref().or(view.reason.as_deref()),
        _ => view.reason.as_deref().or(view.summary.as_deref()),
    };
    text.filter(|text| !text.is_empty())
}

/// The same as a paragraph, with what is needed first.
pub(super) fn now(view: &View) -> Markup {
    html! {
        @if let Some(needs) = needs(view) { strong { (plain(&needs)) } }
        @if needs(view).is_some() && doing(view).is_some() { ": " }
        @if let Some(doing) = doing(view) { (plain(doing)) }
    }
}

/// The last part of a project's folder.
pub(super) fn project(view: &View) -> &str {
    view.project.rsplit('/').next().unwrap_or_default()
}
