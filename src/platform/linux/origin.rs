//! Where this process was called from.

use super::proc;

/// Whether this process belongs to a run of an agent, whatever its environment says: it is in the
/// cgroup of a session's unit, or it descends from a worker or from a process of a run.
#[must_use]
pub fn is_in_run() -> bool {
    let cgroup = proc::text("/proc/self/cgroup").unwrap_or_default();
    if cgroup.contains("/samocode@") {
        return true;
    }
    let mut pid = Some(std::process::id());
    // A process tree is never as deep.
    for _ in 0..1000 {
        let Some(known) = pid.filter(|pid| *pid > 1) else { return false };
        if is_of_run(known) {
            return true;
        }
        pid = parent(known);
    }
    false
}

fn is_of_run(pid: u32) -> bool {
    let environ = proc::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let words = proc::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    has_mark(&environ) || is_worker(&words)
}

/// Whether an environment as in `/proc/PID/environ` has `SAMOCODE_RUN`.
fn has_mark(environ: &[u8]) -> bool {
    environ.split(|byte| *byte == 0).any(|entry| entry.starts_with(b"SAMOCODE_RUN="))
}

/// `samocode worker INSTANCE` in `/proc/PID/cmdline`.
fn is_worker(words: &[u8]) -> bool {
    let mut words = words.split(|byte| *byte == 0);
    let program = words.next().unwrap_or_default();
    let name = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name == b"samocode" && words.next() == Some(b"worker")
}

fn parent(pid: u32) -> Option<u32> {
    parent_in(&proc::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The fourth field of `/proc/PID/stat`; the second may hold anything, in parentheses.
fn parent_in(stat: &[u8]) -> Option<u32> {
    let stat = String::from_utf8_lossy(stat);
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_below_a_run_is_recognised_by_its_ancestors() {
        assert!(has_mark(b"HOME=/h\0SAMOCODE_RUN=r7\0"));
        assert!(!has_mark(b"HOME=/h\0X=SAMOCODE_RUN=r7\0"));
        assert!(is_worker(b"/usr/local/bin/samocode\0worker\0jwt\0"));
        assert!(!is_worker(b"samocode\0wait\0worker\0"));
        assert_eq!(parent(std::process::id()), Some(std::os::unix::process::parent_id()));
        assert_eq!(parent_in(b"7 (a \xFF) 1 2) S 5 7 7 0"), Some(5), "a name is no reason to stop");
        // This very process is the child of one that carries the mark.
        const INNER: &str = "SAMOCODE_TEST_ORIGIN";
        if let Ok(expected) = std::env::var(INNER) {
            assert_eq!(is_in_run().to_string(), expected);
            return;
        }
        let test =
            "platform::linux::origin::tests::a_process_below_a_run_is_recognised_by_its_ancestors";
        for (mark, expected) in [("SAMOCODE_RUN=r7", "true"), ("OTHER=r7", "false")] {
            // The shell has the mark, and the program below it a clean environment.
            let script =
                format!("env -i PATH=\"$PATH\" {INNER}={expected} \"$0\" --exact {test}; exit $?");
            let done = std::process::Command::new("env")
                .args([mark, "sh", "-c", &script])
                .arg(std::env::current_exe().unwrap())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&done.stdout);
            assert!(done.status.success() && said.contains("1 passed"), "{mark}: {said}");
        }
    }
}
