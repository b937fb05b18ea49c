//! Competing jobs: a start while the unit is being stopped, and the other way round.

use std::fs;

use samocode::service::systemd::units;
use samocode::service::{
    self, Action, Active, Error, JobResult, ServiceManager as _, quiet, retire,
};

use super::{Driver, is_active};
use crate::service::worker::runtime;

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

part!(a_token_during_a_stop_is_void, driver, {
    let manager = &driver.manager;
    manager.watch_spool().await.unwrap();
    driver.session("stays", "slow-stop\nrun").await;
    let release = driver.fifo("stays");
    driver.start("stays").await.unwrap();
    let stop = manager.stop("stays", &quiet);
    let token = async {
        driver.until("stays", "stopping", |unit| unit.status.active == Active::Deactivating).await;
        driver.token(Action::Start, "stays").await;
        driver.until_settled("stays").await;
        let unit = manager.unit("stays").await.unwrap();
        assert_eq!(unit.status.active, Active::Deactivating, "the stop is under way still");
        fs::write(&release, "").unwrap();
    };
    let (stopped, ()) = tokio::join!(stop, token);
    stopped.unwrap();
    let unit = manager.unit("stays").await.unwrap();
    assert_eq!((unit.status.active, unit.status.has_job), (Active::Inactive, false));

    driver.token(Action::Start, "stays").await;
    driver.until("stays", "active again", is_active).await;
});

part!(a_removal_insists, driver, {
    let manager = &driver.manager;
    driver.session("goes", "slow-stop\nrun").await;
    manager.enable("goes").await.unwrap();
    let release = driver.fifo("goes");
    driver.start("goes").await.unwrap();
    // Slow work of the waker.
    let taken = driver.spool.dir().with_file_name("wake-taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("1.0,goes"), "").unwrap();
    fs::write(taken.join("1.1,other"), "").unwrap();
    let drop_in = manager.unit_dir().await.unwrap().join(units::drop_in("goes"));

    let others = async {
        driver.until("goes", "stopping", |unit| unit.status.active == Active::Deactivating).await;
        // It takes the stop's place, and another stop takes its.
        let started = driver.start("goes").await;
        assert!(started.is_err_and(|error| error.is_overruled()));
        fs::write(&release, "").unwrap();
        driver.until("goes", "down", |unit| unit.status.active == Active::Inactive).await;
        assert!(drop_in.exists(), "the waker may start it still");
        driver.start("goes").await.unwrap();
        fs::remove_file(taken.join("1.0,goes")).unwrap();
    };
    let (retired, ()) = tokio::join!(retire::retire(manager, "goes", &quiet), others);
    retired.unwrap();
    assert!(!drop_in.exists());
    let listed = manager.units().await.unwrap();
    assert!(listed.iter().all(|unit| unit.instance != "goes"), "{listed:?}");
});
