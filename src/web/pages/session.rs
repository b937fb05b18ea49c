//! A session's pages: where it stands and what it needs, and its documents.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;

use crate::control::answers::{Asked, Questions};
use crate::control::cost::Cost;
use crate::control::documents::{Read, Topic};
use crate::control::inbox::Inbox;
use crate::control::inspect::Show;
use crate::control::report::Report;
use crate::control::timeline::History;
use crate::control::tree::Tree;
use crate::control::view::View;
use crate::control::{Class, Error};
use crate::report::{changes, chart, gist, html as report, prose};
use crate::session::WaitsFor;

use super::super::access::Visitor;
use super::super::app::App;
use super::super::board::Session;
use super::super::events::mark;
use super::layout::{Live, Page};
use super::{Refusal, belongs, log, mail, needs, parts, path_of, plain, timeline};

/// A page of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Part {
    /// Task, summary, cost.
    Overview,
    /// The newest plan.
    Plan,
    /// What was asked, and answered.
    Questions,
    /// The commits of the branch, and what they change.
    Changes,
    /// What its agents say and do.
    Log,
    /// Its iterations, and what happened in between.
    Timeline,
    /// What was written to it.
    Mail,
    /// The sessions it belongs to.
    Convoy,
}

impl Part {
    const ALL: [Self; 8] = [
        Self::Overview,
        Self::Plan,
        Self::Questions,
        Self::Changes,
        Self::Log,
        Self::Timeline,
        Self::Mail,
        Self::Convoy,
    ];

    const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Plan => "Plan",
            Self::Questions => "Questions",
            Self::Changes => "Changes",
            Self::Log => "Log",
            Self::Timeline => "Timeline",
            Self::Mail => "Mail",
            Self::Convoy => "Convoy",
        }
    }

    fn path(self, instance: &str) -> String {
        let base = path_of(instance);
        match self {
            Self::Overview => base,
            other => format!("{base}/{}", other.title().to_ascii_lowercase()),
        }
    }
}

/// A page of a session that a visitor asked for.
pub(in super::super) async fn page(
    app: &App,
    visitor: &Visitor,
    instance: &str,
    part: Part,
    notes: &[String],
) -> Result<Markup, Refusal> {
    let known = app.board.view(instance);
    // One that nothing watches, such as a session that a moment ago did not exist.
    let (view, changed) = match known {
        Some(Session { view, changed }) => (view, changed),
        None => {
            let shown = app.ask(Show { session: instance.to_owned() }).await?.0;
            (std::sync::Arc::new(shown.view), 0)
        }
    };
    let asked = if is_asking(&view) { Some(asked(app, instance).await?) } else { None };
    let (now, zone) = app.now();
    let content = content(app, &view, part).await?;
    let body = html! {
        p.path { a href="/" { "Sessions" } " / " (plain(parts::project(&view))) }
        h1 { (plain(&view.instance)) }
        div #now data-stamp=(stamp(&view)) { (self::now(&view, now, zone)) }
        div #needs { (needs::panel(&view, asked.as_ref(), visitor, part)) }
        nav.tabs aria-label="Session" {
            @for tab in Part::ALL {
                a href=(tab.path(&view.instance)) aria-current=[(tab == part).then_some("page")] {
                    (tab.title())
                }
            }
        }
        div #part { (content) }
        div #controls { (needs::controls(&view, visitor)) }
    };
    let live = match part {
        Part::Log => Live { path: format!("/lines{}", path_of(instance)), since: String::new() },
        _ => Live { path: format!("/events{}", path_of(instance)), since: mark(app, changed) },
    };
    let title = format!("{}: {}", view.instance, part.title());
    Ok(Page { title: &title, visitor: Some(visitor), live: Some(live), notes, again: None, body }
        .render())
}

fn is_asking(view: &View) -> bool {
    view.needs.as_ref().is_some_and(|needs| needs.waits_for == WaitsFor::QaAnswers)
}

async fn asked(app: &App, instance: &str) -> Result<Asked, Error> {
    Ok(app.ask(Questions { session: instance.to_owned() }).await?.0)
}

/// Where a session stands; this part of the page changes while one looks.
pub(in super::super) fn now(view: &View, now: Timestamp, zone: &TimeZone) -> Markup {
    html! {
        p class={ "line of-" (view.state) } {
            (parts::state(view.state)) " " (parts::bar(view.phase)) " "
            span { (view.phase) ", iteration " (view.iteration) " (" (view.total_iterations) " in all)" } " "
            span { (parts::cost(view)) }
            (parts::load(view))
            @if let Some(at) = view.last_progress.or(view.since) { " " (parts::moment(at, now, zone)) }
        }
        p.doing { (parts::now(view)) }
        @if let Some(until) = view.until { p.soft { "Until " (parts::moment(until, now, zone)) } }
        @for note in &view.notes { p.notice { (plain(note)) } }
    }
}

