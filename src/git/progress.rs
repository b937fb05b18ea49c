//! What git says on its standard error of how far it is: `Updating files:  45% (450/1000)`.

/// Who is told, in words for people.
pub(super) type Told<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// The longest line of progress.
const LONGEST: usize = 200;

/// Finds progress in output that comes in pieces. git ends each line of it but the last with a
/// carriage return.
#[derive(Debug, Default)]
pub(super) struct Progress {
    begun: Vec<u8>,
}

impl Progress {
    /// Takes in a piece; the newest progress in it.
    pub(super) fn read(&mut self, piece: &[u8]) -> Option<String> {
        let mut newest = None;
        for part in piece.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            self.begun.extend_from_slice(part);
            if !part.ends_with(b"\r") && !part.ends_with(b"\n") {
                break;
            }
            newest = words(&String::from_utf8_lossy(&self.begun)).or(newest);
            self.begun.clear();
        }
        // A hook or a filter may write without ever ending a line.
        self.begun.truncate(LONGEST);
        newest
    }
}

/// `Updating files:  45% (450/1000), done.` as `updating files, 45 % (450 of 1000)`.
fn words(line: &str) -> Option<String> {
    let (what, rest) = line.trim().split_once(':')?;
    let (percent, rest) = rest.trim_start().split_once("% (")?;
    let (done, all) = rest.split_once(')')?.0.split_once('/')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_progress = [percent, done, all].into_iter().all(is_number)
        && what.starts_with(|c: char| c.is_ascii_uppercase());
    let what = what.to_ascii_lowercase();
    is_progress.then(|| format!("{what}, {percent} % ({done} of {all})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_found_however_it_is_cut_and_nothing_else_is_taken_for_it() {
        let text = b"HEAD is now at 1a92f9a x\nUpdating files:   1% (3/300)\rUpdating files:  45% (135/300)\r";
        let newest = "updating files, 45 % (135 of 300)";
        for cut in 0..=text.len() {
            let mut progress = Progress::default();
            let (head, tail) = text.split_at(cut);
            let told = [progress.read(head), progress.read(tail)];
            assert_eq!(told.iter().flatten().next_back().map(String::as_str), Some(newest));
        }
        let mut progress = Progress::default();
        let filters = b"Filtering content: 100% (2/2), 20 MiB | 3 MiB/s, done.\n";
        assert_eq!(progress.read(filters).unwrap(), "filtering content, 100 % (2 of 2)");
        for other in
            ["fatal: 50% (of/it)\n", "\n", "warning: x: 5% (1/2)\n", "Note: 5%\n", ": 5% (1/2)\n"]
        {
            assert_eq!(progress.read(other.as_bytes()), None, "{other}");
        }
        for _ in 0..1000 {
            assert_eq!(progress.read(&[b'x'; 100]), None);
        }
        assert!(progress.begun.len() <= LONGEST, "{}", progress.begun.len());
    }
}
