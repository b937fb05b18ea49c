//! The sessions that a session belongs to, as lines of a page: a tree of those that began each other,
//! and its convoy in the order of what waits for what.

use crate::control::convoy::{Member, Standing};
use crate::control::format::{about_usd, bar, count, usd};
use crate::control::tree::{Belongs, Kin};
use crate::session::state::StateName;

use super::page::{Text, Tone};

/// The lines of the page.
pub(super) fn texts(belongs: &Belongs) -> Vec<Text> {
    let mut texts = Vec::new();
    if let Some(convoy) = &belongs.convoy {
        texts.extend(of_convoy(convoy));
    }
    if belongs.family.len() > 1 {
        if !texts.is_empty() {
            texts.push(Text::default());
        }
        let below = count(belongs.family.len() - 1, "session", "sessions");
        let head = format!("{} leads {below}", belongs.family[0].session);
        texts.push(Text::new(Tone::Strong, &head));
        texts.extend(belongs.family.iter().map(of_kin));
    }
    if texts.is_empty() {
        texts.push(Text::new(Tone::Dim, "It is in no convoy, and leads no other sessions."));
    }
    texts
}

fn of_kin(kin: &Kin) -> Text {
    let about = kin.about.as_ref().map_or_else(String::new, |about| format!(" · {about}"));
    let cost = if kin.cost_usd > 0.0 {
        format!(" · {}", about_usd(kin.cost_usd, kin.cost_estimated))
    } else {
        String::new()
    };
    let text = format!("{}  {}, {}{cost}{about}", kin.session, kin.state, kin.phase);
    let indent = match kin.depth {
        0 => String::new(),
        depth => format!("{}└ ", "  ".repeat(depth - 1)),
    };
    Text::new(tone(Some(kin.state)), &text).with_margin(format!("{} {indent}", bar(kin.phase)))
}

fn of_convoy(convoy: &Standing) -> Vec<Text> {
    let done = |member: &&Member| member.state == Some(StateName::Done);
    let budget = convoy.budget.map_or_else(String::new, |budget| format!(" of {}", usd(budget)));
    let name = if convoy.name.is_empty() { &convoy.id } else { &convoy.name };
    let head = format!(
        "convoy {name}: {} of {} done · {}{budget}",
        convoy.members.iter().filter(done).count(),
        count(convoy.members.len(), "session", "sessions"),
        about_usd(convoy.cost_usd, convoy.cost_estimated)
    );
    let mut texts = vec![Text::new(Tone::Strong, &head)];
    for (member, depth) in convoy.members.iter().zip(depths(&convoy.members)) {
        let way = member.phase.map_or_else(|| "□".repeat(8), bar);
        let state = member.state.map_or_else(|| "does not exist".to_owned(), |it| it.to_string());
        let mut text = format!("{}  {state}", member.session);
        if !member.waits_for.is_empty() {
            text.push_str(&format!(" · waits for {}", member.waits_for.join(", ")));
        }
        let is_stuck = matches!(
            member.state,
            Some(StateName::Blocked | StateName::Failed | StateName::Stopped)
        );
        if let Some(reason) = member.reason.as_ref().filter(|_| is_stuck) {
            text.push_str(&format!(" · {reason}"));
        }
        if is_stuck && !member.holds_up.is_empty() {
            text.push_str(&format!(" · holds up {}", member.holds_up.join(", ")));
        }
        let indent = match depth {
            0 => String::new(),
            depth => format!("{}└ ", "  ".repeat(depth - 1)),
        };
        texts.push(Text::new(tone(member.state), &text).with_margin(format!("{way} {indent}")));
    }
    if !convoy.next.is_empty() {
        texts.push(Text::new(Tone::Dim, &format!("Next: {}", convoy.next.join(", "))));
    }
    texts
}

/// How many members, one after another, come before each at least. They are in an order in which each
/// comes after those before it; what a file that was edited says against that does not count.
fn depths(members: &[Member]) -> Vec<usize> {
    let mut depths: Vec<usize> = Vec::with_capacity(members.len());
    for member in members {
        let earlier = members.iter().zip(&depths);
        let before = earlier.filter(|(other, _)| member.after.contains(&other.session));
        depths.push(before.map(|(_, depth)| depth + 1).max().unwrap_or(0));
    }
    depths
}

const fn tone(state: Option<StateName>) -> Tone {
    match state {
        Some(StateName::Done) => Tone::Good,
        Some(StateName::Waiting) => Tone::Attention,
        Some(StateName::Blocked | StateName::Failed) => Tone::Bad,
        Some(StateName::Running) => Tone::Plain,
        _ => Tone::Dim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Phase;

    fn lines(belongs: &Belongs) -> String {
        let line = |text: Text| format!("{}{}", text.margin, text.text);
        texts(belongs).into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn kin(session: &str, depth: usize, state: StateName) -> Kin {
        Kin {
            session: session.to_owned(),
            instance: session.to_owned(),
            depth,
            state,
            phase: Phase::Planning,
            about: Some("no\tport".to_owned()),
            cost_usd: 0.5,
            cost_estimated: false,
        }
    }

    #[test]
    fn a_coordinator_and_those_below_it_are_a_tree() {
        let family = vec![
            kin("big", 0, StateName::Running),
            kin("api", 1, StateName::Waiting),
            kin("db", 2, StateName::Blocked),
        ];
        assert_eq!(
            lines(&Belongs { family, convoy: None }),
            "big leads 2 sessions\n\
             ■■■■□□□□ big  running, planning · $0.50 · no    port\n\
             ■■■■□□□□ └ api  waiting, planning · $0.50 · no    port\n\
             ■■■■□□□□   └ db  blocked, planning · $0.50 · no    port"
        );
        let alone = Belongs { family: vec![kin("big", 0, StateName::Done)], convoy: None };
        assert_eq!(lines(&alone), "It is in no convoy, and leads no other sessions.");
    }

    #[test]
    fn a_convoy_is_indented_by_what_comes_before_even_in_a_circle() {
        let member = |session: &str, state: Option<StateName>, after: &[&str]| Member {
            session: session.to_owned(),
            state,
            phase: state.map(|_| Phase::Done),
            after: after.iter().map(|name| (*name).to_owned()).collect(),
            waits_for: after.iter().map(|name| (*name).to_owned()).collect(),
            holds_up: vec!["client".to_owned()],
            reason: Some("no port".to_owned()),
            cost_usd: 1.0,
            cost_estimated: false,
        };
        let mut convoy = Standing {
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
        assert_eq!(
            lines(&Belongs { family: Vec::new(), convoy: Some(convoy.clone()) }),
            "convoy login: 0 of 2 sessions done · $2.00 of $9.00\n\
             ■■■■■■■■ schema  blocked · no port · holds up client\n\
             □□□□□□□□ └ client  does not exist · waits for schema"
        );
        convoy.members[0].after = vec!["client".to_owned()];
        assert!(lines(&Belongs { family: Vec::new(), convoy: Some(convoy) }).contains("schema"));
    }
}
