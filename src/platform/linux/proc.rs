//! Reads files of `/proc`. They claim to be empty, so that std reads them in many small pieces.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Most of them are shorter.
const PIECE: usize = 8 * 1024;

/// What a file holds.
pub(super) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(PIECE);
    // Behind a limit std does not ask for its length.
    File::open(path)?.take(u64::MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same as text.
pub(super) fn text(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_whatever_its_length() {
        let of_std = std::fs::read_to_string("/proc/self/cmdline").unwrap();
        assert_eq!(text("/proc/self/cmdline").unwrap(), of_std);
        let folder = tempfile::tempdir().unwrap();
        let (long, path) = ("x".repeat(3 * PIECE + 1), folder.path().join("long"));
        std::fs::write(&path, &long).unwrap();
        assert_eq!(text(&path).unwrap(), long);
        assert!(read(folder.path().join("none")).is_err());
    }
}
