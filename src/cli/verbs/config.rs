//! `samocode config`: every setting and its source; for a session, the settings of its unit.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::agent::{roles, vocabulary};
use crate::config::keys;
use crate::config::{Dirs, Env, Flags, Origin, Row, Settings};
use crate::control::Answer;
use crate::control::context::{Context, Warnings, is_outside};
use crate::control::session::Session;
use crate::control::target::Target;
use crate::service::{self, Recorded};

use super::layout::{Cell, Grid};
use super::{Common, complete, front, output, pager};

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
    pub(super) fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let _paged = pager::paged(!self.json);
        output::until_closed(self.tell(common))
    }

    fn tell(&self, common: &Common) -> anyhow::Result<ExitCode> {
        match &self.session {
            Some(typed) => {
                let Target { context, session } = common.target(typed)?;
                self.of_session(common, &context, &session)?;
            }
            None => {
                let caller = common.caller()?;
                if is_outside(&caller) {
                    self.outside()?;
                    return Ok(ExitCode::SUCCESS);
                }
                let warnings = Warnings::default();
                let result = Context::here(&caller, &warnings);
                let context = front::accept(Answer { result, warnings: warnings.take() })?;
                self.show(
                    &json!({
                        "project": context.project.root,
                        "config": context.project.config,
                        "settings": context.settings.rows(),
                        "instructions": replaced(&context),
                    }),
                    context.settings.rows().iter().map(Line::here).collect(),
                )?;
                self.tell_replaced(&context)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Shows the settings that apply to all projects.
    fn outside(&self) -> anyhow::Result<()> {
        let settings = Settings::load(&vocabulary(), None, &Env::of_process(), &Flags::default())?;
        for warning in settings.warnings() {
            output::note(&warning.to_string());
        }
        let rows: Vec<&Row> = settings.rows().iter().filter(|row| !is_projects(row)).collect();
        let lines = rows.iter().map(|row| Line::here(row)).collect();
        self.show(&json!({ "project": null, "config": null, "settings": rows }), lines)?;
        output::note("no .samocode here or in a parent folder: project settings are not shown");
        Ok(())
    }

    fn of_session(
        &self,
        common: &Common,
        context: &Context,
        session: &Session,
    ) -> anyhow::Result<()> {
        let here = context.settings.rows();
        let Some(recorded) = service::recorded(context.scope(), &session.instance)? else {
            self.show(
                &json!({
                    "session": session.name,
                    "instance": session.instance,
                    "unit": null,
                    "settings": here,
                    "instructions": replaced(context),
                }),
                here.iter().map(Line::here).collect(),
            )?;
            self.tell_replaced(context)?;
            output::note(&format!(
                "{} has no unit: enable would record the settings of this shell",
                session.name
            ));
            return Ok(());
        };
        let unit = Settings::load(
            &vocabulary(),
            Some(&context.project),
            &units_env(&context.dirs, &recorded),
            &Flags::default(),
        )?;
        let lines: Vec<Line> =
            unit.rows().iter().map(|row| Line::of_unit(row, counterpart(here, row))).collect();
        let words = vocabulary();
        let others: Vec<&(String, String)> =
            recorded.environment.iter().filter(|(name, _)| words.lookup(name).is_none()).collect();
        let differs = lines.iter().any(|line| line.here.is_some());
        let others_json: serde_json::Map<String, Value> = others
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        self.show(
            &json!({
                "session": session.name,
                "instance": session.instance,
                "unit": crate::service::unit_name(&session.instance),
                "config": recorded.config,
                "settings": lines.iter().map(Line::json).collect::<Vec<_>>(),
                "environment": others_json,
                "instructions": replaced(context),
            }),
            lines,
        )?;
        self.tell_replaced(context)?;
        if !self.json {
            for (name, value) in others {
                let from = output::painted(output::DIM, RECORDED);
                output::line(format!("{name}={value}   {from}"))?;
            }
        }
        if differs {
            output::note(&common.command(&format!(
                "the unit ignores values that differ here; to record this shell's settings: samocode enable {}",
                session.instance
            )));
        }
        Ok(())
    }

    /// Says which files replace built-in instructions of the agents.
    fn tell_replaced(&self, context: &Context) -> anyhow::Result<()> {
        if !self.json {
            for (name, file) in replaced(context) {
                output::line(format!("{name} is replaced by {}", file.display()))?;
            }
        }
        Ok(())
    }

    fn show(&self, value: &Value, lines: Vec<Line>) -> anyhow::Result<()> {
        if self.json {
            return output::json(value);
        }
        for line in table(&lines, output::width()) {
            output::line(line)?;
        }
        Ok(())
    }
}

/// Instructions of the agents that are not the built-in ones, and their files.
fn replaced(context: &Context) -> Vec<(String, PathBuf)> {
    let folders = roles::folders(&context.project.root, context.dirs.config.parent());
    roles::overrides(&folders)
}

/// The settings as columns: on a wide terminal and in a pipe also what they are about.
fn table(lines: &[Line], width: Option<usize>) -> Vec<String> {
    let about = width.is_none_or(|width| width >= WIDE);
    let header = ["KEY", "VALUE", "FROM", "ABOUT"];
    let mut grid = Grid::new(if about { &header } else { &header[..3] });
    for line in lines {
        let from = match &line.here {
            Some(here) => format!("{}; here {here}", line.from),
            None => line.from.clone(),
        };
        let mut cells = vec![Cell::new(&line.key), Cell::new(&line.value)];
        if about {
            cells.push(Cell::new(from));
            grid.row(cells, Cell::new(line.about).style(output::DIM));
        } else {
            grid.row(cells, Cell::new(from));
        }
    }
    grid.lines(width)
}

/// As wide a terminal has room for a fourth column.
const WIDE: usize = 140;

/// The source shown for a value in the unit's own environment.
const RECORDED: &str = "recorded by enable";

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    key: String,
    value: String,
    from: String,
    about: &'static str,
    /// This shell's value and its source, where it differs.
    here: Option<String>,
}

impl Line {
    fn here(row: &Row) -> Self {
        Self {
            key: row.key.clone(),
            value: row.value.clone(),
            from: row.origin.to_string(),
            about: row.doc,
            here: None,
        }
    }

    /// A setting of the unit, next to the same setting in this shell.
    fn of_unit(row: &Row, here: Option<&Row>) -> Self {
        let from = match &row.origin {
            Origin::Environment => RECORDED.to_owned(),
            other => other.to_string(),
        };
        let here = here
            .filter(|here| here.value != row.value)
            .map(|here| format!("{} ({})", here.value, here.origin));
        Self { from, here, ..Self::here(row) }
    }

    fn json(&self) -> Value {
        json!({
            "key": self.key,
            "value": self.value,
            "origin": self.from,
            "doc": self.about,
            "here": self.here,
        })
    }
}

fn counterpart<'a>(rows: &'a [Row], row: &Row) -> Option<&'a Row> {
    rows.iter().find(|here| here.key == row.key)
}

