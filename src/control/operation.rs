//! What a call has at hand while it is performed on this machine.

use async_trait::async_trait;

use crate::service::Progress;

use super::context::{Caller, Warnings};
use super::error::Result;
use super::progress::Step;
use super::target::Target;

/// What a call is answered with.
pub trait Replies {
    /// The type of the reply.
    type Reply;
}

/// How a call is performed on this machine.
#[async_trait]
pub(super) trait Perform: Replies {
    async fn perform(self, on: &Operation<'_>) -> Result<Self::Reply>;
}

/// A call in progress on this machine: the caller, and where to report warnings and progress.
pub(super) struct Operation<'a> {
    pub(super) caller: &'a Caller,
    pub(super) warnings: Warnings,
    pub(super) progress: Progress<'a>,
}

impl Operation<'_> {
    /// Reports a step of several.
    pub(super) fn step(&self, at: usize, of: usize, what: String) {
        (self.progress)(&Step { at, of, what }.to_string());
    }

    /// Finds the session that was typed; an error if there is none.
    pub(super) fn resolve(&self, typed: &str) -> Result<Target> {
        Target::resolve(self.caller, &self.warnings, typed)
    }
}
