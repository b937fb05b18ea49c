//! `samocode notify test`, and notices that cannot be sent, against a fake Bot API.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use crate::lab::{self, LabUser, secs};

/// A server that answers each request with this status and body, and sends
/// the first line of each.
fn bot_api(status: &'static str, body: &'static str) -> (String, mpsc::Receiver<String>) {
    bot_api_that(move || (status, body))
}

fn bot_api_that(
    answer: impl Fn() -> (&'static str, &'static str) + Send + 'static,
) -> (String, mpsc::Receiver<String>) {
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
            let (status, body) = answer();
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
fn a_file_of_channels_that_cannot_be_used_is_told_where_a_session_stands() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("misset");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    assert_eq!(project.samocode(["run", "misset", "--task", "Ask me"]).output().code, 10);
    user.write(".config/samocode/notify.toml", "[channel.hook\n");
    for verb in ["why", "status"] {
        let out = project.samocode([verb, "misset"]).ok();
        assert!(out.stdout.contains("no notices via notify.toml: "), "{out}");
    }
    let out = project.samocode(["notify", "test", "hook"]).output();
    assert!(out.stderr.contains("there is no channel 'hook': "), "{out}");
}

#[test]
fn a_notice_that_cannot_be_sent_is_shown_and_sent_at_the_next_chance() {
    const BUSY: &str =
        r#"{"ok":false,"description":"Too Many Requests","parameters":{"retry_after":3600}}"#;
    let Some(lab) = lab::get() else { return };
    let user = lab.user("kept");
    let is_busy = Arc::new(AtomicBool::new(true));
    let busy = Arc::clone(&is_busy);
    let (url, seen) = bot_api_that(move || match busy.load(Ordering::SeqCst) {
        true => ("429 Too Many Requests", BUSY),
        false => ("200 OK", r#"{"ok":true}"#),
    });
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    user.write(".config/samocode/env", "TELEGRAM_BOT_TOKEN=123:hidden\nTELEGRAM_CHAT_ID=5\n");
    user.write(".config/samocode/config", format!("TELEGRAM_API_URL={url}\n"));
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");

    assert!(seen.recv_timeout(secs(20)).is_ok(), "the server that the user's file names was asked");
    for verb in [["status", "jwt"], ["why", "jwt"]] {
        let out = project.samocode(verb).ok().stdout;
        assert!(out.contains("could not notify you via telegram"), "{out}");
        assert!(out.contains("too many messages"), "{out}");
    }
    let doctor = project.samocode(["doctor"]).output().stdout;
    assert!(doctor.contains("jwt: could not notify you via telegram"), "{doctor}");
    assert!(!doctor.contains("✓ desktop"), "there is none: {doctor}");
    let history = project.samocode(["history", "jwt"]).ok().stdout;
    assert!(history.contains("could not notify you via telegram: waiting"), "{history}");

    let retries = || user.unit_property("samocode-notices.service", "ActiveState");
    user.wait_until("the retries are under way", secs(20), || retries() == "activating");
    is_busy.store(false, Ordering::SeqCst);
    let out = project.samocode(["notify", "test"]).ok();
    assert!(out.stdout.contains("Also sent 1 notice that had failed to send earlier."), "{out}");
    let status = project.samocode(["status", "jwt"]).ok().stdout;
    assert!(!status.contains("not notified"), "{status}");
}

#[test]
fn a_notice_about_a_session_of_the_systems_manager_is_tried_again_too() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("syskept");
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let (url, seen) = bot_api_that(move || match down.load(Ordering::SeqCst) {
        true => ("429 Too Many Requests", r#"{"ok":false,"parameters":{"retry_after":3600}}"#),
        false => ("200 OK", r#"{"ok":true}"#),
    });
    uses_telegram(&user, &url);
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let enable = "samocode enable --system --run-as syskept syskept --task t";
    lab.root(["sh", "-c", enable]).cwd(&project.dir).ok();
    assert!(seen.recv_timeout(secs(60)).is_ok(), "it was tried");
    let unit = "samocode-notices@syskept.service";
    let retries = || {
        let show = lab.root(["systemctl", "show", "-P", "ActiveState", unit]).ok().stdout;
        show.trim() == "activating"
    };
    user.wait_until("the session's own unit keeps trying", secs(60), retries);
    let kept = user.sh("ls ~/.local/state/samocode/notices").ok().stdout;
    assert_eq!(kept.lines().count(), 1, "{kept}");
    is_down.store(false, Ordering::SeqCst);
    // As if an hour had passed.
    user.sh("sed -i 's/\"not_before\":\"2/\"not_before\":\"1/' ~/.local/state/samocode/notices/*")
        .ok();
    lab.root(["systemctl", "restart", unit]).ok();
    user.wait_until("it is sent", secs(60), || {
        user.sh("ls ~/.local/state/samocode/notices").ok().stdout.is_empty()
    });
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
