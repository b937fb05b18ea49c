//! A session's work as one page: HTML that needs no other file, or Markdown.
//!
//! Agents wrote most of what is in it. In HTML all of it is escaped, what it links to is opened only
//! by a click, and the page forbids itself scripts and everything from elsewhere.

pub(crate) mod changes;
pub(crate) mod chart;
pub(crate) mod gist;
pub(crate) mod html;
mod markdown;
mod pauses;
pub(crate) mod prose;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::control::cost::Sum;
use crate::control::format::span;
use crate::control::report::Story;
use crate::control::timeline::{Item, Iteration};
use crate::session::dollars;
use crate::session::state::StateName;

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One self-contained page.
    Html,
    /// GitHub's Markdown.
    Markdown,
}

impl Form {
    /// The report of a session, with times in `zone`.
    #[must_use]
    pub fn render(self, story: &Story, zone: &TimeZone) -> String {
        match self {
            Self::Html => html::page(story, zone),
            Self::Markdown => markdown::page(story, zone),
        }
    }
}

impl Form {
    /// The report of a convoy: its sessions in order, with times in `zone`.
    #[must_use]
    pub fn render_all(self, convoy: &str, stories: &[Story], zone: &TimeZone) -> String {
        match self {
            Self::Html => html::page_of_all(convoy, stories, zone),
            Self::Markdown => {
                let mut page = format!(
                    "# Convoy {}\n\n{}.\n",
                    crate::session::describe::harmless(convoy),
                    together(stories)
                );
                for story in stories {
                    page.push_str("\n---\n\n");
                    page.push_str(&markdown::page(story, zone));
                }
                page
            }
        }
    }
}

/// Several sessions in one sentence.
fn together(stories: &[Story]) -> String {
    let is_done = |story: &&Story| story.detail.view.state == StateName::Done;
    let mut total = Sum::default();
    stories.iter().for_each(|story| total.add(&story.bill.total));
    format!(
        "{} of {} done, {} of work, {}",
        stories.iter().filter(is_done).count(),
        count(stories.len(), "session"),
        worked(&total),
        price(&total)
    )
}

/// A date and a time of day.
fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// What runs cost, and how long they took.
fn price(sum: &Sum) -> String {
    dollars(sum.usd, sum.certainty())
}

fn worked(sum: &Sum) -> String {
    span(SignedDuration::from_secs(sum.seconds))
}

/// When the session's history begins and ends.
fn period(story: &Story) -> Option<(Timestamp, Timestamp)> {
    let at = |item: &Item| match item {
        Item::Iteration(Iteration { at, .. }) | Item::Event { at, .. } => *at,
    };
    let first = match story.history.first()? {
        // An iteration is listed when it ends.
        Item::Iteration(first) => first.at - SignedDuration::from_secs(first.seconds),
        event @ Item::Event { .. } => at(event),
    };
    Some((first, at(story.history.last()?)))
}

/// The session in one sentence: iterations, interruptions, commits, cost and time.
fn outline(story: &Story) -> String {
    let iterations = story.history.iter().filter(|item| matches!(item, Item::Iteration(_))).count();
    let total = &story.bill.total;
    let mut parts = vec![count(iterations, "iteration"), count(story.commits.len(), "commit")];
    parts.push(format!("{} of work", worked(total)));
    if let Some((first, last)) = period(story) {
        let lasted = last.duration_since(first);
        parts.push(format!("{} from start to end", span(lasted)));
        let rest = lasted - SignedDuration::from_secs(total.seconds);
        if rest.as_secs() > 0 {
            parts.push(format!("{} of that at rest", span(rest)));
        }
    }
    parts.push(price(total));
    parts.join(", ")
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests;
