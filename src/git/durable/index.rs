//! Reads git's index, and finds files whose content differs from it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::git::command::{git_command, run};
use crate::git::programs::Barred;
use crate::git::{CHECKOUT_LIMIT, Error};

/// `CE_SKIP_WORKTREE` and `CE_INTENT_TO_ADD` from git's `read-cache.h`: entries without a file, or
/// without content.
const WITHOUT_CONTENT: u32 = 1 << 30 | 1 << 29;

/// A regular file in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Relative to the worktree.
    pub(super) path: PathBuf,
    mode: String,
    blob: String,
    /// The file's ctime when it was staged; `None` if git did not look at a file.
    pub(super) changed: Option<SystemTime>,
    pub(super) modified: Option<SystemTime>,
}

/// Runs git in a worktree with `input` on its stdin. Returns all of its output, however long.
pub(super) async fn git(
    worktree: &Path,
    index: Option<&Path>,
    args: &[&OsStr],
    input: &[u8],
) -> Result<Vec<u8>, Error> {
    git_with(&Barred::default(), worktree, index, args, input).await
}

/// The same for commands that read or write files through their filters.
pub(super) async fn git_with(
    barred: &Barred,
    worktree: &Path,
    index: Option<&Path>,
    args: &[&OsStr],
    input: &[u8],
) -> Result<Vec<u8>, Error> {
    let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let doing = format!("run git {} in {}", words.join(" "), worktree.display());
    let mut command = git_command(worktree);
    command.args(barred.without_filters()).args(args);
    if let Some(index) = index {
        command.env("GIT_INDEX_FILE", index);
    }
    if !input.is_empty() {
        command.stdin(file_of(input).map_err(|source| io("write a list of", worktree, source))?);
    }
    let failed = |source| io("keep git's output about", worktree, source);
    let mut output = tempfile::tempfile().map_err(failed)?;
    command.stdout(Stdio::from(output.try_clone().map_err(failed)?));
    let finished = run(command, &doing, CHECKOUT_LIMIT).await?;
    // Several commands exit with 1 as an answer: something differs.
    if finished.status.code() != Some(1) {
        finished.checked(doing)?;
    }
    let mut said = Vec::new();
    output.rewind().and_then(|()| output.read_to_end(&mut said)).map_err(failed)?;
    Ok(said)
}

pub(super) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { doing, path: path.to_owned(), source }
}

