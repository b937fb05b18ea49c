//! `samocode top`: the dashboard.

use std::process::ExitCode;
use std::sync::Arc;

use anstream::ColorChoice;
use clap::Args;

use crate::config::Env;
use crate::tui::{self, Options, Programs};

use super::{Common, front};

/// Watch all sessions, and answer them, in a dashboard
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode top\n  samocode top --all        the sessions of all projects\n\nPress ? in it for its keys. Leaving it changes nothing: the sessions keep running."
)]
pub(in crate::cli) struct Top {
    /// The sessions of all projects [default outside of any project]
    #[arg(long)]
    all: bool,
}

impl Top {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let env = Env::of_process();
        let named = |key: &str| env.text(key).unwrap_or_default().to_owned();
        let editor = Some(named("VISUAL")).filter(|editor| !editor.is_empty());
        let programs = Programs {
            editor: editor.unwrap_or_else(|| named("EDITOR")),
            shell: named("SHELL"),
            samocode: itself(common)?,
        };
        let color = anstream::stdout().current_choice() != ColorChoice::Never;
        tui::run(Arc::from(common.host()?), Options { everywhere: self.all, color, programs })
            .await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// This program, used as it is used now from wherever.
fn itself(common: &Common) -> anyhow::Result<Vec<String>> {
    let mut words = vec![front::own_binary()?.display().to_string()];
    if common.system {
        words.push("--system".to_owned());
    }
    if let Some(config) = &common.config {
        let config = std::path::absolute(config)?;
        words.extend(["--config".to_owned(), config.display().to_string()]);
    }
    Ok(words)
}
