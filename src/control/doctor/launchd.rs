//! Checks that differ under launchd: the login session, the keychain, sleep, and what it cannot do.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::service::About;
use crate::service::launchd::Places;

use super::check::Check;
use super::{Group, Patient};

/// How long the system's programs may take.
const BOUND: Duration = Duration::from_secs(10);

pub(super) async fn look(patient: &Patient, about: &About) -> Vec<Check> {
    let mut checks = vec![
        Check::ok(Group::Manager, about.name.clone()),
        Check::ok(
            Group::Manager,
            "your agents run while you are logged in: a logout interrupts them, and they resume at the next login",
        ),
        Check::ok(
            Group::Manager,
            "launchd starts an agent every 10 s at most: a worker that dies sooner comes back after the rest of them",
        ),
    ];
    if let Ok(places) = Places::of_env() {
        let what = format!("workers log to {}", places.logs.display());
        checks.push(Check::ok(Group::Manager, what));
    }
    if let Ok(project) = &patient.project {
        checks.extend(protected(&patient.dirs.home, &project.root));
    }
    checks.push(keychain(said("security", &["show-keychain-info"]).await));
    checks.push(sleep(said("pmset", &["-g"]).await));
    checks.push(Check::note(
        Group::Host,
        "launchd limits neither memory, processes nor processor: SAMOCODE_MEMORY_MAX, SAMOCODE_TASKS_MAX and SAMOCODE_CPU_WEIGHT have no effect",
        "",
    ));
    checks
}

/// The folders of the home folder that macOS closes to programs which a person has not allowed in.
const PROTECTED: [&str; 3] = ["Documents", "Desktop", "Downloads"];

fn protected(home: &Path, project: &Path) -> Option<Check> {
    let folder = PROTECTED.into_iter().find(|name| project.starts_with(home.join(name)))?;
    Some(Check::note(
        Group::Project,
        format!("macOS keeps agents of launchd out of ~/{folder} (\"Operation not permitted\")"),
        "give samocode Full Disk Access in System Settings, Privacy & Security; or move the project",
    ))
}

/// What a program said, and whether it succeeded.
type Said = Result<(bool, String), String>;

async fn said(program: &str, args: &[&str]) -> Said {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(BOUND, command.output()).await {
        Ok(Ok(output)) => {
            let text = [output.stdout, output.stderr].concat();
            Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
            Err(format!("{program} is not installed"))
        }
        Ok(Err(error)) => Err(format!("cannot run {program}: {error}")),
        Err(_) => Err(format!("{program} said nothing for {} s", BOUND.as_secs())),
    }
}

/// Claude Code keeps its login in the login keychain, which is locked over ssh.
fn keychain(said: Said) -> Check {
    const REMEDY: &str = "security unlock-keychain; or run: claude setup-token, and save it as CLAUDE_CODE_OAUTH_TOKEN in ~/.config/samocode/env";
    match said {
        Ok((true, _)) => Check::ok(Group::Credentials, "the login keychain is unlocked"),
        Ok((false, text)) => Check::note(
            Group::Credentials,
            format!("the login keychain is locked, so Claude Code is not logged in: {text}"),
            REMEDY,
        ),
        Err(why) => Check::note(
            Group::Credentials,
            format!("cannot tell whether the login keychain is unlocked: {why}"),
            REMEDY,
        ),
    }
}

/// The minutes after which an idle Mac falls asleep, from `pmset -g`; 0 is never.
fn minutes(text: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let is_it = words.next() == Some("sleep");
        words.next().filter(|_| is_it)?.parse().ok()
    })
}

fn sleep(said: Said) -> Check {
    const REMEDY: &str = "SAMOCODE_INHIBIT=idle keeps it awake while an iteration runs; a closed lid sleeps all the same";
    let found = match said {
        Ok((true, text)) => minutes(&text).ok_or_else(|| "pmset does not say".to_owned()),
        Ok((false, text)) => Err(text),
        Err(why) => Err(why),
    };
    match found {
        Ok(0) => Check::ok(Group::Host, "this Mac does not fall asleep while it is idle"),
        Ok(minutes) => Check::note(
            Group::Host,
            format!(
                "this Mac falls asleep after {minutes} min without use: sessions pause until it wakes"
            ),
            REMEDY,
        ),
        Err(why) => Check::note(
            Group::Host,
            format!("cannot tell whether this Mac falls asleep: {why}"),
            REMEDY,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_mac_that_falls_asleep_is_worth_a_look() {
        const PMSET: &str = "System-wide power settings:\nCurrently in use:\n standby              1\n disksleep            10\n sleep                1 (sleep prevented by coreaudiod)\n displaysleep         2\n";
        assert_eq!(minutes(PMSET), Some(1));
        assert_eq!(minutes(" displaysleep 2\n"), None);
        let status = |said: Said| sleep(said).status;
        assert_eq!(status(Ok((true, PMSET.to_owned()))), Status::Note);
        assert_eq!(status(Ok((true, " sleep 0\n".to_owned()))), Status::Ok);
        assert_eq!(status(Ok((true, String::new()))), Status::Note);
        assert_eq!(status(Err("pmset is not installed".to_owned())), Status::Note);
    }

    #[test]
    fn a_project_in_a_protected_folder_is_worth_a_look() {
        let home = Path::new("/Users/dev");
        let is_named = |project: &str| protected(home, Path::new(project)).is_some();
        assert!(is_named("/Users/dev/Documents/shop") && is_named("/Users/dev/Desktop"));
        assert!(!is_named("/Users/dev/shop") && !is_named("/Users/dev/Documents2/shop"));
    }

    #[test]
    fn a_locked_keychain_is_worth_a_look_and_says_how_to_log_in_without_it() {
        let locked = keychain(Ok((false, "User interaction is not allowed.".to_owned())));
        assert_eq!(locked.status, Status::Note);
        assert!(locked.remedy.is_some_and(|remedy| remedy.contains("claude setup-token")));
        let open = "Keychain \"<NULL>\" no-timeout".to_owned();
        assert_eq!(keychain(Ok((true, open))).status, Status::Ok);
    }
}
