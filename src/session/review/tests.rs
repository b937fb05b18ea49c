//! How verdicts are read, and when reviewers and author agree.

use super::*;

fn parse(text: &str) -> Result<Review, SignalError> {
    Review::parse(text.as_bytes(), "r1")
}

fn verdict(text: &str) -> Verdict {
    match parse(text) {
        Ok(Review::Verdict(verdict)) => verdict,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_verdict_is_read_in_the_words_that_agents_use() {
    for (text, approves) in [
        (r#"{"run":"r1","verdict":"approve","summary":"s"}"#, true),
        (r#"{"verdict":"LGTM"}"#, true),
        (r#"{"verdict":true}"#, true),
        (r#"{"status":"continue","verdict":"Approved"}"#, true),
        (r#"{"status":"approved"}"#, true),
        (r#"{"verdict":"changes","findings":["a race"]}"#, false),
        (r#"{"verdict":"Request changes","summary":"a race"}"#, false),
        (r#"{"verdict":"needs-work","findings":"a race"}"#, false),
        (r#"{"verdict":false,"reason":"a race"}"#, false),
    ] {
        assert_eq!(verdict(text).approves, approves, "{text}");
    }
    let blocked = parse(r#"{"status":"blocked","reason":"no such commit"}"#).unwrap();
    assert_eq!(blocked, Review::Impossible("no such commit".into()));
}

#[test]
fn findings_are_texts_or_objects() {
    let of = |findings: &str| {
        verdict(&format!(r#"{{"verdict":"changes","summary":"s","findings":{findings}}}"#)).findings
    };
    assert_eq!(of(r#"[" a ","",null]"#), ["a"]);
    assert_eq!(of("\"only one\""), ["only one"]);
    assert_eq!(
        of(
            r#"[{"severity":"wrong","file":"src/a.rs","line":7,"what":"a race"},{"path":"b","text":"t"}]"#
        ),
        ["[wrong] src/a.rs:7 a race", "b t"]
    );
    assert_eq!(of(r#"[{"odd":1}]"#), [r#"{"odd":1}"#]);
    let many = of(&format!("[{}]", ["\"x\""; 100].join(",")));
    assert_eq!((many.len(), many[MOST].as_str()), (MOST + 1, "(40 more were left out)"));
    assert_eq!(of(&format!("[\"{}\"]", "ü".repeat(9000)))[0].chars().count(), LONGEST);
}

#[test]
fn what_is_no_verdict_is_said_so_that_the_reviewer_can_fix_it() {
    for (text, says) in [
        ("{}", "'' is not a verdict: use approve or changes"),
        (r#"{"status":"continue"}"#, "'continue' is not a verdict"),
        (r#"{"verdict":"maybe"}"#, "'maybe' is not a verdict"),
        (r#"{"verdict":"changes"}"#, "asks for changes without findings"),
        (r#"{"verdict":7}"#, "'verdict' is a number"),
        (r#"{"run":"r0","verdict":"approve"}"#, "is for run r0"),
        (r#"{"verdict":"appr"#, "truncated"),
        ("approve", "is not JSON"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

const BOTH: [&str; 2] = ["claude", "codex"];

pub(super) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Has one of them review what is at `head`.
pub(super) fn review(reviews: &mut Reviews, reviewer: &str, head: &str, approves: bool) {
    let on = reviews.assign(reviewer, Some(head.to_owned()));
    reviews.run_started(Some(&on));
    let (summary, findings) = if approves {
        (None, Vec::new())
    } else {
        (Some(format!("{reviewer} found a race.")), vec!["a race".to_owned()])
    };
    let verdict = Verdict { approves, summary, findings };
    reviews.reviewed(Opinion { on, verdict });
}

#[test]
fn all_read_the_same_commit_one_after_the_other_and_then_the_author_has_it() {
    let (both, mut reviews) = (names(&BOTH), Reviews::default());
    assert_eq!(reviews.next(&both), Some(&both[0]));
    review(&mut reviews, "claude", "c1", true);
    assert_eq!(reviews.next(&both), Some(&both[1]));
    // Somebody has committed in between.
    review(&mut reviews, "codex", "c2", true);
    assert_eq!(reviews.opinions()[1].on.commit.as_deref(), Some("c1"));
    assert_eq!(reviews.next(&both), None);
    assert!(reviews.run_started(None), "the author's conversation is another");
    assert!(!reviews.run_started(None));
    assert!(reviews.agree(&both, Some("c1")) && !reviews.agree(&both, Some("c2")));
    // One that was added meanwhile has its say before the phase ends.
    let three = names(&["claude", "codex", "gemini"]);
    assert_eq!(reviews.next(&three), None);
    assert!(!reviews.agree(&three, Some("c1")));
}

#[test]
fn an_objection_leads_to_another_round_with_what_was_said_before() {
    let (both, mut reviews) = (names(&BOTH), Reviews::default());
    review(&mut reviews, "claude", "c1", true);
    review(&mut reviews, "codex", "c1", false);
    reviews.run_started(None);
    assert!(!reviews.agree(&both, Some("c1")));
    reviews.next_round(Some(&"fixed".to_owned()));
    assert_eq!((reviews.round(), reviews.author()), (2, Some("fixed")));
    assert_eq!(reviews.earlier().len(), 2);
    assert_eq!(reviews.next(&both), Some(&both[0]));
    assert!(!reviews.agree(&both, Some("c1")), "an approval of the round before");
}

#[test]
fn a_dispute_shows_both_views_and_a_human_ends_it() {
    let (both, mut reviews) = (names(&BOTH), Reviews::default());
    for _ in 0..2 {
        review(&mut reviews, "claude", "c1", true);
        review(&mut reviews, "codex", "c1", false);
        reviews.run_started(None);
        reviews.next_round(None);
    }
    review(&mut reviews, "claude", "c1", true);
    review(&mut reviews, "codex", "c1", false);
    assert_eq!(
        reviews.dispute(Some("There is no race.")),
        "no agreement after 3 rounds of review. claude approves. codex asks for changes: codex \
         found a race (1) a race. The author says: There is no race. Decide: your word is carried \
         out without another review"
    );
    reviews.run_started(None);
    reviews.retried();
    assert!(!reviews.agree(&both, Some("c1")), "it was blocked for another reason");
    reviews.disputed();
    reviews.retried();
    assert!(reviews.agree(&both, Some("c9")) && reviews.is_decided());
    assert_eq!(reviews.next(&both), None);
}

#[test]
fn a_verdict_is_described_in_a_line_and_in_full() {
    let on = Assignment { reviewer: "codex".into(), round: 2, commit: Some("3f2a9c1d".into()) };
    let findings = vec!["one\u{1b}[2J".to_owned(), "two".to_owned()];
    let verdict = Verdict { approves: false, summary: Some("a\nrace".into()), findings };
    let opinion = Opinion { on, verdict };
    assert_eq!(opinion.headline(), "codex asks for changes in 3f2a9c1, round 2: a race");
    assert!(opinion.in_full().ends_with("\n2. two"));
    let outside = Assignment { reviewer: "x".into(), round: 1, commit: None };
    assert_eq!(outside.subject(), "the change, round 1");
}
