//! What launchd and the worker together say about a session, in systemd's words.

use super::job::{Exit, Job};
use super::label;
use super::status::Status;
use crate::service::{Active, Enablement, UnitDetail, UnitResult, UnitStatus};

/// The signal of the timer that replaces a watchdog.
const WATCHDOG: i32 = libc::SIGALRM;

/// Whether an agent is running. `job` is `None` if it is not loaded.
pub(super) fn active(job: Option<&Job>, status: Option<&Status>) -> Active {
    let has_failed = status.is_some_and(Status::has_failed);
    match job {
        Some(Job { pid: Some(pid), .. }) => {
            let of_it = status.filter(|status| status.pid == *pid);
            match of_it {
                Some(Status { exit: Some(_), .. }) => Active::Deactivating,
                Some(Status { ready: true, .. }) => Active::Active,
                _ => Active::Activating,
            }
        }
        _ if has_failed => Active::Failed,
        // launchd waits until it may start it again.
        Some(Job { exit: Some(exit), .. }) if exit.is_failure() => Active::Activating,
        _ => Active::Inactive,
    }
}

/// How the last worker ended.
fn result(job: Option<&Job>, status: Option<&Status>) -> UnitResult {
    if status.is_some_and(Status::has_failed) {
        return UnitResult::ExitCode;
    }
    match job.and_then(|job| job.exit) {
        None | Some(Exit::Code(0)) => UnitResult::Success,
        Some(Exit::Code(_)) => UnitResult::ExitCode,
        Some(Exit::Signal(WATCHDOG)) => UnitResult::Watchdog,
        Some(Exit::Signal(_)) => UnitResult::Signal,
    }
}

/// The entry of a session in the list of all.
pub(super) fn listed(instance: &str, job: Option<&Job>, status: Option<&Status>) -> UnitStatus {
    UnitStatus {
        instance: instance.to_owned(),
        name: label(instance),
        active: active(job, status),
        has_job: false,
    }
}

/// The full status of a session.
pub(super) fn detail(
    instance: &str,
    job: Option<&Job>,
    status: Option<&Status>,
    enabled: Enablement,
) -> UnitDetail {
    let main_pid = job.and_then(|job| job.pid);
    let exit_status = match (status.and_then(|status| status.exit), job.and_then(|job| job.exit)) {
        (Some(code), _) => i32::from(code),
        (None, Some(Exit::Code(number) | Exit::Signal(number))) => number,
        (None, None) => 0,
    };
    let text = status.filter(|status| main_pid == Some(status.pid)).map(|status| &status.text);
    UnitDetail {
        status: listed(instance, job, status),
        enabled,
        restarts: job.map_or(0, |job| job.runs.saturating_sub(1)),
        result: result(job, status),
        status_text: text.cloned().unwrap_or_default(),
        main_pid,
        exit_status,
        cgroup: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(pid: Option<u32>, exit: Option<Exit>) -> Job {
        Job { pid, exit, runs: 1 }
    }

    fn status(pid: u32, ready: bool, exit: Option<u8>) -> Status {
        Status { pid, ready, exit, text: "init".to_owned() }
    }

    #[test]
    fn only_the_report_of_the_running_process_counts() {
        let running = job(Some(7), None);
        let is = |status| active(Some(&running), Some(&status));
        assert_eq!(is(status(7, true, None)), Active::Active);
        assert_eq!(is(status(7, false, None)), Active::Activating);
        assert_eq!(is(status(7, true, Some(0))), Active::Deactivating);
        assert_eq!(is(status(6, true, Some(70))), Active::Activating);
        assert_eq!(active(Some(&running), None), Active::Activating);
        let shown =
            detail("jwt", Some(&running), Some(&status(6, true, None)), Enablement::Enabled);
        assert_eq!((shown.status_text.as_str(), shown.main_pid), ("", Some(7)));
    }

    #[test]
    fn an_agent_without_a_process_rests_has_failed_or_is_started_again() {
        let ended = |exit| job(None, Some(exit));
        let is = |exit, code| active(Some(&ended(exit)), Some(&status(7, true, code)));
        assert_eq!(is(Exit::Code(0), Some(0)), Active::Inactive);
        assert_eq!(is(Exit::Code(75), Some(75)), Active::Activating);
        assert_eq!(is(Exit::Signal(9), None), Active::Activating);
        for code in [2, 69, 70, 78] {
            assert_eq!(is(Exit::Code(0), Some(code)), Active::Failed, "{code}");
            assert_eq!(active(None, Some(&status(7, true, Some(code)))), Active::Failed);
        }
        assert_eq!(active(None, Some(&status(7, true, None))), Active::Inactive);
        assert_eq!(active(None, None), Active::Inactive);
        assert_eq!(active(Some(&job(None, None)), None), Active::Inactive);
    }

    #[test]
    fn the_result_says_how_the_last_worker_ended() {
        let result_of = |exit, code| {
            let job = job(None, Some(exit));
            let detail =
                detail("jwt", Some(&job), Some(&status(7, true, code)), Enablement::Enabled);
            (detail.result, detail.exit_status)
        };
        assert_eq!(result_of(Exit::Signal(14), None), (UnitResult::Watchdog, 14));
        assert_eq!(result_of(Exit::Signal(9), None), (UnitResult::Signal, 9));
        assert_eq!(result_of(Exit::Code(1), None), (UnitResult::ExitCode, 1));
        assert_eq!(result_of(Exit::Code(0), Some(78)), (UnitResult::ExitCode, 78));
        assert_eq!(result_of(Exit::Code(0), Some(0)), (UnitResult::Success, 0));
    }
}
