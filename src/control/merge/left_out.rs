//! What a merge left out and why, kept until the session's branch is in: `why` and `status` say it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Project;
use crate::control::context::Context;
use crate::control::error::Result;
use crate::control::session::Session;
use crate::git;
use crate::git::merge::Tips;
use crate::session::describe::harmless;
use crate::session::store;

use super::record::{FOLDER, Member, Record};
use super::series::End;

/// How much of the tests' last lines is told.
const LINES: usize = 3;

/// A session that the last merge with it left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LeftOut {
    /// The branch that was merged into.
    into: String,
    /// Its own branch, and where that was.
    branch: String,
    commit: String,
    end: End,
}

fn file(project: &Project, instance: &str) -> PathBuf {
    project.sessions.join(FOLDER).join("left-out").join(format!("{instance}.json"))
}

/// Keeps what became of the members of a merge that has ended.
///
/// # Errors
/// Those of the disk.
pub(super) fn remember(project: &Project, record: &Record) -> Result<()> {
    for (at, member) in record.members.iter().enumerate() {
        let file = file(project, &member.instance);
        let end = record.series.ends.get(&at).filter(|end| end.is_left_out());
        let Some(end) = end else {
            store::remove(&file)?;
            continue;
        };
        store::make_folder(file.parent().unwrap_or(&file))?;
        let Member { branch, commit, .. } = member.clone();
        let left = LeftOut { into: record.into.clone(), branch, commit, end: end.clone() };
        store::replace(&file, &serde_json::to_vec(&left)?)?;
    }
    Ok(())
}

/// Forgets what is kept of a session that is put away.
///
/// # Errors
/// Those of the disk.
pub(in crate::control) fn forget(project: &Project, session: &Session) -> Result<()> {
    Ok(store::remove(&file(project, &session.instance))?)
}

/// What the last merge with a session left it out for, with the command to merge it; `None` if it did
/// not, and for what cannot be read.
pub(in crate::control) fn note(context: &Context, session: &Session) -> Option<String> {
    let project = &context.project;
    let bytes = store::read(&file(project, &session.instance)).ok().flatten()?;
    let left: LeftOut = serde_json::from_slice(&bytes).ok()?;
    let repo = git::root(&project.main_repo).ok().flatten()?;
    let tips = Tips(&repo);
    let tip = tips.of(&left.branch).ok().flatten()?;
    // Somebody may have merged it since.
    let into = tips.of(&left.into).ok().flatten();
    if into
        .is_some_and(|into| git::merge::contains(&repo, &into.commit, &tip.commit).unwrap_or(false))
    {
        return None;
    }
    let default = git::default_branch(&project.main_repo).ok().flatten();
    let to = (default.as_ref() != Some(&left.into)).then_some(left.into.as_str());
    Some(left.describe(&session.instance, to, tip.commit != left.commit))
}

impl LeftOut {
    /// In a sentence; `to` is the branch to name in the command, if it is not the usual one.
    fn describe(&self, instance: &str, to: Option<&str>, has_changed: bool) -> String {
        let mut text = format!("the last merge into {} left it out: {}", self.into, self.end.why());
        if let End::Red { output, .. } = &self.end {
            let lines: Vec<&str> = output.lines().filter(|line| !line.trim().is_empty()).collect();
            let last = lines[lines.len().saturating_sub(LINES)..].join(" / ");
            if !last.is_empty() {
                text += &format!(" ({})", harmless(&last));
            }
        }
        let to = to.map_or_else(String::new, |to| format!(" --into {to}"));
        let merge = format!("samocode merge {instance}{to}");
        text += &match &self.end {
            _ if has_changed => format!("; its branch has changed since: {merge}"),
            End::Conflicts { .. } => format!("; have it resolved: {merge} --resolve"),
            End::HeldUp { by } => format!("; when {by} is in: {merge}"),
            _ => format!("; have it fixed: samocode enable {instance} --task \"…\", then: {merge}"),
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::merge::{Conflict, ConflictKind};

    fn left(end: End) -> LeftOut {
        LeftOut { into: "main".into(), branch: "jwt".into(), commit: "c".into(), end }
    }

    #[test]
    fn a_session_that_was_left_out_says_why_and_how_to_get_it_in() {
        let kind = ConflictKind::BothChanged;
        let files = vec![Conflict { path: "src/a.rs".into(), kind, hunks: Vec::new() }];
        let red = |with: &[&str], output: &str| End::Red {
            with: with.iter().map(|name| (*name).to_owned()).collect(),
            output: output.to_owned(),
        };
        for (end, to, has_changed, words) in [
            (
                End::Conflicts { files },
                None,
                false,
                "conflict in src/a.rs; have it resolved: samocode merge jwt --resolve",
            ),
            (
                red(&[], "running\n\ntest login ... FAILED\n1 failed\n2 passed\n"),
                Some("next"),
                false,
                "the tests fail with it (test login ... FAILED / 1 failed / 2 passed); have it fixed: \
                 samocode enable jwt --task \"…\", then: samocode merge jwt --into next",
            ),
            (
                red(&["cart"], ""),
                None,
                true,
                "the tests fail with it and cart together; its branch has changed since: \
                 samocode merge jwt",
            ),
            (
                End::HeldUp { by: "cart".into() },
                None,
                false,
                "it is built on cart; when cart is in: samocode merge jwt",
            ),
        ] {
            assert_eq!(
                left(end).describe("jwt", to, has_changed),
                format!("the last merge into main left it out: {words}")
            );
        }
    }

    #[test]
    fn it_is_kept_as_it_was() {
        let of = left(End::Red { with: vec!["cart".into()], output: "1 failed".into() });
        let bytes = serde_json::to_vec(&of).unwrap();
        assert_eq!(serde_json::from_slice::<LeftOut>(&bytes).unwrap(), of);
    }
}
