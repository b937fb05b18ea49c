//! What a confined agent ran into: a program's words that it was refused something which the table
//! closes and a key would open. Read from what the agent and its tools wrote, whatever their format.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use memchr::memmem;
use rustix::fs::{Access as Mode, access};

use super::explain::covers;
use super::grants::{Because, Grant};
use super::{Confinement, resolved};
use crate::config::confine::{CONNECT, READ, SOCKETS, WRITE};
use crate::config::peers::{Peer, listed};
use crate::platform::confinement::Access;

/// How programs say EACCES, EPERM, EROFS and ENOENT, without the first letter: some capitalize it.
const REFUSALS: [&str; 4] = ["ermission denied", BY_FILTER, READ_ONLY, NOT_THERE];

/// What a filter of system calls answers, and Landlock does not.
const BY_FILTER: &str = "peration not permitted";

/// What a view of its own answers to whoever changes what may only be read.
const READ_ONLY: &str = "ead-only file system";

/// How they say ENOENT, which is what a view of its own makes of what is closed.
const NOT_THERE: &str = "o such file or directory";

/// How far from these words the path may be, in bytes.
const NEAR: usize = 240;

/// The most different things that are kept of a run.
const MOST: usize = 20;

/// Something that an agent was refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// What it was: a path, or sockets.
    pub what: String,
    /// The key that opens it.
    pub key: &'static str,
    /// The key's value.
    pub value: String,
}

impl Refused {
    /// A host that the proxy refused.
    #[must_use]
    pub fn peer(confinement: &Confinement, host: String, port: u16) -> Self {
        let peer = Peer::Host { name: host, port: Some(port) };
        let all = [confinement.keys.connect.as_slice(), std::slice::from_ref(&peer)].concat();
        Self { what: peer.to_string(), key: CONNECT, value: listed(&all) }
    }
}

/// What is refused in this text, and how often.
#[must_use]
pub fn refusals(confinement: &Confinement, home: &Path, text: &[u8]) -> BTreeMap<Refused, u32> {
    let mut found = BTreeMap::new();
    for words in REFUSALS {
        for at in memmem::find_iter(text, words) {
            let context = context(text, at, home);
            let is_not_there = words == NOT_THERE;
            let refused = refused(confinement, home, &context, is_not_there);
            let Some(refused) = refused else { continue };
            if found.len() < MOST || found.contains_key(&refused) {
                *found.entry(refused).or_insert(0) += 1;
            }
        }
    }
    found
}

/// What is written around the words: their line, and the one before if there is no path in theirs, since
/// some programs name it first; with the line ends and quotes of JSON as they were.
fn context(text: &[u8], at: usize, home: &Path) -> String {
    let clean =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\\n", "\n").replace("\\\"", "\"");
    let before = clean(&text[at.saturating_sub(NEAR)..at]);
    let after = clean(&text[at..text.len().min(at + NEAR)]);
    let (above, before) = before.rsplit_once('\n').unwrap_or(("", &before));
    let line = format!("{before}{}", after.lines().next().unwrap_or_default());
    if paths(&line, home).next().is_some() {
        return line;
    }
    format!("{}\n{line}", above.rsplit('\n').next().unwrap_or_default())
}

fn refused(
    confinement: &Confinement,
    home: &Path,
    context: &str,
    is_not_there: bool,
) -> Option<Refused> {
    // What is not there outside either was not refused.
    let may_be_hidden = |path: &Path| !is_not_there || path.symlink_metadata().is_ok();

    let has = |words: &[&str]| words.iter().any(|word| context.contains(word));
    let is_socket =
        has(&["to bus", ".sock", "dial unix", "unix:"]) || (has(&[BY_FILTER]) && has(&["socket"]));
    let is_meant =
        !is_not_there || has(&["to bus"]) || paths(context, home).any(|path| may_be_hidden(&path));
    if !confinement.keys.any_socket && is_socket && is_meant {
        let (what, value) = ("UNIX sockets".to_owned(), "any".to_owned());
        return Some(Refused { what, key: SOCKETS, value });
    }
    let wants_to_write = has(&[READ_ONLY])
        || has(&[
            "creat", "writ", "mkdir", "touch", "remov", "unlink", "rm:", "mv:", "cp:", "rename",
        ]);
    // No key should open the record, nor what of a shared repository is not for commits: git goes on
    // without its packed references, and its settings and hooks name programs.
    let never = confinement.grants.iter().filter_map(|grant| match grant.because {
        Because::Record => grant.path.parent(),
        Because::Repository if grant.access == Access::Read => Some(grant.path.as_path()),
        _ => None,
    });
    let never: Vec<PathBuf> = never.map(resolved).collect();
    let is_meant_to_be = |path: &Path| {
        let path = resolved(path);
        never.iter().any(|closed| path.starts_with(closed))
    };
    let mut meant =
        paths(context, home).filter(|path| may_be_hidden(path) && !is_meant_to_be(path));
    meant.find_map(|path| {
        let (key, mode) =
            if wants_to_write { (WRITE, Mode::WRITE_OK) } else { (READ, Mode::READ_OK) };
        let closed = match allowed(&confinement.grants, &path) {
            None => true,
            Some(Access::Read | Access::Device) => wants_to_write,
            Some(Access::Write) => false,
        };
        // Outside the cage it would work: it is not the file's own permissions that refuse.
        let by_the_cage = closed && access(nearest(&path), mode).is_ok();
        let value = path.display().to_string();
        by_the_cage.then(|| Refused { what: value.clone(), key, value })
    })
}

