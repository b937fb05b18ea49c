//! Quiet hours and the digest of the night, by the user's own timer.

use crate::lab::{self, Bot, secs};
use crate::session::BOUND;

#[test]
fn what_the_night_holds_back_is_told_of_once_in_the_morning_by_a_timer() {
    let Some(lab) = lab::get() else { return };
    let (user, bot) = (lab.user("sleeps"), Bot::start());
    user.gets_messages_from(&bot);
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let clock = |hours: i32| {
        let time = user.sh(&format!("date -d '{hours:+} hours' +%H:%M")).ok().stdout;
        time.trim().to_owned()
    };
    let quiet = |from: i32, to: i32, digest: i32| {
        let [from, to, digest] = [from, to, digest].map(clock);
        let times = ["--from", &from, "--to", &to, "--digest", &digest];
        project.samocode([&["notify", "quiet", "--except", "blocked"], &times[..]].concat())
    };
    let refused = quiet(-1, 2, 1).output();
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.stderr.contains("digest is within the quiet hours"), "{refused}");
    let set = quiet(-1, 2, 3).ok();
    assert!(set.stdout.contains("told of in one message at"), "{set}");

    let sessions = ["jwt", "search"].map(|name| project.named(name));
    for session in &sessions {
        session.enable(&["--task", "Work"]);
    }
    for session in &sessions {
        session.wait_to_rest("waiting", "requirements");
    }
    let listed = || project.samocode(["notify", "list"]).ok().stdout;
    user.wait_until("both are held back", BOUND, || {
        let held = |line: &str| line.starts_with("telegram") && line.contains("2 notices held");
        listed().lines().any(held)
    });
    assert_eq!(bot.messages(), [""; 0]);
    assert_eq!(user.unit_property("samocode-held.timer", "ActiveState"), "active");

    // The morning: as if the hours had passed, with a timer that does not wait for the next five minutes.
    quiet(4, 5, 6).ok();
    let state = "~/.local/state/samocode/notices-held";
    user.sh(&format!("sed -i 's/\"held_until\":\"2/\"held_until\":\"1/' {state}/*")).ok();
    user.write(
        ".config/systemd/user/samocode-held.timer.d/soon.conf",
        "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/4\nAccuracySec=100ms\n",
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
