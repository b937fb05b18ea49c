//! What a conversation on a terminal changed, by comparing before and after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::control::session::Session;
use crate::git;
use crate::session::{Phase, clock};
use crate::worker::FileStamp;

/// More files of a session than these are counted.
const NAMED: usize = 4;

/// What is to be compared afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    commit: Option<String>,
    /// The files of the worktree that differ from the commit; none if that is not known.
    changes: Option<Files>,
    /// The session's own files: overview, questions, plans.
    own: Files,
    phase: Option<Phase>,
    signal: Option<FileStamp>,
}

type Files = BTreeMap<PathBuf, Option<FileStamp>>;

impl Place {
    /// What is there now.
    pub(super) async fn of(session: &Session, worktree: &Path) -> Self {
        let mut own = session.folder.artifacts().unwrap_or_default();
        own.push(session.folder.overview());
        Self {
            commit: git::head(worktree).ok().and_then(|head| head.commit),
            changes: git::changes(worktree).await.ok().map(stamped),
            own: stamped(own),
            phase: session.overview().status().phase,
            signal: FileStamp::of(&session.folder.signal()),
        }
    }

    /// The names of the session's own files that are other ones now.
    fn own_changes<'p>(&'p self, after: &'p Self) -> Vec<&'p str> {
        let all =
            self.own.keys().chain(after.own.keys().filter(|path| !self.own.contains_key(*path)));
        let changed = all.filter(|path| self.own.get(*path) != after.own.get(*path));
        changed.filter_map(|path| path.file_name()?.to_str()).collect()
    }
}

fn stamped(paths: Vec<PathBuf>) -> Files {
    let stamp = |path: PathBuf| {
        let stamp = FileStamp::of(&path);
        (path, stamp)
    };
    paths.into_iter().map(stamp).collect()
}

/// What happened, for the agent and the human.
pub(super) fn note(began: Timestamp, before: &Place, after: &Place, signalled: bool) -> String {
    let zone = clock::local_zone();
    let at = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%H:%M").to_string();
    let mut text = format!(
        "A human took this conversation over in a terminal from {} to {}.",
        at(began),
        at(Timestamp::now())
    );
    if before.commit != after.commit {
        let commit = after.commit.as_deref().unwrap_or("none");
        text += &format!(" There are new commits: HEAD is {commit}.");
    }
    let changes = after.changes.as_ref().filter(|_| before.changes != after.changes);
    match changes.map(BTreeMap::len) {
        Some(0) => text += " All changes are committed.",
        Some(1) => text += " 1 file has changes that are not committed.",
        Some(files) => text += &format!(" {files} files have changes that are not committed."),
        None => {}
    }
    match before.own_changes(after).as_slice() {
        [] => {}
        own if own.len() <= NAMED => {
            text += &format!(" Changed in the session's folder: {}.", own.join(", "));
        }
        own => text += &format!(" {} files of the session's folder changed.", own.len()),
    }
    if before.phase != after.phase
        && let Some(phase) = after.phase
    {
        text += &format!(" The phase was set to {phase}.");
    }
    if signalled {
        text += " A signal was written, and it counts.";
    } else if after.signal.is_some() && before.signal != after.signal {
        text += " A signal was written; it does not count, since no run was under way.";
    }
    if before == after && !signalled {
        text += " Nothing was changed.";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_says_what_changed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let place = |commit: &str, changes: &[PathBuf], own: &[PathBuf], phase| Place {
            commit: Some(commit.to_owned()),
            changes: Some(stamped(changes.to_vec())),
            own: stamped(own.to_vec()),
            phase: Some(phase),
            signal: None,
        };
        let (code, plan) = (file("code.rs", "1"), file("plan.md", "1"));
        let before = place(
            "3f2a9c1",
            std::slice::from_ref(&code),
            std::slice::from_ref(&plan),
            Phase::Implementation,
        );
        let told = |after: &Place, signalled| note(Timestamp::now(), &before, after, signalled);
        assert!(told(&before, false).ends_with(" Nothing was changed."));
        assert!(told(&before, true).ends_with(" A signal was written, and it counts."));

        let more = file("more.rs", "1");
        let after = place("88c1d20", &[code, more], &[plan], Phase::Testing);
        let text = told(&after, false);
        for part in ["HEAD is 88c1d20", "2 files have changes", "The phase was set to testing"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("Nothing") && !text.contains("signal"), "{text}");

        let after = Place { signal: FileStamp::of(folder.path()), ..before.clone() };
        assert!(told(&after, false).ends_with(" it does not count, since no run was under way."));

        // A file that had changes already, and one of the session's, have others now.
        let (code, plan) = (file("code.rs", "12"), file("plan.md", "12"));
        let text = told(&place("3f2a9c1", &[code], &[plan], Phase::Implementation), false);
        for part in ["1 file has changes", "Changed in the session's folder: plan.md."] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("Nothing"), "{text}");
    }
}
