//! What units may not do, by what runs in them.
//!
//! Each directive was tried on systemd 252 and 257. Those for files, devices and `/proc` are for the
//! system's manager only: a user's ignores them in silence up to 252, and from 254 on makes a user
//! namespace for them, which many hosts refuse. Every other one implies `NoNewPrivileges=` in a
//! user's manager. So it has none in units that run agents, whose work may need rootless containers
//! (`SAMOCODE_CONFINE` takes those where it is wanted), nor in units that send notices, where a local
//! `sendmail` needs its group.

use crate::service::Scope;

/// What runs in a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    /// A session's worker, with its agents and the project's commands.
    Agents,
    /// The waker, which acts as root for users, and merges and tests a convoy's branches.
    Waker,
    /// Notices, by programs that the user names.
    Notices,
    /// The bot, the page, the desktop's buttons: samocode itself, and git.
    Samocode,
}

/// A table of directives, a line each.
type Directives = &'static [&'static str];

/// No process needs these of a service: agents do not either, in builds, git, debuggers,
/// containers of their own user, or in the cage's namespaces.
const OF_ALL: Directives = &[
    "NoNewPrivileges=yes",
    "RestrictRealtime=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
];

/// ptrace, namespaces and mounts are left: debuggers, sandboxes and the cage need them.
const OF_SYSTEM: Directives = &[
    "SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap",
    "PrivateMounts=yes",
    "ProtectSystem=full",
    "ReadWritePaths=-/usr/local",
    "ProtectProc=invisible",
    "ProtectHostname=yes",
    "ProtectClock=yes",
    "ProtectKernelModules=yes",
    // With ProtectClock= there must be a list. Whose device it is, its mode says.
    "DevicePolicy=closed",
    "DeviceAllow=char-* rwm",
    "DeviceAllow=block-* rwm",
];

/// A user has no capabilities to lose, but for those that a program of root's would give.
const OF_A_USER: Directives = &["CapabilityBoundingSet="];

/// These leave `/proc` and `/sys` in a state in which a sandbox cannot mount them again, so agents do
/// not get them.
const OF_KERNEL: Directives = &[
    "LockPersonality=yes",
    "ProtectControlGroups=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelTunables=yes",
];

/// To become the users, to find their files, to end what runs for them; the cage's namespaces.
const OF_THE_WAKER: Directives = &[
    "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_DAC_READ_SEARCH CAP_KILL",
    "RestrictNamespaces=user mnt ipc",
];

/// They need neither namespaces nor programs of other users.
const OF_NOTICES: Directives = &["RestrictNamespaces=yes", "RestrictSUIDSGID=yes"];

/// samocode itself traces nothing.
const OF_SAMOCODE: Directives = &[
    "SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap",
    "LockPersonality=yes",
];

/// Where a unit's source has its directives.
const PLACES: [(&str, Runs); 4] = [
    ("@hardened_agents@", Runs::Agents),
    ("@hardened_waker@", Runs::Waker),
    ("@hardened_notices@", Runs::Notices),
    ("@hardened@", Runs::Samocode),
];

/// The lines that a line of a unit's source stands for.
pub(super) fn in_place_of(line: &str, scope: Scope) -> Vec<&str> {
    match PLACES.iter().find(|(place, _)| *place == line) {
        Some((_, runs)) => lines(*runs, scope),
        None => vec![line],
    }
}

/// The directives of a unit under this manager.
fn lines(runs: Runs, scope: Scope) -> Vec<&'static str> {
    let tables: &[Directives] = match (scope, runs) {
        (Scope::User, Runs::Samocode) => &[OF_ALL, OF_SAMOCODE],
        (Scope::User, _) => &[],
        (Scope::System, Runs::Agents) => &[OF_ALL, OF_SYSTEM, OF_A_USER],
        (Scope::System, Runs::Waker) => &[OF_ALL, OF_SYSTEM, OF_KERNEL, OF_THE_WAKER],
        (Scope::System, Runs::Notices | Runs::Samocode) => {
            &[OF_ALL, OF_SYSTEM, OF_A_USER, OF_KERNEL, OF_NOTICES]
        }
    };
    tables.iter().copied().flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Runs; 4] = [Runs::Agents, Runs::Waker, Runs::Notices, Runs::Samocode];

    #[test]
    fn what_only_the_systems_manager_can_do_is_in_no_unit_of_a_users() {
        // systemd.exec(5): these need a mount namespace or a device controller.
        let of_system = ["Private", "Protect", "Device", "ReadWritePaths", "CapabilityBounding"];
        for runs in ALL {
            for line in lines(runs, Scope::User) {
                assert!(!of_system.iter().any(|kind| line.starts_with(kind)), "{runs:?}: {line}");
            }
        }
    }

    #[test]
    fn a_users_agents_and_mailers_keep_what_their_user_may() {
        assert_eq!(lines(Runs::Agents, Scope::User), [""; 0]);
        assert_eq!(lines(Runs::Waker, Scope::User), [""; 0]);
        assert_eq!(lines(Runs::Notices, Scope::User), [""; 0]);
        assert!(lines(Runs::Samocode, Scope::User).contains(&"NoNewPrivileges=yes"));
    }

    #[test]
    fn what_agents_work_with_is_left_to_them() {
        let all = lines(Runs::Agents, Scope::System).join("\n");
        // Debuggers, the cage's namespaces, just-in-time compilers, sandboxes that mount /proc, and
        // the cgroup of each run.
        for taken in [
            "@debug",
            "@mount",
            "@resources",
            "@privileged",
            "LockPersonality",
            "RestrictNamespaces",
            "RestrictSUIDSGID",
            "MemoryDenyWriteExecute",
            "ProtectKernelTunables",
            "ProtectKernelLogs",
            "ProtectControlGroups",
            "ProtectHome",
            "PrivateTmp",
            "PrivateDevices",
            "PrivateUsers",
            "UMask",
        ] {
            assert!(!all.contains(taken), "{taken}: {all}");
        }
    }

    #[test]
    fn a_place_stands_for_its_directives_and_any_other_line_for_itself() {
        assert_eq!(in_place_of("Type=simple", Scope::System), ["Type=simple"]);
        for (place, runs) in PLACES {
            assert_eq!(in_place_of(place, Scope::System), lines(runs, Scope::System));
        }
    }
}
