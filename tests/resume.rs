//! Sessions that end, are interrupted or stopped, and resume.

use crate::lab::{self, Api, Script, secs};
use crate::session::BOUND;

/// Makes each run wait until the file `~/asked/go` exists.
const HOLD: &str =
    "mkdir -p ~/asked; touch ~/asked/held; until [ -e ~/asked/go ]; do sleep 0.02; done";

/// An API that holds the first run in a tool until `~/asked/go` exists, and then does as samocode asks.
fn holding_api() -> Api {
    Api::start_with({
        let mut hold = Script::new().bash(HOLD).into_answer();
        let mut go_on = Script::obedient().into_answer();
        let mut held = false;
        move |request| {
            if std::mem::replace(&mut held, true) { go_on(request) } else { hold(request) }
        }
    })
}

#[test]
fn the_real_cli_resumes_its_conversation_when_its_worker_is_killed() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("killed");
    let api = holding_api();
    user.uses_claude(&api);
    let project = user.project("shop").confined().create();
    let session = project.named("jwt");
    session.enable(&["--task", "Paint the fence"]);
    user.wait_until("the tool runs", BOUND, || user.exists("asked/held"));

    user.run(["kill", "-KILL", &session.worker()]).ok();
    session.wait_to_rest("waiting", "requirements");

    let runs = session.conversations();
    assert_eq!((runs[0].1, runs[1].1), (false, true), "{runs:?}");
    assert_eq!(runs[0].0, runs[1].0, "{runs:?}");
    assert_ne!(runs[2].0, runs[1].0, "the next iteration begins a new one: {runs:?}");
    assert_eq!(session.journal("run_lost").len(), 1);
    let second = &api.requests()[1];
    assert!(second.says("Paint the fence") && second.says("cut off"), "{}", second.prompt());
    assert_eq!(session.history()[0], (1, "investigation".into(), "continue".into()));
    assert_eq!(session.journal("worker_started").len(), 2);
    let left = user.sh("pgrep -u $USER -fc 'until \\[ -e ~/asked/go'").output();
    assert_eq!(left.stdout.trim(), "0", "the tool that hung outlived its worker");
}

#[test]
fn a_plain_stop_of_the_unit_loses_nothing_and_a_plain_start_resumes_it() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("plainstop");
    let api = holding_api();
    user.uses_claude(&api);
    let project = user.project("shop").confined().create();
    let session = project.named("jwt");
    let unit = session.unit();
    session.enable(&["--task", "Paint the fence"]);
    user.wait_until("the tool runs", BOUND, || user.exists("asked/held"));

    user.systemctl(["stop", &unit]).ok();
    assert_eq!(session.active(), "inactive");
    let ended = session.journal("run_ended");
    assert_eq!(ended[0]["outcome"], "interrupted", "{ended:?}");
    assert_eq!(ended[0]["failure"], false);
    assert_eq!(session.journal("worker_ended")[0]["end"], "interrupted");
    assert_eq!(user.unit_property(&unit, "Result"), "success");

    user.systemctl(["start", &unit]).ok();
    session.wait_to_rest("waiting", "requirements");
    let runs = session.conversations();
    assert_eq!((&runs[0].0, runs[1].1), (&runs[1].0, true), "{runs:?}");
    assert!(api.requests()[1].says("Paint the fence"));
}

#[test]
fn signals_to_the_worker_interrupt_or_reload_it_and_never_end_the_session() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("signals");
    let agent = user.obedient_agent(HOLD);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    for (name, word, end, attempts) in [
        ("term", "TERM", "interrupted", 2),
        ("int", "INT", "interrupted", 2),
        ("hup", "HUP", "reloaded", 1),
    ] {
        let session = project.named(name);
        session.enable(&["--task", "Continue"]);
        user.wait_until("the agent runs", BOUND, || user.exists("asked/held"));
        let worker = session.worker();
        user.run(["kill", "-s", word, &worker]).ok();
        if word == "HUP" {
            // The reload has no other effect: the iteration continues.
            user.write("asked/go", "");
        } else {
            user.wait_until("another run begins", BOUND, || {
                session.journal("run_started").len() == 2
            });
            assert_ne!(session.worker(), worker);
            user.write("asked/go", "");
        }
        session.wait_to_rest("waiting", "requirements");
        assert_eq!(session.journal("worker_ended")[0]["end"], end, "{word}");
        let first = session.journal("run_started");
        let first = first.iter().filter(|run| run["total"] == 1).count();
        assert_eq!(first, attempts, "{word}");
        assert_eq!(session.active(), "inactive");
        if word != "HUP" {
            let run = &session.journal("run_started")[1];
            let asked = user.asked(name, run);
            assert!(asked.contains("cut off"), "{asked}");
        }
        std::fs::remove_file(user.host_path("asked/go")).unwrap();
        std::fs::remove_file(user.host_path("asked/held")).unwrap();
    }
}

