//! The main job: eight phases and both gates, on a real systemd, by the real
//! CLI and by the rehearsal.

use serde_json::Value;

use crate::lab::{self, Api, Script, secs};
use crate::session::{BOUND, Session, straight_through};

/// The cost in US dollars according to the agent's own streams.
fn reported_cost(session: &Session<'_>) -> f64 {
    let logs = session.project.session(session.name).expect("a session").join("_logs");
    let entries = std::fs::read_dir(session.user().host_path(logs)).expect("logs");
    let streams = entries.flatten().map(|entry| entry.path());
    streams
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a log");
            let mut events =
                text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            let last = events.rfind(|event| event["type"] == "result").expect("a result");
            last["total_cost_usd"].as_f64().expect("a cost")
        })
        .sum()
}

#[test]
fn the_real_cli_goes_through_eight_phases_and_both_gates() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("phases");
    let api = Api::start(Script::obedient());
    user.uses_claude(&api);
    // The commit of the implementation waits, so that the unit can be looked at.
    let hold =
        "cd \"$SAMOCODE_SESSION_DIR\"; touch committing; until [ -e go ]; do sleep 0.05; done";
    let repo = user.project("shop").repo(|repo| repo.with_hook("pre-commit", hold));
    let project = repo.confined().create();
    let session = project.named("jwt");
    let unit = session.unit();

    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");
    assert_eq!(session.worker(), "0");
    let left = user.sh("ps -u $USER -o args= | grep -E 'samocode worker|claude'").output();
    assert_eq!(left.stdout.lines().filter(|line| !line.contains("grep")).count(), 0, "{left}");
    assert_eq!(session.hook()["for"], "qa_answers");
    assert_eq!(session.hook()["questions"], 2);
    assert_eq!(project.status("jwt", "Blocked").as_deref(), Some("waiting_human"));

    session.answer();
    session.wait_to_rest("waiting", "planning");
    assert_eq!(session.hook()["for"], "plan_approval");

    session.approve();
    let folder = project.session("jwt").expect("a session");
    user.wait_until("the implementation commits", BOUND, || user.exists(folder.join("committing")));
    let status = user.wait_for("the status line", secs(30), || {
        let text = user.unit_property(&unit, "StatusText");
        text.starts_with("implementation 1 · ").then_some(text)
    });
    let (_, cost) = status.rsplit_once(" · $").expect("a cost");
    assert!(cost.parse::<f64>().is_ok_and(|cost| cost > 0.0), "{status}");
    let shown = user.systemctl(["status", &unit]).ok().stdout;
    assert!(shown.contains(&format!("Status: \"{status}\"")), "{shown}");

    user.write(folder.join("go"), "");
    session.wait_to_rest("done", "done");

    assert_eq!(session.history(), straight_through());
    assert_eq!(session.hook()["total_iterations"], 9);
    for (key, value) in
        [("Phase", "done"), ("Iteration", "1"), ("Total Iterations", "9"), ("Blocked", "no")]
    {
        assert_eq!(project.status("jwt", key).as_deref(), Some(value), "{key}");
    }
    let overview = project.overview("jwt").expect("an overview");
    for line in ["## Task\nJWT login\n", "] requirements -> planning\n", "] Session done\n"] {
        assert!(overview.contains(line), "{line:?} is not in\n{overview}");
    }
    let commits = user.run(["git", "log", "--format=%s", "main..jwt"]).cwd(&project.dir).ok();
    assert_eq!(commits.stdout, "Do the work\n");

    let cost = session.hook()["cost_usd"].as_f64().expect("a cost");
    assert!(cost > 0.0 && (cost - reported_cost(&session)).abs() < 1e-6, "{cost}");

    user.wait_until("the unit is disabled", BOUND, || {
        user.systemctl(["is-enabled", &unit]).output().stdout.trim() == "disabled"
    });
    let runs = session.journal("run_started");
    assert_eq!(runs.len(), 9);
    assert!(runs.iter().all(|run| run["resume"] == false), "{runs:?}");

    lab.root(["journalctl", "--sync"]).ok();
    let lines = user.journalctl(["SAMOCODE_PHASE=testing", "-o", "json"]).ok().stdout;
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert!(lines.len() >= 3, "{lines:?}");
    for line in &lines {
        assert_eq!(line["SYSLOG_IDENTIFIER"], "samocode", "{line}");
        assert_eq!(line["SAMOCODE_SESSION"], "jwt", "{line}");
        assert_eq!(line["_SYSTEMD_USER_UNIT"], unit.as_str(), "{line}");
        assert_eq!(line["MESSAGE_ID"].as_str().map(str::len), Some(32), "{line}");
    }
    let taken = lines.iter().filter(|line| line["SAMOCODE_EVENT"] == "signal_taken").count();
    assert!(taken >= 1, "{lines:?}");
}

#[test]
fn the_rehearsal_works_in_a_folder_without_git() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("plain");
    let project = user.project("notes").key("SAMOCODE_AGENT", "rehearsal").without_git().create();
    let session = project.named("letter");

    session.enable(&["--task", "Write a letter"]);
    session.through_the_gates();

    assert_eq!(project.status("letter", "Phase").as_deref(), Some("done"));
    assert_eq!(session.hook()["branch"], Value::Null);
    let dir = session.hook()["worktree"].as_str().expect("a folder").to_owned();
    assert_eq!(user.sh("sh rehearsal/test.sh").cwd(&dir).output().code, 0);
    assert!(!user.exists(format!("{}/.git", project.dir.display())));
}

#[test]
fn a_branch_starts_at_the_remotes_newest_commit() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("remote");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", "rehearsal")
        .key("GIT_BRANCH_PREFIX", "dev")
        .repo(|repo| repo.with_origin())
        .create();
    // Somebody else has pushed since.
    user.sh("git clone -q ~/shop.git other && cd other && echo x >theirs && git add theirs &&
         git -c user.name=Eve -c user.email=eve@lab commit -qm 'Theirs' && git push -q")
        .ok();
    let session = project.named("search");

    session.enable(&["--task", "Full text search"]);
    session.through_the_gates();

    let log = user.run(["git", "log", "--format=%s", "dev/search"]).cwd(&project.dir).ok().stdout;
    let subjects: Vec<&str> = log.lines().collect();
    assert!(subjects.ends_with(&["Theirs", "Begin"]), "{log}");
    assert_eq!(subjects.len(), 5, "{log}");
}

#[test]
fn the_foreground_stops_at_each_gate_with_its_exit_code() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("front");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let session = project.named("jwt");
    let run = |args: &[&str]| project.samocode(["run", "jwt"].iter().chain(args)).output();

    let first = run(&["--task", "JWT login"]);
    assert_eq!(first.code, 10, "{first}");
    assert_eq!(session.stands(), ("waiting".into(), "requirements".into()));
    let again = run(&[]);
    assert_eq!(again.code, 10, "{again}");
    session.answer_file();
    let second = run(&[]);
    assert_eq!(second.code, 10, "{second}");
    assert_eq!(session.stands(), ("waiting".into(), "planning".into()));
    session.put_message("approve", "");
    let third = run(&["--json"]);
    assert_eq!(third.code, 0, "{third}");
    assert_eq!(third.json()["state"], "done");
    assert_eq!(third.json()["total_iterations"], session.hook()["total_iterations"]);
}
