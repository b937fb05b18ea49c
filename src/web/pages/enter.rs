//! The way in: a link is exchanged for a cookie by a button, so that programs that look at links, as
//! messengers do, cannot spend it.

use maud::{Markup, html};

use super::layout::Page;

pub(in super::super) fn page(token: &str) -> Markup {
    let body = html! {
        div.enter {
            h1 { "Open samocode" }
            p { "This browser will be able to see your sessions, for 30 days or until you sign out." }
            form method="post" action="/enter" data-auto {
                input type="hidden" name="token" value=(token);
                button.primary type="submit" { "Open" }
            }
        }
    };
    Page { title: "Open", visitor: None, live: None, notes: &[], again: None, body }.render()
}
