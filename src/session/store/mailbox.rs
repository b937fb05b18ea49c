//! A session's mail: unread in `_inbox/`, read in `_mail/`, one file per message.

use std::fs;
use std::io;
use std::path::Path;

use super::error::{Attempt, Result};
use super::files::{make_subfolder, rename, replace};
use super::folder::Folder;
use crate::session::mail::Message;
use crate::session::signal::MAX_BYTES;

/// The contents of an inbox.
#[derive(Debug, Default)]
pub struct Unread {
    /// The messages, oldest first, each with its file name.
    pub messages: Vec<(String, Message)>,
    /// Names of files that are not messages, each with the reason.
    pub strange: Vec<(String, String)>,
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
        for name in names_in(&self.inbox())? {
            let path = self.inbox().join(&name);
            match read_message(&path) {
                Ok(message) => unread.messages.push((name, message)),
                Err(why) => unread.strange.push((name, why)),
            }
        }
        unread.messages.sort_by(|(_, a), (_, b)| (a.at, &a.id).cmp(&(b.at, &b.id)));
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
        messages.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(messages)
    }

    /// Whether the inbox has any files.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        names_in(&self.inbox()).is_ok_and(|names| !names.is_empty())
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
    pub fn put_away(&self, name: &str, to: &str) -> Result<()> {
        make_subfolder(&self.mail())?;
        let from = self.inbox().join(name);
        match rename(&from, &self.mail().join(to)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            moved => moved.attempt("move out of the inbox", &from),
        }
    }

    /// Looks up a message by ID, read or unread.
    #[must_use]
    pub fn message(&self, id: &str) -> Option<Message> {
        let name = format!("{id}.json");
        [self.mail(), self.inbox()].iter().find_map(|folder| read_message(&folder.join(&name)).ok())
    }
}

/// File names in a mail folder, except for files still being written.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.attempt("read", folder)?,
    };
    let mut names: Vec<String> = entries
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    Ok(names)
}

fn read_message(path: &Path) -> std::result::Result<Message, String> {
    let meta = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("not a regular file".to_owned());
    }
    if meta.len() > MAX_BYTES as u64 {
        return Err(format!("it has {} bytes, more than the maximum of {MAX_BYTES}", meta.len()));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    Message::parse(&bytes).map_err(|error| error.to_string())
}
