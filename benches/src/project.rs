//! A project to measure in, and its sessions.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A project in a folder of its own.
pub(crate) struct Project {
    root: PathBuf,
    samocode: PathBuf,
    agent: PathBuf,
    /// Whether programs get this process's environment, or a clean one.
    inherits: bool,
    template: PathBuf,
}

/// How many iterations the template has behind it.
pub(crate) const BEHIND: u32 = 2;

impl Project {
    /// Makes a project with a git repository, and in it a session in `implementation` that is
    /// blocked: the template of those that are measured.
    pub(crate) fn create(
        root: &Path,
        samocode: &Path,
        agent: &Path,
        inherits: bool,
    ) -> io::Result<Self> {
        if root.exists() {
            fs::remove_dir_all(root)?;
        }
        for folder in ["shop", "home", "run"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let root = fs::canonicalize(root)?;
        let mut project = Self {
            samocode: fs::canonicalize(samocode)?,
            agent: fs::canonicalize(agent)?,
            template: PathBuf::new(),
            inherits,
            root,
        };
        project.set_up()?;
        project.session("template", 1, &[])?.status()?;
        project.template = project.folder("template")?;
        let overview = project.template.join("_overview.md");
        let text = fs::read_to_string(&overview)?;
        fs::write(&overview, text.replace("Phase: investigation", "Phase: implementation"))?;
        project.session("template", BEHIND, &[])?.status()?;
        let text = fs::read_to_string(&overview)?;
        if !text.contains("Phase: implementation") || !text.contains("Blocked: yes") {
            return Err(io::Error::other(format!("the template session went wrong:\n{text}")));
        }
        Ok(project)
    }

    fn set_up(&self) -> io::Result<()> {
        let config = format!(
            "MAIN_REPO=shop\nWORKTREES=worktrees\nSESSIONS=sessions\nSAMOCODE_AGENT={}\n\
             SAMOCODE_CONFINE=off\n",
            self.agent_choice(BEHIND + 1, &[])
        );
        fs::write(self.config(), config)?;
        fs::write(self.root.join("shop/README"), "A shop.\n")?;
        for args in [
            &["init", "-q", "-b", "main"][..],
            &["config", "user.name", "Bench"],
            &["config", "user.email", "bench@example.org"],
            &["add", "README"],
            &["commit", "-q", "-m", "Begin"],
        ] {
            let mut git = Command::new("git");
            self.surround(&mut git);
            let status = git.arg("-C").arg(self.root.join("shop")).args(args).status()?;
            if !status.success() {
                return Err(io::Error::other(format!("git {args:?} failed")));
            }
        }
        Ok(())
    }

    /// Adds worktrees that belong to no session, each on its own branch.
    pub(crate) fn add_worktrees(&self, count: u32) -> io::Result<()> {
        for at in 0..count {
            let name = format!("other-{at:03}");
            let folder = self.root.join("others").join(&name);
            let mut git = Command::new("git");
            self.surround(&mut git);
            git.arg("-C").arg(self.root.join("shop"));
            git.args(["worktree", "add", "--quiet", "-b", &name]).arg(folder);
            if !git.status()?.success() {
                return Err(io::Error::other(format!("git cannot make the worktree {name}")));
            }
        }
        Ok(())
    }

    fn config(&self) -> PathBuf {
        self.root.join(".samocode")
    }

    fn surround(&self, command: &mut Command) {
        if self.inherits {
            return;
        }
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.root.join("home"))
            // No bus: nothing pops up on a desktop.
            .env("XDG_RUNTIME_DIR", self.root.join("run"))
            // Where the agent is called claude and the bench runs as root.
            .env("IS_SANDBOX", "1");
    }

    /// The program with these arguments, quiet.
    pub(crate) fn samocode(&self, args: &[&str]) -> Command {
        self.samocode_with(args, &[])
    }

