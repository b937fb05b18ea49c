//! A secret that a person types, which the terminal does not show.

use std::io::{BufRead as _, Read as _, Stdin, Write as _};

use anyhow::Context as _;
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::config::Secret;

/// The longest secret, in bytes.
const MOST: usize = 1024;

/// Asks for a secret: on a terminal without showing it, else the first line of standard input. Ctrl-C
/// and Ctrl-Z do what they always do, and leave a terminal that shows what is typed.
pub(in crate::cli) fn ask(question: &str) -> anyhow::Result<Secret> {
    let stdin = std::io::stdin();
    let Some(mut silent) = Silent::begin(&stdin) else {
        let mut line = Zeroizing::new(String::new());
        stdin.lock().take(MOST as u64).read_line(&mut line).context(UNREADABLE)?;
        return Ok(Secret::new(line.as_str()));
    };
    let prompt = || {
        eprint!("{question}: ");
        let _ = std::io::stderr().flush();
    };
    prompt();
    let mut line = Line::of(&silent.before);
    loop {
        let mut byte = [0];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&stdin, &mut byte));
        if read.context(UNREADABLE)? == 0 {
            break;
        }
        match line.take(byte[0]) {
            Typed::More => {}
            Typed::All => break,
            Typed::Signal(signal) => {
                // As the terminal would have sent it, had it not been told to leave that to us.
                drop(silent);
                eprintln!();
                let _ = kill_process(getpid(), signal);
                // It was stopped and continued, or ignores the signal.
                silent = Silent::begin(&stdin).context("the terminal is gone")?;
                line.clear();
                prompt();
            }
        }
    }
    drop(silent);
    eprintln!();
    Ok(Secret::new(String::from_utf8_lossy(&line.text)))
}

const UNREADABLE: &str = "cannot read standard input";

/// What a typed byte means.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    More,
    All,
    Signal(Signal),
}

/// A line that is typed without an echo, with the keys that edit one.
struct Line {
    text: Zeroizing<Vec<u8>>,
    keys: Keys,
}

/// The bytes of the keys that the terminal is set to.
struct Keys {
    interrupt: u8,
    quit: u8,
    suspend: u8,
    end: u8,
    erase: u8,
    kill: u8,
}

impl Line {
    fn of(terminal: &Termios) -> Self {
        let key = |index| terminal.special_codes[index];
        let keys = Keys {
            interrupt: key(SpecialCodeIndex::VINTR),
            quit: key(SpecialCodeIndex::VQUIT),
            suspend: key(SpecialCodeIndex::VSUSP),
            end: key(SpecialCodeIndex::VEOF),
            erase: key(SpecialCodeIndex::VERASE),
            kill: key(SpecialCodeIndex::VKILL),
        };
        // At its full length at once: what grows leaves copies behind.
        Self { text: Zeroizing::new(Vec::with_capacity(MOST)), keys }
    }

    fn clear(&mut self) {
        self.text.clear();
    }

    fn take(&mut self, byte: u8) -> Typed {
        let Keys { interrupt, quit, suspend, end, erase, kill } = self.keys;
        match byte {
            b'\n' | b'\r' => return Typed::All,
            // Zero turns a key off.
            0 => {}
            _ if byte == interrupt => return Typed::Signal(Signal::INT),
            _ if byte == quit => return Typed::Signal(Signal::QUIT),
            _ if byte == suspend => return Typed::Signal(Signal::TSTP),
            _ if byte == end => return Typed::All,
            _ if byte == kill => self.clear(),
            _ if byte == erase || matches!(byte, 0x08 | 0x7f) => {
                self.text.pop();
            }
            _ if self.text.len() < MOST => self.text.push(byte),
            _ => {}
        }
        Typed::More
    }
}

/// A terminal that does not show what is typed, and hands over each key, until this is dropped.
struct Silent<'a> {
    stdin: &'a Stdin,
    before: Termios,
}

impl<'a> Silent<'a> {
    /// `None` if it is no terminal.
    fn begin(stdin: &'a Stdin) -> Option<Self> {
        let before = tcgetattr(stdin).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin, OptionalActions::Flush, &silent).ok()?;
        Some(Self { stdin, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.stdin, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let keys = Keys { interrupt: 3, quit: 28, suspend: 26, end: 4, erase: 0x7f, kill: 0x15 };
        Line { text: Zeroizing::new(Vec::new()), keys }
    }

    /// What is typed until it is all, and the last byte's meaning.
    fn typed(bytes: &[u8]) -> (String, Typed) {
        let mut line = line();
        let mut last = Typed::More;
        for byte in bytes {
            last = line.take(*byte);
        }
        (String::from_utf8_lossy(&line.text).into_owned(), last)
    }

    #[test]
    fn a_line_can_be_edited_and_ends_with_enter_or_at_the_end_of_input() {
        assert_eq!(typed(b"1:ab\n"), ("1:ab".into(), Typed::All));
        assert_eq!(typed(b"1:ax\x7fb\r"), ("1:ab".into(), Typed::All));
        assert_eq!(typed(b"wrong\x151:ab\x04"), ("1:ab".into(), Typed::All));
        assert_eq!(typed(b"\x7f\x08a"), ("a".into(), Typed::More));
    }

    #[test]
    fn keys_that_send_signals_send_them() {
        for (key, signal) in [(3, Signal::INT), (28, Signal::QUIT), (26, Signal::TSTP)] {
            assert_eq!(line().take(key), Typed::Signal(signal));
        }
        let mut turned_off = line();
        turned_off.keys.interrupt = 0;
        assert_eq!(turned_off.take(0), Typed::More);
        assert!(turned_off.text.is_empty());
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let mut line = line();
        for _ in 0..MOST + 5 {
            line.take(b'x');
        }
        assert_eq!(line.text.len(), MOST);
    }
}
