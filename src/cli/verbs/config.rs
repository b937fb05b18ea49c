//! `samocode config`: every setting and its source; for a session, the settings of its unit.

use std::process::ExitCode;

use clap::Args;

use crate::control::settings::{
    Configure, Configured, RECORDED, Replaced, Setting, UnitSetting, Worked,
};
use crate::session::describe::harmless;

use super::layout::{Cell, Grid};
use super::{Common, complete, output, pager};

/// Show every setting, its value and its source
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode config              settings for commands run here\n  samocode config jwt-login    settings of the session's unit, and what differs here\n\nLater sources override earlier ones: the default, ~/.config/samocode/config, the project's\n.samocode, ~/.config/samocode/env, the environment, a flag."
)]
pub(in crate::cli) struct Config {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Config {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let configured = common.call(Configure { session: self.session }).await?;
        let _paged = pager::paged(!self.json);
        let shown = if self.json { output::json(&configured) } else { print(&configured) };
        output::until_closed(shown.map(|()| ExitCode::SUCCESS))
    }
}

fn print(configured: &Configured) -> anyhow::Result<()> {
    let lines: Vec<Line<'_>> = match configured {
        Configured::Here(here) => here.settings.iter().map(Line::here).collect(),
        Configured::Session(session) => session.settings.iter().map(Line::here).collect(),
        Configured::Unit(unit) => unit.settings.iter().map(Line::of_unit).collect(),
    };
    for line in table(&lines, output::width()) {
        output::line(line)?;
    }
    if let Configured::Unit(unit) = configured {
        for (name, value) in &unit.environment {
            let from = output::painted(output::DIM, RECORDED);
            output::line(format!("{name}={value}   {from}"))?;
        }
    }
    let instructions = match configured {
        Configured::Here(here) => &here.instructions,
        Configured::Session(session) => &session.instructions,
        Configured::Unit(unit) => &unit.instructions,
    };
    for Replaced { name, file } in instructions {
        output::line(format!("{name} is replaced by {}", file.display()))?;
    }
    let worked = match configured {
        Configured::Here(_) => &[][..],
        Configured::Session(session) => &session.worked,
        Configured::Unit(unit) => &unit.worked,
    };
    // One agent for all of it needs no line.
    if let [_, _, ..] = worked {
        output::line("Agents so far:")?;
        for Worked { agent, from, total } in worked {
            output::line(format!("  {} from {from} (iteration {total})", harmless(agent)))?;
        }
    }
    Ok(())
}

/// The settings as columns: on a wide terminal and in a pipe also what they are about.
fn table(lines: &[Line<'_>], width: Option<usize>) -> Vec<String> {
    let about = width.is_none_or(|width| width >= WIDE);
    let header = ["KEY", "VALUE", "FROM", "ABOUT"];
    let mut grid = Grid::new(if about { &header } else { &header[..3] });
    for line in lines {
        let Setting { key, value, origin, doc } = line.setting;
        let from = match line.here {
            Some(here) => format!("{origin}; here {here}"),
            None => origin.clone(),
        };
        let mut cells = vec![Cell::new(key), Cell::new(value)];
        if about {
            cells.push(Cell::new(from));
            grid.row(cells, Cell::new(doc).style(output::DIM));
        } else {
            grid.row(cells, Cell::new(from));
        }
    }
    grid.lines(width)
}

/// As wide a terminal has room for a fourth column.
const WIDE: usize = 140;

/// One row of the table.
struct Line<'a> {
    setting: &'a Setting,
    /// This shell's value and its source, where it differs.
    here: Option<&'a str>,
}

impl<'a> Line<'a> {
    const fn here(setting: &'a Setting) -> Self {
        Self { setting, here: None }
    }

    fn of_unit(of_unit: &'a UnitSetting) -> Self {
        Self { setting: &of_unit.setting, here: of_unit.here.as_deref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_fit_the_terminal_and_a_pipe_gets_all_of_them() {
        let setting = |key: &str, value: &str, origin: &str| Setting {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: origin.to_owned(),
            doc: "where each session's folder of plain files is made".to_owned(),
        };
        let settings = [
            setting("SESSIONS", "/srv/projects/shop-sessions", "/srv/projects/shop/.samocode:3"),
            setting("CLAUDE_MODEL", "opus", "default"),
            setting("SAMOCODE_CONTEXT_HANDOFF_AT", "80 %", "default"),
        ];
        let [sessions, model, handoff] = settings.each_ref().map(Line::here);
        let lines = [sessions, Line { here: Some("haiku (environment)"), ..model }, handoff];
        for (name, width) in crate::cli::ui::layout::WIDTHS {
            let text = table(&lines, width).join("\n");
            let text = anstream::adapter::strip_str(&text).to_string();
            insta::assert_snapshot!(name, text);
        }
        crate::cli::ui::layout::assert_fits(|width| table(&lines, width).join("\n"));
    }
}
