//! `samocode role`: which role a session has, and why.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueHint};

use crate::control::role::{self, Given, RoleFound};

use super::layout;
use super::output::{self, BOLD, painted};
use super::{Common, complete};

/// Show the role that a session has by its place, and its instructions
///
/// The first rule that fits gives the role: of .samocode.d/roles.toml in the project, then of
/// ~/.config/samocode/roles.toml, then of the built-in ones. A session with a workers/ folder is a
/// coordinator; one below it is an implementation worker, or a tester or merge resolver by its name.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode role              of the session whose folder this is\n  samocode role impl-1       of a session\n  samocode role ~/shop-sessions/26-11-20-big/workers/impl-1\n\nA rule in roles.toml:\n  [[role]]\n  role = \"reviewer\"               # its instructions: agents/reviewer.md\n  folder = \"**/workers/review-*\"  # by plain names, from SESSIONS"
)]
pub(in crate::cli) struct Role {
    /// A folder in a session, or a session [default: the current folder]
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath, add = complete::sessions())]
    at: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Role {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let found = common.call(role::Role { at: self.at }).await?;
        if self.json {
            output::json(&found)?;
        } else {
            show(&found);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(found: &RoleFound) {
    let RoleFound { session, place, given, above, below, phase, parts, .. } = found;
    let role = given.as_ref().and_then(|given| given.role.as_deref());
    dataln!("{}   {}", painted(BOLD, session), role.unwrap_or("no role: by its phase alone"));
    let row = |word: &str, text: &str| {
        let first = format!("  {word:<14} ");
        for line in layout::wrap(text, &first, &" ".repeat(first.len()), output::width()) {
            dataln!("{line}");
        }
    };
    row("because", &because(place, given.as_ref()));
    if let Some(above) = above {
        row("above it", above);
    }
    if !below.is_empty() {
        row("below it", &below.join(", "));
    }
    for (at, part) in parts.iter().enumerate() {
        let word = if at == 0 { phase.as_str() } else { "" };
        row(word, &format!("{} ({})", part.name, source(part.file.as_deref())));
    }
}

fn because(place: &str, given: Option<&Given>) -> String {
    let Some(Given { folder, workers, file, .. }) = given else {
        return format!("no rule fits {place}");
    };
    let with = match workers {
        Some(true) => " and has a workers/ folder",
        Some(false) => " and has no workers/ folder",
        None => "",
    };
    format!("{place} matches {folder}{with} ({})", source(file.as_deref()))
}

fn source(file: Option<&Path>) -> String {
    file.map_or_else(|| "built in".to_owned(), |file| file.display().to_string())
}
