//! The messages that were sent to a session.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::control::format::clock;
use crate::control::inbox::Mail;

use super::plain;

pub(super) fn page(mail: &[Mail], now: Timestamp, zone: &TimeZone) -> Markup {
    html! {
        h2.hidden { "Mail" }
        @if mail.is_empty() { p.soft { "Nobody has written to it yet." } }
        ol.timeline {
            @for Mail { message, read } in mail {
                li.iteration[*read] {
                    p.meta {
                        time datetime=(message.at) { (clock(message.at, now, zone)) }
                        strong { (message.kind) }
                        span { "from " (plain(&message.from)) }
                        @if !*read { span.pill { "not read yet" } }
                    }
                    @if !message.body.is_empty() { p.body { (plain(&message.body)) } }
                }
            }
        }
    }
}
