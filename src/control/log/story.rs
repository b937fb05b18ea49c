//! Merges the journal and the agents' output into one chronological log.
//!
//! An agent's events carry no timestamps, so they follow the start of their run. A journal entry
//! written during the run follows the output read so far.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::agent::event::{MAX_TEXT, cut};
use crate::agent::stream::Lines;
use crate::agent::{Decoder, Event as AgentEvent, REGISTRY};
use crate::session::Phase;
use crate::session::RunOutcome;
use crate::session::event;
use crate::session::journal::{Entry, Event, Scanner};
use crate::session::store::{Folder, read_journal, read_tail};

use super::growing::Growing;
use super::{Line, Out, Result, Session};

/// Counts the runs a session has had.
pub(super) fn count_runs(session: &Session) -> Result<usize> {
    let mut runs = 0;
    read_journal(&session.folder, |entry| {
        runs += usize::from(matches!(entry.event, Event::RunStarted(_)));
    })?;
    Ok(runs)
}

/// How many runs had ended by then.
pub(super) fn runs_before(session: &Session, since: Option<Timestamp>) -> Result<usize> {
    let Some(since) = since else { return Ok(0) };
    let (mut ended, mut begun) = (0, 0);
    read_journal(&session.folder, |entry| match &entry.event {
        _ if entry.at >= since => {}
        Event::RunStarted(_) => (ended, begun) = (begun, begun + 1),
        Event::RunEnded(_) | Event::RunLost(_) => ended = begun,
        _ => {}
    })?;
    Ok(ended)
}

/// Which part of a session's log is read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    /// The first runs, and all before the next one, are left out.
    pub(super) skip: usize,
    pub(super) since: Option<Timestamp>,
    pub(super) phase: Option<Phase>,
    /// Of the first run that is read, only about so many bytes at the end.
    pub(super) end: Option<u64>,
}

/// Reads a session's journal and output incrementally.
pub(super) struct Story {
    folder: Folder,
    journal: Growing,
    scanner: Scanner,
    /// A journal line that is still incomplete.
    part: Vec<u8>,
    damage_told: bool,
    /// What is still to be left out.
    wanted: Wanted,
    /// Whether the current run is being skipped.
    passing: bool,
    working_dir: PathBuf,
    run: Option<Run>,
}

/// The longest line of a journal that is kept in memory. An agent may write to the file.
const LONGEST_LINE: usize = 64 << 20;

/// The run whose output is being read.
struct Run {
    id: String,
    log: PathBuf,
    stream: Growing,
    lines: Lines,
    decoder: Readable,
}

impl Story {
    /// A reader of a part.
    pub(super) fn new(session: &Session, wanted: Wanted) -> Self {
        Self {
            folder: session.folder.clone(),
            journal: Growing::new(session.folder.journal()),
            scanner: Scanner::default(),
            part: Vec::new(),
            damage_told: false,
            passing: wanted.skip > 0 || wanted.phase.is_some(),
            wanted,
            working_dir: PathBuf::new(),
            run: None,
        }
    }

