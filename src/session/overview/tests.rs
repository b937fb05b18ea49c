use super::*;
use proptest::prelude::*;
use proptest::sample::select;

const EXAMPLE: &str = "\
# Session: jwt-login
Started: 11-20 18:01
Working Dir: /home/u/shop-worktrees/26-11-20-jwt-login

## Task
JWT login with httpOnly cookies

## Status
Phase: requirements
Iteration: 3
Total Iterations: 3
Blocked: waiting_human
Last Action: Q&A created
Next: Await answers

## Flow Log
- [001 @ 11-20 18:01] Session created
- [002 @ 11-20 18:04] Dive: how sessions work today -> 11-20-18:04-dive-sessions.md

## Files
- 11-20-18:04-dive-sessions.md - investigation
";

fn edited(text: &str, field: Field, value: &str) -> String {
    let mut overview = Overview::parse(text);
    overview.set(field, value);
    overview.as_str().to_owned()
}

fn logged(text: &str, line: &str) -> String {
    let mut overview = Overview::parse(text);
    overview.add_flow(line);
    overview.as_str().to_owned()
}

#[test]
fn bytes_that_are_not_utf_8_stay_as_they_are_and_edits_go_on_around_them() {
    let strange = |text: &str| -> Vec<u8> {
        // Latin-1, as some agents and editors write it, and half a character.
        let bytes = text.replace("Q&A", "r\u{e9}sum\u{e9}").replace("login", "l\u{fc}\u{20ac}gin");
        let mut bytes: Vec<u8> = bytes
            .chars()
            .flat_map(|c| match u8::try_from(c) {
                Ok(byte) => vec![byte],
                Err(_) => c.to_string().into_bytes()[..2].to_vec(),
            })
            .collect();
        bytes.extend(b"\xff\xc3");
        bytes
    };
    let mut overview = Overview::parse(strange(EXAMPLE));
    assert_eq!(overview.as_bytes(), strange(EXAMPLE));
    assert_eq!(overview.status().phase, Some(Phase::Requirements));
    assert_eq!(overview.status().last_action.as_deref(), Some("r?sum? created"));
    let mut sound = Overview::parse(EXAMPLE);
    for overview in [&mut overview, &mut sound] {
        overview.set(Field::Phase, "planning");
        overview.set(Field::TotalIterations, "12");
        overview.set(Field::Blocked, "no");
        overview.add_flow("[003 @ 11-20 18:09] requirements -> planning");
    }
    assert_eq!(overview.as_bytes(), strange(sound.as_str()));
}

#[test]
fn the_example_is_read() {
    let overview = Overview::parse(EXAMPLE);
    assert_eq!(overview.title(), Some("jwt-login"));
    assert_eq!(overview.started(), Some("11-20 18:01"));
    assert_eq!(overview.working_dir(), Some("/home/u/shop-worktrees/26-11-20-jwt-login"));
    assert_eq!(overview.task(), Some("JWT login with httpOnly cookies"));
    assert_eq!(overview.dive(), None);
    let status = StatusLines {
        phase: Some(Phase::Requirements),
        phase_text: Some("requirements".into()),
        iteration: Some(3),
        total_iterations: Some(3),
        blocked: Some(Blocked::WaitingHuman),
        last_action: Some("Q&A created".into()),
        next: Some("Await answers".into()),
    };
    assert_eq!(overview.status(), status);
}

#[test]
fn a_new_overview_is_read_back() {
    let new = NewOverview {
        name: "x",
        started: "11-20 18:01",
        working_dir: "/w",
        task: "Do it",
        dive: Some("how it\nworks"),
        phase: Phase::Investigation,
        iteration: 1,
    };
    let overview = Overview::new(&new);
    assert_eq!(
        overview.as_str(),
        "# Session: x\nStarted: 11-20 18:01\nWorking Dir: /w\nDive: how it works\n\n\
         ## Task\nDo it\n\n\
         ## Status\nPhase: investigation\nIteration: 1\nTotal Iterations: 1\nBlocked: no\n\
         Last Action: Session created\nNext: Begin investigation\n\n\
         ## Flow Log\n- [001 @ 11-20 18:01] Session created\n\n## Files\n"
    );
    assert_eq!(overview.dive(), Some("how it works"));
}

