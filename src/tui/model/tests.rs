use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use ratatui::layout::Rect;

use super::*;
use crate::control::Class;
use crate::control::view::{Needs, Tokens, View};
use crate::session::Phase;

pub(in crate::tui) fn view(instance: &str, state: StateName) -> View {
    let needs = |waits_for: WaitsFor, count| Needs {
        waits_for,
        count,
        command: format!("samocode answer {instance}"),
    };
    View {
        session: instance.to_owned(),
        instance: instance.to_owned(),
        project: "/home/u/shop".to_owned(),
        folder: format!("/home/u/sessions/26-11-20-{instance}"),
        worktree: Some(format!("/home/u/worktrees/26-11-20-{instance}")),
        branch: Some(instance.to_owned()),
        elsewhere: None,
        state,
        phase: Phase::Requirements,
        iteration: 3,
        total_iterations: 7,
        doing: (state == StateName::Running).then(|| "running cargo test".to_owned()),
        last_progress: None,
        since: None,
        until: None,
        reason: None,
        cause: None,
        summary: Some("Looked at the session store.".to_owned()),
        needs: (state == StateName::Waiting).then(|| needs(WaitsFor::QaAnswers, Some(3))),
        read: None,
        merge: None,
        cost_usd: 0.42,
        unpriced_runs: 0,
        cost_estimated: false,
        tokens: Tokens { input: 91_000, output: 4200 },
        unit: None,
        timer: None,
        notes: Vec::new(),
    }
}

pub(in crate::tui) fn model(views: impl IntoIterator<Item = View>) -> Model {
    let mut model = Model::new(false, TimeZone::UTC, Programs::default());
    for view in views {
        let _ = model.update(Msg::Change(Change::Session { view: Box::new(view) }));
    }
    model
}

pub(in crate::tui) fn press(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    model.update(Msg::Input(Event::Key(KeyEvent::new(code, KeyModifiers::NONE))))
}

/// Presses a key that opens a page.
pub(in crate::tui) fn opens(model: &mut Model, key: char) -> Opened {
    match press(model, KeyCode::Char(key)).pop() {
        Some(Effect::Open(opened)) => opened,
        other => panic!("{key} opens no page: {other:?}"),
    }
}

fn names(model: &Model) -> Vec<&str> {
    model.sessions.shown().map(|view| view.instance.as_str()).collect()
}

fn selected(model: &Model) -> &str {
    model.sessions.selected().map_or("", |view| &view.instance)
}

fn three() -> Model {
    model([
        view("a", StateName::Done),
        view("b", StateName::Running),
        view("c", StateName::Waiting),
    ])
}

#[test]
fn what_needs_the_human_comes_first_and_o_sorts_otherwise() {
    let mut model = three();
    assert_eq!(names(&model), ["c", "b", "a"]);
    press(&mut model, KeyCode::Char('o'));
    assert_eq!(names(&model), ["a", "b", "c"]);
}

#[test]
fn the_selection_stays_on_its_session_however_the_list_changes() {
    let mut model = three();
    press(&mut model, KeyCode::Char('g'));
    press(&mut model, KeyCode::Down);
    assert_eq!(selected(&model), "b");
    let change = Change::Session { view: Box::new(view("0", StateName::Failed)) };
    model.update(Msg::Change(change));
    assert_eq!((selected(&model), names(&model)), ("b", vec!["0", "c", "b", "a"]));
    model.update(Msg::Change(Change::Gone { instance: "b".to_owned() }));
    assert_eq!(selected(&model), "a", "the line stays selected");
    for instance in ["0", "c", "a"] {
        model.update(Msg::Change(Change::Gone { instance: instance.to_owned() }));
    }
    assert_eq!(selected(&model), "");
    assert_eq!(press(&mut model, KeyCode::Char('s')), [], "no session, nothing to stop");
}

#[test]
fn a_page_is_read_when_it_is_chosen_and_late_answers_for_another_are_ignored() {
    let mut model = three();
    press(&mut model, KeyCode::Char('g'));
    let plan = opens(&mut model, '3');
    assert_eq!((plan.session.as_str(), plan.tab), ("c", Tab::Plan));
    assert_eq!(press(&mut model, KeyCode::Char('3')), [], "it is open already");
    let diff = opens(&mut model, '5');
    model.update(Msg::Page(plan.number, Ok(super::super::page::lines("the plan"))));
    assert!(model.page.notice.is_some(), "still reading the diff");
    model.update(Msg::Page(diff.number, Ok(super::super::page::lines("the diff"))));
    assert_eq!(model.page.visible(20, 5)[0].text, "the diff");
    // It is read again when its session changes, not when another does.
    let change =
        |name| Msg::Change(Change::Session { view: Box::new(view(name, StateName::Done)) });
    assert_eq!(model.update(change("a")), []);
    assert!(matches!(model.update(change("c")).as_slice(), [Effect::Open(_)]));
}

