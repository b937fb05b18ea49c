//! The instructions an agent gets: the workflow, which applies to all phases, and a role for each
//! phase.
//!
//! They are embedded; a file of the same name in the project's or the user's folder replaces the
//! embedded one:
//!
//! ```text
//! PROJECT/.samocode.d/workflow.md                   PROJECT is the folder of .samocode
//! PROJECT/.samocode.d/agents/PHASE-agent.md
//! $XDG_CONFIG_HOME/samocode/workflow.md             if the project has none
//! $XDG_CONFIG_HOME/samocode/agents/PHASE-agent.md
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::session::Phase;

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

/// A file of instructions that exists but cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the instructions in {}: {why}; fix or remove the file", .file.display())]
pub struct RoleError {
    /// The file with the instructions.
    pub file: PathBuf,
    /// The reason it cannot be used.
    pub why: String,
}

/// One part of a system prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instructions {
    /// Its name: `workflow.md`, `agents/PHASE-agent.md`.
    pub name: String,
    /// The file that replaces the embedded one.
    pub file: Option<PathBuf>,
    /// The text, without its front matter.
    pub text: String,
}

/// The system prompt of these parts.
#[must_use]
pub fn joined([workflow, role]: &[Instructions; 2]) -> String {
    format!("{}\n\n{}\n", workflow.text, role.text)
}

/// The parts of the system prompt for a phase: workflow, then role. What is the same in all phases
/// comes first, so that a model's provider can cache it. `folders` are searched in order; see
/// [`folders`].
///
/// # Errors
/// [`RoleError`] for a file that is unreadable, not UTF-8, empty or too large: an agent with
/// instructions the human did not intend could do harm unnoticed.
pub fn parts(phase: Phase, folders: &[PathBuf]) -> Result<[Instructions; 2], RoleError> {
    let workflow = instructions("workflow.md", WORKFLOW, folders)?;
    let role = format!("agents/{phase}-agent.md");
    Ok([workflow, instructions(&role, embedded(phase), folders)?])
}

/// The files that replace embedded ones, with the name of what each replaces.
#[must_use]
pub fn overrides(folders: &[PathBuf]) -> Vec<(String, PathBuf)> {
    let roles = Phase::ALL.map(|phase| format!("agents/{phase}-agent.md"));
    let names = ["workflow.md".to_owned()].into_iter().chain(roles);
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
    embedded: &str,
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
mod tests {
    use super::*;

    fn system_prompt(phase: Phase, folders: &[PathBuf]) -> Result<String, RoleError> {
        parts(phase, folders).map(|parts| joined(&parts))
    }

    #[test]
    fn every_phase_has_workflow_and_role_without_front_matter() {
        for phase in Phase::ALL {
            let prompt = system_prompt(phase, &[]).unwrap();
            assert!(prompt.starts_with(without_front_matter(WORKFLOW)));
            assert!(prompt.trim_end().ends_with(without_front_matter(embedded(phase))));
            assert!(!prompt.contains("\n---\nname:"), "{phase}");
        }
    }

    #[test]
    fn front_matter_is_left_out_and_a_rule_in_the_text_is_not() {
        assert_eq!(without_front_matter("\u{feff}---\r\nname: x\r\n---\r\n\r\nText\n"), "Text");
        assert_eq!(without_front_matter("Text\n---\nmore\n"), "Text\n---\nmore");
        assert_eq!(without_front_matter("---\nnever closed"), "---\nnever closed");
    }

    #[test]
    fn the_projects_file_counts_before_the_users_and_both_before_ours() {
        let (project, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = folders(project.path(), Some(user.path()));
        let put = |folder: &Path, text: &str| {
            std::fs::create_dir_all(folder.join("agents")).unwrap();
            std::fs::write(folder.join("agents/testing-agent.md"), text).unwrap();
        };
        put(&folders[1], "user's");
        assert!(system_prompt(Phase::Testing, &folders).unwrap().ends_with("\n\nuser's\n"));
        put(&folders[0], "---\nname: x\n---\nproject's");
        assert!(system_prompt(Phase::Testing, &folders).unwrap().ends_with("\n\nproject's\n"));
        let role = folders[0].join("agents/testing-agent.md");
        assert_eq!(overrides(&folders), [("agents/testing-agent.md".to_owned(), role.clone())]);
        let [workflow, testing] = parts(Phase::Testing, &folders).unwrap();
        assert_eq!((workflow.file, testing.file), (None, Some(role)));
        let other = system_prompt(Phase::Quality, &folders).unwrap();
        assert!(other.contains(without_front_matter(embedded(Phase::Quality))));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let project = tempfile::tempdir().unwrap();
        let folders = folders(project.path(), None);
        std::fs::create_dir_all(&folders[0]).unwrap();
        let file = folders[0].join("workflow.md");
        for (bytes, why) in [(&b"\xff"[..], "not UTF-8"), (b" \n", "empty"), (b"a\0", "NUL")] {
            std::fs::write(&file, bytes).unwrap();
            let told = system_prompt(Phase::Init, &folders).unwrap_err().to_string();
            assert!(told.contains(why) && told.contains("workflow.md"), "{told}");
        }
        std::fs::write(&file, "x".repeat(300_000)).unwrap();
        assert!(system_prompt(Phase::Init, &folders).is_err());
    }
}
