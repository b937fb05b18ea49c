//! Crash points for recovery tests: a process kills itself at a chosen point.
//!
//! Every durable effect and every step boundary is a crash point. `SAMOCODE_CRASH_AT=N` makes the
//! process kill itself with SIGKILL at the Nth; `SAMOCODE_CRASH_LOG=FILE` appends a line with
//! process ID and name for each. Only builds with debug assertions have them.

use std::path::Path;

#[cfg(debug_assertions)]
mod seam {
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Debug)]
    struct Seam {
        at: Option<u64>,
        log: Option<PathBuf>,
        passed: AtomicU64,
    }

    fn seam() -> Option<&'static Seam> {
        static SEAM: OnceLock<Option<Seam>> = OnceLock::new();
        let read = || {
            let at = std::env::var("SAMOCODE_CRASH_AT").ok().and_then(|at| at.parse().ok());
            let log = std::env::var_os("SAMOCODE_CRASH_LOG").map(PathBuf::from);
            let is_set = at.is_some() || log.is_some();
            is_set.then(|| Seam { at, log, passed: AtomicU64::new(0) })
        };
        SEAM.get_or_init(read).as_ref()
    }

    pub(super) fn is_on() -> bool {
        seam().is_some()
    }

    pub(super) fn pass(name: &str) {
        let Some(seam) = seam() else { return };
        let number = seam.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(log) = &seam.log {
            let line = format!("{} {name}\n", std::process::id());
            let opened = OpenOptions::new().append(true).create(true).open(log);
            let _ = opened.and_then(|mut log| log.write_all(line.as_bytes()));
        }
        if seam.at == Some(number) {
            let own = rustix::process::getpid();
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
            // The kernel may take a moment to deliver the signal; nothing may happen after this
            // point.
            loop {
                std::thread::park();
            }
        }
    }
}

/// A crash point at a step boundary.
#[cfg(debug_assertions)]
pub fn crash_point(name: &str) {
    #[cfg(test)]
    faults::pass();
    seam::pass(name);
}

/// A crash point at a step boundary.
#[cfg(not(debug_assertions))]
pub const fn crash_point(_name: &str) {}

/// A crash point within a file operation.
#[cfg(debug_assertions)]
pub(super) fn crash_at(what: &str, path: &Path) {
    #[cfg(test)]
    faults::pass();
    if seam::is_on() {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        seam::pass(&format!("{file} {what}"));
    }
}

/// A crash point within a file operation.
#[cfg(not(debug_assertions))]
pub(super) const fn crash_at(_what: &str, _path: &Path) {}

/// Whether to tear an append into two writes, with a crash point between them.
#[cfg(debug_assertions)]
pub(super) fn tears() -> bool {
    seam::is_on()
}

/// Whether to tear an append into two writes, with a crash point between them.
#[cfg(not(debug_assertions))]
pub(super) const fn tears() -> bool {
    false
}

/// Faults for one thread of a unit test: a kill is an unwinding panic, so that the test can
/// continue with the next worker in the same process.
#[cfg(test)]
pub mod faults {
    use std::cell::Cell;
    use std::io;

    /// The payload of the panic that stands for a kill.
    #[derive(Debug)]
    pub struct Killed;

    thread_local! {
        static DIES_AT: Cell<Option<u32>> = const { Cell::new(None) };
        static FULL_FROM: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// Kills the worker at this crash point, counted from 1, and fills the disk at this write.
    pub fn set(dies_at: Option<u32>, full_from: Option<u32>) {
        DIES_AT.set(dies_at);
        FULL_FROM.set(full_from);
    }

    /// Does something that is not the worker's and meets none of its faults.
    pub fn without<T>(act: impl FnOnce() -> T) -> T {
        let (dies_at, full_from) = (DIES_AT.take(), FULL_FROM.take());
        let done = act();
        set(dies_at, full_from);
        done
    }

    pub(super) fn pass() {
        if let Some(left) = DIES_AT.get() {
            DIES_AT.set(left.checked_sub(1).filter(|left| *left > 0));
            if left <= 1 {
                std::panic::resume_unwind(Box::new(Killed));
            }
        }
    }

    /// An error if the disk is full.
    pub fn room() -> io::Result<()> {
        match FULL_FROM.get() {
            Some(left) if left > 1 => FULL_FROM.set(Some(left - 1)),
            Some(_) => return Err(io::ErrorKind::StorageFull.into()),
            None => {}
        }
        Ok(())
    }
}
