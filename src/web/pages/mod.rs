//! Pages as HTML. Whatever agents or people wrote goes through [`plain`], or through the report's
//! Markdown, and is escaped.

pub(super) mod begin;
mod belongs;
pub(super) mod enter;
mod layout;
pub(super) mod list;
pub(super) mod log;
mod mail;
pub(super) mod needs;
pub(super) mod parts;
mod refusal;
pub(super) mod session;
mod timeline;

use std::borrow::Cow;

use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::session::describe::harmless;

pub(super) use refusal::Refusal;

use super::access::Visitor;
use super::form::TOKEN;

/// What may stay as it is in a part of a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Text of an agent or a person, without what could turn or hide the text around it.
fn plain(text: &str) -> Cow<'_, str> {
    harmless(text)
}

/// The address of a session's page.
pub(super) fn path_of(instance: &str) -> String {
    format!("/s/{}", utf8_percent_encode(instance, PATH))
}

/// A form that does something; nothing for a visitor who may not act.
fn form(visitor: &Visitor, action: &str, class: &str, fields: Markup) -> Markup {
    html! {
        @if visitor.may_act() {
            form method="post" action=(action) class=(class) {
                input type="hidden" name=(TOKEN) value=(visitor.form_token());
                (fields)
            }
        }
    }
}
