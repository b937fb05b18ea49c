//! Budgets: tokens per run and per session, money per session and per day.

use jiff::{Timestamp, ToSpan as _};

use crate::clock::{set, time, user_with_a_clock};
use crate::lab::{self, Api, Bot, LabUser, Project, Reply, Script, secs};
use crate::session::{BOUND, OBEDIENT};

/// The cost and usage that each run of [`spender`] reports: one dollar, 450 tokens.
const SPENT: &str =
    r#"{"event":"finished","cost":{"total":1.0},"usage":{"input":400,"output":50}}"#;

/// An obedient agent whose runs cost something.
fn spender(user: &LabUser) -> String {
    user.obedient_agent(&format!("echo '{SPENT}'"))
}

/// Seconds from now to the next noon: far from midnight, when a daily budget is renewed.
fn to_noon() -> i64 {
    let day = 24 * 3600;
    (day / 2 - Timestamp::now().as_second()).rem_euclid(day)
}

#[test]
fn a_budget_warns_at_four_fifths_and_blocks_when_it_is_spent() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("budget");
    let api = Api::start(Script::obedient());
    user.uses_claude(&api);
    // The client decides what one iteration costs.
    let probe = user.project("probe").create();
    let free = probe.named("free");
    free.enable(&["--task", "Paint the fence"]);
    free.wait_to_rest("waiting", "requirements");
    let iteration = free.hook()["cost_usd"].as_f64().expect("a cost") / 2.0;
    assert!(iteration > 0.0);
    assert_eq!(free.journal("budget_warned").len(), 0);

    let budget = format!("{:.9}", iteration * 2.2);
    let project = user.project("shop").key("SAMOCODE_BUDGET_USD", &budget).create();
    let session = project.named("jwt");
    session.enable(&["--task", "Paint the fence"]);
    session.wait_to_rest("waiting", "requirements");
    let warned = session.journal("budget_warned");
    assert_eq!(warned.len(), 1, "{warned:?}");
    let second = &session.journal("run_ended")[1];
    assert!(time(&warned[0]["at"]) >= time(&second["at"]), "{warned:?}");

    session.answer();
    user.wait_until("it is blocked", BOUND, || {
        session.stands().0 == "blocked" && !session.is_active()
    });
    let reason = session.hook()["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("the session's budget is spent ($"), "{reason}");
    assert!(reason.contains("SAMOCODE_BUDGET_USD"), "{reason}");
    assert_eq!(session.journal("budget_warned").len(), 1);
    let runs = session.journal("run_started").len();
    assert!((3..=4).contains(&runs), "{runs} runs");
    assert_eq!(session.journal("run_ended").len(), runs, "it was stopped between two runs");
}

#[test]
fn the_cost_of_a_session_survives_a_killed_worker_and_is_not_counted_twice() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("costs");
    let hold = "touch ~/held; until [ -e ~/go ]; do sleep 0.02; done";
    let obey = || vec![Reply::bash(OBEDIENT), Reply::say("The phase is finished.")];
    let mut first = obey();
    first.push(Reply::bash(hold));
    let api = Api::obedient_after(first);
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let session = project.named("jwt");
    session.enable(&["--task", "Paint the fence"]);
    user.wait_until("the second run is in its tool", BOUND, || user.exists("held"));
    let before = session.journal("run_ended")[0]["cost"]["usd"].as_f64().expect("a cost");
    assert!(before > 0.0);

    user.run(["kill", "-KILL", &session.worker()]).ok();
    session.wait_to_rest("waiting", "requirements");

    let cost = session.hook()["cost_usd"].as_f64().expect("a cost");
    // Five replies cost the same each; the first two of them were one run.
    assert_eq!(api.requests().len(), 5);
    let reply = before / 2.0;
    assert!(cost > 3.9 * reply && cost < 5.1 * reply, "{cost}, a reply costs {reply}");
    let shown = project.samocode(["cost", "jwt", "--json"]).ok().json();
    let total = &shown["total"];
    assert!((total["usd"].as_f64().expect("a cost") - cost).abs() < 1e-9, "{shown}");
    assert_eq!((&total["runs"], &total["unknown"]), (&3.into(), &1.into()), "{shown}");
}

