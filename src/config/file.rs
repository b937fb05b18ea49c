//! The syntax of `.samocode`, of the user's `config` and of `env`: `KEY=value` lines.
//!
//! `#` starts a comment at the beginning of a line and after white space. Quotes around a whole
//! value are removed; within double quotes `\"`, `\\`, `\n`, `\r` and `\t` are escapes. A value
//! that is only partly quoted, such as a command with arguments, is left as it is. `export` before
//! a key, a byte order mark and CRLF are tolerated. An empty value is treated as unset.

use std::fmt;
use std::fs::{File, FileType};
use std::io::Read;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use zeroize::{Zeroize as _, Zeroizing};

use super::Error;

/// The largest settings file that is accepted, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// One `KEY=value` line, with its number.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its line number, from 1.
    pub line: u32,
    /// The name left of the `=`.
    pub key: String,
    /// The value without quotes. It may be a secret: `Debug` does not show it, and its memory is
    /// wiped.
    pub value: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.key)
    }
}

/// A parsed file, its lines in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it was read from.
    pub path: PathBuf,
    entries: Vec<Entry>,
}

/// Names the kind of something that is not a regular file.
fn kind(found: FileType) -> &'static str {
    match () {
        () if found.is_dir() => "a folder",
        () if found.is_fifo() => "a FIFO",
        () if found.is_socket() => "a socket",
        () => "a device",
    }
}

impl ConfigFile {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::NotAFile`], and those of [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self, Error> {
        let fail = |reason| Error::io("read", path, reason);
        // Opening a FIFO would block forever.
        let found = std::fs::metadata(path).map_err(fail)?;
        if !found.is_file() {
            return Err(Error::NotAFile { path: path.to_owned(), what: kind(found.file_type()) });
        }
        // As large as it gets: memory that a growing vector leaves behind would not be wiped.
        let size = usize::try_from(found.len().min(MAX_SIZE) + 1).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        File::open(path)
            .and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes))
            .map_err(fail)?;
        if bytes.len() as u64 > MAX_SIZE {
            let what = "the file is larger than 1 MiB: is it the right one?".to_owned();
            return Err(Error::Syntax { path: path.to_owned(), line: 1, what });
        }
        Self::parse(path, &bytes)
    }

    /// Like [`read`](Self::read), but a missing file is treated as empty.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), except for a missing file.
    pub fn read_if_exists(path: &Path) -> Result<Self, Error> {
        match Self::read(path) {
            Err(Error::Io { reason, .. }) if reason.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self { path: path.to_owned(), entries: Vec::new() })
            }
            other => other,
        }
    }

    /// Parses the content of a file; `path` is only for messages.
    ///
    /// # Errors
    /// [`Error::Syntax`] with the first bad line. It does not quote the line, which may be secret.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut entries = Vec::new();
        for (line, bytes) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            match parse_line(bytes) {
                Ok(None) => {}
                Ok(Some((key, value))) => entries.push(Entry { line, key, value }),
                Err(what) => {
                    return Err(Error::Syntax {
                        path: path.to_owned(),
                        line,
                        what: what.to_owned(),
                    });
                }
            }
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    /// The entry in effect for a key: the last one, unless it is empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.key == key)
            .filter(|entry| !entry.value.is_empty())
    }

    /// All entries in order, including empty and overridden ones.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries in effect, in order: without empty ones and those that a later line overrides.
    pub fn effective(&self) -> impl Iterator<Item = &Entry> {
        let is_last =
            |at: usize, key: &str| !self.entries.iter().skip(at + 1).any(|e| e.key == key);
        self.entries
            .iter()
            .enumerate()
            .filter(move |(at, entry)| !entry.value.is_empty() && is_last(*at, &entry.key))
            .map(|(_, entry)| entry)
    }
}

/// Whether a text can be a key: a letter or `_`, then letters, digits and `_`.
#[must_use]
pub fn is_key(word: &str) -> bool {
    !word.is_empty()
        && !word.starts_with(|c: char| c.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn parse_line(bytes: &[u8]) -> Result<Option<(String, String)>, &'static str> {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let line = std::str::from_utf8(bytes).map_err(|_| "the line is not UTF-8 text")?.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err("the line contains control characters");
    }
    let (key, value) = line
        .split_once('=')
        .ok_or("the line is not KEY=value: add the '=', or put '#' before a comment")?;
    let key = key.trim_end();
    let key = match key.strip_prefix("export") {
        Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start(),
        _ => key,
    };
    if !is_key(key) {
        return Err("before '=', expected a key of letters, digits and '_'");
    }
    Ok(Some((key.to_owned(), parse_value(value)?)))
}

fn parse_value(raw: &str) -> Result<String, &'static str> {
    let value = without_comment(raw).trim();
    if !value.starts_with(['"', '\'']) {
        return Ok(value.to_owned());
    }
    match closing_quote(value, 0) {
        None => Err("the quote is not closed"),
        Some(end) if end + 1 < value.len() => Ok(value.to_owned()),
        Some(end) => {
            let inner = value.get(1..end).unwrap_or_default();
            Ok(if value.starts_with('"') { unescape(inner) } else { inner.to_owned() })
        }
    }
}

/// Cuts off the comment: from the first `#` that is outside quotes and follows white space.
fn without_comment(raw: &str) -> &str {
    let bytes = raw.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => at = closing_quote(raw, at).unwrap_or(at),
            b'#' if at > 0 && bytes.get(at - 1).is_some_and(u8::is_ascii_whitespace) => {
                return raw.get(..at).unwrap_or(raw);
            }
            _ => {}
        }
        at += 1;
    }
    raw
}

