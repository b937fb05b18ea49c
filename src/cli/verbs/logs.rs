//! `samocode logs`: a session's journal merged with the output of its agents.

mod growing;
mod raw;
mod story;

use std::collections::VecDeque;
use std::process::ExitCode;

use clap::Args;

use crate::control::folders::FolderWatch;
use crate::control::session::Session;

use super::{Common, complete, output, pager};
use story::{Form, Story};

/// Show a session's events, and what its agents said and did
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode logs jwt-login\n  samocode logs -f jwt-login          follow until Ctrl-C\n  samocode logs --raw jwt-login       the agent's output in the last run, byte for byte"
)]
pub(in crate::cli) struct Logs {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// Keep printing new lines until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines [default: all, or 20 with -f]
    #[arg(short = 'n', long, value_name = "LINES")]
    lines: Option<usize>,
    /// The agent's unprocessed output in the current or last run
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Print entries and events as JSON, one per line
    #[arg(long)]
    json: bool,
}

/// How many old lines `--follow` shows first.
const BEFORE: usize = 20;

impl Logs {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(&self, common: &Common) -> anyhow::Result<()> {
        let session = common.target(&self.session)?.session;
        // Watch before reading, or lines written in between would show up late.
        let watch = if self.follow { Some(Following::new(&session)?) } else { None };
        let remark = watch.as_ref().and_then(|following| following.watch.remark());
        remark.iter().for_each(|remark| output::note(remark));
        if self.raw {
            return raw::show(&session, watch, self.lines).await;
        }
        let _paged = pager::paged(!self.json && !self.follow);
        let form = Form::new(self.json);
        let lines = self.lines.or(self.follow.then_some(BEFORE));
        let mut story = match lines {
            None => {
                let mut story = Story::new(&session, form, 0);
                story.read_on(&mut |line| output::line(line))?;
                story
            }
            Some(most) => last_lines(&session, form, most)?,
        };
        let Some(mut watch) = watch else { return Ok(()) };
        while watch.changed().await? {
            story.read_on(&mut |line| output::line(line))?;
        }
        Ok(())
    }
}

/// Prints the last lines, reading only as many runs as that takes.
fn last_lines(session: &Session, form: Form, most: usize) -> anyhow::Result<Story> {
    let runs = story::count_runs(session)?;
    let mut looked_at = 1;
    loop {
        let skipped = runs.saturating_sub(looked_at);
        let mut story = Story::new(session, form.clone(), skipped);
        let mut last = VecDeque::new();
        story.read_on(&mut |lines| {
            for line in lines.lines() {
                if last.len() == most {
                    last.pop_front();
                }
                if most > 0 {
                    last.push_back(line.to_owned());
                }
            }
            Ok(())
        })?;
        if last.len() >= most || skipped == 0 {
            for line in last {
                output::line(line)?;
            }
            return Ok(story);
        }
        looked_at *= 2;
    }
}

/// Watches a session's journal and logs for new lines.
struct Following<'a> {
    session: &'a Session,
    watch: FolderWatch,
    closed: output::Closed,
    /// Whether the logs folder existed and is being watched.
    with_logs: bool,
}

impl<'a> Following<'a> {
    fn new(session: &'a Session) -> anyhow::Result<Self> {
        let (folder, logs) = (session.folder.path(), session.folder.logs());
        let with_logs = logs.is_dir();
        let watched = std::iter::once(folder).chain(with_logs.then_some(logs.as_path()));
        let closed = output::Closed::of_stdout();
        Ok(Self { session, watch: FolderWatch::all(watched)?, closed, with_logs })
    }

    /// Waits for new lines; `false` when the reader has closed our output.
    async fn changed(&mut self) -> anyhow::Result<bool> {
        if !self.with_logs && self.session.folder.logs().is_dir() {
            *self = Self::new(self.session)?;
            return Ok(true);
        }
        Ok(tokio::select! {
            () = self.watch.changed() => true,
            () = self.closed.wait() => false,
        })
    }
}
