//! Recorded streams of the real program with faults, seen in practice or made up: outcome and cost
//! survive each.

use super::*;
use crate::agent::outcome::{Facts, ProcessExit, Reported, judge};
use serde_json::Value;

const STREAMS: &[(&str, i32)] = &[
    ("success", 0),
    ("two-results", 0),
    ("resumed", 0),
    ("old-success", 0),
    ("denied-by-mode", 0),
    ("unauthorized", 1),
    ("not-logged-in", 1),
    ("no-credit", 1),
    ("rate-limited", 1),
    ("usage-limit", 1),
    ("overloaded", 1),
    ("connection-refused", 1),
    ("max-turns", 1),
    ("max-budget", 1),
    ("prompt-too-long", 1),
    ("unknown-model", 1),
    ("refused-by-model", 1),
    ("invalid-request", 1),
];

/// An event of another request, which changes nothing.
const OTHER: &str = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed"}}"#;

/// Fields without which a result does not show how it ended or what it cost.
const NEEDED: &[&str] = &[
    "type",
    "subtype",
    "stop_reason",
    "terminal_reason",
    "api_error_status",
    "api_error",
    "total_cost_usd",
    "model_usage_since_last_result",
];

fn stream(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/claude");
    std::fs::read_to_string(format!("{folder}/{name}.jsonl")).unwrap()
}

/// The outcome's name, and the cost to nine digits: total and own share.
fn end(stream: &str, code: i32) -> (String, Option<String>) {
    let mut reported = Reported::default();
    decode(stream.as_bytes()).iter().for_each(|event| reported.take(event));
    let outcome = judge(&Facts {
        exit: ProcessExit::Code(code),
        reported: &reported,
        stderr_tail: "",
        oom_kills: 0,
        ended_by: None,
        resumed: false,
        rejected: false,
        reports_end: true,
        conversation: "",
        environment: &Vec::new(),
    });
    let name = format!("{outcome:?}").split([' ', '{']).next().unwrap_or_default().to_owned();
    let cost = reported.finished.and_then(|finished| finished.cost);
    (name, cost.map(|cost| format!("{:.9} {:.9?}", cost.total, cost.own)))
}

/// The stream with its last line, which is the result, changed.
fn with_result(stream: &str, change: impl FnOnce(&str) -> String) -> String {
    let text = stream.trim_end();
    let at = text.rfind('\n').map_or(0, |at| at + 1);
    format!("{}{}\n", &text[..at], change(&text[at..]))
}

