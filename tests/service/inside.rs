//! Runs inside the lab, as an ordinary user with a manager of their own, and drives that manager
//! through the library. Not tests by themselves: those in `user` start them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use samocode::service::systemd::manager::Systemd;
use samocode::service::systemd::{files, units};
use samocode::service::{
    self, Action, Active, Enablement, Error, JobResult, Scope, ServiceManager, Session, Shared,
    Spool, Token, UnitResult, quiet,
};

use super::worker::runtime;

const BOUND: Duration = Duration::from_secs(90);

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

    /// What `install` writes for all sessions.
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

    /// Waits for a note that begins so.
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

    /// What a worker waits at, in the session's folder.
    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.folder(name).join("release");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600));
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        path
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

/// Its line break became a blank, or it would have said another thing.
fn says_what_it_does(unit: &service::UnitDetail) -> bool {
    is_active(unit) && unit.status_text == "phase testing READY=0"
}

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

part!(the_life_of_a_session, driver, {
    let manager = &driver.manager;
    assert!(!driver.session("life", "run").await, "a new instance needs no reload");
    manager.enable("life").await.unwrap();
    driver.start("life").await.unwrap();
    let unit = driver.until("life", "active", says_what_it_does).await;
    assert_eq!(unit.enabled, Enablement::Enabled);
    assert_eq!(drop_ins("life").await.lines().count(), 1);
    assert!(unit.cgroup.contains("samocode.slice"), "{}", unit.cgroup);
    let first = unit.main_pid.unwrap();

    driver.start("life").await.unwrap();
    assert_eq!(manager.unit("life").await.unwrap().main_pid, Some(first), "a no-op");

    manager.reload("life").await.unwrap();
    driver.until("life", "sent SIGHUP", |unit| unit.status_text == "hangup").await;
    assert_eq!(manager.unit("life").await.unwrap().main_pid, Some(first), "reload keeps it");

    manager.restart("life", &quiet).await.unwrap();
    let second = manager.unit("life").await.unwrap().main_pid.unwrap();
    assert_ne!(first, second);

    manager.kill("life", 9).await.unwrap();
    let unit = driver
        .until("life", "restarted", |unit| is_active(unit) && unit.main_pid != Some(second))
        .await;
    assert_eq!(unit.restarts, 1);

    let listed = manager.units().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].instance.as_str(), &listed[0].active), ("life", &Active::Active));
    assert!(listed[0].is_up());

    manager.stop("life", &quiet).await.unwrap();
    let unit = manager.unit("life").await.unwrap();
    assert_eq!((unit.status.active, unit.main_pid), (Active::Inactive, None));
    assert!(
        !driver.notes("life").iter().any(|note| note.starts_with("failed")),
        "a stop is no failure"
    );
    manager.stop("life", &quiet).await.unwrap();
    manager.stop("never-heard-of", &quiet).await.unwrap();

    manager.disable("life").await.unwrap();
    assert_eq!(manager.unit("life").await.unwrap().enabled, Enablement::Disabled);
    manager.remove("life").await.unwrap();
    assert_eq!(drop_ins("life").await, "");
    assert_eq!(manager.registry().await.unwrap().recorded("life").unwrap(), None);
    manager.remove("never-heard-of").await.unwrap();
    let unknown = manager.unit("never-heard-of").await.unwrap();
    assert_eq!((unknown.status.active, unknown.enabled), (Active::Inactive, Enablement::Disabled));
});

