//! What a run spends on bookkeeping: reading the session's own files, writing overview and signal.

use std::fmt;
use std::ops::Add;

use super::replies::{Call, Turn};

/// About so many bytes of text are a token, as `samocode prompt` has it.
const BYTES_PER_TOKEN: usize = 4;

/// Turns, and tokens of the calls in them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// Answers of the model.
    pub(crate) turns: usize,
    /// Answers that do nothing but bookkeeping.
    pub(crate) on_books: usize,
    /// Tokens that the model writes.
    pub(crate) written: usize,
    /// Of them for bookkeeping.
    pub(crate) written_on_books: usize,
    /// Tokens that come back from tools for bookkeeping.
    pub(crate) read_on_books: usize,
}

impl Spent {
    /// Counts the turns of a run and the results of its calls, in order.
    pub(crate) fn of(turns: &[Turn], results: &[String]) -> Self {
        let mut spent = Self::default();
        let mut results = results.iter();
        for turn in turns {
            spent.turns += 1;
            match turn {
                Turn::Says(text) => {
                    spent.on_books += 1;
                    spent.written += tokens(text);
                    spent.written_on_books += tokens(text);
                }
                Turn::Calls(calls) => {
                    spent.on_books += usize::from(calls.iter().all(is_bookkeeping));
                    for call in calls {
                        let written = tokens(&call.input.to_string());
                        let result = results.next().map_or(0, |result| tokens(result));
                        spent.written += written;
                        if is_bookkeeping(call) {
                            spent.written_on_books += written;
                            spent.read_on_books += result;
                        }
                    }
                }
            }
        }
        spent
    }
}

/// Whether a call is for samocode and not for the task: it reads the session's files or finds out where
/// the session stands, or it writes overview and signal.
fn is_bookkeeping(call: &Call) -> bool {
    let text = |field: &str| call.input[field].as_str().unwrap_or_default();
    let (file, command) = (text("file_path"), text("command"));
    let names = ["/_overview.md", "/_signal.json"];
    let is_read = call.tool == "Read" && file.contains("-sessions/");
    let is_look = command.starts_with("git status --short; git log --oneline -5");
    is_read || is_look || names.iter().any(|name| file.ends_with(name) || command.contains(name))
}

/// About how many tokens a text has.
pub(crate) fn tokens(text: &str) -> usize {
    text.len().div_ceil(BYTES_PER_TOKEN)
}

impl Add for Spent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            turns: self.turns + other.turns,
            on_books: self.on_books + other.on_books,
            written: self.written + other.written,
            written_on_books: self.written_on_books + other.written_on_books,
            read_on_books: self.read_on_books + other.read_on_books,
        }
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { turns, on_books, written, written_on_books, read_on_books } = self;
        write!(f, "{turns} | {on_books} | {written} | {written_on_books} | {read_on_books}")
    }
}
