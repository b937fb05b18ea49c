//! `samocode notify test`, against a fake Bot API.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use crate::lab::{self, LabUser};

/// A server that answers each request with this status and body, and sends
/// the first line of each.
fn bot_api(status: &'static str, body: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (send, seen) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut lines = reader.by_ref().lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let length = headers
                .iter()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            let mut request = vec![0; length];
            let _ = reader.read_exact(&mut request);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = reader.get_mut().write_all(head.as_bytes());
            if send.send(first).is_err() {
                return;
            }
        }
    });
    (url, seen)
}

fn uses_telegram(user: &LabUser, url: &str) {
    user.write_env_file(format!(
        "TELEGRAM_BOT_TOKEN=123:hidden\nTELEGRAM_CHAT_ID=5\nTELEGRAM_API_URL={url}\n"
    ));
}

#[test]
fn notify_test_sends_one_message_and_says_how_it_went() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("notify");
    let (url, seen) = bot_api("200 OK", r#"{"ok":true,"result":{"message_id":1}}"#);
    uses_telegram(&user, &url);

    let out = user.samocode(["notify", "test"]).ok();

    assert!(out.stdout.contains("telegram  sent in "), "{out}");
    assert!(seen.try_recv().expect("a request").starts_with("POST /bot123:hidden/sendMessage"));
    assert!(seen.try_recv().is_err(), "one message");
    assert!(!out.stdout.contains("hidden") && !out.stderr.contains("hidden"), "{out}");
}

#[test]
fn notify_test_fails_where_a_message_does_or_nothing_is_set_up() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("notify");
    let out = user.samocode(["notify", "test"]).output();
    assert_eq!(out.code, 1, "{out}");
    assert!(
        out.stdout
            .contains("set TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID in ~/.config/samocode/env"),
        "{out}"
    );

    let body = r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#;
    let (url, _seen) = bot_api("401 Unauthorized", body);
    uses_telegram(&user, &url);
    let out = user.samocode(["notify", "test", "--json"]).output();
    assert_eq!(out.code, 1, "{out}");
    let results = out.json()["results"].clone();
    let telegram =
        results.as_array().and_then(|all| all.iter().find(|r| r["notifier"] == "telegram"));
    assert_eq!(telegram.expect("telegram")["outcome"], "failed", "{out}");
    assert!(!out.stdout.contains("hidden"), "{out}");

    // A half-configured bot is a mistake, not a choice.
    user.write(".config/samocode/env", "TELEGRAM_BOT_TOKEN=123:hidden\n");
    let out = user.samocode(["notify", "test"]).output();
    assert_eq!(out.code, 1, "{out}");
    assert!(out.stdout.contains("telegram  failed: there is a token but no chat"), "{out}");
}
