use crossterm::event::KeyCode;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::control::answers::{Asked, Choice, Question, Suggestion};
use crate::control::load::Used;
use crate::control::view::View;
use crate::tui::messages::Msg;
use crate::tui::model::tests::{model, opens, press, view};
use crate::tui::page::{Text, Tone};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What is on the screen, and the same with one letter for each cell's style.
fn screen(model: &mut Model, width: u16, height: u16, palette: Palette) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let now = at("2026-11-20T18:00:00Z");
    terminal.draw(|frame| draw_at(frame, model, palette, now)).unwrap();
    terminal
}

fn text(model: &mut Model, width: u16, height: u16) -> String {
    let terminal = screen(model, width, height, Palette::new(true));
    let lines = terminal.backend().to_string();
    // The backend remarks which cells are covered by the second half of a wide character.
    let cells = |line: &str| line.split("\" Hidden by").next().unwrap_or_default().to_owned();
    let lines = lines.lines().map(cells);
    let lines = lines.map(|line| line.trim_matches('"').trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn some_sessions() -> Vec<View> {
    let doing = View {
        last_progress: Some(at("2026-11-20T17:59:56Z")),
        phase: crate::session::Phase::Implementation,
        ..view("search", StateName::Running)
    };
    let blocked = View {
        reason: Some("cannot find the key of the payment provider".to_owned()),
        ..view("payment", StateName::Blocked)
    };
    let done = View { phase: crate::session::Phase::Done, ..view("logo", StateName::Done) };
    vec![doing, view("jwt-login", StateName::Waiting), blocked, done]
}

/// The dashboard with the log of the first session open.
fn shown() -> Model {
    let mut model = model(some_sessions());
    let start = std::time::Instant::now();
    for (second, cpu_us) in [(0, 0), (2, 2_500_000)] {
        let used = Used {
            instance: "search".to_owned(),
            memory_bytes: Some(1300 << 20),
            cpu_us: Some(cpu_us),
        };
        let at = start + std::time::Duration::from_secs(second);
        model.update(Msg::Load(at, vec![used]));
    }
    let log = opens(&mut model, 'g');
    let line = |text: &str, tone| Text::new(tone, text).with_margin("17:59:01 ");
    let lines = vec![
        line("run 7 started", Tone::Strong),
        line("Reading the session store.", Tone::Plain),
        line("· Read src/auth/session_store.rs", Tone::Tool),
        line("\u{1b}[31m日本語\u{1b}[0m and \u{202e}more", Tone::Plain),
    ];
    model.update(Msg::Page(log.number, Ok(lines)));
    model
}

#[test]
fn it_fits_every_size_of_terminal() {
    for (width, height) in [(40, 12), (80, 24), (120, 30), (180, 20)] {
        insta::assert_snapshot!(format!("{width}x{height}"), text(&mut shown(), width, height));
    }
    // What is needed has the room of the figures that nothing has while nothing runs.
    let mut idle = model(some_sessions().split_off(1));
    assert!(!text(&mut idle, 120, 30).contains("MEM"));
    // Smaller than anyone can use, but no panic.
    for (width, height) in [(0, 0), (1, 1), (5, 2), (20, 3)] {
        screen(&mut shown(), width, height, Palette::new(true));
    }
}

#[test]
fn the_help_page_and_the_zoomed_page() {
    let mut model = shown();
    press(&mut model, KeyCode::Char('?'));
    insta::assert_snapshot!("help", text(&mut model, 80, 24));
    assert!(text(&mut model, 80, 24).contains("quit; the sessions"), "all of it fits");
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Enter);
    insta::assert_snapshot!("zoomed", text(&mut model, 60, 8));
}

#[test]
fn a_question_is_shown_with_its_options_and_the_suggestion() {
    let mut model = shown();
    let question = Question {
        id: "Q1".to_owned(),
        text: "Where should the token be kept, so that scripts of other pages cannot read it?"
            .to_owned(),
        options: vec![
            Choice { letter: 'A', text: "in an httpOnly cookie".to_owned() },
            Choice { letter: 'B', text: "in the local storage of the browser".to_owned() },
        ],
        suggestion: Some(Suggestion {
            letter: Some('A'),
            why: "scripts cannot read it".to_owned(),
            answer: Some("A".to_owned()),
        }),
        answer: None,
    };
    model.update(Msg::Asked(Ok(Asked {
        session: "jwt-login".to_owned(),
        instance: "jwt-login".to_owned(),
        state: StateName::Waiting,
        waiting: true,
        open: 1,
        questions: vec![question],
        refusal: None,
    })));
    press(&mut model, KeyCode::Char('B'));
    insta::assert_snapshot!("question", text(&mut model, 60, 16));
}

#[test]
fn without_colours_nothing_is_coloured_and_the_meaning_stays() {
    let terminal = screen(&mut shown(), 80, 24, Palette::new(false));
    let cells = &terminal.backend().buffer().content;
    assert!(cells.iter().all(|cell| cell.fg == ratatui::style::Color::Reset));
    let colored = screen(&mut shown(), 80, 24, Palette::new(true));
    let cells = &colored.backend().buffer().content;
    assert!(cells.iter().any(|cell| cell.fg == ratatui::style::Color::Red));
}

#[test]
fn what_does_not_fit_is_cut_with_a_mark_or_wrapped() {
    for (text, width, fits) in [
        ("jwt", 3, "jwt"),
        ("jwt-login", 4, "jwt…"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("a", 0, ""),
        ("ab", 1, "…"),
    ] {
        assert_eq!(cut(text, width), fits, "{text} in {width}");
    }
    let long = "a-session-with-a-name-that-is-longer-than-its-column";
    let mut model = model([view(long, StateName::Running)]);
    let refused = "it is not waiting for answers: implementation 3, for 2 hours. See its progress \
                   with: samocode logs -f a-session-with-a-name-that-is-longer-than-its-column";
    model.note = Some(Err(crate::control::Error::refused(refused.to_owned())));
    let shown = text(&mut model, 60, 16);
    assert!(shown.contains("a-session-with-a-name-tha…"), "{shown}");
    let said = shown.lines().skip(13).collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("See its progress with:") && said.ends_with("than-its-column"),
        "{shown}"
    );
}

#[test]
fn a_list_that_has_room_again_shows_what_was_scrolled_away() {
    let mut model = model((0..5).map(|at| view(&format!("s{at}"), StateName::Running)));
    for _ in 0..4 {
        press(&mut model, KeyCode::Down);
    }
    let small = text(&mut model, 60, 7);
    assert!(small.contains("s4") && !small.contains("s0"), "{small}");
    let large = text(&mut model, 60, 24);
    assert!(large.contains("s0") && large.contains("s4"), "{large}");
}

#[test]
fn no_sessions_yet_says_how_to_begin_one() {
    let mut model = model([]);
    assert!(text(&mut model, 80, 10).contains("samocode enable NAME"));
}
