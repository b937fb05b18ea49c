//! Every channel loses its network for a while: nothing is lost, and nothing arrives twice.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::lab::{self, LabUser, secs};
use crate::session::BOUND;
use crate::web::{Browser, link};

/// What people's servers are on this machine: one for all channels, with a network that can fail.
struct Peer {
    url: String,
    is_down: Arc<AtomicBool>,
    /// The path and body of each request.
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Peer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let peer = Self { url, is_down: Arc::default(), seen: Arc::default() };
        let (is_down, seen) = (Arc::clone(&peer.is_down), Arc::clone(&peer.seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Without its network, a connection ends before anything was read from it.
                if is_down.load(Ordering::SeqCst) {
                    continue;
                }
                let mut reader = BufReader::new(stream);
                let mut lines = reader.by_ref().lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                let lengths: Vec<usize> = lines
                    .take_while(|line| !line.is_empty())
                    .filter_map(|line| {
                        line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()
                    })
                    .collect();
                let mut body = vec![0; lengths.first().copied().unwrap_or(0)];
                let _ = reader.read_exact(&mut body);
                let body = String::from_utf8_lossy(&body).into_owned();
                seen.lock().unwrap_or_else(PoisonError::into_inner).push((path, body));
                let answer = r#"{"ok":true,"result":{"message_id":1}}"#;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{answer}",
                    answer.len()
                );
                let _ = reader.get_mut().write_all(head.as_bytes());
            }
        });
        peer
    }

    /// The bodies that came to paths with this in them.
    fn got(&self, path: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = seen.iter().filter(|(of, _)| of.contains(path));
        of_it.map(|(_, body)| body.clone()).collect()
    }
}

/// What takes a message as a program, while there is no file `down`.
const TAKES: &str = "#!/bin/sh\n[ -e ~/down ] && exit 75\ncat >>~/$1\necho '--end--' >>~/$1\n";

/// The channels that a server stands behind, by what is in their path, and their names.
const SERVED: [(&str, &str); 6] = [
    ("/sendMessage", "telegram"),
    ("/ntfy/", "ntfy"),
    ("/services/", "slack"),
    ("/api/webhooks/", "discord"),
    ("/hook", "hook"),
    ("/to-a-browser", "webpush"),
];

fn set_up(user: &LabUser, peer: &Peer) {
    let url = &peer.url;
    user.write_program("say.sh", TAKES);
    user.write_program("sendmail.sh", "#!/bin/sh\nexec ~/say.sh mailbox\n");
    let home = user.home.display();
    user.write(
        ".config/samocode/notify.toml",
        format!(
            r#"
[channel.telegram]
token = "123:a-token"
chat = "5"
api_url = "{url}"
[channel.ntfy]
url = "{url}/ntfy/topic"
[channel.slack]
url = "{url}/services/T/B/x"
[channel.discord]
url = "{url}/api/webhooks/1/x"
[channel.hook]
type = "webhook"
url = "{url}/hook"
secret = "not so short"
[channel.mail]
to = "me@example.org"
sendmail = "{home}/sendmail.sh"
[channel.say]
type = "command"
command = ["{home}/say.sh", "said"]
"#
        ),
    );
    user.set_mode(".config/samocode/notify.toml", 0o600);
}

#[test]
fn each_channel_without_its_network_gets_everything_once_and_in_order_when_it_is_back() {
    let Some(lab) = lab::get() else { return };
    let (user, peer) = (lab.user("outage"), Peer::start());
    set_up(&user, &peer);
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();

    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut server = user.samocode(["web", "--port", &port]).cwd(&project.dir).spawn();
    server.wait_for_stdout("/enter?token=", secs(60));
    let browser = Browser::open(&user, link(&server.stdout()));
    browser.subscribe(&format!("{}/to-a-browser", peer.url));

    peer.is_down.store(true, Ordering::SeqCst);
    user.write("down", "");
    let names = ["first", "second"];
    for name in names {
        let session = project.named(name);
        session.enable(&["--task", "JWT login"]);
        // The worker has tried for some seconds when it says so.
        let all: BTreeSet<&str> =
            SERVED.map(|(_, name)| name).into_iter().chain(["mail", "say"]).collect();
        user.wait_until(&format!("all channels of {name} failed"), BOUND, || {
            let failed = session.journal("notified");
            let failed = failed.iter().filter(|line| line["error"].is_string());
            // A browser's channel has its browser's number in its name.
            let names = failed.filter_map(|line| line["by"].as_str()?.split('-').next());
            names.collect::<BTreeSet<_>>() == all
        });
        let status = project.samocode(["status", name]).ok().stdout;
        assert!(status.contains("could not notify you"), "{status}");
    }
    let doctor = project.samocode(["doctor"]).output().stdout;
    for name in ["telegram", "mail"] {
        assert!(doctor.contains(&format!("could not notify you via {name}")), "{doctor}");
    }
    assert_eq!(peer.got("/"), Vec::<String>::new());

    // The network is back; one command sends at once what the unit has not sent by itself meanwhile.
    user.run(["rm", "down"]).ok();
    peer.is_down.store(false, Ordering::SeqCst);
    project.samocode(["notify", "test"]).ok();
    let got = || {
        let served = SERVED.into_iter().map(|(path, name)| (name, peer.got(path)));
        let taken = ["mailbox", "said"].map(|file| {
            let text = user.sh(&format!("cat ~/{file} 2>/dev/null || true")).ok().stdout;
            let messages = text.split("--end--").map(str::trim).filter(|one| !one.is_empty());
            (file, messages.map(str::to_owned).collect::<Vec<_>>())
        });
        served.chain(taken).collect::<Vec<_>>()
    };
    user.wait_until("everything has arrived", BOUND, || {
        got().iter().all(|(_, messages)| messages.len() >= 3)
    });
    let kept =
        || user.sh("find ~/.local/state/samocode/notices -type f -name '*.json'").ok().stdout;
    user.wait_until("nothing is kept", BOUND, || kept().is_empty());
    for (channel, messages) in got() {
        // Two questions, and the test of the channel itself, which does not wait for them.
        assert_eq!(messages.len(), 3, "{channel}: {messages:?}");
        if channel == "webpush" {
            // Encrypted: the browser of another test reads them.
            continue;
        }
        let late = messages.iter().filter(|one| !one.contains("can reach you here"));
        for (message, name) in late.zip(names) {
            assert!(message.contains(name), "{channel}: {messages:?}");
        }
    }
    server.signal(rustix::process::Signal::INT);
    assert_eq!(server.wait(BOUND).code, 0);
}
