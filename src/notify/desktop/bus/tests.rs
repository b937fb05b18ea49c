use super::*;
use crate::notify::About;
use futures_util::StreamExt;
use std::process::{Child, Command, Stdio};
use tokio::sync::mpsc;
use zbus::{MessageStream, OwnedVariant};

mod pressed;

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
