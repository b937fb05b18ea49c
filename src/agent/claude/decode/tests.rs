mod mutated;

use super::*;
use crate::agent::stream::{Log, pump};
use crate::agent::{Cost, Finished, Window};
use proptest::prelude::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/fixtures/claude/", $name, ".jsonl")).as_slice()
    };
}

fn decode(bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut decoder = ClaudeDecoder::new("/home/u/shop".into());
    let mut log = Log::new(tempfile::tempfile().unwrap());
    pump(bytes, &mut log, &mut decoder, &mut |event| events.push(event)).unwrap();
    events
}

fn finished(bytes: &[u8]) -> Finished {
    match decode(bytes).pop() {
        Some(Event::Finished(finished)) => *finished,
        other => panic!("ended with {other:?}"),
    }
}

#[test]
fn a_run_is_told_from_its_start_to_its_end() {
    let events = decode(fixture!("success"));
    let usage = Usage { input: 100, output: 1, cache_read: 1000, cache_write: 20 };
    let id = "00000000-0000-4000-8000-000000000001";
    assert_eq!(
        events[0],
        Event::Started {
            conversation: id.into(),
            model: "claude-opus-5-5".into(),
            permissions: Some("bypassPermissions".into())
        }
    );
    assert!(
        matches!(&events[1], Event::Tool(tool) if tool.name == "Bash" && tool.summary == "running echo hi")
    );
    assert_eq!(events[2], Event::Usage { usage, context_used: Some(1121) });
    assert_eq!(events[3], Event::Progress);
    assert_eq!(events[4], Event::Text { text: "All done 2.".into() });
    let Event::Finished(end) = &events[6] else { panic!("{:?}", events[6]) };
    assert!(!end.is_error);
    let cost = end.cost.unwrap();
    assert!((cost.total - 0.0034).abs() < 1e-9 && (cost.own.unwrap() - 0.0034).abs() < 1e-9);
    assert_eq!(end.usage, Usage { input: 200, output: 100, cache_read: 2000, cache_write: 40 });
    assert_eq!((end.num_turns, end.context_window), (Some(2), Some(1_000_000)));
    assert_eq!(events.len(), 7);
}

#[test]
fn of_two_ends_of_a_process_the_last_holds_the_sum() {
    let end = finished(fixture!("two-results"));
    let cost = end.cost.unwrap();
    assert!((cost.total - 0.0051).abs() < 1e-9 && (cost.own.unwrap() - 0.0051).abs() < 1e-9);
    assert_eq!(end.usage, Usage { input: 300, output: 150, cache_read: 3000, cache_write: 60 });
}

#[test]
fn totals_of_resumed_conversations_run_on_and_the_own_share_is_told() {
    for (bytes, total) in
        [(fixture!("resumed"), 0.0068), (fixture!("resumed-after-sigterm"), 0.0051)]
    {
        let cost = finished(bytes).cost.unwrap();
        assert!((cost.total - total).abs() < 1e-9 && (cost.own.unwrap() - 0.0034).abs() < 1e-9);
    }
    assert_eq!(finished(fixture!("old-success")).cost.unwrap().own, None);
}

#[test]
fn a_cap_reports_its_tokens_too() {
    let end = finished(fixture!("max-budget"));
    assert_eq!((end.subtype.as_str(), end.usage.input), ("error_max_budget_usd", 100));
    assert_eq!(end.text, "Reached maximum budget ($0.001)");
}

#[test]
fn failures_carry_a_word_and_a_status() {
    for (bytes, kind, status) in [
        (fixture!("unauthorized"), "authentication_failed", Some(401)),
        (fixture!("not-logged-in"), "authentication_failed", None),
        (fixture!("old-not-logged-in"), "authentication_failed", None),
        (fixture!("rate-limited"), "rate_limit", Some(429)),
        (fixture!("usage-limit"), "usage_limit_reached", Some(429)),
        (fixture!("connection-refused"), "connection_failed", None),
        (fixture!("no-credit"), "billing_error", Some(400)),
        (fixture!("unknown-model"), "model_not_found", Some(404)),
        (fixture!("extra-usage-required"), "rate_limit", Some(429)),
        (fixture!("refused-by-model"), "invalid_request", None),
        (fixture!("prompt-refused-by-hook"), "hook_denied", None),
    ] {
        let end = finished(bytes);
        assert_eq!(
            (end.error_kind.first().map(String::as_str), end.api_status),
            (Some(kind), status)
        );
        assert!(end.is_error && !end.text.is_empty());
    }
}