#[test]
fn an_unknown_phase_is_kept_as_text() {
    let status = Overview::parse("## Status\nPhase: shipping\nIteration: many\n").status();
    assert_eq!((status.phase, status.phase_text.as_deref()), (None, Some("shipping")));
    assert_eq!(status.iteration, None);
}

#[test]
fn values_are_read_in_the_forms_people_write() {
    let text = "## **Status**\r\n\r\n- **Phase:** `Testing`\u{200b}\r\n- **Iteration**: 3 of 20\r\n\
                - __Total Iterations: 012__\r\n- Blocked: No (was yes)\r\n- Next:\r\n";
    let status = Overview::parse(text).status();
    assert_eq!(status.phase, Some(Phase::Testing));
    assert_eq!((status.iteration, status.total_iterations), (Some(3), Some(12)));
    assert_eq!((status.blocked, status.next), (Some(Blocked::No), None));
}

#[test]
fn only_the_value_is_replaced() {
    for (before, after) in [
        ("## Status\r\nPhase: init  \r\nx", "## Status\r\nPhase: done  \r\nx"),
        ("## Status\n- **Phase:**   init", "## Status\n- **Phase:**   done"),
        ("## Status\n**Phase: init**\n", "## Status\n**Phase: done**\n"),
        ("\u{feff}## Status\nPhase:\n", "\u{feff}## Status\nPhase: done\n"),
        ("## Status\nPhase:init\nPhase: init", "## Status\nPhase:done\nPhase: init"),
        ("## Status\n```\nPhase: a\n```\nPhase: b", "## Status\n```\nPhase: a\n```\nPhase: done"),
        (
            "Phase: a\n## Flow Log\n- Phase: b\n## Status\nPhase: c",
            "Phase: a\n## Flow Log\n- Phase: b\n## Status\nPhase: done",
        ),
    ] {
        assert_eq!(edited(before, Field::Phase, "done"), after);
    }
}

#[test]
fn a_missing_line_is_added_in_its_place_and_manner() {
    for (before, after) in [
        ("## Status\nPhase: a\nBlocked: no\n", "## Status\nPhase: a\nIteration: 7\nBlocked: no\n"),
        ("## Status\r\nBlocked: no", "## Status\r\nIteration: 7\r\nBlocked: no"),
        ("## Status\n- **Phase:** a", "## Status\n- **Phase:** a\n- **Iteration:** 7"),
        ("## Status\n\n## Files\n", "## Status\nIteration: 7\n\n## Files\n"),
        ("## Status", "## Status\nIteration: 7"),
    ] {
        assert_eq!(edited(before, Field::Iteration, "7"), after);
    }
}

#[test]
fn a_status_without_its_heading_is_read_and_edited_where_it_stands() {
    for (before, after) in [
        ("# T\n\nPhase: done\nBlocked: no\n\n## Flow Log\n- Phase: init\n", None),
        ("# T\n- **Phase:** done\n- Blocked: no", None),
        ("# T\n\n### Status\nPhase: done\nBlocked: no\n\n### Other\nPhase: init\n", None),
        ("# Status\nPhase: done\nBlocked: no\n", None),
        ("# T\n\n## Task\nPhase: done\nBlocked: no\n", Some("\n## Status\nBlocked: yes\n")),
        ("# T\nPhase: done\n\n## Status\nBlocked: no\n", None),
    ] {
        let status = Overview::parse(before).status();
        let is_there = after.is_none() && !before.contains("## Status\nBlocked");
        assert_eq!(status.phase, is_there.then_some(Phase::Done), "{before}");
        let expected = match after {
            Some(added) => format!("{before}{added}"),
            None => before.replace("Blocked: no", "Blocked: yes"),
        };
        assert_eq!(edited(before, Field::Blocked, "yes"), expected);
    }
}

