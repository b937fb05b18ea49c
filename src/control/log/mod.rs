//! A session's log, as a stream: its journal, merged with what its agents said and did.

mod growing;
mod raw;
mod story;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{Sender, channel};

use super::context::{Caller, Warnings};
use super::error::{Class, Error, Result};
use super::folders::FolderWatch;
use super::session::Session;
use super::target::Target;
use crate::agent;
use crate::platform::limits::Limit;
use crate::platform::threads;
use crate::session::Phase;
use crate::session::journal::Entry;

use raw::Raw;
use story::{Story, Wanted};

/// Which part of a session's log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// A name, a dated folder name, or an instance.
    pub session: String,
    /// At least this many of the last lines that have something to say; all if absent.
    #[serde(default)]
    pub last: Option<usize>,
    /// Whether new lines follow those that are there, until the stream is dropped.
    #[serde(default)]
    pub follow: bool,
    /// Instead of the log, the unprocessed output of the agent in the current or last run, and with
    /// `follow` in later runs. `last` counts its lines exactly.
    #[serde(default)]
    pub raw: bool,
    /// Only what happened from then on; of the run that was under way, all that its agent said. Earlier
    /// runs are not read.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Only runs of this phase, and what happened until the next run of another. Others are not read.
    #[serde(default)]
    pub phase: Option<Phase>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// An entry of the session's journal.
    Journal {
        /// The entry as the journal has it, with its time and number.
        entry: Box<Entry>,
    },
    /// Something an agent said or did.
    Agent {
        /// The id of the run, as in the journal and `SAMOCODE_RUN`.
        run: String,
        /// What the agent said or did.
        event: agent::Event,
    },
    /// A line from the end of the standard error of a run that failed.
    Stderr {
        /// The id of the run, as in the journal and `SAMOCODE_RUN`.
        run: String,
        /// The line, without its end.
        text: String,
    },
    /// A piece of an agent's unprocessed output. Pieces may begin and end anywhere.
    Raw {
        /// The bytes as the agent wrote them.
        bytes: Vec<u8>,
    },
    /// Nothing can be watched, so new lines come late.
    Unwatched {
        /// Why, and how to change that.
        warning: String,
    },
    /// The journal is damaged.
    Damaged {
        /// The damaged place and what is wrong with it, in one line.
        warning: String,
    },
    /// All that was there when the stream began has been sent; what comes now is new.
    UpToDate,
}

impl Line {
    /// Whether a person is shown anything for it.
    fn says_something(&self) -> bool {
        use agent::Event;
        match self {
            Self::Journal { .. } | Self::Stderr { .. } | Self::Raw { .. } => true,
            Self::Agent { event, .. } => match event {
                Event::Text { text } => !text.trim().is_empty(),
                Event::Tool(_) | Event::Denied(_) | Event::Retry { .. } => true,
                Event::Limit(limit) => limit.reached,
                Event::Finished(finished) => finished.is_error,
                Event::Started { .. } | Event::Progress | Event::Usage { .. } => false,
            },
            Self::Damaged { .. } | Self::Unwatched { .. } | Self::UpToDate => false,
        }
    }
}

/// Receives lines; an error ends the reading.
type Out<'a> = &'a mut dyn FnMut(Line) -> Result<()>;

/// How many lines may wait for a slow reader.
const WAITING: usize = 256;

/// Sends a session's log until its end, or with `follow` until the stream is dropped. An error is
/// the last item.
///
/// # Errors
/// For a session that does not exist; with `raw`, for one that has not run yet; where no folder can
/// be watched.
pub(super) async fn log(caller: &Caller, log: Log) -> Result<BoxStream<'static, Result<Line>>> {
    let session = Target::resolve(caller, &Warnings::default(), &log.session)?.session;
    // Watch before reading, or lines written in between would show up late.
    let following = if log.follow { Some(Following::new(&session)?) } else { None };
    let source = if log.raw {
        Source::Raw(Raw::new(&session, log.last, log.follow)?)
    } else {
        let wanted = Wanted { since: log.since, phase: log.phase, ..Wanted::default() };
        Source::Story(Box::new(Story::new(&session, skipped_runs(&session, log.last, wanted)?)))
    };
    let (lines, received) = channel(WAITING);
    if let Some(warning) = following.as_ref().and_then(|following| following.watch.remark()) {
        // There is room: it is the first.
        let _ = lines.try_send(Ok(Line::Unwatched { warning }));
    }
    tokio::spawn(send_all(source, following, lines));
    let next = |mut received: tokio::sync::mpsc::Receiver<_>| async move {
        received.recv().await.map(|line| (line, received))
    };
    Ok(stream::unfold(received, next).boxed())
}

