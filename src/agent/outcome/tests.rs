use super::*;
use crate::agent::claude::decode::ClaudeDecoder;
use crate::agent::event::Decoder;
use proptest::prelude::*;

macro_rules! reported {
    ($name:literal) => {
        reported(include_str!(concat!("../../../tests/fixtures/claude/", $name, ".jsonl")))
    };
}

fn reported(stream: &str) -> Reported {
    let (mut reported, mut decoder) = (Reported::default(), ClaudeDecoder::default());
    for line in stream.lines() {
        decoder.line(line.as_bytes(), &mut |event| reported.take(&event));
    }
    reported
}

fn facts(reported: &Reported, exit: ProcessExit) -> Facts<'_> {
    Facts {
        exit,
        reported,
        stderr_tail: "",
        oom_kills: 0,
        ended_by: None,
        resumed: false,
        rejected: false,
        reports_end: true,
        conversation: "",
        environment: const { &Vec::new() },
    }
}

/// The outcome's name.
fn name(outcome: &Outcome) -> String {
    let text = format!("{outcome:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

#[test]
fn streams_of_the_real_program_are_told_apart() {
    for (reported, code, outcome) in [
        (reported!("success"), 0, "Finished"),
        (reported!("two-results"), 0, "Finished"),
        (reported!("limit-warning"), 0, "Finished"),
        (reported!("old-success"), 0, "Finished"),
        (reported!("unauthorized"), 1, "Auth"),
        (reported!("not-logged-in"), 1, "Auth"),
        (reported!("old-not-logged-in"), 1, "Auth"),
        (reported!("no-credit"), 1, "Auth"),
        (reported!("rate-limited"), 1, "Throttled"),
        (reported!("extra-usage-required"), 1, "Throttled"),
        (reported!("refused-by-model"), 1, "Refused"),
        (reported!("prompt-refused-by-hook"), 0, "Failed"),
        (reported!("invalid-request"), 1, "Rejected"),
        (reported!("denied-by-mode"), 0, "Finished"),
        (reported!("overloaded"), 1, "Transient"),
        (reported!("connection-refused"), 1, "Transient"),
        (reported!("usage-limit"), 1, "Limit"),
        (reported!("old-usage-limit"), 1, "Limit"),
        (reported!("max-turns"), 1, "MaxTurns"),
        (reported!("max-budget"), 1, "Budget"),
        (reported!("prompt-too-long"), 1, "ContextFull"),
        (reported!("unknown-model"), 1, "Failed"),
        (reported!("killed"), 143, "Killed"),
    ] {
        let judged = judge(&facts(&reported, ProcessExit::Code(code)));
        assert_eq!(name(&judged), outcome, "{judged:?} {:?}", reported.finished);
    }
}

#[test]
fn a_conversation_that_is_gone_is_not_the_programs_fault() {
    let gone = reported!("unknown-conversation");
    let resumed = Facts { resumed: true, ..facts(&gone, ProcessExit::Code(1)) };
    assert_eq!(name(&judge(&resumed)), "NotResumed");
    let silent = Reported::default();
    let in_use = Facts {
        resumed: true,
        stderr_tail: "Error: Session ID x is already in use.\n",
        ..facts(&silent, ProcessExit::Code(1))
    };
    let why = "Error: Session ID x is already in use.".to_owned();
    assert_eq!(judge(&in_use), Outcome::NotResumed { why: why.clone() });
    assert_eq!(judge(&Facts { resumed: false, ..in_use }), Outcome::WouldNotStart { why });
}

#[test]
fn a_conversation_that_is_refused_or_crashes_the_program_is_not_resumed_again() {
    let refused = |api_status, replies| Reported {
        started: true,
        replies,
        finished: Some(Finished { is_error: true, api_status, ..Finished::default() }),
        ..Reported::default()
    };
    let (none, some) = (Usage::default(), Usage { input: 9, ..Usage::default() });
    let (silent, replied) = (refused(None, none), refused(None, some));
    let crashed = |reported| Facts { resumed: true, ..facts(reported, ProcessExit::Signal(11)) };
    for (reported, resumed, outcome) in [
        // It may be anything else: the conversation is kept for another try.
        (refused(Some(400), none), true, "Rejected"),
        (refused(Some(413), none), true, "NotResumed"),
        (refused(Some(413), some), false, "ContextFull"),
        (refused(Some(413), none), false, "Failed"),
        (refused(Some(404), none), true, "Failed"),
        (refused(Some(529), none), true, "Transient"),
        // It had already replied: something else was refused.
        (refused(Some(400), some), true, "Rejected"),
        (refused(Some(400), none), false, "Rejected"),
    ] {
        let judged = judge(&Facts { resumed, ..facts(&reported, ProcessExit::Code(1)) });
        assert_eq!(name(&judged), outcome, "{reported:?}");
    }
    let again = refused(Some(400), none);
    let again = Facts { resumed: true, rejected: true, ..facts(&again, ProcessExit::Code(1)) };
    assert_eq!(name(&judge(&again)), "NotResumed", "it was refused for the second time");
    assert_eq!(name(&judge(&Facts { resumed: false, ..again })), "Rejected");
    let (silent, replied) =
        (Reported { finished: None, ..silent }, Reported { finished: None, ..replied });
    assert_eq!(name(&judge(&crashed(&silent))), "NotResumed");
    assert_eq!(name(&judge(&crashed(&replied))), "Killed");
    let killed = Facts { exit: ProcessExit::Signal(9), ..crashed(&silent) };
    assert_eq!(name(&judge(&killed)), "Killed", "by someone else");
    let gone = Facts { exit: ProcessExit::Code(1), ..crashed(&silent) };
    assert_eq!(name(&judge(&gone)), "NotResumed");
}

#[test]
fn an_error_of_the_schema_is_judged_by_its_remedy() {
    let failed = |names: &[&str], api_status| Reported {
        started: true,
        finished: Some(Finished {
            is_error: true,
            error_kind: names.iter().map(|name| (*name).to_owned()).collect(),
            api_status,
            text: "the agent's words".to_owned(),
            advice: Some("what to do".to_owned()),
            ..Finished::default()
        }),
        ..Reported::default()
    };
    for (names, status, outcome) in [
        (&["no_response", "server_error"][..], None, "Transient"),
        (&["stream_idle_timeout"], None, "Transient"),
        (&["tls_untrusted_ca", "unknown"], None, "Transient"),
        (&["org_disabled_credential", "invalid_request"], Some(400), "Auth"),
        (&["api_key_auth_disabled", "invalid_request"], Some(403), "Auth"),
        (&["account_on_hold"], None, "Auth"),
        (&["tool_history_mismatch", "invalid_request"], Some(400), "Refused"),
        (&["autocompact_thrashing"], None, "ContextFull"),
        (&["long_context_credits_required", "rate_limit"], Some(429), "Failed"),
        (&["model_not_found"], Some(404), "Failed"),
        (&["new_in_2027", "authentication_failed"], None, "Auth"),
    ] {
        let reported = failed(names, status);
        // An error of the account or the setup says nothing against a conversation that was to be
        // resumed, even if it comes before the start.
        let at_once = Reported { started: false, ..reported.clone() };
        let judged = judge(&Facts { resumed: true, ..facts(&at_once, ProcessExit::Code(1)) });
        assert_eq!(name(&judged), outcome, "{names:?}");
        for resumed in [false, true] {
            let judged = judge(&Facts { resumed, ..facts(&reported, ProcessExit::Code(1)) });
            assert_eq!(name(&judged), outcome, "{names:?}");
            let text = format!("{judged:?}");
            let said = outcome == "ContextFull" || text.contains("the agent's words (what to do)");
            assert!(said, "{text}");
        }
    }
}

#[test]
fn a_missing_model_names_the_key_to_change() {
    let Outcome::Failed { why } = judge(&facts(&reported!("unknown-model"), ProcessExit::Code(1)))
    else {
        panic!()
    };
    assert!(why.contains("selected model") && why.contains("CLAUDE_MODEL"), "{why}");
}

#[test]
fn only_a_refusal_for_the_limit_is_one() {
    let limit = |pays: bool| {
        format!(
            r#"{{"type":"rate_limit_event","rate_limit_info":{{"status":"rejected","resetsAt":1795223745,"rateLimitType":"five_hour","isUsingOverage":{pays}}}}}"#
        )
    };
    let end = |names: &str| format!(r#"{{"type":"result","is_error":true,{names}"subtype":"x"}}"#);
    let reply =
        r#"{"type":"assistant","message":{"id":"m","content":[],"usage":{"output_tokens":5}}}"#;
    for (lines, outcome) in [
        // Overage in use, and any error without a status.
        (vec![limit(true), end("")], "Failed"),
        (vec![limit(true), end(r#""error":"server_error","#)], "Transient"),
        (vec![limit(true), end(r#""api_error_status":429,"#)], "Throttled"),
        // A limit that concerned another request.
        (vec![limit(false), end("")], "Failed"),
        (vec![limit(false), reply.to_owned(), end(r#""api_error_status":429,"#)], "Throttled"),
        (vec![limit(false), end(r#""api_error_status":429,"#)], "Limit"),
        (vec![limit(false), end(r#""error":"rate_limit","#)], "Limit"),
        (vec![end(r#""api_error":"usage_limit_reached","error":"rate_limit","#)], "Limit"),
        // The agent retried it on its own: it may pass.
        (
            vec![
                r#"{"type":"system","subtype":"api_retry","attempt":1,"error_status":429}"#
                    .to_owned(),
                end(r#""api_error_status":429,"#),
            ],
            "Transient",
        ),
    ] {
        let reported = reported(&lines.join("\n"));
        assert_eq!(name(&judge(&facts(&reported, ProcessExit::Code(1)))), outcome, "{lines:?}");
    }
}

#[test]
fn a_limit_that_is_reached_is_not_hidden_by_another_that_is_not() {
    let limit = |status: &str, kind: &str, at: u64| {
        let info = format!(r#"{{"status":"{status}","rateLimitType":"{kind}","resetsAt":{at}}}"#);
        format!(r#"{{"type":"rate_limit_event","rate_limit_info":{info}}}"#)
    };
    let end = r#"{"type":"result","is_error":true,"api_error_status":429}"#.to_owned();
    let judged = |lines: &[String]| {
        let reported = reported(&lines.join("\n"));
        match judge(&facts(&reported, ProcessExit::Code(1))) {
            Outcome::Limit { resets_at, kind, .. } => (kind, resets_at.map(|at| at.as_second())),
            other => (name(&other), None),
        }
    };
    let hit = limit("rejected", "five_hour", 1_795_223_745);
    for other in ["allowed", "allowed_warning"] {
        let week = limit(other, "seven_day", 1_795_723_745);
        let found = judged(&[hit.clone(), week, end.clone()]);
        assert_eq!(found, ("five_hour".to_owned(), Some(1_795_223_745)), "{other}");
    }
    let week = limit("rejected", "seven_day", 1_795_723_745);
    let found = judged(&[hit.clone(), week, end.clone()]);
    assert_eq!(found, ("seven_day".to_owned(), Some(1_795_723_745)));
    let again = limit("allowed", "five_hour", 1_795_223_745);
    assert_eq!(judged(&[hit, again, end]).0, "Throttled", "the same one has room again");
}

#[test]
fn an_error_without_a_text_is_told_in_the_words_that_there_are() {
    let end = |rest: &str| format!(r#"{{"type":"result","is_error":true,"result":"",{rest}}}"#);
    for (rest, stderr, said) in [
        (
            r#""subtype":"error_of_tomorrow","terminal_reason":"model_error","api_error_status":418"#,
            "",
            "the agent reported error_of_tomorrow, model_error, HTTP status 418, and no more",
        ),
        (
            r#""subtype":"success","error":"new_in_2027""#,
            "",
            "the agent reported new_in_2027, and no more",
        ),
        (r#""subtype":"error_of_tomorrow""#, "Error: no disk\n", "Error: no disk"),
        (r#""subtype":"success""#, "", "it exited with code 1 and printed no error"),
    ] {
        let reported = reported(&end(rest));
        let facts = Facts { stderr_tail: stderr, ..facts(&reported, ProcessExit::Code(1)) };
        assert_eq!(judge(&facts), Outcome::Failed { why: said.to_owned() });
    }
}

#[test]
fn a_limit_has_its_reset_time() {
    let resets_at = "2026-11-21T01:15:45Z".parse().ok();
    let what = "You've hit your 5-hour limit · resets 1:15am (UTC)".to_owned();
    assert_eq!(
        judge(&facts(&reported!("usage-limit"), ProcessExit::Code(1))),
        Outcome::Limit { resets_at, kind: "five_hour".into(), what }
    );
}

#[test]
fn the_kernel_is_believed_where_the_stream_is_silent() {
    let (silent, working) = (Reported::default(), reported!("killed"));
    let killed = Outcome::Killed { signal: 9 };
    for exit in [ProcessExit::Signal(9), ProcessExit::Code(137)] {
        assert_eq!(judge(&facts(&working, exit)), killed);
        let oom = Facts { oom_kills: 1, ..facts(&working, exit) };
        assert_eq!(judge(&oom), Outcome::OutOfMemory);
    }
    let oom = Facts { oom_kills: 2, ..facts(&working, ProcessExit::Code(1)) };
    assert_eq!(judge(&oom), Outcome::OutOfMemory);
    let missing = facts(&silent, ProcessExit::Code(127));
    assert_eq!(name(&judge(&missing)), "WouldNotStart");
    assert_eq!(name(&judge(&facts(&working, ProcessExit::Code(1)))), "Failed");
    assert_eq!(name(&judge(&facts(&working, ProcessExit::Code(0)))), "Failed");
    let portal =
        Facts { stderr_tail: "<html>Log in</html>\n", ..facts(&working, ProcessExit::Code(0)) };
    let Outcome::Failed { why } = judge(&portal) else { panic!() };
    assert!(why.ends_with("; it printed last: <html>Log in</html>"), "{why}");
}

#[test]
fn agents_that_report_nothing_are_judged_by_their_code() {
    let silent = Reported::default();
    let plain = |code| Facts { reports_end: false, ..facts(&silent, ProcessExit::Code(code)) };
    assert_eq!(judge(&plain(0)), Outcome::Finished);
    let why = "it exited with code 3 and printed no error".to_owned();
    assert_eq!(judge(&plain(3)), Outcome::Failed { why });
}

#[test]
fn a_program_that_is_another_or_too_old_is_told_by_what_it_prints() {
    let nothing = Reported::default();
    let with = |code, stderr_tail: &'static str| {
        let outcome = judge(&Facts { stderr_tail, ..facts(&nothing, ProcessExit::Code(code)) });
        match outcome {
            Outcome::Failed { why } | Outcome::WouldNotStart { why } => why,
            other => panic!("{other:?}"),
        }
    };
    let advice = format!("({ANOTHER})");
    assert_eq!(
        with(0, "Welcome!\nno json here\n"),
        format!("it exited without reporting a result; it printed last: no json here {advice}")
    );
    assert_eq!(with(0, ""), "it exited without reporting a result");
    let clap = "error: unexpected argument '--json' found\n\nUsage: codex exec\n\nFor more information, try '--help'.\n";
    assert_eq!(with(2, clap), format!("error: unexpected argument '--json' found {advice}"));
    let yargs = "Options:\n  -v\n\nUnknown arguments: skip-trust, skipTrust\n";
    assert_eq!(with(1, yargs), format!("Unknown arguments: skip-trust, skipTrust {advice}"));
    assert_eq!(with(1, "Panic: it broke\n"), "Panic: it broke");
}

#[test]
fn a_run_that_the_worker_ended_is_not_called_killed() {
    let working = reported!("killed");
    for (by, outcome) in [
        (EndedBy::Timeout, Outcome::TimedOut),
        (EndedBy::Stall, Outcome::Stalled),
        (EndedBy::Budget, Outcome::Budget),
        (EndedBy::Limit, Outcome::Failed { why: "it reached a limit".to_owned() }),
        (EndedBy::Shutdown, Outcome::Interrupted),
    ] {
        let ended = Facts { ended_by: Some(by), ..facts(&working, ProcessExit::Signal(15)) };
        assert_eq!(judge(&ended), outcome);
    }
}

#[test]
fn tokens_of_a_run_that_was_cut_off_are_those_of_the_replies_that_started() {
    assert_eq!(reported!("killed").usage().input, 100);
    assert_eq!(reported!("success").usage().output, 100);
}

proptest! {
    #[test]
    fn an_end_reported_without_error_is_finished_whatever_follows(
        code in -5i32..300, signal in any::<bool>(), oom_kills in 0u64..3, resumed in any::<bool>(),
    ) {
        let exit = if signal { ProcessExit::Signal(code) } else { ProcessExit::Code(code) };
        let reported = Reported { finished: Some(Finished::default()), ..Reported::default() };
        let facts = Facts { oom_kills, resumed, ended_by: Some(EndedBy::Stall), ..facts(&reported, exit) };
        prop_assert_eq!(judge(&facts), Outcome::Finished);
    }

    #[test]
    fn reported_errors_never_count_as_finished(
        status in proptest::option::of(any::<u16>()), kind in proptest::collection::vec("[a-z_]{0,20}", 0..3),
        subtype in "[a-z_]{0,20}", text in "\\PC{0,40}",
    ) {
        let finished = Finished {
            is_error: true, api_status: status, error_kind: kind, subtype, text, ..Finished::default()
        };
        let reported = Reported { finished: Some(finished), ..Reported::default() };
        prop_assert_ne!(judge(&facts(&reported, ProcessExit::Code(0))), Outcome::Finished);
    }
}
