//! A coordinator with workers below it, on a real systemd.

use crate::lab::{self, Bot, LabUser};
use crate::session::BOUND;

/// In its implementation phase the session `lead` starts two workers, one after the other, answers
/// them, merges them into its own branch and continues. It looks at what is there at every run, as an
/// agent without a memory must.
const LEADS: &str = r#"
sleeps() {
    printf '{"status":"waiting","for":"workers","summary":"%s"}' "$1" >"$SAMOCODE_SESSION_DIR/_signal.json"
    exit 0
}
state() { sed -n 's/.*"state":"\([a-z]*\)".*/\1/p' "$SAMOCODE_SESSION_DIR/workers/$1/_hook.json"; }
leads() {
    echo run >>~/lead-runs
    if [ ! -d "$SAMOCODE_SESSION_DIR/workers/page" ]; then
        echo shared >shared.txt; git add shared.txt; git commit -qm "Prepare"
        samocode enable api --task "The API"
        samocode enable page --task "The page" --after api
        for verb in "stop other" "merge other" "approve other" "enable x --parent other --task t" \
            "merge api --into main" "enable api --delegate gates" "approve lead"; do
            samocode $verb >>~/refused 2>&1 && echo "ALLOWED $verb" >>~/refused
        done
        sleeps "two workers"
    fi
    for worker in api page; do
        case $(state $worker) in
        waiting) case $(cat "$SAMOCODE_SESSION_DIR/workers/$worker/_hook.json") in
            *'"for":"qa_answers"'*) samocode answer $worker --accept-suggestions >>~/lead-says 2>&1 ;;
            *) samocode approve $worker >>~/lead-says 2>&1 ;;
            esac ;;
        esac
    done
    [ "$(state api)$(state page)" = donedone ] || sleeps "at work"
    samocode merge api page >>~/lead-says 2>&1
    git merge -q --ff-only samocode-merge/lead
}
[ "$SAMOCODE_SESSION" != lead ] || [ "$SAMOCODE_PHASE" != implementation ] || leads
case $SAMOCODE_SESSION in api|page) mkdir -p $SAMOCODE_SESSION; test -e shared.txt; cd $SAMOCODE_SESSION ;; esac
"#;

#[test]
fn a_coordinator_begins_answers_and_merges_two_workers_and_touches_no_other_session() {
    let Some(lab) = lab::get() else { return };
    let (user, bot) = (lab.user("coordinator"), Bot::start());
    user.gets_messages_from(&bot);
    let agent = user.obedient_agent(LEADS);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "2")
        .key("SAMOCODE_TEST_COMMAND", "test -e shared.txt")
        .create();
    let [lead, api, page, other] = ["lead", "api", "page", "other"].map(|name| project.named(name));
    other.enable(&["--task", "Something else"]);
    lead.enable(&["--task", "The shop", "--delegate", "gates"]);
    other.wait_to_rest("waiting", "requirements");
    lead.wait_to_rest("waiting", "requirements");
    let role = project.samocode(["role", "lead"]).ok().stdout;
    assert!(role.contains("coordinator") && role.contains("has a workers/ folder"), "{role}");
    lead.answer();
    lead.wait_to_rest("waiting", "planning");
    lead.approve();
    lead.wait_to_rest("done", "done");

    // The workers lie below it, started in order from what it had prepared, and were never asked of the human.
    let folder = project.session("lead").expect("a session");
    assert_eq!(project.session("api"), Some(folder.join("workers/api")));
    assert_eq!((api.stands().0, page.stands().0), ("done".to_owned(), "done".to_owned()));
    assert_eq!(api.journal("created")[0]["parent"], "lead");
    let within = ["merge-base", "--is-ancestor", "api", "page"];
    user.run(["git"].iter().chain(&within)).cwd(&project.dir).ok();
    let says = user.read("lead-says");
    assert_eq!(bot.count_of("api is waiting"), 0, "{:?}", bot.messages());
    let asked = user.asked("api", &api.journal("run_started")[0]);
    assert!(asked.contains("# Role: implementation worker"), "{asked}");
    let asked = user.asked("lead", &lead.journal("run_started")[0]);
    assert!(asked.contains("# Role: coordinator"), "{asked}");
    let by = &api.journal("mail").into_iter().find(|mail| mail["mail"] == "approve");
    let by = by.as_ref().map(|mail| mail["by"].to_string()).unwrap_or_default();
    assert!(by.contains("its human delegated the gates"), "{by}\n{says}");

    // Its branch has it all, tested; main has none of it.
    let show = "git show --stat lead:api/work.txt lead:page/work.txt lead:shared.txt; ! git show main:shared.txt";
    user.sh(show).cwd(&project.dir).ok();
    // It slept meanwhile, without a process: one run for each piece of news at most.
    let runs = user.read("lead-runs").lines().count();
    assert!((4..=8).contains(&runs), "{runs} runs\n{says}");

    // What it may not do was refused, and said why.
    let refused = user.read("refused");
    assert!(!refused.contains("ALLOWED"), "{refused}");
    for said in [
        "other is not below your session",
        "an agent in a run cannot answer other",
        "an agent cannot merge into main",
        "only a human delegates",
        "lead cannot answer itself",
    ] {
        assert!(refused.contains(said), "{said:?} is missing:\n{refused}");
    }
    assert_eq!(other.stands().0, "waiting");

    // What each takes on the disk is told apart, and build output goes.
    let tree = project.worktree("api").expect("a worktree");
    user.write(project.dir.join(".git/info/exclude"), ".samocode\ntarget\n");
    user.write(tree.join("target/big"), vec![b'x'; 1 << 20]);
    let disk = |name: &str| {
        let shown = project.samocode(["status", "--disk", "--json"]).ok().stdout;
        let all: Vec<serde_json::Value> = serde_json::from_str(&shown).expect("a list");
        all.into_iter().find(|taken| taken["session"] == name).expect("a session")
    };
    assert!(disk("api")["caches"].as_u64() >= Some(1 << 20), "{}", disk("api"));
    let files = |name| disk(name)["files"].as_u64().unwrap_or_default();
    let all = user.sh(&format!("du -sk {} | cut -f1", folder.display())).ok().stdout;
    let all = all.trim().parse::<u64>().expect("a size") << 10;
    assert!(files("lead") + files("api") + files("page") <= all, "counted twice");
    let cleared = project.samocode(["archive", "--caches"]).ok().stdout;
    assert!(cleared.contains("api: removed target, 1 MiB"), "{cleared}");
    assert!(!user.exists(tree.join("target")) && disk("api")["caches"] == 0);

    // Archived from the bottom up, and back.
    let early = project.samocode(["archive", "lead"]).output();
    assert!(early.code == 1 && early.stdout.contains("2 sessions are below it"), "{early}");
    project.samocode(["archive", "--done"]).ok();
    assert_eq!(project.session("lead"), None);
    project.samocode(["restore", "lead"]).ok();
    project.samocode(["restore", "api"]).ok();
    assert_eq!(project.session("api"), Some(folder.join("workers/api")));
    assert!(project.worktree("api").is_some_and(|tree| user.exists(tree.join("api/work.txt"))));
}

