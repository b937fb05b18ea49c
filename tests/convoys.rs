//! Convoys on a real systemd: sessions that start in order, end together and are merged.

use crate::lab::{self, Bot, LabUser, Project};
use crate::session::BOUND;

/// Works in a folder of its own, so that branches do not conflict, except for those named `clash`.
const APART: &str = "case $SAMOCODE_SESSION in clash*) ;; *) mkdir -p $SAMOCODE_SESSION; cd $SAMOCODE_SESSION ;; esac";

fn started(project: &Project<'_>, name: &str) -> bool {
    !project.named(name).journal("run_started").is_empty()
}

#[track_caller]
fn announced(user: &LabUser, bot: &Bot, text: &str, times: usize) {
    user.wait_until(&format!("{text:?} is announced"), BOUND, || bot.count_of(text) >= times);
    assert_eq!(bot.count_of(text), times, "{:?}", bot.messages());
}

#[test]
fn a_convoy_from_one_file_starts_in_order_stops_as_one_and_is_merged_when_it_is_complete() {
    let Some(lab) = lab::get() else { return };
    let (user, bot) = (lab.user("convoy"), Bot::start());
    user.gets_messages_from(&bot);
    let agent = user.obedient_agent(APART);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "9")
        .key("SAMOCODE_TEST_COMMAND", "test -e schema/work.txt && test -e client/work.txt")
        .repo(|repo| repo.then("git branch develop"))
        .create();
    user.write(
        project.dir.join("login.toml"),
        "id = \"login\"\nmerge = true\ninto = \"develop\"\n[limits]\nmemory_max = \"3G\"\n\
         [[session]]\nname = \"client\"\ntask = \"Add the page\"\nafter = [\"schema\", \"server\"]\n\
         [[session]]\nname = \"server\"\ntask = \"Add the login\"\nafter = [\"schema\"]\n\
         [[session]]\nname = \"schema\"\ntask = \"Add the table\"\n",
    );
    let created = project.samocode(["convoy", "create", "--file", "login.toml"]).ok();
    assert!(created.stdout.contains("Next: server"), "{created}");
    let [schema, server, client] = ["schema", "server", "client"].map(|name| project.named(name));
    schema.wait_to_rest("waiting", "requirements");
    assert_eq!(user.unit_property(&schema.unit(), "Slice"), "samocode-convoy-login.slice");
    let limit = user.unit_property("samocode-convoy-login.slice", "MemoryMax");
    assert_eq!(limit, (3_u64 << 30).to_string());
    let why = project.samocode(["why", "server"]).ok().stdout;
    assert!(why.contains("queued") && why.contains("starts after schema"), "{why}");

    // Neither mail nor a person starts one whose turn has not come.
    server.send("remember the index");
    server.wait_for_waker();
    let refused = project.samocode(["start", "server"]).output();
    assert!(refused.code == 1 && refused.stderr.contains("convoy status login"), "{refused}");
    assert!(!started(&project, "server") && !server.is_active());
    schema.through_the_gates();

    server.wait_to_rest("waiting", "requirements");
    assert!(!started(&project, "client"));
    let within = ["merge-base", "--is-ancestor", "schema", "server"];
    user.run(["git"].iter().chain(&within)).cwd(&project.dir).ok();
    user.systemctl(["stop", "samocode-convoy@login.target"]).ok();
    server.answer_file();
    user.systemctl(["start", "samocode-convoy@login.target"]).ok();
    server.wait_to_rest("waiting", "planning");
    server.approve();
    server.wait_to_rest("done", "done");
    client.through_the_gates();

    announced(&user, &bot, "convoy login is complete: 3 sessions", 1);
    announced(&user, &bot, "convoy login is merged: develop has 3 sessions; tested with", 1);
    let merged = user.sh("git show --stat develop:client develop:server").cwd(&project.dir).ok();
    assert_eq!(merged.stdout.matches("work.txt").count(), 2, "{merged}");
    let shown = project.samocode(["convoy", "status", "login"]).ok().stdout;
    assert!(shown.contains("3 of 3 sessions done"), "{shown}");
    let inbox = project.samocode(["inbox"]).ok().stdout;
    assert!(inbox.contains("convoy login is complete"), "{inbox}");
    user.wait_until("the target has ended", BOUND, || {
        user.unit_property("samocode-convoy@login.target", "ActiveState") == "inactive"
    });
}

