use super::*;
use proptest::prelude::*;
use proptest::sample::select;

const EXAMPLE: &str = "\
# Questions

### Q1: Where are refresh tokens kept?
They must survive a restart.

A) database
B) Redis
C) nowhere, short sessions only

**Suggestion:** A - there is a users table already and no Redis
**Answer:** _waiting_

### Q2: How long does a session last?

**Suggestion:** One day
**Answer:** _waiting_
";

fn filled(text: &str, id: &str, answer: &str) -> String {
    let mut qa = Qa::parse(text);
    qa.fill(id, answer).unwrap();
    qa.as_str().to_owned()
}

fn given(text: &str) -> Answer {
    Qa::parse(text).questions()[0].answer.clone()
}

#[test]
fn the_example_is_read() {
    let qa = Qa::parse(EXAMPLE);
    assert_eq!((qa.questions().len(), qa.waiting()), (2, 2));
    let first = &qa.questions()[0];
    assert_eq!(first.id, "Q1");
    assert_eq!(first.text, "Where are refresh tokens kept?\nThey must survive a restart.");
    let options = [('A', "database"), ('B', "Redis"), ('C', "nowhere, short sessions only")];
    assert_eq!(first.options, options.map(|(letter, text)| (letter, text.to_owned())));
    let why = "there is a users table already and no Redis";
    assert_eq!(first.suggestion, Some((Some('A'), why.to_owned())));
    assert_eq!(first.answer, Answer::Waiting);
    assert_eq!(qa.questions()[1].suggestion, Some((None, "One day".to_owned())));
}

#[test]
fn words_beside_or_below_the_mark_that_nobody_answered_are_noticed() {
    for (answer, is_overlooked) in [
        ("_waiting_", false),
        ("**waiting**\n\n---", false),
        ("", false),
        ("B please", false),
        ("_waiting_ B please", true),
        ("_waiting_\nB please", true),
        ("_waiting_\n\n> B", true),
        ("_waiting_\n**Suggestion:** B", false),
    ] {
        let text =
            format!("### Q1: which?\n**Answer:** {answer}\n\n### Q2: x?\n**Answer:** _waiting_\n");
        let qa = Qa::parse(text);
        let found: Vec<bool> = qa.questions().iter().map(|asked| asked.is_overlooked).collect();
        assert_eq!(found, [is_overlooked, false], "{answer}");
    }
}

#[test]
fn a_second_question_in_the_body_of_the_first_waits_for_its_answer() {
    let bold = "### Q1: a?\n**Answer:** yes\n\n**Q2: x**\n**Answer:** _waiting_\n";
    let mut qa = Qa::parse(bold);
    assert_eq!((qa.questions().len(), qa.waiting()), (2, 1));
    assert_eq!((qa.questions()[1].id.as_str(), qa.questions()[1].text.as_str()), ("Q2", "x"));
    assert_eq!(given(bold), Answer::Given("yes".to_owned()));
    assert!(!qa.is_answered());
    qa.fill("Q2", "no").unwrap();
    assert!(qa.is_answered());
    assert_eq!(qa.as_str(), bold.replace("_waiting_", "no"));
    // Not readable as a question, but its answer is missing all the same.
    for asked in ["Q2: x", "Second question", "- **Q2** x", "**Answer:** yes", ""] {
        for mark in
            ["**Answer:** _waiting_", "Answer: waiting", "**Answer:**", "**Answer:** \u{200b}"]
        {
            let text = format!(
                "### Q1: a?\n**Answer:** yes\n{asked}\n{mark}\n\n### Q3: c?\n**Answer:** 3\n"
            );
            assert_eq!(Qa::parse(&*text).waiting(), 1, "{text}");
        }
    }
    let questions = "**Q1: a?**\n**Answer:** yes\n__Question 2__\nWhy?\n**Answer:** _waiting_\n";
    let qa = Qa::parse(questions);
    assert_eq!((qa.questions().len(), qa.waiting()), (2, 1));
}

