//! What goes in and out of the model: messages, effects and actions.

use std::path::PathBuf;
use std::time::Instant;

use crossterm::event::Event;
use ratatui::layout::Rect;

use crate::control::Result;
use crate::control::answers::Asked;
use crate::control::load::Used;
use crate::control::log::Line;
use crate::control::watch::Change;

use super::page::{Tab, Text};

/// Something that happened, and that the model has to take in.
#[derive(Debug)]
pub(super) enum Msg {
    /// A key, a click, or another size of the terminal.
    Input(Event),
    /// A session changed, appeared or was removed.
    Change(Change),
    /// Changes are no longer reported.
    Unwatched,
    /// New lines of the log with this number.
    Log(u64, Vec<Result<Line>>),
    /// The whole text of the page with this number.
    Page(u64, Result<Vec<Text>>),
    /// The questions that were asked for.
    Asked(Result<Asked>),
    /// What the running sessions used of the machine at this moment.
    Load(Instant, Vec<Used>),
    /// An action ended; what it did, in a sentence.
    Done(Result<String>),
    /// Time has passed: relative times need another look.
    Tick,
}

/// Something to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    Quit,
    /// Stop as a job of the shell.
    Suspend,
    /// Lend the terminal to a program.
    Run(Program),
    /// Read a page of a session.
    Open(Opened),
    /// Nothing is open any more.
    Close,
    Call(Action),
}

/// A program that gets the terminal for a while.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// The program and its arguments; never empty.
    pub(super) words: Vec<String>,
    pub(super) folder: PathBuf,
    /// Whether its last words stay on the screen until a key when it fails.
    pub(super) hold: bool,
}

/// A page that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opened {
    /// Answers to an earlier number are late and ignored.
    pub(super) number: u64,
    pub(super) session: String,
    pub(super) tab: Tab,
}

/// A call that changes a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Reads its questions, to show them in a dialog.
    Ask {
        session: String,
    },
    Answer {
        session: String,
        id: String,
        to: String,
        answer: String,
    },
    Approve {
        session: String,
    },
    Reject {
        session: String,
        reason: String,
    },
    Send {
        session: String,
        text: String,
    },
    Start {
        session: String,
    },
    Stop {
        session: String,
        now: bool,
    },
    Restart {
        session: String,
    },
    /// Opens its agent's conversation on this terminal.
    Attach {
        session: String,
    },
}

/// Where things are on the screen, for the mouse. Set when it is painted.
#[derive(Debug, Default)]
pub(super) struct Areas {
    pub(super) list: Rect,
    /// The index of the session on the list's first line.
    pub(super) first: usize,
    pub(super) page: Rect,
    pub(super) tabs: Vec<(Rect, Tab)>,
}