#[test]
fn what_cannot_be_undone_asks_first() {
    for (key, action) in [
        ('s', Action::Stop { session: "c".to_owned(), now: false }),
        ('S', Action::Stop { session: "c".to_owned(), now: true }),
        ('R', Action::Restart { session: "c".to_owned() }),
        ('y', Action::Approve { session: "c".to_owned() }),
    ] {
        let mut model = three();
        press(&mut model, KeyCode::Char('g'));
        assert_eq!(press(&mut model, KeyCode::Char(key)), [], "{key}");
        assert_eq!(press(&mut model, KeyCode::Enter), [], "{key}: Enter is no yes");
        press(&mut model, KeyCode::Char(key));
        assert_eq!(press(&mut model, KeyCode::Char('y')), [Effect::Call(action)]);
        assert!(model.dialog.is_none());
    }
}

#[test]
fn a_filter_narrows_the_list_and_esc_clears_it() {
    let mut model = three();
    press(&mut model, KeyCode::Char('/'));
    for c in "done".chars() {
        press(&mut model, KeyCode::Char(c));
    }
    assert_eq!(names(&model), ["a"]);
    press(&mut model, KeyCode::Enter);
    assert_eq!(names(&model), ["a"]);
    press(&mut model, KeyCode::Esc);
    assert_eq!(names(&model).len(), 3);
}

#[test]
fn an_error_is_shown_until_the_next_key_and_quits_nothing() {
    let mut model = three();
    model.update(Msg::Done(Err(Error::new(Class::Refused, "c is not waiting"))));
    assert!(matches!(&model.note, Some(Err(error)) if error.message == "c is not waiting"));
    press(&mut model, KeyCode::Down);
    assert!(model.note.is_none());
    assert_eq!(press(&mut model, KeyCode::Char('q')), [Effect::Quit]);
}

#[test]
fn the_editor_opens_in_the_worktree() {
    let samocode = vec!["/bin/samocode".to_owned(), "--system".to_owned()];
    let programs = Programs { editor: "code -w".to_owned(), shell: String::new(), samocode };
    let mut model = Model::new(false, TimeZone::UTC, programs);
    let change = Change::Session { view: Box::new(view("a", StateName::Done)) };
    model.update(Msg::Change(change));
    let folder = PathBuf::from("/home/u/worktrees/26-11-20-a");
    let run = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        [Effect::Run(Program { words, folder: folder.clone(), hold: false })]
    };
    assert_eq!(press(&mut model, KeyCode::Char('e')), run(&["code", "-w", "."]));
    assert_eq!(press(&mut model, KeyCode::Char('!')), run(&["/bin/sh"]));
    // Its conversation is opened in the project, and what the verb says when it fails is read first.
    assert_eq!(press(&mut model, KeyCode::Char('A')), []);
    let words = ["/bin/samocode", "--system", "attach", "a"].map(str::to_owned).to_vec();
    let attach = Program { words, folder: PathBuf::from("/home/u/shop"), hold: true };
    assert_eq!(press(&mut model, KeyCode::Char('y')), [Effect::Run(attach)]);
}

#[test]
fn memory_and_cpu_are_read_only_while_something_runs_and_there_is_room() {
    let mut model = three();
    model.areas.list = Rect::new(0, 2, 120, 3);
    assert!(model.shows_loads());
    model.areas.list.width = 80;
    assert!(model.shows_loads());
    model.areas.list.width = 70;
    assert!(!model.shows_loads());
    model.areas.list.width = 120;
    let change = Change::Session { view: Box::new(view("b", StateName::Done)) };
    model.update(Msg::Change(change));
    assert!(!model.shows_loads());
}

#[test]
fn the_mouse_selects_lines_and_tabs_and_scrolls() {
    let mut model = three();
    model.areas.list = Rect::new(0, 2, 80, 3);
    model.areas.tabs =
        vec![(Rect::new(3, 6, 5, 1), Tab::Log), (Rect::new(10, 6, 7, 1), Tab::Story)];
    let click = |column, row| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        Msg::Input(Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
    };
    model.update(click(5, 4));
    assert_eq!(selected(&model), "a");
    model.update(click(12, 6));
    assert_eq!(model.tab, Tab::Story);
    model.update(click(79, 20));
    assert_eq!((selected(&model), model.tab), ("a", Tab::Story));
}
