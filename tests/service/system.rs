//! The system's manager.

use super::{PROGRAM, STAND_IN, part, place, read};
use crate::lab::{self, Lab, LabUser, secs};

fn set_up(lab: &'static Lab, user: &LabUser) {
    place(lab);
    let program = lab.disk_on_host().join("samocode-system");
    std::fs::write(&program, STAND_IN).unwrap();
    lab.root(["chmod", "755", "/srv/lab/samocode-system"]).ok();
    user.write("sys/orders", "run");
    let folder = user.host_path("sys");
    let uid = user.run(["id", "-u"]).ok().stdout.trim().to_owned();
    let command = lab
        .root([PROGRAM])
        .env("LAB_UID", uid)
        .env("LAB_FOLDER", user.home.join("sys").display().to_string());
    part(command, "service::inside::system::system_session").ok();
    assert!(read(&folder.join("notes")).contains("ready"));
}

fn is_active(lab: &Lab) -> bool {
    lab.root(["systemctl", "is-active", "samocode@sys.service"]).output().code == 0
}

#[test]
fn a_session_of_the_system_runs_as_its_user_who_alone_wakes_it() {
    let Some(lab) = lab::get() else { return };
    let (user, other) = (lab.user("sysuser"), lab.user("stranger"));
    set_up(lab, &user);
    let uid = user.run(["id", "-u"]).ok().stdout.trim().to_owned();
    let notes = || user.read("sys/notes");
    assert!(notes().lines().any(|line| line.starts_with("start ") && line.ends_with(&uid)));

    let spool = "/var/lib/samocode/wake";
    let empty = || std::fs::read_dir(lab.host_path(spool)).unwrap().count() == 0;
    other.run(["touch", &format!("{spool}/sys")]).ok();
    user.wait_until("the stranger's token is taken", secs(10), empty);
    user.wait_until("the waker is done", secs(10), || {
        lab.root(["systemctl", "is-active", "samocode-wake.service"]).output().code != 0
    });
    assert!(!is_active(lab), "a stranger woke it");
    assert_ne!(other.run(["ls", spool]).output().code, 0, "a stranger listed the spool");

    user.run(["touch", &format!("{spool}/sys")]).ok();
    user.wait_until("its own user woke it", secs(10), || is_active(lab));

    let refused = part(user.run([PROGRAM]), "service::inside::system::system_denied").ok().stdout;
    assert!(refused.contains("run it again as root, with sudo"), "{refused}");

    user.write("sys/orders", "exit 78");
    lab.root(["systemctl", "restart", "samocode@sys.service"]).ok();
    let note = format!("failed {uid}");
    user.wait_until("its user was notified", secs(10), || notes().contains(&note));

    let verify = "systemd-analyze verify /etc/systemd/system/samocode@sys.service \
        /etc/systemd/system/samocode-wake.path /etc/systemd/system/samocode-wake.service \
        /etc/systemd/system/samocode-failed@sys.service \
        /etc/systemd/system/samocode-notices@sys.service \
        /etc/systemd/system/samocode-convoy@c.target /etc/systemd/system/samocode.slice";
    let verified = lab.root_sh(verify).output();
    let ours: Vec<&str> =
        verified.stderr.lines().filter(|line| line.contains("samocode")).collect();
    assert!(verified.code == 0 && ours.is_empty(), "{verified}");
}
