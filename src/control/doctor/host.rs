//! Checks of the host: cgroup controllers, inotify, the clock; and of how you are notified.

use std::fs;

use jiff::Timestamp;

use crate::config::{EnvFile, Settings};
use crate::control::channels::{channels, files};
use crate::notify::unsent::Unsent;
use crate::notify::{LeftOut, UnsentFolder};
use crate::platform::{cgroup, inotify};
use crate::service::{Scope, launchd};
use crate::session::{clock, stamp};

use super::check::Check;
use super::{Group, Patient};

pub(super) fn look(patient: &Patient) -> Vec<Check> {
    let mut checks = Vec::new();
    if patient.manager.is_ok() && !launchd::is_used() {
        checks.push(controllers(patient.caller.scope));
    }
    checks.extend(inotify::instances().map(|(used, limit)| judge_inotify(used, limit)));
    checks.push(clock());
    checks
}

/// The channel that can be asked whether it works now.
const DESKTOP: &str = "desktop";

/// Checks how a human would be notified, and of what they were not.
pub(super) async fn notices(patient: &Patient, settings: &Settings, file: &EnvFile) -> Vec<Check> {
    let is_user = patient.caller.scope == Scope::User;
    let files = files(&patient.dirs, patient.project.as_ref().ok());
    let channels = channels(settings, files, patient.env(), file, is_user);
    let mut checks: Vec<Check> = channels.left_out.iter().map(left_out).collect();
    for notifier in &channels.notifiers {
        checks.push(match (notifier.check().await, notifier.name()) {
            (Ok(()), DESKTOP) => {
                Check::ok(Group::Notices, "desktop: a notification service is running")
            }
            (Ok(()), name) => Check::ok(
                Group::Notices,
                format!("{name} is set up; try it with: samocode notify test"),
            ),
            // It may be there later: notices are shown wherever there is a desktop then.
            (Err(error), _) if error.is_quiet() => {
                Check::note(Group::Notices, format!("not shown now: {error}"), "")
            }
            (Err(error), _) => Check::broken(Group::Notices, error.to_string(), ""),
        });
    }
    checks.extend(unsent(&UnsentFolder::of(&patient.dirs.state).all(), Timestamp::now()));
    checks
}

/// What each channel has not sent: the oldest, which the others wait behind, and how many there are.
fn unsent(all: &[Unsent], now: Timestamp) -> Vec<Check> {
    let late = all.iter().filter(|unsent| unsent.is_held(now).is_none());
    let mut channels: Vec<(&Unsent, usize)> = Vec::new();
    for unsent in late {
        let same = |(first, _): &&mut (&Unsent, usize)| {
            first.by == unsent.by && first.config == unsent.config
        };
        match channels.iter_mut().find(same) {
            Some((_, count)) => *count += 1,
            None => channels.push((unsent, 1)),
        }
    }
    let checks = channels.into_iter().map(|(first, count)| {
        let more = match count - 1 {
            0 => String::new(),
            1 => " (and 1 more)".to_owned(),
            more => format!(" (and {more} more)"),
        };
        let what = format!("{}: {}{more}", first.notice.session, first.describe());
        Check::note(Group::Notices, what, "samocode notify test also sends it")
    });
    let mut checks: Vec<Check> = checks.collect();
    let held = all.iter().filter_map(|unsent| unsent.is_held(now)).min();
    if let Some(until) = held {
        let until = stamp::log(&until.to_zoned(clock::shown_zone()));
        checks.push(Check::ok(
            Group::Notices,
            format!("the quiet hours hold notices back until {until}"),
        ));
    }
    checks
}

fn left_out(left_out: &LeftOut) -> Check {
    let what = format!("{}: {}", left_out.notifier, left_out.reason);
    if left_out.mistaken {
        Check::broken(Group::Notices, what, "")
    } else {
        Check::note(Group::Notices, what, "")
    }
}

/// The cgroup controllers that `MemoryMax=`, `CPUWeight=` and `TasksMax=` need.
const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];

fn controllers(scope: Scope) -> Check {
    let Some(root) = cgroup::root() else {
        return Check::note(
            Group::Host,
            "no cgroup v2: runs have no limits, and are tracked through /proc",
            "boot with systemd.unified_cgroup_hierarchy=1",
        );
    };
    let uid = rustix::process::geteuid().as_raw();
    let folder = match scope {
        Scope::User => root.join(format!("user.slice/user-{uid}.slice/user@{uid}.service")),
        Scope::System => root.to_owned(),
    };
    match fs::read_to_string(folder.join("cgroup.controllers")) {
        Ok(there) => judge_controllers(&there),
        Err(error) => Check::note(
            Group::Host,
            format!("cannot tell which limits work: {}: {error}", folder.display()),
            "",
        ),
    }
}

