//! The service manager for real: each test is driven by a program inside the lab, which is this
//! test binary again ([`inside`]), and so are the workers it starts ([`worker`]).

mod foreground;
mod inside;
mod system;
mod user;
mod worker;

use std::path::Path;
use std::sync::OnceLock;

use crate::lab::{self, Lab, LabCommand, LabUser, secs};

/// Where the lab has this test binary.
pub(crate) const PROGRAM: &str = "/srv/lab/samocode-tests";

/// What the units run as `samocode`: hands verb and instance to this test binary.
const STAND_IN: &str = "#!/bin/sh\n\
    export LAB_ARGS=\"$*\" LAB_INSTANCE=$2\n\
    exec /srv/lab/samocode-tests --exact service::worker::$1 --ignored --nocapture -q\n";

/// Puts this test binary into the lab, once.
pub(crate) fn place(lab: &Lab) {
    static PLACED: OnceLock<()> = OnceLock::new();
    PLACED.get_or_init(|| {
        let own = std::env::current_exe().unwrap();
        lab::place(&own, &lab.disk_on_host().join("samocode-tests")).unwrap();
    });
}

/// The command that runs a function of this test binary that is marked as for the lab.
pub(crate) fn part(command: LabCommand, function: &str) -> LabCommand {
    let mut command = command;
    for arg in ["--exact", function, "--ignored", "--nocapture"] {
        command = command.arg(arg);
    }
    command
}

/// Runs `inside::NAME` as `user`, who gets the stand-in for samocode as `~/samocode`.
#[track_caller]
fn drive(lab: &'static Lab, user: &LabUser, name: &str) {
    place(lab);
    user.write_program("samocode", STAND_IN);
    let inside = part(user.run([PROGRAM]), &format!("service::inside::{name}"));
    // A crash loop starts this large program a hundred times.
    let done = inside.within(secs(240)).output();
    let output = format!("{}\n{}", done.stdout, done.stderr);
    println!("{output}");
    assert!(output.contains("1 passed"), "{output}\n{}", user.diagnosis());
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
