//! Sessions under launchd, played on Linux by a stand-in with real processes. The same program,
//! `life.py`, plays them on a Mac.

use crate::lab::{self, Bot, secs};

/// All of it takes a minute on a machine that is not busy.
const BOUND: std::time::Duration = secs(400);

#[test]
fn the_whole_life_of_sessions_under_launchd() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("mac");
    let bot = Bot::start();
    user.gets_messages_from(&bot);
    let out = user
        .run(["python3", "/repo/tests/launchd/life.py", "/opt/samocode/bin/samocode"])
        .arg("/repo/tests/launchd/launchctl")
        .within(BOUND)
        .ok();

    let played = out.stdout.lines().filter(|line| line.starts_with("ok: ")).count();
    assert_eq!(played, 16, "{out}");
    // The worker that could not read its settings could not send this itself.
    let about_broken = |text: &&String| text.contains("life-broken");
    let told = bot.messages();
    let told: Vec<&String> = told.iter().filter(about_broken).collect();
    assert!(told.iter().any(|text| text.contains("failed")), "{told:?}");
}
