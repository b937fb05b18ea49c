//! The instructions an agent gets: the workflow, which applies to all phases; those of its role, if
//! it has one by where its session sits ([`rules`]); and those of the phase.
//!
//! They are embedded; a file of the same name in the project's or the user's folder replaces the
//! embedded one:
//!
//! ```text
//! PROJECT/.samocode.d/workflow.md                   PROJECT is the folder of .samocode
//! PROJECT/.samocode.d/agents/ROLE.md
//! PROJECT/.samocode.d/agents/PHASE-agent.md
//! $XDG_CONFIG_HOME/samocode/workflow.md             if the project has none
//! $XDG_CONFIG_HOME/samocode/agents/ROLE.md, PHASE-agent.md
//! ```

pub mod rules;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::session::Phase;
use crate::session::store::Folder;

use rules::{Given, Seat};

/// The folder of a project that may hold its own files.
pub const PROJECT_FOLDER: &str = ".samocode.d";

/// The largest such file, in bytes: a prompt of this size already fills much of a context.
pub const MAX_BYTES: u64 = 256 * 1024;

const WORKFLOW: &str = include_str!("../../workflow.md");

const fn embedded(phase: Phase) -> &'static str {
    match phase {
        Phase::Init => include_str!("../../agents/init-agent.md"),
        Phase::Investigation => include_str!("../../agents/investigation-agent.md"),
        Phase::Requirements => include_str!("../../agents/requirements-agent.md"),
        Phase::Planning => include_str!("../../agents/planning-agent.md"),
        Phase::Implementation => include_str!("../../agents/implementation-agent.md"),
        Phase::Testing => include_str!("../../agents/testing-agent.md"),
        Phase::Quality => include_str!("../../agents/quality-agent.md"),
        Phase::Done => include_str!("../../agents/done-agent.md"),
    }
}

/// The roles that are known without a file, and their instructions.
const ROLES: [(&str, &str); 4] = [
    ("coordinator", include_str!("../../agents/coordinator.md")),
    ("implementation-worker", include_str!("../../agents/implementation-worker.md")),
    ("tester", include_str!("../../agents/tester.md")),
    ("merge-resolver", include_str!("../../agents/merge-resolver.md")),
];

/// A file of instructions or of rules that exists but cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the instructions in {}: {why}; fix or remove the file", .file.display())]
pub struct RoleError {
    /// The file.
    pub file: PathBuf,
    /// The reason it cannot be used.
    pub why: String,
}

/// One part of a system prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instructions {
    /// Its name: `workflow.md`, `agents/ROLE.md`, `agents/PHASE-agent.md`.
    pub name: String,
    /// The file that replaces the embedded one.
    pub file: Option<PathBuf>,
    /// The text, without its front matter.
    pub text: String,
}

/// The system prompt of these parts.
#[must_use]
pub fn joined(parts: &[Instructions]) -> String {
    let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
    format!("{}\n", texts.join("\n\n"))
}

/// Where the instructions of a session come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// Searched in order; see [`folders`].
    folders: Vec<PathBuf>,
    /// Where the session sits; `None` if it is not among the project's sessions.
    seat: Option<Seat>,
}

impl Roles {
    /// Those of the session in `folder`, of a project whose sessions lie in `sessions`.
    #[must_use]
    pub fn of(folders: Vec<PathBuf>, folder: &Folder, sessions: &Path) -> Self {
        Self { folders, seat: Seat::of(folder, sessions) }
    }

    /// The rule that gives the session its role; `None` if no rule fits.
    ///
    /// # Errors
    /// [`RoleError`] for a file of rules that cannot be used.
    pub fn given(&self) -> Result<Option<Given>, RoleError> {
        self.seat.as_ref().map_or(Ok(None), |seat| rules::first(seat, &self.folders))
    }

