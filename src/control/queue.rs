//! Places to run in that a call makes free.

use crate::worker::{Limit, Queue};

use super::context::Context;

/// Has the next sessions in the queue started, if a place is free for them: the one that the call was
/// about may have been first.
pub(super) fn pass_on(context: &Context) {
    let limit = Limit::of(&context.project, &context.settings);
    let passed = Queue::of(&context.dirs.state).pass_on(Some(limit));
    if let Err(error) = passed {
        context
            .warnings
            .add(format!("sessions that are queued may not start by themselves: {error}"));
    }
}
