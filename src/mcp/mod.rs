//! An MCP server over standard input and output: what an agent that is a parent can do with
//! sessions, as tools and resources.
//!
//! A shell around [`control`](crate::control) like the command line. Each tool is a struct of
//! arguments with what an agent reads about it and one call, by subject: sessions ([`arguments`],
//! [`calls`]), words ([`words`]), convoys ([`convoys`]); [`tools`] lists them. The documents of sessions
//! are resources ([`resources`]).
//! What goes wrong in a call is a result that says so, with a hint, and the server stays up; only
//! the end of the input ends it.
//!
//! Clients give a tool a minute or so. So no tool takes longer than [`LONGEST`]: a wait returns with
//! a cursor to wait on, and another call that takes longer finishes in the background.

mod about;
mod arguments;
mod calls;
mod convoys;
mod cursor;
mod logs;
mod resources;
mod server;
mod tools;
mod words;

use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt as _;

use crate::control::{Class, Error, Host, Result};

/// The longest that a tool may take.
pub const LONGEST: Duration = Duration::from_secs(45);

/// Who uses the tools, from those who may do least. `control` checks each call in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// An agent in a run of a session. It may look and write mail, no more.
    Run,
    /// An agent in a run of a session that coordinates others: it acts on the sessions below it.
    Coordinator,
    /// An agent that works with a human and acts for them.
    Parent,
}

/// Serves one client on standard input and output until the input ends.
///
/// # Errors
/// If the client does not speak MCP.
pub async fn serve(host: Arc<dyn Host>, audience: Audience) -> Result<()> {
    let server = server::Server::new(host, audience);
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(Class::Usage, format!("cannot serve MCP: {error}"))
            .hint("standard input and output must be an MCP client's, see: samocode mcp --help")
    };
    let running = server.serve(rmcp::transport::stdio()).await.map_err(|error| failed(&error))?;
    running.waiting().await.map_err(|error| failed(&error))?;
    Ok(())
}

/// The names of all tools, for the test of the texts that mention them.
#[cfg(test)]
pub(crate) fn tool_names() -> Vec<&'static str> {
    tools::all().iter().map(|entry| entry.about.name).collect()
}
