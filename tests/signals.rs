//! Runs that leave no usable signal.

use crate::lab::{self, Api, Script};
use crate::session::OBEDIENT;

/// What agents leave instead of a signal, as shell, and the reason given for the block.
const DAMAGED: [(&str, &str, &str); 11] = [
    ("missing", ":", "_signal.json is missing"),
    ("torn", r#"printf '{"status":"cont' >$signal"#, "truncated"),
    ("empty", ": >$signal", "empty"),
    ("stale", r#"echo '{"status":"continue","run":"another"}' >$signal"#, "for run another"),
    ("oversized", r"head -c 1100000 /dev/zero | tr '\0' 'x' >$signal", "1100000 bytes"),
    ("list", "echo '[1]' >$signal", "holds a list"),
    ("prose", "echo 'All done!' >$signal", "not JSON"),
    ("wrongtype", r#"echo '{"status":["continue"]}' >$signal"#, "'status' is a list"),
    ("nostatus", r#"echo '{"phase":"planning"}' >$signal"#, "has no status"),
    ("nophase", r#"echo '{"status":"continue","phase":"shipping"}' >$signal"#, "'shipping'"),
    ("folder", "mkdir $signal", "cannot be read"),
];

#[test]
fn every_kind_of_damage_fails_the_run_and_finally_blocks() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("damage");
    let mut agent = String::from(
        "#!/bin/sh\nsignal=$SAMOCODE_SESSION_DIR/_signal.json\ncase $SAMOCODE_SESSION in\n",
    );
    for (name, shell, _) in DAMAGED {
        agent.push_str(&format!("{name}) {shell};;\n"));
    }
    user.write_program("agent", agent + "esac\n");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &user.command("agent"))
        .key("SAMOCODE_MAX_RETRIES", "2")
        .key("SAMOCODE_RETRY_DELAY", "0")
        .create();
    for (name, _, message) in DAMAGED {
        let session = project.named(name);
        let out = project.samocode(["run", name, "--task", "t"]).output();
        assert_eq!(out.code, 11, "{name}: {out}");
        let reason = session.hook()["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.contains(message), "{name}: {reason}");
        assert!(reason.contains("2 runs in a row failed"), "{name}: {reason}");
        assert_eq!(session.journal("run_started").len(), 2, "{name}");
        assert_eq!(session.history(), [], "{name}: what was no signal is not in the history");
        assert_eq!(project.status(name, "Blocked").as_deref(), Some("yes"), "{name}");
    }
}

#[test]
fn a_signal_that_the_phase_does_not_allow_blocks_and_names_those_it_allows() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("table");
    user.write_program(
        "agent",
        r#"#!/bin/sh
case $SAMOCODE_SESSION in
leap) said='"status":"continue","phase":"done"';;
wait) said='"status":"waiting"';;
done) said='"status":"done"';;
esac
echo "{$said}" >$SAMOCODE_SESSION_DIR/_signal.json
"#,
    );
    let project = user.project("shop").key("SAMOCODE_AGENT", &user.command("agent")).create();
    for name in ["leap", "wait", "done"] {
        let out = project.samocode(["run", name, "--task", "t"]).output();
        assert_eq!(out.code, 11, "{name}: {out}");
        let session = project.named(name);
        let reason = session.hook()["reason"].as_str().unwrap_or_default().to_owned();
        let allowed = "in investigation, which is not allowed; allowed: continue, blocked, handoff; next phase: requirements";
        assert!(reason.contains(allowed), "{name}: {reason}");
        assert_eq!(session.history().len(), 1, "{name}");
    }
}

#[test]
fn control_characters_of_an_agent_do_not_hide_its_words_in_journald() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("colours");
    user.write_program(
        "agent",
        r#"#!/bin/sh
printf %s '{"status":"blocked","reason":"\u001b[31mno key\u001b[0m\r in \u0007 sight"}' >$SAMOCODE_SESSION_DIR/_signal.json
"#,
    );
    let project = user.project("shop").key("SAMOCODE_AGENT", &user.command("agent")).create();
    let session = project.named("jwt");
    session.enable(&["--task", "t"]);
    session.wait_to_rest("blocked", "investigation");
    lab.root(["journalctl", "--sync"]).ok();
    let message = user.journalctl(["-u", "samocode@jwt"]).ok().stdout;
    assert!(message.contains("no key") && !message.contains("blob data"), "{message}");
}