#[test]
fn a_running_member_is_stopped_with_its_target_and_a_blocked_one_is_announced_once() {
    let Some(lab) = lab::get() else { return };
    let (user, bot) = (lab.user("halt"), Bot::start());
    user.gets_messages_from(&bot);
    let agent = user.shell_agent(
        "case $SAMOCODE_SESSION in
         slow) touch ~/slow; exec sleep 1000 ;;
         *) printf '{\"status\":\"blocked\",\"reason\":\"no port\"}' >$SAMOCODE_SESSION_DIR/_signal.json ;;
         esac",
    );
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "9")
        .create();
    for name in ["slow", "broken"] {
        project.named(name).enable(&["--task", "t"]);
    }
    let [slow, broken] = ["slow", "broken"].map(|name| project.named(name));
    user.wait_until("it runs", BOUND, || user.exists("slow"));
    broken.wait_to_rest("blocked", "investigation");
    project.samocode(["convoy", "create", "pair", "slow", "broken"]).ok();
    let said = "convoy pair: broken is blocked (no port)";
    announced(&user, &bot, said, 1);

    // Whoever looks after it is killed, at another step each time: told once, all the same.
    let drop_in = ".config/systemd/user/samocode-wake.service.d/crash.conf";
    for (trial, at) in [2, 5, 9, 13, 17, 21, 25].into_iter().enumerate() {
        let log = format!("crash-{at}");
        user.write(
            drop_in,
            format!(
                "[Service]\nEnvironment=SAMOCODE_CRASH_AT={at} SAMOCODE_CRASH_LOG={}\n",
                user.home.join(&log).display()
            ),
        );
        user.systemctl(["daemon-reload"]).ok();
        broken.send("try again");
        user.wait_until("it has died", BOUND, || {
            user.exists(&log) && user.read(&log).lines().count() >= at
        });
        user.sh(&format!("rm {drop_in}")).ok();
        user.systemctl(["daemon-reload"]).ok();
        broken.wait_for_waker();
        user.wait_until("it is blocked again", BOUND, || {
            broken.journal("blocked").len() + broken.journal("signal_taken").len() >= trial + 2
                && broken.stands().0 == "blocked"
        });
        broken.wait_for_waker();
        announced(&user, &bot, said, trial + 2);
    }

    assert!(slow.is_active());
    user.systemctl(["stop", "samocode-convoy@pair.target"]).ok();
    // systemctl waits for the target alone.
    user.wait_until("its member has ended", BOUND, || !slow.is_active());
    let shown = project.samocode(["convoy", "status", "pair"]).ok().stdout;
    let of_slow = shown.lines().find(|line| line.contains("slow")).unwrap_or_default();
    assert!(of_slow.contains("stopped"), "{shown}");
    let shown = project.samocode(["convoy", "stop", "pair"]).ok().stdout;
    assert!(shown.contains("slow stopped."), "{shown}");
    let removed = project.samocode(["convoy", "remove", "pair"]).ok().stdout;
    assert!(removed.contains("pair removed"), "{removed}");
    assert_eq!(project.samocode(["convoy", "status", "pair"]).output().code, 2);
    let slice = user.unit_property(&slow.unit(), "Slice");
    assert_eq!(slice, "samocode.slice", "its unit is its own again");
}

#[test]
fn a_merge_leaves_a_conflict_to_a_session_that_knows_both_sides() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("merge");
    let agent = user.obedient_agent(APART);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "9")
        .key("SAMOCODE_SETUP_COMMAND", "touch made-by-setup")
        .key("SAMOCODE_TEST_COMMAND", "test -e made-by-setup && test -e README.md")
        .repo(|repo| repo.then("git branch develop"))
        .create();
    let names = ["clash-left", "clash-right", "apart"];
    for name in names {
        project.named(name).enable(&["--task", &format!("Do the work of {name}")]);
    }
    for name in names {
        project.named(name).through_the_gates();
    }
    let merge = |into: &'static str, more: &[&str]| {
        let args = ["merge", "clash-left", "clash-right", "apart", "--into", into];
        project.samocode(args.iter().chain(more)).output()
    };
    user.write(project.dir.join("README.md"), "edited");
    let dirty = merge("main", &[]);
    assert!(dirty.code == 1 && dirty.stderr.contains("1 file is not committed there"), "{dirty}");

    let merged = merge("develop", &["--resolve"]);
    assert_eq!(merged.code, 1, "{merged}");
    for said in [
        "conflict in work.txt",
        "develop has 2 sessions",
        "tested with: test -e made-by-setup",
        "Started resolve-clash-right to resolve the conflict of clash-right.",
    ] {
        assert!(merged.stdout.contains(said), "{said}: {merged}");
    }
    assert_eq!(user.read(project.dir.join("README.md")), "edited", "the checkout is untouched");
    let resolver = project.named("resolve-clash-right");
    let task = resolver.journal("created")[0]["task"].as_str().unwrap().to_owned();
    for part in [
        "Task of clash-right, on branch clash-right:\nDo the work of clash-right",
        "Requirements of clash-right:\n# Questions",
        "Task of clash-left, on branch clash-left:\nDo the work of clash-left",
        "<<<<<<<",
    ] {
        assert!(task.contains(part), "{part}: {task}");
    }
    resolver.wait_to_rest("waiting", "requirements");
}

#[test]
fn a_parent_is_woken_by_what_its_workers_report_and_may_touch_no_other_session() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("parent");
    let agent = user.shell_agent(
        "cat >>~/asked-$SAMOCODE_SESSION
         printf '{\"status\":\"blocked\",\"reason\":\"no port\"}' >$SAMOCODE_SESSION_DIR/_signal.json",
    );
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let lead = project.named("lead");
    lead.enable(&["--task", "Lead"]);
    lead.wait_to_rest("blocked", "investigation");
    project.named("impl").enable(&["--task", "Implement", "--parent", "lead"]);
    user.wait_until("the parent was asked about it", BOUND, || {
        user.read("asked-lead").contains("impl is blocked: no port")
    });
    lead.wait_to_rest("blocked", "investigation");
    assert_eq!(lead.journal("run_started").len(), 2);
    assert_eq!(lead.journal("mail").len(), 1, "one report a rest");

    project.named("other").enable(&["--task", "Something else"]);
    let as_lead = |verb: &[&str]| project.samocode(verb).env("SAMOCODE_SESSION", "lead").output();
    for verb in [&["start", "other"][..], &["stop", "other"], &["merge", "other"]] {
        let refused = as_lead(verb);
        let said = "other is not below your session";
        assert!(refused.code == 1 && refused.stderr.contains(said), "{refused}");
    }
    let stopped = as_lead(&["stop", "impl"]);
    assert_eq!(stopped.code, 0, "{stopped}");
}
