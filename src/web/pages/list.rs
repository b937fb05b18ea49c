//! The list of all sessions.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::control::view::View;

use super::super::access::Visitor;
use super::super::app::App;
use super::super::board::{Group, Snapshot};
use super::super::events::mark;
use super::layout::{Live, Page};
use super::{parts, path_of, plain};

/// From this many sessions on, the list has a filter.
const WORTH_A_FILTER: usize = 6;

pub(in super::super) fn page(
    app: &App,
    visitor: &Visitor,
    filter: &str,
    notes: &[String],
) -> Markup {
    let all = app.board.snapshot();
    let snapshot = all.clone().with_words(filter);
    let (now, zone) = app.now();
    let body = html! {
        h1 #headline aria-live="polite" { (headline(&all)) }
        form.filter role="search" method="get" action="/"
            hidden[filter.is_empty() && all.sessions.len() < WORTH_A_FILTER] {
            label for="words" { "Filter" }
            input #words type="search" name="words" value=(filter) placeholder="name, project, state or phase"
                autocapitalize="none" autocomplete="off" spellcheck="false";
            button type="submit" { "Show" }
        }
        div #troubles { (troubles(&snapshot)) }
        @for group in Group::ALL {
            (section(group, &snapshot, now, zone))
        }
        p #empty hidden[!snapshot.sessions.is_empty()] {
            @if !filter.is_empty() { "No session has these words. " a href="/" { "Show all" } "." }
            @else if visitor.may_act() { "No sessions yet. " a href="/new" { "Begin one" } "." }
            @else { "No sessions yet. Begin one in a terminal: " code { "samocode enable NAME --task \"…\"" } }
        }
    };
    let words = utf8_percent_encode(filter, NON_ALPHANUMERIC);
    let path = format!("/events?words={words}");
    let live = Live { path, since: mark(app, snapshot.last) };
    let title = match all.need() {
        0 => "Sessions".to_owned(),
        need => format!("({need}) Sessions"),
    };
    Page { title: &title, visitor: Some(visitor), live: Some(live), notes, again: None, body }
        .render()
}

/// What matters most, in a few words.
pub(in super::super) fn headline(snapshot: &Snapshot) -> String {
    match (snapshot.need(), snapshot.of(Group::Work).count()) {
        (0, 0) => "Nothing is running".to_owned(),
        (0, _) => "Nothing needs you".to_owned(),
        (1, _) => "1 needs you".to_owned(),
        (need, _) => format!("{need} need you"),
    }
}

/// What cannot be shown.
pub(in super::super) fn troubles(snapshot: &Snapshot) -> Markup {
    html! {
        @for (session, error) in &snapshot.troubles {
            p.notice role="alert" {
                @if let Some(session) = session { strong { (plain(session)) } ": " }
                (plain(&error.in_one_line()))
            }
        }
    }
}

fn section(group: Group, snapshot: &Snapshot, now: Timestamp, zone: &TimeZone) -> Markup {
    let title = format!("title-{}", group.id());
    html! {
        section.group data-group=(group.id()) aria-labelledby=(title)
            hidden[snapshot.of(group).next().is_none()] {
            h2 id=(title) { (group.title()) }
            ul.cards {
                @for session in snapshot.of(group) { (card(&session.view, now, zone)) }
            }
        }
    }
}

/// The id of a session's card in the page.
pub(in super::super) fn card_id(instance: &str) -> String {
    format!("session-{instance}")
}

/// A session in the list.
pub(in super::super) fn card(view: &View, now: Timestamp, zone: &TimeZone) -> Markup {
    html! {
        li id=(card_id(&view.instance)) class={ "card of-" (view.state) } {
            h3 { a href=(path_of(&view.instance)) { (plain(&view.instance)) } }
            (parts::state(view.state))
            span.project { (plain(parts::project(view))) }
            p.now { (parts::now(view)) }
            span.phase { (parts::bar(view.phase)) " " (view.phase) " " (view.iteration) }
            span.cost { (parts::cost(view)) }
            (parts::load(view))
            @if let Some(at) = view.last_progress.or(view.since) {
                span.when { (parts::moment(at, now, zone)) }
            }
        }
    }
}
