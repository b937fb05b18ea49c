//! Reflogs, which git never flushes: a power cut leaves lines without data at their end, or lines
//! about commits that were lost.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::index::io;
use crate::git::Error;
use crate::git::command::{git_for_reading, read};
use crate::git::leftovers::{Found, look};
use crate::git::plain;

/// A reflog with lines to remove.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reflog {
    /// The reflog itself, below `logs/`.
    pub(super) path: PathBuf,
    /// Its content without the damaged lines.
    sound: Vec<u8>,
}

/// The damaged reflogs of a worktree, out of those of its HEAD and its branch.
pub(super) fn damaged(worktree: &Path) -> Vec<Reflog> {
    let Ok(Found::Worktree(admin)) = look(worktree) else { return Vec::new() };
    let head = plain::text(&admin.join("HEAD")).unwrap_or_default();
    let common = plain::text(&admin.join("commondir")).unwrap_or_default();
    let branch = head
        .strip_prefix("ref: ")
        .map(|branch| admin.join(common.trim_end()).join("logs").join(branch.trim_end()));
    let exists = |commit: &str| {
        let mut look = git_for_reading(worktree);
        look.args(["cat-file", "-e", &format!("{commit}^{{commit}}")]);
        // If git cannot be asked, nothing is dropped.
        read(&mut look).map_or(true, |asked| asked.status.success())
    };
    branch
        .into_iter()
        .chain([admin.join("logs/HEAD")])
        .filter_map(|path| {
            let bytes = plain::read(&path).ok()?;
            let sound = sound_lines(&bytes, exists);
            (sound != bytes).then_some(Reflog { path, sound })
        })
        .collect()
}

impl Reflog {
    /// Removes the damaged lines.
    pub(super) fn repair(&self) -> Result<(), Error> {
        let replace = || {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let permissions = fs::metadata(&self.path)?.permissions();
            let mut builder = tempfile::Builder::new();
            let mut file =
                builder.prefix(".samocode-").permissions(permissions).tempfile_in(folder)?;
            file.write_all(&self.sound)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            fs::File::open(folder)?.sync_all()
        };
        replace().map_err(|source| io("repair the reflog", &self.path, source))
    }
}

/// The lines of a reflog, without torn ones and without trailing ones whose commit does not exist.
fn sound_lines(bytes: &[u8], mut exists: impl FnMut(&str) -> bool) -> Vec<u8> {
    let mut lines: Vec<&[u8]> =
        bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| is_whole(line)).collect();
    while let Some(last) = lines.last()
        && !new_commit(last).is_some_and(&mut exists)
    {
        lines.pop();
    }
    lines.concat()
}

/// `OLD NEW NAME <MAIL> TIME ZONE`, tab, message (gitformat: `Documentation/gitrepository-layout`,
/// `logs`).
fn is_whole(line: &[u8]) -> bool {
    line.ends_with(b"\n") && !line.contains(&0) && new_commit(line).is_some()
}

fn new_commit(line: &[u8]) -> Option<&str> {
    let mut words = line.split(|byte| *byte == b' ');
    let is_id =
        |word: &&[u8]| matches!(word.len(), 40 | 64) && word.iter().all(u8::is_ascii_hexdigit);
    words.next().filter(is_id)?;
    std::str::from_utf8(words.next().filter(is_id)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::tests::Lab;

    fn line(commit: char) -> String {
        let id = |c: char| c.to_string().repeat(40);
        format!("{} {} A B <a@b> 1700000000 +0000\tcommit: x\n", id('0'), id(commit))
    }

    #[test]
    fn lines_that_mean_nothing_are_dropped_and_the_rest_is_kept() {
        let sound = |text: &[u8]| {
            let exists = |commit: &str| commit.starts_with('a');
            String::from_utf8(sound_lines(text, exists)).unwrap()
        };
        let whole = line('a') + &line('b') + &line('a');
        assert_eq!(
            sound(whole.as_bytes()),
            whole,
            "a lost commit in the middle is no damage of ours"
        );
        assert_eq!(sound((line('a') + &line('b') + &line('c')).as_bytes()), line('a'));
        let torn = &line('a')[..50];
        assert_eq!(sound((line('a') + torn).as_bytes()), line('a'));
        let holes = line('a') + "\0\0\0\0";
        assert_eq!(sound(holes.as_bytes()), line('a'));
        assert_eq!(sound((holes + &line('a') + &line('a')).as_bytes()), line('a') + &line('a'));
        assert_eq!(sound(b""), "");
    }

    #[tokio::test]
    async fn a_reflog_is_repaired_and_git_finds_nothing_to_say() {
        let lab = Lab::new();
        lab.create("a").await.unwrap();
        let path = lab.path("a");
        assert_eq!(damaged(&path), []);
        let reflog = lab.repo.join(".git/worktrees/a/logs/HEAD");
        let before = fs::read_to_string(&reflog).unwrap();
        fs::write(&reflog, before.clone() + &line('b') + "\0\0").unwrap();
        let fsck = || crate::git::tests::git(&lab.repo, &["fsck", "--no-progress"]);
        let found = damaged(&path);
        assert_eq!(found.len(), 1);
        found[0].repair().unwrap();
        assert_eq!(fs::read_to_string(&reflog).unwrap(), before);
        assert_eq!((damaged(&path), fsck()), (Vec::new(), String::new()));
    }
}
