//! What an agent's events mean for the time it has left.

use std::collections::VecDeque;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::agent::event::Event;

/// Queues events. An end starts the time to exit, and work after it takes that back, unless the agent
/// is `ending` because it was asked to.
pub(super) fn emitter<'a>(
    events: &'a mut VecDeque<Event>,
    deadline: &'a mut Option<(Instant, Signal)>,
    grace: Duration,
    ending: bool,
) -> impl FnMut(Event) + 'a {
    move |event| {
        let terminated = ending || matches!(deadline, Some((_, Signal::KILL)));
        match event {
            Event::Progress if matches!(events.back(), Some(Event::Progress)) => return,
            Event::Finished(_) if !terminated => {
                *deadline = Some((Instant::now() + grace, Signal::TERM));
            }
            // It resumed after it had reported an end: that end was not the last.
            Event::Started { .. } | Event::Tool(_) if !terminated => *deadline = None,
            _ => {}
        }
        events.push_back(event);
    }
}
