//! A feature that six sessions work on, from one file to one tested branch, with all that goes wrong
//! on the way: killed processes, a power cut, a conflict and a red test.

use crate::lab::{self, Api, Bot, LabUser, Project, Reply, Script};
use crate::power::lingering_user;
use crate::session::{BOUND, Session};

/// Two by the real CLI, one by the built-in agent. The others work in folders of their own, except
/// for `clash`, which writes the same file as `schema`.
pub(crate) const FEATURE: &str = r#"
id = "login"
merge = true
into = "develop"

[[session]]
name = "schema"
task = "Add the users table"
agent = "claude"

[[session]]
name = "server"
task = "Add the login"
agent = "claude"
after = ["schema"]

[[session]]
name = "page"
task = "Add the page"
after = ["schema"]

[[session]]
name = "greeting"
task = "Greet them"
agent = "rehearsal"
after = ["server", "page"]

[[session]]
name = "clash"
task = "Rename the table"

[[session]]
name = "red"
task = "Break the tests"
"#;
pub(crate) const NAMES: [&str; 6] = ["schema", "server", "page", "greeting", "clash", "red"];

/// The real CLI's work: the first run of each of its two sessions hangs in a tool until it is killed.
fn api() -> Api {
    let mut obedient = Script::obedient().into_answer();
    let mut hangs = vec!["Add the users table", "Add the login"];
    Api::start_with(move |request| match hangs.iter().position(|task| request.says(task)) {
        Some(at) => {
            hangs.remove(at);
            Reply::bash("touch $SAMOCODE_SESSION_DIR/hangs; sleep 600")
        }
        None => obedient(request),
    })
}

fn writes_env_file(user: &LabUser, api: &Api, bot: &Bot) {
    user.gets_messages_from(bot);
    let telegram = user.read(".config/samocode/env");
    user.uses_claude(api);
    user.write_env_file(telegram + &user.read(".config/samocode/env"));
}

/// Opens the gates of these sessions, as a human who looks often would, until it is so.
#[track_caller]
fn open_gates_until(project: &Project<'_>, names: &[&str], what: &str, is_so: impl Fn() -> bool) {
    project.user.wait_until(what, BOUND * 2, || {
        for name in names {
            let (state, phase) = project.named(name).stands();
            let verb: &[&str] = match (state.as_str(), phase.as_str()) {
                ("waiting", "requirements") => &["answer", name, "--accept-suggestions"],
                ("waiting", "planning") => &["approve", name],
                _ => continue,
            };
            // It may have resumed by now.
            project.samocode(verb).output();
        }
        is_so()
    });
}

fn is_done(session: &Session<'_>) -> bool {
    session.stands() == ("done".to_owned(), "done".to_owned())
}

