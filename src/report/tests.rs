use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Form;
use crate::control::report::Story;

const HOSTILE: &str = "</pre><script>alert('x')</script>\u{1b}[2J";

/// A story as another host would send it.
pub(super) fn story() -> Story {
    let at = Timestamp::from_second(1_764_000_000).unwrap();
    let later = Timestamp::from_second(1_764_009_000).unwrap();
    let sum = |usd, seconds| {
        serde_json::json!({
            "usd": usd, "tokens": { "input": 10, "output": 20 }, "runs": 1, "unknown": 0, "seconds": seconds,
        })
    };
    serde_json::from_value(serde_json::json!({
        "at": later,
        "detail": {
            "view": {
                "session": "jwt", "instance": "jwt", "project": "/home/dev/shop", "folder": "/home/dev/s",
                "branch": "jwt", "state": "done", "phase": "done", "iteration": 1, "total_iterations": 2,
                "cost_usd": 1.5, "tokens": { "input": 10, "output": 20 },
            },
            "task": format!("JWT login {HOSTILE}"), "agent": "claude", "questions": [],
        },
        "history": [
            { "type": "iteration", "at": at, "total": 1, "phase": "planning", "iteration": 1,
              "status": "continue", "step": { "next": "stay" }, "summary": HOSTILE, "seconds": 600, "runs": 1 },
            { "type": "iteration", "at": at, "total": 2, "phase": "testing", "iteration": 1,
              "status": "continue", "step": { "next": "stay" }, "summary": "12 tests passed", "seconds": 300, "runs": 1 },
            { "type": "event", "at": at, "kind": "limited", "text": "usage limit until 18:30" },
            { "type": "event", "at": later, "kind": "mail", "text": "human approved" },
        ],
        "bill": { "session": "jwt", "total": sum(1.5, 900), "phases": { "planning": sum(0.5, 600), "testing": sum(1.0, 300) } },
        "questions": [
            { "id": "Q1", "text": format!("Where? {HOSTILE}"), "answer": "In a cookie" },
            { "id": "Q2", "text": "How long?", "answer": null },
        ],
        "decisions": [{ "at": later, "what": "human approved", "words": format!("fine {HOSTILE}") }],
        "plan": format!("# Plan\n\n1. Read\n\n- [ ] Rotate the keys\n\n{HOSTILE}\n\n```\n# not a heading\n```\n\n## Approach\n\nOne cookie."),
        "summary": "## Done\n\nLogin **works**.&#x202e;",
        "commits": [{ "id": "1a2b3c4", "title": format!("Add login {HOSTILE}"), "at": at }],
        "diff": "diff --git a/a.rs b/a.rs\n--- a/a.rs\n+++ b/a.rs\n@@ -0,0 +1 @@\n+</pre><script>x</script>\n",
    }))
    .unwrap()
}

#[test]
fn a_page_has_everything_and_lets_nothing_run() {
    let page = Form::Html.render(&story(), &TimeZone::UTC);
    assert!(!page.contains("<script"), "{page}");
    assert!(!page.contains(['\u{1b}', '\u{202e}']), "{page}");
    assert!(page.contains("default-src 'none'"));
    for part in [
        "<h1>jwt",
        "2 iterations, 1 commit, 15 min of work",
        "$1.50",
        "JWT login",
        "<strong>works</strong>",
        "<svg",
        "In a cookie",
        "no answer yet",
        "1a2b3c4",
        "human approved",
        "Decisions",
        "fine &lt;/pre&gt;",
        "One cookie",
        "Restarts and waits",
        "usage limit until 18:30",
        "2 h 30 min",
        "12 tests passed",
        "What is left",
        "<li>Rotate the keys",
        "Q2 is not answered: How long?",
        "a.rs",
        "+1",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn the_same_as_markdown_is_safe_on_a_terminal() {
    let page = Form::Markdown.render(&story(), &TimeZone::UTC);
    assert!(!page.contains('\u{1b}'), "{page}");
    insta::assert_snapshot!(page);
}

#[test]
fn a_convoys_page_has_all_its_sessions_and_what_they_cost_together() {
    let stories = [story(), story()];
    let page = Form::Html.render_all("login <b>", &stories, &TimeZone::UTC);
    assert!(page.contains("Convoy login &lt;b&gt;") && !page.contains("<script"), "{page}");
    assert!(page.contains("2 of 2 sessions done, 30 min of work, $3.00."), "{page}");
    assert_eq!(page.matches("<h1>jwt").count(), 2);
    assert_eq!(page.matches("<main").count(), 1);
    let text = Form::Markdown.render_all("login", &stories, &TimeZone::UTC);
    assert!(text.starts_with("# Convoy login\n\n2 of 2 sessions done"), "{text}");
    assert_eq!(text.matches("# jwt: done").count(), 2);
}