fn file_of(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// The regular files in a worktree's index, except those in a conflict.
pub(super) async fn entries(worktree: &Path) -> Result<Vec<Entry>, Error> {
    let list = ["ls-files", "--stage", "--debug", "-z"].map(OsStr::new);
    Ok(parse(&git(worktree, None, &list, &[]).await?))
}

/// `MODE BLOB STAGE`, tab, path, NUL, then lines of stat data (`git ls-files --debug`).
fn parse(listed: &[u8]) -> Vec<Entry> {
    let parts: Vec<&[u8]> = listed.split(|byte| *byte == 0).collect();
    parts.windows(2).filter_map(|pair| entry(pair[0], pair[1])).collect()
}

fn entry(before: &[u8], after: &[u8]) -> Option<Entry> {
    // Five lines about the previous entry come first; a path may contain line ends.
    let lines = if before.starts_with(b"  ctime:") { 5 } else { 0 };
    let own = before.splitn(lines + 1, |byte| *byte == b'\n').last()?;
    let tab = own.iter().position(|byte| *byte == b'\t')?;
    let mut words = std::str::from_utf8(&own[..tab]).ok()?.split(' ');
    let (mode, blob, stage) = (words.next()?, words.next()?, words.next()?);
    let path = PathBuf::from(OsStr::from_bytes(&own[tab + 1..]));
    let known = String::from_utf8_lossy(after);
    let value = |name: &str| {
        let rest = &known[known.find(name)? + name.len()..];
        rest.split_whitespace().next().map(str::to_owned)
    };
    let flags = u32::from_str_radix(&value("flags:")?, 16).ok()?;
    let is_file = mode.starts_with("100") && stage == "0" && flags & WITHOUT_CONTENT == 0;
    is_file.then(|| Entry {
        path,
        mode: mode.to_owned(),
        blob: blob.to_owned(),
        changed: value("ctime:").and_then(|time| moment(&time)),
        modified: value("mtime:").and_then(|time| moment(&time)),
    })
}

/// `SECONDS:NANOSECONDS`; 0:0 means unknown.
fn moment(text: &str) -> Option<SystemTime> {
    let (seconds, rest) = text.split_once(':')?;
    let since = Duration::new(seconds.parse().ok()?, rest.parse().ok()?);
    (!since.is_zero()).then(|| UNIX_EPOCH + since)
}

/// An index of some entries without any stat data, so that git has to read the files.
pub(super) struct Blind {
    folder: tempfile::TempDir,
}

impl Blind {
    pub(super) async fn of(worktree: &Path, entries: &[&Entry]) -> Result<Self, Error> {
        let folder =
            tempfile::tempdir().map_err(|source| io("create a folder for", worktree, source))?;
        let blind = Self { folder };
        let mut list = Vec::new();
        for entry in entries {
            list.extend_from_slice(format!("{} {} 0\t", entry.mode, entry.blob).as_bytes());
            list.extend_from_slice(entry.path.as_os_str().as_bytes());
            list.push(0);
        }
        let args = ["update-index", "-z", "--index-info"].map(OsStr::new);
        git(worktree, Some(&blind.path()), &args, &list).await?;
        Ok(blind)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    /// The files whose content differs or that are missing, read through the filters as `git add`
    /// would.
    pub(super) async fn differing(
        &self,
        worktree: &Path,
        barred: &Barred,
    ) -> Result<Vec<PathBuf>, Error> {
        let index = self.path();
        let refresh = ["update-index", "-q", "--refresh"].map(OsStr::new);
        git_with(barred, worktree, Some(&index), &refresh, &[]).await?;
        let list = ["diff-files", "--name-only", "-z"].map(OsStr::new);
        let listed = git_with(barred, worktree, Some(&index), &list, &[]).await?;
        let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect())
    }

    /// Writes some of the files into another folder, as `git checkout` would write them.
    pub(super) async fn check_out(
        &self,
        worktree: &Path,
        paths: &[PathBuf],
        below: &Path,
        barred: &Barred,
    ) -> Result<(), Error> {
        let mut prefix = std::ffi::OsString::from("--prefix=");
        prefix.push(below);
        prefix.push("/");
        let list = names(paths.iter().map(PathBuf::as_path));
        let args: [&OsStr; 4] =
            ["checkout-index".as_ref(), &prefix, "-z".as_ref(), "--stdin".as_ref()];
        git_with(barred, worktree, Some(&self.path()), &args, &list).await?;
        Ok(())
    }
}

/// Paths as git reads them with `-z`.
fn names<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<u8> {
    let mut list = Vec::new();
    for path in paths {
        list.extend_from_slice(path.as_os_str().as_bytes());
        list.push(0);
    }
    list
}

/// Splits entries into those that git can compare, and those whose filter must not run.
pub(super) async fn comparable<'a>(
    worktree: &Path,
    entries: Vec<&'a Entry>,
    barred: &Barred,
) -> Result<(Vec<&'a Entry>, Vec<&'a Entry>), Error> {
    if !barred.has_filters() {
        return Ok((entries, Vec::new()));
    }
    let ask = ["check-attr", "-z", "--stdin", "filter"].map(OsStr::new);
    let list = names(entries.iter().map(|entry| entry.path.as_path()));
    let told = git(worktree, None, &ask, &list).await?;
    // PATH, NUL, the attribute, NUL, its value, NUL, in the order of the list.
    let values = told.split(|byte| *byte == 0).skip(2).step_by(3);
    let filters: Vec<_> = values.map(|value| String::from_utf8_lossy(value)).collect();
    let is_barred =
        |number: usize| filters.get(number).is_none_or(|filter| barred.has_filter(filter));
    let (other, may): (Vec<_>, Vec<_>) =
        entries.into_iter().enumerate().partition(|(number, _)| is_barred(*number));
    let bare = |list: Vec<(usize, &'a Entry)>| list.into_iter().map(|(_, entry)| entry).collect();
    Ok((bare(may), bare(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_git_is_read() {
        let debug = |time: &str, flags: &str| {
            format!(
                "  ctime: {time}\n  mtime: {time}\n  dev: 1\tino: 2\n  uid: 0\tgid: 0\n  size: 3\tflags: {flags}\n"
            )
        };
        let blob = "ce013625030ba8dba906f756967f9e9ca394464a";
        let mut listed = String::new();
        for (mode, stage, path, time, flags) in [
            ("100644", 0, "a 0\tb\nc", "1:5", "0"),
            ("120000", 0, "link", "1:5", "0"),
            ("100755", 0, "ü", "0:0", "4000"),
            ("100644", 2, "conflict", "1:5", "2000"),
            ("100644", 0, "left out", "1:5", "40004000"),
        ] {
            listed += &format!("{mode} {blob} {stage}\t{path}\0{}", debug(time, flags));
        }
        let entry = |path: &str, mode: &str, time| Entry {
            path: path.into(),
            mode: mode.into(),
            blob: blob.into(),
            changed: time,
            modified: time,
        };
        let time = Some(UNIX_EPOCH + Duration::new(1, 5));
        assert_eq!(
            parse(listed.as_bytes()),
            [entry("a 0\tb\nc", "100644", time), entry("ü", "100755", None)]
        );
        assert_eq!(parse(b""), []);
    }
}
