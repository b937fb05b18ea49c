//! Boots the lab (`boot.sh` holds the recipe) and ties its life to the test
//! process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

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
    /// This machine's number of the private PID 1.
    pid: u32,
    /// `target/lab/PID`.
    dir: PathBuf,
    names: Mutex<HashMap<String, u32>>,
    /// useradd does not queue behind another useradd, it fails.
    pub(super) useradd: Mutex<()>,
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
    let lab = get()?;
    if !lab.host_path("/opt/claude/bin").join("claude").is_symlink() {
        skipped("the claude CLI is not in tests/.cache, ./tests/run.sh fetches it");
        return None;
    }
    Some(lab)
}

impl Lab {
    fn boot(system: System) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("the lab needs root".into());
        }
        for (program, package) in NEEDED {
            if !is_installed(program) {
                return Err(format!("the lab needs {program} (Debian package {package})"));
            }
        }
        let mut dir = target_dir().join(std::process::id().to_string());
        let mut root = PathBuf::from("/");
        if system == System::Debian13 {
            dir.push("debian13");
            root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.cache/debian13");
            if !root.is_dir() {
                return Err("Debian 13 is not in tests/.cache, ./tests/run.sh makes it".into());
            }
        }
        sweep(&target_dir());
        fs::create_dir_all(dir.join("bin")).map_err(|e| format!("{}: {e}", dir.display()))?;
        let program = Path::new(env!("CARGO_BIN_EXE_samocode"));
        place(program, &dir.join("bin/samocode")).map_err(|e| format!("samocode: {e}"))?;
        start(&dir, &root)?;
        let pid = fs::read_to_string(dir.join("pid")).unwrap_or_default();
        let pid = pid.trim().parse().map_err(|_| "boot.sh left no pid".to_string())?;
        Ok(Self { pid, dir, names: Mutex::default(), useradd: Mutex::default() })
    }

    /// Where this process finds a path of the lab.
    pub(crate) fn host_path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        let relative = inside.strip_prefix("/").unwrap_or(inside);
        Path::new("/proc").join(self.pid.to_string()).join("root").join(relative)
    }

    /// A command as root, arguments as given.
    pub(crate) fn root<S: AsRef<str>>(&self, argv: impl IntoIterator<Item = S>) -> LabCommand {
        LabCommand::new(self.pid, None, argv)
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
        self.pid
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

/// What a login shell in the lab has.
pub(super) const PATH: &str = "/opt/samocode/bin:/opt/claude/bin:\
     /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn is_installed(program: &str) -> bool {
    Path::new(program).is_absolute() && Path::new(program).exists()
        || ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(program).exists())
}

/// Cargo replaces its programs by new files, so a hard link keeps the one this
/// test process was built with.
fn place(program: &Path, at: &Path) -> std::io::Result<()> {
    fs::hard_link(program, at).or_else(|_| fs::copy(program, at).map(|_| ()))
}

/// Removes folders of test processes that are gone: a lab that is killed
/// cannot do it itself.
fn sweep(labs: &Path) {
    for entry in fs::read_dir(labs).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_pid = name.to_str().is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if is_pid && !Path::new("/proc").join(&name).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Runs `boot.sh` until it says it is ready.
fn start(dir: &Path, root: &Path) -> Result<(), String> {
    let log = dir.join("boot.log");
    let stderr = File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    let repo = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "bash"])
        .arg(Path::new(repo).join("tests/lab/boot.sh"))
        .arg(dir)
        .arg(repo)
        .arg(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr);
    // The death signal comes when the spawning *thread* ends, so a thread that
    // never does spawns it.
    let (spawned, child) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = spawned.send(command.spawn());
        loop {
            std::thread::park();
        }
    });
    let mut child =
        child.recv().map_err(|e| e.to_string())?.map_err(|e| format!("setpriv: {e}"))?;
    let said = first_line(&mut child);
    if said == "ready" {
        return Ok(());
    }
    let ended = match child.try_wait() {
        Ok(Some(status)) => status.to_string(),
        _ => "it hangs".to_string(),
    };
    let _ = child.kill();
    let _ = child.wait();
    let log = fs::read_to_string(&log).unwrap_or_default();
    let log = log.trim().replace('\n', "; ");
    Err(format!("the private systemd did not start ({ended}; said {said:?}): {log}"))
}

/// What the child says first; empty when it ended or said nothing for 70 s
/// (the script itself gives up after 60).
fn first_line(child: &mut Child) -> String {
    let (sender, said) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = sender.send(line.trim().to_string());
        });
    }
    let end = Instant::now() + Duration::from_secs(70);
    loop {
        match said.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => return line,
            Err(mpsc::RecvTimeoutError::Disconnected) => return String::new(),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if Instant::now() > end || child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return String::new();
        }
    }
}
