//! Colours: the sixteen that every terminal has, in the person's own shades; or none.

use ratatui::style::{Color, Modifier, Style};

use crate::session::state::Word;

use super::super::page::Tone;

/// The styles of the dashboard.
#[derive(Debug, Clone, Copy)]
pub(in crate::tui) struct Palette {
    color: bool,
}

impl Palette {
    /// Without `color`, bold, dim and reversed text carry the meaning.
    pub(in crate::tui) const fn new(color: bool) -> Self {
        Self { color }
    }

    fn colored(self, color: Color, without: Modifier) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new().add_modifier(without) }
    }

    pub(super) const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn dim(self) -> Style {
        self.colored(Color::DarkGray, Modifier::DIM)
    }

    pub(super) fn good(self) -> Style {
        self.colored(Color::Green, Modifier::empty())
    }

    pub(super) fn attention(self) -> Style {
        self.colored(Color::Yellow, Modifier::BOLD)
    }

    pub(super) fn bad(self) -> Style {
        self.colored(Color::Red, Modifier::BOLD)
    }

    pub(super) fn mark(self) -> Style {
        self.colored(Color::Cyan, Modifier::UNDERLINED)
    }

    pub(super) const fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn state(self, state: Word) -> Style {
        match state {
            Word::Running => self.good(),
            Word::Waiting => self.attention(),
            Word::Blocked | Word::Failed => self.bad(),
            Word::Done => self.colored(Color::Cyan, Modifier::empty()),
            Word::Limited | Word::Paused | Word::Queued => {
                self.colored(Color::Magenta, Modifier::empty())
            }
            Word::New | Word::Stopped => self.dim(),
        }
    }

    pub(super) fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Strong => self.strong(),
            Tone::Dim | Tone::Tool => self.dim(),
            Tone::Good => self.good(),
            Tone::Attention => self.attention(),
            Tone::Bad => self.bad(),
            Tone::Mark => self.mark(),
        }
    }
}
