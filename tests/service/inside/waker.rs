//! The waker and its spool.

use std::fs;
use std::time::Instant;

use samocode::service::{Action, Active, Enablement, ServiceManager as _, quiet};

use super::{BOUND, Driver, is_active};
use crate::service::worker::runtime;

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
