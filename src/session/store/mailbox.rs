//! A session's mail: unread in `_inbox/`, read in `_mail/`, one file per message.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;

use super::error::{Attempt, Result};
use super::files::{make_subfolder, open_regular, remove, rename, replace};
use super::folder::Folder;
use crate::session::mail::foreign::Foreign;
use crate::session::mail::{MAX_BYTES, MailError, Message};
use crate::session::names;
use crate::session::order;

/// The contents of an inbox.
#[derive(Debug, Default)]
pub struct Unread {
    /// The messages, oldest first, each with its file name.
    pub messages: Vec<(OsString, Message)>,
    /// Files that are not messages.
    pub foreign: Vec<Foreign>,
}

impl Folder {
    /// Delivers a message to the inbox: written elsewhere, then renamed in.
    ///
    /// # Errors
    /// If the folders cannot be created or the file cannot be written.
    pub fn deliver(&self, message: &Message) -> Result<()> {
        make_subfolder(&self.mail())?;
        make_subfolder(&self.inbox())?;
        let bytes = message
            .to_json()
            .map_err(io::Error::other)
            .attempt("write a message to", &self.inbox())?;
        let aside = self.mail().join(format!(".new-{}", message.file_name()));
        replace(&aside, &bytes)?;
        let unread = self.inbox().join(message.file_name());
        rename(&aside, &unread).attempt("deliver", &unread)
    }

    /// Reads the inbox, sorting messages from other files.
    ///
    /// # Errors
    /// If the inbox exists but cannot be read.
    pub fn unread(&self) -> Result<Unread> {
        let mut unread = Unread::default();
        let folder = self.name();
        let session = names::name_in_folder(&folder).unwrap_or(&folder);
        for name in names_in(&self.inbox())? {
            match read_message(&self.inbox().join(&name)) {
                Ok(message) => unread.messages.push((name, message)),
                Err(unread_file) => unread.foreign.push(unread_file.named(name, session)),
            }
        }
        order::by(&mut unread.messages, |(_, a), (_, b)| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(unread)
    }

    /// Messages that were read, oldest first.
    ///
    /// # Errors
    /// If their folder exists but cannot be read.
    pub fn read_mail(&self) -> Result<Vec<Message>> {
        let folder = self.mail();
        let mut messages: Vec<Message> = names_in(&folder)?
            .iter()
            .filter_map(|name| read_message(&folder.join(name)).ok())
            .collect();
        order::by(&mut messages, |a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(messages)
    }

    /// Leaves a message in the outbox.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put_out(&self, bytes: &[u8]) -> Result<()> {
        make_subfolder(&self.outbox())?;
        let name = format!("{}.json", uuid::Uuid::now_v7());
        replace(&self.outbox().join(name), bytes)
    }

    /// Whether the outbox has any files.
    #[must_use]
    pub fn has_outgoing(&self) -> bool {
        names_in(&self.outbox()).is_ok_and(|names| !names.is_empty())
    }

    /// The files in the outbox, oldest first, each with its contents or why they cannot be read.
    ///
    /// # Errors
    /// If the outbox exists but cannot be read.
    pub fn outgoing(&self) -> Result<Vec<(OsString, io::Result<Vec<u8>>)>> {
        let read = |name: OsString| {
            let bytes = open_regular(&self.outbox().join(&name)).and_then(|file| {
                let mut bytes = Vec::new();
                file.take(2 * MAX_BYTES as u64).read_to_end(&mut bytes)?;
                Ok(bytes)
            });
            (name, bytes)
        };
        Ok(names_in(&self.outbox())?.into_iter().map(read).collect())
    }

    /// Removes a file from the outbox.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn take_out(&self, name: impl AsRef<Path>) -> Result<()> {
        remove(&self.outbox().join(name))
    }

    /// Whether the inbox has any files.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        names_in(&self.inbox()).is_ok_and(|names| !names.is_empty())
    }

    /// How many files the inbox has.
    #[must_use]
    pub fn count_unread(&self) -> usize {
        names_in(&self.inbox()).map_or(0, |names| names.len())
    }

    /// Whether the message with this ID was read: journaled, then moved out of the inbox.
    #[must_use]
    pub fn was_read(&self, id: &str) -> bool {
        self.mail().join(format!("{id}.json")).exists()
    }

    /// Whether the message with this ID is in the inbox.
    #[must_use]
    pub fn is_unread(&self, id: &str) -> bool {
        self.inbox().join(format!("{id}.json")).exists()
    }

    /// Moves a file from the inbox to the read messages, under the name `to`. A missing file was
    /// moved before.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn put_away(&self, name: impl AsRef<Path>, to: &str) -> Result<()> {
        make_subfolder(&self.mail())?;
        let from = self.inbox().join(name);
        match rename(&from, &self.mail().join(to)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            moved => moved.attempt("move out of the inbox", &from),
        }
    }

    /// The message with this ID among those that were read.
    #[must_use]
    pub fn read_message(&self, id: &str) -> Option<Message> {
        read_message(&self.mail().join(format!("{id}.json"))).ok()
    }

    /// Looks up a message by ID, read or unread.
    #[must_use]
    pub fn message(&self, id: &str) -> Option<Message> {
        let name = format!("{id}.json");
        [self.mail(), self.inbox()].iter().find_map(|folder| read_message(&folder.join(&name)).ok())
    }
}

/// File names in a mail folder, except for files still being written.
fn names_in(folder: &Path) -> Result<Vec<OsString>> {
    // A link would show the names of another folder.
    if fs::symlink_metadata(folder).is_ok_and(|meta| !meta.is_dir()) {
        return Ok(Vec::new());
    }
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.attempt("read", folder)?,
    };
    let mut names: Vec<OsString> = entries
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.file_name())
        .filter(|name| !name.as_encoded_bytes().starts_with(b"."))
        .collect();
    names.sort();
    Ok(names)
}

/// A file that is not a message.
enum Unreadable {
    /// It cannot be opened, or is no regular file.
    Closed { at: Timestamp, why: String },
    /// It holds something else: its first bytes, its length, and what is wrong with it.
    Other { at: Timestamp, bytes: Vec<u8>, length: u64, error: MailError },
}

impl Unreadable {
    fn named(self, name: OsString, session: &str) -> Foreign {
        match self {
            Self::Closed { at, why } => Foreign::closed(name, at, why),
            Self::Other { at, bytes, length, error } => {
                Foreign::of(name, at, session, &bytes, length, &error)
            }
        }
    }
}

fn read_message(path: &Path) -> std::result::Result<Message, Unreadable> {
    let closed = |at: Timestamp, why: String| Unreadable::Closed { at, why };
    let meta = fs::symlink_metadata(path)
        .map_err(|error| closed(Timestamp::UNIX_EPOCH, error.to_string()))?;
    let at = Timestamp::try_from(meta.modified().unwrap_or(SystemTime::UNIX_EPOCH))
        .unwrap_or(Timestamp::UNIX_EPOCH);
    if !meta.is_file() {
        return Err(closed(at, "it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    let most = MAX_BYTES as u64 + 1;
    open_regular(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| closed(at, error.to_string()))?;
    let length = meta.len().max(bytes.len() as u64);
    Message::parse(&bytes).map_err(|error| Unreadable::Other { at, bytes, length, error })
}
