//! The scripted Messages API, without the CLI: the behaviour that tests of outages and
//! stalls rely on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::{self, Api, Reply, Script, secs};

/// Sends a request for a stream and gives the open connection.
fn ask(api: &Api, prompt: &str) -> TcpStream {
    let body = json!({
        "model": "claude-lab", "stream": true, "tools": [{"name": "Bash"}],
        "messages": [{"role": "user", "content": prompt}],
    })
    .to_string();
    let address = api.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /v1/messages?beta=true HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    stream
}

/// All of the answer, and whether the connection ended.
fn read(mut stream: TcpStream, patience: Duration) -> (String, bool) {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    let ended = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(_) => break false,
        }
    };
    (String::from_utf8(text).unwrap(), ended)
}

#[test]
fn a_whole_reply_ends_with_message_stop_and_its_usage() {
    let api = Api::start(Script::new().reply(Reply::say("Hello.").tokens(7, 9)));

    let (text, ended) = read(ask(&api, "Start"), secs(10));

    assert!(ended);
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("text/event-stream"), "{text}");
    assert!(text.contains(r#""text":"Hello.""#), "{text}");
    assert!(text.contains(r#""output_tokens":9"#), "{text}");
    assert!(text.contains("event: message_stop\n"), "{text}");
}

#[test]
fn a_silent_stream_starts_and_stays_open() {
    let api = Api::start(Script::new().reply(Reply::silent()));

    let mut stream = ask(&api, "Start");
    stream.set_read_timeout(Some(secs(60))).unwrap();
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains("content_block_delta") {
        let count = stream.read(&mut buffer).expect("the beginning");
        assert_ne!(count, 0, "ended: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let (rest, ended) = read(stream, Duration::from_millis(700));
    text.push_str(&rest);

    assert!(!ended);
    assert!(text.contains("content_block_delta"), "{text}");
    assert!(!text.contains("content_block_stop"), "{text}");
}

#[test]
fn a_pinging_stream_keeps_pinging() {
    let api = Api::start(Script::new().reply(Reply::pings()));
    let mut stream = ask(&api, "Start");
    stream.set_read_timeout(Some(secs(10))).unwrap();

    // One ping is part of every stream's beginning.
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while text.matches("event: ping").count() < 3 {
        let count = stream.read(&mut buffer).expect("another ping");
        assert_ne!(count, 0, "ended: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }

    assert!(!text.contains("content_block_stop"), "{text}");
}

#[test]
fn a_stream_that_is_cut_off_ends_without_its_end() {
    let api = Api::start(Script::new().reply(Reply::cut_off()));

    let (text, _) = read(ask(&api, "Start"), secs(10));

    assert!(text.contains("content_block_delta"), "{text}");
    assert!(!text.contains("message_stop"), "{text}");
    assert!(!text.ends_with("0\r\n\r\n"), "the chunked body looks whole: {text}");
}

#[test]
fn an_error_has_its_status_its_headers_and_the_apis_body() {
    let api = Api::start(Script::new().reply(Reply::error(529).header("retry-after", "7")));

    let (text, _) = read(ask(&api, "Start"), secs(10));

    assert!(text.starts_with("HTTP/1.1 529"), "{text}");
    assert!(text.contains("retry-after: 7\r\n"), "{text}");
    assert!(text.contains("overloaded_error"), "{text}");
}

#[test]
fn a_script_gives_each_phase_its_own_steps() {
    let api = Api::start(
        Script::new()
            .phase("planning")
            .say("a plan")
            .phase("testing")
            .say("a test")
            .forever()
            .otherwise()
            .say("something else"),
    );
    let reply = |prompt| {
        let (text, _) = read(ask(&api, prompt), secs(10));
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let events = data.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter_map(|e| e["delta"]["text"].as_str().map(str::to_string)).collect::<String>()
    };

    assert_eq!(reply("Phase: testing"), "a test");
    assert_eq!(reply("Phase: planning"), "a plan");
    assert_eq!(reply("Phase: testing"), "a test");
    assert_eq!(reply("Phase: planning"), "something else");
    assert_eq!(reply("no phase"), "The script has nothing more to say.");
    assert_eq!(api.requests().len(), 5);
}

#[test]
fn the_obedient_agent_goes_through_all_phases_and_waits_at_both_gates() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("obeys");
    let work = user.git_repo("work").create();
    user.write("session/_overview.md", "# Session: x\n");
    let session = user.home.join("session");
    let agent = include_str!("lab/api/obedient.sh");

    let (mut phase, mut walked) = ("init".to_string(), Vec::new());
    while walked.len() < 20 && phase != "end" {
        user.run(["bash", "-c", agent])
            .env("SAMOCODE_SESSION", "x")
            .env("SAMOCODE_SESSION_DIR", session.to_string_lossy())
            .env("SAMOCODE_PHASE", &phase)
            .cwd(&work)
            .ok();
        let signal: Value = serde_json::from_str(&user.read("session/_signal.json")).unwrap();
        let status = signal["status"].as_str().unwrap();
        walked.push(format!("{phase} {status}"));
        if signal["for"] == "qa_answers" {
            user.write("session/_qa.md", "### Q1: Where?\n**Answer:** A\n");
        }
        let next = signal["phase"].as_str().unwrap();
        phase = if status == "done" { "end" } else { next }.to_string();
    }

    assert_eq!(
        walked,
        [
            "init continue",
            "investigation continue",
            "requirements waiting",
            "requirements continue",
            "planning waiting",
            "planning continue",
            "implementation continue",
            "testing continue",
            "quality continue",
            "done done",
        ]
    );
    let log = user.run(["git", "log", "-1", "--format=%s"]).cwd(&work).ok();
    assert_eq!(log.stdout, "Do the work\n");
}
