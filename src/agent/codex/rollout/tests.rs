use super::*;
use crate::agent::remedy::Remedy;

macro_rules! fixture {
    ($name:literal) => {
        parse(include_str!(concat!("../../../../tests/fixtures/codex/", $name, ".rollout.jsonl")))
    };
}

fn explained(record: Record) -> Finished {
    let mut finished = Finished { is_error: true, ..Finished::default() };
    if let Some(error) = record.error {
        error.explain(&mut finished);
    }
    finished
}

#[test]
fn each_class_of_error_has_its_remedy() {
    for (record, remedy) in [
        (fixture!("usage-limit"), Remedy::Wait),
        (fixture!("unauthorized"), Remedy::LogIn),
        (fixture!("bad-request"), Remedy::Request),
        (fixture!("unknown-model"), Remedy::Setup),
        (fixture!("throttled"), Remedy::SlowDown),
        (fixture!("server-error"), Remedy::Later),
    ] {
        assert_eq!(Remedy::of(&explained(record)), Some(remedy));
    }
}

fn of_info(info: &str) -> Finished {
    let complete = format!(
        r#"{{"type":"event_msg","payload":{{"type":"task_complete","error":{{"message":"no","codex_error_info":{info}}}}}}}"#
    );
    explained(parse(&complete))
}

#[test]
fn errors_without_a_response_are_told_from_those_with_one() {
    let cut = r#"{"response_stream_disconnected":{"http_status_code":null}}"#;
    assert_eq!(Remedy::of(&of_info(cut)), Some(Remedy::Later));
    let large = r#"{"http_connection_failed":{"http_status_code":413}}"#;
    assert_eq!(Remedy::of(&of_info(large)), Some(Remedy::Shrink));
    assert_eq!(Remedy::of(&of_info(r#""server_overloaded""#)), Some(Remedy::Later));
    assert_eq!(Remedy::of(&of_info(r#""other""#)), None);
    assert_eq!(Remedy::of(&of_info("7")), None);
    let full = of_info(r#""context_window_exceeded""#);
    assert_eq!(full.terminal_reason.as_deref(), Some("prompt_too_long"));
}

#[test]
fn a_reached_limit_has_its_name_and_its_reset() {
    let limit = fixture!("usage-limit").limit.unwrap();
    assert!(limit.reached);
    assert_eq!(limit.kind, "five_hour");
    assert_eq!(limit.resets_at.unwrap().as_second(), 1_795_851_223);
}

#[test]
fn a_later_turn_that_went_well_has_neither_error_nor_limit() {
    let record = fixture!("resumed-after-limit");
    assert_eq!((record.error, record.limit), (None, None));
    assert_eq!(record.model.as_deref(), Some("gpt-5"));
}

#[test]
fn tokens_are_those_of_the_whole_conversation() {
    let usage = fixture!("resumed").usage.unwrap();
    assert_eq!((usage.input, usage.cache_read, usage.output), (240, 160, 80));
}

#[test]
fn a_file_is_found_by_its_conversation_and_damage_is_skipped() {
    let home = tempfile::tempdir().unwrap();
    let id = "01a220dc-10f2-7c62-b791-aa76ea7c642f";
    assert_eq!(find(home.path(), id), None);
    let day = home.path().join("sessions/2026/11/28");
    std::fs::create_dir_all(&day).unwrap();
    let file = day.join(format!("rollout-2026-11-28T06-33-42-{id}.jsonl"));
    std::fs::write(
        &file,
        b"torn\"}\n\xff\n{\"type\":\"turn_context\",\"payload\":{\"model\":\"m\"}}\n{",
    )
    .unwrap();
    assert_eq!(find(home.path(), id).as_ref(), Some(&file));
    assert_eq!(read(&file).model.as_deref(), Some("m"));
    assert_eq!(find(home.path(), ".jsonl"), None);
    assert_eq!(read(&day.join("none")), Record::default());
}
