//! Boots the lab (`boot.sh` holds the recipe) and ties its life to the test
//! process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::command::LabCommand;
use super::skipped;

/// Programs the lab is made of, and the Debian packages they come in.
const NEEDED: [(&str, &str); 6] = [
    ("/lib/systemd/systemd", "systemd"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("dbus-daemon", "dbus"),
    ("git", "git"),
];

/// Which system a lab is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// This machine's own.
    Ours,
    /// Debian 13 with its systemd 257, made by `tests/run.sh`.
    Debian13,
}

/// A running private systemd.
pub(crate) struct Lab {
    /// This machine's number of the private PID 1; another one after a power cut.
    pid: AtomicU32,
    /// `target/lab/PID`.
    dir: PathBuf,
    names: Mutex<HashMap<String, u32>>,
    /// useradd does not queue behind another useradd, it fails.
    pub(super) useradd: Mutex<()>,
}

/// A lab of the test's own, whose power can be cut; it ends when this is dropped.
pub(crate) struct Machine {
    pub(crate) lab: &'static Lab,
    booter: Child,
    lines: mpsc::Receiver<String>,
}

/// A machine with the real `claude` CLI in it, booted; without one of them prints `SKIPPED` with the
/// reason.
pub(crate) fn machine() -> Option<Machine> {
    with_claude()?;
    Machine::boot().map_err(|why| skipped(&why)).ok()
}

impl Machine {
    fn boot() -> Result<Self, String> {
        static BOOTED: AtomicU32 = AtomicU32::new(0);
        let number = BOOTED.fetch_add(1, Ordering::Relaxed);
        let dir = Lab::folder().join(format!("machine{number}"));
        let (lab, booter, lines) = Lab::start(dir, Path::new("/"), true)?;
        Ok(Self { lab: Box::leak(Box::new(lab)), booter, lines })
    }

    /// Cuts the power: all processes are gone at once, and the machine boots again on the same disk.
    /// `/tmp` and `/run` are empty after that.
    pub(crate) fn cut_power(&mut self) {
        let pid = Pid::from_raw(self.lab.pid().cast_signed()).expect("a process");
        kill_process(pid, Signal::KILL).expect("kill PID 1");
        let line = next_line(&mut self.booter, &self.lines);
        let log = || fs::read_to_string(self.lab.dir.join("boot.log")).unwrap_or_default();
        assert_eq!(line, "ready", "it does not boot again: {}", log());
        self.lab.pid.store(read_pid(&self.lab.dir).expect("a pid"), Ordering::Relaxed);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.booter.kill();
        let _ = self.booter.wait();
    }
}

/// The lab of this test process, booted when first asked for; without one (not
/// root, something missing) prints `SKIPPED` with the reason.
pub(crate) fn get() -> Option<&'static Lab> {
    on(System::Ours)
}

/// The lab of this test process that is made of that system; each is booted
/// when first asked for.
pub(crate) fn on(system: System) -> Option<&'static Lab> {
    static OURS: OnceLock<Result<Lab, String>> = OnceLock::new();
    static DEBIAN_13: OnceLock<Result<Lab, String>> = OnceLock::new();
    let lab = match system {
        System::Ours => &OURS,
        System::Debian13 => &DEBIAN_13,
    };
    match lab.get_or_init(|| Lab::boot(system)) {
        Ok(lab) => Some(lab),
        Err(why) => {
            skipped(why);
            None
        }
    }
}

/// The lab with the real `claude` CLI in it; without one of them prints
/// `SKIPPED` with the reason.
pub(crate) fn with_claude() -> Option<&'static Lab> {
    with_cli("claude")
}

/// The lab with one of the real CLIs in it; without one of them prints `SKIPPED` with the reason.
pub(crate) fn with_cli(name: &str) -> Option<&'static Lab> {
    let lab = get()?;
    if !lab.host_path("/opt").join(name).join("bin").join(name).is_symlink() {
        skipped(&format!("the {name} CLI is not in tests/.cache, ./tests/run.sh fetches it"));
        return None;
    }
    Some(lab)
}

impl Lab {
    fn boot(system: System) -> Result<Self, String> {
        let mut dir = Self::folder();
        let mut root = PathBuf::from("/");
        if system == System::Debian13 {
            dir.push("debian13");
            root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.cache/debian13");
            if !root.is_dir() {
                return Err("Debian 13 is not in tests/.cache, ./tests/run.sh makes it".into());
            }
        }
        Self::start(dir, &root, false).map(|(lab, ..)| lab)
    }

    /// `target/lab/PID`.
    fn folder() -> PathBuf {
        target_dir().join(std::process::id().to_string())
    }

    /// Boots a lab in a folder, once or `again` whenever its PID 1 is killed.
    fn start(
        dir: PathBuf,
        root: &Path,
        again: bool,
    ) -> Result<(Self, Child, mpsc::Receiver<String>), String> {
        if !rustix::process::geteuid().is_root() {
            return Err("the lab needs root".into());
        }
        for (program, package) in NEEDED {
            if !is_installed(program) {
                return Err(format!("the lab needs {program} (Debian package {package})"));
            }
        }
        sweep(&target_dir());
        fs::create_dir_all(dir.join("bin")).map_err(|e| format!("{}: {e}", dir.display()))?;
        let program = Path::new(env!("CARGO_BIN_EXE_samocode"));
        place(program, &dir.join("bin/samocode")).map_err(|e| format!("samocode: {e}"))?;
        let (booter, lines) = start(&dir, root, again)?;
        let pid = AtomicU32::new(read_pid(&dir)?);
        let (names, useradd) = (Mutex::default(), Mutex::default());
        Ok((Self { pid, dir, names, useradd }, booter, lines))
    }

