//! Text that a person or a pipe gives: from standard input, a file or an editor.

use std::io::{BufRead as _, IsTerminal as _, Read};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::control::Error;
use crate::git::quoted;

/// Reads standard input, at most `most` bytes. `instead` is the hint for more than that.
pub(in crate::cli) fn stdin(most: usize, instead: &str) -> anyhow::Result<String> {
    text(std::io::stdin().lock(), "standard input", most, [instead; 2])
}

/// Reads a file, at most `most` bytes.
pub(in crate::cli) fn file(path: &Path, most: usize) -> anyhow::Result<String> {
    let shown = path.display().to_string();
    // Reading a FIFO or a device could block.
    let meta = std::fs::metadata(path)
        .map_err(|error| Error::usage(format!("cannot read {shown}: {error}")))?;
    if !meta.is_file() {
        return Err(Error::usage(format!("{shown} is not a file")).into());
    }
    let file = std::fs::File::open(path)
        .map_err(|error| Error::usage(format!("cannot read {shown}: {error}")))?;
    let from = if is_utf16(path) { "UTF-16" } else { "LATIN1" };
    let convert = format!("convert it with: iconv -f {from} -t UTF-8 {}", quoted(path));
    text(file, &shown, most, ["write a shorter text that names this file", &convert])
}

/// Whether a file begins as editors of Windows begin one in UTF-16.
fn is_utf16(path: &Path) -> bool {
    let mut mark = [0; 2];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut mark));
    read.is_ok() && matches!(mark, [0xff, 0xfe] | [0xfe, 0xff])
}

/// Reads a text; the hints are for one that is too long, and for what is no text.
fn text(
    from: impl Read,
    what: &str,
    most: usize,
    [shorter, readable]: [&str; 2],
) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {what}"))?;
    if bytes.len() > most {
        return Err(Error::usage(format!("{what} has more than {most} bytes"))
            .hint(shorter)
            .into());
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::usage(format!("{what} is not UTF-8")).hint(readable).into())
}

/// Asks a question that is answered with yes or no; no, if nobody is there to answer.
pub(in crate::cli) fn agrees(question: &str) -> anyhow::Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    eprint!("{question} [y/N] ");
    let mut line = String::new();
    stdin.lock().take(64).read_line(&mut line).context("cannot read standard input")?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// What is below this line in an editor is not part of the text.
const CUT: &str = "<!-- Write above this line. Leave it empty to cancel. -->";

/// The editor that the person has chosen, if there is a terminal to run it in.
pub(in crate::cli) fn editor() -> Option<String> {
    let is_here = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let chosen = ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok());
    chosen.filter(|editor| is_here && !editor.trim().is_empty())
}

/// Has the person write a text in their editor; `about` says what for.
pub(in crate::cli) fn edited(editor: &str, about: &str) -> anyhow::Result<String> {
    let file = tempfile::Builder::new().prefix("samocode-").suffix(".md").tempfile()?;
    std::fs::write(file.path(), format!("\n\n{CUT}\n{about}\n"))?;
    let mut words = shlex::split(editor).unwrap_or_default().into_iter();
    let program = words.next().unwrap_or_default();
    let status = Command::new(&program).args(words).arg(file.path()).status();
    let status = status.with_context(|| format!("cannot run your editor, {editor}"))?;
    if !status.success() {
        bail!("your editor, {editor}, failed ({status}); nothing was done");
    }
    // By its path: many editors put a new file in the old one's place.
    let text = std::fs::read_to_string(file.path()).context("cannot read what you wrote")?;
    Ok(before_cut(&text).to_owned())
}

fn before_cut(text: &str) -> &str {
    text.split(CUT).next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_line_is_not_part_of_the_text() {
        let text = format!("# JWT login\n\nwith cookies\n\n{CUT}\nThe task of jwt\n");
        assert_eq!(before_cut(&text), "# JWT login\n\nwith cookies");
        assert_eq!(before_cut(&format!("\n\n{CUT}\nabout")), "");
    }

    #[test]
    fn too_much_no_text_and_no_file_are_refused() {
        let read =
            |bytes: &[u8]| text(bytes, "standard input", 8, [""; 2]).map_err(|e| e.to_string());
        assert_eq!(read(b"12345678").unwrap(), "12345678");
        assert_eq!(read(b"123456789").unwrap_err(), "standard input has more than 8 bytes");
        assert_eq!(read(b"\xff").unwrap_err(), "standard input is not UTF-8");
        assert!(file(Path::new("/dev/zero"), 8).unwrap_err().to_string().contains("is not a file"));
        assert!(file(Path::new("/nowhere"), 8).unwrap_err().to_string().contains("/nowhere"));
        let dir = tempfile::tempdir().unwrap();
        let latin = dir.path().join("a task");
        for (bytes, from) in [(b"caf\xe9".as_slice(), "LATIN1"), (b"\xff\xfec\0a\0", "UTF-16")] {
            std::fs::write(&latin, bytes).unwrap();
            let refused = file(&latin, 8).unwrap_err();
            let hint = refused.downcast_ref::<Error>().and_then(|error| error.hint.clone());
            let command = format!("iconv -f {from} -t UTF-8 '{}'", latin.display());
            assert!(hint.unwrap().ends_with(&command), "{command}");
        }
    }

    #[test]
    fn an_editor_writes_the_text() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("ed");
        std::fs::write(&script, "printf 'JWT login\\n' >new; cat \"$1\" >>new; mv new \"$1\"\n")
            .unwrap();
        let editor = format!("sh -c 'cd {}; . ./ed' ed", dir.path().display());
        assert_eq!(edited(&editor, "The task").unwrap(), "JWT login");
        assert!(edited("false", "The task").is_err());
        assert!(edited("/no/such/editor", "The task").is_err());
    }
}
