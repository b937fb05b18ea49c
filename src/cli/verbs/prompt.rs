//! `samocode prompt`: what an agent is told in a run, and how large it is.

use std::process::ExitCode;

use clap::Args;

use crate::control::prompt::{self, Part, Prompted};
use crate::session::describe::harmless;

use super::layout::{Cell, Grid};
use super::output::{self, BOLD, DIM, painted};
use super::{Common, complete, pager};

/// Print a session's prompt, with the size of each part
///
/// The current run, or else the last one. With --next, or if there was none: the next run, as if it
/// started now. Parts that do not change between runs come first, so that a model's provider can cache
/// them. Sizes are estimated: four bytes a token.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode prompt jwt-login          the prompt of its last run\n  samocode prompt jwt-login --next   the prompt of its next run, with unread mail and your edits\n\nsamocode config lists the files that replace built-in instructions."
)]
pub(in crate::cli) struct Prompt {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// The next run instead of the last one
    #[arg(long)]
    next: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Prompt {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(self, common: &Common) -> anyhow::Result<()> {
        let call = prompt::Prompt { session: self.session, next: self.next };
        let prompted = common.call(call).await?;
        if self.json {
            return output::json(&prompted);
        }
        let _paged = pager::paged(true);
        for line in sizes(&prompted, output::width()) {
            output::line(line)?;
        }
        for part in &prompted.parts {
            output::line("")?;
            output::line(painted(DIM, format!("==== {}", part.name)))?;
            for line in harmless(&part.text).trim_matches('\n').lines() {
                output::line(line)?;
            }
        }
        Ok(())
    }
}

fn sizes(prompted: &Prompted, width: Option<usize>) -> Vec<String> {
    let mut grid = Grid::new(&["PART", "TOKENS", "FROM"]);
    for part in &prompted.parts {
        let cells = vec![Cell::new(&part.name).style(BOLD), Cell::new(part.tokens).right()];
        grid.row(cells, Cell::new(source(part)));
    }
    let total: usize = prompted.parts.iter().map(|part| part.tokens).sum();
    let of = match (&prompted.run, prompted.resumes) {
        (Some(run), false) => format!("run {run}"),
        (Some(run), true) => format!("run {run}, which resumed a conversation that has the rest"),
        (None, false) => "the next run".to_owned(),
        (None, true) => "the next run, which resumes a conversation that has the rest".to_owned(),
    };
    let cells = vec![Cell::new("all").style(BOLD), Cell::new(total).right()];
    grid.row(cells, Cell::new(of));
    grid.lines(width)
}

fn source(part: &Part) -> String {
    let is_file = part.name.ends_with(".md");
    match &part.file {
        Some(file) => file.display().to_string(),
        None if is_file => "built in".to_owned(),
        None => "this session".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_size_and_where_it_is_from() {
        let part = |name: &str, file: Option<&str>, tokens| Part {
            name: name.to_owned(),
            file: file.map(Into::into),
            tokens,
            text: String::new(),
        };
        let parts = vec![
            part("workflow.md", None, 2300),
            part("agents/testing-agent.md", Some("/p/.samocode.d/agents/testing-agent.md"), 7),
            part("The task", None, 12),
        ];
        let prompted = Prompted { session: "jwt".to_owned(), run: None, resumes: false, parts };
        let lines = sizes(&prompted, None);
        let lines = lines.iter().map(|line| anstream::adapter::strip_str(line).to_string());
        let shown: Vec<Vec<String>> = lines
            .map(|line| {
                line.split("  ")
                    .map(|cell| cell.trim().to_owned())
                    .filter(|cell| !cell.is_empty())
                    .collect()
            })
            .collect();
        assert_eq!(shown[1], ["workflow.md", "2300", "built in"], "{shown:?}");
        assert_eq!(shown[2][2], "/p/.samocode.d/agents/testing-agent.md");
        assert_eq!(shown[4], ["all", "2319", "the next run"]);
    }
}
