//! The terminal: taken for the dashboard, handed to other programs for a while, and always given
//! back as it was.

use std::io::{self, IsTerminal as _, Stdout};
use std::process::Stdio;

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event,
    EventStream,
};
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use futures_util::StreamExt as _;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::control::{Class, Error, Result};

use super::basic::Basic;
use super::draw::{self, Palette};
use super::messages::Program;
use super::model::Model;

/// The screen while the dashboard is on it. Gives the terminal back when dropped.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Basic<Stdout>>>,
    palette: Palette,
    /// `None` while another program reads the keys.
    events: Option<EventStream>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// If standard input or output is not one.
    pub(super) fn take(color: bool) -> io::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(io::Error::other("standard input or output is not one"));
        }
        enter()?;
        // A panic would leave a terminal that echoes nothing, with its message lost.
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            leave();
            usual(info);
        }));
        // What was asked for here wins over NO_COLOR, which crossterm reads by itself.
        crossterm::style::force_color_output(color);
        let backend = CrosstermBackend::new(Basic::new(io::stdout()));
        let terminal = Terminal::new(backend).inspect_err(|_| leave())?;
        Ok(Self { terminal, palette: Palette::new(color), events: Some(EventStream::new()) })
    }

    pub(super) fn draw(&mut self, model: &mut Model) -> io::Result<()> {
        let palette = self.palette;
        self.terminal.draw(|frame| draw::draw(frame, model, palette))?;
        Ok(())
    }

    /// The next key, click or change of size; `None` when the terminal no longer exists.
    pub(super) async fn event(&mut self) -> Option<Event> {
        let events = self.events.get_or_insert_with(EventStream::new);
        events.next().await?.ok()
    }

    /// Stops, as Ctrl-Z does in a shell; returns when the shell brings it back.
    pub(super) fn suspend(&mut self) {
        self.events = None;
        leave();
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP);
        self.come_back();
    }

    /// Lets another program have the terminal until it ends.
    ///
    /// # Errors
    /// If it cannot be started, or fails.
    pub(super) async fn hand_over(&mut self, program: &Program) -> Result<String> {
        self.events = None;
        leave();
        let end = tokio::process::Command::new(&program.words[0])
            .args(&program.words[1..])
            .current_dir(&program.folder)
            .stdin(Stdio::inherit())
            .status()
            .await;
        if program.hold && end.as_ref().is_ok_and(|end| !end.success()) {
            wait_for_enter().await;
        }
        self.come_back();
        let name = if program.hold { program.words.join(" ") } else { program.words[0].clone() };
        match end {
            Ok(_) => Ok(format!("back from {name}")),
            Err(error) => {
                Err(Error::new(Class::Unavailable, format!("cannot start {name}: {error}"))
                    .hint("EDITOR and SHELL name the programs"))
            }
        }
    }

    fn come_back(&mut self) {
        let _ = enter();
        let _ = self.terminal.clear();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.events = None;
        leave();
    }
}

/// Leaves what a program said on the screen until it was read.
async fn wait_for_enter() {
    print!("\nPress Enter to return to samocode top. ");
    let _ = io::Write::flush(&mut io::stdout());
    let read = || io::stdin().read_line(&mut String::new());
    let _ = tokio::task::spawn_blocking(read).await;
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste)
        .inspect_err(|_| leave())
}

/// Gives the terminal back. Nothing can be done about errors: it may be gone.
fn leave() {
    let _ = execute!(
        io::stdout(),
        DisableBracketedPaste,
        DisableMouseCapture,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
}