    /// The same with arguments that come after all options.
    pub(crate) fn samocode_with(&self, args: &[&str], last: &[&str]) -> Command {
        let mut command = Command::new(&self.samocode);
        self.surround(&mut command);
        command
            .args(args)
            .arg("--config")
            .arg(self.config())
            .args(last)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// The environment a command was given, for one that wraps it.
    pub(crate) fn wrapped(&self, wrapper: &[&str], command: &Command) -> Command {
        let mut outer = Command::new(wrapper[0]);
        self.surround(&mut outer);
        outer.args(&wrapper[1..]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            if let Some(value) = value {
                outer.env(key, value);
            }
        }
        outer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        outer
    }

    fn agent_choice(&self, last: u32, options: &[String]) -> String {
        format!("command:{} {last} {}", self.agent.display(), options.join(" ")).trim().to_owned()
    }

    /// A run of a session to the iteration `last`.
    pub(crate) fn session(&self, name: &str, last: u32, options: &[String]) -> io::Result<Command> {
        let mut command = self.samocode(&["run", name]);
        command.env("SAMOCODE_AGENT", self.agent_choice(last, options));
        if self.folder(name).is_err() {
            command.args(["--task", "Measure"]);
        }
        Ok(command)
    }

    /// A run of so many iterations of a copy of the template.
    pub(crate) fn iterations(
        &self,
        name: &str,
        count: u32,
        options: &[String],
    ) -> io::Result<Command> {
        self.copy(name)?;
        self.session(name, BEHIND + count, options)
    }

    /// The first run of a session that is new: worktree, branch and one iteration.
    pub(crate) fn new_session(&self, name: &str) -> io::Result<Command> {
        self.session(name, 1, &[])
    }

    /// The agent without samocode, in the iteration before its last.
    pub(crate) fn bare_agent(&self, options: &[String]) -> io::Result<Command> {
        let mut command = Command::new(&self.agent);
        command
            .arg("2")
            .args(options)
            .env_clear()
            .env("SAMOCODE_ITERATION", "1")
            .env("SAMOCODE_SESSION_DIR", self.copy("bare")?)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// The same as [`Project::iterations`], with the agent as Claude Code.
    pub(crate) fn claude(&self, name: &str, count: u32, options: &[String]) -> io::Result<Command> {
        use std::os::unix::fs::PermissionsExt as _;
        let wrapper = self.root.join("claude");
        let (agent, last) = (self.agent.display(), BEHIND + count);
        // The worker may ask for the version of a program whose output it does not know.
        let version = "[ \"$1\" = --version ] && { echo 0.0.0; exit; }";
        let run = format!("exec {agent} {last} {}", options.join(" "));
        fs::write(&wrapper, format!("#!/bin/sh\n{version}\n{run}\n"))?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
        self.copy(name)?;
        let mut command = self.samocode(&["run", name]);
        command.env("SAMOCODE_AGENT", "claude").env("CLAUDE_PATH", wrapper);
        Ok(command)
    }

    /// Has every agent that a unit starts append to this file.
    pub(crate) fn note_in(&self, note: &Path, last: u32) -> io::Result<()> {
        let config = fs::read_to_string(self.config())?;
        let rest = config.lines().filter(|line| !line.starts_with("SAMOCODE_AGENT="));
        let mut lines: Vec<String> = rest.map(str::to_owned).collect();
        let options = [format!("note={}", note.display())];
        lines.push(format!("SAMOCODE_AGENT={}\n", self.agent_choice(last, &options)));
        fs::write(self.config(), lines.join("\n"))
    }

    /// Copies the template session to one of another name.
    pub(crate) fn copy(&self, name: &str) -> io::Result<PathBuf> {
        let template = self.template.file_name().unwrap_or_default().to_string_lossy();
        let to = self.sessions().join(template.replace("template", name));
        copy_folder(&self.template, &to)?;
        Ok(to)
    }

    fn sessions(&self) -> PathBuf {
        self.root.join("sessions")
    }

    /// The folder of a session.
    pub(crate) fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let suffix = format!("-{name}");
        fs::read_dir(self.sessions())?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with(&suffix))
            .ok_or_else(|| io::Error::other(format!("there is no session {name}")))
    }

    /// A path in the project's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Removes all of it.
    pub(crate) fn remove(self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The time a command takes from its start to its end, which must be with one of these codes.
pub(crate) fn timed(command: &mut Command, codes: &[i32]) -> io::Result<Duration> {
    let begin = Instant::now();
    let status = command.status()?;
    let took = begin.elapsed();
    if status.code().is_some_and(|code| codes.contains(&code)) {
        return Ok(took);
    }
    Err(io::Error::other(format!("{command:?} ended with {status}")))
}
