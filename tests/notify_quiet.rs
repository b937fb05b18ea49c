//! Quiet hours and the digest of the night, by the user's own timer.

use crate::lab::{self, Bot, secs};
use crate::session::BOUND;

#[test]
fn what_the_night_holds_back_is_told_of_once_in_the_morning_by_a_timer() {
    let Some(lab) = lab::get() else { return };
    let (user, bot) = (lab.user("sleeps"), Bot::start());
    user.gets_messages_from(&bot);
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let clock = |offset: &str| user.sh(&format!("date -d '{offset}' +%H:%M")).ok().stdout;
    let [from, to, digest] = ["-1 hour", "+2 hours", "+3 hours"].map(clock);
    let quiet = |more: &[&str]| {
        let words = ["notify", "quiet", "--from", from.trim(), "--to", to.trim()];
        project.samocode([&words, more].concat())
    };
    let refused = quiet(&["--digest", from.trim()]).output();
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.stderr.contains("digest is within the quiet hours"), "{refused}");
    let set = quiet(&["--digest", digest.trim(), "--except", "blocked"]).ok();
    assert!(set.stdout.contains("told of in one message at"), "{set}");

    let sessions = ["jwt", "search"].map(|name| project.named(name));
    for session in &sessions {
        session.enable(&["--task", "Work"]);
    }
    for session in &sessions {
        session.wait_to_rest("waiting", "requirements");
    }
    let listed = || project.samocode(["notify", "list"]).ok().stdout;
    user.wait_until("both are held back", BOUND, || listed().contains("2 notices held back"));
    assert_eq!(bot.messages(), [""; 0]);
    assert_eq!(user.unit_property("samocode-held.timer", "ActiveState"), "active");

    // The morning: as if the hours had passed, with a timer that does not wait for the next five minutes.
    let state = "~/.local/state/samocode/notices-held";
    user.sh(&format!("sed -i 's/\"held_until\":\"2/\"held_until\":\"1/' {state}/*")).ok();
    user.write(
        ".config/systemd/user/samocode-held.timer.d/soon.conf",
        "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\nAccuracySec=100ms\n",
    );
    user.systemctl(["daemon-reload"]).ok();
    user.systemctl(["restart", "samocode-held.timer"]).ok();
    user.wait_until("the digest arrives", BOUND, || !bot.messages().is_empty());
    let first = &bot.messages()[0];
    assert!(first.contains("2 messages from the quiet hours"), "{first}");
    assert!(first.contains("jwt is waiting") && first.contains("search is waiting"), "{first}");
    user.wait_until("nothing is held any more", secs(60), || !listed().contains("held back"));
    assert_eq!(bot.messages().len(), 1, "once: {:?}", bot.messages());

    let off = project.samocode(["notify", "quiet", "--off"]).ok();
    assert!(off.stdout.contains("no quiet hours"), "{off}");
    assert!(!listed().contains("Quiet hours"), "they are over");
}