#[test]
fn a_failing_agent_is_retried_as_often_as_configured() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("fails");
    // It fails twice, then does its work.
    let first = "n=$(ls ~/asked | wc -l); [ $n -ge 3 ] || { echo \"no luck $n\" >&2; exit 3; }";
    let agent = user.obedient_agent(first);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_RETRY_DELAY", "0")
        .create();
    let out = project.samocode(["run", "jwt", "--task", "t"]).output();
    assert_eq!(out.code, 10, "{out}");
    let session = project.named("jwt");
    let runs = session.journal("run_started");
    let of_first: Vec<_> = runs.iter().filter(|run| run["total"] == 1).collect();
    assert_eq!(of_first.len(), 3);
    let message = session.journal("run_ended")[1]["detail"].to_string();
    assert!(message.contains("no luck 2"), "{message}");
    assert_eq!(session.history()[0], (1, "investigation".into(), "continue".into()));
    // The logs of all three are kept.
    let logs = project.session("jwt").unwrap().join("_logs");
    let stderr = user.sh("ls -tr *-001-investigation*.stderr | xargs cat").cwd(&logs).ok().stdout;
    assert_eq!(stderr, "no luck 1\nno luck 2\n");
}

#[test]
fn the_real_cli_is_asked_once_for_its_signal_in_the_same_conversation() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user_without_manager("forgets");
    let api = Api::start(
        Script::new()
            .say("I have looked around and forgot the rest.")
            .bash(OBEDIENT)
            .say("Sorry, here it is.")
            .bash(OBEDIENT)
            .say("Two questions are asked."),
    );
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let out = project.samocode(["run", "jwt", "--task", "Paint the fence"]).output();
    assert_eq!(out.code, 10, "{out}");
    let session = project.named("jwt");
    let runs = session.journal("run_started");
    assert_eq!(runs.len(), 3);
    assert_eq!(runs[0]["conversation"], runs[1]["conversation"]);
    assert_eq!((&runs[1]["resume"], &runs[2]["resume"]), (&true.into(), &false.into()));
    assert_eq!(session.journal("signal_asked")[0]["problem"], "_signal.json is missing");
    assert!(session.journal("run_ended").iter().all(|end| end["failure"] == false));
    let asked = &api.requests()[1];
    assert!(asked.says("Paint the fence"));
    assert!(asked.last_prompt().contains("Do no more work. Write"), "{}", asked.last_prompt());
    let cost = session.hook()["cost_usd"].as_f64().expect("a cost");
    let runs = session.journal("run_ended");
    let sum: f64 = runs.iter().map(|end| end["cost"]["usd"].as_f64().expect("a cost")).sum();
    // The second run's conversation began with the first's cost.
    let (first, second) = (&runs[0]["cost"], &runs[1]["cost"]);
    let total = second["conversation_usd"].as_f64().expect("a total");
    let both = first["usd"].as_f64().unwrap() + second["usd"].as_f64().unwrap();
    assert!((cost - sum).abs() < 1e-9 && (total - both).abs() < 1e-9, "{runs:?}");
}

#[test]
fn the_real_cli_that_never_signals_blocks_the_session() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user_without_manager("mute");
    let api = Api::start(Script::new().say("I am fine.").forever());
    user.uses_claude(&api);
    let project = user
        .project("shop")
        .key("SAMOCODE_MAX_RETRIES", "2")
        .key("SAMOCODE_RETRY_DELAY", "0")
        .create();
    let out = project.samocode(["run", "jwt", "--task", "t"]).output();
    assert_eq!(out.code, 11, "{out}");
    let session = project.named("jwt");
    // It is asked once; after that each end without a signal counts as a failure.
    let counted: Vec<_> =
        session.journal("run_ended").iter().map(|end| end["failure"] == true).collect();
    assert_eq!(counted, [false, true, true]);
    assert_eq!(session.journal("signal_asked").len(), 1);
    let reason = session.hook()["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("_signal.json is missing"), "{reason}");
    assert!(out.stdout.contains(&reason), "it says so: {out}");
}

#[test]
fn a_process_that_a_run_leaves_behind_is_ended_and_counted() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("strays");
    let agent =
        user.obedient_agent("setsid sleep 4242 >/dev/null 2>&1 </dev/null & setsid sleep 4242 &");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    session.enable(&["--task", "t"]);
    session.wait_to_rest("waiting", "requirements");
    let ended = session.journal("run_ended");
    assert_eq!(ended[0]["cost"]["leftovers"], 2, "{ended:?}");
    assert_eq!(user.run(["pgrep", "-u", &user.name, "-f", "sleep 4242"]).output().stdout, "");
    assert!(ended[0]["cost"]["cpu_ms"].as_u64().is_some(), "{ended:?}");
}
