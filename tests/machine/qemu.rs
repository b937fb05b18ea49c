//! The machine as a process: on, off, and on again.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::shell::{Output, Shell};
use super::{BOUND, disk};
use crate::lab::{secs, skipped, spawn_for_life};

/// Held by the running machine: an emulator takes all the processors it can get.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A virtual machine; gone when dropped, and with the test process.
pub(crate) struct Machine {
    dir: PathBuf,
    hardware: Hardware,
    power: Mutex<Power>,
    // The last field: the next machine starts when this one is gone.
    _turn: MutexGuard<'static, ()>,
}

/// Processor and memory, as the emulator's options.
type Hardware = [&'static str; 4];

const SMALL: Hardware = ["-cpu", "qemu64", "-m", "768"];
/// The real CLI wants a processor of the last ten years.
const LARGE: Hardware = ["-cpu", "max", "-m", "1536"];

/// A machine that is on.
struct Power {
    qemu: Child,
    shell: Shell,
}

impl Machine {
    /// A fresh one that has booted, the only one at a time; when it cannot be,
    /// prints `SKIPPED` with the reason.
    pub(crate) fn boot() -> Option<Self> {
        Self::boot_on(SMALL)
    }

    /// The same, on which the real CLI runs: `/usr/local/bin/claude`.
    pub(crate) fn boot_with_claude() -> Option<Self> {
        if disk::claude().is_none() {
            skipped("the claude CLI is not in tests/.cache, ./tests/run.sh fetches it");
            return None;
        }
        Self::boot_on(LARGE)
    }

    fn boot_on(hardware: Hardware) -> Option<Self> {
        // A test that failed has left nothing behind that would matter.
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let made =
            disk::create(hardware == LARGE).and_then(|dir| match Power::on(&dir, hardware) {
                Ok(power) => Ok((dir, Mutex::new(power))),
                Err(why) => {
                    let _ = fs::remove_dir_all(&dir);
                    Err(why)
                }
            });
        match made {
            Ok((dir, power)) => Some(Self { dir, hardware, power, _turn: turn }),
            Err(why) => {
                skipped(&why);
                None
            }
        }
    }

    /// A line of shell as root, bounded to a minute.
    #[track_caller]
    pub(crate) fn root(&self, line: &str) -> Output {
        self.power().shell.run(line, secs(60))
    }

    /// Pulls the plug, and boots again from what the disk has.
    #[track_caller]
    pub(crate) fn power_cut(&self) {
        let mut power = self.power();
        power.off();
        *power = Power::on(&self.dir, self.hardware).unwrap_or_else(|why| panic!("{why}"));
    }

    /// `systemctl reboot`, until the machine is up again.
    #[track_caller]
    pub(crate) fn reboot(&self) {
        let mut power = self.power();
        // The answer may be lost with the port.
        power.shell.send("systemctl --no-block reboot", secs(60));
        power.shell.ready(&self.dir.join("console.log")).unwrap_or_else(|why| panic!("{why}"));
    }

    fn power(&self) -> MutexGuard<'_, Power> {
        self.power.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.power().off();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Power {
    /// Starts the machine of that folder and waits until it has booted.
    fn on(dir: &Path, hardware: Hardware) -> Result<Self, String> {
        let _ = fs::remove_file(dir.join("shell"));
        let mut qemu = Command::new("setpriv");
        // Relative paths: a socket's has room for 108 bytes only.
        qemu.current_dir(dir)
            .args(["--pdeathsig", "KILL"])
            .arg(disk::program("qemu-system-x86_64"))
            .args(disk::firmware().iter().flat_map(|folder| [Path::new("-L"), folder]))
            .args(["-accel", "tcg,thread=multi", "-machine", "pc", "-smp", "2"])
            .args(hardware)
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .arg("-kernel")
            .arg(disk::kernel())
            .args([
                "-append",
                "root=/dev/nvme0n1 rw console=ttyS0 quiet mitigations=off audit=0 no_timer_check",
            ])
            .args(["-drive", "if=none,id=disk,file=disk.qcow2,cache=writeback"])
            .args(["-device", "nvme,drive=disk,serial=lab"])
            .args(["-serial", "file:console.log"])
            .args(["-chardev", "socket,id=shell,path=shell,server=on,wait=off"])
            .args(["-device", "virtio-serial", "-device", "virtserialport,chardev=shell"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("qemu.log")).expect("a log"));
        let mut qemu = spawn_for_life(qemu).map_err(|e| format!("setpriv: {e}"))?;
        let booted = connect(&mut qemu, &dir.join("shell")).and_then(|port| {
            let mut shell = Shell::new(port);
            shell.ready(&dir.join("console.log")).map(|()| shell)
        });
        match booted {
            Ok(shell) => Ok(Self { qemu, shell }),
            Err(why) => {
                let _ = qemu.kill();
                let _ = qemu.wait();
                let log = fs::read_to_string(dir.join("qemu.log")).unwrap_or_default();
                Err(format!("qemu: {}; {why}", log.trim()))
            }
        }
    }

    fn off(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Connects to a socket of qemu, which creates it soon after its start.
fn connect(qemu: &mut Child, socket: &Path) -> Result<UnixStream, String> {
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", socket.display());
    // By way of /proc, since the path may be longer than a socket's may be.
    let dir = fs::File::open(socket.parent().expect("a folder")).map_err(|e| failed(&e))?;
    let name = socket.file_name().expect("a name").to_string_lossy().into_owned();
    let short = format!("/proc/self/fd/{}/{name}", std::os::fd::AsRawFd::as_raw_fd(&dir));
    let end = Instant::now() + BOUND;
    loop {
        match UnixStream::connect(&short) {
            Ok(stream) => return Ok(stream),
            Err(e) if Instant::now() > end => return Err(failed(&e)),
            Err(_) => {}
        }
        if let Ok(Some(status)) = qemu.try_wait() {
            return Err(failed(&status));
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