#[test]
fn a_stop_waits_for_the_iteration_and_only_a_start_resumes_the_session() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("stops");
    let agent = user.obedient_agent(HOLD);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    let unit = session.unit();
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the agent runs", BOUND, || user.exists("asked/held"));

    let mut stop = project.samocode(["stop", "jwt"]).spawn();
    stop.wait_for_stderr("stops at the end of its iteration", secs(30));
    assert!(stop.is_running());
    assert_eq!(session.active(), "active");
    user.write("asked/go", "");
    let out = stop.wait(BOUND);
    assert!(out.code == 0 && out.stdout.contains("jwt stopped"), "{out}");
    assert_eq!(session.stands(), ("stopped".into(), "requirements".into()));
    assert_eq!(session.active(), "inactive");
    assert_eq!(session.history().len(), 1, "the iteration came to its end");

    // Mail does not bring it back …
    session.send("Hello?");
    session.wait_for_waker();
    assert_eq!(session.active(), "inactive");
    // … nor does a reboot, after which the unit checks for mail and ends.
    let workers = session.journal("worker_started").len();
    user.stop_manager();
    user.start_manager();
    user.wait_until("the worker has had its look", BOUND, || {
        session.journal("worker_ended").len() == workers + 1 && !session.is_active()
    });
    assert_eq!(session.stands().0, "stopped");
    assert_eq!(session.journal("run_started").len(), 1);
    assert_eq!(user.systemctl(["is-enabled", "--quiet", &unit]).output().code, 0);

    project.samocode(["start", "jwt"]).ok();
    session.wait_to_rest("waiting", "requirements");
    let run = &session.journal("run_started")[1];
    let asked = user.asked("jwt", run);
    assert!(asked.contains("Hello?"), "the mail that waited is shown: {asked}");
    assert!(!asked.contains("[stop from"), "what was for the worker is not: {asked}");
}

#[test]
fn stop_now_interrupts_the_run_and_is_remembered() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("now");
    let agent = user.obedient_agent(HOLD);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the agent runs", BOUND, || user.exists("asked/held"));

    let out = project.samocode(["stop", "--now", "jwt"]).ok();

    assert!(out.stdout.contains("jwt stopped"), "{out}");
    assert_eq!(session.stands().0, "stopped");
    assert_eq!(session.active(), "inactive");
    assert_eq!(session.journal("run_ended")[0]["outcome"], "interrupted");
    let again = project.samocode(["stop", "jwt"]).ok();
    assert!(again.stdout.contains("stopped"), "{again}");
    user.write("asked/go", "");
    project.samocode(["start", "jwt"]).ok();
    session.wait_to_rest("waiting", "requirements");
    assert_eq!(session.history()[0].0, 1, "it is the same iteration");
}

#[test]
fn a_session_stopped_in_the_middle_of_a_run_says_until_when_its_conversation_is_kept() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("kept");
    let api = holding_api();
    user.uses_claude(&api);
    user.write(".claude/settings.json", r#"{"cleanupPeriodDays":2}"#);
    let project = user.project("shop").create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the agent runs", BOUND, || user.exists("asked/held"));

    project.samocode(["stop", "--now", "jwt"]).ok();

    assert_eq!(session.journal("conversation_kept").len(), 1, "{:?}", session.journal(""));
    let why = project.samocode(["why", "jwt"]).ok().stdout;
    assert!(why.contains("not used for 2 days"), "{why}");
    user.write("asked/go", "");
    project.samocode(["start", "jwt"]).ok();
    session.wait_to_rest("waiting", "requirements");
    let runs = session.conversations();
    assert_eq!(runs[1], (runs[0].0.clone(), true), "{runs:?}");
}

#[test]
fn a_worker_killed_while_it_is_stopped_does_not_stop_again_when_started() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("killstop");
    let agent = user.obedient_agent(HOLD);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the agent runs", BOUND, || user.exists("asked/held"));
    let mut stop = project.samocode(["stop", "jwt"]).spawn();
    stop.wait_for_stderr("stops at the end", secs(30));

    user.run(["kill", "-KILL", &session.worker()]).ok();

    let out = stop.wait(BOUND);
    assert_eq!(out.code, 0, "{out}");
    assert_eq!(session.stands().0, "stopped");
    user.write("asked/go", "");
    project.samocode(["start", "jwt"]).ok();
    session.wait_to_rest("waiting", "requirements");
}

