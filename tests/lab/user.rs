//! An ordinary user of the lab, with a systemd user manager of their own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::api::Api;
use super::boot::{Lab, PATH};
use super::command::LabCommand;

/// A fresh user: own home, no password, no login session, no lingering, the
/// user manager running.
pub(crate) struct LabUser {
    pub(crate) name: String,
    pub(crate) uid: u32,
    /// The home folder, as the lab sees it.
    pub(crate) home: PathBuf,
    pub(crate) lab: &'static Lab,
}

impl Lab {
    /// Adds a user, named `hint` or `hint2`, `hint3`, …, and starts their
    /// service manager.
    #[track_caller]
    pub(crate) fn user(&'static self, hint: &str) -> LabUser {
        let user = self.user_without_manager(hint);
        user.start_manager();
        user
    }

    /// The same without a service manager, as on a host that has none for
    /// users.
    #[track_caller]
    pub(crate) fn user_without_manager(&'static self, hint: &str) -> LabUser {
        let name = self.unique(hint);
        // The kernel counts inotify instances and processes by uid, labs side
        // by side included: each test process gets a range of its own, for all
        // its labs.
        static ADDED: AtomicU32 = AtomicU32::new(0);
        let added = ADDED.fetch_add(1, Ordering::Relaxed);
        let uid = 2000 + (std::process::id() % 140) * 400 + added % 400;
        let alone = self.useradd.lock().unwrap_or_else(|e| e.into_inner());
        self.root(["useradd", "-m", "-s", "/bin/bash", "-u", &uid.to_string(), &name]).ok();
        drop(alone);
        LabUser { home: Path::new("/home").join(&name), name, uid, lab: self }
    }
}

impl LabUser {
    /// Starts the user's service manager, as a login does.
    #[track_caller]
    pub(crate) fn start_manager(&self) {
        self.lab.root(["systemctl", "start", &self.manager_unit()]).ok();
    }

    /// Stops the user's service manager and all that runs under it, as the end
    /// of the last login does without lingering, or a shutdown.
    #[track_caller]
    pub(crate) fn stop_manager(&self) {
        self.lab.root(["systemctl", "stop", &self.manager_unit()]).ok();
    }

    fn manager_unit(&self) -> String {
        format!("user@{}.service", self.uid)
    }

    /// A command as this user, arguments as given.
    pub(crate) fn run<S: AsRef<str>>(&self, argv: impl IntoIterator<Item = S>) -> LabCommand {
        LabCommand::new(self.lab.pid(), Some(self.uid), argv)
            .env("HOME", self.home.to_string_lossy())
            .env("USER", &self.name)
            .env("LOGNAME", &self.name)
            .env("SHELL", "/bin/bash")
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("XDG_RUNTIME_DIR", self.runtime_dir().to_string_lossy())
            .cwd(&self.home)
    }

    /// A line of shell as this user.
    pub(crate) fn sh(&self, line: &str) -> LabCommand {
        self.run(["bash", "-c", line])
    }

    /// The program under test.
    pub(crate) fn samocode<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> LabCommand {
        self.with("samocode", args)
    }

    /// `systemctl --user`, without pager and colours.
    pub(crate) fn systemctl<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> LabCommand {
        self.with("systemctl --user --no-pager --full", args)
    }

    /// `journalctl --user`, without pager.
    pub(crate) fn journalctl<S: AsRef<str>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> LabCommand {
        self.with("journalctl --user --no-pager --quiet", args)
    }

    fn with<S: AsRef<str>>(&self, program: &str, args: impl IntoIterator<Item = S>) -> LabCommand {
        args.into_iter()
            .fold(self.run(program.split(' ')), |command, arg| command.arg(arg.as_ref()))
    }

    /// The user's journal, the messages only. Everything that services have logged so far
    /// is in it: journald is asked to flush first.
    #[track_caller]
    pub(crate) fn journal<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> String {
        self.lab.root(["journalctl", "--sync"]).ok();
        self.journalctl(args).arg("--output=cat").ok().stdout
    }

    /// One property of a unit of the user's, `systemctl show --value`.
    #[track_caller]
    pub(crate) fn unit_property(&self, unit: &str, property: &str) -> String {
        let show = self.systemctl(["show", "--value", "--property", property, unit]);
        show.ok().stdout.trim().to_string()
    }

    /// `/run/user/UID`.
    pub(crate) fn runtime_dir(&self) -> PathBuf {
        Path::new("/run/user").join(self.uid.to_string())
    }

    /// A folder of the user's on the real disk, a path in the lab.
    #[track_caller]
    pub(crate) fn disk(&self) -> PathBuf {
        let dir = Path::new("/srv/lab").join(&self.name);
        self.own_folder(&dir);
        dir
    }

