//! Runs inside the lab, as an ordinary user with a manager of their own, and drives that manager
//! through the library. Not tests by themselves: those in `user` start them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt as _;
use samocode::service::systemd::manager::Systemd;
use samocode::service::systemd::{convoys, units};
use samocode::service::{
    self, Action, Active, Error, Scope, ServiceManager, Session, Shared, Spool, Token, quiet,
};
use samocode::session::Hint as _;

use crate::service::worker::runtime;

const BOUND: Duration = Duration::from_secs(90);

macro_rules! part {
    ($name:ident, $driver:ident, $body:block) => {
        #[test]
        #[ignore = "runs inside the lab"]
        fn $name() {
            runtime().block_on(async {
                let $driver = Driver::new().await;
                $body
            });
        }
    };
}

mod jobs;
mod life;
mod system;
mod waker;

struct Driver {
    manager: Systemd,
    spool: Spool,
    home: PathBuf,
}

impl Driver {
    async fn new() -> Self {
        let home = PathBuf::from(std::env::var_os("HOME").unwrap());
        let manager = Systemd::connect(Scope::User).await.unwrap();
        let spool = Spool::of(Scope::User).unwrap();
        spool.create(Scope::User).unwrap();
        let driver = Self { manager, spool, home };
        driver.install(None).await;
        driver
    }

    /// Installs what all sessions share and the unit of one; whether that took a reload.
    async fn install(&self, session: Option<&Session>) -> bool {
        let binary = self.home.join("samocode");
        let shared = Shared { binary: &binary, spool: self.spool.dir() };
        self.manager.install(shared, session).await.unwrap()
    }

    /// The files that `install` writes for all sessions.
    async fn shared(&self) -> units::UnitSet {
        let version = self.manager.version().await.unwrap();
        let binary = self.home.join("samocode");
        let of = Shared { binary: &binary, spool: self.spool.dir() };
        units::shared(of, Scope::User, version).unwrap()
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.home.join("sessions 100%").join(name)
    }

    /// Writes the session's folder with its orders, and its unit; whether that took a reload.
    async fn session(&self, name: &str, orders: &str) -> bool {
        let folder = self.folder(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("orders"), orders).unwrap();
        let session = Session {
            instance: name.to_owned(),
            project: "a \"project\"".to_owned(),
            config: self.home.join(".samocode"),
            folder,
            spool: self.spool.dir().to_owned(),
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            limits: service::Limits {
                memory_max: Some("50%".to_owned()),
                cpu_weight: Some("100".to_owned()),
                ..service::Limits::default()
            },
            ..Session::default()
        };
        self.install(Some(&session)).await
    }

    fn notes(&self, name: &str) -> Vec<String> {
        let notes = super::read(&self.folder(name).join("notes"));
        notes.lines().map(ToOwned::to_owned).collect()
    }

    /// Waits for a note with this prefix.
    async fn until_noted(&self, name: &str, what: &str) {
        let is_noted = || self.notes(name).iter().any(|note| note.starts_with(what));
        let wait = async {
            while !is_noted() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(BOUND, wait).await.is_ok(), "{name} has no note {what:?}");
    }

    async fn start(&self, name: &str) -> Result<(), Error> {
        self.manager.start(name, &quiet).await
    }

    /// Waits until `is_so` says so of the unit, woken by the manager's signals.
    async fn until(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(&service::UnitDetail) -> bool,
    ) -> service::UnitDetail {
        let mut changes = self.manager.watch(&[name.to_owned()]).await.unwrap();
        let wait = async {
            loop {
                let unit = self.manager.unit(name).await.unwrap();
                if is_so(&unit) {
                    return unit;
                }
                changes.next().await.expect("the manager stays");
            }
        };
        match tokio::time::timeout(BOUND, wait).await {
            Ok(unit) => unit,
            Err(_) => {
                panic!("{name} is never {what}: {:?}", self.manager.unit(name).await.unwrap())
            }
        }
    }

    /// The file that a worker waits for, in the session's folder.
    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.folder(name).join("release");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600));
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        path
    }

    /// Waits until the waker is through with the tokens of `name`.
    async fn until_settled(&self, name: &str) {
        let is_settled =
            || !self.spool.dir().join(name).exists() && !self.spool.owes(name).unwrap();
        let wait = async {
            while !is_settled() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(BOUND, wait).await.is_ok(), "the token of {name} stays");
    }

    async fn token(&self, action: Action, name: &str) {
        self.spool.leave(&Token::new(action, name).unwrap()).unwrap();
    }
}

fn is_active(unit: &service::UnitDetail) -> bool {
    unit.status.active == Active::Active
}

/// The drop-ins that the manager has loaded for a session, a line each.
async fn drop_ins(instance: &str) -> String {
    let unit = service::unit_name(instance);
    let mut show = tokio::process::Command::new("systemctl");
    show.args(["--user", "show", "--property=DropInPaths", "--value", &unit]);
    let shown = String::from_utf8(show.output().await.unwrap().stdout).unwrap();
    shown.split_whitespace().map(|path| format!("{path}\n")).collect()
}

/// The line break must have become a space, or the message would differ.
fn says_what_it_does(unit: &service::UnitDetail) -> bool {
    is_active(unit) && unit.status_text == "phase testing READY=0"
}

part!(units_to_verify, driver, {
    driver.session("verified", "run").await;
    let members = vec!["verified".to_owned()];
    let convoy = service::Convoy { id: "c".to_owned(), members, ..Default::default() };
    let convoy = convoys::units(&convoy, 257).unwrap();
    driver.manager.install_units(&convoy).await.unwrap();
});

part!(where_the_manager_is, driver, {
    drop(driver);
    let manager = service::connect(Scope::User).await.unwrap();
    let own = manager.registry().await.unwrap();
    let dir = own.dir();
    assert!(dir.starts_with(std::env::var_os("HOME").unwrap()), "{}", dir.display());
    assert_eq!(own.instances().unwrap(), [] as [&str; 0]);
});

/// Without a manager: prints the result of connecting.
#[test]
#[ignore = "runs inside the lab"]
fn no_manager() {
    let error = runtime().block_on(service::connect(Scope::User)).err();
    println!("error: {}", error.expect("there is none").in_one_line());
}

/// Turns lingering on, and prints the result and whether it is on before and after.
#[test]
#[ignore = "runs inside the lab"]
fn linger() {
    runtime().block_on(async {
        let manager = service::connect(Scope::User).await.unwrap();
        println!("before: {:?}", manager.lingering().await);
        println!("turned on: {:?}", manager.enable_linger().await.map_err(|e| e.to_string()));
        println!("after: {:?}", manager.lingering().await);
    });
}
