//! The form that begins a session.

use maud::{Markup, html};

use super::super::access::Visitor;
use super::super::app::App;
use super::layout::Page;
use super::{form, plain};

pub(in super::super) fn page(app: &App, visitor: &Visitor) -> Markup {
    let projects = app.projects();
    let fields = html! {
        div.field {
            label for="project" { "Project" }
            select #project name="project" required {
                @for project in &projects { option value=(project) { (plain(project)) } }
            }
        }
        div.field {
            label for="name" { "Name" }
            input #name name="name" required autocomplete="off" autocapitalize="none" spellcheck="false"
                aria-describedby="name-help";
            p.soft #name-help { "Short, such as jwt-login. Its branch gets the same name." }
        }
        div.field {
            label for="task" { "Task" }
            textarea #task name="task" rows="7" required {}
        }
        details #more {
            summary { "More…" }
            div.field {
                label for="dive" { "Investigate first (optional)" }
                textarea #dive name="dive" rows="2" {}
            }
            div.field {
                label for="agent" { "Agent (optional)" }
                input #agent name="agent" autocomplete="off" autocapitalize="none" spellcheck="false";
            }
            div.field {
                label for="budget" { "Budget in US dollars (optional)" }
                input #budget name="budget" inputmode="decimal" autocomplete="off";
            }
        }
        button.primary type="submit" { "Begin" }
    };
    let body = html! {
        h1 { "New session" }
        @if projects.is_empty() {
            p.notice {
                "No project is known here. In its folder, run: " code { "samocode init" }
                ", then begin the first session there: " code { "samocode enable NAME --task \"…\"" }
            }
        } @else { (form(visitor, "/new", "begin", fields)) }
    };
    Page { title: "New session", visitor: Some(visitor), live: None, notes: &[], again: None, body }
        .render()
}