/// Changes when more of the page must be loaded than [`now`].
pub(in super::super) fn stamp(view: &View) -> String {
    let count = view.needs.as_ref().and_then(|needs| needs.count).unwrap_or(0);
    format!("{}/{}/{}/{}/{count}", view.state, view.phase, view.iteration, view.total_iterations)
}

async fn content(app: &App, view: &View, part: Part) -> Result<Markup, Refusal> {
    let session = view.instance.clone();
    Ok(match part {
        Part::Overview => overview(app, session).await?,
        Part::Plan => document(app, session, Topic::Plan).await?,
        Part::Questions => questions(&asked(app, &session).await?),
        Part::Changes => {
            let (story, warnings) = app.ask(Report { session }).await?;
            html! {
                @for warning in &warnings { p.notice { (plain(warning)) } }
                @if !story.commits.is_empty() {
                    h2 { "Commits" }
                    div.wide { (report::commits(&story.commits, &app.zone)) }
                }
                h2 { "Files" }
                @match &story.diff {
                    Some(diff) => (report::changes(&changes::files(&plain(diff)))),
                    None => p.soft { "It has no branch yet." },
                }
            }
        }
        Part::Log => log::page(app, &session).await?,
        Part::Timeline => {
            let items = app.ask(History { session }).await?.0;
            let (now, zone) = app.now();
            timeline::page(&items, now, zone)
        }
        Part::Convoy => {
            let tree = app.ask(Tree { session }).await?.0;
            let sessions = app.board.snapshot().sessions;
            let instance_of = |name: &str| {
                let mut same = sessions.iter().map(|one| &one.view);
                let found = same.find(|one| one.session == name && one.project == view.project)?;
                Some(found.instance.clone())
            };
            belongs::page(&tree, &instance_of)
        }
        Part::Mail => {
            let (mail, warnings) = app.ask(Inbox { session, all: true }).await?;
            let (now, zone) = app.now();
            html! {
                @for warning in &warnings { p.notice { (plain(warning)) } }
                (mail::page(&mail, now, zone))
            }
        }
    })
}

async fn overview(app: &App, session: String) -> Result<Markup, Refusal> {
    let detail = app.ask(Show { session: session.clone() }).await?.0;
    let costs = app.ask(Cost { sessions: vec![session.clone()], by: None }).await?.0;
    let summary = text(app, session, Topic::Summary).await?;
    let view = &detail.view;
    Ok(html! {
        h2 { "Task" }
        pre.task { (plain(&detail.task)) }
        @if let Some(summary) = &summary { h2 { "Summary" } (prose::html(gist::without_title("Summary", &plain(summary)))) }
        @for bill in &costs.sessions {
            @if !bill.phases.is_empty() { h2 { "Time and cost by phase" } (chart::of_phases(bill)) }
        }
        h2 { "Facts" }
        dl {
            dt { "Project" } dd { (plain(&view.project)) }
            @if let Some(branch) = &view.branch { dt { "Branch" } dd { (plain(branch)) } }
            @if let Some(commits) = detail.commits { dt { "Commits" } dd { (commits) } }
            @if let Some(worktree) = &view.worktree { dt { "Worktree" } dd { (plain(worktree)) } }
            @if let Some(agent) = &detail.agent { dt { "Agent" } dd { (plain(agent)) } }
            @if let Some(confined) = &detail.confined { dt { "Confined" } dd { (plain(confined)) } }
            @if let Some(merge) = &view.merge { dt { "Merge" } dd { code { (plain(merge)) } } }
        }
    })
}

async fn document(app: &App, session: String, topic: Topic) -> Result<Markup, Refusal> {
    Ok(match text(app, session, topic).await? {
        Some(text) => html! { h2.hidden { (topic) } div.prose { (prose::html(&plain(&text))) } },
        None => html! { p.soft { "There is no " (topic) " yet." } },
    })
}

/// A document; `None` if there is none yet.
async fn text(app: &App, session: String, topic: Topic) -> Result<Option<String>, Error> {
    match app.ask(Read { session, topic: Some(topic) }).await {
        Ok((read, _)) => Ok(Some(read.text)),
        Err(error) if error.class == Class::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// All questions; those that are open are answered above.
fn questions(asked: &Asked) -> Markup {
    html! {
        h2.hidden { "Questions" }
        @if asked.questions.is_empty() { p.soft { "It has asked nothing yet." } }
        @for question in &asked.questions {
            section.question {
                h3 { (plain(&question.id)) }
                (prose::html(&plain(&question.text)))
                @if !question.options.is_empty() {
                    ol.options {
                        @for option in &question.options {
                            li { strong { (option.letter) } " " (plain(&option.text)) }
                        }
                    }
                }
                @match &question.answer {
                    Some(answer) => p.answer { (plain(answer)) },
                    None => p.answer.open { "no answer yet" },
                }
            }
        }
    }
}
