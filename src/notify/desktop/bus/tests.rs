use super::super::listen;
use super::*;
use crate::notify::About;
use crate::notify::buttons::Press;
use futures_util::StreamExt;
use std::process::{Child, Command, Stdio};
use tokio::sync::mpsc;
use zbus::{MessageStream, OwnedVariant};

/// A private message bus that starts no services.
struct Bus {
    socket: PathBuf,
    daemon: Child,
    _folder: tempfile::TempDir,
}

impl Bus {
    /// `None`, after printing the reason, if there is no `dbus-daemon`.
    fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// The same with more in its configuration.
    fn start_with(more: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("bus");
        let config = folder.path().join("bus.conf");
        std::fs::write(
            &config,
            format!(
                "<busconfig><type>session</type><listen>unix:path={}</listen>\
                 <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
                 <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy>{more}</busconfig>",
                socket.display()
            ),
        )
        .unwrap();
        let daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut daemon = match daemon {
            Ok(daemon) => daemon,
            Err(error) => {
                crate::skipped(&format!("no private session bus: dbus-daemon: {error}"));
                return None;
            }
        };
        let mut line = String::new();
        let stdout = daemon.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        assert!(line.starts_with("unix:path="), "{line:?}");
        Some(Self { socket, daemon, _folder: folder })
    }

    async fn connection(&self) -> Connection {
        let address = format!("unix:path={}", self.socket.display());
        connection::Builder::address(address.as_str()).build().await.unwrap()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _gone = self.daemon.kill();
        let _status = self.daemon.wait();
    }
}

/// The arguments of `Notify`, `susssasa{sv}i`.
type Shown = (String, u32, String, String, String, Vec<String>, HashMap<String, OwnedVariant>, i32);

/// How the fake notification service responds.
enum Service {
    With(&'static [&'static str]),
    Silent,
    Refusing,
}

/// Runs a notification service on the bus; the channel receives whatever it is asked to show.
async fn serve(bus: &Bus, service: Service) -> mpsc::UnboundedReceiver<Shown> {
    serve_on(bus.connection().await, service, 1).await
}

/// The same on a connection, with numbers of notices from `first` on.
async fn serve_on(
    connection: Connection,
    service: Service,
    first: u32,
) -> mpsc::UnboundedReceiver<Shown> {
    let mut calls = MessageStream::from(&connection);
    connection.request_name(SERVICE).await.unwrap();
    let (shown, out) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut numbers = first..;
        while let Some(Ok(call)) = calls.next().await {
            let header = call.header();
            if call.message_type() != zbus::message::Type::MethodCall {
                continue;
            }
            match (&service, header.member().map(|member| member.as_str())) {
                (Service::Silent, _) => {}
                (Service::With(capabilities), Some("GetCapabilities")) => {
                    connection.reply(&header, capabilities).await.unwrap();
                }
                (Service::With(_), Some("Notify")) => {
                    assert_eq!(header.path().unwrap().as_str(), PATH);
                    shown.send(call.body().deserialize().unwrap()).unwrap();
                    connection.reply(&header, &numbers.next().unwrap()).await.unwrap();
                }
                _ => {
                    let name = "org.freedesktop.Notifications.Error.Full";
                    connection.reply_error(&header, name, &"too\nmany").await.unwrap();
                }
            }
        }
    });
    out
}

fn notice() -> Notice {
    let about =
        About { session: "jwt-login".to_owned(), project: "shop".to_owned(), ..About::default() };
    let reason = "no <b>database</b> & no key\0\u{202e}";
    Notice::blocked(&about, Some(reason), None, "samocode why jwt-login")
}

#[tokio::test]
async fn a_notice_is_shown_with_escaped_markup_and_its_urgency() {
    let Some(bus) = Bus::start() else { return };
    let mut shown = serve(&bus, Service::With(&["body", "body-markup"])).await;
    let desktop = Desktop::new(bus.socket.clone());
    desktop.send(&notice()).await.unwrap();
    let (app, replaces, icon, summary, body, actions, hints, expiry) = shown.recv().await.unwrap();
    assert_eq!((app.as_str(), replaces, icon.as_str(), expiry), ("samocode", 0, "", -1));
    assert_eq!(summary, "jwt-login is blocked");
    assert_eq!(body, "shop\nno &lt;b&gt;database&lt;/b&gt; &amp; no key\nsamocode why jwt-login");
    assert!(actions.is_empty());
    assert_eq!(hints.len(), 1);
    assert_eq!(u8::try_from(hints["urgency"].clone()).unwrap(), 2);

    desktop.send(&Notice { kind: NoticeKind::Waiting, ..notice() }).await.unwrap();
    let (.., hints, _) = shown.recv().await.unwrap();
    assert_eq!(u8::try_from(hints["urgency"].clone()).unwrap(), 1);
}

