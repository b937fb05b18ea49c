//! The report as a page for a browser.

use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::control::decisions::Decision;
use crate::control::report::{Question, Story};
use crate::control::timeline::Item;
use crate::git::Commit;
use crate::session::describe::harmless;

use super::changes::{FileChange, files};
use super::pauses::{self, Pause};
use super::{chart, gist, moment, outline, prose, together};

const STYLE: &str = include_str!("report.css");

/// No scripts, and nothing from elsewhere, whatever is in the page.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The page of a session.
pub(super) fn page(story: &Story, zone: &TimeZone) -> String {
    let body = html! {
        (head(story, zone))
        main { (content(story, zone)) }
    };
    whole(&story.detail.view.session, &body)
}

/// The page of a convoy: its sessions one after another.
pub(super) fn page_of_all(title: &str, stories: &[Story], zone: &TimeZone) -> String {
    let body = html! {
        header {
            h1 { "Convoy " (title) }
            p { (together(stories)) "." }
        }
        main {
            @for story in stories {
                article { (head(story, zone)) (content(story, zone)) }
            }
        }
    };
    whole(title, &body)
}

fn whole(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="referrer" content="no-referrer";
                title { (title) " · samocode" }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    // Nothing in it turns the direction of what is around it.
    harmless(&page.into_string()).into_owned()
}

fn head(story: &Story, zone: &TimeZone) -> Markup {
    let view = &story.detail.view;
    html! {
        header {
            h1 { (view.session) " " span.state { (view.state) } }
            p { (outline(story)) "." }
            @if let Some(reason) = &view.reason { p.reason { (reason) } }
            dl {
                @if let Some(branch) = &view.branch { dt { "Branch" } dd { (branch) } }
                @if let Some(agent) = &story.detail.agent { dt { "Agent" } dd { (agent) } }
                dt { "Project" } dd { (view.project) }
                dt { "Report date" } dd { (moment(story.at, zone)) }
            }
        }
    }
}

fn content(story: &Story, zone: &TimeZone) -> Markup {
    let (tests, left) = (gist::tests(story), gist::left(story));
    let (choices, pauses) = (gist::choices(story), pauses::of(story));
    html! {
        (section("Task", html! { pre.task { (story.detail.task) } }))
        @if let Some(text) = &story.summary {
            (section("Summary", prose::html(gist::without_title("Summary", text))))
        }
        @if !tests.is_empty() {
            (section("Tests", html! {
                table { @for (iteration, summary) in &tests { tr { td { (iteration) } td { (summary) } } } }
            }))
        }
        @if !left.is_empty() {
            (section("What is left", html! { ul { @for what in &left { li { (what) } } } }))
        }
        @if !story.bill.phases.is_empty() {
            (section("Time and cost by phase", chart::of_phases(&story.bill)))
        }
        @if !story.questions.is_empty() {
            (section("Questions and answers", questions(&story.questions)))
        }
        @if !story.decisions.is_empty() || !choices.is_empty() {
            (section("Decisions", decisions(&story.decisions, &choices, zone)))
        }
        @if let Some(text) = &story.plan {
            (section("Plan", prose::html(gist::without_title("Plan", text))))
        }
        @if !story.commits.is_empty() { (section("Commits", commits(&story.commits, zone))) }
        @if !pauses.is_empty() { (section("Restarts and waits", rests(&pauses, zone))) }
        @if !story.history.is_empty() { (section("History", history(&story.history, zone))) }
        @if let Some(diff) = &story.diff { (section("Changes", changes(&files(diff)))) }
    }
}

fn section(title: &str, body: Markup) -> Markup {
    html! { section { h2 { (title) } (body) } }
}

fn questions(all: &[Question]) -> Markup {
    html! {
        @for question in all {
            h3 { (question.id) }
            (prose::html(&question.text))
            @match &question.answer {
                Some(answer) => p.answer { (answer) },
                None => p.answer.open { "no answer yet" },
            }
        }
    }
}

fn decisions(all: &[Decision], choices: &[String], zone: &TimeZone) -> Markup {
    html! {
        @if !all.is_empty() {
            table {
                @for one in all {
                    tr {
                        td.when { (moment(one.at, zone)) }
                        td {
                            (one.what)
                            @if let Some(words) = &one.words { p.answer { (words) } }
                        }
                    }
                }
            }
        }
        @for choice in choices { (prose::html(choice)) }
    }
}

fn rests(pauses: &[Pause<'_>], zone: &TimeZone) -> Markup {
    html! {
        table {
            @for pause in pauses {
                tr {
                    td.when { (moment(pause.at, zone)) }
                    td { (pause.what) }
                    td.length { (pause.length()) }
                }
            }
        }
    }
}

/// The commits of a session, as a table.
pub(crate) fn commits(commits: &[Commit], zone: &TimeZone) -> Markup {
    html! {
        table {
            @for commit in commits {
                tr { td.when { (moment(commit.at, zone)) } td { code { (commit.id) } } td { (commit.title) } }
            }
        }
    }
}

fn history(items: &[Item], zone: &TimeZone) -> Markup {
    html! {
        table.history {
            @for item in items {
                @match item {
                    Item::Iteration(of) => tr {
                        td.when { (moment(of.at, zone)) }
                        td { (of.phase) " " (of.iteration) }
                        td { (of.summary.as_deref().unwrap_or_default()) }
                    },
                    Item::Event { at, text, .. } => tr.event {
                        td.when { (moment(*at, zone)) }
                        td colspan="2" { (text) }
                    },
                }
            }
        }
    }
}

/// What changed, a file after another; each can be opened.
pub(crate) fn changes(files: &[FileChange<'_>]) -> Markup {
    html! {
        @if files.is_empty() { p { "No changes." } }
        @for file in files {
            details {
                summary {
                    code { (file.path) } " "
                    span.added { "+" (file.added) } " " span.removed { "−" (file.removed) }
                }
                pre.diff { @for line in &file.lines { span class=(mark(line)) { (line) "\n" } } }
            }
        }
    }
}

/// The CSS class of a line of a diff.
fn mark(line: &str) -> &'static str {
    match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => "head",
        [b'+', ..] => "added",
        [b'-', ..] => "removed",
        [b'@', b'@', ..] => "hunk",
        _ => "same",
    }
}