part!(exit_codes, driver, {
    let manager = &driver.manager;
    driver.session("zero", "exit 0").await;
    driver.start("zero").await.unwrap();
    let unit =
        driver.until("zero", "inactive", |unit| unit.status.active == Active::Inactive).await;
    assert_eq!((unit.result, unit.restarts), (UnitResult::Success, 0));

    driver.session("interrupted", "exit 75\nexit 75\nrun").await;
    driver.start("interrupted").await.unwrap();
    let unit = driver.until("interrupted", "back", |unit| unit.restarts == 2).await;
    assert_eq!(unit.result, UnitResult::Success);
    driver.until("interrupted", "active", says_what_it_does).await;

    for code in [2, 69, 70, 78] {
        let name = format!("gives-up-{code}");
        driver.session(&name, &format!("exit {code}")).await;
        driver.start(&name).await.unwrap();
        let unit = driver.until(&name, "failed", |unit| unit.status.active == Active::Failed).await;
        assert_eq!((unit.restarts, unit.exit_status), (0, code));
        driver.until_noted(&name, "failed").await;
    }

    driver.session("unready", "exit-unready 78").await;
    let error = driver.start("unready").await.unwrap_err();
    assert!(matches!(&error, Error::Job { result: JobResult::Failed, .. }), "{error}");
    assert!(error.to_string().contains("`samocode why unready`"), "{error}");
    manager.reset_failed("unready").await.unwrap();
    assert_eq!(manager.unit("unready").await.unwrap().status.active, Active::Inactive);
    manager.reset_failed("never-heard-of").await.unwrap();

    driver.session("hung", "trigger\nrun").await;
    driver.start("hung").await.unwrap();
    driver.until("hung", "restarted", |unit| unit.restarts == 1 && is_active(unit)).await;

    driver.session("crashes", "exit 101").await;
    // The first start may be over before the job is.
    let _ = driver.start("crashes").await;
    let unit = driver.until("crashes", "failed", |unit| unit.status.active == Active::Failed).await;
    assert_eq!(driver.notes("crashes").iter().filter(|note| *note == "ready").count(), 50);
    assert_eq!(unit.restarts, 50);
});

part!(only_a_loaded_unit_costs_a_reload, driver, {
    let manager = &driver.manager;
    assert!(!driver.session("fresh", "run").await);
    assert!(!driver.session("fresh", "run").await, "nothing changed");
    driver.start("fresh").await.unwrap();
    assert!(!manager.reload_if_needed("samocode@fresh.service").await.unwrap());
    let drop_in = manager.unit_dir().await.unwrap().join(units::drop_in("fresh"));
    fs::write(&drop_in, "[Service]\nEnvironment=CHANGED=1\n").unwrap();
    assert!(manager.reload_if_needed("samocode@fresh.service").await.unwrap());
    assert!(!manager.reload_if_needed("samocode@fresh.service").await.unwrap());
    assert!(driver.session("fresh", "run").await, "it is loaded and its drop-in changed");

    // Killed between the writing and the reload: the next one makes up for it.
    let path = units::drop_in("fresh");
    let text = fs::read_to_string(manager.unit_dir().await.unwrap().join(&path)).unwrap() + "#\n";
    let set = units::UnitSet { files: vec![service::UnitFile { path, text }] };
    files::install(&manager.unit_dir().await.unwrap(), &set).unwrap();
    assert!(manager.install_units(&set).await.unwrap(), "written and not reloaded");

    let mut set = driver.shared().await;
    assert!(!manager.install_units(&set).await.unwrap(), "nothing changed");
    set.files[0].text.push_str("# changed\n");
    assert!(manager.install_units(&set).await.unwrap(), "a changed template");
    assert!(!manager.install_units(&set).await.unwrap());
});

part!(a_start_while_the_worker_finishes_is_queued, driver, {
    let manager = &driver.manager;
    driver.session("finishes", "finish-slowly\nrun").await;
    let release = driver.fifo("finishes");
    driver.start("finishes").await.unwrap();
    let unit = driver.until("finishes", "finishing", |unit| unit.status_text == "finishing").await;
    assert_eq!(unit.status.active, Active::Deactivating, "STOPPING=1 says so to the manager");
    manager.watch_spool().await.unwrap();
    driver.token(Action::Start, "finishes").await;
    let queued = |unit: &service::UnitDetail| unit.status.has_job;
    driver.until("finishes", "to be started", queued).await;
    fs::write(&release, "").unwrap();
    let back = |new: &service::UnitDetail| is_active(new) && new.main_pid != unit.main_pid;
    let unit = driver.until("finishes", "active again", back).await;
    assert_eq!(unit.restarts, 0, "started by the token");
});