fn allowed(grants: &[Grant], path: &Path) -> Option<Access> {
    let path = resolved(path);
    let covering = grants.iter().filter(|grant| covers(grant, &path));
    covering.map(|grant| grant.access).max()
}

/// What exists of a path.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(path)
}

/// The absolute paths in a text, in the order in which they are likely meant: the last one before the
/// words, for most programs. One folder of the root alone is too little to be what was refused.
fn paths<'a>(context: &'a str, home: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
    let ends = |c: char| c.is_whitespace() || "\"'`‘’,;()[]{}<>|=".contains(c);
    context.split(ends).filter_map(move |word| {
        let word = word.trim_end_matches([':', '.', '\\']);
        let path = match word.strip_prefix("~/") {
            Some(below) => home.join(below),
            None => PathBuf::from(word),
        };
        (path.is_absolute() && path.components().count() > 2).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::confine::{Confine, Level};

    fn found(closed: &Path, open: &Path, text: &str) -> Vec<(String, &'static str, u32)> {
        let grant = |path: &Path, access, because| Grant { path: path.to_owned(), access, because };
        let confinement = Confinement {
            level: Level::Standard,
            grants: vec![
                grant(open, Access::Write, Because::Work),
                grant(Path::new("/usr"), Access::Read, Because::System),
                grant(&closed.join("shop/.git"), Access::Read, Because::Repository),
            ],
            keys: Confine::default(),
            home: closed.to_owned(),
            work: open.to_owned(),
            kept: Vec::new(),
            network: None,
        };
        let found = refusals(&confinement, closed, text.as_bytes());
        found.into_iter().map(|(refused, times)| (refused.what, refused.key, times)).collect()
    }

    #[test]
    fn what_programs_say_in_any_format_names_the_path_and_its_key() {
        let root = tempfile::tempdir().unwrap();
        let (closed, open) = (root.path().join("closed"), root.path().join("open"));
        std::fs::create_dir(&closed).unwrap();
        std::fs::create_dir(&open).unwrap();
        let file = closed.join("data.csv");
        std::fs::write(&file, "").unwrap();
        let (file, new) = (file.display().to_string(), closed.join("new").display().to_string());
        for (said, what, key) in [
            (format!("cat: {file}: Permission denied"), &file, READ),
            (
                format!(r#"{{"content":"bash: line 1: {file}: Permission denied\nok"}}"#),
                &file,
                READ,
            ),
            (format!("PermissionError: [Errno 13] Permission denied: '{file}'"), &file, READ),
            (format!("Error: EACCES: permission denied, open '{file}'"), &file, READ),
            (format!("error: failed to read {file}\nPermission denied (os error 13)"), &file, READ),
            ("cat: ~/data.csv: Permission denied".to_owned(), &file, READ),
            (format!("cat: {file}: No such file or directory"), &file, READ),
            (format!("mkdir: cannot create directory ‘{new}’: Permission denied"), &new, WRITE),
            (format!("touch: cannot touch '{new}': Permission denied"), &new, WRITE),
            (format!("bash: line 1: {file}: Read-only file system"), &file, WRITE),
            (format!("[Errno 30] Read-only file system: '{file}'"), &file, WRITE),
        ] {
            assert_eq!(found(&closed, &open, &said), [(what.clone(), key, 1)], "{said}");
        }
        let twice = format!("cat: {file}: Permission denied\ncat: {file}: Permission denied\n");
        assert_eq!(found(&closed, &open, &twice), [(file.clone(), READ, 2)]);
        // Each line is about its own path.
        let both = format!(
            "cat: {file}: Permission denied\ntouch: cannot touch '{new}': Permission denied\n\
             bash: {file}: Permission denied"
        );
        assert_eq!(
            found(&closed, &open, &both),
            [(file.clone(), READ, 2), (new.clone(), WRITE, 1)]
        );
    }

    #[test]
    fn sockets_are_named_as_a_whole() {
        let none = Path::new("/nonexistent");
        for said in [
            "Failed to connect to bus: Operation not permitted",
            "dial unix /var/run/docker.sock: socket: operation not permitted",
            "tmux: error connecting to socket (Operation not permitted)",
            "Failed to connect to bus: No such file or directory",
        ] {
            let wanted = [("UNIX sockets".to_owned(), SOCKETS, 1)];
            assert_eq!(found(none, none, said), wanted, "{said}");
        }
    }

    #[test]
    fn what_the_cage_did_not_refuse_is_not_counted() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("open");
        std::fs::create_dir(&open).unwrap();
        let own = open.join("x").display().to_string();
        for said in [
            format!("bash: {own}: Permission denied"),
            "git@github.com: Permission denied (publickey).".to_owned(),
            "/tmp is closed. \"Permission denied\" mostly means this.".to_owned(),
            "cat: /usr/share/x: Permission denied".to_owned(),
            format!(
                "error: Unable to create '{}/shop/.git/packed-refs.lock': Permission denied",
                root.path().display()
            ),
            format!("cat: {}/none: No such file or directory", root.path().display()),
            "all is well".to_owned(),
        ] {
            assert_eq!(found(root.path(), &open, &said), [], "{said}");
        }
    }
}
