//! Merges the journal and the agents' output into one chronological log.
//!
//! An agent's events carry no timestamps, so they follow the start of their run. A journal entry
//! written during the run follows the output read so far.

use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::agent::event::{MAX_TEXT, cut};
use crate::agent::stream::Lines;
use crate::agent::{Decoder, Event as Said, REGISTRY};
use crate::cli::ui::output::{BOLD, DIM, in_line, painted};
use crate::cli::ui::words::clock;
use crate::control::session::Session;
use crate::session::RunOutcome;
use crate::session::clock;
use crate::session::describe::harmless;
use crate::session::event;
use crate::session::journal::{Entry, Event, Scanner, Step};
use crate::session::store::{Folder, read_journal, read_tail};

use super::growing::Growing;

/// Receives the lines; an error stops the log.
pub(super) type Out<'a> = &'a mut dyn FnMut(&str) -> anyhow::Result<()>;

/// Output format: text for people, or JSON for programs.
#[derive(Debug, Clone)]
pub(super) struct Form {
    json: bool,
    zone: TimeZone,
}

impl Form {
    pub(super) fn new(json: bool) -> Self {
        Self { json, zone: clock::local_zone() }
    }

    fn entry(&self, entry: &Entry) -> anyhow::Result<String> {
        if self.json {
            let mut value = serde_json::to_value(entry)?;
            value["source"] = Value::from("journal");
            return Ok(value.to_string());
        }
        let at = entry.at.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string();
        let day = clock(entry.at, Timestamp::now(), &self.zone);
        let at = if day.len() > 5 { format!("{} {at}", &day[..5]) } else { at };
        let text = harmless(&entry.event.describe()).into_owned();
        Ok(format!("{}  {}", painted(DIM, at), painted(style_of(&entry.event), text)))
    }

    fn said(&self, run: &str, said: &Said) -> anyhow::Result<Option<String>> {
        if self.json {
            if *said == Said::Progress {
                return Ok(None);
            }
            let mut value = serde_json::to_value(said)?;
            value["source"] = Value::from("agent");
            value["run"] = Value::from(run);
            return Ok(Some(value.to_string()));
        }
        Ok(readable(said))
    }

    fn stderr(&self, run: &str, line: &str) -> String {
        if self.json {
            return json!({ "source": "stderr", "run": run, "text": line }).to_string();
        }
        let red = AnsiColor::Red.on_default();
        format!("{INDENT}{}", painted(red, format!("stderr: {}", harmless(line))))
    }
}

const INDENT: &str = "          ";

const fn style_of(event: &Event) -> Style {
    match event {
        Event::RunStarted(_) => BOLD,
        Event::SignalTaken(event::SignalTaken { step: Step::Block { .. }, .. })
        | Event::Blocked(_)
        | Event::Stalled(_)
        | Event::RunLost(_)
        | Event::RunEnded(event::RunEnded { failure: true, .. }) => AnsiColor::Red.on_default(),
        Event::SignalTaken(event::SignalTaken { step: Step::Wait { .. }, .. })
        | Event::Nudged(_)
        | Event::Limited(_)
        | Event::Paused(_) => AnsiColor::Yellow.on_default(),
        Event::SignalTaken(_) => AnsiColor::Cyan.on_default(),
        _ => Style::new(),
    }
}

/// Formats what an agent said or did; `None` for mere signs of life.
fn readable(said: &Said) -> Option<String> {
    let note = |text: String| Some(format!("{INDENT}{}", painted(DIM, text)));
    match said {
        Said::Text { text } => {
            let text = harmless(text.trim());
            let lines: Vec<String> =
                text.lines().map(|line| format!("{INDENT}{line}").trim_end().to_owned()).collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        }
        Said::Tool(tool) => {
            let what = if tool.summary.is_empty() { &tool.name } else { &tool.summary };
            note(format!("· {}", in_line(what, 120)))
        }
        Said::Denied(denied) => {
            let why = in_line(&denied.why, 200);
            let why = if why.is_empty() { why } else { format!(": {why}") };
            let text = format!("✗ denied: {}{why}", in_line(&denied.call, 120));
            Some(format!("{INDENT}{}", painted(AnsiColor::Red.on_default(), text)))
        }
        Said::Limit(limit) if limit.reached => {
            note(format!("· usage limit {} reached", in_line(&limit.kind, 40)))
        }
        Said::Retry { attempt, status, error } => {
            let status = status.map_or_else(String::new, |status| format!(" {status}"));
            note(format!("· API error{status} {}, attempt {attempt}", in_line(error, 80)))
        }
        Said::Finished(finished) if finished.is_error => {
            let text = in_line(&finished.text, 300);
            Some(format!("{INDENT}{}", painted(AnsiColor::Red.on_default(), text)))
        }
        Said::Started { .. }
        | Said::Progress
        | Said::Usage { .. }
        | Said::Limit(_)
        | Said::Finished(_) => None,
    }
}

/// Counts the runs a session has had.
pub(super) fn count_runs(session: &Session) -> anyhow::Result<usize> {
    let mut runs = 0;
    read_journal(&session.folder, |entry| {
        runs += usize::from(matches!(entry.event, Event::RunStarted(_)));
    })?;
    Ok(runs)
}

