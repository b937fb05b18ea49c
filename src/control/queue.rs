//! Places to run in that a call makes free.

use crate::worker::{Limit, Queue};

use super::context::Context;

/// As [`pass_on`], for a call that only looks: what fails changes nothing for it. A limit that was
/// raised is noticed this way.
pub(super) fn look(context: &Context) {
    let limit = Limit::of(&context.project, &context.settings);
    if let Err(error) = Queue::of(&context.dirs.state).pass_on(Some(limit)) {
        tracing::info!("the queue could not be looked at: {error}");
    }
}

/// Has the next sessions in the queue started, if a place is free for them: the one that the call was
/// about may have been first.
pub(super) fn pass_on(context: &Context) {
    let limit = Limit::of(&context.project, &context.settings);
    let passed = Queue::of(&context.dirs.state).pass_on(Some(limit));
    if let Err(error) = passed {
        context.warnings.add(format!("queued sessions may have to be started by hand: {error}"));
    }
}
