//! The sessions of a convoy as they are.

use jiff::Timestamp;

use crate::control::context::Context;
use crate::control::error::Result;
use crate::control::registry;
use crate::control::session::Session;
use crate::session::state::{Standing as Stands, StateName};

use super::files::{self, Files};
use super::next::{Done, Facts, Members, Memory, Place, complete_since, cost, spent};
use super::plan::Plan;
use super::{Member, Standing};

/// The members in order, with those that exist.
pub(super) fn sessions(context: &Context, plan: &Plan) -> Result<Vec<(String, Option<Session>)>> {
    // Newest first: a name may have been used before.
    let all = registry::all(context)?;
    let find = |name: &str| all.iter().find(|session| session.name == name).cloned();
    Ok(plan.order().into_iter().map(|name| (name.to_owned(), find(name))).collect())
}

/// What is known of each member.
pub(super) fn facts(sessions: &[(String, Option<Session>)], memory: &Memory) -> Result<Members> {
    let mut members = Members::new();
    for (name, session) in sessions {
        let facts = match (session, memory.done.get(name)) {
            (Some(session), _) => of(session)?,
            // It was archived.
            (None, Some(Done { since, cost_usd })) => {
                let place = Place::Begun(StateName::Done);
                Facts { place, since: *since, reason: None, cost_usd: *cost_usd }
            }
            (None, None) => {
                let (place, since) = (Place::Absent, Timestamp::UNIX_EPOCH);
                Facts { place, since, reason: None, cost_usd: 0.0 }
            }
        };
        members.insert(name.clone(), facts);
    }
    Ok(members)
}

fn of(session: &Session) -> Result<Facts> {
    let hook = session.hook()?;
    let place = match hook.state {
        StateName::Queued | StateName::New if !session.is_worked_on() => {
            let state = session.state()?;
            match state.standing {
                Stands::Held(_) => Place::Held,
                Stands::New if state.seq > 0 => Place::Released,
                _ => Place::Begun(hook.state),
            }
        }
        // A worker that looks at a session that is held ends at once.
        StateName::Queued if matches!(session.state()?.standing, Stands::Held(_)) => Place::Held,
        word => Place::Begun(word),
    };
    Ok(Facts { place, since: hook.since, reason: hook.reason, cost_usd: hook.cost_usd })
}

/// How a convoy is doing.
pub(super) fn standing(context: &Context, plan: &Plan) -> Result<Standing> {
    let memory = Files::of(&context.project, &plan.id)?.memory()?;
    let sessions = sessions(context, plan)?;
    let facts = facts(&sessions, &memory)?;
    let is_done = |name: &String| facts[name].place == Place::Begun(StateName::Done);
    let mut members = Vec::new();
    for (name, session) in &sessions {
        let known = &facts[name];
        let phase = session.as_ref().map(Session::hook).transpose()?.map(|hook| hook.phase);
        let has_begun = matches!(known.place, Place::Begun(_));
        members.push(Member {
            session: name.clone(),
            state: match known.place {
                Place::Absent => None,
                Place::Held => Some(StateName::Queued),
                Place::Released => Some(StateName::New),
                // Its unit was stopped, with its target for one: the hook cannot show that.
                Place::Begun(StateName::Running | StateName::Limited | StateName::Paused)
                    if !session.as_ref().is_some_and(Session::is_worked_on) =>
                {
                    Some(StateName::Stopped)
                }
                Place::Begun(word) => Some(word),
            },
            phase: phase.filter(|_| has_begun),
            after: plan.before(name).to_vec(),
            waits_for: plan.before(name).iter().filter(|other| !is_done(other)).cloned().collect(),
            holds_up: match is_done(name) {
                true => Vec::new(),
                false => plan.held_up_by(name).into_iter().map(str::to_owned).collect(),
            },
            reason: known.reason.clone(),
            cost_usd: known.cost_usd,
        });
    }
    // Those that wait only for members that are at work, or for room.
    let waits = |name: &String| facts[name].place == Place::Held;
    let spent = spent(plan, &facts);
    let next = members.iter().filter(|member| {
        spent.is_none() && waits(&member.session) && !member.waits_for.iter().any(waits)
    });
    let complete = complete_since(plan, &facts);
    Ok(Standing {
        id: plan.id.clone(),
        name: plan.name.clone(),
        cost_usd: cost(&facts),
        budget: plan.budget,
        next: next.map(|member| member.session.clone()).collect(),
        complete: complete.is_some(),
        outcome: spent.or_else(|| outcome(plan, complete, &memory)),
        members,
    })
}

/// That the budget of a session's convoy keeps it from starting, for `why` and `status`.
pub(in crate::control) fn note(context: &Context, session: &Session) -> Option<String> {
    let Stands::Held(held) = session.state().ok()?.standing else { return None };
    let plan = files::find(&context.project, &held.convoy).ok()??;
    let memory = Files::of(&context.project, &plan.id).ok()?.memory().ok()?;
    spent(&plan, &facts(&sessions(context, &plan).ok()?, &memory).ok()?)
}

/// What becomes of the branches of a convoy that is complete.
fn outcome(plan: &Plan, complete: Option<Timestamp>, memory: &Memory) -> Option<String> {
    let id = &plan.id;
    match (complete, &memory.outcome) {
        (None, _) => None,
        (Some(_), _) if !plan.merge => {
            Some(format!("convoy {id} is complete; merge it with: samocode merge {id}"))
        }
        (Some(_), Some(outcome)) if memory.merged == complete => Some(outcome.clone()),
        // By a version that did not keep it.
        (Some(_), None) if memory.merged == complete => None,
        (Some(_), _) => Some(format!("convoy {id} is complete; its branches are being merged")),
    }
}
