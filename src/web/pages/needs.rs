//! What a session needs from a human, as forms.

use maud::{Markup, html};

use crate::control::answers::{Asked, Question};
use crate::control::view::View;
use crate::session::WaitsFor;
use crate::session::state::StateName;

use super::super::access::Visitor;
use super::session::Part;
use super::{form, path_of, plain};

/// What is needed now, and the way to give it.
pub(super) fn panel(view: &View, asked: Option<&Asked>, visitor: &Visitor, part: Part) -> Markup {
    let Some(needs) = &view.needs else { return Markup::default() };
    let base = path_of(&view.instance);
    html! {
        section.need aria-labelledby="need" {
            @match (&needs.waits_for, asked) {
                (WaitsFor::QaAnswers, Some(asked)) => {
                    h2 #need { "It asks you" }
                    (questions(asked, visitor, &base))
                }
                (WaitsFor::PlanApproval, _) => {
                    h2 #need { "It asks you to approve its plan" }
                    @if part != Part::Plan { p { a href={ (base) "/plan" } { "Read the plan" } } }
                    (decision(view, visitor, &base))
                }
                _ if view.state == StateName::Failed => {
                    h2 #need { "It failed" }
                    p { a href={ (base) "/log" } { "Read the log" } ". When the cause is fixed, start it again." }
                    (start(visitor, &base))
                }
                _ if view.state == StateName::Blocked => {
                    h2 #need { "It is blocked" }
                    p { "It resumes when it gets your message." }
                    (message(visitor, &base, "Your message", "Send"))
                }
                _ => {
                    h2 #need { "It waits for you to do something" }
                    (decision(view, visitor, &base))
                }
            }
            @if !visitor.may_act() { p.soft { "You can look, and change nothing." } }
        }
    }
}

/// The open questions, each with its options.
fn questions(asked: &Asked, visitor: &Visitor, base: &str) -> Markup {
    let open: Vec<&Question> = asked.questions.iter().filter(|one| one.answer.is_none()).collect();
    let suggests = open
        .iter()
        .any(|one| one.suggestion.as_ref().is_some_and(|suggestion| suggestion.answer.is_some()));
    if open.is_empty() {
        // Filled in by hand, or not in a form that can be read.
        let fields = html! {
            input type="hidden" name="from-file" value="yes";
            p { "Its questions are answered, or what is open cannot be read in its file." }
            button.primary type="submit" { "Send the answers in the file" }
        };
        return form(visitor, &format!("{base}/answer"), "", fields);
    }
    let fields = html! {
        @for (at, question) in open.iter().enumerate() { (question_fields(question, at + 1, open.len())) }
        div.buttons {
            button.primary type="submit" { "Send answers" }
            @if suggests {
                button type="submit" name="suggestions" value="yes" { "Accept suggestions for the rest" }
            }
        }
        p.soft { "A question without an answer stays open until you answer it." }
    };
    html! {
        @if visitor.may_act() { (form(visitor, &format!("{base}/answer"), "questions", fields)) }
        @else { @for question in &open { p { strong { (plain(&question.id)) } " " (plain(&question.text)) } } }
    }
}

fn question_fields(question: &Question, at: usize, of: usize) -> Markup {
    let id = &question.id;
    let suggested = question.suggestion.as_ref();
    let letter = suggested.and_then(|suggestion| suggestion.letter);
    html! {
        fieldset {
            legend { "Question " (at) " of " (of) }
            p.asked { (plain(&question.text)) }
            input type="hidden" name={ "asked-" (id) } value=(question.text);
            @for option in &question.options {
                label.option {
                    input type="radio" name={ "option-" (id) } value=(option.letter);
                    span { strong { (option.letter) } " " (plain(&option.text))
                        @if letter == Some(option.letter) { " " span.pill { "suggested" } }
                    }
                }
            }
            @if let Some(suggestion) = suggested {
                p.soft { "Suggested: " @if let Some(letter) = suggestion.letter { (letter) ", " } (plain(&suggestion.why)) }
            }
            div.field {
                label for={ "text-" (id) } {
                    @if question.options.is_empty() { "Answer" } @else { "Or in your own words" }
                }
                textarea id={ "text-" (id) } name={ "text-" (id) } rows="2" {}
            }
        }
    }
}

/// What a decision is about. If this has changed, the visitor decided on something else.
pub(in super::super) fn subject(view: &View) -> String {
    let waits_for = view.needs.as_ref().map_or("", |needs| needs.waits_for.as_str());
    let since = view.since.map_or_else(String::new, |since| since.to_string());
    format!("{waits_for} {} {} {since}", view.phase, view.total_iterations)
}

/// Approve, or reject with a reason.
fn decision(view: &View, visitor: &Visitor, base: &str) -> Markup {
    let is_plan =
        view.needs.as_ref().is_some_and(|needs| needs.waits_for == WaitsFor::PlanApproval);
    let approve = html! {
        input type="hidden" name="subject" value=(subject(view));
        div.field {
            label for="approve-message" { "A message with it (optional)" }
            textarea #approve-message name="message" rows="2" {}
        }
        button.primary type="submit" { @if is_plan { "Approve the plan" } @else { "It is done, resume" } }
    };
    let reject = html! {
        input type="hidden" name="subject" value=(subject(view));
        div.field {
            label for="reason" { "What should it change?" }
            textarea #reason name="reason" rows="3" required {}
        }
        button.danger type="submit" { "Reject" }
    };
    html! {
        (form(visitor, &format!("{base}/approve"), "", approve))
        @if visitor.may_act() {
            details #reject { summary { "Reject…" } (form(visitor, &format!("{base}/reject"), "", reject)) }
        }
    }
}

fn start(visitor: &Visitor, base: &str) -> Markup {
    let fields = html! { button.primary type="submit" { "Start" } };
    form(visitor, &format!("{base}/start"), "", fields)
}

fn message(visitor: &Visitor, base: &str, label: &str, button: &str) -> Markup {
    let fields = html! {
        div.field {
            label for="message" { (label) }
            textarea #message name="text" rows="3" required {}
        }
        button.primary type="submit" { (button) }
    };
    form(visitor, &format!("{base}/send"), "", fields)
}

/// What can be done to a session at any time.
pub(super) fn controls(view: &View, visitor: &Visitor) -> Markup {
    let base = path_of(&view.instance);
    if !visitor.may_act() {
        return Markup::default();
    }
    let rests = matches!(
        view.state,
        StateName::Stopped | StateName::Paused | StateName::Limited | StateName::Queued
    );
    let can_stop = !matches!(view.state, StateName::Stopped | StateName::Done);
    html! {
        section.controls aria-labelledby="controls-title" {
            h2 #controls-title { "Actions" }
            @if rests { (start(visitor, &base)) }
            @if view.state != StateName::Blocked {
                details #send {
                    summary { "Send a message…" }
                    (message(visitor, &base, "The agent reads it in its next iteration", "Send"))
                }
            }
            @if can_stop {
                details #stop {
                    summary { "Stop…" }
                    (form(visitor, &format!("{base}/stop"), "", html! {
                        p { "It stays stopped until it is started again." }
                        div.buttons {
                            button type="submit" { "Stop after this iteration" }
                            button.danger type="submit" name="now" value="yes" { "Stop now" }
                        }
                    }))
                }
            }
        }
    }
}
