//! `samocode merge`: the branches of finished sessions become one tested branch.

use std::process::ExitCode;

use clap::Args;

use crate::control::merge::{self, End, Landed, Merged, Part};
use crate::git::merge::Conflict;
use crate::session::describe::harmless;

use super::format::count;
use super::layout::{Cell, Grid};
use super::output::{self, BOLD, DIM, painted};
use super::{Common, complete};

/// Merge the branches of finished sessions into one, and test the result
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode merge jwt-login search-index --dry-run     predict the conflicts\n  samocode merge jwt-login search-index\n  samocode merge jwt-login --into develop\n\nA session whose branch conflicts, or with which the tests (SAMOCODE_TEST_COMMAND) fail, is left out and named with the reason; the others are merged. If the target branch is checked out somewhere, the result is on the branch samocode-merge/TARGET and the command that takes it over is printed: samocode never touches a checkout. A merge that was interrupted is resumed by the same command.\n\nExit codes: 0 all are merged, 1 some or all were left out, or nothing could be done, 2 no such session."
)]
pub(in crate::cli) struct Merge {
    /// Names, dated folder names, or instances
    #[arg(required = true, add = complete::sessions())]
    sessions: Vec<String>,
    /// The branch to merge into [default: the one that sessions start from]
    #[arg(long, value_name = "BRANCH")]
    into: Option<String>,
    /// Only predict conflicts; changes nothing
    #[arg(long, conflicts_with = "resolve")]
    dry_run: bool,
    /// Start a session for each conflict, to resolve it
    #[arg(long)]
    resolve: bool,
    /// Also merge sessions that are not done
    #[arg(long)]
    unfinished: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Merge {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let call = merge::Merge {
            sessions: self.sessions,
            into: self.into,
            dry_run: self.dry_run,
            unfinished: self.unfinished,
            resolve: self.resolve,
        };
        let merged = common.call(call).await?;
        if self.json {
            output::json(&merged)?;
        } else {
            for line in lines(&merged, output::width()) {
                output::line(line)?;
            }
        }
        Ok(if merged.is_partial() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn lines(merged: &Merged, width: Option<usize>) -> Vec<String> {
    let mut grid = Grid::new(&["SESSION", "COMMITS", "RESULT"]);
    let predicted = match merged.landed {
        Landed::Predicted => "no conflict",
        _ => "cannot be predicted",
    };
    for part in &merged.members {
        let result = part.end.as_ref().map_or_else(|| predicted.to_owned(), describe);
        let cells = vec![Cell::new(&part.session).style(BOLD), Cell::new(part.commits).right()];
        grid.row(cells, Cell::new(result));
    }
    let mut lines = grid.lines(width);
    for part in &merged.members {
        lines.extend(details(part));
    }
    lines.extend(closing(merged));
    lines
}

fn describe(end: &End) -> String {
    match end {
        End::Merged | End::Contained | End::Conflicts { .. } => end.why(),
        End::Refused { .. } | End::Red { .. } | End::HeldUp { .. } => {
            format!("left out: {}", end.why())
        }
    }
}

/// The passages in conflict, or the last lines of the tests.
fn details(part: &Part) -> Vec<String> {
    let heading = |text: String| vec![String::new(), painted(BOLD, text)];
    let indented = |text: &str| -> Vec<String> {
        text.lines().map(|line| painted(DIM, format!("  {}", harmless(line)))).collect()
    };
    match &part.end {
        Some(End::Conflicts { files }) => {
            let mut lines = Vec::new();
            for Conflict { path, kind, hunks } in files {
                lines.extend(heading(format!("{}: {}: {kind}", part.session, harmless(path))));
                lines.extend(hunks.iter().flat_map(|hunk| indented(hunk)));
            }
            lines
        }
        Some(End::Red { output, .. }) => {
            let mut lines = heading(format!("{}: the tests end with", part.session));
            lines.extend(indented(output));
            lines
        }
        _ => Vec::new(),
    }
}

fn closing(merged: &Merged) -> Vec<String> {
    let into = &merged.into;
    let in_it = merged.members.iter().filter(|part| part.end == Some(End::Merged)).count();
    let sessions = count(in_it, "session", "sessions");
    let tested = match &merged.tested {
        Some(command) => format!("tested with: {}", harmless(command)),
        None => "not tested: SAMOCODE_TEST_COMMAND is not set".to_owned(),
    };
    let mut lines = vec![String::new()];
    match &merged.landed {
        Landed::Moved { commit } => {
            lines.push(format!("{into} has {sessions}, at {}; {tested}", short(commit)));
        }
        Landed::Beside { commit, branch, checked_out, command } => {
            lines.push(format!("{branch} has {sessions}, at {}; {tested}", short(commit)));
            lines.push(format!(
                "{into} is checked out in {} and was not changed. Get the result with: {command}",
                checked_out.display()
            ));
        }
        Landed::Nothing => lines.push(format!("{into} is unchanged.")),
        Landed::Predicted => lines.push("Nothing was changed.".to_owned()),
        Landed::Unpredictable => lines.push(
            "Cannot predict conflicts here: only git itself can merge in this repository."
                .to_owned(),
        ),
    }
    for resolving in &merged.resolving {
        let (by, session) = (&resolving.by, &resolving.session);
        lines.push(match &resolving.error {
            None => format!("Started {by} to resolve the conflict of {session}."),
            Some(error) => format!(
                "could not start {by} to resolve the conflict of {session}: {}",
                error.in_one_line()
            ),
        });
    }
    if let Some(log) = merged.log.as_ref().filter(|_| merged.is_partial()) {
        lines.push(format!("Full test output: {}", log.display()));
    }
    lines
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::merge::ConflictKind;

    #[test]
    fn each_member_has_a_line_and_each_reason_its_passage() {
        let part = |session: &str, end: End| Part {
            session: session.into(),
            instance: session.into(),
            branch: session.into(),
            commits: 2,
            end: Some(end),
        };
        let files = vec![Conflict {
            path: "a.rs".into(),
            kind: ConflictKind::BothChanged,
            hunks: vec!["line 1:\n<<<<<<< main\n\u{1b}[31mx".into()],
        }];
        let red = End::Red { with: vec!["jwt".into()], output: "1 failed".into() };
        let merged = Merged {
            into: "main".into(),
            base: "0".repeat(40),
            members: vec![
                part("jwt", End::Merged),
                part("search", End::Conflicts { files }),
                part("cart", red),
                part("pay", End::HeldUp { by: "cart".into() }),
            ],
            landed: Landed::Beside {
                commit: "0123456789abcdef".into(),
                branch: "samocode-merge/main".into(),
                checked_out: "/src/shop".into(),
                command: "git -C /src/shop merge --ff-only samocode-merge/main".into(),
            },
            tested: Some("make test".into()),
            resolving: Vec::new(),
            log: Some("/s/_merge/main.log".into()),
        };
        let text: Vec<String> = lines(&merged, None)
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect();
        assert_eq!(
            text.join("\n"),
            "SESSION  COMMITS  RESULT\n\
             jwt            2  merged\n\
             search         2  conflict in a.rs\n\
             cart           2  left out: the tests fail with it and jwt together\n\
             pay            2  left out: it is built on cart\n\
             \n\
             search: a.rs: both changed it\n  line 1:\n  <<<<<<< main\n  ␛[31mx\n\
             \n\
             cart: the tests end with\n  1 failed\n\
             \n\
             samocode-merge/main has 1 session, at 0123456789; tested with: make test\n\
             main is checked out in /src/shop and was not changed. Get the result with: git -C /src/shop merge --ff-only samocode-merge/main\n\
             Full test output: /s/_merge/main.log"
        );
    }
}