#[test]
fn bold_words_in_a_question_do_not_make_another() {
    let text = "### Q1: a?\n**Q2** and **Q3: later** are about this too.\n**Q4: see above**\n\
                **Suggestion:** yes\n\n### Q2: b?\n**Answer:** _waiting_\n";
    let qa = Qa::parse(text);
    assert_eq!(qa.questions().iter().map(|q| q.id.as_str()).collect::<Vec<_>>(), ["Q1", "Q2"]);
    let repeated = "### Q1\n**Q1: a?**\nA) b\n**Answer:** yes\n";
    assert!(Qa::parse(repeated).is_answered() && Qa::parse(repeated).questions().len() == 1);
    let fenced = "### Q1: a?\n```\n**Q2: x**\n**Answer:** _waiting_\n```\n**Answer:** yes\n";
    assert!(Qa::parse(fenced).is_answered());
}

#[test]
fn a_fingerprint_is_of_the_answers_alone() {
    let of = |text: &str| Qa::parse(text).fingerprint();
    assert_eq!(of("no question"), None);
    assert_eq!(of(EXAMPLE), of(&EXAMPLE.replace("a restart", "restarts")));
    assert_ne!(of(EXAMPLE), of(&filled(EXAMPLE, "Q1", "A")));
    assert_ne!(of(&filled(EXAMPLE, "Q1", "A")), of(&filled(EXAMPLE, "Q2", "A")));
    let stray = "**Answer:** _waiting_\n### Q1: a?\n**Answer:** yes\n";
    assert_ne!(of(stray), of(&stray.replace("_waiting_", "no")));
    // Journals of other versions have it.
    assert_eq!(of("### Q1: a?\n**Answer:** yes\n").as_deref(), Some("4ba81c073c3912ac"));
}

#[test]
fn options_are_read_in_the_forms_agents_write() {
    for line in
        ["A) x", "- A) x", "A. x", "**A)** x", "**A) x**", "* **A**) x", "a) x", "(A) x", "  A) x"]
    {
        let qa = Qa::parse(format!("## Q1\nWhat?\n{line}\n"));
        let question = &qa.questions()[0];
        assert_eq!(question.options, [('A', "x".to_owned())], "{line}");
        assert_eq!(question.text, "What?", "{line}");
    }
    for line in ["B) x", "A x", "A)x", "A)", "I. e. x", "Ax) y"] {
        assert_eq!(Qa::parse(format!("## Q1\n{line}\n")).questions()[0].options, [], "{line}");
    }
}

#[test]
fn suggestions_are_read_in_the_forms_agents_write() {
    for (line, letter, why) in [
        ("A", Some('A'), ""),
        ("b) quick", Some('B'), "quick"),
        ("**B** – quick", Some('B'), "quick"),
        ("Option B: quick", Some('B'), "quick"),
        ("A (quick)", Some('A'), "(quick)"),
        ("A token in a cookie", None, "A token in a cookie"),
        ("C - quick", None, "C - quick"),
    ] {
        let qa = Qa::parse(format!("## Q1\nA) x\nB) y\nSuggestion: {line}\n"));
        let suggestion = qa.questions()[0].suggestion.clone();
        assert_eq!(suggestion, Some((letter, why.to_owned())), "{line}");
    }
}

#[test]
fn headings_are_read_in_the_forms_agents_write() {
    for heading in ["### Q7: x", "## **Q7:** x", "#### q7 - x", "### Q7. x", "## Question 7: x"] {
        let qa = Qa::parse(heading);
        assert_eq!((&*qa.questions()[0].id, &*qa.questions()[0].text), ("Q7", "x"), "{heading}");
    }
    for heading in ["### QA", "### Q", "### Q7a", "Q7: x", "```\n### Q7\n```", "### Quality 7"] {
        assert_eq!(Qa::parse(heading).questions(), [], "{heading}");
    }
}

