//! Commits that were made in a session's own repository since its last run, by hand.

use crate::git::{Checkout, Fetched, Repository};
use crate::session::Hint as _;

use super::context::Context;
use super::session::Session;

/// Brings them into the project's repository, before a call looks for them there. While the session
/// is worked on, its worker does that after the run. What cannot be done is a warning.
pub(super) async fn take_over(context: &Context, session: &Session) {
    let checkout = Checkout::of_session(&context.project, &session.folder.name());
    if checkout.repository() == Repository::Projects || session.is_worked_on() {
        return;
    }
    match checkout.take_over().await {
        Ok(Fetched::Up) => {}
        Ok(Fetched::Aside { why, remedy }) => context.warnings.add(format!("{why}: {remedy}")),
        Err(error) => context.warnings.add(error.in_one_line()),
    }
}
