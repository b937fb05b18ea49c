//! More sessions than may run at once.

use crate::lab;
use crate::session::BOUND;

#[test]
fn a_session_over_the_cap_waits_until_another_makes_room() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("crowd");
    let agent =
        user.obedient_agent("touch ~/$SAMOCODE_SESSION; until [ -e ~/go ]; do sleep 0.05; done");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "1")
        .create();
    let (first, second) = (project.named("first"), project.named("second"));
    first.enable(&["--task", "Paint the fence"]);
    user.wait_until("the first runs", BOUND, || user.exists("first"));

    second.enable(&["--task", "Mow the lawn"]);
    second.wait_for_state("queued");

    let shown = project.samocode(["status"]).ok().stdout;
    assert!(shown.contains("queued"), "{shown}");
    let why = project.samocode(["why", "second"]).ok().stdout;
    assert!(why.contains("1 already running"), "{why}");
    user.run(["kill", "-KILL", &second.worker()]).ok();
    user.wait_until("its next worker queues too", BOUND, || {
        second.journal("worker_started").len() == 2 && second.is_active()
    });
    assert!(!user.exists("second"));

    let ended_in_the_queue = "samocode run third --task Rake & worker=$!
        for _ in {1..600}; do
            grep -qs '\"queued\"' ../shop-sessions/*-third/_hook.json && break
            sleep 0.1
        done
        kill -TERM $worker; wait $worker";
    let run = user.sh(ended_in_the_queue).cwd(&project.dir).output();
    assert_eq!(run.code, 13, "{run}");

    user.write("go", "");
    for session in [&first, &second] {
        session.wait_to_rest("waiting", "requirements");
    }
    assert_eq!(second.journal("queued").len(), 1);
}

#[test]
fn a_free_place_is_for_the_highest_priority_and_then_for_who_waited_longest() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("ranks");
    let agent = user.obedient_agent(
        "echo $SAMOCODE_SESSION >>~/order; until [ -e ~/go-$SAMOCODE_SESSION ]; do sleep 0.05; done",
    );
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "1")
        .create();
    let named = |name| project.named(name);
    let order = || user.read("order").split_whitespace().collect::<Vec<_>>().join(" ");
    named("first").enable(&["--task", "t"]);
    user.wait_until("the first runs", BOUND, || user.exists("order"));
    for name in ["old", "young"] {
        named(name).enable(&["--task", "t"]);
        named(name).wait_for_state("queued");
    }
    named("urgent").enable(&["--task", "t", "--priority", "9"]);
    named("urgent").wait_for_state("queued");

    // Its place goes on, also when the worker of the next one is killed meanwhile.
    user.run(["kill", "-KILL", &named("urgent").worker()]).ok();
    user.write("go-first", "");
    user.wait_until("the next one runs", BOUND, || order() == "first urgent");
    for (name, next) in [("urgent", "first urgent old"), ("old", "first urgent old young")] {
        user.write(format!("go-{name}"), "");
        user.wait_until("the next one runs", BOUND, || order() == next);
    }
    user.write("go-young", "");
    for name in ["first", "old", "young", "urgent"] {
        named(name).wait_to_rest("waiting", "requirements");
    }
}
