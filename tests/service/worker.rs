//! What the units in these tests run. Not tests: a unit starts each through the stand-in.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use samocode::service::{self, Notify, Scope, Spool, foreground};
use tokio::signal::unix::{SignalKind, signal};

fn instance() -> String {
    std::env::var("LAB_INSTANCE").expect("started by the stand-in")
}

fn scope() -> Scope {
    let args = std::env::var("LAB_ARGS").unwrap_or_default();
    if args.contains("--system") { Scope::System } else { Scope::User }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub(super) fn note(folder: &Path, line: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join("notes")).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// The first line of `orders`, which is taken off unless it is the last.
fn order(folder: &Path) -> String {
    let path = folder.join("orders");
    let all = super::read(&path);
    match all.trim_end().split_once('\n') {
        Some((first, rest)) => {
            fs::write(&path, rest).unwrap();
            first.to_owned()
        }
        None => all.trim_end().to_owned(),
    }
}

/// Does what the file `orders` in the session's folder says: `run`, `exit CODE`,
/// `exit-unready CODE`, `finish-slowly`, `slow-stop`, `trigger`.
#[test]
#[ignore = "a unit starts it"]
fn worker() {
    foreground::end_with_parent().unwrap();
    let folder = PathBuf::from(std::env::var_os("SAMOCODE_SESSION_DIR").unwrap());
    let notify = Notify::from_env();
    note(&folder, &format!("start {} {}", std::process::id(), rustix::process::getuid().as_raw()));
    let order = order(&folder);
    let code = |text: &str| text.trim().parse().unwrap();
    if let Some(text) = order.strip_prefix("exit-unready ") {
        std::process::exit(code(text));
    }
    runtime().block_on(async {
        let mut hangup = signal(SignalKind::hangup()).unwrap();
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        notify.ready();
        notify.status("phase testing\nREADY=0");
        notify.barrier().unwrap();
        note(&folder, "ready");
        if order == "finish-slowly" {
            notify.stopping();
            notify.barrier().unwrap();
            notify.status("finishing");
            // Blocks until the test opens the other end.
            fs::read(folder.join("release")).unwrap();
            std::process::exit(0);
        }
        if let Some(text) = order.strip_prefix("exit ") {
            notify.status("ends");
            notify.stopping();
            notify.barrier().unwrap();
            std::process::exit(code(text));
        }
        if order == "trigger" {
            notify.trigger();
        }
        loop {
            tokio::select! {
                _ = hangup.recv() => notify.status("hangup"),
                _ = terminate.recv() => {
                    note(&folder, "terminate");
                    if order == "slow-stop" {
                        // Blocks until the test opens the other end.
                        fs::read(folder.join("release")).unwrap();
                    }
                    std::process::exit(75);
                }
            }
        }
    });
}

/// `samocode wake`, with `stopped` in the session's folder for a session that was stopped.
#[test]
#[ignore = "a unit starts it"]
fn wake() {
    let scope = scope();
    let report = runtime().block_on(async {
        let manager = service::connect(scope).await.unwrap();
        let registry = manager.registry().await.unwrap();
        let is_stopped = |name: &str| {
            let session = registry.recorded(name).ok().flatten();
            session.is_some_and(|session| session.folder.join("stopped").exists())
        };
        let spool = Spool::of(scope).unwrap();
        let advance =
            |_, _| -> futures_util::future::BoxFuture<'_, _> { Box::pin(async { Ok(()) }) };
        service::wake::run(&*manager, &spool, is_stopped, &advance).await.unwrap()
    });
    println!("waker: {report:?}");
    std::process::exit(i32::from(!report.stuck.is_empty()));
}

/// `samocode failed INSTANCE`.
#[test]
#[ignore = "a unit starts it"]
fn failed() {
    let session = service::recorded(scope(), &instance()).unwrap().unwrap();
    note(&session.folder, &format!("failed {}", rustix::process::getuid().as_raw()));
}
