//! `samocode bot`: a session taken from its start to its end by a phone.

use crate::lab::{self, Bot};
use crate::session::BOUND;

#[test]
fn a_session_is_taken_from_start_to_done_by_buttons_and_commands() {
    let Some(lab) = lab::get() else { return };
    let (user, bot) = (lab.user("phone"), Bot::start());
    user.gets_messages_from(&bot);
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let installed = project.samocode(["bot", "--install"]).ok();
    assert!(installed.stdout.contains("samocode-bot.service runs"), "{installed}");
    user.wait_until("the bot listens", BOUND, || bot.is_polled());
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");

    let button =
        |label: &str| user.wait_for(&format!("the button {label:?}"), BOUND, || bot.button(label));
    // The agent suggests A for both.
    let (first, second) = (button("Q1 B"), button("Q2 A ★"));
    let asked = bot.messages();
    assert!(asked.iter().any(|text| text.contains("Q1: Which language")), "{asked:?}");
    // Two people press: the first wins, and both see it.
    bot.press(&first);
    bot.press(&button("Q1 A ★"));
    user.wait_until("both are answered", BOUND, || bot.toasts().len() == 2);
    let toasts = bot.toasts();
    assert!(toasts[0].contains("Q1: B - ") && toasts[0].contains("Still open: Q2"), "{toasts:?}");
    assert!(toasts[1].contains("Q1 is settled: B - "), "{toasts:?}");
    assert_eq!(bot.count_of("(Anna)"), 1, "{:?}", bot.messages());

    // Killed, it resumes where it was.
    user.systemctl(["kill", "--signal=KILL", "samocode-bot"]).ok();
    bot.press(&second);
    session.wait_to_rest("waiting", "planning");
    // A press that it had answered when it was killed may be answered again, but nothing is done twice.
    let done = |text: &str| bot.toasts().iter().filter(|toast| toast.contains(text)).count();
    assert_eq!((done("jwt: Q1: B - "), done("jwt: Q2: A - ")), (1, 1), "{:?}", bot.toasts());
    let before = bot.toasts().len();
    bot.press(&first);
    user.wait_until("an old press is answered", BOUND, || bot.toasts().len() > before);
    assert!(bot.toasts()[before].contains("Q1 is settled"), "{:?}", bot.toasts());

    bot.press(&button("Read it"));
    bot.write("/status", None);
    user.wait_until("the status is sent", BOUND, || bot.count_of("1 needs you") == 1);
    assert_eq!(bot.count_of("jwt – waiting, planning"), 1, "{:?}", bot.messages());
    bot.write("keep it small", Some("jwt"));
    user.wait_until("the reply is sent", BOUND, || bot.count_of("jwt: sent.") == 1);
    session.wait_to_rest("waiting", "planning");

    // Rejected: the bot asks why, and the agent plans again.
    let (approve, reject) = (button("Approve"), button("Reject…"));
    bot.press(&reject);
    let asks = || bot.messages().into_iter().find(|text| text.contains("\nref "));
    let question = user.wait_for("the bot asks why", BOUND, asks);
    bot.reply_to(&question, "use what is there");
    user.wait_until("it is rejected", BOUND, || bot.count_of("the plan is rejected") == 1);
    user.wait_until("it plans again", BOUND, || button("Approve") != approve);
    session.wait_to_rest("waiting", "planning");
    bot.press(&approve);
    user.wait_until("an old plan is settled", BOUND, || {
        bot.toasts().last().is_some_and(|toast| toast.contains("settled already"))
    });

    // Without a network nothing is lost: what was pressed meanwhile is done once, when it is back.
    bot.cut_off(true);
    user.wait_until("the bot is cut off", BOUND, || bot.failed() > 1);
    bot.press(&button("Approve"));
    bot.cut_off(false);
    session.wait_to_rest("done", "done");
    user.wait_until("it is told", BOUND, || bot.count_of("the plan is approved") > 0);
    assert_eq!(bot.count_of("the plan is approved"), 1, "{:?}", bot.messages());
    let mail = session.journal("mail");
    let kinds: Vec<_> = mail.iter().filter_map(|line| line["mail"].as_str()).collect();
    assert_eq!(kinds, ["answer", "text", "reject", "approve"]);
    // One message tells how it proceeds, until it is done.
    user.wait_until("the last edit", BOUND, || {
        bot.edits().last().is_some_and(|text| text.contains("the plan is approved"))
            && bot.edits().last().is_some_and(|text| text.ends_with("done"))
    });

    // Another session, in the only project there is.
    bot.write("/new login build the login", None);
    user.wait_until("it has begun", BOUND, || bot.count_of("login</b> has begun") == 1);
    project.named("login").wait_to_rest("waiting", "requirements");
    bot.write("/stop login", None);
    user.wait_until("it is stopped", BOUND, || bot.count_of("login is stopped") == 1);
    project.samocode(["bot", "--remove"]).ok();
    assert_eq!(user.unit_property("samocode-bot.service", "ActiveState"), "inactive");
    assert_eq!(user.unit_property("samocode-bot.service", "UnitFileState"), "disabled");
}