/// The stream's lines, and which of them says nothing that another does not say.
fn with_spare_line(stream: &str, which: usize) -> (Vec<String>, usize) {
    let lines: Vec<String> = stream.lines().map(str::to_owned).collect();
    let matters = |line: &&str| line.contains(r#""error":""#) || line.contains("rejected");
    let spare = |at: &usize| !matters(&lines[*at].as_str()) && !lines[*at].contains("\"result\"");
    let spare: Vec<usize> = (0..lines.len()).filter(spare).collect();
    let at = spare[which % spare.len()];
    (lines, at)
}

/// The object with one of its fields changed, but none that is in `NEEDED`.
fn with_field(object: &str, which: usize, change: &Value) -> String {
    let mut value: Value = serde_json::from_str(object).unwrap();
    let fields = value.as_object_mut().unwrap();
    let names: Vec<String> =
        fields.keys().filter(|name| !NEEDED.contains(&name.as_str())).cloned().collect();
    let name = &names[which % names.len()];
    if change.is_null() {
        fields.remove(name);
    } else {
        fields.insert(name.clone(), change.clone());
    }
    value.to_string()
}

/// The same with every number at the top written in another way.
fn with_numbers(result: &str, write: impl Fn(f64) -> Value) -> String {
    let mut value: Value = serde_json::from_str(result).unwrap();
    for field in value.as_object_mut().unwrap().values_mut() {
        if let Some(number) = field.as_f64() {
            *field = write(number);
        }
    }
    value.to_string()
}

/// The same with a text that was cut within an emoji.
fn with_half_a_pair(result: &str) -> String {
    let mut value: Value = serde_json::from_str(result).unwrap();
    value.as_object_mut().unwrap().insert("result".to_owned(), "HALF".into());
    value.to_string().replace("HALF", r"cut \ud83d")
}

fn boundary(text: &str, at: usize) -> usize {
    let mut at = at % (text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

type Fault = Box<dyn Fn(&str) -> String>;

#[test]
fn each_fault_that_was_reported_leaves_outcome_and_cost() {
    for (name, code) in STREAMS {
        let stream = stream(name);
        let right = end(&stream, *code);
        let faults: [(&str, Fault); 17] = [
            ("half a pair", Box::new(with_half_a_pair)),
            ("floats", Box::new(|line| with_numbers(line, |number| number.into()))),
            ("strings", Box::new(|line| with_numbers(line, |number| number.to_string().into()))),
            ("errors", Box::new(|line| line.replacen('{', r#"{"errors":[{"message":"x"}],"#, 1))),
            ("two in a line", Box::new(|line| format!("{OTHER}{line}"))),
            ("a hook's text", Box::new(|line| format!("hook {{ok}}: done {line}"))),
            ("two behind", Box::new(|line| format!("{line}{OTHER}"))),
            ("a flag lost", Box::new(|line| line.replacen("\"is_error\"", "\"was_error\"", 1))),
            ("a byte order mark", Box::new(|line| format!("\u{feff}{line}"))),
            ("colours", Box::new(|line| format!("\u{1b}[2K\u{1b}[0m{line}\u{1b}[0m"))),
            ("zeros of a lost block", Box::new(|line| format!("\0\0\0{line}"))),
            ("a list of one", Box::new(|line| format!("[{line}]"))),
            ("progress before it", Box::new(|line| format!("Fetching… 99 %\r{line}\r"))),
            ("a time before it", Box::new(|line| format!("[10:31:07] INFO {line}"))),
            (
                "a line end in a text",
                Box::new(|line| line.replacen(r#""session_id":""#, "\"session_id\":\"a\nb", 1)),
            ),
            (
                "a deep field",
                Box::new(|line| {
                    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
                    line.replacen('{', &format!(r#"{{"deep":{deep},"#), 1)
                }),
            ),
            (
                "half of another",
                Box::new(|line| format!(r#"{{"type":"user","message":{{"content":"hal{line}"#)),
            ),
        ];
        for (fault, change) in faults {
            let found = end(&with_result(&stream, change), *code);
            assert_eq!(found, right, "{fault} in {name}");
        }
    }
}

#[test]
fn a_result_that_is_cut_off_is_one_only_if_it_shows_how_it_ended() {
    let cut = br#"{"num_turns":3,"is_error":false,"total_cost_usd":0.5,"subtype":"success","type":"result","x":"#;
    assert_eq!(finished(cut).cost, Some(Cost { total: 0.5, own: None }));
    assert_eq!(decode(br#"{"type":"result","x":"#).last(), Some(&Event::Progress));
    for end in ["\"duration_ms\":NaN}", "}", "\"result\":\"a\tb\"}"] {
        let usage = r#""usage":{"input_tokens":7,"output_tokens":3,"server":{"x":0}}"#;
        let line = format!(r#"{{"is_error":false,{usage},"type":"result","x":1,{end}"#);
        let usage = finished(line.as_bytes()).usage;
        assert_eq!((usage.input, usage.output), (7, 3), "{end}");
    }
    let refused = br#"{"type":"result","api_error_status":529,"total_cost_usd":0.5,"x":"#;
    let refused = finished(refused);
    assert!(refused.is_error);
    assert_eq!(refused.api_status, Some(529));
}

#[test]
fn a_total_that_is_no_number_is_made_up_from_the_costs_of_the_models() {
    let each = r#""modelUsage":{"a":{"costUSD":0.4},"b":{"costUSD":"0.2"}}"#;
    let since = r#""model_usage_since_last_result":{"a":{"costUSD":0.1}}"#;
    let result = |total: &str, rest: &str| {
        let head = r#""type":"result","subtype":"success","is_error":false"#;
        let line = format!(r#"{{{head},"total_cost_usd":{total}{rest}}}"#);
        finished(line.as_bytes()).cost.map(|cost| format!("{:.2} {:.2?}", cost.total, cost.own))
    };
    for total in ["{}", "null", r#""sixty""#, "1e400"] {
        assert_eq!(result(total, &format!(",{each},{since}")).unwrap(), "0.60 Some(0.10)");
        assert_eq!(result(total, &format!(",{each}")).unwrap(), "0.60 None");
        assert_eq!(result(total, &format!(",{since}")).unwrap(), "0.10 Some(0.10)");
        assert_eq!(result(total, ""), None);
    }
    // What JSON has no word for, but some writers of it do.
    for total in ["NaN", "Infinity"] {
        assert_eq!(result(total, ""), None, "{total}");
    }
    // A share that cannot be read is not nothing, nor are the others the whole.
    for models in [r#"{"a":{"costUSD":"a dime"}}"#, r#"{"a":{"costUSD":0.1},"b":{"costUSD":{}}}"#] {
        for name in ["modelUsage", "model_usage_since_last_result"] {
            assert_eq!(result("null", &format!(r#","{name}":{models}"#)), None, "{name} {models}");
        }
    }
    let none = r#","model_usage_since_last_result":{}"#;
    assert_eq!(result("null", none).unwrap(), "0.00 Some(0.00)", "no model was used");
    let line =
        br#"{"type":"result","subtype":"success","is_error":false,"total_cost_usd":"a quarter"}"#;
    assert!(finished(line).cost_unread);
}

#[test]
fn the_rest_of_a_torn_line_may_look_like_a_line_of_its_own() {
    let head = br#"{"is_error":false,"subtype":"success","usage":"#;
    let tail = br#"{"output_tokens":7},"total_cost_usd":0.5,"type":"result"}"#;
    let found = finished(&[head, OTHER.as_bytes(), b"\n", tail].concat());
    assert_eq!((found.usage.output, found.cost.unwrap().total), (7, 0.5));
}

#[test]
fn errors_with_a_message_each_are_shown() {
    let line = br#"{"type":"result","is_error":true,"errors":[{"message":"x"},"y",7]}"#;
    assert_eq!(finished(line).text, "x; y");
}

#[test]
fn tokens_count_however_they_are_written_and_where_only_replies_tell_them() {
    let tokens = |usage: &str, end: &str| {
        let message = format!(r#"{{"id":"m","content":[],"usage":{usage}}}"#);
        let reply = format!(r#"{{"type":"assistant","message":{message}}}"#);
        let head = r#""is_error":false,"subtype":"success""#;
        let result = format!(r#"{{"type":"result",{head},"usage":{end}}}"#);
        let mut told = Reported::default();
        decode(format!("{reply}\n{result}\n").as_bytes()).iter().for_each(|event| told.take(event));
        (told.usage().input, told.usage().output)
    };
    for usage in [
        r#"{"input_tokens":12,"output_tokens":7}"#,
        r#"{"input_tokens":"12","output_tokens":"7"}"#,
        r#"{"input_tokens":12.0,"output_tokens":7.0,"cache_read_input_tokens":{}}"#,
    ] {
        for end in ["null", "[]", r#""?""#, "{}"] {
            assert_eq!(tokens(usage, end), (12, 7), "{usage} {end}");
        }
        assert_eq!(tokens("null", usage), (12, 7));
    }
}

#[test]
fn a_retry_of_odd_types_keeps_what_can_be_read() {
    for (fields, attempt, status, error) in [
        (r#""attempt":"2","error_status":"529","error":"overloaded""#, 2, Some(529), "overloaded"),
        (r#""attempt":2.0,"error_status":529.0,"error":{"message":"x"}"#, 2, Some(529), ""),
        (r#""attempt":[],"error_status":null,"error":null"#, 0, None, ""),
    ] {
        let line = format!(r#"{{"type":"system","subtype":"api_retry",{fields}}}"#);
        let error = error.to_owned();
        assert_eq!(decode(line.as_bytes()), [Event::Retry { attempt, status, error }], "{line}");
    }
}

proptest! {
    #[test]
    fn a_field_that_is_lost_doubled_or_of_another_type_takes_no_other_with_it(
        which in 0..STREAMS.len(), field in 0usize..40, kind in 0usize..6, at in 0usize..40,
        of_result in any::<bool>(),
    ) {
        let (name, code) = STREAMS[which];
        let stream = stream(name);
        let other = [
            Value::Null, 7.into(), "text".into(), true.into(),
            Value::Array(vec![Value::Null]), serde_json::json!({"a": 1}),
        ];
        // A flag that was changed to another is no fault that can be seen.
        let changed = if of_result {
            with_result(&stream, |line| {
                let changed = with_field(line, field, &other[kind]);
                let of = |text: &str| serde_json::from_str::<Value>(text).unwrap()["is_error"].clone();
                if of(&changed).is_boolean() && of(&changed) != of(line) {
                    line.to_owned()
                } else {
                    changed
                }
            })
        } else {
            let (mut lines, at) = with_spare_line(&stream, at);
            if serde_json::from_str::<Value>(&lines[at]).is_ok() {
                lines[at] = with_field(&lines[at], field, &other[kind]);
            }
            lines.join("\n")
        };
        prop_assert_eq!(end(&changed, code), end(&stream, code), "{}", changed);
    }

    #[test]
    fn a_line_that_is_lost_doubled_or_cut_off_takes_no_other_with_it(
        which in 0..STREAMS.len(), at in 0usize..40, kind in 0usize..4, cut in any::<usize>(),
    ) {
        let (name, code) = STREAMS[which];
        let stream = stream(name);
        let (mut lines, at) = with_spare_line(&stream, at);
        match kind {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => { let end = boundary(&lines[at], cut); lines[at].truncate(end) }
            // The line end is lost with the rest.
            _ => {
                let end = boundary(&lines[at], cut);
                lines[at].truncate(end);
                let head = lines.remove(at);
                lines[at].insert_str(0, &head);
            }
        }
        let changed = lines.join("\n");
        prop_assert_eq!(end(&changed, code), end(&stream, code), "{}", changed);
    }

    #[test]
    fn an_event_written_into_another_line_leaves_both(
        which in 0..STREAMS.len(), line in 0usize..40, at in any::<usize>(), ended in any::<bool>(),
    ) {
        let (name, code) = STREAMS[which];
        let stream = stream(name);
        let mut lines: Vec<String> = stream.lines().map(str::to_owned).collect();
        let line = line % lines.len();
        let at = boundary(&lines[line], at);
        lines[line].insert_str(at, &format!("{OTHER}{}", if ended { "\n" } else { "" }));
        let changed = lines.join("\n");
        prop_assert_eq!(end(&changed, code), end(&stream, code), "{}", lines[line]);
    }

    #[test]
    fn lines_without_an_end_between_them_and_text_before_them_are_told_apart(
        which in 0..STREAMS.len(), line in 0usize..40, text in "[a-z {}:]{0,12}",
    ) {
        let (name, code) = STREAMS[which];
        let stream = stream(name);
        let mut lines: Vec<String> = stream.lines().map(str::to_owned).collect();
        let line = line % lines.len();
        let first = lines.remove(line);
        match lines.get_mut(line) {
            Some(next) => next.insert_str(0, &first),
            None => lines.push(format!("{text}{first}")),
        }
        prop_assert_eq!(end(&lines.join("\n"), code), end(&stream, code));
    }
}