/// An agent whose every run costs a dollar.
fn spender(user: &LabUser, rest: &str) -> String {
    let spent =
        r#"echo '{"event":"finished","cost":{"total":1.0},"usage":{"input":400,"output":50}}'"#;
    user.shell_agent(&format!(
        "{rest}\nprintf '{{\"status\":\"continue\"}}' >$SAMOCODE_SESSION_DIR/_signal.json\n{spent}"
    ))
}

#[test]
fn what_workers_cost_counts_to_their_coordinator_and_nothing_new_runs_once_it_is_spent() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("purse");
    let blocks = "printf '{\"status\":\"blocked\",\"reason\":\"thinking\"}' >$SAMOCODE_SESSION_DIR/_signal.json";
    let agent =
        spender(&user, &format!("[ $SAMOCODE_SESSION != lead ] || {{ {blocks}; exit 0; }}"));
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "4")
        .create();
    let [lead, impl_1] = ["lead", "impl-1"].map(|name| project.named(name));
    lead.enable(&["--task", "Lead", "--coordinator", "--budget", "3"]);
    lead.wait_to_rest("blocked", "investigation");
    impl_1.enable(&["--task", "Work", "--parent", "lead"]);
    impl_1.wait_to_rest("blocked", "investigation");
    let reason = impl_1.reason();
    assert!(
        reason.starts_with(
            "the budget of lead, which coordinates this session, is spent ($3.00 of $3.00)"
        ),
        "{reason}"
    );
    assert!(reason.contains("samocode enable lead --budget 6"), "{reason}");
    assert_eq!(impl_1.journal("run_started").len(), 3);
    lead.send("Try again");
    user.wait_until("lead has noticed", BOUND, || lead.reason().contains("budget is spent"));

    let late = ["enable", "impl-2", "--task", "More", "--parent", "lead"];
    let refused = project.samocode(late).output();
    assert!(
        refused.code == 1 && refused.stderr.contains("cannot begin impl-2: the budget of lead"),
        "{refused}"
    );
    assert_eq!(project.session("impl-2"), None);
    project.samocode(["enable", "lead", "--budget", "5"]).ok();
    project.samocode(late).ok();
    let impl_2 = project.named("impl-2");
    impl_2.wait_to_rest("blocked", "investigation");
    assert_eq!(impl_2.journal("run_started").len(), 2, "{}", impl_2.reason());
}

