//! How units find an agent that only a shell has on PATH.

use crate::credentials::{enable, stand_in};
use crate::lab::{self, LabUser};

/// nvm's layout: a script that node runs beside its node, neither on PATH. The
/// stand-in for node is bash.
fn installs_by_nvm(user: &LabUser) -> String {
    let bin = ".nvm/versions/node/v20.11.0/bin";
    user.write_program(format!("{bin}/node"), "#!/bin/bash\nexec bash \"$@\"\n");
    user.write_program(
        ".nvm/versions/node/v20.11.0/lib/node_modules/claude/cli.js",
        stand_in("#!/usr/bin/env node", "command -v node >~/node"),
    );
    user.sh(&format!("ln -s ../lib/node_modules/claude/cli.js ~/{bin}/claude")).ok();
    user.home.join(bin).display().to_string()
}

/// A PATH with the system's programs, but no node and no claude.
fn bare_path(user: &LabUser) -> String {
    user.sh("mkdir ~/bare; ln -s /usr/bin/* ~/bare; rm -f ~/bare/{node,nodejs,claude}").ok();
    format!("/opt/samocode/bin:{}/bare", user.home.display())
}

#[test]
fn a_claude_of_nvm_finds_its_node_in_a_unit() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("nvm");
    let (bin, bare) = (installs_by_nvm(&user), bare_path(&user));
    let project = user.project("shop").create();

    // On PATH in the shell, as nvm has it there.
    let session = project.named("jwt");
    enable(&project, &[]).env("PATH", format!("{bin}:{bare}")).ok();
    session.wait_for_state("blocked");
    assert_eq!(user.read("node"), format!("{bin}/node\n"));

    // By its path alone, while PATH has no node.
    user.sh("rm ~/node ~/seen").ok();
    let by_path = project.named("by-path");
    project
        .samocode(["enable", "by-path", "--task", "x"])
        .env("PATH", &bare)
        .env("CLAUDE_PATH", format!("{bin}/claude"))
        .ok();
    by_path.wait_for_state("blocked");
    assert_eq!(user.read("node"), format!("{bin}/node\n"));
    let recorded = user.read(".config/systemd/user/samocode@by-path.service.d/session.conf");
    assert!(recorded.contains(&format!("CLAUDE_PATH={bin}/claude")), "links stay: {recorded}");
    assert!(!recorded.contains(&format!("PATH={bin}:")), "{recorded}");

    let doctor = project.samocode(["doctor"]).env("PATH", format!("{bin}:{bare}")).ok();
    assert!(doctor.stdout.contains("claude 9.9.9 (Claude Code) ("), "{doctor}");
}

#[test]
fn a_claude_of_nvm_that_is_not_on_path_is_pointed_at() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("nvm");
    let (bin, bare) = (installs_by_nvm(&user), bare_path(&user));
    let project = user.project("shop").create();

    let out = enable(&project, &[]).env("PATH", &bare).output();

    assert_eq!(out.code, 78, "{out}");
    assert!(out.stderr.contains(&format!("there is one at {bin}/claude")), "{out}");
    assert!(!user.exists("shop-sessions"), "nothing was made");
}
