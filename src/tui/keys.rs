//! What the keys do while no dialog is open. The help page is made from this table.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Down,
    Up,
    First,
    Last,
    NextTab,
    PreviousTab,
    Tab(usize),
    PageDown,
    PageUp,
    ToStart,
    ToEnd,
    Zoom,
    Fold,
    Filter,
    Sort,
    Answer,
    Approve,
    Reject,
    Send,
    Start,
    Stop,
    StopNow,
    Restart,
    Attach,
    Edit,
    Shell,
    Help,
    Back,
    Suspend,
    Quit,
}

/// A key, its name for people, what it does, and that in words. Keys without a name are aliases.
struct Binding(KeyCode, KeyModifiers, &'static str, Command, &'static str);

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

const BINDINGS: &[Binding] = &[
    Binding(KeyCode::Down, NONE, "↓ j", Command::Down, "next session"),
    Binding(KeyCode::Char('j'), NONE, "", Command::Down, ""),
    Binding(KeyCode::Up, NONE, "↑ k", Command::Up, "previous session"),
    Binding(KeyCode::Char('k'), NONE, "", Command::Up, ""),
    Binding(KeyCode::Char('g'), NONE, "g G", Command::First, "first, last session"),
    Binding(KeyCode::Char('G'), SHIFT, "", Command::Last, ""),
    Binding(KeyCode::Tab, NONE, "Tab 1-8", Command::NextTab, "next page; page by number"),
    Binding(KeyCode::Right, NONE, "", Command::NextTab, ""),
    Binding(KeyCode::BackTab, SHIFT, "", Command::PreviousTab, ""),
    Binding(KeyCode::Left, NONE, "", Command::PreviousTab, ""),
    Binding(
        KeyCode::PageDown,
        NONE,
        "PgUp PgDn",
        Command::PageDown,
        "scroll the page (Ctrl-D, Ctrl-U)",
    ),
    Binding(KeyCode::Char('d'), CTRL, "", Command::PageDown, ""),
    Binding(KeyCode::Char(' '), NONE, "", Command::PageDown, ""),
    Binding(KeyCode::PageUp, NONE, "", Command::PageUp, ""),
    Binding(KeyCode::Char('u'), CTRL, "", Command::PageUp, ""),
    Binding(KeyCode::Home, NONE, "Home End", Command::ToStart, "start, end of the page"),
    Binding(KeyCode::End, NONE, "", Command::ToEnd, ""),
    Binding(KeyCode::Enter, NONE, "Enter", Command::Zoom, "page full width, and back"),
    Binding(KeyCode::Char('t'), NONE, "t", Command::Fold, "show every tool call, or fold them"),
    Binding(KeyCode::Char('/'), NONE, "/", Command::Filter, "filter the list"),
    Binding(KeyCode::Char('o'), NONE, "o", Command::Sort, "sort by need, name, cost, progress"),
    Binding(KeyCode::Char('a'), NONE, "a", Command::Answer, "answer its questions"),
    Binding(KeyCode::Char('y'), NONE, "y", Command::Approve, "approve what it waits for"),
    Binding(KeyCode::Char('r'), NONE, "r", Command::Reject, "reject it, with a reason"),
    Binding(KeyCode::Char('m'), NONE, "m", Command::Send, "send it a message"),
    Binding(KeyCode::Char('b'), NONE, "b", Command::Start, "start or resume it"),
    Binding(KeyCode::Char('s'), NONE, "s", Command::Stop, "stop it at the end of its iteration"),
    Binding(KeyCode::Char('S'), SHIFT, "S", Command::StopNow, "stop it now"),
    Binding(KeyCode::Char('R'), SHIFT, "R", Command::Restart, "restart its run"),
    Binding(
        KeyCode::Char('A'),
        SHIFT,
        "A",
        Command::Attach,
        "open the agent's conversation here (attach)",
    ),
    Binding(KeyCode::Char('e'), NONE, "e", Command::Edit, "open its worktree in $EDITOR"),
    Binding(KeyCode::Char('!'), NONE, "!", Command::Shell, "open a shell in its worktree"),
    Binding(KeyCode::Char('?'), NONE, "?", Command::Help, "this page"),
    Binding(KeyCode::Esc, NONE, "Esc", Command::Back, "back; clear the filter"),
    Binding(KeyCode::Char('q'), NONE, "q", Command::Quit, "quit; the sessions keep running"),
    Binding(KeyCode::Char('c'), CTRL, "", Command::Quit, ""),
    Binding(KeyCode::Char('z'), CTRL, "", Command::Suspend, ""),
];

/// What a key asks for; `None` if nothing.
pub(super) fn command(key: KeyEvent) -> Option<Command> {
    if let (KeyCode::Char(digit @ '1'..='8'), NONE) = (key.code, key.modifiers) {
        return Some(Command::Tab(digit as usize - '1' as usize));
    }
    // Terminals differ in whether they report Shift with a character that needs it.
    let plain = |modifiers: KeyModifiers| modifiers.difference(SHIFT);
    let found = BINDINGS
        .iter()
        .find(|binding| binding.0 == key.code && plain(binding.1) == plain(key.modifiers));
    found.map(|binding| binding.3)
}

/// Each key with what it does, for the help page.
pub(super) fn help() -> impl Iterator<Item = (&'static str, &'static str)> {
    BINDINGS.iter().filter(|binding| !binding.2.is_empty()).map(|binding| (binding.2, binding.4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_one_thing_however_the_terminal_reports_shift() {
        for (at, one) in BINDINGS.iter().enumerate() {
            assert_eq!(command(KeyEvent::new(one.0, one.1)), Some(one.3));
            let same = |other: &&Binding| other.0 == one.0 && other.1 == one.1;
            assert_eq!(BINDINGS.iter().position(|other| same(&other)), Some(at), "{:?}", one.0);
        }
        let capital = |modifiers| command(KeyEvent::new(KeyCode::Char('S'), modifiers));
        assert_eq!(capital(NONE), Some(Command::StopNow));
        assert_eq!(capital(SHIFT), Some(Command::StopNow));
        assert_eq!(command(KeyEvent::new(KeyCode::Char('7'), NONE)), Some(Command::Tab(6)));
        assert_eq!(command(KeyEvent::new(KeyCode::Char('j'), CTRL)), None);
    }
}