#[test]
fn an_answer_by_hand_may_take_several_lines() {
    for (below, answer) in [
        ("B", "B"),
        ("\n\nB, because\r\n\r\n- it is there\n\n---\nnotes", "B, because\r\n\r\n- it is there"),
        ("B\n**Suggestion:** A", "B"),
        ("waiting for the team, use B", "waiting for the team, use B"),
    ] {
        assert_eq!(given(&format!("### Q1\n**Answer:** {below}")), Answer::Given(answer.into()));
    }
}

#[test]
fn no_answer_and_an_empty_one_wait() {
    for line in [
        "",
        "**Answer:**",
        "**Answer:** _waiting_",
        "Answer: *waiting*  ",
        "**Answer: _WAITING_**",
        "**Answer:**\r\n_waiting_",
        "**Answer:** _waiting_ (please)\nB?",
        "```\n**Answer:** B\n```",
    ] {
        let text = format!("### Q1: x\n{line}\n");
        assert_eq!(given(&text), Answer::Waiting, "{line}");
        assert_eq!(Qa::parse(text).waiting(), 1);
    }
}

#[test]
fn an_answer_waited_for_outside_every_question_counts() {
    assert_eq!(Qa::parse("## Which one?\n**Answer:** _waiting_\n").waiting(), 1);
    assert_eq!(Qa::parse("## Which one?\n**Answer:** this\n").waiting(), 0);
}

#[test]
fn a_letter_is_filled_in_with_its_option_and_words_as_they_are() {
    let expected = EXAMPLE.replacen("_waiting_", "B - Redis", 1);
    for answer in ["B", " b", "B)"] {
        assert_eq!(filled(EXAMPLE, "Q1", answer), expected);
    }
    let text = filled(EXAMPLE, "2", "12 hours,\n### Q3: really");
    assert!(text.ends_with("**Answer:** 12 hours, ### Q3: really\n"));
    assert_eq!(Qa::parse(&*text).questions().len(), 2);
    assert_eq!(Qa::parse(text).waiting(), 1);
}

#[test]
fn a_given_answer_is_replaced_whole_and_a_missing_line_added() {
    for (before, after) in [
        (
            "### Q1\r\n**Answer:**\r\none\r\ntwo\r\n\r\n## End",
            "### Q1\r\n**Answer:** x\r\n\r\n## End",
        ),
        ("### Q1: y\r\n\r\n---\r\n", "### Q1: y\r\n\r\n**Answer:** x\r\n\r\n---\r\n"),
        ("### Q1", "### Q1\n\n**Answer:** x"),
        ("### Q1\n**Answer: _waiting_**\nnote", "### Q1\n**Answer: x**\nnote"),
    ] {
        assert_eq!(filled(before, "q1", "x"), after);
    }
}

#[test]
fn a_second_round_of_questions_may_use_the_same_ids() {
    let text = "### Q1: a\n**Answer:** x\n### Q1: b\n**Answer:** _waiting_\n";
    assert_eq!(filled(text, "Q1", "y"), text.replace("_waiting_", "y"));
}

#[test]
fn an_invalid_answer_is_a_one_line_error() {
    let mut qa = Qa::parse(EXAMPLE);
    for (id, answer, told) in [
        ("Q1", "e", "Q1=E: question Q1 has options A, B, C; or give your own words"),
        ("Q9", "A", "Q9: no such question; there are Q1, Q2"),
        ("Q1", " ", "Q1=: not an answer; give the letter of an option or your own words"),
        (
            "Q1",
            "_waiting_",
            "Q1=_waiting_: not an answer; give the letter of an option or your own words",
        ),
    ] {
        assert_eq!(qa.fill(id, answer).unwrap_err().to_string(), told);
    }
    assert_eq!(qa.as_str(), EXAMPLE);
    let told = Qa::parse("").fill("Q1", "A").unwrap_err().to_string();
    assert_eq!(told, "Q1: no such question; there are none");
}