#[test]
fn a_finished_session_resumes_with_a_new_task() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("again");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.through_the_gates();
    let first = session.hook()["total_iterations"].as_u64().unwrap();

    let without = project.samocode(["enable", "jwt"]).output();
    assert_eq!(without.code, 2, "{without}");
    assert!(without.stderr.contains("is done\nhint: give it a new task"), "{without}");

    let out = project.samocode(["enable", "jwt", "--task", "Refresh tokens"]).ok();
    assert!(out.stdout.contains("resumed with a new task"), "{out}");
    session.through_the_gates();

    let overview = session.file("_overview.md");
    assert!(overview.contains("Session resumed: Refresh tokens"), "{overview}");
    assert_eq!(session.hook()["total_iterations"].as_u64().unwrap(), 2 * first);
    let commits = user.run(["git", "log", "--format=%s", "main..jwt"]).cwd(&project.dir).ok();
    assert_eq!(commits.stdout.lines().count(), 6, "{commits}");
    let phases: Vec<_> = session.history().into_iter().map(|(_, phase, _)| phase).collect();
    assert_eq!(phases.iter().filter(|phase| *phase == "investigation").count(), 2);
    user.wait_until("the unit is disabled again", BOUND, || {
        user.systemctl(["is-enabled", &session.unit()]).output().stdout.trim() == "disabled"
    });
}

#[test]
fn a_blocked_session_retries_on_mail_and_on_start() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("blocked");
    let stuck = r#"[ -e ~/fixed ] || {
        echo '{"status":"blocked","reason":"no key for the API","needs":"human_action"}' >$SAMOCODE_SESSION_DIR/_signal.json
        exit; }"#;
    let agent = user.obedient_agent(stuck);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("blocked", "investigation");
    assert_eq!(session.hook()["reason"], "no key for the API");
    assert_eq!(project.status("jwt", "Blocked").as_deref(), Some("yes"));

    session.send("The key is in ~/key");
    user.wait_until("it has tried again", BOUND, || session.history().len() == 2);
    session.wait_to_rest("blocked", "investigation");
    let asked = user.asked("jwt", &session.journal("run_started")[1]);
    assert!(asked.contains("The key is in ~/key"), "{asked}");

    user.write("fixed", "");
    project.samocode(["start", "jwt"]).ok();
    session.wait_to_rest("waiting", "requirements");
    assert_eq!(project.status("jwt", "Blocked").as_deref(), Some("waiting_human"));
}

#[test]
fn two_projects_may_have_a_session_of_the_same_name() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("twins");
    let shop = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let blog = user.project("blog").key("SAMOCODE_AGENT", "rehearsal").create();
    let (first, second) = (shop.named("jwt"), blog.named("jwt").with_instance("jwt--blog"));

    first.enable(&["--task", "Login for the shop"]);
    second.enable(&["--task", "Login for the blog"]);
    first.wait_to_rest("waiting", "requirements");
    second.wait_to_rest("waiting", "requirements");
    assert!(second.file("_overview.md").contains("Login for the blog"));

    second.answer();
    second.wait_to_rest("waiting", "planning");
    assert_eq!(first.stands(), ("waiting".into(), "requirements".into()));
    // From its own folder the plain name means the project's own session.
    blog.samocode(["stop", "jwt"]).ok();
    assert_eq!(second.stands().0, "stopped");
    assert_eq!(first.stands().0, "waiting");
    // The instance means the same from anywhere, even from another project's folder.
    shop.samocode(["start", "jwt--blog"]).ok();
    assert_eq!(first.stands(), ("waiting".into(), "requirements".into()));
    second.wait_to_rest("waiting", "planning");
    second.approve();
    second.wait_to_rest("done", "done");
    first.through_the_gates();

    for (project, name) in [(&shop, "shop"), (&blog, "blog")] {
        let log = user.run(["git", "log", "--format=%s", "main..jwt"]).cwd(&project.dir).ok();
        assert_eq!(log.stdout.lines().count(), 3, "{name}: {log}");
    }
}

#[test]
fn sessions_of_one_name_that_projects_begin_at_the_same_moment_all_run() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("triplets");
    let agent = user.obedient_agent("");
    let names = ["shop", "blog", "wiki"];
    let projects = names.map(|name| user.project(name).key("SAMOCODE_AGENT", &agent).create());

    std::thread::scope(|scope| {
        let begun = projects.each_ref().map(|project| {
            let enable = || project.samocode(["enable", "jwt", "--task", "JWT login"]).output();
            scope.spawn(enable)
        });
        for (project, begun) in projects.iter().zip(begun) {
            let begun = begun.join().expect("no panic");
            if begun.code != 0 {
                assert!(begun.stderr.contains("samocode start jwt"), "{begun}");
                project.samocode(["start", "jwt"]).ok();
            }
        }
    });

    for project in &projects {
        project.named("jwt").wait_for_state("waiting");
    }
}