#[tokio::test]
async fn a_desktop_without_markup_gets_plain_text() {
    let Some(bus) = Bus::start() else { return };
    let mut shown = serve(&bus, Service::With(&["body"])).await;
    Desktop::new(bus.socket.clone()).send(&notice()).await.unwrap();
    let (_, _, _, _, body, ..) = shown.recv().await.unwrap();
    assert_eq!(body, "shop\nno <b>database</b> & no key\nsamocode why jwt-login");
}

#[tokio::test]
async fn a_bus_without_a_notification_service_is_skipped_quietly() {
    let Some(bus) = Bus::start() else { return };
    let error = Desktop::new(bus.socket.clone()).send(&notice()).await.unwrap_err();
    assert!(error.is_quiet() && !error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn a_machine_without_a_bus_is_skipped_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    let error = Desktop::new(socket.clone()).send(&notice()).await.unwrap_err();
    assert!(error.is_quiet(), "{error:?}");
    assert!(error.to_string().contains(&socket.display().to_string()), "{error}");
}

#[tokio::test]
async fn a_service_that_hangs_is_abandoned_at_the_time_limit() {
    let Some(bus) = Bus::start() else { return };
    let _shown = serve(&bus, Service::Silent).await;
    let desktop = Desktop::new(bus.socket.clone()).with_timeout(Duration::from_millis(200));
    let error = desktop.send(&notice()).await.unwrap_err();
    assert!(error.to_string().contains("did not answer within 0.2 s"), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_service_that_is_installed_and_does_not_start_is_skipped_quietly() {
    let folder = tempfile::tempdir().unwrap();
    // As on a server: the bus starts it, and it waits for a display.
    let service = format!("[D-BUS Service]\nName={SERVICE}\nExec=/bin/sleep 20\n");
    std::fs::write(folder.path().join("a.service"), service).unwrap();
    let more = format!("<servicedir>{}</servicedir>", folder.path().display());
    let Some(bus) = Bus::start_with(&more) else { return };
    let desktop = Desktop::new(bus.socket.clone()).with_timeout(Duration::from_secs(1));
    let error = desktop.send(&notice()).await.unwrap_err();
    assert!(error.is_quiet(), "{error:?}");
    assert!(error.to_string().contains("does not start within 1 s"), "{error}");
}

#[tokio::test]
async fn a_refusal_is_reported_in_one_line() {
    let Some(bus) = Bus::start() else { return };
    let _shown = serve(&bus, Service::Refusing).await;
    let error = Desktop::new(bus.socket.clone()).send(&notice()).await.unwrap_err();
    assert!(matches!(error, NotifyError::Final(_)), "{error:?}");
    assert!(error.to_string().ends_with("too many"), "{error}");
}

#[test]
fn the_bus_is_in_the_runtime_folder() {
    assert_eq!(Desktop::user_bus(Some("/run/x".into())), PathBuf::from("/run/x/bus"));
    let own = format!("/run/user/{}/bus", rustix::process::getuid().as_raw());
    assert_eq!(Desktop::user_bus(Some("relative".into())), PathBuf::from(&own));
    assert_eq!(Desktop::user_bus(None), PathBuf::from(own));
}

/// A notice of a plan that waits for approval, left for who shows it.
fn plan(id: &str, key: &str) -> Notice {
    let about = About { id: id.to_owned(), session: "jwt".to_owned(), ..About::default() };
    let notice = Notice::mail(&about, "waits for your approval", None, "samocode approve jwt");
    Notice { plan: Some(key.to_owned()), ..notice }
}

#[tokio::test]
async fn a_press_on_a_button_is_done_and_what_came_of_it_is_shown() {
    let Some(bus) = Bus::start() else { return };
    let service = bus.connection().await;
    let mut shown = serve_on(service.clone(), Service::With(&["actions", "body"]), 1).await;
    let state = tempfile::tempdir().unwrap();
    let waiting = Waiting::of(state.path());
    let desktop = Desktop::new(bus.socket.clone()).with_buttons(Some(waiting.clone()));
    // Nobody would hear a press: it has no buttons.
    desktop.send(&plan("1", "0123456789abcdef")).await.unwrap();
    assert!(shown.recv().await.unwrap().5.is_empty());

    std::fs::create_dir(waiting.folder()).unwrap();
    desktop.send(&plan("2", "0123456789abcdef")).await.unwrap();
    assert!(waiting.next().is_some(), "it is left for who shows it");
    let done = tokio::sync::Mutex::new(Vec::new());
    let act = |press: Press| {
        let done = &done;
        async move {
            done.lock().await.push(press);
            "jwt: the plan is approved.".to_owned()
        }
    };
    let person = async {
        let actions = shown.recv().await.unwrap().5;
        assert_eq!(actions, ["0", "Approve", "1", "Reject"]);
        let stranger = bus.connection().await;
        // Another program on the bus, and a key that is not ours.
        for (by, key) in [(&stranger, "1"), (&service, "default"), (&service, "0")] {
            let arguments = (2_u32, key);
            by.emit_signal(None::<&str>, PATH, SERVICE, "ActionInvoked", &arguments).await.unwrap();
        }
        assert_eq!(shown.recv().await.unwrap().3, "jwt: the plan is approved.");
    };
    let bound = Duration::from_secs(30);
    let listening = listen::listen(&desktop, &waiting, act);
    let (end, ()) = tokio::time::timeout(bound, async { tokio::join!(listening, person) })
        .await
        .expect("it ends when no notice is open");
    end.unwrap();
    assert_eq!(done.into_inner(), [Press::Approve("0123456789abcdef".to_owned())]);
    assert!(waiting.next().is_none());
}

#[tokio::test]
async fn what_a_service_that_left_had_open_is_shown_once_by_its_successor_and_its_buttons_work() {
    const BUTTONS: Service = Service::With(&["actions"]);
    let Some(bus) = Bus::start() else { return };
    let first = bus.connection().await;
    let mut shown = serve_on(first.clone(), BUTTONS, 1).await;
    let state = tempfile::tempdir().unwrap();
    let waiting = Waiting::of(state.path());
    std::fs::create_dir_all(waiting.folder()).unwrap();
    let desktop = Desktop::new(bus.socket.clone())
        .with_buttons(Some(waiting.clone()))
        .expected_back(Some(state.path()));
    desktop.send(&plan("1", "open")).await.unwrap();
    desktop.send(&plan("2", "dismissed")).await.unwrap();
    let done = tokio::sync::Mutex::new(Vec::new());
    let act = |press: Press| {
        let done = &done;
        async move {
            done.lock().await.push(press);
            "jwt: the plan is approved.".to_owned()
        }
    };
    let signal = async |by: &Connection, member: &str, number: u32| {
        let emitted = match member {
            "NotificationClosed" => {
                by.emit_signal(None::<&str>, PATH, SERVICE, member, &(number, 2_u32)).await
            }
            _ => by.emit_signal(None::<&str>, PATH, SERVICE, member, &(number, "0")).await,
        };
        emitted.unwrap();
    };
    let person = async {
        for _ in 0..2 {
            shown.recv().await.unwrap();
        }
        signal(&first, "NotificationClosed", 2).await;
        first.release_name(SERVICE).await.unwrap();
        // It was there a moment ago, so this one is kept, and a person is told of that.
        let error = desktop.send(&plan("3", "new")).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert!(error.to_string().contains("no notification service"), "{error}");
        let next = bus.connection().await;
        let mut shown = serve_on(next.clone(), BUTTONS, 7).await;
        assert_eq!(shown.recv().await.unwrap().5, ["0", "Approve", "1", "Reject"]);
        desktop.send(&plan("3", "new")).await.unwrap();
        shown.recv().await.unwrap();
        // The first is another program's notice now.
        for number in [1, 7] {
            signal(&next, "ActionInvoked", number).await;
        }
        assert_eq!(shown.recv().await.unwrap().3, "jwt: the plan is approved.");
        signal(&next, "NotificationClosed", 8).await;
    };
    let bound = Duration::from_secs(60);
    let listening = listen::listen(&desktop, &waiting, act);
    let (end, ()) = tokio::time::timeout(bound, async { tokio::join!(listening, person) })
        .await
        .expect("it ends when no notice is open");
    end.unwrap();
    assert_eq!(done.into_inner(), [Press::Approve("open".to_owned())]);
    assert!(waiting.next().is_none());
}

#[test]
fn what_needs_words_has_no_buttons() {
    let asked = |options: usize| crate::notify::Asked {
        id: "Q1".to_owned(),
        text: "Where?".to_owned(),
        options: ('A'..).take(options).map(|letter| (letter, "there".to_owned())).collect(),
        suggested: Some('B'),
    };
    let with = |questions| Notice { plan: None, questions, ..plan("1", "") };
    let labels = |notice: &Notice| {
        listen::buttons(notice).into_iter().map(|(label, _)| label).collect::<Vec<_>>()
    };
    assert_eq!(labels(&with(vec![asked(2)])), ["A there", "B ★ there"]);
    assert_eq!(labels(&with(vec![asked(2), asked(2)])).len(), 0);
    assert_eq!(labels(&with(vec![asked(5)])).len(), 0);
    assert_eq!(labels(&with(vec![asked(0)])).len(), 0);
}