#[test]
fn a_missing_section_is_added_before_the_log() {
    for (before, after) in [
        ("", "## Status\nNext: x\n"),
        ("# T", "# T\n\n## Status\nNext: x\n"),
        ("# T\r\n\r\n", "# T\r\n\r\n## Status\r\nNext: x\r\n"),
        ("a\n## Flow Log\n- b\n", "a\n\n## Status\nNext: x\n\n## Flow Log\n- b\n"),
    ] {
        assert_eq!(edited(before, Field::Next, "x"), after);
    }
}

#[test]
fn a_value_cannot_inject_a_heading_or_a_line() {
    let text = edited(EXAMPLE, Field::Next, "a\n\n## Status\r\nPhase: done\u{2028}\u{0}b");
    assert!(text.contains("\nNext: a ## Status Phase: done b\n"), "{text}");
    assert_eq!(Overview::parse(text).status().phase, Some(Phase::Requirements));
}

#[test]
fn a_task_that_looks_like_the_file_is_quoted_and_does_not_mislead() {
    let task =
        "Build\r\n## Status\nPhase: done\n### Steps\n```\n# a comment\n```\n~~~\n## Flow Log";
    let new = NewOverview {
        name: "x",
        started: "11-20 18:01",
        working_dir: "/w",
        task,
        dive: None,
        phase: Phase::Init,
        iteration: 1,
    };
    let overview = Overview::new(&new);
    let quoted =
        "Build\n> ## Status\n> Phase: done\n### Steps\n```\n# a comment\n```\n> ~~~\n> ## Flow Log";
    assert_eq!(overview.task(), Some(quoted));
    assert_eq!(overview.status().phase, Some(Phase::Init));
}

#[test]
fn a_task_pasted_in_unquoted_does_not_mislead_either() {
    let text = EXAMPLE.replace("JWT login", "a\n## Status\nPhase: done\n## Files\nJWT login");
    let overview = Overview::parse(text.as_str());
    assert_eq!(overview.status().phase, Some(Phase::Requirements));
    assert!(overview.task().is_some_and(|task| task.ends_with("httpOnly cookies")));
    let after = edited(&text, Field::Phase, "planning");
    assert_eq!(after, text.replace("Phase: requirements", "Phase: planning"));
}

#[test]
fn a_status_heading_without_a_phase_does_not_hide_the_one_with_it() {
    let text = "## Status\nPhase: testing\n\n## Status\nAll well.\n";
    assert_eq!(Overview::parse(text).status().phase, Some(Phase::Testing));
}

#[test]
fn flow_lines_go_to_the_end_of_the_log_once() {
    let after = logged(EXAMPLE, "[003 @ 11-20 18:09] Q&A\ncreated");
    let line = "- [003 @ 11-20 18:09] Q&A created\n";
    assert_eq!(after, EXAMPLE.replace("\n\n## Files", &format!("\n{line}\n## Files")));
    assert_eq!(logged(&after, "[003 @ 11-20 18:09] Q&A\ncreated"), after);
    for (before, after) in [
        ("", "## Flow Log\n- x\n"),
        ("a\r\n## Files\r\n", "a\r\n\r\n## Flow Log\r\n- x\r\n\r\n## Files\r\n"),
        ("## Flow Log\r\n- a", "## Flow Log\r\n- a\r\n- x"),
        ("## Flow Log\n\n\n", "## Flow Log\n- x\n\n\n"),
        ("## Flow Log\n### Day 1\n- a\n\n# End", "## Flow Log\n### Day 1\n- a\n- x\n\n# End"),
    ] {
        assert_eq!(logged(before, "x"), after);
        assert_eq!(logged(after, "x"), after);
    }
}

