//! The disk that a machine boots from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::lab;

/// Programs a machine is made of, and the Debian packages they come in.
const NEEDED: [(&str, &str); 2] = [("debugfs", "e2fsprogs"), ("setpriv", "util-linux")];

/// What this program is called in a machine.
pub(super) const TESTS: &str = "samocode-tests";

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
/// writes, on top of an image that all machines of this process share; one more
/// has the real CLI and these tests in it.
pub(super) fn create(with_claude: bool) -> Result<PathBuf, String> {
    static SHARED: [OnceLock<Result<PathBuf, String>>; 2] = [OnceLock::new(), OnceLock::new()];
    static MADE: AtomicU32 = AtomicU32::new(0);
    let shared = &SHARED[usize::from(with_claude)];
    let base = shared.get_or_init(|| with_programs(with_claude)).as_ref().map_err(String::clone)?;
    let number = MADE.fetch_add(1, Ordering::Relaxed).to_string();
    let dir = base.with_file_name(number);
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut create = Command::new(program("qemu-img"));
    create.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(base);
    run(create.arg(dir.join("disk.qcow2")))?;
    Ok(dir)
}

/// The real CLI, where `tests/run.sh` has fetched it.
pub(super) fn claude() -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.cache/claude/bin/claude").canonicalize().ok()
}

/// A copy of the cached image with the program under test in it, or also these tests and the real CLI.
fn with_programs(with_claude: bool) -> Result<PathBuf, String> {
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
    let base = dir.join(if with_claude { "claude.img" } else { "base.img" });
    run(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(&cached).arg(&base))?;
    let script = dir.join("debugfs");
    let tests = std::env::current_exe().map_err(|e| format!("this program: {e}"))?;
    let mut programs = vec![(PathBuf::from(env!("CARGO_BIN_EXE_samocode")), "samocode")];
    if with_claude {
        programs.push((tests, TESTS));
        programs.extend(claude().map(|claude| (claude, "claude")));
    }
    let mut commands = "cd /usr/local/bin\n".to_owned();
    for (path, name) in programs {
        let path = path.display();
        commands.push_str(&format!("write {path} {name}\nsif {name} mode 0100755\n"));
    }
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