fn judge_controllers(there: &str) -> Check {
    let there: Vec<&str> = there.split_whitespace().collect();
    let missing: Vec<&str> =
        NEEDED.into_iter().filter(|controller| !there.contains(controller)).collect();
    if missing.is_empty() {
        return Check::ok(
            Group::Host,
            "limits on processor, memory and processes work (cgroup v2)",
        );
    }
    Check::note(
        Group::Host,
        format!("limits that need these cgroup controllers have no effect: {}", missing.join(", ")),
        "delegate them: see Delegate= in user@.service",
    )
}

/// Instances that should be free: one for the manager's path unit, one for `samocode wait`, and some
/// for other programs.
const SPARE: usize = 8;

fn judge_inotify(used: usize, limit: usize) -> Check {
    let what = format!("{used} of {limit} inotify instances in use");
    if used + SPARE <= limit {
        return Check::ok(Group::Host, what);
    }
    let remedy = format!("sudo sysctl fs.inotify.max_user_instances={}", (limit * 4).max(512));
    if used < limit {
        Check::note(Group::Host, what, remedy)
    } else {
        Check::broken(Group::Host, format!("{what}: no more files can be watched"), remedy)
    }
}

/// Checks the clock, which decides when a usage limit is over. A clock behind the time of this
/// program's own file is certainly wrong.
fn clock() -> Check {
    let now = jiff::Timestamp::now().to_zoned(clock::shown_zone());
    let what = format!("it is {}", now.strftime("%Y-%m-%d %H:%M %Z"));
    let made =
        std::env::current_exe().ok().and_then(|path| fs::metadata(path).ok()?.modified().ok());
    match made.and_then(|made| jiff::Timestamp::try_from(made).ok()) {
        Some(made) if made > now.timestamp() => {
            let what = format!("the clock is wrong: {what}, before samocode was installed");
            Check::note(Group::Host, what, "sudo timedatectl set-ntp true")
        }
        _ => Check::ok(Group::Host, what),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use crate::notify::{About, Notice};

    #[test]
    fn a_channel_that_is_dead_is_one_line_with_its_oldest_notice() {
        let notice = |session: &str| {
            let about = About { session: session.to_owned(), ..About::default() };
            Notice::warning(&about, "look", None)
        };
        let unsent = |session, by, error: Option<&str>, held_until| Unsent {
            error: error.map(str::to_owned),
            held_until,
            ..Unsent::new(&notice(session), by, std::path::Path::new("/p/.samocode"))
        };
        let later = Timestamp::now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
        let all = [
            unsent("a", "ops", Some("ops: cannot reach x"), None),
            unsent("b", "phone", Some("phone: no"), None),
            unsent("c", "ops", None, None),
            unsent("d", "ops", None, Some(later)),
        ];
        let checks = super::unsent(&all, Timestamp::now());
        let texts: Vec<&str> = checks.iter().map(|check| check.what.as_str()).collect();
        assert_eq!(checks.len(), 3, "{texts:?}");
        assert!(texts[0].starts_with("a: could not notify you via ops"), "{texts:?}");
        assert!(
            texts[0].contains("cannot reach x") && texts[0].ends_with("(and 1 more)"),
            "{texts:?}"
        );
        assert!(texts[1].contains("phone: no"), "{texts:?}");
        assert!(texts[2].starts_with("the quiet hours hold notices back until"), "{texts:?}");
    }

    #[test]
    fn missing_controllers_are_named() {
        assert_eq!(judge_controllers("cpuset cpu io memory pids\n").status, Status::Ok);
        let some = judge_controllers("cpu\n");
        assert_eq!(some.status, Status::Note);
        assert!(some.what.ends_with(": memory, pids"), "{}", some.what);
    }

    #[test]
    fn inotify_instances_that_run_out_are_said_in_time() {
        assert_eq!(judge_inotify(20, 128).status, Status::Ok);
        assert_eq!(judge_inotify(121, 128).status, Status::Note);
        let full = judge_inotify(128, 128);
        assert_eq!(full.status, Status::Broken);
        assert_eq!(full.remedy.as_deref(), Some("sudo sysctl fs.inotify.max_user_instances=512"));
    }
}
