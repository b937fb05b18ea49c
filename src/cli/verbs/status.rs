//! `samocode status`: all sessions as a table, or one in detail.

mod depth;
mod disk;
mod list;

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use crate::config::{Dirs, Env};
use crate::control::context::is_outside;
use crate::control::inspect::List;
use crate::control::view::View;
use crate::service::{self, Scope};
use crate::session::clock;

use super::format::count;
use super::{Common, complete, output, pager};

/// Show all sessions, or one in detail
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode status                  all sessions of the project, newest first\n  samocode status jwt-login        one session in detail\n  samocode status --disk           what each takes on the disk\n  samocode status --json\n\nOutside any project: all sessions that have a unit."
)]
pub(in crate::cli) struct Status {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: Option<String>,
    /// Show what it takes on the disk instead: worktree, build output, logs, transcripts
    #[arg(long)]
    disk: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Root rarely means sessions of its own.
fn tell_of_system_sessions(common: &Common) {
    if common.system || !rustix::process::getuid().is_root() {
        return;
    }
    let all = service::registry(Scope::System).and_then(|registry| registry.all());
    match all.unwrap_or_default().len() {
        0 => {}
        n => output::note(&format!(
            "the system's service manager has {}: samocode status --system",
            count(n, "session", "sessions")
        )),
    }
}

#[derive(Serialize)]
struct Listed {
    sessions: Vec<View>,
}

impl Status {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let _paged = pager::paged(!self.json);
        if self.disk {
            let sessions = self.session.into_iter().collect();
            let shown = disk::show(common, sessions, self.json).await;
            return output::until_closed(shown.map(|()| ExitCode::SUCCESS));
        }
        let shown = match &self.session {
            Some(typed) => depth::show(common, typed, self.json).await,
            None => self.list(common).await,
        };
        output::until_closed(shown.map(|()| ExitCode::SUCCESS))
    }

    async fn list(&self, common: &Common) -> anyhow::Result<()> {
        let views = common.call(List {}).await?;
        if self.json {
            return output::json(&Listed { sessions: views });
        }
        if views.is_empty() {
            tell_of_system_sessions(common);
            let user = if common.system { " --run-as USER" } else { "" };
            return output::line(common.command(&format!(
                "No sessions yet. Start one with: samocode enable{user} NAME --task \"what to build\"",
            )));
        }
        let columns = list::Columns { project: is_outside(&common.caller()?) };
        let home = Dirs::user(&Env::of_process()).ok();
        let short = |path: &str| home.as_ref().map(|dirs| dirs.short(Path::new(path)));
        let views: Vec<View> = views
            .into_iter()
            .map(|view| View { project: short(&view.project).unwrap_or(view.project), ..view })
            .collect();
        let (now, zone) = (Timestamp::now(), clock::shown_zone());
        let paste = |text: &str| common.command(text);
        let lines = list::lines(&views, columns, &paste, output::width(), now, &zone);
        output::line(lines.join("\n"))
    }
}