    /// Where this process finds a path of the lab.
    pub(crate) fn host_path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        let relative = inside.strip_prefix("/").unwrap_or(inside);
        Path::new("/proc").join(self.pid().to_string()).join("root").join(relative)
    }

    /// A command as root, arguments as given.
    pub(crate) fn root<S: AsRef<str>>(&self, argv: impl IntoIterator<Item = S>) -> LabCommand {
        LabCommand::new(self.pid(), None, argv)
            .env("HOME", "/root")
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
    }

    /// A line of shell as root.
    pub(crate) fn root_sh(&self, line: &str) -> LabCommand {
        self.root(["bash", "-c", line])
    }

    /// The folder of the real disk that is `/srv/lab` inside, as this process
    /// sees it.
    pub(crate) fn disk_on_host(&self) -> PathBuf {
        self.dir.join("disk")
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// `hint`, `hint2`, `hint3`…
    pub(super) fn unique(&self, hint: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(|e| e.into_inner());
        match names.entry(hint.to_string()) {
            Entry::Vacant(first) => {
                first.insert(1);
                hint.to_string()
            }
            Entry::Occupied(mut again) => {
                *again.get_mut() += 1;
                format!("{hint}{}", again.get())
            }
        }
    }
}

/// `target/lab`, which holds a folder for each lab, named by the process that
/// booted it.
pub(crate) fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("lab")
}

/// The environment of a login shell in the lab.
pub(super) const PATH: &str = "/opt/samocode/bin:/opt/claude/bin:/opt/codex/bin:/opt/gemini/bin:\
     /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether a program, given by name or path, exists.
pub(crate) fn is_installed(program: &str) -> bool {
    Path::new(program).is_absolute() && Path::new(program).exists()
        || ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(program).exists())
}

fn read_pid(dir: &Path) -> Result<u32, String> {
    let pid = fs::read_to_string(dir.join("pid")).unwrap_or_default();
    pid.trim().parse().map_err(|_| "boot.sh left no pid".to_string())
}

/// Cargo replaces its programs by new files, so a hard link keeps the one this
/// test process was built with. A copy could be "busy" when it is executed: a child
/// that another test forks has the file open for writing until it executes its own.
pub(crate) fn place(program: &Path, at: &Path) -> std::io::Result<()> {
    fs::hard_link(program, at).or_else(|_| fs::copy(program, at).map(|_| ()))
}

/// Removes folders of test processes that are gone: a lab that is killed
/// cannot do it itself.
pub(crate) fn sweep(labs: &Path) {
    for entry in fs::read_dir(labs).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_pid = name.to_str().is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if is_pid && !Path::new("/proc").join(&name).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Runs `boot.sh` until it says it is ready.
fn start(dir: &Path, root: &Path, again: bool) -> Result<(Child, mpsc::Receiver<String>), String> {
    let log = dir.join("boot.log");
    let stderr = File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    let repo = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "bash"])
        .arg(Path::new(repo).join("tests/lab/boot.sh"))
        .args(again.then_some("--again"))
        .arg(dir)
        .arg(repo)
        .arg(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr);
    let mut child = spawn_for_life(command).map_err(|e| format!("setpriv: {e}"))?;
    let lines = lines(child.stdout.take());
    let line = next_line(&mut child, &lines);
    if line == "ready" {
        return Ok((child, lines));
    }
    let ended = match child.try_wait() {
        Ok(Some(status)) => status.to_string(),
        _ => "it hangs".to_string(),
    };
    let _ = child.kill();
    let _ = child.wait();
    let log = fs::read_to_string(&log).unwrap_or_default();
    let log = log.trim().replace('\n', "; ");
    Err(format!("the private systemd did not start ({ended}; printed {line:?}): {log}"))
}

/// Spawns a command that has asked (`setpriv --pdeathsig`) to be killed with
/// this process. The death signal comes when the spawning *thread* ends, so a
/// thread that never does spawns it.
pub(crate) fn spawn_for_life(mut command: Command) -> std::io::Result<Child> {
    let (spawned, child) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = spawned.send(command.spawn());
        loop {
            std::thread::park();
        }
    });
    child.recv().map_err(std::io::Error::other)?
}

/// What comes on a child's stdout, line by line.
fn lines(stdout: Option<ChildStdout>) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines());
        for line in lines.map_while(Result::ok) {
            if sender.send(line.trim().to_string()).is_err() {
                break;
            }
        }
    });
    lines
}

/// The child's next line; empty when it ended or printed nothing for 70 s
/// (the script itself gives up after 60).
fn next_line(child: &mut Child, lines: &mpsc::Receiver<String>) -> String {
    let end = Instant::now() + Duration::from_secs(70);
    loop {
        match lines.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => return line,
            Err(mpsc::RecvTimeoutError::Disconnected) => return String::new(),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if Instant::now() > end || child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return String::new();
        }
    }
}