#[test]
fn a_name_that_nobody_knows_yet_does_not_hide_what_the_words_say() {
    let end = |error: &str, text: &str| {
        let line = format!(
            r#"{{"type":"result","subtype":"success","is_error":true,{error},"result":"{text}"}}"#
        );
        finished(line.as_bytes())
    };
    let login = "Your organization requires SSO. Please run /login";
    assert_eq!(end(r#""error":"sso_required""#, login).api_status, Some(401));
    assert_eq!(end(r#""error":"overloaded""#, login).api_status, None);
    assert_eq!(end(r#""api_error_status":529"#, login).api_status, Some(529));
    let pay = end(r#""api_error_status":402"#, "Payment required").advice.unwrap();
    assert!(pay.starts_with("pay"), "{pay}");
}

#[test]
fn limits_are_told_with_their_reset_time_and_warnings_are_none() {
    let limits = |bytes| -> Vec<Limit> {
        let limit = |event| if let Event::Limit(limit) = event { Some(limit) } else { None };
        decode(bytes).into_iter().filter_map(limit).collect()
    };
    let resets_at = Some("2026-11-21T01:15:45Z".parse().unwrap());
    let reached = Limit { reached: true, kind: "five_hour".into(), resets_at, windows: vec![] };
    assert_eq!(limits(fixture!("usage-limit")), std::slice::from_ref(&reached));
    let windows = vec![Window { kind: "five_hour".into(), percent: 90, resets_at }];
    assert_eq!(limits(fixture!("limit-warning")), [Limit { reached: false, windows, ..reached }]);
}

#[test]
fn the_windows_of_an_account_are_read_however_full_they_are() {
    for (info, expected) in [
        (
            r#"{"unifiedWindows":{"five_hour":{"utilization":0.42},"seven_day":{"utilization":1.2,"resetsAt":"soon"}}}"#,
            &[("five_hour", 42), ("seven_day", 100)][..],
        ),
        (r#"{"rateLimitType":"five_hour","utilization":"0.5"}"#, &[("five_hour", 50)]),
        (r#"{"rateLimitType":"five_hour","utilization":-1}"#, &[]),
        (r#"{"unifiedWindows":{"five_hour":7,"seven_day":{"utilization":"most"}}}"#, &[]),
        (r#"{"utilization":0.5}"#, &[]),
    ] {
        let line = format!(r#"{{"type":"rate_limit_event","rate_limit_info":{info}}}"#);
        let [Event::Limit(limit)] = &decode(line.as_bytes())[..] else { panic!("{line}") };
        let windows = limit.windows.iter().map(|window| (window.kind.as_str(), window.percent));
        assert_eq!(windows.collect::<Vec<_>>(), expected, "{line}");
    }
}

#[test]
fn a_reset_time_is_read_however_it_is_written() {
    let resets_at = Some("2026-11-21T01:15:45Z".parse().unwrap());
    for at in [
        "1795223745",
        "1795223745.0",
        r#""1795223745""#,
        "1795223745000",
        r#""2026-11-21T01:15:45Z""#,
    ] {
        let info = format!(r#"{{"status":"rejected","resetsAt":{at}}}"#);
        let line = format!(r#"{{"type":"rate_limit_event","rate_limit_info":{info}}}"#);
        let limit = Limit { reached: true, kind: String::new(), resets_at, windows: vec![] };
        assert_eq!(decode(line.as_bytes()), [Event::Limit(limit)], "{line}");
    }
}

#[test]
fn an_account_that_pays_for_what_exceeds_its_limit_is_not_held_up() {
    let line = br#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","rateLimitType":"five_hour","resetsAt":1795223745,"isUsingOverage":true}}"#;
    assert!(matches!(&decode(line)[..], [Event::Limit(limit)] if !limit.reached));
}

#[test]
fn a_call_that_was_not_allowed_is_denied_with_its_reason_once() {
    let denied = |bytes| -> Vec<Denied> {
        let denied = |event| if let Event::Denied(denied) = event { Some(denied) } else { None };
        decode(bytes).into_iter().filter_map(denied).collect()
    };
    let of_hook = denied(fixture!("denied-by-hook"));
    assert_eq!(of_hook.len(), 1);
    assert_eq!(of_hook[0].call, "running printf hi");
    assert!(of_hook[0].why.ends_with("no tools on Sundays"), "{}", of_hook[0].why);
    let of_mode = denied(fixture!("denied-by-mode"));
    assert_eq!(of_mode.len(), 2);
    assert_eq!(of_mode[0].call, "running touch /etc/zzz");
    assert!(of_mode[0].why.contains("needs approval"), "{}", of_mode[0].why);
    let end = finished(fixture!("denied-by-mode"));
    assert_eq!((end.denied, end.denied_example.as_deref()), (2, Some("running touch /etc/zzz")));
}

#[test]
fn a_hooks_reason_to_refuse_the_prompt_is_the_text_of_an_error() {
    let end = finished(fixture!("prompt-refused-by-hook"));
    assert!(end.is_error);
    assert_eq!(end.text, "a hook refused the prompt: the prompt is not allowed");
}

#[test]
fn an_error_that_is_called_a_success_is_an_error() {
    let unauthorized = String::from_utf8(fixture!("unauthorized").to_vec()).unwrap();
    let told = unauthorized.replace("\"is_error\":true", "\"is_error\":false");
    assert_ne!(told, unauthorized);
    let end = finished(told.as_bytes());
    assert!(end.is_error);
    assert_eq!(end.api_status, Some(401));
    // After an error the model replied: that counts.
    let lines = br#"{"type":"assistant","error":"server_error","message":{"content":[]}}
{"type":"assistant","message":{"id":"m","content":[],"usage":{"output_tokens":5}}}
{"type":"result","is_error":false,"subtype":"success"}"#;
    assert!(!finished(lines).is_error);
}

#[test]
fn an_error_of_a_helper_is_not_the_runs() {
    let lines = br#"{"type":"assistant","error":"server_error","parent_tool_use_id":"t","message":{"content":[]}}
{"type":"result","is_error":false,"subtype":"success"}"#;
    assert!(!finished(lines).is_error);
}

#[test]
fn a_limit_that_only_the_refusal_itself_describes_is_reported() {
    let line = br#"{"type":"assistant","error":"rate_limit","api_error":"usage_limit_reached","api_error_params":{"rate_limit_info":{"status":"rejected","resetsAt":1795223745,"rateLimitType":"seven_day","isUsingOverage":false}},"message":{"content":[]}}"#;
    assert!(decode(line).iter().any(
        |event| matches!(event, Event::Limit(limit) if limit.reached && limit.kind == "seven_day")
    ));
}

#[test]
fn retries_are_told() {
    let retries: Vec<_> = decode(fixture!("overloaded"))
        .into_iter()
        .filter(|event| matches!(event, Event::Retry { .. }))
        .collect();
    let retry = |attempt| Event::Retry { attempt, status: Some(529), error: "overloaded".into() };
    assert_eq!(retries, [retry(1), retry(2)]);
}

#[test]
fn a_result_as_other_languages_write_it_is_one() {
    for (line, text) in [
        ("\"result\":\"cut\u{0} off\"", "cut\u{0} off"),
        ("\"result\":\"a\u{1b}[0m\",\"num_turns\":NaN", "a\u{1b}[0m"),
        ("\"result\":[\"a\",{\"type\":\"text\",\"text\":\"b\"}]", "a; b"),
    ] {
        let line = format!(
            "{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"total_cost_usd\":0.5,{line}}}\n"
        );
        let end = finished(line.as_bytes());
        assert_eq!(end.text, text);
        assert!(end.cost.is_some_and(|cost| (cost.total - 0.5).abs() < 1e-9) && !end.is_error);
    }
}

#[test]
fn a_torn_last_line_is_a_sign_of_life() {
    assert_eq!(decode(fixture!("killed")).last(), Some(&Event::Progress));
}

#[test]
fn an_end_too_long_to_be_kept_is_still_an_end() {
    let words = r#"\"is_error\":true "#.repeat(100_000);
    let line = format!(
        r#"{{"total_cost_usd":0.25,"usage":{{}},"is_error":false,"num_turns":7,"subtype":"success","result":"{words}","type":"result","queued_turn_count":0}}"#
    );
    let end = finished(line.as_bytes());
    assert!(!end.is_error);
    assert_eq!((end.num_turns, end.cost.unwrap().total), (Some(7), 0.25));
    let other = format!(r#"{{"type":"user","x":"{words}"}}"#);
    assert_eq!(decode(other.as_bytes()), [Event::Progress]);
}

#[test]
fn helpers_replies_do_not_fill_the_main_context() {
    let line = br#"{"type":"assistant","message":{"id":"m","content":[],"usage":{"input_tokens":5}},"parent_tool_use_id":"t"}"#;
    assert!(matches!(decode(line)[..], [Event::Usage { context_used: None, .. }]));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        start in prop_oneof![
            Just(""), Just("{\"type\":\""), Just("{\"type\":\"assistant\",\"message\":{\"content\":["),
            Just("{\"type\":\"result\","), Just("{\"type\":\"system\",\"subtype\":\"init\",")
        ],
        rest in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = start.as_bytes().to_vec();
        bytes.extend(rest);
        let mut decoder = ClaudeDecoder::default();
        decoder.line(&bytes, &mut |_| ());
        let middle = bytes.len() / 2;
        decoder.oversized(&bytes[..middle], &bytes[middle..], &mut |_| ());
    }

    #[test]
    fn damaged_streams_are_read_without_panic(at in 0usize..8000, byte in any::<u8>()) {
        let mut bytes = fixture!("two-results").to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        decode(&bytes);
    }

    #[test]
    fn chunk_boundaries_anywhere_give_the_same_events(size in 1usize..5000) {
        let whole = decode(fixture!("two-results"));
        let (mut events, mut decoder) = (Vec::new(), ClaudeDecoder::new("/home/u/shop".into()));
        let mut lines = crate::agent::stream::Lines::default();
        for chunk in fixture!("two-results").chunks(size) {
            lines.feed(chunk, &mut decoder, &mut |event| events.push(event));
        }
        lines.finish(&mut decoder, &mut |event| events.push(event));
        prop_assert_eq!(events, whole);
    }
}

/// What is unknown in a stream.
fn unknown(bytes: &[u8]) -> String {
    let mut decoder = ClaudeDecoder::new("/w".into());
    let mut log = Log::new(tempfile::tempfile().unwrap());
    pump(bytes, &mut log, &mut decoder, &mut |_| ()).unwrap();
    decoder.unknown().unwrap().describe()
}

#[test]
fn streams_of_the_tested_version_have_nothing_unknown() {
    for (name, stream) in [
        ("connection-refused", fixture!("connection-refused")),
        ("denied-by-hook", fixture!("denied-by-hook")),
        ("denied-by-mode", fixture!("denied-by-mode")),
        ("extra-usage-required", fixture!("extra-usage-required")),
        ("invalid-request", fixture!("invalid-request")),
        ("limit-warning", fixture!("limit-warning")),
        ("max-budget", fixture!("max-budget")),
        ("max-turns", fixture!("max-turns")),
        ("no-credit", fixture!("no-credit")),
        ("not-logged-in", fixture!("not-logged-in")),
        ("overloaded", fixture!("overloaded")),
        ("prompt-refused-by-hook", fixture!("prompt-refused-by-hook")),
        ("prompt-too-long", fixture!("prompt-too-long")),
        ("rate-limited", fixture!("rate-limited")),
        ("refused-by-model", fixture!("refused-by-model")),
        ("resumed", fixture!("resumed")),
        ("success", fixture!("success")),
        ("two-results", fixture!("two-results")),
        ("unauthorized", fixture!("unauthorized")),
        ("unknown-model", fixture!("unknown-model")),
        ("usage-limit", fixture!("usage-limit")),
    ] {
        assert_eq!(unknown(stream), "", "{name}");
    }
}

#[test]
fn what_is_unknown_in_a_stream_is_counted_and_the_run_is_still_understood() {
    let mut stream = br#"{"type":"sketch","strokes":3}
no JSON at all
{"type":"sketch"}
{"type":"system","subtype":"weather"}
{"type":"assistant","message":{"id":"m","content":[{"type":"hologram"},{"type":"text","text":"hi"}]}}
"#
    .to_vec();
    stream.extend_from_slice(fixture!("success"));
    assert_eq!(
        unknown(&stream),
        "block hologram (1), event sketch (2), lines that are not JSON (1), system weather (1)"
    );
    assert!(!finished(&stream).is_error);
}
