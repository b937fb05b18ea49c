//! All there is to show, and what a message changes. Pure: it does no I/O, it says what is to be done.

use std::time::Duration;

use crossterm::event::{Event, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::layout::Position;
use tui_input::Input;

use crate::control::answers::Asked;
use crate::control::view::View;
use crate::control::watch::Change;
use crate::control::{Error, Result};
use crate::session::WaitsFor;
use crate::session::state::StateName;

use super::Programs;
use super::dialog::{Dialog, Outcome, Purpose, Questions};
use super::keys::{self, Command};
use super::load::Loads;
use super::log;
use super::messages::{Action, Areas, Effect, Msg, Opened, Program};
use super::page::{Page, Tab};
use super::sessions::Sessions;

/// Everything the dashboard shows.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) sessions: Sessions,
    pub(super) everywhere: bool,
    pub(super) tab: Tab,
    pub(super) page: Page,
    pub(super) loads: Loads,
    opened: Option<Opened>,
    number: u64,
    /// Whether the page has the screen to itself.
    pub(super) zoomed: bool,
    pub(super) dialog: Option<Dialog>,
    pub(super) help: bool,
    /// The last thing that was done, or went wrong.
    pub(super) note: Option<Result<String>>,
    pub(super) zone: TimeZone,
    programs: Programs,
    pub(super) areas: Areas,
}

impl Model {
    pub(super) fn new(everywhere: bool, zone: TimeZone, programs: Programs) -> Self {
        Self {
            sessions: Sessions::default(),
            everywhere,
            tab: Tab::default(),
            page: Page::default(),
            loads: Loads::default(),
            opened: None,
            number: 0,
            zoomed: false,
            dialog: None,
            help: false,
            note: None,
            zone,
            programs,
            areas: Areas::default(),
        }
    }

    /// When what is shown changes on its own: "4 s ago" becomes "5 s ago".
    pub(super) fn until_next_tick(&self) -> Duration {
        let now = Timestamp::now();
        let is_young = |at: Timestamp| now.duration_since(at).as_secs() < 60;
        let has_seconds = self.sessions.shown().filter_map(|view| view.last_progress).any(is_young);
        Duration::from_secs(if has_seconds { 1 } else { 30 })
    }

    /// Whether memory and CPU are shown: a session runs, and the list has room for them.
    pub(super) fn shows_loads(&self) -> bool {
        let is_running = |view: &View| view.state == StateName::Running;
        self.areas.list.width >= super::draw::ROOM_FOR_LOADS
            && self.sessions.shown().any(is_running)
    }

