//! Keeps other programs of the same user out of this process's memory, and lends it to files.

use std::fs::File;
use std::io;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Makes the kernel refuse other programs of the user access to this process's memory, environment
/// and open files (ptrace(2), `/proc/PID/mem`), where secrets are. Exec ends it.
pub fn seal() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!("other programs may read this process's memory: {error}");
    }
}

/// A file that has no name and needs no disk.
///
/// # Errors
/// If there is no room for another open file.
pub fn unnamed_file() -> io::Result<File> {
    Ok(memfd_create("samocode", MemfdFlags::CLOEXEC)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_process_is_not_dumpable() {
        const INNER: &str = "SAMOCODE_TEST_SEALED";
        if std::env::var_os(INNER).is_some() {
            seal();
            let now = rustix::process::dumpable_behavior().unwrap();
            assert_eq!(now, DumpableBehavior::NotDumpable);
            return;
        }
        // In a process of its own: other tests read their environment from /proc.
        let test = "platform::linux::memory::tests::a_sealed_process_is_not_dumpable";
        let done = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(INNER, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
    }
}