#[test]
fn six_sessions_reach_one_tested_branch_whatever_is_killed_on_the_way() {
    let Some(mut machine) = lab::machine() else { return };
    let user = lingering_user(&machine, "feature");
    let (api, bot) = (api(), Bot::start());
    writes_env_file(&user, &api, &bot);
    let apart = "case $SAMOCODE_SESSION in clash) ;; *) mkdir -p $SAMOCODE_SESSION; cd $SAMOCODE_SESSION ;; esac";
    let agent = user.obedient_agent(apart);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "3")
        .key("SAMOCODE_TEST_COMMAND", "if [ -e red/work.txt ]; then echo 1 test failed; exit 1; fi")
        .repo(|repo| repo.then("git branch develop"))
        .confined()
        .create();
    user.write(project.dir.join("login.toml"), FEATURE);
    let created = project.samocode(["convoy", "create", "--file", "login.toml"]).ok();
    assert!(created.stdout.contains("Next: server, page"), "{created}");
    let [schema, server, page, greeting, clash, red] = NAMES.map(|name| project.named(name));
    let shown = || project.samocode(["convoy", "status", "login"]).ok().stdout;
    let has_hung =
        |name| project.session(name).is_some_and(|folder| user.exists(folder.join("hangs")));
    let why = |name| project.samocode(["why", name]).ok().stdout;

    // A worker is killed in a run: the next one resumes the conversation.
    user.wait_until("the tool hangs", BOUND, || has_hung("schema"));
    assert!(shown().contains("waits for schema"), "{}", shown());
    let said = why("greeting");
    assert!(said.contains("starts after server") && said.contains("page"), "{said}");
    user.run(["kill", "-KILL", &schema.worker()]).ok();
    schema.wait_to_rest("waiting", "requirements");
    schema.answer();
    schema.wait_to_rest("waiting", "planning");

    // So is whoever starts the next ones.
    let drop_in = ".config/systemd/user/samocode-wake.service.d/crash.conf";
    let log = user.home.join("crash").display().to_string();
    let crash = format!("SAMOCODE_CRASH_AT=5 SAMOCODE_CRASH_LOG={log}");
    user.write(drop_in, format!("[Service]\nEnvironment={crash}\n"));
    user.systemctl(["daemon-reload"]).ok();
    schema.approve();
    user.wait_until("it has died", BOUND, || {
        user.exists("crash") && {
            let points = user.read("crash");
            let pids = points.lines().filter_map(|line| line.split(' ').next());
            let mut counts = std::collections::HashMap::new();
            pids.for_each(|pid| *counts.entry(pid).or_insert(0) += 1);
            counts.values().any(|count| *count == 5)
        }
    });
    user.sh(&format!("rm {drop_in}")).ok();
    user.systemctl(["daemon-reload"]).ok();

    // The machine loses its power while others are at work.
    user.wait_until("the next tool hangs", BOUND, || has_hung("server"));
    machine.cut_power();
    let merged = "convoy login is merged: develop has 4 sessions; tested with: ";
    open_gates_until(&project, &NAMES, "it is merged", || bot.count_of(merged) > 0);

    for session in [&schema, &server, &page, &greeting, &clash, &red] {
        assert!(is_done(session), "{}: {:?}", session.name, session.stands());
        let phases = session.history();
        assert_eq!(phases.len(), session.journal("signal_taken").len(), "{phases:?}");
    }
    for session in [&schema, &server] {
        assert_eq!(session.journal("run_lost").len(), 1, "{}", session.name);
        let runs = session.conversations();
        assert!(runs[1].1 && runs[0].0 == runs[1].0, "resumed: {runs:?}");
    }
    let boots: std::collections::HashSet<String> =
        server.journal("worker_started").iter().map(|line| line["boot"].to_string()).collect();
    assert_eq!(boots.len(), 2);
    assert!(why("server").contains("the machine restarted"), "{}", why("server"));

    // The conflict and the red test are left out and named; the others are in, in order.
    let shown = shown();
    for said in [
        "6 of 6 sessions done",
        "develop has 4 sessions",
        "clash was left out: ",
        "work.txt",
        "red was left out: ",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    assert_eq!(bot.count_of("convoy login is complete: 6 sessions"), 1, "{:?}", bot.messages());
    assert_eq!(bot.count_of(merged), 1, "{:?}", bot.messages());
    let tree = "git show develop:work.txt; git ls-tree -r --name-only develop
        git merge-base --is-ancestor main develop
        for branch in schema server page greeting; do git merge-base --is-ancestor $branch develop; done
        for branch in clash red; do if git merge-base --is-ancestor $branch develop; then exit 1; fi; done
        git fsck --no-progress; git status --porcelain";
    let tree = user.sh(&format!("set -e\n{tree}")).cwd(&project.dir).ok().stdout;
    assert!(tree.starts_with("Work of server\n") && tree.contains("page/work.txt"), "{tree}");
    assert!(!tree.contains("red/work.txt") && tree.contains("greet.sh"), "{tree}");
    user.wait_until("the target has ended", BOUND, || {
        user.unit_property("samocode-convoy@login.target", "ActiveState") == "inactive"
    });
}
