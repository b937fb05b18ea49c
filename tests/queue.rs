//! More sessions than may run at once.

use crate::lab::{self, LabUser};
use crate::session::{BOUND, Session};

/// Writes its session's name once, and goes on when it may.
const AGENT: &str = "grep -qsx $SAMOCODE_SESSION ~/order || echo $SAMOCODE_SESSION >>~/order; until [ -e ~/go-$SAMOCODE_SESSION ]; do sleep 0.05; done";

/// Those that have run, in the order in which they began.
fn order(user: &LabUser) -> String {
    let order = if user.exists("order") { user.read("order") } else { String::new() };
    order.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wait_for_order(user: &LabUser, expected: &str) {
    user.wait_until(&format!("they ran: {expected}"), BOUND, || order(user) == expected);
}

/// Waits until the session is queued and has no process.
fn is_queued(session: &Session<'_>) {
    session.wait_for_state("queued");
    let user = session.user();
    user.wait_until("it has no process", BOUND, || !session.is_active());
}

#[test]
fn a_session_over_the_limit_waits_without_a_process_until_another_makes_room() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("crowd");
    let agent = user.obedient_agent(AGENT);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "1")
        .create();
    let [first, second, third] = ["first", "second", "third"].map(|name| project.named(name));
    first.enable(&["--task", "Paint the fence"]);
    wait_for_order(&user, "first");
    for session in [&second, &third] {
        session.enable(&["--task", "Mow the lawn"]);
        is_queued(session);
    }
    assert!(project.worktree("second").is_none(), "nothing is made before it may run");
    let shown = project.samocode(["status"]).ok().stdout;
    assert_eq!(shown.matches("queued").count(), 2, "{shown}");
    let why = project.samocode(["why", "second"]).ok().stdout;
    assert!(why.contains("1 already running"), "{why}");

    // Mail is read, and changes nothing.
    second.send("Use the small mower");
    user.wait_until("the mail is read", BOUND, || second.journal("mail").len() == 1);
    is_queued(&second);

    // In the foreground it waits in its process.
    let ended_in_the_queue = "samocode run here --task Rake & worker=$!
        for _ in {1..600}; do
            grep -qs '\"queued\"' ../shop-sessions/*-here/_hook.json && break
            sleep 0.1
        done
        kill -TERM $worker; wait $worker";
    let run = user.sh(ended_in_the_queue).cwd(&project.dir).output();
    assert_eq!(run.code, 13, "{run}");

    // What is stopped no longer waits.
    project.samocode(["stop", "second"]).ok();
    user.write("go-first", "");
    first.wait_to_rest("waiting", "requirements");
    wait_for_order(&user, "first third");
    assert_eq!(second.stands().0, "stopped");
    project.samocode(["start", "second"]).ok();
    is_queued(&second);
    // A stop makes room, too.
    project.samocode(["stop", "--now", "third"]).ok();
    wait_for_order(&user, "first third second");
    user.write("go-second", "");
    second.wait_to_rest("waiting", "requirements");
    assert_eq!(third.stands().0, "stopped");
}

#[test]
fn a_free_place_is_for_the_highest_priority_and_then_for_who_waited_longest() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("ranks");
    let agent = user.obedient_agent(AGENT);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "1")
        .create();
    let named = |name| project.named(name);
    named("first").enable(&["--task", "t"]);
    wait_for_order(&user, "first");
    for name in ["old", "young"] {
        named(name).enable(&["--task", "t"]);
        is_queued(&named(name));
    }
    named("urgent").enable(&["--task", "t", "--priority", "9"]);
    is_queued(&named("urgent"));

    user.write("go-first", "");
    wait_for_order(&user, "first urgent");
    for (name, next) in [("urgent", "first urgent old"), ("old", "first urgent old young")] {
        user.write(format!("go-{name}"), "");
        wait_for_order(&user, next);
    }
    user.write("go-young", "");
    for name in ["first", "old", "young", "urgent"] {
        named(name).wait_to_rest("waiting", "requirements");
    }
}

#[test]
fn a_place_is_passed_on_whoever_is_killed() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("heirs");
    let agent = user.obedient_agent(AGENT);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "1")
        .create();
    let named = |name| project.named(name);
    named("a").enable(&["--task", "t"]);
    wait_for_order(&user, "a");
    for name in ["b", "c", "d"] {
        named(name).enable(&["--task", "t"]);
        is_queued(&named(name));
    }

    // The worker of the running session: its successor has the place.
    let killed = named("a");
    user.run(["kill", "-KILL", &killed.worker()]).ok();
    user.wait_until("it runs again", BOUND, || killed.journal("run_started").len() == 2);
    assert_eq!((order(&user).as_str(), named("b").stands().0.as_str()), ("a", "queued"));

    // It is killed again, and its unit fails, since its folder is elsewhere.
    let folder = project.session("a").expect("a folder");
    let elsewhere = project.sessions.join("moved-away");
    let moved = format!("mv {} {}", folder.display(), elsewhere.display());
    user.sh(&format!("{moved} && kill -KILL {}", killed.worker())).ok();
    wait_for_order(&user, "a b");

    // The waker, as often as it comes, for a while.
    let killer = "until [ -e ~/mercy ]; do
        systemctl --user kill -s KILL samocode-wake.service 2>/dev/null
    done";
    let mut killer = user.sh(killer).spawn();
    user.write("go-b", "");
    named("b").wait_to_rest("waiting", "requirements");
    user.write("mercy", "");
    killer.wait(BOUND);
    wait_for_order(&user, "a b c");

    // All of them, and the manager; as after a reboot, all units that are enabled start.
    user.stop_manager();
    assert_eq!(named("d").stands().0, "queued");
    user.start_manager();
    user.wait_until("one runs", BOUND, || named("c").is_active() || named("d").is_active());
    for name in ["c", "d"] {
        user.write(format!("go-{name}"), "");
    }
    for name in ["c", "d"] {
        named(name).wait_to_rest("waiting", "requirements");
    }
    assert_eq!(order(&user), "a b c d");
}

#[test]
fn a_raised_limit_is_noticed_by_whoever_looks() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("raised");
    let agent = user.obedient_agent(AGENT);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "1")
        .create();
    let named = |name| project.named(name);
    named("a").enable(&["--task", "t"]);
    wait_for_order(&user, "a");
    for name in ["b", "c"] {
        named(name).enable(&["--task", "t"]);
        is_queued(&named(name));
    }
    let config = project.dir.join(".samocode");
    let raise = |to: &str, from: &str| {
        let (from, to) = (format!("MAX_RUNNING={from}"), format!("MAX_RUNNING={to}"));
        user.write(&config, user.read(&config).replace(&from, &to));
    };
    raise("2", "1");
    project.samocode(["status"]).ok();
    wait_for_order(&user, "a b");
    is_queued(&named("c"));
    raise("3", "2");
    project.samocode(["start", "a"]).ok();
    wait_for_order(&user, "a b c");
    for name in ["a", "b", "c"] {
        user.write(format!("go-{name}"), "");
        named(name).wait_to_rest("waiting", "requirements");
    }
}