#[test]
fn a_daily_budget_is_shared_by_all_sessions_and_renewed_the_next_day() {
    let Some(lab) = lab::get() else { return };
    let Some(user) = user_with_a_clock(lab, "daily") else { return };
    let bot = Bot::start();
    user.gets_messages_from(&bot);
    let noon = to_noon();
    set(&user, noon);
    let agent = spender(&user);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_BUDGET_USD_DAY", "2.50")
        .create();
    let (first, second) = (project.named("first"), project.named("second"));

    first.enable(&["--task", "Paint the fence"]);
    first.wait_to_rest("waiting", "requirements");
    let warned = first.journal("budget_warned");
    assert_eq!(warned.len(), 1, "{warned:?}");
    let text = "80 % of the day's budget is used: $2.00 of $2.50";
    assert_eq!(warned[0]["text"], text);

    // Some of the budget is left, so one more run starts, and it exceeds the budget.
    second.enable(&["--task", "Mow the lawn"]);
    second.wait_for_state("paused");
    assert_eq!(second.journal("run_started").len(), 1);
    let paused = &second.journal("paused")[0];
    assert_eq!(paused["cause"], "budget");
    let reason = "the day's budget is spent ($3.00 of $2.50); resumes tomorrow";
    assert_eq!(second.hook()["reason"], reason);
    let zone = jiff::tz::TimeZone::UTC;
    let today = time(&paused["at"]).to_zoned(zone.clone()).date();
    let tomorrow = (today + 1.day()).to_zoned(zone).expect("a day").timestamp();
    assert_eq!(time(&second.hook()["until"]), tomorrow);
    for args in [&["status"][..], &["status", "second"]] {
        let status = project.samocode(args).ok();
        assert!(status.stdout.contains("the day's budget is spent"), "{status}");
    }
    user.wait_until("the user is notified", BOUND, || {
        bot.count_of("the day's budget is spent") >= 1
    });

    // The first has nothing left either, though its own runs were within the budget.
    first.answer();
    first.wait_for_state("paused");
    assert_eq!(first.journal("run_started").len(), 2);
    // A start by hand gets one run in spite of the budget.
    project.samocode(["start", "first"]).ok();
    user.wait_until("it has run and waits again", BOUND, || {
        first.journal("run_ended").len() == 3 && first.stands().0 == "paused"
    });

    set(&user, noon + 24 * 3600);
    second.wait_to_rest("waiting", "requirements");
    assert_eq!(second.journal("run_started").len(), 2);
    assert_eq!(second.journal("worker_started").len(), 1);
    first.wait_to_rest("waiting", "planning");
}

fn blocked_reason(project: &Project<'_>) -> String {
    let session = project.named("jwt");
    project.user.wait_until("it is blocked", BOUND, || {
        session.stands().0 == "blocked" && !session.is_active()
    });
    session.hook()["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_daily_budget_includes_what_projects_without_one_spent() {
    let Some(lab) = lab::get() else { return };
    let Some(user) = user_with_a_clock(lab, "others") else { return };
    set(&user, to_noon());
    let agent = spender(&user);
    let free = user.project("barn").key("SAMOCODE_AGENT", &agent).create();
    let thrifty = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_BUDGET_USD_DAY", "2")
        .create();
    let (first, second) = (free.named("first"), thrifty.named("second"));

    first.enable(&["--task", "Paint the fence"]);
    first.wait_to_rest("waiting", "requirements");
    second.enable(&["--task", "Mow the lawn"]);
    second.wait_for_state("paused");

    assert_eq!(second.journal("run_started").len(), 0, "the day's two dollars are spent");
    assert!(second.hook()["reason"].as_str().unwrap_or_default().contains("($2.00 of $2.00)"));
}

#[test]
fn a_token_budget_warns_at_four_fifths_and_blocks_when_it_is_spent() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("tokens");
    let agent = spender(&user);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_BUDGET_TOKENS", "1000")
        .create();
    let session = project.named("jwt");
    session.enable(&["--task", "Paint the fence"]);
    session.wait_to_rest("waiting", "requirements");
    let warned = session.journal("budget_warned");
    let text = "80 % of the session's budget is used: 900 of 1000 tokens";
    assert_eq!((warned.len(), &warned[0]["text"]), (1, &text.into()));

    session.answer();
    let reason = blocked_reason(&project);
    assert!(reason.contains("the session's budget is spent (1350 of 1000 tokens)"), "{reason}");
    assert_eq!(session.journal("run_started").len(), 3);

    // A raised budget takes effect.
    let keys = user.read(project.dir.join(".samocode")).replace("=1000", "=1000000");
    user.write(project.dir.join(".samocode"), keys);
    project.samocode(["start", "jwt"]).ok();
    session.wait_to_rest("waiting", "planning");
}