/// Reads a session's journal and output incrementally.
pub(super) struct Story {
    folder: Folder,
    form: Form,
    journal: Growing,
    scanner: Scanner,
    /// A journal line that is still incomplete.
    part: Vec<u8>,
    damage_told: bool,
    /// How many more runs to skip.
    skip: usize,
    /// Whether the current run is being skipped.
    passing: bool,
    working_dir: PathBuf,
    run: Option<Run>,
}

/// The run whose output is being read.
struct Run {
    id: String,
    log: PathBuf,
    stream: Growing,
    lines: Lines,
    decoder: Readable,
}

impl Story {
    /// A reader that leaves out the first `skip` runs and everything before them.
    pub(super) fn new(session: &Session, form: Form, skip: usize) -> Self {
        Self {
            folder: session.folder.clone(),
            form,
            journal: Growing::new(session.folder.journal()),
            scanner: Scanner::default(),
            part: Vec::new(),
            damage_told: false,
            skip,
            passing: skip > 0,
            working_dir: PathBuf::new(),
            run: None,
        }
    }

    /// Prints everything added since the last call.
    pub(super) fn read_on(&mut self, out: Out<'_>) -> anyhow::Result<()> {
        let mut entries = Vec::new();
        let (part, scanner) = (&mut self.part, &mut self.scanner);
        self.journal.read(&mut |bytes| {
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
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
            crate::cli::ui::output::note(&format!(
                "{} is damaged in {damage}",
                self.folder.journal().display()
            ));
            self.damage_told = true;
        }
        self.listen(out)
    }

    fn entry(&mut self, entry: &Entry, out: Out<'_>) -> anyhow::Result<()> {
        if let Event::Prepared(event::Prepared { working_dir, .. }) = &entry.event {
            self.working_dir = PathBuf::from(working_dir);
        }
        if matches!(entry.event, Event::RunStarted(_)) && self.skip > 0 {
            self.skip -= 1;
            self.passing = true;
            return Ok(());
        }
        if matches!(entry.event, Event::RunStarted(_)) {
            self.passing = false;
        }
        if self.passing {
            return Ok(());
        }
        self.listen(out)?;
        if let Event::RunEnded(_) | Event::RunLost(_) | Event::RunStarted(_) = &entry.event {
            self.end_run(entry, out)?;
        }
        out(&self.form.entry(entry)?)?;
        if let Event::RunStarted(event::RunStarted { run, agent, log, .. }) = &entry.event {
            let log = self.folder.logs().join(log);
            self.run = Some(Run {
                id: run.clone(),
                stream: Growing::new(log.clone()),
                log,
                lines: Lines::default(),
                decoder: Readable(REGISTRY.decoder(agent, &self.working_dir)),
            });
        }
        Ok(())
    }

    /// Prints the output of the current run added since the last call.
    fn listen(&mut self, out: Out<'_>) -> anyhow::Result<()> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let (id, form, lines, decoder) = (&run.id, &self.form, &mut run.lines, &mut run.decoder);
        run.stream.read(&mut |bytes| {
            let mut told = Ok(());
            lines.feed(bytes, decoder, &mut |said| tell(form, id, &said, out, &mut told));
            told
        })
    }

    /// Prints the rest of the run's output and, if it failed, the end of its standard error.
    fn end_run(&mut self, entry: &Entry, out: Out<'_>) -> anyhow::Result<()> {
        let Some(mut run) = self.run.take() else { return Ok(()) };
        let mut told = Ok(());
        run.lines.finish(&mut run.decoder, &mut |said| {
            tell(&self.form, &run.id, &said, out, &mut told);
        });
        told?;
        if matches!(&entry.event, Event::RunEnded(event::RunEnded { outcome, .. }) if *outcome == RunOutcome::Finished)
        {
            return Ok(());
        }
        const MOST: u64 = 2048;
        let errors = read_tail(&run.log.with_extension("stderr"), MOST)?;
        for line in String::from_utf8_lossy(&errors).lines().filter(|line| !line.trim().is_empty())
        {
            out(&self.form.stderr(&run.id, line))?;
        }
        Ok(())
    }
}

/// Keeps the first failure of `out`, since a decoder cannot be stopped.
fn tell(form: &Form, run: &str, said: &Said, out: Out<'_>, told: &mut anyhow::Result<()>) {
    if told.is_ok() {
        *told = form.said(run, said).and_then(|line| line.map_or(Ok(()), |line| out(&line)));
    }
}

/// A decoder that also passes on lines that are not events, as programs print them for people.
struct Readable(Box<dyn Decoder>);

impl Decoder for Readable {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Said)) {
        let mut quiet = true;
        self.0.line(line, &mut |said| {
            if said != Said::Progress {
                quiet = false;
                emit(said);
            }
        });
        if quiet && !line.trim_ascii_start().starts_with(b"{") {
            let text = String::from_utf8_lossy(line);
            emit(Said::Text { text: cut(&text, MAX_TEXT).to_owned() });
        }
    }

    fn oversized(&mut self, head: &[u8], tail: &[u8], emit: &mut dyn FnMut(Said)) {
        self.0.oversized(head, tail, emit);
    }
}
