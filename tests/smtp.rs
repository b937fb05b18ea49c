//! E-mail as people have it: a real `sendmail` program, msmtp, and a mail server that comes and goes.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::lab;
use crate::session::BOUND;

/// How the server is: it takes mail, or the network ends each connection before its first word, or it
/// asks to come again later.
const TAKES: u8 = 0;
const IS_AWAY: u8 = 1;
const IS_BUSY: u8 = 2;

/// A mail that the server has taken.
#[derive(Debug, Clone, Default)]
struct Mail {
    from: String,
    to: Vec<String>,
    text: String,
}

impl Mail {
    /// A header that is on one line.
    fn header(&self, name: &str) -> &str {
        let lines = self.text.lines().take_while(|line| !line.is_empty());
        let found = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).next();
        found.unwrap_or_else(|| panic!("no {name}: {}", self.text))
    }

    fn body(&self) -> String {
        let (_, body) = self.text.split_once("\n\n").unwrap_or_default();
        let decoded = STANDARD.decode(body.replace('\n', "")).unwrap_or_default();
        String::from_utf8_lossy(&decoded).into_owned()
    }
}

struct Server {
    port: u16,
    how: Arc<AtomicU8>,
    taken: Arc<Mutex<Vec<Mail>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let server = Self { port, how: Arc::default(), taken: Arc::default() };
        let (how, taken) = (Arc::clone(&server.how), Arc::clone(&server.taken));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let how = how.load(Ordering::SeqCst);
                if how != IS_AWAY {
                    let _ = talk(stream, how == IS_BUSY, &taken);
                }
            }
        });
        server
    }

    fn is(&self, how: u8) {
        self.how.store(how, Ordering::SeqCst);
    }

    fn mails(&self) -> Vec<Mail> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One connection, as RFC 5321 has it.
fn talk(stream: TcpStream, is_busy: bool, taken: &Mutex<Vec<Mail>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let say = |line: &str| (&stream).write_all(format!("{line}\r\n").as_bytes());
    let mut mail = Mail::default();
    say("220 lab ESMTP")?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let address =
            || line.split_once(':').map(|(_, to)| to.trim().to_owned()).unwrap_or_default();
        match line.split([' ', ':']).next().unwrap_or_default().to_uppercase().as_str() {
            "EHLO" | "HELO" => say("250 lab")?,
            "MAIL" => {
                mail = Mail { from: address(), ..Mail::default() };
                say("250 2.1.0 ok")?;
            }
            "RCPT" if is_busy => say("451 4.3.0 come again later")?,
            "RCPT" => {
                mail.to.push(address());
                say("250 2.1.5 ok")?;
            }
            "DATA" => {
                say("354 go ahead")?;
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line)? == 0 {
                        return Ok(());
                    }
                    let line = line.trim_end_matches(['\r', '\n']);
                    if line == "." {
                        break;
                    }
                    mail.text += line.strip_prefix('.').unwrap_or(line);
                    mail.text.push('\n');
                }
                let mail = std::mem::take(&mut mail);
                taken.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
                say("250 2.0.0 taken")?;
            }
            "QUIT" => return say("221 bye"),
            _ => say("250 ok")?,
        }
    }
}

#[test]
fn mail_by_msmtp_arrives_once_and_in_order_when_its_server_is_back() {
    let Some(lab) = lab::get() else { return };
    if !lab::is_installed("msmtp") {
        return lab::skipped("msmtp is missing");
    }
    let (user, server) = (lab.user("letters"), Server::start());
    let port = server.port;
    user.write(
        ".msmtprc",
        format!("account default\nhost 127.0.0.1\nport {port}\nauth off\ntls off\ntimeout 20\n"),
    );
    user.set_mode(".msmtprc", 0o600);
    user.write(
        ".config/samocode/notify.toml",
        "[channel.mail]\nto = [\"me@example.org\", \"you@example.org\"]\nfrom = \"samo@example.org\"\n\
         sendmail = \"/usr/bin/msmtp\"\n",
    );
    user.set_mode(".config/samocode/notify.toml", 0o600);
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();

    let failures = [("first", IS_AWAY), ("second", IS_BUSY)];
    for (name, how) in failures {
        server.is(how);
        let session = project.named(name);
        session.enable(&["--task", "Grüße, a JWT login"]);
        user.wait_until(&format!("the mail of {name} failed"), BOUND, || {
            session.journal("notified").iter().any(|line| line["error"].is_string())
        });
        let status = project.samocode(["status", name]).ok().stdout;
        assert!(status.contains("could not notify you via mail"), "{status}");
    }
    let doctor = project.samocode(["doctor"]).output().stdout;
    assert!(doctor.contains("could not notify you via mail"), "{doctor}");
    assert!(doctor.contains("msmtp"), "with the program's own words: {doctor}");
    assert_eq!(server.mails().len(), 0);

    server.is(TAKES);
    project.samocode(["notify", "test"]).ok();
    let kept =
        || user.sh("find ~/.local/state/samocode/notices -type f -name '*.json'").ok().stdout;
    user.wait_until("nothing is kept", BOUND, || kept().is_empty());
    let mails = server.mails();
    // The test of the channel does not wait for the others.
    let (tests, late): (Vec<_>, Vec<_>) =
        mails.iter().partition(|mail| mail.header("Subject").contains("can reach you here"));
    assert_eq!((tests.len(), late.len()), (1, 2), "{mails:?}");
    for (mail, (name, _)) in late.iter().zip(failures) {
        assert!(mail.header("Subject").contains(&format!("{name} is waiting")), "{mail:?}");
        assert!(mail.body().contains(&format!("samocode answer {name}")), "{}", mail.body());
        assert!(mail.from.contains("<samo@example.org>"), "{mail:?}");
        assert_eq!(mail.to, ["<me@example.org>", "<you@example.org>"]);
    }
    assert_ne!(late[0].header("Message-ID"), late[1].header("Message-ID"));
}