#[test]
fn the_real_cli_is_ended_when_its_run_has_used_its_tokens() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("capped");
    // It would never end on its own; each reply uses 1,000 input tokens.
    let mut step = 0;
    let api = Api::start_with(move |_| {
        step += 1;
        Reply::bash(&format!("echo step {step}; sleep 0.2")).tokens(1_000, 10)
    });
    user.uses_claude(&api);
    let project = user
        .project("shop")
        .key("SAMOCODE_BUDGET_TOKENS_RUN", "5000")
        .key("SAMOCODE_MAX_RETRIES", "1")
        .create();
    let session = project.named("jwt");
    session.enable(&["--task", "Paint the fence"]);

    let reason = blocked_reason(&project);

    assert!(reason.ends_with("it used up the budget of a run"), "{reason}");
    let ended = session.journal("run_ended");
    assert_eq!((ended.len(), &ended[0]["outcome"]), (1, &"budget".into()));
    assert_eq!(ended[0]["failure"], true);
    let input = ended[0]["cost"]["tokens"]["input"].as_u64().expect("tokens");
    assert!((4_900..=10_000).contains(&input), "{input}");
    // The next run has its own token budget and resumes the conversation.
    api.now(Script::obedient());
    session.send("Continue");
    user.wait_until("it resumes", secs(60), || session.journal("run_started").len() == 2);
    session.wait_to_rest("waiting", "requirements");
}

#[test]
fn a_budget_in_dollars_counts_the_estimate_of_codex_and_names_a_model_without_a_price() {
    let Some(lab) = lab::with_cli("codex") else { return };
    let user = lab.user("priced");
    let api = Api::start(Script::obedient());
    user.uses_codex(&api, "a-key");
    // 200 tokens read and 40 written in each iteration.
    user.write(".config/samocode/prices", "gpt-5 5000 0 2500\ngpt-5 cheap\n");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", "codex")
        .key("CODEX_MODEL", "gpt-5")
        .key("SAMOCODE_BUDGET_USD", "1")
        .create();
    let session = project.named("jwt");

    session.enable(&["--task", "Paint the fence"]);
    session.wait_for_state("blocked");
    let spent = "(~$1.10 of $1.00)";
    assert!(session.reason().contains(spent), "{}", session.reason());
    let warned = session.journal("budget_warned");
    assert_eq!(warned[0]["text"], "80 % of the session's budget is used: ~$1.10 of $1.00");
    let doctor = project.samocode(["doctor"]).output();
    assert!(doctor.stdout.contains("prices:2: 'gpt-5 cheap' is not a price"), "{doctor}");

    let other = project.named("other");
    let enabled = project.samocode(["enable", "other", "--task", "Mow the lawn"]);
    enabled.env("CODEX_MODEL", "gpt-of-the-house").ok();
    other.wait_to_rest("waiting", "requirements");
    let warned = other.journal("budget_warned");
    assert_eq!(warned.len(), 1, "once, in two runs: {warned:?}");
    let text = warned[0]["text"].as_str().expect("a text");
    for part in ["gpt-of-the-house, which has no price", "~/.config/samocode/prices"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
