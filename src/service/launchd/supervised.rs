//! What a worker does itself under launchd, which has no watchdog, no readiness protocol, and
//! restarts it after every exit code but 0.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use super::agents::{self, STATUS};
use super::status::{Status, is_final};
use super::{Places, instance_of};
use crate::session::describe::harmless;
use crate::session::store::crash_point;

/// A worker that does not re-arm its timer for this long is considered hung, as with `WatchdogSec=`
/// in `samocode@.service`.
const WATCHDOG: Duration = Duration::from_secs(30);

/// The variable that shortens it, in seconds. For tests.
const WATCHDOG_VARIABLE: &str = "SAMOCODE_WATCHDOG_S";

/// A log that is larger is put aside when a process starts: nothing else on a Mac would do that.
const LARGEST_LOG: u64 = 8 << 20;

/// The connection of a worker to its agent: a status file, and a timer of the kernel that kills this
/// process unless it is re-armed.
#[derive(Debug, Clone)]
pub struct Reporter {
    path: PathBuf,
    watchdog: Duration,
    status: Arc<Mutex<Status>>,
}

impl Reporter {
    /// The connection of this process; `None` if it is not the main process of a session's agent.
    #[must_use]
    pub fn of_env() -> Option<Self> {
        let path = std::env::var_os(STATUS).map(PathBuf::from).filter(|path| path.is_absolute())?;
        let seconds = std::env::var(WATCHDOG_VARIABLE).ok().and_then(|text| text.parse().ok());
        let watchdog = seconds.filter(|s| *s > 0).map_or(WATCHDOG, Duration::from_secs);
        let status = Status { pid: std::process::id(), ..Status::default() };
        Some(Self { path, watchdog, status: Arc::new(Mutex::new(status)) })
    }

    /// The longest allowed time between keep-alives.
    #[must_use]
    pub const fn watchdog(&self) -> Duration {
        self.watchdog
    }

    fn report(&self, change: impl FnOnce(&mut Status)) -> std::io::Result<()> {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let before = status.clone();
        change(&mut status);
        if *status == before {
            return Ok(());
        }
        status.write(&self.path)
    }

    /// Reports that start-up is complete, and arms the timer.
    pub fn ready(&self) {
        self.keep_alive();
        tolerate(self.report(|status| status.ready = true));
    }

    /// Reports what the worker does.
    pub fn status(&self, line: &str) {
        tolerate(self.report(|status| line.clone_into(&mut status.text)));
    }

    /// Arms the timer again: this process is killed by SIGALRM when it runs out. It survives an
    /// exec, and children do not have it.
    pub fn keep_alive(&self) {
        let seconds = u32::try_from(self.watchdog.as_secs()).unwrap_or(u32::MAX);
        nix::unistd::alarm::set(seconds.max(1));
    }

    /// Does what the timer does when it runs out.
    pub fn give_up(&self) {
        let _ = kill_process(getpid(), Signal::ALARM);
    }

    /// Reports how the worker ends, and returns the exit code that launchd is to see. After a failure
    /// that a restart would not fix, the human is messaged by an agent that starts because of the
    /// token left here.
    ///
    /// If that cannot be written, the worker is restarted, and fails again, until it can.
    #[must_use]
    pub fn end(&self, code: u8) -> u8 {
        let reported = self.report(|status| status.exit = Some(code));
        crash_point("the worker's end is reported");
        if !is_final(code) {
            return code;
        }
        match reported.and_then(|()| leave(&self.path)) {
            Ok(()) => 0,
            Err(error) => {
                tracing::error!("cannot report the failure in {}: {error}", self.path.display());
                code
            }
        }
    }
}

/// Leaves a token for the agent that messages the human.
fn leave(status: &Path) -> std::io::Result<()> {
    let instance = status.file_stem().unwrap_or_default();
    // The folder of all states is in the folder that launchd's part has.
    let base = status.parent().and_then(Path::parent).and_then(Path::parent);
    let Some(base) = base else { return Ok(()) };
    let folder = base.join("failed");
    std::fs::create_dir_all(&folder)?;
    OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(instance))?;
    Ok(())
}

/// A status that cannot be written is only shown late.
fn tolerate(result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::info!(%error, "cannot report to the service manager");
    }
}

/// The variable in which launchd names the agent of a process.
const SERVICE: &str = "XPC_SERVICE_NAME";

/// The log of the agent that runs this process; `None` outside our agents.
#[must_use]
pub fn own_log() -> Option<PathBuf> {
    let label = std::env::var(SERVICE).ok()?;
    log_of(&label, &Places::of_env().ok()?)
}

/// The log of one of our agents, by its label.
fn log_of(label: &str, places: &Places) -> Option<PathBuf> {
    if let Some(instance) = instance_of(label) {
        return Some(places.log_of(instance));
    }
    agents::shared_labels().find(|shared| *shared == label).map(|label| places.log_of_shared(label))
}

