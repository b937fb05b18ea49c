//! What all pages look like.

use maud::{DOCTYPE, Markup, html};

use super::super::access::Visitor;
use super::super::assets;
use super::super::form::TOKEN;

/// A page.
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    /// `None` for somebody who is not signed in.
    pub(super) visitor: Option<&'a Visitor>,
    /// Where its changes come from.
    pub(super) live: Option<Live>,
    /// What was done just before.
    pub(super) notes: &'a [String],
    /// The address to load at once instead.
    pub(super) again: Option<&'a str>,
    pub(super) body: Markup,
}

/// A stream of events for a page.
pub(super) struct Live {
    pub(super) path: String,
    /// What the page shows already.
    pub(super) since: String,
}

impl Page<'_> {
    pub(super) fn render(&self) -> Markup {
        let style = assets::address("style.css");
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover";
                    meta name="color-scheme" content="light dark";
                    meta name="theme-color" content="#f5f6f8" media="(prefers-color-scheme: light)";
                    meta name="theme-color" content="#0f1318" media="(prefers-color-scheme: dark)";
                    @if let Some(again) = self.again {
                        meta http-equiv="refresh" content={ "0; url=" (again) };
                    }
                    title { (self.title) " · samocode" }
                    link rel="stylesheet" href=(style);
                    link rel="icon" type="image/svg+xml" href=(assets::address("icon.svg"));
                    link rel="apple-touch-icon" href=(assets::address("icon-192.png"));
                    link rel="manifest" href="/manifest.webmanifest";
                    script src=(assets::address("app.js")) defer {}
                }
                body data-live=[self.live.as_ref().map(|live| &live.path)]
                    data-since=[self.live.as_ref().map(|live| &live.since)] {
                    a.skip href="#main" { "Skip to content" }
                    header.top {
                        a.brand href="/" {
                            img src=(assets::address("icon.svg")) alt="" width="26" height="26";
                            "samocode"
                        }
                        @if let Some(visitor) = self.visitor { (navigation(visitor)) }
                    }
                    main #main tabindex="-1" {
                        @if !self.notes.is_empty() {
                            div.note role="status" { @for line in self.notes { p { (super::plain(line)) } } }
                        }
                        (self.body)
                    }
                    footer {
                        span #live role="status" { }
                        @if self.visitor.is_some_and(Visitor::may_act) {
                            button.link #messages type="button" hidden { "Turn notifications on" }
                        }
                        @if let Some(visitor) = self.visitor { (leave(visitor)) }
                    }
                }
            }
        }
    }
}

fn navigation(visitor: &Visitor) -> Markup {
    html! {
        nav aria-label="Pages" {
            a href="/" { "Sessions" }
            @if visitor.may_act() { a href="/new" { "New session" } }
            @else { span.pill { "Read-only" } }
        }
    }
}

fn leave(visitor: &Visitor) -> Markup {
    html! {
        form method="post" action="/leave" {
            input type="hidden" name=(TOKEN) value=(visitor.form_token());
            button.link type="submit" { "Sign out" }
        }
    }
}