fn is_projects(row: &Row) -> bool {
    keys::KEYS.iter().any(|key| key.of_project && key.name == row.key)
}

/// The environment the unit's worker reads its settings from. The shell's is not part of it.
fn units_env(dirs: &Dirs, recorded: &Recorded) -> Env {
    let mut env: Env = recorded.environment.iter().cloned().collect();
    env.set_default("HOME", &dirs.home);
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: &str, origin: Origin) -> Row {
        Row { key: "CLAUDE_MODEL".to_owned(), value: value.to_owned(), origin, doc: "the model" }
    }

    #[test]
    fn a_setting_of_the_unit_names_what_this_shell_has_only_where_it_differs() {
        let unit = row("opus", Origin::Default);
        let same = Line::of_unit(&unit, Some(&row("opus", Origin::Environment)));
        assert_eq!((same.from.as_str(), same.here), ("default", None));
        let other = Line::of_unit(&unit, Some(&row("haiku", Origin::Environment)));
        assert_eq!(other.here.as_deref(), Some("haiku (environment)"));
        let recorded = Line::of_unit(&row("haiku", Origin::Environment), None);
        assert_eq!(recorded.from, RECORDED);
    }

    #[test]
    fn the_settings_fit_the_terminal_and_a_pipe_gets_all_of_them() {
        let line = |key: &str, value: &str, from: &str| Line {
            key: key.to_owned(),
            value: value.to_owned(),
            from: from.to_owned(),
            about: "where each session's folder of plain files is made",
            here: None,
        };
        let lines = [
            line("SESSIONS", "/srv/projects/shop-sessions", "/srv/projects/shop/.samocode:3"),
            Line {
                here: Some("haiku (environment)".to_owned()),
                ..line("CLAUDE_MODEL", "opus", "default")
            },
            line("SAMOCODE_CONTEXT_HANDOFF_AT", "80 %", "default"),
        ];
        for (name, width) in crate::cli::ui::layout::WIDTHS {
            let text = table(&lines, width).join("\n");
            let text = anstream::adapter::strip_str(&text).to_string();
            insta::assert_snapshot!(name, text);
            let fits = |line: &str| width.is_none_or(|width| line.chars().count() <= width);
            assert!(text.lines().all(fits), "{text}");
        }
    }
}
