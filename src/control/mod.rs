//! What can be done with sessions, for every front end: the command line, the dashboard, the web page,
//! the MCP server, the chat bot. Everything a person or a program can do is a call here; a front end
//! only parses, makes one call and shows the reply. Something that only one front end can do is in the
//! wrong place.
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
//! 1. A front end fills in a request, a plain struct such as [`enable::Enable`], and passes it to
//!    [`call`] with a [`Host`] and a progress callback.
//! 2. [`Local`] performs it on this machine. Its [`Caller`] holds what it must not look up itself:
//!    the environment, the current folder, the project file, and which service manager to use. So
//!    one process can serve many callers.
//! 3. Most calls start from a name that a person typed. `target` finds the session it means, using
//!    the project's folders and the units installed on this machine (`registry`).
//! 4. The reply comes back as [`Answer`]: a value or an [`Error`], plus any warnings.
//!
//! Functions here never print, never exit, and never read the command line, the terminal, the
//! process's environment or the current folder; a test checks that. Requests, replies and errors are
//! `serde` types in both directions, so they can travel to another machine: a host reached by ssh
//! implements [`Host`] by sending JSON, and nothing else changes.
//!
//! # What there is
//!
//! | module | calls |
//! |---|---|
//! | [`enable`], [`run`], [`request`] | start or resume a session, as a unit or in the foreground |
//! | [`unit`], [`stop`], [`many`] | start, restart, reload, disable; stop; each of them for many sessions side by side |
//! | [`inspect`], [`view`] | find, list, show, explain; a session as others see it |
//! | [`timeline`], [`cost`], [`inbox`], [`documents`] | what happened, what it cost, what mail there is, what to read |
//! | [`attach`] | take a conversation over in a terminal, and hand it back |
//! | [`prompt`], [`role`] | the prompt of a run; the role of a session |
//! | [`merge`] | the branches of finished sessions into one tested branch |
//! | [`timer`] | sessions that begin on their own: at a time, or again and again |
//! | [`convoy`] | sessions towards one goal: started in order, announced together |
//! | [`remove`], [`archive`] | take sessions away, but for their branches and files; bring one back |
//! | [`load`], [`tree`] | memory and CPU of those that run; a session among those it belongs to |
//! | [`usage`] | how much of each account is used |
//! | [`disk`] | what sessions take on the disk; removing build output |
//! | [`press`] | a decision by a button of a message |
//! | [`answers`], [`post`], [`mail`] | questions and answers; approve, reject, send; mail to anyone, and asking |
//! | [`log`] | its journal merged with what its agents said and did, as a stream |
//! | [`progress`] | how far a call of several steps has come |
//! | [`init`], [`settings`], [`doctor`], [`notify`], [`unit_files`] | set a project up: its file, its settings, what is broken, how you are notified, the unit files |
//! | [`wait`], [`watch`] | wait until a session needs a human; see every change as it happens, by inotify and D-Bus |
//! | [`web`] | serve the web page on demand |
//! | [`jobs`] | no calls: what the units run, such as the waker |
//!
//! # Where to add
//!
//! - **A call:** a request struct, a reply struct and a `Perform` in the module of its subject, and a
//!   row in the table of [`host`]. Every front end can then use it.
//! - **A front end:** a folder beside `cli/` that holds a `dyn Host` and imports only from here.
//! - **A host:** a type that implements [`Host`].
//!
//! An [`Error`] has a [`Class`], from which a front end picks an exit code or an HTTP status. Its
//! hint, which says what to do next, is separate from the message.

pub mod answers;
pub mod archive;
pub mod attach;
mod below;
pub mod bot;
mod bus;
pub mod calls;
pub(crate) mod channels;
pub mod confine;
pub mod context;
pub mod convoy;
pub mod cost;
pub mod decisions;
pub mod disk;
pub mod doctor;
pub mod documents;
pub mod enable;
pub mod error;
pub(crate) mod folders;
pub(crate) mod format;
pub mod host;
pub mod inbox;
pub mod init;
pub mod inspect;
pub(crate) mod install;
pub mod jobs;
pub mod load;
pub mod log;
pub mod mail;
pub mod many;
pub mod merge;
pub mod notify;
pub(crate) mod operation;
pub mod origin;
mod own_repository;
mod pending;
pub mod post;
pub mod press;
pub(crate) mod privilege;
pub mod progress;
pub mod prompt;
pub(crate) mod questions;
mod queue;
pub mod quiet;
pub(crate) mod registry;
pub mod remove;
pub mod report;
pub mod request;
pub mod role;
pub mod run;
pub(crate) mod session;
pub mod settings;
pub mod stop;
pub(crate) mod target;
mod teardown;
pub mod timeline;
pub mod timer;
pub mod tree;
pub mod unit;
pub mod unit_files;
pub(crate) mod units;
pub mod usage;
pub mod view;
pub mod wait;
pub(crate) mod wake;
pub mod watch;
pub mod web;
pub(crate) mod whereabouts;

pub use calls::host_of;
pub use context::{Answer, Caller};
pub use error::{Class, Error, Result};
pub use host::{Call, Host, Local, Reply, Request, call};
pub use operation::Replies;

#[cfg(test)]
mod tests {
    mod every_key;
}
