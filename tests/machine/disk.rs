//! The disk that a machine boots from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::lab;

/// Programs a machine is made of, and the Debian packages they come in.
const NEEDED: [(&str, &str); 2] = [("debugfs", "e2fsprogs"), ("setpriv", "util-linux")];

/// Where `tests/machine/image.sh` leaves kernel and image.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.cache/machine")
}

/// The kernel.
pub(super) fn kernel() -> PathBuf {
    cache().join("vmlinuz")
}

/// A program of the emulator.
pub(super) fn program(name: &str) -> PathBuf {
    cache().join("bin").join(name)
}

/// Where the emulator finds what a machine starts with.
pub(super) fn firmware() -> [PathBuf; 2] {
    ["qemu/usr/share/qemu", "qemu/usr/share/seabios"].map(|folder| cache().join(folder))
}

/// A new folder for a machine, with `disk.qcow2` in it: what the machine
/// writes, on top of an image that all machines of this process share.
pub(super) fn create() -> Result<PathBuf, String> {
    static SHARED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    static MADE: AtomicU32 = AtomicU32::new(0);
    let base = SHARED.get_or_init(with_program).as_ref().map_err(String::clone)?;
    let number = MADE.fetch_add(1, Ordering::Relaxed).to_string();
    let dir = base.with_file_name(number);
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut create = Command::new(program("qemu-img"));
    create.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(base);
    run(create.arg(dir.join("disk.qcow2")))?;
    Ok(dir)
}

/// A copy of the cached image with the program under test in it.
fn with_program() -> Result<PathBuf, String> {
    for (program, package) in NEEDED {
        if !lab::is_installed(program) {
            return Err(format!("the machine needs {program} (Debian package {package})"));
        }
    }
    let cached = cache().join("base.img");
    if !cached.exists() {
        return Err("no image of a machine is in tests/.cache, ./tests/run.sh makes it".into());
    }
    let machines = lab::target_dir().with_file_name("machine");
    lab::sweep(&machines);
    let dir = machines.join(std::process::id().to_string());
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let base = dir.join("base.img");
    run(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(&cached).arg(&base))?;
    let script = dir.join("debugfs");
    let commands = format!(
        "cd /usr/local/bin\nwrite {} samocode\nsif samocode mode 0100755\n",
        env!("CARGO_BIN_EXE_samocode")
    );
    fs::write(&script, commands).map_err(|e| format!("{}: {e}", script.display()))?;
    run(Command::new("debugfs").arg("-w").arg("-f").arg(&script).arg(&base))?;
    Ok(base)
}

fn run(command: &mut Command) -> Result<(), String> {
    let what = command.get_program().to_string_lossy().into_owned();
    // debugfs is where root's programs are.
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let out = command.output().map_err(|e| format!("{what}: {e}"))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!("{what} failed: {}", String::from_utf8_lossy(&out.stderr).trim()))
}