/// The two files that a log is read from.
enum Source {
    Story(Box<Story>),
    Raw(Raw),
}

impl Source {
    fn read_on(&mut self, out: Out<'_>) -> Result<()> {
        match self {
            Self::Story(story) => story.read_on(out),
            Self::Raw(raw) => raw.read_on(out),
        }
    }
}

async fn send_all(
    mut source: Source,
    mut following: Option<Following>,
    lines: Sender<Result<Line>>,
) {
    let mut is_first = true;
    loop {
        let to = lines.clone();
        // In a thread of its own: it reads files, and waits for a slow reader.
        let reading = threads::apart(move || {
            let read = source.read_on(&mut |line| send(&to, line));
            (source, read)
        });
        let (read_from, read) = match reading.await.map_err(no_thread) {
            Ok(done) => done,
            Err(error) => {
                let _ = lines.send(Err(error)).await;
                return;
            }
        };
        source = read_from;
        if let Err(error) = read {
            let _ = lines.send(Err(error)).await;
            return;
        }
        if std::mem::take(&mut is_first) && lines.send(Ok(Line::UpToDate)).await.is_err() {
            return;
        }
        let Some(following) = &mut following else { return };
        tokio::select! {
            () = following.changed() => {}
            () = lines.closed() => return,
        }
    }
}

fn no_thread(error: std::io::Error) -> Error {
    let limit = Limit::of_start(&error).map(Limit::remedy);
    let error = Error::unavailable(format!("cannot start a thread that reads the log: {error}"));
    Error { hint: limit, ..error }
}

fn send(to: &Sender<Result<Line>>, line: Line) -> Result<()> {
    to.blocking_send(Ok(line)).map_err(|_| Error::new(Class::Internal, "nobody reads the log"))
}

/// How much of the end of the last run is tried first, in bytes: a run may have said a gigabyte.
const ENDS: [u64; 2] = [1 << 20, 16 << 20];

/// What of this to leave out for the last lines: reads from the end, twice as many runs each time, until
/// there are enough lines.
fn skipped_runs(session: &Session, last: Option<usize>, wanted: Wanted) -> Result<Wanted> {
    let wanted = Wanted { skip: story::runs_before(session, wanted.since)?, ..wanted };
    let Some(most) = last else { return Ok(wanted) };
    let runs = story::count_runs(session)?;
    let has_enough = |wanted: Wanted| -> Result<bool> {
        let mut lines = 0;
        Story::new(session, wanted).read_on(&mut |line| {
            lines += usize::from(line.says_something());
            Ok(())
        })?;
        Ok(lines >= most)
    };
    for end in ENDS {
        let skip = runs.saturating_sub(1).max(wanted.skip);
        let some = Wanted { skip, end: Some(end), ..wanted };
        if has_enough(some)? {
            return Ok(some);
        }
    }
    let mut looked_at = 1;
    loop {
        let skip = runs.saturating_sub(looked_at).max(wanted.skip);
        let some = Wanted { skip, ..wanted };
        if skip == wanted.skip || has_enough(some)? {
            return Ok(some);
        }
        looked_at *= 2;
    }
}

/// Watches a session's journal and logs.
struct Following {
    logs: std::path::PathBuf,
    /// Whether the logs folder exists and is being watched.
    with_logs: bool,
    watch: FolderWatch,
}

impl Following {
    fn new(session: &Session) -> Result<Self> {
        let mut watch = FolderWatch::session(&session.folder)?;
        let logs = session.folder.logs();
        let with_logs = logs.is_dir();
        if with_logs {
            watch.add(&logs)?;
        }
        Ok(Self { logs, with_logs, watch })
    }

    /// Waits until there may be new lines.
    async fn changed(&mut self) {
        if !self.with_logs && self.logs.is_dir() && self.watch.add(&self.logs).is_ok() {
            self.with_logs = true;
            return;
        }
        self.watch.changed().await;
    }
}

#[cfg(test)]
mod tests;