/// Puts a large log aside; the next process of its agent starts a new one.
pub fn put_large_log_aside(log: &Path) {
    if std::fs::metadata(log).is_ok_and(|found| found.len() > LARGEST_LOG) {
        let mut aside = log.as_os_str().to_owned();
        aside.push(".1");
        if let Err(error) = std::fs::rename(log, aside) {
            tracing::warn!("cannot put {} aside: {error}", log.display());
        }
    }
}

/// How much of a log is read from its end.
const TAIL: i64 = 4096;

/// The message in the last line of a log, without what could upset a terminal. A hint explains the line
/// before it.
#[must_use]
pub fn last_message(log: &Path) -> Option<String> {
    let mut file = std::fs::File::open(log).ok()?;
    // Fails in a shorter file, which is read from its start.
    let _ = file.seek(SeekFrom::End(-TAIL));
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let text = String::from_utf8_lossy(&tail).into_owned();
    let is_message = |line: &&str| !line.is_empty() && !line.starts_with("hint: ");
    let line = text.lines().rev().map(str::trim).find(is_message)?;
    let message = line.strip_prefix("error: ");
    let message = message.or_else(|| line.split_once(" ERROR ").map(|(_, message)| message));
    Some(harmless(message.unwrap_or(line)).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reporter(folder: &Path) -> Reporter {
        Reporter {
            path: folder.join("launchd/status/jwt.json"),
            watchdog: WATCHDOG,
            status: Arc::default(),
        }
    }

    #[test]
    fn a_failure_for_good_is_reported_with_a_token_and_launchd_sees_a_success() {
        for code in [2, 69, 70, 78] {
            let folder = tempfile::tempdir().unwrap();
            let reporter = reporter(folder.path());
            assert_eq!(reporter.end(code), 0);
            assert!(folder.path().join("failed/jwt").exists());
            assert_eq!(Status::read(&reporter.path).and_then(|status| status.exit), Some(code));
        }
    }

    #[test]
    fn what_launchd_has_to_act_on_keeps_its_code() {
        for code in [0, 1, 75] {
            let folder = tempfile::tempdir().unwrap();
            let reporter = reporter(folder.path());
            assert_eq!(reporter.end(code), code);
            assert!(!folder.path().join("failed").exists());
            assert_eq!(Status::read(&reporter.path).and_then(|status| status.exit), Some(code));
        }
    }

    #[test]
    fn a_failure_that_cannot_be_reported_is_not_hidden() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("failed"), "in the way").unwrap();
        assert_eq!(reporter(folder.path()).end(78), 78);
    }

    #[test]
    fn readiness_and_status_line_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let reporter = reporter(folder.path());
        reporter.status("investigation 1");
        tolerate(reporter.report(|status| status.ready = true));
        let status = Status::read(&reporter.path).unwrap();
        assert_eq!(
            (status.text.as_str(), status.ready, status.exit),
            ("investigation 1", true, None)
        );
    }

    #[test]
    fn the_last_words_are_the_message_of_the_last_line_with_something_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("jwt.log");
        let last = |text: &str| {
            std::fs::write(&log, text).unwrap();
            last_message(&log)
        };
        assert_eq!(last("first\nlast\n\n").as_deref(), Some("last"));
        assert_eq!(last("first\nerror: no key\nhint: set it\n").as_deref(), Some("no key"));
        assert_eq!(
            last("2026-11-28T14:18:46Z ERROR it is locked\n").as_deref(),
            Some("it is locked")
        );
        assert_eq!(last("").as_deref(), None);
        assert_eq!(last(&format!("{}\nend\n", "x".repeat(9000))).as_deref(), Some("end"));
        assert_ne!(last("a\u{1b}[2Jb\n").as_deref(), Some("a\u{1b}[2Jb"));
        assert_eq!(last_message(&folder.path().join("none")), None);
    }

    #[test]
    fn each_agent_of_ours_has_a_log_and_others_have_none() {
        let places = Places::new(Path::new("/l"), Path::new("/s/wake"));
        let log = |label: &str| log_of(label, &places).map(|path| path.display().to_string());
        let session = log("dev.samocode.session.wake");
        assert_eq!(session.as_deref(), Some("/l/Logs/samocode/sessions/wake.log"));
        assert_eq!(log("dev.samocode.wake").as_deref(), Some("/l/Logs/samocode/wake.log"));
        assert_eq!(log("dev.samocode.other"), None);
        assert_eq!(log("com.apple.Terminal"), None);
    }

    #[test]
    fn only_a_large_log_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("jwt.log");
        std::fs::write(&log, "a line\n").unwrap();
        put_large_log_aside(&log);
        assert!(log.exists());
        let file = OpenOptions::new().write(true).open(&log).unwrap();
        file.set_len(LARGEST_LOG + 1).unwrap();
        put_large_log_aside(&log);
        assert!(!log.exists() && folder.path().join("jwt.log.1").exists());
    }
}
