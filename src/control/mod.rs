//! What can be done with sessions, for every front end: the command line now; a dashboard, a web
//! page, an MCP server, a chat bot later. Whatever a person or a program can do is a call here, and a
//! front end is a thin shell around it: parse, one call, show the reply. What only one front end can
//! do is in the wrong place.
//!
//! # How a call goes
//!
//! ```text
//! front end                     control                                     below
//!
//! Enable { session, … } ──▶ Host::request(Request) ──▶ Perform::perform ──▶ session, git, service
//!                              │ Local: this machine
//! Answer { result, warnings } ◀┘ (another host: the same Request and Answer as JSON)
//! ```
//!
//! 1. A front end fills in a request, a plain struct such as [`enable::Enable`], and hands it to
//!    [`call`] with a [`Host`] and a callback that hears of progress.
//! 2. [`Local`] performs it on this machine. What it may not find out by itself is in its [`Caller`]:
//!    the environment, the current folder, the project that was named, whose service manager. So one
//!    process can serve many callers.
//! 3. Most calls begin with a word that a person typed. `target` finds the session it means, by the
//!    folders of the project and by what the units of this machine know (`registry`).
//! 4. The reply comes back as [`Answer`]: a value or an [`Error`], and warnings in either case.
//!
//! Functions in here never print, never exit, and never look at the command line, the terminal, the
//! process's environment or the current folder; a test checks that. Requests, replies and errors are
//! `serde` types in both directions, so that all of this can be carried to another machine: a host
//! reached by ssh implements [`Host`] by sending JSON, and nothing else changes.
//!
//! # What there is
//!
//! | module | calls |
//! |---|---|
//! | [`enable`], [`run`], [`request`] | begin or resume a session, as a unit or in the foreground |
//! | [`unit`], [`stop`] | start, restart, reload, disable; stop |
//! | [`look`], [`view`] | find, list, show, explain; a session as others see it |
//! | [`timeline`], [`cost`], [`inbox`], [`documents`] | what happened, what it cost, what mail there is, what to read |
//! | [`remove`] | take a session away, but for its branch and its files |
//! | [`answers`], [`post`] | questions and answers; approve, reject, send |
//! | [`wait`], [`watch`] | until a session needs somebody; every change as it happens, by inotify and D-Bus |
//!
//! # Where to add
//!
//! - **A call:** a request struct, a reply struct and a `Perform` in the module of its subject, and a
//!   row in the table of [`host`]. Every front end has it then.
//! - **A front end:** a folder beside `cli/` that holds a `dyn Host` and imports from here only.
//! - **A host:** a type that implements [`Host`].
//!
//! An [`Error`] has a [`Class`], by which a front end decides on an exit code or an HTTP status, and
//! its hint, what to do now, is kept apart from the message.

pub mod answers;
mod bus;
pub(crate) mod channels;
pub mod context;
pub mod cost;
pub mod documents;
pub mod enable;
pub mod error;
pub(crate) mod folders;
pub mod host;
pub mod inbox;
pub(crate) mod install;
pub mod look;
mod pending;
pub mod post;
pub(crate) mod privilege;
pub(crate) mod questions;
pub(crate) mod registry;
pub mod remove;
pub mod request;
pub mod run;
pub(crate) mod session;
pub mod stop;
pub(crate) mod target;
pub mod timeline;
pub mod unit;
pub(crate) mod units;
pub mod view;
pub mod wait;
pub(crate) mod wake;
pub mod watch;
pub(crate) mod whereabouts;

pub use context::{Answer, Caller};
pub use error::{Class, Error, Result};
pub use host::{Call, Host, Local, Reply, Request, call};

#[cfg(test)]
mod tests {
    mod every_key;
}
