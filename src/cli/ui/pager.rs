//! A pager for output that is longer than the screen, as git has one: `$SAMOCODE_PAGER`, `$PAGER`, else `less`. Only
//! on a terminal, and never for JSON.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use textwrap::core::display_width;
use tokio::signal::unix::{SignalKind, signal};

/// Where lines go that a verb prints.
#[derive(Debug)]
enum Sink {
    Stdout,
    /// They are kept until they no longer fit the screen.
    Held {
        text: String,
        used: usize,
        screen: Screen,
        program: String,
    },
    Pager(Child),
}

#[derive(Debug, Clone, Copy)]
struct Screen {
    rows: usize,
    columns: usize,
}

static SINK: Mutex<Sink> = Mutex::new(Sink::Stdout);

/// Output goes through the pager until this is dropped.
#[derive(Debug)]
pub(in crate::cli) struct Paged(());

/// Has long output paged, if there is a terminal and a pager.
pub(in crate::cli) fn paged(wanted: bool) -> Paged {
    if wanted
        && io::stdout().is_terminal()
        && let Some(program) = program(chosen().as_deref())
        && let Some(screen) = screen()
    {
        let mut sink = SINK.lock().unwrap_or_else(PoisonError::into_inner);
        *sink = Sink::Held { text: String::new(), used: 0, screen, program };
    }
    Paged(())
}

/// What the person says about pagers: for samocode, else for all programs.
fn chosen() -> Option<String> {
    ["SAMOCODE_PAGER", "PAGER"].into_iter().find_map(|name| std::env::var(name).ok())
}

/// The pager that a person has chosen, `less` by default; `None` for none.
fn program(chosen: Option<&str>) -> Option<String> {
    match chosen.map(str::trim) {
        None => Some("less".to_owned()),
        Some("" | "cat") => None,
        Some(chosen) => Some(chosen.to_owned()),
    }
}

fn screen() -> Option<Screen> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    let (rows, columns) = (usize::from(size.ws_row), usize::from(size.ws_col));
    (rows > 0 && columns > 0).then_some(Screen { rows, columns })
}

impl Screen {
    /// How many of its rows a text takes.
    fn rows_of(self, text: &str) -> usize {
        text.lines().map(|line| display_width(line).div_ceil(self.columns).max(1)).sum()
    }
}

/// Writes to the pager, or where there is none to standard output.
///
/// # Errors
/// Those of the system; a pager that was left closes the pipe.
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut sink = SINK.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *sink {
        Sink::Stdout => io::stdout().lock().write_all(text.as_bytes()),
        Sink::Pager(child) => {
            child.stdin.as_mut().map_or(Ok(()), |to| to.write_all(text.as_bytes()))
        }
        Sink::Held { text: held, used, screen, program } => {
            held.push_str(text);
            *used += screen.rows_of(text);
            // The prompt that follows needs a row, too.
            if *used < screen.rows {
                return Ok(());
            }
            let held = std::mem::take(held);
            match spawn(program) {
                Ok(mut child) => {
                    let to = child.stdin.as_mut();
                    let written = to.map_or(Ok(()), |to| to.write_all(held.as_bytes()));
                    *sink = Sink::Pager(child);
                    written
                }
                Err(_) => {
                    *sink = Sink::Stdout;
                    io::stdout().lock().write_all(held.as_bytes())
                }
            }
        }
    }
}

fn spawn(program: &str) -> io::Result<Child> {
    let mut words = shlex::split(program).unwrap_or_default().into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).stdin(Stdio::piped());
    // As git has it: quit if it fits after all, show colours, leave the text on the screen.
    for (name, value) in [("LESS", "FRX"), ("LV", "-c")] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let child = command.spawn()?;
    // Ctrl-C is for the pager then, which would otherwise be left alone with the terminal.
    if tokio::runtime::Handle::try_current().is_ok() {
        let _ = signal(SignalKind::interrupt());
    }
    Ok(child)
}

impl Drop for Paged {
    fn drop(&mut self) {
        let mut sink = SINK.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *sink, Sink::Stdout) {
            Sink::Stdout => {}
            Sink::Held { text, .. } => {
                let _ = io::stdout().lock().write_all(text.as_bytes());
            }
            Sink::Pager(mut child) => {
                drop(child.stdin.take());
                let _ = child.wait();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pager_is_what_the_person_chose_and_none_if_they_want_none() {
        assert_eq!(program(None).as_deref(), Some("less"));
        assert_eq!(program(Some("most -s")).as_deref(), Some("most -s"));
        assert_eq!(program(Some("")), None);
        assert_eq!(program(Some("cat")), None);
    }

    #[test]
    fn a_long_line_takes_several_rows_of_the_screen() {
        let screen = Screen { rows: 24, columns: 10 };
        assert_eq!(screen.rows_of("1234567890\n12345678901\n\n"), 4);
        assert_eq!(screen.rows_of("\u{1b}[2m1234567890\u{1b}[0m\n"), 1);
    }
}