#[test]
fn suggestions_are_accepted_all_or_none() {
    let mut qa = Qa::parse(EXAMPLE);
    let accepted = qa.accept_suggestions().unwrap();
    let expected = [("Q1", "A - database"), ("Q2", "One day")];
    assert_eq!(accepted, expected.map(|(id, answer)| (id.to_owned(), answer.to_owned())));
    assert_eq!(qa.waiting(), 0);
    assert_eq!(qa.accept_suggestions(), Ok(Vec::new()));

    let text = EXAMPLE.replace("**Suggestion:** One day\n", "");
    let mut qa = Qa::parse(text.as_str());
    let told = qa.accept_suggestions().unwrap_err().to_string();
    assert_eq!(told, "no suggestion to accept for Q2; answer with Q2=…");
    assert_eq!(qa.as_str(), text);
}

fn texts() -> impl Strategy<Value = String> {
    let known = select(vec![
        "### Q1: what?",
        "## **Q2**",
        "### Q3 - why",
        "# End",
        "```",
        "A) one",
        "- **B)** two",
        "C. _waiting_",
        "**Suggestion:** A - so",
        "Suggestion: words",
        "**Answer:** _waiting_",
        "**Answer:** A - one",
        "- **Answer**:",
        "Answer:x",
        "  **Answer: y",
        "_waiting_",
        "---",
        "",
        "  ",
        "some words",
    ])
    .prop_map(str::to_owned);
    let line = prop_oneof![6 => known, 1 => "\\PC{0,12}"];
    let ending = select(vec!["\n", "\r\n", "\n", "\r"]);
    proptest::collection::vec((line, ending), 0..20)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end.into()]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn filling_in_changes_one_answer_and_repeats_to_nothing(
        text in texts(), id in 1..4u8, answer in prop_oneof!["[A-D]", "\\PC{0,12}", "[*_ :x\r\n#`-]{0,8}"]
    ) {
        let before = Qa::parse(text.as_str());
        let mut after = before.clone();
        let Ok(written) = after.fill(&format!("Q{id}"), &answer) else {
            prop_assert_eq!(after, before);
            return Ok(());
        };
        let changed: Vec<_> = (0..before.questions().len())
            .filter(|at| before.questions()[*at].answer != after.questions()[*at].answer)
            .collect();
        prop_assert_eq!(before.questions().len(), after.questions().len());
        prop_assert!(changed.len() <= 1);
        for &at in &changed {
            let Answer::Given(now) = &after.questions()[at].answer else {
                return Err(TestCaseError::fail("still waiting"));
            };
            prop_assert!(now.starts_with(&written), "{:?} {:?}", now, written);
            let place = match &before.questions()[at].place {
                Place::Value(_, place) => place.clone(),
                Place::Behind(line) => {
                    let next = markdown::lines(&text)[*line].next;
                    next..next
                }
            };
            prop_assert!(after.as_str().starts_with(&text[..place.start]));
            prop_assert!(after.as_str().ends_with(&text[place.end..]));
        }
        let parsed = Qa::parse(after.as_str());
        prop_assert_eq!(&parsed, &after);
        let same: Vec<_> =
            after.questions().iter().filter(|q| q.id == format!("Q{id}")).cloned().collect();
        // Lines below `_waiting_` belong to the answer from now on, and are replaced.
        if same.len() == 1 && same[0].answer == Answer::Given(written.clone()) {
            prop_assert_eq!(after.fill(&format!("Q{id}"), &answer), Ok(written));
            prop_assert_eq!(after, parsed);
        }
    }

    #[test]
    fn accepting_leaves_nothing_that_waits_in_a_question_or_changes_nothing(text in texts()) {
        let mut qa = Qa::parse(text.as_str());
        let given = |qa: &Qa| -> Vec<Answer> {
            qa.questions().iter().map(|q| q.answer.clone()).filter(|a| *a != Answer::Waiting).collect()
        };
        let before = given(&qa);
        match qa.accept_suggestions() {
            Ok(accepted) => {
                prop_assert_eq!(qa.waiting(), qa.stray);
                prop_assert_eq!(given(&qa).len(), before.len() + accepted.len());
            }
            Err(_) => prop_assert_eq!(qa.as_str(), text),
        }
    }
}