    /// Passes on everything added since the last call.
    pub(super) fn read_on(&mut self, out: Out<'_>) -> Result<()> {
        let mut entries = Vec::new();
        let (part, scanner) = (&mut self.part, &mut self.scanner);
        self.journal.read(&mut |bytes| {
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                if part.len() + piece.len() > LONGEST_LINE {
                    scanner.endless();
                    part.clear();
                    continue;
                }
                part.extend_from_slice(piece);
                if part.ends_with(b"\n") {
                    entries.extend(scanner.line(part));
                    part.clear();
                }
            }
            Ok(())
        })?;
        for entry in &entries {
            self.entry(entry, out)?;
        }
        if let Some(damage) = self.scanner.damage.as_ref().filter(|_| !self.damage_told) {
            let warning = format!("{} is damaged in {damage}", self.folder.journal().display());
            out(Line::Damaged { warning })?;
            self.damage_told = true;
        }
        self.listen(out)
    }

    fn entry(&mut self, entry: &Entry, out: Out<'_>) -> Result<()> {
        if let Event::Prepared(event::Prepared { working_dir, .. }) = &entry.event {
            self.working_dir = PathBuf::from(working_dir);
        }
        let is_late = self.wanted.since.is_none_or(|since| entry.at >= since);
        if let Event::RunStarted(started) = &entry.event {
            let is_skipped = self.wanted.skip > 0;
            self.wanted.skip = self.wanted.skip.saturating_sub(1);
            let is_wanted = self.wanted.phase.is_none_or(|phase| phase == started.phase);
            self.listen(out)?;
            self.end_run(entry, out)?;
            self.passing = is_skipped || !is_wanted;
        } else if self.wanted.since.is_some() && is_late && self.wanted.phase.is_none() {
            self.passing = false;
        }
        // Before that time, only the start of the run that was under way is shown.
        if self.passing || (!is_late && !matches!(entry.event, Event::RunStarted(_))) {
            return Ok(());
        }
        self.listen(out)?;
        if let Event::RunEnded(_) | Event::RunLost(_) | Event::RunStarted(_) = &entry.event {
            self.end_run(entry, out)?;
        }
        out(Line::Journal { entry: Box::new(entry.clone()) })?;
        if let Event::RunStarted(event::RunStarted { run, agent, log, .. }) = &entry.event {
            let log = self.folder.logs().join(log);
            self.run = Some(Run {
                id: run.clone(),
                stream: Growing::at_end(log.clone(), self.wanted.end.take()),
                log,
                lines: Lines::default(),
                decoder: Readable(REGISTRY.decoder(agent, &self.working_dir)),
            });
        }
        Ok(())
    }

    /// Passes on the output of the current run added since the last call.
    fn listen(&mut self, out: Out<'_>) -> Result<()> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let (id, lines, decoder) = (&run.id, &mut run.lines, &mut run.decoder);
        run.stream.read(&mut |bytes| {
            let mut passed_on = Ok(());
            lines.feed(bytes, decoder, &mut |said| pass_on(id, said, out, &mut passed_on));
            passed_on
        })
    }

    /// Passes on the rest of the run's output and, if it failed, the end of its standard error.
    fn end_run(&mut self, entry: &Entry, out: Out<'_>) -> Result<()> {
        let Some(mut run) = self.run.take() else { return Ok(()) };
        let mut passed_on = Ok(());
        run.lines.finish(&mut run.decoder, &mut |said| {
            pass_on(&run.id, said, out, &mut passed_on);
        });
        passed_on?;
        if matches!(&entry.event, Event::RunEnded(event::RunEnded { outcome, .. }) if *outcome == RunOutcome::Finished)
        {
            return Ok(());
        }
        const MOST: u64 = 2048;
        let errors = read_tail(&run.log.with_extension("stderr"), MOST)?;
        for line in String::from_utf8_lossy(&errors).lines().filter(|line| !line.trim().is_empty())
        {
            out(Line::Stderr { run: run.id.clone(), text: line.to_owned() })?;
        }
        Ok(())
    }
}

/// Keeps the first failure of `out`, since a decoder cannot be stopped.
fn pass_on(run: &str, event: AgentEvent, out: Out<'_>, passed_on: &mut Result<()>) {
    if passed_on.is_ok() && event != AgentEvent::Progress {
        *passed_on = out(Line::Agent { run: run.to_owned(), event });
    }
}

/// A decoder that also passes on lines that are not events, as programs print them for people.
struct Readable(Box<dyn Decoder>);

impl Decoder for Readable {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(AgentEvent)) {
        let mut quiet = true;
        self.0.line(line, &mut |said| {
            if said != AgentEvent::Progress {
                quiet = false;
                emit(said);
            }
        });
        if quiet && !line.trim_ascii_start().starts_with(b"{") {
            let text = String::from_utf8_lossy(line);
            emit(AgentEvent::Text { text: cut(&text, MAX_TEXT).to_owned() });
        }
    }

    fn oversized(&mut self, head: &[u8], tail: &[u8], emit: &mut dyn FnMut(AgentEvent)) {
        self.0.oversized(head, tail, emit);
    }
}
