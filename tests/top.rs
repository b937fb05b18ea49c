//! The dashboard, looked at in a real terminal.

use crate::lab::{self, Screen, secs};

#[test]
fn a_session_goes_from_enable_to_done_by_keys_in_a_real_terminal() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("top");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let Some(screen) = Screen::open(&user, &project.dir, "samocode top; echo left with $?") else {
        return;
    };
    screen.shows("No sessions yet.");
    user.samocode(["enable", "jwt", "--task", "JWT login"]).cwd(&project.dir).ok();
    screen.shows("1 needs you");
    screen.shows("needs 2 answers");

    // The questions, one after another; Enter accepts what is suggested.
    screen.keys("a");
    screen.shows("Question 1 of 2");
    screen.keys("B Enter");
    screen.shows("Question 2 of 2");
    screen.keys("Enter");
    screen.shows("needs approval");

    screen.keys("3");
    screen.shows("3 Plan");
    screen.shows("# ");
    screen.keys("y");
    screen.shows("Approve the plan of jwt? [y/N]");
    // A smaller terminal in the middle of it.
    screen.tmux("resize-window -t top -x 60 -y 16");
    screen.keys("y");
    screen.shows("done");
    screen.shows("■■■■■■■■");
    let given = user.read(project.session("jwt").expect("a session").join("_qa.md"));
    assert!(given.contains("**Answer:** B"), "{given}");

    screen.keys("5");
    screen.shows("+");
    screen.keys("?");
    screen.shows("answer its questions");
    // Any key closes the help.
    screen.keys("Space");
    screen.shows("5 Diff");
    screen.keys("q");
    screen.shows("left with 0");
    assert!(!screen.text().contains("SESSION "), "the terminal is as it was");
    screen.tmux("kill-server");
}

#[test]
fn it_ends_with_its_terminal_and_needs_one() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("no-terminal");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let out = user.samocode(["top"]).cwd(&project.dir).output();
    assert_eq!(out.code, 2, "{out}");
    assert!(out.stderr.contains("top needs a terminal"), "{out}");
    assert!(out.stderr.contains("samocode status"), "{out}");

    let Some(screen) = Screen::open(&user, &project.dir, "samocode top") else { return };
    screen.shows("No sessions yet.");
    screen.tmux("kill-server");
    user.wait_until("no dashboard is left", secs(30), || {
        user.sh("pgrep -u $USER -f '[s]amocode top'").output().code != 0
    });
}
