//! `samocode show`: the documents of a session that a human reads, and its diff.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};

use crate::control::documents::{self, Text};
use crate::session::describe::harmless;

use super::output::{self, BOLD, DIM, painted};
use super::{Common, complete, pager};

/// Print a session's overview, plan, questions, summary or changes
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode show jwt-login            what it wants you to read now\n  samocode show jwt-login plan\n  samocode show jwt-login diff       what its branch changed\n\nExit codes: 0 printed, 2 no such session, or it has no such document yet."
)]
pub(in crate::cli) struct Show {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// What to print [default: what the session is waiting for, or its summary]
    #[arg(value_enum)]
    topic: Option<Topic>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Topic {
    Overview,
    Plan,
    Questions,
    Summary,
    Diff,
}

impl From<Topic> for documents::Topic {
    fn from(topic: Topic) -> Self {
        match topic {
            Topic::Overview => Self::Overview,
            Topic::Plan => Self::Plan,
            Topic::Questions => Self::Questions,
            Topic::Summary => Self::Summary,
            Topic::Diff => Self::Diff,
        }
    }
}

impl Show {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(self, common: &Common) -> anyhow::Result<()> {
        let call = documents::Read {
            session: self.session,
            topic: self.topic.map(documents::Topic::from),
        };
        let read = common.call(call).await?;
        if self.json {
            return output::json(&read);
        }
        let _paged = pager::paged(true);
        if let Some(file) = read.file.as_ref().filter(|_| output::width().is_some()) {
            output::line(painted(DIM, file.display()))?;
        }
        if read.text.trim().is_empty() {
            return output::line(format!("The {} of {} is empty.", read.topic, read.session));
        }
        print(&read)
    }
}

fn print(read: &Text) -> anyhow::Result<()> {
    for line in harmless(&read.text).lines() {
        let style = match read.topic {
            documents::Topic::Diff => style_of_change(line),
            _ => Style::new(),
        };
        output::line(if style == Style::new() { line.to_owned() } else { painted(style, line) })?;
    }
    Ok(())
}

/// The colours git uses.
fn style_of_change(line: &str) -> Style {
    match line.as_bytes() {
        [b'd', b'i', b'f', b'f', b' ', ..] | [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => {
            BOLD
        }
        [b'+', ..] => AnsiColor::Green.on_default(),
        [b'-', ..] => AnsiColor::Red.on_default(),
        [b'@', b'@', ..] => AnsiColor::Cyan.on_default(),
        _ => Style::new(),
    }
}
