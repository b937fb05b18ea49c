//! Output: colour and tables on a terminal, plain text when piped, JSON for programs.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::ColorChoice;
use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde::Serialize;
use tokio::sync::Notify;

use crate::session::describe::harmless;
use crate::session::state::StateName;

use super::pager;

static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on, prints neither what was done nor progress.
pub(in crate::cli) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether only what was asked for, warnings and errors are printed.
pub(in crate::cli) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints a line on standard error, marked as an error on a terminal.
pub(in crate::cli) fn error(text: &str) {
    let red = AnsiColor::Red.on_default().bold();
    errln!("{red}error{red:#}: {text}");
}

/// Prints an error, and its hint on a second line.
pub(in crate::cli) fn failure(error: &crate::control::Error) {
    self::error(&error.message);
    if let Some(hint) = &error.hint {
        let cyan = AnsiColor::Cyan.on_default();
        errln!("{cyan}hint{cyan:#}: {hint}");
    }
}

/// Prints a note on standard error: worth a look, but not an error.
pub(in crate::cli) fn note(text: &str) {
    let yellow = AnsiColor::Yellow.on_default();
    errln!("{yellow}note{yellow:#}: {text}");
}

/// Prints a line on standard error about what a call waits for; nothing with `--quiet`.
pub(in crate::cli) fn progress(text: &str) {
    if !is_quiet() {
        note(text);
    }
}

/// Prints a line on standard output.
///
/// # Errors
/// When it cannot be written. [`until_closed`] handles a reader that closed the pipe.
pub(in crate::cli) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    let text = format!("{text}\n");
    // Strip the colours here: an auto-stripping stream writes a line in pieces.
    let text = match anstream::stdout().current_choice() {
        ColorChoice::Never => strip_str(&text).to_string(),
        _ => text,
    };
    Ok(pager::write(&text)?)
}

/// Prints a value as JSON, one document.
///
/// # Errors
/// As [`line`].
pub(in crate::cli) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?)
}

/// Treats a closed pipe as success: `head` may stop reading before we stop printing.
///
/// # Errors
/// Any other error, unchanged.
pub(in crate::cli) fn until_closed(shown: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    shown.or_else(|error| {
        let broken = error.chain().any(|cause| {
            let cause = cause.downcast_ref::<std::io::Error>();
            cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
        });
        if broken { Ok(ExitCode::SUCCESS) } else { Err(error) }
    })
}

/// Detects that the reader of standard output closed it. Never happens for a file.
pub(in crate::cli) struct Closed(Arc<Notify>);

impl Closed {
    /// Starts watching, in a thread that sleeps in `poll`. epoll does not accept files, and needs
    /// the output to be non-blocking for every process that shares it.
    pub(in crate::cli) fn of_stdout() -> Self {
        let closed = Arc::new(Notify::new());
        let teller = Arc::clone(&closed);
        // Without a thread, as where a limit on processes is reached, nobody watches.
        let _ = std::thread::Builder::new().spawn(move || {
            let stdout = std::io::stdout();
            // No events requested: errors and hang-ups are always reported.
            let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
            while let Err(Errno::INTR) = poll(&mut watched, None) {}
            if !watched[0].revents().is_empty() {
                teller.notify_one();
            }
        });
        Self(closed)
    }

    /// Waits until the reader is gone. Cancel-safe.
    pub(in crate::cli) async fn wait(&self) {
        self.0.notified().await;
    }
}

/// Waits until the reader is gone; forever if nothing watches for that.
pub(in crate::cli) async fn closed(watched: Option<&Closed>) {
    match watched {
        Some(closed) => closed.wait().await,
        None => std::future::pending().await,
    }
}

/// The terminal's width in columns; `None` when output is piped.
pub(in crate::cli) fn width() -> Option<usize> {
    const USUAL: u16 = 80;
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let columns = size.map(|size| size.ws_col).filter(|columns| *columns > 0);
    Some(columns.unwrap_or(USUAL).into())
}

/// [`harmless`] words in one line; on a terminal at most `most` characters. A pipe gets all of them.
pub(in crate::cli) fn shortened(text: &str, most: usize, width: Option<usize>) -> String {
    in_line(text, width.map_or(usize::MAX, |_| most))
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

/// The colour a state is shown in.
pub(in crate::cli) const fn state_style(state: StateName) -> Style {
    let color = match state {
        StateName::Running => AnsiColor::Green,
        StateName::Waiting => AnsiColor::Yellow,
        StateName::Blocked | StateName::Failed => AnsiColor::Red,
        StateName::Done => AnsiColor::Cyan,
        StateName::Limited | StateName::Paused | StateName::Queued => AnsiColor::Magenta,
        StateName::New | StateName::Stopped => AnsiColor::BrightBlack,
    };
    color.on_default()
}

/// `text` in `style`. The stream strips the style when colours are off.
pub(in crate::cli) fn painted(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The style of secondary text, such as notes in a table.
pub(in crate::cli) const DIM: Style = Style::new().dimmed();

/// For headings and session names.
pub(in crate::cli) const BOLD: Style = Style::new().bold();

/// Whether a person is at the terminal, so that we can ask questions.
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
