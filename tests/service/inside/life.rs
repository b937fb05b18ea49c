//! A session's unit from its first start to its removal, and how units are listed and watched.

use std::fs;
use std::time::Instant;

use futures_util::StreamExt as _;
use samocode::service::systemd::{files, units};
use samocode::service::{
    self, Active, Enablement, Error, JobResult, ServiceManager as _, UnitResult, quiet,
};
use samocode::session::Hint as _;

use super::{BOUND, Driver, drop_ins, is_active, says_what_it_does};
use crate::service::worker::runtime;

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
    assert!(error.in_one_line().contains("samocode why unready"), "{error}");
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

    // Killed between the write and the reload: the next install reloads.
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

part!(a_change_is_reported, driver, {
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
