use super::*;
use proptest::prelude::*;

fn decode(bytes: &[u8]) -> (Vec<Event>, Unknown) {
    let mut decoder = CodexDecoder::new(Path::new("/home/u/shop"));
    let (mut events, mut lines) = (Vec::new(), crate::agent::stream::Lines::default());
    lines.feed(bytes, &mut decoder, &mut |event| events.push(event));
    lines.finish(&mut decoder, &mut |event| events.push(event));
    (events, decoder.unknown)
}

const RESUMED: &[u8] = include_bytes!("../../../../tests/fixtures/codex/resumed.jsonl");

#[test]
fn a_run_is_read_from_its_thread_to_its_tokens() {
    let (events, unknown) = decode(RESUMED);
    assert!(matches!(&events[0], Event::Started { conversation, .. } if conversation.len() == 36));
    let tools: Vec<&Tool> = events
        .iter()
        .filter_map(|event| if let Event::Tool(tool) = event { Some(tool) } else { None })
        .collect();
    assert_eq!(tools.len(), 1, "{tools:?}");
    assert_eq!(tools[0].summary, "running echo hi");
    assert!(events.contains(&Event::Text { text: "Done 4".into() }));
    let Some(Event::Finished(end)) = events.last() else { panic!("{events:?}") };
    assert!(!end.is_error);
    let usage = end.conversation_usage.unwrap();
    assert_eq!((usage.input, usage.cache_read, usage.output), (240, 160, 80));
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_failed_turn_is_an_error_in_the_services_own_words() {
    let line =
        br#"{"type":"turn.failed","error":{"message":"{\"error\":{\"message\":\"too old\"}}"}}"#;
    let (events, _) = decode(line);
    assert!(matches!(&events[0], Event::Finished(end) if end.is_error && end.text == "too old"));
}

#[test]
fn retries_are_told_from_other_errors() {
    for (message, expected) in [
        ("Reconnecting... 2/5", Some(2)),
        ("Reconnecting… 11/20 (timeout)", Some(11)),
        ("Reconnecting... soon", None),
        ("You’ve hit your usage limit", None),
    ] {
        let line = serde_json::json!({"type": "error", "message": message}).to_string();
        let (events, _) = decode(line.as_bytes());
        let found = match &events[0] {
            Event::Retry { attempt, .. } => Some(*attempt),
            _ => None,
        };
        assert_eq!(found, expected, "{message}");
    }
}

#[test]
fn changed_files_are_named_from_the_worktree_once() {
    let change = |kind: &str| {
        format!(
            r#"{{"type":"item.{kind}","item":{{"id":"1","type":"file_change","changes":[{{"path":"/home/u/shop/src/a.rs","kind":"add"}},{{"path":"/b"}}]}}}}"#
        )
    };
    let (events, _) = decode(change("completed").as_bytes());
    assert!(
        matches!(&events[0], Event::Tool(tool) if tool.summary == "editing src/a.rs and 1 more")
    );
    let both = format!("{}\n{}", change("started"), change("completed"));
    let (events, _) = decode(both.as_bytes());
    assert!(matches!(events.as_slice(), [Event::Tool(_), Event::Progress]), "{events:?}");
}

#[test]
fn what_is_unknown_is_counted_and_a_sign_of_life() {
    let text = b"{\"type\":\"turn.paused\"}\nwarning: x\n{\"type\":\"item.started\",\"item\":{\"type\":\"sketch\"}}\n[1]\n";
    let (events, unknown) = decode(text);
    assert_eq!(events, vec![Event::Progress; 4]);
    assert_eq!(unknown.describe(), "item sketch (1), lines that are not JSON (2), turn.paused (1)");
}

proptest! {
    #[test]
    fn damaged_streams_are_read_without_panic(at in 0usize..2000, byte in any::<u8>()) {
        let mut bytes = RESUMED.to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        decode(&bytes);
    }
}
