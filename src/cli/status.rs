//! `samocode status`: all sessions, or one in depth.

mod depth;
mod list;

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::config::Error as ProjectError;

use super::context::{Context, one_line};
use super::view::{Units, View};
use super::{Common, output, sessions};

/// Show all sessions, or one in depth
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode status                  all sessions of the project, newest first\n  samocode status jwt-login        one of them in depth\n  samocode status --json\n\nOutside of any project: all sessions that the units know."
)]
pub(super) struct Status {
    /// A name, a dated folder name, or an instance
    session: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listed {
    sessions: Vec<View>,
}

impl Status {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let shown = match &self.session {
            Some(typed) => depth::show(common, typed, self.json).await,
            None => self.list(common).await,
        };
        output::until_closed(shown.map(|()| ExitCode::SUCCESS))
    }

    async fn list(&self, common: &Common) -> anyhow::Result<()> {
        let found = match Context::load(common) {
            Ok(context) => {
                let root = &context.project.root;
                let all = sessions::all(&context)?.into_iter();
                all.map(|session| (root.clone(), session)).collect()
            }
            Err(error) if is_outside(&error) => sessions::recorded(common.scope())?,
            Err(error) => return Err(error),
        };
        let units = Units::ask(common.scope()).await;
        let mut views = Vec::with_capacity(found.len());
        for (root, session) in &found {
            match View::below(root, session, units.get(&session.instance).as_ref()) {
                Ok(view) => views.push(view),
                Err(error) => {
                    output::note(&format!("{} cannot be shown: {}", session.name, one_line(&error)))
                }
            }
        }
        if self.json {
            return output::json(&Listed { sessions: views });
        }
        if views.is_empty() {
            return output::line(
                "No sessions yet. Begin one with: samocode enable NAME --task \"what to build\"",
            );
        }
        let (now, zone) = (Timestamp::now(), TimeZone::system());
        output::line(list::lines(&views, output::width(), now, &zone).join("\n"))
    }
}

fn is_outside(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ProjectError::NoProject { .. }))
}