    /// Takes in what happened; returns what is to be done about it.
    pub(super) fn update(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Tick => return Vec::new(),
            Msg::Input(event) => return self.input(&event),
            Msg::Change(change) => {
                let changed = self.change(change);
                return self.reopen(changed);
            }
            Msg::Unwatched => {
                let error =
                    Error::new(crate::control::Class::Unavailable, "top no longer sees changes");
                self.note = Some(Err(error.hint("quit with q, and start samocode top again")));
            }
            Msg::Log(number, lines) if self.is_open(number) => {
                for line in lines {
                    match line {
                        Ok(line) => self.page.push(log::texts(&line, &self.zone)),
                        Err(error) => self.page.notice = Some(error.in_one_line()),
                    }
                }
            }
            Msg::Page(number, read) if self.is_open(number) => match read {
                Ok(lines) => self.page.set(lines),
                Err(error) => {
                    self.page.set(Vec::new());
                    self.page.notice = Some(error.in_one_line());
                }
            },
            Msg::Log(..) | Msg::Page(..) => {}
            Msg::Load(at, used) => self.loads.read(at, used),
            Msg::Asked(asked) => self.ask(asked),
            Msg::Done(end) => self.note = Some(end),
        }
        Vec::new()
    }

    fn is_open(&self, number: u64) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.number == number)
    }

    /// Which session changed; `None` if it no longer exists.
    fn change(&mut self, change: Change) -> Option<String> {
        match change {
            Change::Session { view } => {
                let instance = view.instance.clone();
                self.sessions.put(*view);
                Some(instance)
            }
            Change::Gone { instance } => {
                self.sessions.remove(&instance);
                None
            }
            Change::Unreadable { instance, error } => {
                self.note = Some(Err(Error { message: format!("{instance}: {error}"), ..error }));
                None
            }
        }
    }

    /// Opens the page of the selected session, if it is not open; reads it again if the session
    /// `changed` (a log follows on its own).
    fn reopen(&mut self, changed: Option<String>) -> Vec<Effect> {
        let Some(view) = self.sessions.selected() else {
            self.page = Page::default();
            return if self.opened.take().is_some() { vec![Effect::Close] } else { Vec::new() };
        };
        let session = view.instance.clone();
        let is_same =
            self.opened.as_ref().is_some_and(|one| one.session == session && one.tab == self.tab);
        if is_same && (self.tab == Tab::Log || changed.as_ref() != Some(&session)) {
            return Vec::new();
        }
        self.number += 1;
        if !is_same {
            let from_start = !matches!(self.tab, Tab::Log | Tab::Story | Tab::Mail);
            self.page = Page::loading(from_start, self.page.unfolded);
        }
        let opened = Opened { number: self.number, session, tab: self.tab };
        self.opened = Some(opened.clone());
        vec![Effect::Open(opened)]
    }

    fn input(&mut self, event: &Event) -> Vec<Effect> {
        if matches!(event, Event::Key(key) if key.kind == KeyEventKind::Release) {
            return Vec::new();
        }
        if let Some(dialog) = &mut self.dialog {
            let outcome = dialog.take(event);
            return self.after(outcome);
        }
        match event {
            Event::Key(_) if self.help => self.help = false,
            Event::Key(key) => {
                self.note = None;
                return keys::command(*key).map_or_else(Vec::new, |command| self.obey(command));
            }
            Event::Mouse(mouse) => return self.mouse(*mouse),
            _ => {}
        }
        Vec::new()
    }

    fn after(&mut self, outcome: Outcome) -> Vec<Effect> {
        match outcome {
            Outcome::Open => Vec::new(),
            Outcome::Closed => {
                self.dialog = None;
                Vec::new()
            }
            Outcome::Do(Action::Attach { session }) => {
                self.dialog = None;
                self.attach(session)
            }
            Outcome::Do(action) => {
                self.dialog = None;
                vec![Effect::Call(action)]
            }
            Outcome::DoAndStay(action) => vec![Effect::Call(action)],
            Outcome::Filter(filter, stays) => {
                self.sessions.set_filter(filter);
                if !stays {
                    self.dialog = None;
                }
                self.reopen(None)
            }
        }
    }

    fn obey(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Quit => return vec![Effect::Quit],
            Command::Suspend => return vec![Effect::Suspend],
            Command::Down => self.sessions.step(1),
            Command::Up => self.sessions.step(-1),
            Command::First => self.sessions.select(0),
            Command::Last => self.sessions.select(usize::MAX),
            Command::NextTab => self.tab = self.tab.step(1),
            Command::PreviousTab => self.tab = self.tab.step(Tab::ALL.len() - 1),
            Command::Tab(number) => self.tab = Tab::ALL[number.min(Tab::ALL.len() - 1)],
            Command::PageDown => self.page.scroll(self.page.fits()),
            Command::PageUp => self.page.scroll(-self.page.fits()),
            Command::ToStart => self.page.jump(false),
            Command::ToEnd => self.page.jump(true),
            Command::Zoom => self.zoomed = !self.zoomed,
            Command::Fold => self.page.unfolded = !self.page.unfolded,
            Command::Help => self.help = true,
            Command::Sort => self.sessions.set_sort(self.sessions.sort.next()),
            Command::Filter => {
                self.zoomed = false;
                let filter = Input::new(self.sessions.filter().to_owned());
                let mut dialog = Dialog::line(Purpose::Filter, "");
                if let Dialog::Line { input, .. } = &mut dialog {
                    *input = filter;
                }
                self.dialog = Some(dialog);
            }
            Command::Back => {
                if self.zoomed {
                    self.zoomed = false;
                } else {
                    self.sessions.set_filter(String::new());
                }
            }
            about_a_session => return self.about_session(about_a_session),
        }
        self.reopen(None)
    }

    /// Commands that do something to the selected session.
    fn about_session(&mut self, command: Command) -> Vec<Effect> {
        let Some(view) = self.sessions.selected() else { return Vec::new() };
        let session = view.instance.clone();
        let confirm = |question: String, action| Some(Dialog::Confirm { question, action });
        match command {
            Command::Answer => return vec![Effect::Call(Action::Ask { session })],
            Command::Approve => {
                let what = match view.needs.as_ref().map(|needs| &needs.waits_for) {
                    Some(WaitsFor::PlanApproval) => "the plan of ",
                    _ => "what is asked by ",
                };
                let question = format!("Approve {what}{session}?");
                self.dialog = confirm(question, Action::Approve { session });
            }
            Command::Reject => self.dialog = Some(Dialog::line(Purpose::Reject, &session)),
            Command::Send => self.dialog = Some(Dialog::line(Purpose::Send, &session)),
            Command::Start => return vec![Effect::Call(Action::Start { session })],
            Command::Stop if view.state != StateName::Running => {
                let question = format!("Stop {session} until someone starts it again?");
                self.dialog = confirm(question, Action::Stop { session, now: false });
            }
            Command::Stop => {
                let question = format!("Stop {session} at the end of its iteration?");
                self.dialog = confirm(question, Action::Stop { session, now: false });
            }
            Command::StopNow => {
                let question = format!("Stop {session} now? Its run is interrupted.");
                self.dialog = confirm(question, Action::Stop { session, now: true });
            }
            Command::Restart => {
                let question = format!("Interrupt the run of {session}, and resume it?");
                self.dialog = confirm(question, Action::Restart { session });
            }
            Command::Attach => {
                let question = match view.state {
                    StateName::Running => format!(
                        "Open the conversation of {session} here, at the end of its iteration?"
                    ),
                    _ => format!("Open the conversation of {session} here?"),
                };
                self.dialog = confirm(question, Action::Attach { session });
            }
            Command::Edit => return self.lend(&self.programs.editor, "vi", true),
            Command::Shell => return self.lend(&self.programs.shell, "/bin/sh", false),
            _ => {}
        }
        Vec::new()
    }

    /// Runs a program in the session's worktree.
    fn lend(&self, command: &str, usual: &str, with_folder: bool) -> Vec<Effect> {
        let Some(view) = self.sessions.selected() else { return Vec::new() };
        let folder = view.worktree.clone().unwrap_or_else(|| view.folder.clone());
        let mut words = shlex::split(command).unwrap_or_default();
        if words.is_empty() {
            words.push(usual.to_owned());
        }
        if with_folder {
            words.push(".".to_owned());
        }
        vec![Effect::Run(Program { words, folder: folder.into(), hold: false })]
    }

    /// Runs the verb that opens a conversation, in the session's project.
    fn attach(&self, session: String) -> Vec<Effect> {
        let Some(view) = self.sessions.get(&session) else { return Vec::new() };
        let mut words = self.programs.samocode.clone();
        words.extend(["attach".to_owned(), session]);
        vec![Effect::Run(Program { words, folder: (&view.project).into(), hold: true })]
    }

    fn mouse(&mut self, mouse: MouseEvent) -> Vec<Effect> {
        let at = Position::new(mouse.column, mouse.row);
        let in_list = self.areas.list.contains(at);
        match mouse.kind {
            MouseEventKind::ScrollDown if in_list => self.sessions.step(1),
            MouseEventKind::ScrollUp if in_list => self.sessions.step(-1),
            MouseEventKind::ScrollDown => self.page.scroll(3),
            MouseEventKind::ScrollUp => self.page.scroll(-3),
            MouseEventKind::Down(MouseButton::Left) if in_list => {
                let line = usize::from(mouse.row - self.areas.list.y);
                self.sessions.select(self.areas.first + line);
            }
            MouseEventKind::Down(MouseButton::Left) => {
                let hit = self.areas.tabs.iter().find(|(area, _)| area.contains(at));
                if let Some((_, tab)) = hit {
                    self.tab = *tab;
                }
            }
            _ => {}
        }
        self.reopen(None)
    }

    fn ask(&mut self, asked: Result<Asked>) {
        let asked = match asked.and_then(|asked| match asked.refusal.clone() {
            Some(refusal) => Err(refusal),
            None => Ok(asked),
        }) {
            Ok(asked) => asked,
            Err(error) => {
                self.note = Some(Err(error));
                return;
            }
        };
        let open: Vec<_> =
            asked.questions.into_iter().filter(|question| question.answer.is_none()).collect();
        if open.is_empty() {
            self.note = Some(Ok(format!("{} has no open question", asked.session)));
            return;
        }
        let (session, input) = (asked.instance, Input::default());
        self.dialog = Some(Dialog::Questions(Questions { session, open, at: 0, input }));
    }
}

#[cfg(test)]
pub(super) mod tests;
