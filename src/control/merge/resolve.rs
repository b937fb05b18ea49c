//! Sessions that resolve a conflict: what they are asked.

use serde::{Deserialize, Serialize};

use crate::control::enable::Enable;
use crate::control::error::{Error, Result};
use crate::control::operation::{Operation, Perform as _};
use crate::control::request::Work;
use crate::control::session::Session;
use crate::git;
use crate::git::merge::Conflict;
use crate::session::names::MAX_NAME;
use crate::session::qa::Qa;
use crate::session::store;

use super::report::{Landed, Merged};
use super::series::End;

/// A session that was begun to resolve a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolving {
    /// The member that conflicts.
    pub session: String,
    /// The session that resolves it.
    pub by: String,
    /// Why it could not be begun, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// How much of one text is quoted in a task, in characters.
const QUOTED: usize = 6000;

/// Begins a session for each member that conflicts.
pub(super) async fn resolve(
    on: &Operation<'_>,
    repo: &std::path::Path,
    merged: &Merged,
    sessions: &[Session],
) -> Vec<Resolving> {
    let mut begun = Vec::new();
    for part in &merged.members {
        let Some(End::Conflicts { files }) = &part.end else { continue };
        let by = name_of_resolver(&part.session);
        let error = begin(on, repo, merged, sessions, &part.session, files, &by).await.err();
        begun.push(Resolving { session: part.session.clone(), by, error });
    }
    begun
}

fn name_of_resolver(session: &str) -> String {
    let name: String = format!("resolve-{session}").chars().take(MAX_NAME).collect();
    name.trim_end_matches(['-', '.']).to_owned()
}

async fn begin(
    on: &Operation<'_>,
    repo: &std::path::Path,
    merged: &Merged,
    sessions: &[Session],
    member: &str,
    files: &[Conflict],
    by: &str,
) -> Result<()> {
    let others = opponents(repo, merged, files).await?;
    let side = |name: &str| {
        let part = merged.members.iter().find(|part| part.session == name);
        let session = sessions.iter().find(|session| session.name == name);
        part.zip(session).map(|(part, session)| Side::of(session, &part.branch))
    };
    let result = match &merged.landed {
        Landed::Moved { commit } | Landed::Beside { commit, .. } => commit,
        _ => &merged.base,
    };
    let one =
        side(member).ok_or_else(|| Error::usage(format!("'{member}' is not part of the merge")))?;
    let others: Vec<Side> = others.iter().filter_map(|name| side(name)).collect();
    let task = task(&merged.into, result, &one, &others, files);
    let work = Work { task: Some(task), ..Work::default() };
    let enable = Enable { session: by.to_owned(), work, ..Enable::default() };
    enable.perform(on).await.map(drop)
}

/// The members in the result that changed a file in conflict.
async fn opponents(
    repo: &std::path::Path,
    merged: &Merged,
    files: &[Conflict],
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for part in merged.members.iter().filter(|part| part.end == Some(End::Merged)) {
        let changed = git::changed_paths(repo, &merged.base, &part.branch).await?;
        if files.iter().any(|file| changed.contains(&file.path)) {
            found.push(part.session.clone());
        }
    }
    Ok(found)
}

/// One side of a conflict.
#[derive(Debug)]
struct Side {
    session: String,
    branch: String,
    task: String,
    /// Its questions with the human's answers.
    requirements: Option<String>,
}

impl Side {
    fn of(session: &Session, branch: &str) -> Self {
        let asked = store::read(&session.folder.qa()).ok().flatten();
        let asked = asked.map(|bytes| Qa::parse(String::from_utf8_lossy(&bytes)));
        Self {
            session: session.name.clone(),
            branch: branch.to_owned(),
            task: session.state().map(|state| state.task).unwrap_or_default(),
            requirements: asked
                .filter(|qa| !qa.questions().is_empty())
                .map(|qa| qa.as_str().to_owned()),
        }
    }
}

/// The task: what is to be merged, the passages in conflict, and what both sides are for.
fn task(into: &str, result: &str, one: &Side, others: &[Side], files: &[Conflict]) -> String {
    let Side { session, branch, .. } = one;
    let mut text = format!(
        "Resolve the merge conflict of branch {branch} with {into}.\n\n\
         In your worktree, run `git merge {result}`, then `git merge {branch}`. Resolve every \
         conflict so that the requirements of both sides hold. Never take one side only to get \
         rid of a conflict: if the two contradict each other, ask the human. Run the tests and \
         commit the merge. Change nothing else.\n\nFiles in conflict:\n"
    );
    for Conflict { path, kind, hunks } in files {
        text += &format!("- {path}: {kind}\n");
        for hunk in hunks {
            let indented: Vec<String> = hunk.lines().map(|line| format!("      {line}")).collect();
            text += &format!("\n{}\n\n", cut(&indented.join("\n")));
        }
    }
    for side in std::iter::once(one).chain(others) {
        text += &format!(
            "\nTask of {}, on branch {}:\n{}\n",
            side.session,
            side.branch,
            cut(&side.task)
        );
        if let Some(requirements) = &side.requirements {
            text += &format!("\nRequirements of {}:\n{}\n", side.session, cut(requirements));
        }
    }
    if others.is_empty() {
        text += &format!("\nThe other side is {into} itself; see its log for why it changed:\n");
        text += &format!("`git log {branch}..{result}`. {session} was not merged.\n");
    }
    text
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(QUOTED).collect();
    if short.len() < text.len() {
        short += "\n…";
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::merge::ConflictKind;

    #[test]
    fn a_resolver_is_told_both_sides_tasks_and_requirements_and_the_passages() {
        let side = |session: &str, requirements: Option<&str>| Side {
            session: session.into(),
            branch: format!("ai/{session}"),
            task: format!("Add {session}"),
            requirements: requirements.map(Into::into),
        };
        let file = Conflict {
            path: "src/login.rs".into(),
            kind: ConflictKind::BothChanged,
            hunks: vec!["line 3:\n<<<<<<< main\na\n=======\nb\n>>>>>>> ai/jwt".into()],
        };
        let (jwt, search) = (side("jwt", Some("### Q1: which algorithm?")), side("search", None));
        let text = task("main", "abc123", &jwt, &[search], std::slice::from_ref(&file));
        for part in [
            "Resolve the merge conflict of branch ai/jwt with main.\n",
            "`git merge abc123`, then `git merge ai/jwt`",
            "- src/login.rs: both changed it\n",
            "      =======\n      b\n",
            "Task of jwt, on branch ai/jwt:\nAdd jwt\n",
            "Requirements of jwt:\n### Q1: which algorithm?\n",
            "Task of search, on branch ai/search:\nAdd search\n",
        ] {
            assert!(text.contains(part), "{part:?} is missing:\n{text}");
        }
        let alone = task("main", "abc123", &jwt, &[], &[file]);
        assert!(alone.contains("`git log ai/jwt..abc123`"), "{alone}");
        assert!(cut(&"x".repeat(9000)).ends_with('…'));
    }

    #[test]
    fn the_name_of_a_resolver_is_always_a_session_name() {
        for session in ["jwt", &"x".repeat(MAX_NAME), &format!("{}-.y", "x".repeat(54))] {
            let name = name_of_resolver(session);
            assert!(crate::session::names::SessionName::new(&name).is_ok(), "{name}");
        }
    }
}
