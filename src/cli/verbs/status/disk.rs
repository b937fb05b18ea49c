//! `samocode status --disk`: what sessions take on the disk.

use anstyle::Style;

use crate::cli::ui::layout::{Cell, Grid};
use crate::cli::ui::output::{self, BOLD, DIM, painted};
use crate::cli::verbs::Common;
use crate::control::disk::{Disk, Taken};
use crate::session::describe::size;
use crate::session::order;

pub(super) async fn show(common: &Common, sessions: Vec<String>, json: bool) -> anyhow::Result<()> {
    let is_all = sessions.is_empty();
    let mut all = common.call(Disk { sessions }).await?;
    order::by_key(&mut all, |taken| std::cmp::Reverse(taken.total()));
    if json {
        return output::json(&all);
    }
    for line in lines(&all, output::width()) {
        output::line(line)?;
    }
    if is_all && all.iter().any(|taken| taken.caches > 0) {
        let advice = "Remove build output of those that do not run: samocode archive --caches";
        output::line(painted(DIM, common.command(advice)))?;
    }
    Ok(())
}

/// The table: the largest first, the sum in bold.
fn lines(all: &[Taken], width: Option<usize>) -> Vec<String> {
    let header =
        ["SESSION", "STATE", "WORKTREE", "BUILD", "LOGS", "TRANSCRIPTS", "FILES", "TOTAL", ""];
    let mut grid = Grid::labelled(&header);
    let mut add = |name: &str, state: String, parts: [u64; 6], style: Style| {
        let names = [Cell::new(name).style(style), Cell::new(state).style(style)];
        let sizes = parts.map(|bytes| Cell::new(short(bytes)).style(style).right());
        grid.row(names.into_iter().chain(sizes).collect(), Cell::default());
    };
    let mut sums = [0; 6];
    for taken in all {
        let Taken { worktree, caches, logs, transcripts, files, .. } = *taken;
        let parts = [worktree, caches, logs, transcripts, files, taken.total()];
        sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        add(&taken.session, taken.state.to_string(), parts, Style::new());
    }
    if all.len() != 1 {
        add("total", String::new(), sums, BOLD);
    }
    grid.lines(width)
}

fn short(bytes: u64) -> String {
    if bytes == 0 { "-".to_owned() } else { size(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::state::StateName;

    #[test]
    fn sizes_are_in_columns_and_summed_up() {
        let taken = |name: &str, worktree, caches| Taken {
            session: name.to_owned(),
            state: StateName::Done,
            worktree,
            caches,
            logs: 1 << 20,
            transcripts: 0,
            files: 12 << 10,
        };
        let text =
            lines(&[taken("jwt", 3 << 20, 2 << 30), taken("x", 1 << 20, 0)], None).join("\n");
        let text = anstream::adapter::strip_str(&text).to_string();
        let words = |row: usize| {
            text.lines().nth(row).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(1), "jwt done 3 MiB 2 GiB 1 MiB - 12 KiB 2 GiB");
        assert_eq!(words(3), "total 4 MiB 2 GiB 2 MiB - 24 KiB 2 GiB");
    }
}
