//! The agent's unprocessed output, for [`Log::raw`](super::Log::raw).

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::session::event;
use crate::session::journal::Event;
use crate::session::store::{Folder, open_log, read_journal};

use super::growing::Growing;
use super::{Error, Line, Out, Result, Session};
use crate::control::error::Attempt as _;

/// Reads the output of the last run, and of those that begin later.
pub(super) struct Raw {
    folder: Folder,
    /// The log that is being read; none before the first run.
    present: Option<PathBuf>,
    stream: Option<Growing>,
    /// Bytes to leave out, as they belong to earlier lines than were asked for.
    skip: u64,
}

impl Raw {
    /// Begins at the last `lines`, or at the first.
    pub(super) fn new(session: &Session, lines: Option<usize>, follow: bool) -> Result<Self> {
        let present = last_log(&session.folder)?;
        if present.is_none() && !follow {
            return Err(Error::usage(format!("{} has not run yet", session.name)));
        }
        let skip = match (&present, lines) {
            (Some(path), Some(most)) => start_of_last_lines(path, most)?,
            _ => 0,
        };
        let stream = present.clone().map(Growing::new);
        Ok(Self { folder: session.folder.clone(), present, stream, skip })
    }

    /// Passes on everything added since the last call.
    pub(super) fn read_on(&mut self, out: Out<'_>) -> Result<()> {
        self.read(out)?;
        let newest = last_log(&self.folder)?;
        if newest != self.present {
            // What was added before the next run began.
            self.read(out)?;
            self.stream = newest.clone().map(Growing::new);
            self.present = newest;
            self.skip = 0;
            self.read(out)?;
        }
        Ok(())
    }

    fn read(&mut self, out: Out<'_>) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let skip = &mut self.skip;
        stream.read(&mut |bytes| {
            let skipped = usize::try_from(*skip).unwrap_or(usize::MAX).min(bytes.len());
            *skip -= skipped as u64;
            let bytes = bytes[skipped..].to_vec();
            if bytes.is_empty() { Ok(()) } else { out(Line::Raw { bytes }) }
        })
    }
}

fn last_log(folder: &Folder) -> Result<Option<PathBuf>> {
    let mut last = None;
    read_journal(folder, |entry| {
        if let Event::RunStarted(event::RunStarted { log, .. }) = &entry.event {
            last = Some(folder.logs().join(log));
        }
    })?;
    Ok(last)
}

/// The byte offset at which the last `most` lines begin.
fn start_of_last_lines(path: &Path, most: usize) -> Result<u64> {
    let read = || -> std::io::Result<u64> {
        let mut file = open_log(path)?;
        let (mut starts, mut size) = (VecDeque::from([0]), 0);
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let length = file.read(&mut chunk)?;
            if length == 0 {
                break;
            }
            for end in memchr::memchr_iter(b'\n', &chunk[..length]) {
                starts.push_back(size + end as u64 + 1);
                // Keep one more: the last start may be the end of the file.
                if starts.len() > most + 1 {
                    starts.pop_front();
                }
            }
            size += length as u64;
        }
        if starts.back() != Some(&size) && starts.len() > most {
            starts.pop_front();
        }
        Ok(starts.front().copied().unwrap_or(size))
    };
    match read() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        found => found.attempt(|| format!("read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_begin_after_the_line_end_before_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for (text, most, start) in [
            ("a\nbb\nccc\n", 2, 2),
            ("a\nbb\nccc", 2, 2),
            ("a\nbb\nccc\n", 9, 0),
            ("a\nbb\nccc\n", 0, 9),
            ("", 3, 0),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(start_of_last_lines(&path, most).unwrap(), start, "{text:?} {most}");
        }
        assert_eq!(start_of_last_lines(&folder.path().join("absent"), 1).unwrap(), 0);
    }
}