part!(a_start_during_a_stop_comes_after_it, driver, {
    let manager = &driver.manager;
    driver.session("slow", "slow-stop\nrun").await;
    let release = driver.fifo("slow");
    driver.start("slow").await.unwrap();
    let first = manager.unit("slow").await.unwrap().main_pid;
    let stop = async {
        // The start takes the stop's place, and waits for the unit to be down all the same.
        let ended = manager.stop("slow", &quiet).await;
        assert!(matches!(&ended, Err(Error::Job { result: JobResult::Canceled, .. })), "{ended:?}");
        assert_eq!(manager.unit("slow").await.unwrap().status.active, Active::Deactivating);
        fs::write(&release, "").unwrap();
    };
    let start = async {
        driver.until("slow", "stopping", |unit| unit.status.active == Active::Deactivating).await;
        driver.start("slow").await.unwrap();
    };
    tokio::join!(stop, start);
    let unit = manager.unit("slow").await.unwrap();
    assert!(is_active(&unit) && unit.main_pid != first, "{unit:?}");
});

part!(the_waker_starts_what_has_mail, driver, {
    let manager = &driver.manager;
    manager.watch_spool().await.unwrap();
    manager.watch_spool().await.unwrap();
    let names: Vec<String> = (0..50).map(|number| format!("s{number}")).collect();
    for name in &names {
        driver.session(name, "run").await;
    }
    fs::write(driver.folder("s0").join("stopped"), "").unwrap();
    manager.enable("s1").await.unwrap();
    driver.session("owed", "run").await;
    let taken = driver.spool.dir().with_file_name("wake-taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("1.0,owed"), "").unwrap();
    fs::create_dir(driver.spool.dir().join("garbage")).unwrap();
    let begin = Instant::now();
    for name in &names {
        driver.token(Action::Start, name).await;
    }
    driver.token(Action::Disable, "s1").await;
    driver.token(Action::Start, "there-is-no-such").await;
    for name in &names[1..] {
        driver.until(name, "active", is_active).await;
    }
    println!("{} sessions were woken in {:?}", names.len() - 1, begin.elapsed());
    driver.until("owed", "active", is_active).await;
    driver.until("s1", "disabled", |unit| unit.enabled == Enablement::Disabled).await;
    assert_eq!(
        manager.unit("s0").await.unwrap().status.active,
        Active::Inactive,
        "a human stopped it"
    );

    let begin = Instant::now();
    manager.stop("s2", &quiet).await.unwrap();
    driver.token(Action::Start, "s2").await;
    driver.until("s2", "active", is_active).await;
    println!("one session was stopped and woken in {:?}", begin.elapsed());
});

part!(a_broken_waker_strands_no_mail, driver, {
    let manager = &driver.manager;
    manager.watch_spool().await.unwrap();
    driver.session("patient", "run").await;
    let (program, away) = (driver.home.join("samocode"), driver.home.join("away"));
    fs::rename(&program, &away).unwrap();
    driver.token(Action::Start, "patient").await;
    // Failed three times, a second apart.
    let mut fails = tokio::process::Command::new("sh")
        .args([
            "-c",
            "journalctl --user -u samocode-wake.service -f -n all -o cat | \
            grep -m 3 -q 'Scheduled restart job'",
        ])
        .spawn()
        .unwrap();
    tokio::time::timeout(BOUND, fails.wait()).await.expect("it fails again and again").unwrap();
    fs::rename(&away, &program).unwrap();
    driver.until("patient", "active", is_active).await;
    manager.watch_spool().await.unwrap();
    manager.stop("patient", &quiet).await.unwrap();
    driver.token(Action::Start, "patient").await;
    driver.until("patient", "active", is_active).await;
});

part!(a_change_is_told, driver, {
    let manager = &driver.manager;
    driver.session("watched", "exit 0").await;
    driver.session("other", "run").await;
    let mut changes = manager.watch(&["watched".to_owned()]).await.unwrap();
    driver.start("other").await.unwrap();
    driver.start("watched").await.unwrap();
    let (mut states, mut lines) = (Vec::new(), Vec::new());
    let has_ended = |states: &[Active], lines: &[String]| {
        lines.contains(&"ends".to_owned())
            && states.last().is_some_and(|last| *last == Active::Inactive)
    };
    while !has_ended(&states, &lines) {
        let next = tokio::time::timeout(BOUND, changes.next());
        let change = next.await.expect("it ends").expect("the manager stays");
        assert_eq!(change.instance, "watched");
        states.extend(change.active.filter(|state| states.last() != Some(state)));
        lines.extend(change.status_text);
    }
    assert!(states.contains(&Active::Activating), "{states:?}");
});

part!(a_thousand_sessions_are_listed_at_once, driver, {
    let manager = &driver.manager;
    let dir = manager.unit_dir().await.unwrap();
    let wants = dir.join("default.target.wants");
    fs::create_dir_all(&wants).unwrap();
    for number in 0..1000 {
        let unit = format!("samocode@n{number}.service");
        std::os::unix::fs::symlink(dir.join("samocode@.service"), wants.join(unit)).unwrap();
    }
    for name in ["n7", "n8"] {
        driver.session(name, "run").await;
    }
    let reload =
        tokio::process::Command::new("systemctl").args(["--user", "daemon-reload"]).status();
    assert!(reload.await.unwrap().success());
    manager.units().await.unwrap();
    driver.start("n7").await.unwrap();
    let begin = Instant::now();
    let listed = manager.units().await.unwrap();
    println!("of 1000 units {} were listed in {:?}", listed.len(), begin.elapsed());
    let names: Vec<&str> = listed.iter().map(|unit| unit.instance.as_str()).collect();
    assert_eq!(names, ["n7"], "what is idle is not listed");
    let begin = Instant::now();
    let detail = manager.unit("n8").await.unwrap();
    println!("one of them was looked up in {:?}", begin.elapsed());
    assert_eq!(detail.enabled, Enablement::Enabled);
});

part!(units_to_verify, driver, {
    driver.session("verified", "run").await;
    let convoy = units::convoy("c", &["verified".to_owned()]).unwrap();
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

/// Without a manager: prints what connecting says.
#[test]
#[ignore = "runs inside the lab"]
fn no_manager() {
    let error = runtime().block_on(service::connect(Scope::User)).err();
    println!("error: {}", error.expect("there is none"));
}

/// Turns lingering on, and prints what is said and whether it is on before and after.
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

/// The system's manager, as root: a session that runs as `LAB_UID` in `LAB_FOLDER`.
#[test]
#[ignore = "runs inside the lab"]
fn system_session() {
    runtime().block_on(async {
        let manager = service::connect(Scope::System).await.unwrap();
        let registry = manager.registry().await.unwrap();
        assert_eq!(registry.dir(), Path::new("/etc/systemd/system"));
        assert!(manager.lingering().await.unwrap());
        let spool = Spool::of(Scope::System).unwrap();
        spool.create(Scope::System).unwrap();
        let binary = PathBuf::from("/srv/lab/samocode-system");
        let shared = Shared { binary: &binary, spool: spool.dir() };
        let folder = PathBuf::from(std::env::var_os("LAB_FOLDER").unwrap());
        let session = Session {
            instance: "sys".to_owned(),
            project: "p".to_owned(),
            config: folder.join(".samocode"),
            folder: folder.clone(),
            spool: spool.dir().to_owned(),
            uid: Some(std::env::var("LAB_UID").unwrap().parse().unwrap()),
            ..Session::default()
        };
        manager.install(shared, Some(&session)).await.unwrap();
        manager.watch_spool().await.unwrap();
        manager.enable("sys").await.unwrap();
        manager.start("sys", &quiet).await.unwrap();
        assert!(is_active(&manager.unit("sys").await.unwrap()));
        manager.stop("sys", &quiet).await.unwrap();
    });
}

/// The system's manager, as a user: it must refuse.
#[test]
#[ignore = "runs inside the lab"]
fn system_denied() {
    runtime().block_on(async {
        let manager = service::connect(Scope::System).await.unwrap();
        assert!(!manager.units().await.unwrap().is_empty(), "looking is free");
        let error = manager.start("sys", &quiet).await.unwrap_err();
        println!("error: {error}");
    });
}
