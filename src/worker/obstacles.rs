//! Obstacles to the next run that can be seen by checking machine and budgets. The
//! look is the worker's; what it means is decided here, without effects.

use std::path::PathBuf;

use jiff::{SignedDuration, Zoned};

use crate::config::Settings;
use crate::platform::limits::Limit;
use crate::session::Cause;
use crate::session::describe::size;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::state::State;

use super::budget;

/// What a look at machine and budgets found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Whether the session has one of the slots for running sessions.
    pub(super) has_slot: bool,
    /// Whether the disks that a run writes to have room for its files.
    pub(super) space: Space,
    /// What all sessions spent today, in US dollars and tokens; `None` if the day has no budget.
    pub(super) spent_today: Option<(f64, u64)>,
    /// What the session and those below it have cost, in US dollars and tokens.
    pub(super) spent: (f64, u64),
    /// Why the budget of a session above this one prevents another run.
    pub(super) spent_above: Option<String>,
    /// Why the host cannot confine the agent as the settings demand.
    pub(super) not_confined: Option<String>,
    /// The time of the look.
    pub(super) now: Zoned,
}

/// Whether the disks that a run writes to have room for its files.
#[derive(Debug, Clone, Default)]
pub(super) struct Space {
    /// Free bytes on the disk of each folder, where the system knows.
    pub(super) free: Vec<(PathBuf, u64)>,
    /// Why the session takes too much.
    pub(super) too_much: Option<String>,
    /// Why no temporary file can be written.
    pub(super) no_temporary_files: Option<String>,
    /// A limit of the machine that leaves no room for git or an agent.
    pub(super) limit: Option<Limit>,
}

/// A reason not to start the next run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Obstacle {
    /// As many sessions run as may run at once.
    Queue,
    /// The session pauses, with this event, until it is over.
    Pause(Box<Event>),
    /// Something that only a human can change.
    Block(String),
}

/// The first obstacle to a run, in the order in which they are worth knowing.
pub(super) fn first(
    found: &Found,
    state: &State,
    settings: &Settings,
    instance: &str,
) -> Option<Obstacle> {
    let pause = |event: Event| Obstacle::Pause(Box::new(event));
    let budgets = &settings.budgets;
    let day = found.spent_today.filter(|_| !state.forced);
    let known = state.costs.certainty();
    let obstacles = [
        (!found.has_slot).then_some(Obstacle::Queue),
        no_space(&found.space, settings.disk_floor, &found.now).map(pause),
        budget::session_is_spent(&budgets.session, found.spent, known, instance)
            .map(Obstacle::Block),
        found.spent_above.clone().map(Obstacle::Block),
        found.not_confined.clone().map(Obstacle::Block),
        day.and_then(|spent| budget::day_is_spent(&budgets.day, spent, &found.now)).map(pause),
    ];
    obstacles.into_iter().flatten().next()
}

/// A pause if too little disk space is free, temporary files cannot be written, or a limit of the
/// machine is reached: a run would be wasted.
pub(super) fn no_space(space: &Space, floor: u64, now: &Zoned) -> Option<Event> {
    let full = space.free.iter().find(|(_, free)| *free < floor).map(|(folder, free)| {
        format!(
            "{} free on the disk of {}, but SAMOCODE_DISK_FLOOR requires {}: free some space",
            size(*free),
            folder.display(),
            size(floor)
        )
    });
    let disk = full
        .or_else(|| space.too_much.clone())
        .or_else(|| space.no_temporary_files.clone())
        .map(|full| (Cause::Disk, full));
    let machine = space.limit.map(|limit| (Cause::Machine, limit.remedy()));
    let (cause, detail) = machine.or(disk)?;
    Some(Event::Paused(event::Paused {
        cause,
        detail,
        until: now.timestamp().checked_add(SignedDuration::from_secs(60)).ok(),
        quiet: false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::vocabulary;
    use crate::config::settings::Budget;
    use crate::config::{Env, Flags};
    use crate::session::clock;

    fn found() -> Found {
        let space = Space { free: vec![("/w".into(), 1 << 40)], ..Space::default() };
        Found {
            has_slot: true,
            space,
            spent_today: None,
            spent: (0.0, 0),
            spent_above: None,
            not_confined: None,
            now: clock::local_now(),
        }
    }

    fn settings() -> Settings {
        let home = tempfile::tempdir().unwrap();
        let mut env = Env::default();
        env.set("HOME", home.path());
        Settings::load(&vocabulary(), None, &env, &Flags::default()).unwrap()
    }

    fn cause(obstacle: Option<Obstacle>) -> Cause {
        match obstacle {
            Some(Obstacle::Pause(event)) => match *event {
                Event::Paused(event::Paused { cause, .. }) => cause,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_obstacle_is_the_one_that_counts() {
        let (mut settings, state) = (settings(), State::default());
        let mut found = found();
        let first = |found: &Found, state: &State, settings: &Settings| {
            first(found, state, settings, "jwt")
        };
        assert_eq!(first(&found, &state, &settings), None);
        settings.budgets.day = Budget { usd: Some(5.0), tokens: None };
        found.spent_today = Some((5.0, 0));
        assert_eq!(cause(first(&found, &state, &settings)), Cause::Budget);
        found.spent_above = Some("the budget of lead is spent".to_owned());
        let above = Obstacle::Block("the budget of lead is spent".to_owned());
        assert_eq!(first(&found, &state, &settings), Some(above));
        settings.budgets.session = Budget { usd: Some(1.0), tokens: None };
        found.spent = (1.0, 0);
        let Some(Obstacle::Block(reason)) = first(&found, &state, &settings) else { panic!() };
        assert!(reason.contains("samocode enable jwt --budget"), "{reason}");
        found.space.no_temporary_files = Some("cannot write".to_owned());
        assert_eq!(cause(first(&found, &state, &settings)), Cause::Disk);
        found.space.limit = Some(Limit::Processes);
        assert_eq!(cause(first(&found, &state, &settings)), Cause::Machine);
        found.has_slot = false;
        assert_eq!(first(&found, &state, &settings), Some(Obstacle::Queue));
    }

    #[test]
    fn a_demanded_confinement_that_the_host_cannot_keep_blocks_even_when_forced() {
        let found = Found { not_confined: Some("no Landlock".to_owned()), ..found() };
        let state = State { forced: true, ..State::default() };
        let obstacle = first(&found, &state, &settings(), "jwt");
        assert_eq!(obstacle, Some(Obstacle::Block("no Landlock".to_owned())));
    }

    #[test]
    fn a_human_who_starts_a_session_lifts_the_days_budget_and_no_other_obstacle() {
        let (mut settings, mut found) = (settings(), found());
        settings.budgets.day = Budget { usd: Some(5.0), tokens: None };
        found.spent_today = Some((9.0, 0));
        let state = State { forced: true, ..State::default() };
        assert_eq!(first(&found, &state, &settings, "jwt"), None);
        found.space.too_much = Some("it takes too much".to_owned());
        assert_eq!(cause(first(&found, &state, &settings, "jwt")), Cause::Disk);
        found.space.too_much = None;
        found.space.free = vec![("/w".into(), settings.disk_floor - 1)];
        assert_eq!(cause(first(&found, &state, &settings, "jwt")), Cause::Disk);
    }
}
