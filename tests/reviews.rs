//! Reviewers in the quality phase: other programs read the change, and their verdict counts.

use crate::lab::api::Request;
use crate::lab::{self, Api, Bot, Script};
use crate::session::BOUND;

/// A line of shell with which a reviewer gives its verdict.
fn verdict(word: &str, finding: &str) -> String {
    format!(
        r#"printf '{{"run":"%s","verdict":"{word}","summary":"I {word}.","findings":["{finding}"]}}' "$SAMOCODE_RUN" >"$SAMOCODE_SESSION_DIR/_signal.json""#
    )
}

/// What only the prompt of a reviewer says.
const REVIEW: &str = "Review the change now";

fn is_review_by(path: &'static str) -> impl Fn(&Request) -> bool + Send + 'static {
    move |request| request.path == path && request.says(REVIEW)
}

#[test]
fn claude_and_codex_review_what_claude_wrote_and_a_kill_between_them_repeats_nothing() {
    let Some(lab) = lab::with_claude() else { return };
    let Some(_) = lab::with_cli("codex") else { return };
    let user = lab.user("reviewed");
    let fix = r#"echo fixed >>work.txt; git commit -qam 'Fix the race'
        printf '{"status":"continue","phase":"done","summary":"The race is fixed."}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;
    let api = Api::start(
        Script::new()
            .when(is_review_by("/v1/responses"))
            .bash("touch ~/held; sleep 3600")
            .bash(&verdict("changes", "a race in work.txt"))
            .say("It has a race.")
            .bash(&verdict("approve", "nothing"))
            .say("It is fine now.")
            .when(is_review_by("/v1/messages"))
            .bash(&verdict("approve", "nothing"))
            .say("It is fine.")
            .forever()
            .when(|request| request.says("keeps the session in this phase"))
            .bash(fix)
            .say("It is fixed.")
            .otherwise()
            .bash(crate::session::OBEDIENT)
            .say("The phase is finished.")
            .forever(),
    );
    user.uses_codex(&api, "codex-key");
    let codex = user.read(".config/samocode/env");
    user.uses_claude(&api);
    user.write_env_file(user.read(".config/samocode/env") + &codex);
    let project = user
        .project("shop")
        .key("SAMOCODE_REVIEWERS", "claude, codex")
        .key("CODEX_MODEL", "gpt-5")
        .create();
    let session = project.named("jwt");

    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");
    session.answer();
    session.wait_to_rest("waiting", "planning");
    session.approve();
    user.wait_until("codex reviews", BOUND, || user.exists("held"));
    let shown = project.samocode(["status", "jwt"]).ok().stdout;
    assert!(shown.contains("codex reviews "), "{shown}");
    user.run(["kill", "-KILL", &session.worker()]).ok();
    session.wait_to_rest("done", "done");

    let verdicts: Vec<_> = session
        .journal("reviewed")
        .iter()
        .map(|line| {
            let on = &line["on"];
            let approves = line["verdict"]["approves"].as_bool().unwrap();
            (on["reviewer"].as_str().unwrap().to_owned(), on["round"].as_u64().unwrap(), approves)
        })
        .collect();
    let expected =
        [("claude", 1, true), ("codex", 1, false), ("claude", 2, true), ("codex", 2, true)];
    assert_eq!(verdicts, expected.map(|(name, round, is)| (name.to_owned(), round, is)));
    let of = |reviewer: &str| {
        let runs = session.journal("run_started");
        runs.iter().filter(|run| run["review"]["reviewer"] == reviewer).count()
    };
    assert_eq!((of("claude"), of("codex")), (2, 3), "one of codex's runs was killed");
    assert_eq!(session.journal("run_lost").len(), 1);
    let commits = user.run(["git", "log", "--format=%s", "main..jwt"]).cwd(&project.dir);
    assert_eq!(commits.ok().stdout, "Fix the race\nDo the work\n");
    let asked = api.requests();
    assert!(asked.iter().any(|request| request.says("1. a race in work.txt")));
    assert!(asked.iter().any(|request| request.says("The race is fixed.") && request.says(REVIEW)));
    let cost = project.samocode(["cost", "jwt"]).ok().stdout;
    assert!(cost.contains("of it claude") && cost.contains("of it codex"), "{cost}");
    let history = project.samocode(["history", "jwt"]).ok().stdout;
    for line in ["codex asks for changes in ", "claude approves ", "continue → review"] {
        assert!(history.contains(line), "{line}: {history}");
    }
    let left = "pgrep -u $USER -x -a 'codex|sleep|samocode'";
    user.wait_until("no process is left", BOUND, || user.sh(left).output().stdout.is_empty());
}

#[test]
fn a_dispute_is_decided_by_the_human_and_never_by_the_author() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("disputed");
    let asked = "~/asked/$SAMOCODE_SESSION.$SAMOCODE_RUN";
    let objects = verdict("changes", "a race in work.txt");
    let agent =
        user.obedient_agent(&format!("if grep -q '{REVIEW}' {asked}; then {objects}; exit; fi"));
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_REVIEWERS", &agent)
        .key("SAMOCODE_REVIEW_ROUNDS", "2")
        .create();
    let session = project.named("jwt");

    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");
    session.answer();
    session.wait_to_rest("waiting", "planning");
    session.approve();
    session.wait_to_rest("blocked", "quality");

    let why = project.samocode(["why", "jwt"]).ok().stdout;
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["no agreement after 2 rounds", "a race in work.txt", "The author says: Reviewed"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(session.journal("reviewed").len(), 2);
    session.send("Leave the race in, it is a feature.");
    session.wait_to_rest("done", "done");
    let runs = session.journal("run_started");
    let quality: Vec<_> = runs.iter().filter(|run| run["phase"] == "quality").collect();
    assert_eq!(quality.len(), 5, "two rounds, and the human's word");
    let last = user.asked("jwt", quality[4]);
    assert!(last.contains("A human has decided") && last.contains("it is a feature"), "{last}");
    assert_eq!(session.journal("reviewed").len(), 2);
}

#[test]
fn reviewers_that_cannot_review_are_named_and_the_verdict_of_the_one_that_can_counts() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("unable");
    let bot = Bot::start();
    user.gets_messages_from(&bot);
    let ends = |event: &str| {
        format!(
            "#!/bin/bash\ncat >/dev/null\n{event}\necho '{{\"event\":\"finished\",\"is_error\":true,\"error_kind\":\"'$KIND'\",\"text\":\"they say no\"}}'\n"
        )
    };
    user.write_program("broken", "#!/bin/bash\necho it broke >&2; exit 3\n");
    user.write_program(
        "limited",
        ends(r#"KIND=usage_limit_reached; echo '{"event":"limit","reached":true,"resets_at":"2099-01-01T00:00:00Z"}'"#),
    );
    user.write_program("refused", ends("KIND=authentication_failed"));
    let asked = "~/asked/$SAMOCODE_SESSION.$SAMOCODE_RUN";
    let approves = verdict("approve", "nothing");
    let agent =
        user.obedient_agent(&format!("if grep -q '{REVIEW}' {asked}; then {approves}; exit; fi"));
    let named = |name: &str| format!("command:{}", user.home.join(name).display());
    let unable = ["broken", "limited", "refused"].map(named);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_REVIEWERS", &format!("{}, {agent}", unable.join(", ")))
        .key("SAMOCODE_MAX_RETRIES", "1")
        .create();
    let session = project.named("jwt");

    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");
    session.answer();
    session.wait_to_rest("waiting", "planning");
    session.approve();
    session.wait_to_rest("done", "done");

    let missed = session.journal("review_missed");
    let found: Vec<_> = missed
        .iter()
        .map(|line| (line["on"]["reviewer"].as_str().unwrap(), line["why"].as_str().unwrap()))
        .collect();
    assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), unable);
    for ((_, why), part) in found.iter().zip(["it broke", "they say no", "log in again, or fix"]) {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(session.journal("reviewed").len(), 1);
    assert!(session.journal("blocked").is_empty() && session.journal("limited").is_empty());
    user.wait_until("the human is told of each", BOUND, || bot.count_of("could not review") == 3);
    let status = project.samocode(["status", "jwt"]).ok().stdout;
    for reviewer in &unable {
        assert!(status.contains(&format!("{reviewer} could not review ")), "{status}");
    }
    let runs = session.journal("run_started");
    let author = runs.iter().find(|run| run["phase"] == "quality" && run["review"].is_null());
    let author = user.asked("jwt", author.expect("a run of the author"));
    assert!(author.contains("could not review") && author.contains("All reviewers approve"));
}
