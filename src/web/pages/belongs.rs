//! The sessions that a session belongs to: a tree of those that began each other, and its convoy in the
//! order of what waits for what.

use maud::{Markup, html};

use crate::control::convoy::{Member, Standing};
use crate::control::format::{about_usd, count, usd};
use crate::control::tree::{Belongs, Kin};
use crate::session::state::StateName;

use super::{parts, path_of, plain};

/// From this depth on, nothing is indented further: a phone is narrow.
const DEEPEST: usize = 4;

/// The page. `instance_of` finds the page of a member.
pub(super) fn page(belongs: &Belongs, instance_of: &dyn Fn(&str) -> Option<String>) -> Markup {
    html! {
        h2.hidden { "Convoy" }
        @if let Some(convoy) = &belongs.convoy { (of_convoy(convoy, instance_of)) }
        @if let [first, _, ..] = &belongs.family[..] {
            h2 { (plain(&first.session)) " leads " (count(belongs.family.len() - 1, "session", "sessions")) }
            ul.tree { @for kin in &belongs.family { (of_kin(kin)) } }
        }
        @if belongs.convoy.is_none() && belongs.family.len() < 2 {
            p.soft { "It is in no convoy, and leads no other sessions." }
        }
    }
}

fn depth_class(depth: usize) -> String {
    format!("depth-{}", depth.min(DEEPEST))
}

fn of_kin(kin: &Kin) -> Markup {
    html! {
        li class={ (depth_class(kin.depth)) " of-" (kin.state) } {
            a href=(path_of(&kin.instance)) { (plain(&kin.session)) }
            " " (parts::state(kin.state)) " " (parts::bar(kin.phase)) " " (kin.phase)
            @if kin.cost_usd > 0.0 { " · " (about_usd(kin.cost_usd, kin.cost_estimated)) }
            @if let Some(about) = &kin.about { p.soft { (plain(about)) } }
        }
    }
}

fn of_convoy(convoy: &Standing, instance_of: &dyn Fn(&str) -> Option<String>) -> Markup {
    let done = convoy.members.iter().filter(|one| one.state == Some(StateName::Done)).count();
    let name = if convoy.name.is_empty() { &convoy.id } else { &convoy.name };
    html! {
        h2 { "Convoy " (plain(name)) }
        p {
            (done) " of " (count(convoy.members.len(), "session", "sessions")) " done · " (about_usd(convoy.cost_usd, convoy.cost_estimated))
            @if let Some(budget) = convoy.budget { " of " (usd(budget)) }
        }
        ul.tree {
            @for (member, depth) in convoy.members.iter().zip(depths(&convoy.members)) {
                (of_member(member, depth, instance_of(&member.session)))
            }
        }
        @if !convoy.next.is_empty() { p.soft { "Next: " (plain(&convoy.next.join(", "))) } }
    }
}

fn of_member(member: &Member, depth: usize, instance: Option<String>) -> Markup {
    let is_stuck =
        matches!(member.state, Some(StateName::Blocked | StateName::Failed | StateName::Stopped));
    html! {
        li class={ (depth_class(depth)) @if let Some(state) = member.state { " of-" (state) } } {
            @match instance {
                Some(instance) => a href=(path_of(&instance)) { (plain(&member.session)) },
                None => (plain(&member.session)),
            }
            " "
            @match member.state {
                Some(state) => (parts::state(state)),
                None => span.pill { "does not exist" },
            }
            @if let Some(phase) = member.phase { " " (parts::bar(phase)) " " (phase) }
            @if member.cost_usd > 0.0 { " · " (about_usd(member.cost_usd, member.cost_estimated)) }
            @if !member.waits_for.is_empty() {
                p.soft { "Waits for " (plain(&member.waits_for.join(", "))) }
            }
            @if let Some(reason) = member.reason.as_ref().filter(|_| is_stuck) { p.soft { (plain(reason)) } }
            @if is_stuck && !member.holds_up.is_empty() {
                p.soft { "Holds up " (plain(&member.holds_up.join(", "))) }
            }
        }
    }
}

/// How many members, one after another, come before each at least. What a file that was edited says
/// against their order does not count.
fn depths(members: &[Member]) -> Vec<usize> {
    let mut depths: Vec<usize> = Vec::with_capacity(members.len());
    for member in members {
        let earlier = members.iter().zip(&depths);
        let before = earlier.filter(|(other, _)| member.after.contains(&other.session));
        depths.push(before.map(|(_, depth)| depth + 1).max().unwrap_or(0));
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Phase;

    #[test]
    fn a_tree_and_a_convoy_are_shown_with_what_they_wait_for_and_nothing_as_markup() {
        let kin = |session: &str, depth| Kin {
            session: session.to_owned(),
            instance: session.to_owned(),
            depth,
            state: StateName::Blocked,
            phase: Phase::Planning,
            about: Some("no <port>".to_owned()),
            cost_usd: 0.5,
            cost_estimated: false,
        };
        let member = |session: &str, state, after: &[&str]| Member {
            session: session.to_owned(),
            state,
            phase: None,
            after: after.iter().map(|name| (*name).to_owned()).collect(),
            waits_for: after.iter().map(|name| (*name).to_owned()).collect(),
            holds_up: vec!["client".to_owned()],
            reason: None,
            cost_usd: 0.0,
            cost_estimated: false,
        };
        let convoy = Standing {
            id: "login".to_owned(),
            name: String::new(),
            members: vec![
                member("schema", Some(StateName::Blocked), &[]),
                member("client", None, &["schema"]),
            ],
            cost_usd: 2.0,
            cost_estimated: false,
            budget: Some(9.0),
            next: Vec::new(),
            complete: false,
            outcome: None,
        };
        let belongs = Belongs { family: vec![kin("big", 0), kin("a<b", 1)], convoy: Some(convoy) };
        let instance_of = |name: &str| (name == "schema").then(|| "schema--shop".to_owned());
        let shown = page(&belongs, &instance_of).into_string();
        for part in [
            "big leads 1 session<",
            "class=\"depth-1 of-blocked\"",
            ">a&lt;b</a>",
            "no &lt;port&gt;",
            "0 of 2 sessions done · $2.00 of $9.00",
            "href=\"/s/schema--shop\"",
            "Waits for schema",
            "Holds up client",
            "does not exist",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let alone = Belongs { family: vec![kin("big", 0)], convoy: None };
        assert!(page(&alone, &instance_of).into_string().contains("leads no other sessions"));
    }
}
