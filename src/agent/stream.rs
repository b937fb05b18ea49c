//! An agent's output: byte for byte into its log, but for secrets, line by line to its decoder.
//!
//! Memory does not grow with the output: a line within one chunk is passed on in place; one that
//! spans chunks is assembled up to [`MAX_LINE`]; of a longer one only its beginning and end are
//! kept.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};

use super::event::{Decoder, Event};
use crate::config::Veil;
use crate::session::describe::size;

/// How much is read at once, in bytes.
pub const CHUNK: usize = 256 * 1024;
/// The longest line that is passed on whole, in bytes.
pub const MAX_LINE: usize = 1024 * 1024;
/// How much of the beginning of a longer line is kept, in bytes.
pub const HEAD: usize = 4 * 1024;
/// How much of its end is kept, in bytes.
pub const TAIL: usize = 64 * 1024;

/// Splits a stream into lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// The beginning of a line whose end has not come; when `oversized`, its last bytes.
    part: Vec<u8>,
    /// The beginning of a line longer than [`MAX_LINE`].
    head: Vec<u8>,
    oversized: bool,
}

impl Lines {
    /// Takes the next bytes and hands every line that ends in them to the decoder.
    pub fn feed(&mut self, mut chunk: &[u8], to: &mut dyn Decoder, emit: &mut dyn FnMut(Event)) {
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            let (line, rest) = (&chunk[..end], &chunk[end + 1..]);
            if self.part.is_empty() && !self.oversized && line.len() <= MAX_LINE {
                hand_over(line, to, emit);
            } else {
                self.keep(line);
                self.end_line(to, emit);
            }
            chunk = rest;
        }
        self.keep(chunk);
    }

    /// Passes on the bytes after the last line end. The decoder treats a cut-off line that does not
    /// parse as a sign of life.
    pub fn finish(&mut self, to: &mut dyn Decoder, emit: &mut dyn FnMut(Event)) {
        self.end_line(to, emit);
        *self = Self::default();
    }

    fn keep(&mut self, bytes: &[u8]) {
        if !self.oversized && self.part.len() + bytes.len() <= MAX_LINE {
            return self.part.extend_from_slice(bytes);
        }
        if !self.oversized {
            self.oversized = true;
            let missing = HEAD.saturating_sub(self.part.len()).min(bytes.len());
            self.head.extend_from_slice(&self.part[..self.part.len().min(HEAD)]);
            self.head.extend_from_slice(&bytes[..missing]);
        }
        // Twice the tail, so that it rarely has to be moved down.
        let fresh = &bytes[bytes.len().saturating_sub(TAIL)..];
        if self.part.len() + fresh.len() > 2 * TAIL {
            let kept = TAIL.saturating_sub(fresh.len()).min(self.part.len());
            self.part.drain(..self.part.len() - kept);
            self.part.shrink_to(2 * TAIL);
        }
        self.part.extend_from_slice(fresh);
    }

    fn end_line(&mut self, to: &mut dyn Decoder, emit: &mut dyn FnMut(Event)) {
        if self.oversized {
            let tail = &self.part[self.part.len().saturating_sub(TAIL)..];
            to.oversized(&self.head, tail, emit);
            self.oversized = false;
            self.head.clear();
        } else {
            hand_over(&self.part, to, emit);
        }
        self.part.clear();
        self.part.shrink_to(CHUNK);
    }

    /// The memory held, in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.part.capacity() + self.head.capacity()
    }
}

fn hand_over(line: &[u8], to: &mut dyn Decoder, emit: &mut dyn FnMut(Event)) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !line.is_empty() {
        to.line(line, emit);
    }
}

/// The most of a run's output that is kept, in bytes: a program that prints without end must not fill
/// the disk.
pub const MAX_LOG: u64 = 1 << 30;

/// A log that is written until the first error, or until it is [`MAX_LOG`] long. A full disk does not
/// stop the agent; it is reported once that the log is incomplete.
pub struct Log {
    file: Sink,
    veil: Veil,
    /// How much it may hold, in bytes.
    room: u64,
    /// Bytes written so far.
    pub written: u64,
    /// The error that ended the writing, if one did.
    pub error: Option<io::Error>,
}

impl Log {
    /// A log that appends to this file.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self::to(Sink::Open(file))
    }

    /// The same log, which holds no more than this many bytes.
    #[cfg(test)]
    fn with_room(self, room: u64) -> Self {
        Self { room, ..self }
    }

    /// A log whose file is opened at the first byte: most runs write nothing to standard error.
    pub fn later(open: impl FnOnce() -> io::Result<File> + Send + 'static) -> Self {
        Self::to(Sink::Later(Box::new(open)))
    }

    fn to(file: Sink) -> Self {
        Self { file, veil: Veil::default(), room: MAX_LOG, written: 0, error: None }
    }

    /// The same log without the secrets that this hides.
    #[must_use]
    pub fn behind(self, veil: Veil) -> Self {
        Self { veil, ..self }
    }

    /// Appends the bytes; after the first error nothing more is written, so that a log never has
    /// a hole.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.veil.is_clear() {
            return self.append(bytes);
        }
        let seen = self.veil.pass(bytes);
        self.append(&seen);
    }

    /// Appends what was held back: nothing follows.
    pub fn end(&mut self) {
        let rest = self.veil.rest();
        self.append(&rest);
    }

    fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let room = usize::try_from(self.room - self.written).unwrap_or(usize::MAX);
        let (bytes, rest) = bytes.split_at(room.min(bytes.len()));
        let written = match std::mem::replace(&mut self.file, Sink::Closed) {
            Sink::Closed => return,
            Sink::Later(open) => open(),
            Sink::Open(file) => Ok(file),
        }
        .and_then(|mut file| file.write_all(bytes).map(|()| file));
        match written {
            Ok(_) if !rest.is_empty() => {
                self.written += bytes.len() as u64;
                let most = size(self.room);
                self.error = Some(io::Error::other(format!("the agent printed more than {most}")));
            }
            Ok(file) => {
                self.written += bytes.len() as u64;
                self.file = Sink::Open(file);
            }
            Err(error) => self.error = Some(error),
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("written", &self.written).field("error", &self.error).finish()
    }
}

/// Where a log's bytes go.
enum Sink {
    Open(File),
    Later(Box<dyn FnOnce() -> io::Result<File> + Send>),
    /// An error ended the log.
    Closed,
}

/// The last bytes of a stream.
#[derive(Debug, Default)]
pub struct Tail(Vec<u8>);

impl Tail {
    /// How much is kept, in bytes.
    pub const KEPT: usize = 4 * 1024;

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let fresh = &bytes[bytes.len().saturating_sub(Self::KEPT)..];
        let surplus = (self.0.len() + fresh.len()).saturating_sub(Self::KEPT);
        self.0.drain(..surplus.min(self.0.len()));
        self.0.extend_from_slice(fresh);
    }

    /// The bytes kept, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// Reads `from` to its end as a run does, without a process: for measuring.
///
/// # Errors
/// Those of reading.
pub fn pump(
    mut from: impl io::Read,
    log: &mut Log,
    to: &mut dyn Decoder,
    emit: &mut dyn FnMut(Event),
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut lines = Lines::default();
    loop {
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                log.write(&chunk[..count]);
                lines.feed(&chunk[..count], to, emit);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    lines.finish(to, emit);
    Ok(())
}

#[cfg(test)]
mod tests;