    /// A path of the lab, taken from the home folder when relative, as this
    /// process finds it.
    pub(crate) fn host_path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.lab.host_path(self.home.join(path))
    }

    /// Whether a path of the lab exists; relative to the home folder.
    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.host_path(path).symlink_metadata().is_ok()
    }

    /// A file of the lab, relative to the home folder.
    #[track_caller]
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        let host = self.host_path(&path);
        fs::read_to_string(&host).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
    }

    /// Writes a file that belongs to the user, and creates its parent folders;
    /// relative to the home folder.
    #[track_caller]
    pub(crate) fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        let path = self.home.join(path);
        self.own_folder(path.parent().expect("a file lies in a folder"));
        let host = self.lab.host_path(&path);
        fs::write(&host, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        chown(&host, Some(self.uid), Some(self.uid)).expect("chown");
    }

    /// Writes the user's file of credentials atomically, as a careful editor does: readers see
    /// the old contents or the new.
    #[track_caller]
    pub(crate) fn write_env_file(&self, text: impl AsRef<[u8]>) {
        let (path, aside) = (".config/samocode/env", ".config/samocode/env.new");
        self.write(aside, text);
        self.set_mode(aside, 0o600);
        fs::rename(self.host_path(aside), self.host_path(path)).expect("rename");
    }

    /// Writes an executable script. By another process: what is open for writing cannot be executed, and
    /// a command that another test starts meanwhile has our descriptors until it has executed its own.
    #[track_caller]
    pub(crate) fn write_program(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        let full = self.home.join(&path);
        self.own_folder(full.parent().expect("a file lies in a folder"));
        let host = self.lab.host_path(&full);
        let mut writer = std::process::Command::new("sh");
        writer.args(["-c", r#"cat >"$1""#, "sh"]).arg(&host).stdin(std::process::Stdio::piped());
        let mut writer = writer.spawn().expect("sh");
        let mut input = writer.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut input, text.as_ref()).expect("a reader");
        drop(input);
        assert!(writer.wait().expect("wait").success(), "{}", full.display());
        chown(&host, Some(self.uid), Some(self.uid)).expect("chown");
        self.set_mode(path, 0o755);
    }

    /// The `SAMOCODE_AGENT` that runs a program of the home folder.
    pub(crate) fn command(&self, program: &str) -> String {
        format!("command:{}", self.home.join(program).display())
    }

    /// chmod; relative to the home folder.
    #[track_caller]
    pub(crate) fn set_mode(&self, path: impl AsRef<Path>, mode: u32) {
        let host = self.host_path(path);
        fs::set_permissions(host, fs::Permissions::from_mode(mode)).expect("chmod");
    }

    fn own_folder(&self, dir: &Path) {
        let missing: Vec<&Path> =
            dir.ancestors().take_while(|dir| !self.lab.host_path(dir).exists()).collect();
        for dir in missing.into_iter().rev() {
            let host = self.lab.host_path(dir);
            fs::create_dir(&host).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
            chown(&host, Some(self.uid), Some(self.uid)).expect("chown");
        }
    }

    /// Makes `claude` talk to the scripted server: writes the user's
    /// `~/.config/samocode/env`.
    #[track_caller]
    pub(crate) fn uses_claude(&self, api: &Api) {
        let mut lines = String::new();
        for (name, value) in api.environment() {
            lines.push_str(&format!("{name}={value}\n"));
        }
        self.write_env_file(lines);
    }

    /// Makes `codex` talk to the scripted server: writes the user's `~/.codex/config.toml` and
    /// `~/.config/samocode/env`.
    #[track_caller]
    pub(crate) fn uses_codex(&self, api: &Api, key: &str) {
        self.write(".codex/config.toml", api.codex_config());
        self.write_env_file(format!("CODEX_API_KEY={key}\n"));
    }

    /// Makes `gemini` talk to the scripted server: writes the user's `~/.config/samocode/env`.
    #[track_caller]
    pub(crate) fn uses_gemini(&self, api: &Api, key: &str) {
        self.write_env_file(format!(
            "GEMINI_API_KEY={key}\nGOOGLE_GEMINI_BASE_URL={}\n",
            api.url()
        ));
    }

    /// Waits for a condition; fails the test with a diagnosis when it does not
    /// hold within the bound.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, bound: Duration, mut is_so: impl FnMut() -> bool) {
        self.wait_for(what, bound, || is_so().then_some(()));
    }

    /// Waits for a value.
    #[track_caller]
    pub(crate) fn wait_for<T>(
        &self,
        what: &str,
        bound: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> T {
        let end = Instant::now() + bound;
        loop {
            if let Some(value) = look() {
                return value;
            }
            if Instant::now() > end {
                panic!("not within {bound:?}: {what}\n{}", self.diagnosis());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Diagnostics that a developer would look at first: the units, the journal's tail, the
    /// session folders.
    pub(crate) fn diagnosis(&self) -> String {
        let units = self.systemctl(["status", "--all", "--lines=0", "samocode*"]).output();
        let journal = self.journalctl(["--lines=60"]).output();
        // A session folder is one that has an overview.
        let sessions = self
            .sh(r#"find "$HOME" /srv/lab/"$USER" -name _overview.md 2>/dev/null | while read -r f; do
                     d=${f%/*}; echo "== $d"; ls -la "$d"
                     sed -n '/^## Status/,/^## Files/p' "$f"
                     for j in _hook.json _signal.json; do [ -f "$d/$j" ] && { echo "-- $j"; head -c 2000 "$d/$j"; echo; }; done
                     [ -f "$d/_journal.jsonl" ] && { echo '-- _journal.jsonl'; tail -n 20 "$d/_journal.jsonl" | cut -c -600; }
                   done"#)
            .output();
        format!(
            "=== units\n{}{}\n=== journal\n{}\n=== sessions\n{}",
            units.stdout, units.stderr, journal.stdout, sessions.stdout
        )
    }
}
