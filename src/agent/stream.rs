//! An agent's output: byte for byte into its log, line by line to its decoder.
//!
//! Memory does not grow with the output: a line within one chunk is passed on in place; one that
//! spans chunks is assembled up to [`MAX_LINE`]; of a longer one only its beginning and end are
//! kept.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};

use super::event::{Decoder, Event};
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
    pub const fn new(file: File) -> Self {
        Self { file: Sink::Open(file), room: MAX_LOG, written: 0, error: None }
    }

    /// The same log, which holds no more than this many bytes.
    #[cfg(test)]
    fn with_room(self, room: u64) -> Self {
        Self { room, ..self }
    }

    /// A log whose file is opened at the first byte: most runs write nothing to standard error.
    pub fn later(open: impl FnOnce() -> io::Result<File> + Send + 'static) -> Self {
        Self { file: Sink::Later(Box::new(open)), room: MAX_LOG, written: 0, error: None }
    }

    /// Appends the bytes; after the first error nothing more is written, so that a log never has
    /// a hole.
    pub fn write(&mut self, bytes: &[u8]) {
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Read, Seek};

    /// Notes what it is given.
    #[derive(Default)]
    struct Notes(Vec<(usize, Vec<u8>)>);

    impl Decoder for Notes {
        fn line(&mut self, line: &[u8], _emit: &mut dyn FnMut(Event)) {
            self.0.push((line.len(), line.to_vec()));
        }
        fn oversized(&mut self, head: &[u8], tail: &[u8], _emit: &mut dyn FnMut(Event)) {
            self.0.push((usize::MAX, [head, b"...", tail].concat()));
        }
    }

    fn split(chunks: &[&[u8]]) -> Vec<(usize, Vec<u8>)> {
        let (mut notes, mut lines) = (Notes::default(), Lines::default());
        for chunk in chunks {
            lines.feed(chunk, &mut notes, &mut |_| ());
        }
        lines.finish(&mut notes, &mut |_| ());
        notes.0
    }

    #[test]
    fn lines_are_split_and_a_torn_last_one_is_handed_over() {
        let lines: Vec<_> =
            split(&[b"a\r\n\nbc", b"d\nto", b"rn"]).into_iter().map(|l| l.1).collect();
        assert_eq!(lines, [b"a".to_vec(), b"bcd".to_vec(), b"torn".to_vec()]);
    }

    #[test]
    fn of_a_line_too_long_both_ends_are_handed_over_however_it_is_cut() {
        let mut whole: Vec<u8> = (0..MAX_LINE + 12_345).map(|at| b'a' + (at % 23) as u8).collect();
        let expected = [&whole[..HEAD], b"...", &whole[whole.len() - TAIL..]].concat();
        whole.extend_from_slice(b"\nnext\n");
        for size in [1000, 4096, CHUNK, whole.len()] {
            let chunks: Vec<_> = whole.chunks(size).collect();
            let found = split(&chunks);
            assert_eq!(found.len(), 2, "chunks of {size}");
            assert!(found[0] == (usize::MAX, expected.clone()), "chunks of {size}");
            assert_eq!(found[1].1, b"next");
        }
    }

    #[test]
    fn a_line_of_100_mb_through_a_pipe_takes_no_memory_and_is_logged_whole() {
        const LENGTH: u64 = 100_000_000;
        let (reader, mut writer) = io::pipe().unwrap();
        let generator = std::thread::spawn(move || {
            io::copy(&mut io::repeat(b'x').take(LENGTH), &mut writer).unwrap();
            writer.write_all(b"\nlast\n").unwrap();
        });
        let mut log = Log::new(tempfile::tempfile().unwrap());
        let (mut notes, mut lines) = (Notes::default(), Lines::default());
        let (mut chunk, mut most, mut reader) = (vec![0; CHUNK], 0, reader);
        loop {
            let count = reader.read(&mut chunk).unwrap();
            if count == 0 {
                break;
            }
            log.write(&chunk[..count]);
            lines.feed(&chunk[..count], &mut notes, &mut |_| ());
            most = most.max(lines.capacity());
        }
        generator.join().unwrap();
        assert!(most <= 2 * MAX_LINE + HEAD, "{most} bytes were held");
        assert!(lines.capacity() <= CHUNK + HEAD, "{} bytes are still held", lines.capacity());
        assert_eq!(log.written, LENGTH + 6);
        assert_eq!(notes.0.len(), 2);
        assert_eq!(notes.0[1].1, b"last");
    }

    #[test]
    fn a_log_that_cannot_be_written_ends_and_says_so_once() {
        let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
            crate::skipped("there is no /dev/full");
            return;
        };
        let mut log = Log::new(full);
        let mut notes = Notes::default();
        pump(&b"a\nb\n"[..], &mut log, &mut notes, &mut |_| ()).unwrap();
        assert_eq!(notes.0.len(), 2);
        assert_eq!(log.written, 0);
        assert_eq!(log.error.unwrap().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_log_ends_where_it_is_full_and_says_so_while_the_output_is_read_on() {
        let file = tempfile::tempfile().unwrap();
        let mut log = Log::new(file.try_clone().unwrap()).with_room(4);
        let mut notes = Notes::default();
        pump(&b"ab\ncd\nef\n"[..], &mut log, &mut notes, &mut |_| ()).unwrap();
        log.write(b"gh");
        assert_eq!((notes.0.len(), log.written), (3, 4));
        assert_eq!(log.error.unwrap().to_string(), "the agent printed more than 4 bytes");
        let (mut file, mut found) = (file, Vec::new());
        file.rewind().unwrap();
        file.read_to_end(&mut found).unwrap();
        assert_eq!(found, b"ab\nc");
        let mut exact = Log::new(tempfile::tempfile().unwrap()).with_room(4);
        exact.write(b"abcd");
        exact.write(b"");
        assert!(exact.error.is_none());
    }

    #[test]
    fn the_log_has_every_byte() {
        let bytes = b"a\r\n\0\xff{\n\n torn";
        let file = tempfile::tempfile().unwrap();
        let mut log = Log::new(file.try_clone().unwrap());
        pump(&bytes[..], &mut log, &mut Notes::default(), &mut |_| ()).unwrap();
        let (mut file, mut found) = (file, Vec::new());
        file.rewind().unwrap();
        file.read_to_end(&mut found).unwrap();
        assert_eq!(found, bytes);
    }

    proptest! {
        #[test]
        fn chunk_boundaries_anywhere_give_the_same_lines(
            text in "[ab\\r\\n]{0,60}",
            cuts in proptest::collection::vec(0usize..60, 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut at: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let chunks: Vec<_> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(&chunks), split(&[bytes]));
        }

        #[test]
        fn a_tail_is_the_end_of_what_came(parts in proptest::collection::vec(0usize..5000, 0..6)) {
            let mut tail = Tail::default();
            let mut all = Vec::new();
            for (at, length) in parts.into_iter().enumerate() {
                let part = vec![b'a' + at as u8; length];
                tail.feed(&part);
                all.extend(part);
            }
            let end = &all[all.len().saturating_sub(Tail::KEPT)..];
            let kept = tail.text();
            prop_assert_eq!(kept.as_bytes(), end);
        }
    }
}
