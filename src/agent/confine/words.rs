//! The prompt's section about confinement.

use std::fmt::Write as _;

use super::grants::{Because, Grant};
use super::{Confinement, signing};
use crate::config::confine::{CONNECT, READ, SOCKETS, WRITE};
use crate::config::peers::listed;
use crate::platform::confinement::{Access, Support};

/// The section for the prompt of a confined agent.
#[must_use]
pub fn for_agent(confinement: &Confinement, support: &Support) -> String {
    let mut text =
        "# Confinement\n\nThe kernel confines you and every program that you start. You may write only below:\n"
            .to_owned();
    let own = |grant: &&Grant| {
        grant.access == Access::Write
            && !matches!(
                grant.because,
                Because::Device
                    | Because::Repository
                    | Because::OwnRepository
                    | Because::Login
                    | Because::LoginFile
                    | Because::Temporary
            )
    };
    for grant in confinement.grants.iter().filter(own) {
        let _ = writeln!(text, "- {} ({})", grant.path.display(), grant.because.describe());
    }
    text.push_str(
        "\nUse $TMPDIR for temporary files. You may read the system and its toolchains, not the rest \
         of the home folder. ",
    );
    let has_view = confinement.has_view(support);
    if !has_view {
        text.push_str("/tmp is closed. ");
    }
    let has_own = confinement.grants.iter().any(|row| row.because == Because::OwnRepository);
    text.push_str(if has_own {
        "All of git works in this repository, which is a clone of yours. When you end, your branch is \
         fetched into the project's repository, other branches are not, and settings and hooks that \
         you changed are put back. "
    } else {
        "You may commit, but not change the repository's settings, hooks or packed references. "
    });
    if !confinement.keys.any_socket && !has_view {
        text.push_str("UNIX sockets are refused (ssh-agent, D-Bus, Docker, local databases). ");
    } else if has_view {
        text.push_str(
            "What you may not use is not there: other programs' sockets (ssh-agent, D-Bus, Docker), \
             the rest of the home folder. ",
        );
    }
    if !signing::is_opened(&confinement.keys, &confinement.home) {
        text.push_str(
            "ssh keys, stored passwords and signing keys are closed to you: git fetches and pushes only \
             where nobody has to log in, which you need not do, and commits are not signed. ",
        );
    }
    text.push_str(
        "sudo, containers and the sandboxes of browsers do not work: start Chromium with --no-sandbox. ",
    );
    if let Some(network) = &confinement.network {
        let peers: Vec<_> = network.peers().cloned().collect();
        let _ = write!(
            text,
            "You have a network of your own. localhost there is yours; the rest is reached only through \
             the proxy that $HTTPS_PROXY names, which lets these through: {}. (registries are those of \
             cargo, npm, pip, go, Maven, Gradle and gems.) Names are not looked up otherwise. ",
            listed(&peers)
        );
    }
    let _ = writeln!(
        text,
        "samocode's verbs work: your worker performs them for your own session and those below it. \
         \"Permission denied\", \"Operation not permitted\" and \"Read-only file system\" mostly mean \
         this. Do not look for a way around it: find another way to do the work, or block and ask the human to set the key \
         that opens what you need: {READ}, {WRITE}, {CONNECT} or {SOCKETS}."
    );
    text
}
