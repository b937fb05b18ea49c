//! `samocode logs --raw`: the agent's unprocessed output.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::control::Error;
use crate::control::session::Session;
use crate::session::describe::harmless;
use crate::session::journal::Event;
use crate::session::store::read_journal;

use super::Following;
use super::growing::Growing;

/// Prints the output of the current or last run; with `watch`, also new output, including that of
/// later runs.
pub(super) async fn show(
    session: &Session,
    watch: Option<Following<'_>>,
    lines: Option<usize>,
) -> anyhow::Result<()> {
    let mut present = last_log(session)?;
    let Some(path) = &present else {
        if watch.is_none() {
            let message = format!("{} has not run yet", session.name);
            return Err(Error::usage(message).into());
        }
        return follow(session, watch, present.take(), 0).await;
    };
    let start = match lines {
        Some(most) => start_of_last_lines(path, most)?,
        None => 0,
    };
    follow(session, watch, present.take(), start).await
}

async fn follow(
    session: &Session,
    mut watch: Option<Following<'_>>,
    mut present: Option<PathBuf>,
    start: u64,
) -> anyhow::Result<()> {
    let mut skip = start;
    let mut stream = present.clone().map(Growing::new);
    loop {
        if let Some(stream) = &mut stream {
            stream.read(&mut |bytes| {
                let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
                skip -= skipped as u64;
                write(&bytes[skipped..])
            })?;
        }
        let Some(watch) = &mut watch else { return Ok(()) };
        if !watch.changed().await? {
            return Ok(());
        }
        let newest = last_log(session)?;
        if newest != present {
            if let Some(stream) = &mut stream {
                stream.read(&mut |bytes| write(bytes))?;
            }
            stream = newest.clone().map(Growing::new);
            present = newest;
        }
    }
}

/// Writes the bytes unchanged, or without control sequences if to a terminal.
fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        out.write_all(harmless(&String::from_utf8_lossy(bytes)).as_bytes())?;
    } else {
        out.write_all(bytes)?;
    }
    Ok(out.flush()?)
}

fn last_log(session: &Session) -> anyhow::Result<Option<PathBuf>> {
    let mut last = None;
    read_journal(&session.folder, |entry| {
        if let Event::RunStarted { log, .. } = &entry.event {
            last = Some(session.folder.logs().join(log));
        }
    })?;
    Ok(last)
}

/// The byte offset at which the last `most` lines begin.
fn start_of_last_lines(path: &Path, most: usize) -> anyhow::Result<u64> {
    let read = || -> std::io::Result<u64> {
        let mut file = File::open(path)?;
        let (mut starts, mut at) = (VecDeque::from([0]), 0);
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let length = file.read(&mut chunk)?;
            if length == 0 {
                break;
            }
            for end in memchr::memchr_iter(b'\n', &chunk[..length]) {
                starts.push_back(at + end as u64 + 1);
                // Keep one more: the last start may be the end of the file.
                if starts.len() > most + 1 {
                    starts.pop_front();
                }
            }
            at += length as u64;
        }
        let size = file.seek(SeekFrom::End(0))?;
        if starts.back() != Some(&size) && starts.len() > most {
            starts.pop_front();
        }
        Ok(starts.front().copied().unwrap_or(size))
    };
    match read() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        found => found.with_context(|| format!("cannot read {}", path.display())),
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
