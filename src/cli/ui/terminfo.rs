//! Whether a kind of terminal shows colours, by what the system's database of terminals says
//! (term(5)): a `vt100` has none.

use std::path::{Path, PathBuf};

/// Where compiled descriptions are, after a person's own.
const FOLDERS: [&str; 4] =
    ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/share/lib/terminfo"];

/// What a description begins with, and how long its numbers are.
const KINDS: [(usize, usize); 2] = [(0o432, 2), (0o1036, 4)];

/// Where the number of colours is among the numbers of a description.
const MAX_COLORS: usize = 13;

/// How many colours a terminal needs so that ours can be used.
const ENOUGH: i32 = 8;

/// Whether the terminal of this process is known to have no colours.
pub(in crate::cli) fn has_no_colors() -> bool {
    let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(term) = text("TERM").filter(|_| text("COLORTERM").is_none()) else { return false };
    let own = text("TERMINFO").into_iter();
    let home = text("HOME").map(|home| format!("{home}/.terminfo"));
    let mut folders = own.chain(home).chain(FOLDERS.map(str::to_owned)).map(PathBuf::from);
    let description = folders.find_map(|folder| read(&folder, &term));
    description.and_then(|bytes| colors(&bytes)).is_some_and(|colors| colors < ENOUGH)
}

/// The description of a terminal in a folder: below its first letter, or the letter's code on macOS.
fn read(folder: &Path, term: &str) -> Option<Vec<u8>> {
    let first = *term.as_bytes().first()?;
    // No name is a path.
    if term.contains('/') || first == b'.' {
        return None;
    }
    let below = [char::from(first).to_string(), format!("{first:x}")];
    below.iter().find_map(|letter| std::fs::read(folder.join(letter).join(term)).ok())
}

/// How many colours a description names, -1 for none; `None` if it cannot be read.
fn colors(bytes: &[u8]) -> Option<i32> {
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
    let [magic, names, flags, numbers] = [short(0)?, short(2)?, short(4)?, short(6)?];
    let (_, length) = *KINDS.iter().find(|(kind, _)| *kind == magic)?;
    if numbers <= MAX_COLORS {
        return Some(-1);
    }
    let start = (12 + names + flags).next_multiple_of(2);
    let number = bytes.get(start + MAX_COLORS * length..)?;
    Some(match length {
        2 => i16::from_le_bytes(*number.first_chunk()?).into(),
        _ => i32::from_le_bytes(*number.first_chunk()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A description with this many colours among `numbers` numbers.
    fn description(length: usize, colors: Option<i32>) -> Vec<u8> {
        let kind = KINDS.iter().find(|(_, long)| *long == length).unwrap().0;
        let numbers = if colors.is_some() { MAX_COLORS + 2 } else { 3 };
        let header = [kind, 4, 3, numbers, 0, 0];
        let mut bytes: Vec<u8> =
            header.iter().flat_map(|word| u16::try_from(*word).unwrap().to_le_bytes()).collect();
        // Names, three flags, and what makes it even.
        bytes.extend(b"vt1\0\x01\x00\x01\0");
        for at in 0..numbers {
            let number = if at == MAX_COLORS { colors.unwrap_or(0) } else { 80 };
            bytes.extend(&number.to_le_bytes()[..length]);
        }
        bytes
    }

    #[test]
    fn a_terminal_has_the_colours_that_its_description_names() {
        for length in [2, 4] {
            assert_eq!(colors(&description(length, None)), Some(-1));
            for number in [-1, 8, 256] {
                assert_eq!(colors(&description(length, Some(number))), Some(number));
            }
            let whole = description(length, Some(8));
            for end in 0..whole.len() {
                let _ = colors(&whole[..end]);
            }
        }
        assert_eq!(colors(b"#!/bin/sh\n# something else"), None);
    }

    #[test]
    fn a_description_is_found_below_its_letter_or_the_code_of_it() {
        let folder = tempfile::tempdir().unwrap();
        for (letter, term) in [("v", "vt100"), ("78", "xterm")] {
            std::fs::create_dir(folder.path().join(letter)).unwrap();
            std::fs::write(folder.path().join(letter).join(term), term).unwrap();
            assert_eq!(read(folder.path(), term).unwrap(), term.as_bytes());
        }
        assert_eq!(read(folder.path(), "../v/vt100"), None);
        assert_eq!(read(folder.path(), ""), None);
    }
}