#[test]
fn mail_to_a_role_reaches_those_who_have_it_near_the_sender_first() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("roles");
    let agent = user.shell_agent(
        "printf '{\"status\":\"blocked\",\"reason\":\"idle\"}' >$SAMOCODE_SESSION_DIR/_signal.json",
    );
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    for lead in ["one", "two"] {
        project.named(lead).enable(&["--task", "Lead", "--coordinator"]);
    }
    for (name, lead) in [("tester-1", "one"), ("tester-2", "two"), ("impl-1", "one")] {
        project.named(name).enable(&["--task", "t", "--parent", lead]);
        project.named(name).wait_to_rest("blocked", "investigation");
    }
    let send = |args: &[&str]| project.samocode([&["send"], args].concat());
    let got = |name: &str| project.named(name).journal("mail").len();
    send(&["--to", "role:tester", "Both, please"]).ok();
    user.wait_until("both were told", BOUND, || got("tester-1") == 1 && got("tester-2") == 1);
    let folder = project.session("impl-1").expect("a session");
    let as_worker = send(&["--to", "role:tester", "The page is ready"])
        .env("SAMOCODE_SESSION", "impl-1")
        .env("SAMOCODE_SESSION_DIR", folder.display().to_string());
    as_worker.ok();
    user.wait_until("its own tester was told", BOUND, || got("tester-1") == 2);
    assert_eq!(got("tester-2"), 1);
    let unknown = send(&["--to", "role:testr", "?"]).output();
    assert!(
        unknown.code == 2 && unknown.stderr.contains("did you mean 'role:tester'?"),
        "{unknown}"
    );
    let role = project.samocode(["role", "--json", "tester-1"]).ok().stdout;
    assert!(role.contains("\"place\":\"one/workers/tester-1\""), "{role}");
}

#[test]
fn a_session_starts_after_others_from_their_branches_and_what_cannot_be_is_refused() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("after");
    let apart = "mkdir -p $SAMOCODE_SESSION; cd $SAMOCODE_SESSION";
    let agent = user.obedient_agent(apart);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "9")
        .create();
    let enable = |args: &[&str]| project.samocode([&["enable"], args].concat()).output();
    let [schema, model, server] = ["schema", "model", "server"].map(|name| project.named(name));
    for session in [&schema, &model] {
        session.enable(&["--task", "t"]);
    }
    for (args, code, said) in [
        (&["x", "--task", "t", "--after", "shcema"][..], 2, "did you mean 'schema'?"),
        (&["x", "--task", "t", "--after", "x"], 2, "there is no session 'x'"),
        (&["x", "--after", "schema"], 2, "is new and needs a task"),
        (&["x", "--task", "t", "--after", "schema,schema"], 2, "schema is named twice"),
        (&["schema", "--after", "model"], 2, "'schema' has begun"),
    ] {
        let refused = enable(args);
        assert!(refused.code == code && refused.stderr.contains(said), "{refused}");
    }
    assert_eq!(project.session("x"), None, "nothing is half-done");

    let begun = enable(&["server", "--task", "t", "--after", "schema,model"]);
    assert_eq!(begun.code, 0, "{begun}");
    assert_eq!(enable(&["server", "--task", "t", "--after", "schema,model"]).code, 0, "again");
    assert_eq!(enable(&["client", "--task", "t", "--convoy", "server"]).code, 0);
    assert_eq!(enable(&["other", "--task", "t", "--convoy", "login"]).code, 0);
    let two = enable(&["y", "--task", "t", "--after", "other", "--convoy", "server"]);
    assert!(
        two.code == 1 && two.stderr.contains("these are in two: 'login' and 'server'"),
        "{two}"
    );
    let round = enable(&["client", "--after", "client"]);
    assert!(round.code == 2 && round.stderr.contains("cannot start after itself"), "{round}");

    project.named("client").wait_to_rest("waiting", "requirements");
    assert!(server.journal("run_started").is_empty());
    let why = project.samocode(["why", "server"]).ok().stdout;
    assert!(why.contains("starts after schema") && why.contains("model"), "{why}");
    schema.through_the_gates();
    model.through_the_gates();
    server.wait_to_rest("waiting", "requirements");
    for before in ["schema", "model"] {
        let within = ["merge-base", "--is-ancestor", before, "server"];
        user.run(["git"].iter().chain(&within)).cwd(&project.dir).ok();
    }
    let shown = project.samocode(["convoy", "status", "server"]).ok().stdout;
    assert!(shown.contains("2 of 4 sessions done"), "{shown}");
}
