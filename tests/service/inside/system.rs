//! The system's manager, as root and as one who may not.

use std::path::{Path, PathBuf};

use samocode::service::{self, Scope, Session, Shared, Spool, quiet};
use samocode::session::Hint as _;

use super::is_active;
use crate::service::worker::runtime;

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
        println!("error: {}", error.in_one_line());
    });
}
