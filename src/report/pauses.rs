//! Where a session's time went while no agent worked: restarts, and what it waited for.

use jiff::{SignedDuration, Timestamp};

use crate::control::format::span;
use crate::control::report::Story;
use crate::control::timeline::{Item, Iteration};
use crate::session::WaitsFor;
use crate::session::event::Step;
use crate::session::state::StateName;

/// A restart or a wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pause<'a> {
    /// When it happened or began.
    pub(super) at: Timestamp,
    /// What happened, or what was waited for.
    pub(super) what: &'a str,
    /// How long it lasted; `None` of a restart.
    pub(super) lasted: Option<SignedDuration>,
    /// Whether it still lasts.
    pub(super) is_open: bool,
}

impl Pause<'_> {
    /// How long it lasted, in words.
    pub(super) fn length(&self) -> String {
        let so_far = if self.is_open { " so far" } else { "" };
        self.lasted.map_or_else(String::new, |lasted| format!("{}{so_far}", span(lasted)))
    }
}

/// What an item of the history is to this page.
enum Part<'a> {
    Restart,
    /// The session rests from here.
    Rest(&'a str),
    /// Its worker was ended, from where it rests unless it does so already.
    End(&'a str),
    /// The session works again, if it rested.
    Work,
    /// Says nothing of either.
    Aside,
}

/// A session's restarts and waits, oldest first.
pub(super) fn of(story: &Story) -> Vec<Pause<'_>> {
    let mut pauses: Vec<Pause<'_>> = Vec::new();
    let mut rest: Option<(Timestamp, &str)> = None;
    for item in &story.history {
        let (begun, ended) = times(item);
        let part = part(item);
        if !matches!(part, Part::Aside | Part::End(_))
            && let Some((since, what)) = rest.take()
        {
            pauses.push(wait(since, what, begun, false));
        }
        match part {
            Part::Restart => {
                pauses.push(Pause { at: ended, what: text(item), lasted: None, is_open: false });
            }
            Part::Rest(what) => rest = Some((ended, what)),
            Part::End(what) => {
                rest.get_or_insert((ended, what));
            }
            Part::Work | Part::Aside => {}
        }
    }
    if let Some((since, what)) = rest
        && story.detail.view.state != StateName::Running
    {
        pauses.push(wait(since, what, story.at, true));
    }
    pauses
}

fn wait(at: Timestamp, what: &str, until: Timestamp, is_open: bool) -> Pause<'_> {
    // A clock that was set back is no negative wait.
    let lasted = until.duration_since(at).max(SignedDuration::ZERO);
    Pause { at, what, lasted: Some(lasted), is_open }
}

/// When an item began and ended.
fn times(item: &Item) -> (Timestamp, Timestamp) {
    match item {
        Item::Iteration(Iteration { at, seconds, .. }) => {
            (*at - SignedDuration::from_secs(*seconds), *at)
        }
        Item::Event { at, .. } => (*at, *at),
    }
}

fn text(item: &Item) -> &str {
    match item {
        Item::Iteration(of) => of.summary.as_deref().unwrap_or_default(),
        Item::Event { text, .. } => text,
    }
}

fn part(item: &Item) -> Part<'_> {
    match item {
        Item::Iteration(of) => match &of.step {
            Step::Wait { waits_for } => Part::Rest(match waits_for {
                WaitsFor::QaAnswers => "waited for your answers",
                WaitsFor::PlanApproval => "waited for your approval",
                WaitsFor::Workers => "waited for the sessions below it",
                _ => "waited for you",
            }),
            Step::Block { reason, .. } | Step::Dispute { reason } => Part::Rest(reason),
            _ => Part::Work,
        },
        Item::Event { kind, text, .. } => match kind.as_str() {
            "worker_started" | "run_lost" => Part::Restart,
            "blocked" | "limited" | "paused" | "queued" | "held" | "scheduled" | "stopped" => {
                Part::Rest(text)
            }
            "worker_ended" => Part::End(text),
            "answered" | "phase_set" | "resumed" | "retried" | "released" | "continued"
            | "started" | "run_started" | "mail" => Part::Work,
            _ => Part::Aside,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::story;
    use super::*;

    #[test]
    fn each_wait_ends_with_the_work_that_follows_and_restarts_are_told() {
        let mut story = story();
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let event = |minute, kind: &str, text: &str| {
            let (kind, text) = (kind.to_owned(), text.to_owned());
            Item::Event { at: at(minute), kind, text }
        };
        let iteration = |minute, step: &str| {
            let seconds = 60;
            serde_json::from_value::<Item>(serde_json::json!({
                "type": "iteration", "at": at(minute), "total": 1, "phase": "planning",
                "iteration": 1, "status": "waiting", "step": serde_json::from_str::<serde_json::Value>(step).unwrap(),
                "summary": "x", "seconds": seconds, "runs": 1,
            }))
            .unwrap()
        };
        story.history = vec![
            iteration(10, r#"{"next":"wait","for":"plan_approval"}"#),
            event(11, "notified", "could not notify you"),
            event(40, "mail", "human approved"),
            event(41, "worker_started", "the worker was killed and restarted"),
            event(50, "limited", "usage limit until 12:00"),
            iteration(60, r#"{"next":"stay"}"#),
            event(62, "worker_ended", "worker interrupted"),
            event(63, "run_started", "resumed in the same conversation"),
            event(70, "stopped", "stopped by a human"),
            event(71, "worker_ended", "worker interrupted"),
        ];
        story.at = at(100);
        let told = |story: &Story| {
            let all = of(story);
            all.iter().map(|one| format!("{} {}", one.what, one.length())).collect::<Vec<_>>()
        };
        story.detail.view.state = StateName::Stopped;
        assert_eq!(
            told(&story),
            [
                "waited for your approval 30 min",
                "the worker was killed and restarted ",
                "usage limit until 12:00 9 min",
                "worker interrupted 1 min",
                "stopped by a human 30 min so far",
            ]
        );
        story.detail.view.state = StateName::Running;
        assert_eq!(told(&story).len(), 4);
        story.history.clear();
        assert_eq!(of(&story), []);
    }
}
