//! The bytes that are yet to be written to an agent's standard input.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};

use tokio::net::unix::pipe::Sender;

use crate::platform::memory;

use super::super::stream::CHUNK;
use super::pipe::is_passing;

/// The writing end of an agent's standard input, and the bytes that wait to be written. The default
/// is closed.
#[derive(Debug, Default)]
pub(super) struct Feed {
    pipe: Option<Sender>,
    pending: Vec<u8>,
    /// Whether more may be added.
    open: bool,
}

impl Feed {
    /// An open feed that starts with these bytes.
    pub(super) const fn open(first: Vec<u8>) -> Self {
        Self { pipe: None, pending: first, open: true }
    }

    /// Attaches the pipe of the process.
    pub(super) fn attach(&mut self, pipe: Option<Sender>) {
        self.pipe = pipe;
    }

    /// Queues bytes to be written. Returns false if the input is closed, or closing.
    pub(super) fn add(&mut self, bytes: &[u8]) -> bool {
        let takes = self.pipe.is_some() && self.open;
        if takes {
            self.pending.extend_from_slice(bytes);
        }
        takes
    }

    /// Closes it once everything is written.
    pub(super) fn close(&mut self) {
        self.open = false;
        if self.pending.is_empty() {
            self.pipe = None;
        }
    }

    /// Waits until there is something to write and room for it; forever if there never is.
    pub(super) async fn writable(&self) {
        match self.pipe.as_ref().filter(|_| !self.pending.is_empty()) {
            Some(pipe) => drop(pipe.writable().await),
            None => std::future::pending().await,
        }
    }

    /// Writes as much as the pipe takes.
    pub(super) fn write(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        match pipe.try_write(&self.pending) {
            Ok(count) => {
                self.pending.drain(..count);
                if self.pending.is_empty() {
                    self.pending.shrink_to(CHUNK);
                    if !self.open {
                        self.pipe = None;
                    }
                }
            }
            Err(error) if is_passing(&error) => {}
            // It no longer reads; its exit says why.
            Err(_) => {
                self.pipe = None;
                self.pending.clear();
            }
        }
    }
}

/// An unnamed file with the text. If the worker were killed while writing to a pipe, the agent
/// would read half a prompt and act on it.
pub(super) fn whole(text: &[u8]) -> io::Result<File> {
    let mut file = memory::unnamed_file()?;
    file.write_all(text)?;
    file.rewind()?;
    Ok(file)
}