    /// The parts of the system prompt for a phase: workflow, role, then phase. What is the same in
    /// all phases comes first, so that a model's provider can cache it.
    ///
    /// # Errors
    /// [`RoleError`] for a file that is unreadable, not UTF-8, empty or too large, and for a role
    /// without one: an agent with instructions the human did not intend could do harm unnoticed.
    pub fn parts(&self, phase: Phase) -> Result<Vec<Instructions>, RoleError> {
        let mut parts = vec![instructions("workflow.md", Some(WORKFLOW), &self.folders)?];
        if let Some(Given { role: Some(role), file, .. }) = self.given()? {
            let name = format!("agents/{role}.md");
            let known = ROLES.iter().find(|(known, _)| *known == role.as_str());
            let part = instructions(&name, known.map(|(_, text)| *text), &self.folders);
            parts.push(part.map_err(|error| match file {
                Some(rules) if error.file.as_os_str().is_empty() => {
                    RoleError { file: rules, why: error.why }
                }
                _ => error,
            })?);
        }
        let name = format!("agents/{phase}-agent.md");
        parts.push(instructions(&name, Some(embedded(phase)), &self.folders)?);
        Ok(parts)
    }
}

/// The instructions of a reviewer, which replace all others: it does no work of the session's.
const REVIEWER: (&str, &str) = ("agents/reviewer.md", include_str!("../../agents/reviewer.md"));

impl Roles {
    /// The parts of a reviewer's system prompt.
    ///
    /// # Errors
    /// As [`parts`](Self::parts).
    pub fn of_reviewer(&self) -> Result<Vec<Instructions>, RoleError> {
        Ok(vec![instructions(REVIEWER.0, Some(REVIEWER.1), &self.folders)?])
    }
}

/// The files that replace embedded ones, with the name of what each replaces.
#[must_use]
pub fn overrides(folders: &[PathBuf]) -> Vec<(String, PathBuf)> {
    let phases = Phase::ALL.map(|phase| format!("agents/{phase}-agent.md"));
    let roles = ROLES.map(|(role, _)| format!("agents/{role}.md"));
    let first = ["workflow.md".to_owned(), rules::FILE.to_owned(), REVIEWER.0.to_owned()];
    let names = first.into_iter().chain(roles).chain(phases);
    let replaced = names.filter_map(|name| {
        let mut files = folders.iter().map(|folder| folder.join(&name));
        let file = files.find(|file| file.symlink_metadata().is_ok())?;
        Some((name, file))
    });
    replaced.collect()
}

/// The folders that may hold instructions: the project's, then the user's.
#[must_use]
pub fn folders(project: &Path, config_home: Option<&Path>) -> Vec<PathBuf> {
    let mut folders = vec![project.join(PROJECT_FOLDER)];
    folders.extend(config_home.map(|home| home.join("samocode")));
    folders
}

fn instructions(
    name: &str,
    embedded: Option<&str>,
    folders: &[PathBuf],
) -> Result<Instructions, RoleError> {
    let of = |file, text: &str| Instructions {
        name: name.to_owned(),
        file,
        text: without_front_matter(text).to_owned(),
    };
    for folder in folders {
        let file = folder.join(name);
        match read(&file) {
            Ok(text) => return Ok(of(Some(file), &text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(RoleError { file, why: error.to_string() }),
        }
    }
    let Some(embedded) = embedded else {
        // The caller knows which file wants it.
        let why = format!("it gives a role whose instructions, {name}, are in none of its folders");
        return Err(RoleError { file: PathBuf::new(), why });
    };
    Ok(of(None, embedded))
}

fn read(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    if !file.metadata()?.is_file() {
        return Err(wrong("it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong("it is larger than 256 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    if text.contains('\0') {
        return Err(wrong("it holds a NUL byte"));
    }
    if without_front_matter(&text).is_empty() {
        return Err(wrong("it is empty"));
    }
    Ok(text)
}

/// The text after a YAML front matter, trimmed.
fn without_front_matter(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| line.trim_end() == "---") else {
        return text.trim();
    };
    let mut at = first.len();
    for line in lines {
        at += line.len();
        if line.trim_end() == "---" {
            return text[at..].trim();
        }
    }
    text.trim()
}

#[cfg(test)]
mod tests;
