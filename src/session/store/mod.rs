//! The session's folder on disk; the only part of `session` that does I/O.
//!
//! ```text
//! SESSIONS/26-11-20-jwt-login/
//!   _stop                 a stop that could not be journaled
//!   _overview.md  _signal.json  _signal_history.jsonl  _hook.json  _journal.jsonl  _qa.md  _lock
//!   _inbox/ID.json   unread messages      _mail/ID.json   read ones
//!   _damaged/11-20-18:01/PATH   damaged version of a file restored after a power cut
//!   workers/NAME/        sessions below this one
//!   _logs/11-20-1801-001-investigation.jsonl  and  ….stderr; old ones are ….jsonl.gz
//! ```
//!
//! Whole files are replaced: temporary file, fsync, rename, fsync of the folder. Appends are one
//! write and an fsync, which may come later if the journal has the same data. Only a torn last line
//! is ever truncated in place, and only the digits of counters are overwritten.

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
mod outage;
mod packed;
mod place;
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
