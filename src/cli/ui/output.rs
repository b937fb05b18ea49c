//! What people see: colour and tables on a terminal, plain text when piped, JSON for programs.

use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anstream::ColorChoice;
use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde::Serialize;
use tokio::sync::Notify;

use crate::session::describe::harmless;
use crate::session::state::Word;

/// Prints a line on standard error, marked as an error on a terminal.
pub(in crate::cli) fn error(text: &str) {
    let red = AnsiColor::Red.on_default().bold();
    say_aside!("{red}error{red:#}: {text}");
}

/// Prints what went wrong, and in a line of its own what to do now.
pub(in crate::cli) fn failure(error: &crate::control::Error) {
    self::error(&error.message);
    if let Some(hint) = &error.hint {
        let cyan = AnsiColor::Cyan.on_default();
        say_aside!("{cyan}hint{cyan:#}: {hint}");
    }
}

/// Prints a line on standard error that is worth a look.
pub(in crate::cli) fn note(text: &str) {
    let yellow = AnsiColor::Yellow.on_default();
    say_aside!("{yellow}note{yellow:#}: {text}");
}

/// Prints a line.
///
/// # Errors
/// When it cannot be written: [`until_closed`] is for a reader that has gone.
pub(in crate::cli) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    let text = format!("{text}\n");
    // Stripped here: a stream that strips by itself writes a table piece by piece.
    let text = match anstream::stdout().current_choice() {
        ColorChoice::Never => strip_str(&text).to_string(),
        _ => text,
    };
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

/// Prints a value as JSON, one document.
///
/// # Errors
/// As [`line`].
pub(in crate::cli) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?)
}

/// What showed something and found that nobody reads it any more, as `head` after its lines, has
/// done what it could.
///
/// # Errors
/// Any other.
pub(in crate::cli) fn until_closed(shown: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    shown.or_else(|error| {
        let broken = error.chain().any(|cause| {
            let cause = cause.downcast_ref::<std::io::Error>();
            cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
        });
        if broken { Ok(ExitCode::SUCCESS) } else { Err(error) }
    })
}

/// Tells when nobody reads standard output any more; of a file that is never so.
pub(in crate::cli) struct Closed(Arc<Notify>);

impl Closed {
    /// Begins to look, in a thread that sleeps until then: epoll would take no file, and would
    /// need the output made non-blocking for whoever shares it.
    pub(in crate::cli) fn of_stdout() -> Self {
        let closed = Arc::new(Notify::new());
        let teller = Arc::clone(&closed);
        std::thread::spawn(move || {
            let stdout = std::io::stdout();
            // Nothing is asked for: errors and hang-ups are told in any case.
            let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
            while let Err(Errno::INTR) = poll(&mut watched, None) {}
            if !watched[0].revents().is_empty() {
                teller.notify_one();
            }
        });
        Self(closed)
    }

    /// Waits for it. May be dropped while it waits.
    pub(in crate::cli) async fn wait(&self) {
        self.0.notified().await;
    }
}

/// The terminal's width in columns; `None` where the output is piped, which needs none.
pub(in crate::cli) fn width() -> Option<usize> {
    const USUAL: u16 = 80;
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let columns = size.map(|size| size.ws_col).filter(|columns| *columns > 0);
    Some(columns.unwrap_or(USUAL).into())
}

/// [`harmless`] words in one line of at most `most` characters.
pub(in crate::cli) fn in_line(text: &str, most: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let flat = harmless(&flat);
    if flat.chars().count() <= most {
        return flat.into_owned();
    }
    let mut cut: String = flat.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// The style of a state's word.
pub(in crate::cli) const fn state_style(state: Word) -> Style {
    let color = match state {
        Word::Running => AnsiColor::Green,
        Word::Waiting => AnsiColor::Yellow,
        Word::Blocked | Word::Failed => AnsiColor::Red,
        Word::Done => AnsiColor::Cyan,
        Word::Limited | Word::Paused | Word::Queued => AnsiColor::Magenta,
        Word::New | Word::Stopped => AnsiColor::BrightBlack,
    };
    color.on_default()
}

/// `text` in `style`; the stream drops the style where it is not wanted.
pub(in crate::cli) fn painted(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The style of what is less important.
pub(in crate::cli) const DIM: Style = Style::new().dimmed();

/// The style of a heading or a name.
pub(in crate::cli) const BOLD: Style = Style::new().bold();

/// A table without lines. Cells but those of the last column have no style: the table would count
/// its bytes as width.
pub(in crate::cli) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.iter().copied());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Prints a table without trailing spaces, its header less important.
///
/// # Errors
/// As [`line`].
pub(in crate::cli) fn print_table(table: &Table) -> anyhow::Result<()> {
    for (index, row) in table.to_string().lines().enumerate() {
        let style = if index == 0 { DIM } else { Style::new() };
        line(painted(style, row.trim_end()))?;
    }
    Ok(())
}

/// Whether a person types: questions may be asked.
pub(in crate::cli) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_and_says_so() {
        assert_eq!(in_line("  a\n b ", 9), "a b");
        assert_eq!(in_line("abcdef", 4), "abc…");
    }
}
