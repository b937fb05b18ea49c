//! The session's folder on disk; the only part of `session` that does I/O.
//!
//! ```text
//! SESSIONS/26-11-20-jwt-login/
//!   _overview.md  _signal.json  _qa.md   the agent's, and its artifacts
//!   _outbox/ID.json      messages that a confined agent sends
//!   workers/NAME/        sessions below this one
//!
//! there too, or apart in SESSIONS/.samocode/26-11-20-jwt-login/:
//!   _signal_history.jsonl  _hook.json  _journal.jsonl  _lock
//!   _stop                a stop that could not be journaled
//!   _inbox/ID.json   unread messages      _mail/ID.json   read ones
//!   _damaged/11-20-18:01/PATH   damaged version of a file restored after a power cut
//!   _logs/11-20-1801-001-investigation.jsonl  and  ….stderr; old ones are ….jsonl.gz
//! ```
//!
//! Whole files are replaced: temporary file, fsync, rename, fsync of the folder. Appends are one
//! write and an fsync, which may come later if the journal has the same data. Only a torn last line
//! is ever truncated in place, and only the digits of counters are overwritten.

mod apart;
mod aside;
mod asking;
mod crash;
mod document;
mod error;
mod family;
mod files;
mod folder;
mod journal_file;
mod lock;
mod mailbox;
mod marks;
mod outage;
mod packed;
mod place;
mod record;
mod unsynced;
mod vouchers;

pub use aside::Unfit;
pub use asking::Asking;
pub use crash::crash_point;
#[cfg(test)]
pub use crash::faults;
pub use document::Document;
pub use error::StoreError;
pub use files::{
    amend, append, append_unsynced, cut_torn, length, make_folder, open_regular, read, read_tail,
    remove, replace, replace_again, replace_derived, sweep,
};
pub use folder::Folder;
pub use journal_file::{Journal, JournalError, read_journal};
pub use lock::{Lock, LockError};
pub use mailbox::Unread;
pub use outage::{HeldNote, Outage, OutageNotes};
pub use packed::{compress_logs, open_log, open_log_end};
pub use unsynced::{Synced, Unsynced};
pub use vouchers::Vouchers;
