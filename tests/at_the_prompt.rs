//! A person at a shell prompt takes a session from its beginning to its end.

use crate::lab::{self, Screen};

#[test]
fn a_session_goes_from_enable_to_done_by_what_is_typed_at_a_prompt() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("types");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let Some(screen) = Screen::open(&user, &project.dir, "PS1=ready:; clear") else { return };
    screen.shows("ready:");
    // Each command is the one that the output before it named.
    let types = |line: &str| screen.keys(&format!("'{line}' Enter"));
    types("samocode enable jwt --task JWT");
    screen.shows("Keep them running");
    screen.keys("n Enter");
    types("samocode wait jwt");
    screen.shows("(samocode answer jwt)");
    types("samocode answer jwt");
    screen.shows("Q1  Which language");
    screen.keys("B Enter");
    screen.shows("Q2  Whom should it greet");
    screen.keys("Enter");
    screen.shows("Sent. jwt is running again.");
    types("samocode wait jwt");
    screen.shows("(samocode approve jwt)");
    types("samocode show jwt plan | cat");
    screen.shows("Steps");
    types("samocode approve jwt; samocode wait jwt; samocode status");
    screen.shows("merge: git");
    screen.shows("■■■■■■■■");
    let given = user.read(project.session("jwt").expect("a session").join("_qa.md"));
    assert!(given.contains("**Answer:** B - "), "{given}");
    screen.tmux("kill-server");
}