/// The index at which the quote opened at `open` closes.
fn closing_quote(text: &str, open: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = *bytes.get(open)?;
    let mut at = open + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' if quote == b'"' => at += 1,
            byte if byte == quote => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

fn unescape(inner: &str) -> String {
    let mut value = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            value.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => value.push('\n'),
            Some('r') => value.push('\r'),
            Some('t') => value.push('\t'),
            Some(c @ ('"' | '\\')) => value.push(c),
            Some(c) => value.extend(['\\', c]),
            None => value.push('\\'),
        }
    }
    value
}

/// A line, without its end, that [`ConfigFile::parse`] reads back as this key and value.
///
/// # Errors
/// [`Error::Unwritable`] for control characters other than line ends and tabs, and for an invalid
/// key.
pub fn assignment(key: &str, value: &str) -> Result<String, Error> {
    let writable = value.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    if !writable || !is_key(key) {
        return Err(Error::Unwritable(key.escape_debug().to_string()));
    }
    let is_plain = |c: char| c.is_alphanumeric() || "_-./~:@%+,=$&?".contains(c);
    if value.chars().all(is_plain) {
        return Ok(format!("{key}={value}"));
    }
    let mut line = format!("{key}=\"");
    for c in value.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '"' | '\\' => line.extend(['\\', c]),
            c => line.push(c),
        }
    }
    line.push('"');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> ConfigFile {
        ConfigFile::parse(Path::new("/p/.samocode"), text.as_bytes()).unwrap()
    }

    fn refusal(bytes: &[u8]) -> String {
        ConfigFile::parse(Path::new("/p/.samocode"), bytes).unwrap_err().to_string()
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        for (line, value) in [
            ("K=v", "v"),
            ("  K = v  ", "v"),
            ("export K=v", "v"),
            ("K=v\r", "v"),
            ("K=~/a b", "~/a b"),
            ("K=v # why", "v"),
            ("K= # why", ""),
            ("K=", ""),
            ("K=a#b", "a#b"),
            ("K=#b", "#b"),
            ("K=a=b", "a=b"),
            ("K=\"a # b\" # why", "a # b"),
            ("K='a \\n \"b\"'", "a \\n \"b\""),
            ("K=\"a\\\"b\\\\c\\nd\\e\"", "a\"b\\c\nd\\e"),
            ("K=\"my prog\" --flag", "\"my prog\" --flag"),
            ("K=sh -c 'echo # x' # why", "sh -c 'echo # x'"),
            ("K=don't # why", "don't"),
            ("K=''", ""),
        ] {
            let file = parse(line);
            assert_eq!(file.entries()[0].value, value, "{line}");
            assert_eq!(file.entries()[0].key, "K", "{line}");
        }
    }

    #[test]
    fn comments_blank_lines_crlf_and_a_byte_order_mark_do_no_harm() {
        let file = parse("\u{feff}# mine\r\n\r\nA=1\r\n   # more\r\nB=2");
        let read: Vec<_> =
            file.entries().iter().map(|e| (e.line, e.key.as_str(), e.value.as_str())).collect();
        assert_eq!(read, [(3, "A", "1"), (5, "B", "2")]);
    }

    #[test]
    fn a_bad_line_is_named_but_never_quoted() {
        assert_eq!(
            refusal(b"A=1\nsk-ant-secret\n"),
            "/p/.samocode:2: the line is not KEY=value: add the '=', or put '#' before a comment"
        );
        assert!(refusal(b"A B=secret").starts_with("/p/.samocode:1: before '='"));
        assert!(refusal(b"A=\"secret").ends_with("the quote is not closed"));
        assert!(refusal(b"\nA=\xff").starts_with("/p/.samocode:2: the line is not UTF-8"));
        assert!(refusal(b"A=\x00").contains("control characters"));
        assert!(refusal(b"=x").contains("before '='"));
    }

    #[test]
    fn the_last_one_counts_and_an_empty_one_unsets() {
        let file = parse("A=1\nB=2\nA=3\nB=\n");
        assert_eq!(file.get("A").map(|e| (e.line, e.value.as_str())), Some((3, "3")));
        assert_eq!(file.get("B"), None);
        assert_eq!(file.effective().map(|e| e.line).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn debug_shows_no_values() {
        let shown = format!("{:?}", parse("TELEGRAM_BOT_TOKEN=123:secret"));
        assert!(shown.contains("TELEGRAM_BOT_TOKEN") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn only_a_regular_file_of_sane_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(ConfigFile::read(folder.path()), Err(Error::NotAFile { .. })));
        assert!(matches!(ConfigFile::read(Path::new("/dev/zero")), Err(Error::NotAFile { .. })));
        let large = folder.path().join("large");
        File::create(&large).and_then(|file| file.set_len(MAX_SIZE + 1)).unwrap();
        assert!(ConfigFile::read(&large).unwrap_err().to_string().contains("larger than"));
        let absent = ConfigFile::read_if_exists(&folder.path().join("absent")).unwrap();
        assert!(absent.entries().is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = ConfigFile::parse(Path::new("x"), &bytes);
        }

        #[test]
        fn no_line_makes_it_panic(text in "[A-C=# \"'\\\\\r\n\té]{0,60}") {
            let _ = ConfigFile::parse(Path::new("x"), text.as_bytes());
        }

        #[test]
        fn what_is_written_is_read_back(value in "(\\PC|[\"'\\\\# \n\r\t=~]){0,40}", crlf in any::<bool>()) {
            let line = assignment("KEY", &value).unwrap();
            let end = if crlf { "\r\n" } else { "\n" };
            let file = parse(&format!("# first{end}{line}{end}LAST=1{end}"));
            prop_assert_eq!(&file.entries()[0].value, &value);
            prop_assert_eq!(file.entries().len(), 2);
        }
    }
}