/// Texts made of confusing parts: headings, fences, status lines in all forms, any line ending.
fn texts() -> impl Strategy<Value = String> {
    let known = select(vec![
        "## Status",
        "  ## status ##",
        "## Task",
        "## Flow Log",
        "## Files",
        "# Session: x",
        "### Sub",
        "```",
        "~~~~",
        "```sh",
        "Phase: init",
        "- **Phase:** done",
        "**Phase: x",
        "*Next:y*",
        "__Next: z __",
        "Next:x",
        "Next:  ",
        "**Blocked**: no",
        "Iteration:\u{a0}3",
        "  + Total iterations : 4 of 5 ",
        "Last Action: ",
        "> ## Status",
        "",
        "   ",
        "- x",
    ])
    .prop_map(str::to_owned);
    let line = prop_oneof![4 => known, 1 => "\\PC{0,12}"];
    let ending = select(vec!["\n", "\r\n", "\n", "\r\r\n", "\r"]);
    let body = proptest::collection::vec((line, ending), 0..16);
    (any::<bool>(), body, any::<bool>()).prop_map(|(bom, body, ended)| {
        let mut text = String::from(if bom { "\u{feff}" } else { "" });
        body.iter().for_each(|(line, ending)| text.extend([line.as_str(), ending]));
        if !ended {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        text
    })
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,12}",
        "[*_ :x\r\n#`-]{0,8}",
        select(vec!["", "implementation", "**b**"]).prop_map(str::to_owned),
    ]
}

/// The part of `old` that was replaced, and its replacement in `new`.
fn difference<'a>(old: &'a str, new: &'a str) -> (&'a [u8], &'a [u8]) {
    let (old, new) = (old.as_bytes(), new.as_bytes());
    let same = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same..], &new[same..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    (&old[..old.len() - tail], &new[..new.len() - tail])
}

fn read(text: &str, field: Field) -> Option<String> {
    let overview = Overview::parse(text);
    let lines = markdown::lines(text);
    let section = overview.status_section(&lines)?;
    let (_, found) = overview.find(section, field)?;
    Some(text[found.value].to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn setting_changes_one_line_and_is_read_back_and_repeats_to_nothing(
        text in texts(), field in select(Field::ALL.to_vec()), value in values()
    ) {
        let had = read(&text, field).is_some();
        let others: Vec<_> = Field::ALL.into_iter().filter(|other| *other != field).collect();
        let before: Vec<_> = others.iter().map(|other| read(&text, *other)).collect();
        let after = edited(&text, field, &value);

        let (removed, added) = difference(&text, &after);
        if had {
            prop_assert!(!removed.contains(&b'\n') && !added.contains(&b'\n'));
            prop_assert_eq!(text.lines().count(), after.lines().count());
        } else {
            prop_assert!(removed.is_empty());
        }
        prop_assert_eq!(read(&after, field), Some(markdown::one_line(&value)));
        prop_assert_eq!(&edited(&after, field, &value), &after);
        // Other lines may become visible only if the phase moved to another section.
        if field != Field::Phase || had {
            let now: Vec<_> = others.iter().map(|other| read(&after, *other)).collect();
            prop_assert_eq!(now, before);
        }
    }

    #[test]
    fn logging_only_adds_and_repeats_to_nothing(text in texts(), line in values()) {
        let after = logged(&text, &line);
        prop_assert!(difference(&text, &after).0.is_empty());
        prop_assert_eq!(&logged(&after, &line), &after);
        let shown = format!("- {}", markdown::one_line(&line));
        prop_assert!(shown == "- " || after.lines().any(|l| l.trim() == shown));
        for field in Field::ALL {
            prop_assert_eq!(read(&after, field), read(&text, field));
        }
    }

    #[test]
    fn no_task_changes_what_the_rest_of_a_new_overview_says(task in texts(), dive in values()) {
        let new = NewOverview {
            name: "x", started: "11-20 18:01", working_dir: "/w", task: &task, dive: Some(&dive),
            phase: Phase::Planning, iteration: 4,
        };
        let overview = Overview::new(&new);
        let status = overview.status();
        prop_assert_eq!(status.phase, Some(Phase::Planning));
        prop_assert_eq!(status.next.as_deref(), Some("Begin planning"));
        prop_assert_eq!(overview.title(), Some("x"));
        let after = logged(overview.as_str(), "y");
        prop_assert!(after.ends_with("Session created\n- y\n\n## Files\n"));
        let read = overview.task().unwrap_or_default().replace("> ", "").replace('\u{feff}', "");
        let given = task.replace('\u{feff}', "").replace("\r\n", "\n").replace('\r', "\n").replace("> ", "");
        prop_assert_eq!(read.trim(), given.trim());
    }
}
