//! What happened in a session, oldest first: its iterations with their time and cost, and what came
//! in between.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::control::format::{clock, span};
use crate::control::timeline::{Item, Iteration};
use crate::session::Status;

use super::plain;

pub(super) fn page(items: &[Item], now: Timestamp, zone: &TimeZone) -> Markup {
    html! {
        h2.hidden { "Timeline" }
        @if items.is_empty() { p.soft { "Nothing has happened yet." } }
        ol.timeline {
            @for item in items {
                @match item {
                    Item::Iteration(of) => (iteration(of, now, zone)),
                    Item::Event { at, text, .. } => li.event {
                        p.meta { time datetime=(at) { (clock(*at, now, zone)) } }
                        p { (plain(text)) }
                    },
                }
            }
        }
    }
}

fn iteration(of: &Iteration, now: Timestamp, zone: &TimeZone) -> Markup {
    let class = match of.status {
        Status::Waiting | Status::Blocked => "iteration needs",
        Status::Done => "iteration finished",
        _ => "iteration",
    };
    html! {
        li class=(class) {
            p.meta {
                time datetime=(of.at) { (clock(of.at, now, zone)) }
                strong { (of.phase) " " (of.iteration) }
                span { (of.status) }
                span { (span(SignedDuration::from_secs(of.seconds))) }
                @if let Some(cost) = of.cost() { span { (cost) } }
                @if of.runs > 1 { span { (of.runs) " runs" } }
            }
            @if let Some(summary) = &of.summary { p { (plain(summary)) } }
        }
    }
}
