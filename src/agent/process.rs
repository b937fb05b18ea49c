//! Starting an agent's process.

mod child;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Environment;
use crate::platform::cage::Cage;
use crate::platform::limits::Limit;

/// Linux refuses an argument of this length, in bytes: `MAX_ARG_STRLEN`, 32 pages, with its closing
/// NUL (execve(2)).
pub const MAX_ARGUMENT: usize = 128 * 1024 - 1;

/// The size requested for the output pipe, in bytes: the most an unprivileged process may ask for
/// (`/proc/sys/fs/pipe-max-size`).
#[cfg(target_os = "linux")]
const PIPE: usize = 1024 * 1024;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No such program on PATH.
    #[error("cannot start '{program}': it is not on PATH ({path})")]
    NotOnPath {
        /// The program as it was named.
        program: String,
        /// The PATH that was searched.
        path: String,
    },
    /// The program's file does not exist.
    #[error("cannot start '{0}': no such file")]
    NotFound(String),
    /// The file exists, but its interpreter or loader does not.
    #[error(
        "cannot start '{0}': the interpreter in its first line, or its dynamic loader, is missing"
    )]
    NoInterpreter(String),
    /// The file may not be executed.
    #[error("cannot start '{0}': it is not executable")]
    NotExecutable(String),
    /// The file is not a program.
    #[error("cannot start '{0}': it is not a program for this machine and has no #! line")]
    NotAProgram(String),
    /// The arguments and the environment exceed the system's limit.
    #[error("cannot start '{0}': its arguments and environment are too long for this system")]
    TooLong(String),
    /// An argument or a variable holds a NUL byte.
    #[error("cannot start '{0}': an argument or environment variable holds a NUL byte")]
    Nul(String),
    /// The folder to start it in does not exist.
    #[error("cannot start '{program}' in '{folder}': no such folder")]
    NoFolder {
        /// The program as it was named.
        program: String,
        /// The working folder that does not exist.
        folder: String,
    },
    /// It could not be put into its cgroup.
    #[error("cannot start '{0}': it could not enter its cgroup")]
    Cgroup(String),
    /// It could not be locked into its cage.
    #[error("cannot start '{0}': it could not be confined as SAMOCODE_CONFINE demands")]
    Cage(String),
    /// A limit of the machine is reached.
    #[error("cannot start '{program}': {error}")]
    Limit {
        /// The program as it was named.
        program: String,
        /// The limit of the machine that was reached.
        limit: Limit,
        /// The error of the operating system.
        error: io::Error,
    },
    /// A failure of none of the other kinds, in the system's words.
    #[error("cannot start '{program}': {error}")]
    Other {
        /// The program as it was named.
        program: String,
        /// The error of the operating system.
        error: io::Error,
    },
}

/// Finds a program as a shell would: a path stays as it is, a name is looked up in the folders of
/// `path`. Links are not resolved, since updaters repoint them.
///
/// # Errors
/// [`StartError::NotOnPath`], [`StartError::NotFound`], [`StartError::NotExecutable`].
pub fn find_program(program: &Path, path: Option<&OsStr>) -> Result<PathBuf, StartError> {
    let name = || program.display().to_string();
    let is_name = program.components().count() == 1 && !program.is_absolute();
    if !is_name || program.as_os_str().is_empty() {
        return match std::fs::metadata(program) {
            Err(_) => Err(StartError::NotFound(name())),
            Ok(found) if !found.is_file() || found.permissions().mode() & 0o111 == 0 => {
                Err(StartError::NotExecutable(name()))
            }
            Ok(_) => Ok(program.to_owned()),
        };
    }
    let path = path.unwrap_or_else(|| OsStr::new("/usr/local/bin:/usr/bin:/bin"));
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|file| {
            file.metadata().is_ok_and(|f| f.is_file() && f.permissions().mode() & 0o111 != 0)
        })
        .ok_or_else(|| StartError::NotOnPath {
            program: name(),
            path: path.to_string_lossy().into_owned(),
        })
}

/// The standard input of a process.
#[derive(Debug)]
pub enum Stdin {
    /// `/dev/null`: it reads nothing.
    Nothing,
    /// A pipe, our end of which is [`Process::stdin`].
    Pipe,
    /// A file, open for reading.
    File(File),
}

/// Everything needed to start a process.
#[derive(Debug)]
pub struct Start<'a> {
    /// The program: a path, or a name to look for on the environment's PATH.
    pub program: &'a Path,
    /// Its arguments, without the program's name.
    pub args: &'a [OsString],
    /// Its complete environment; nothing is inherited.
    pub environment: &'a Environment,
    /// The folder it starts in.
    pub working_dir: &'a Path,
    /// `cgroup.procs` of the cgroup it will run in, open for writing.
    pub cgroup: Option<File>,
    /// The cage it is locked into before its program starts.
    pub cage: Option<Cage>,
    /// What its standard input is connected to.
    pub input: Stdin,
}

/// A started process, the leader of its own process group, and our ends of its pipes.
#[derive(Debug)]
pub struct Process {
    /// The process, to wait for.
    pub child: tokio::process::Child,
    /// Writes to its standard input.
    pub stdin: Option<OwnedFd>,
    /// Reads its standard output.
    pub stdout: OwnedFd,
    /// Reads its standard error output.
    pub stderr: OwnedFd,
}

impl Start<'_> {
    /// Starts the process. It inherits only its standard files and our session, which has no
    /// terminal; it has default signal handling, and is in its cgroup before its program starts.
    ///
    /// # Errors
    /// A [`StartError`] that names the cause. Must be called in a tokio runtime.
    pub fn start(self) -> Result<Process, StartError> {
        let program = find_program(self.program, super::variable(self.environment, "PATH"))?;
        let name = program.display().to_string();
        if self.args.iter().any(|arg| arg.len() >= MAX_ARGUMENT) {
            return Err(StartError::TooLong(name));
        }
        if is_bare_text(&program) {
            return Err(StartError::NotAProgram(name));
        }
        if !self.working_dir.is_dir() {
            let folder = self.working_dir.display().to_string();
            return Err(StartError::NoFolder { program: name, folder });
        }
        self.spawn(&program).map_err(|error| explain(error, &program, name))
    }

    /// The command that runs the process on our own standard files, as part of our process group.
    ///
    /// # Errors
    /// A [`StartError`] if there is no such program.
    pub fn here(self) -> Result<Command, StartError> {
        let program = find_program(self.program, super::variable(self.environment, "PATH"))?;
        let mut command = self.command(&program);
        child::prepare(&mut command, self.cgroup, self.cage);
        Ok(command)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = match &self.cage {
            Some(cage) => cage.command(program),
            None => Command::new(program),
        };
        command
            .args(self.args)
            .env_clear()
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .current_dir(self.working_dir);
        command
    }

    fn spawn(mut self, program: &Path) -> io::Result<Process> {
        let (stdout, child_stdout) = pipe()?;
        let (stderr, child_stderr) = pipe()?;
        let input = std::mem::replace(&mut self.input, Stdin::Nothing);
        let (child_stdin, stdin) = match input {
            Stdin::Nothing => (Stdio::null(), None),
            Stdin::Pipe => {
                let (reader, writer) = pipe()?;
                (Stdio::from(reader), Some(writer))
            }
            Stdin::File(file) => (Stdio::from(file), None),
        };
        let mut command = self.command(program);
        command.stdin(child_stdin).stdout(child_stdout).stderr(child_stderr);
        command.process_group(0);
        child::prepare(&mut command, self.cgroup, self.cage);
        child::keep_from_children();
        // The command holds the child's ends of the pipes; they close with it, here.
        let child = tokio::process::Command::from(command).spawn()?;
        Ok(Process { child, stdin, stdout, stderr })
    }
}

/// Whether the file is text without a `#!` line. The kernel refuses it (ENOEXEC), but the C library
/// would then run it in a shell.
fn is_bare_text(program: &Path) -> bool {
    let mut start = [0; 128];
    let read = File::open(program).and_then(|mut file| file.read(&mut start));
    read.is_ok_and(|count| !start.starts_with(b"#!") && !start[..count].contains(&0))
}

/// A pipe, closed on exec, as large as allowed.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(target_os = "linux")]
    {
        let ends = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        // Fails for a user with many large pipes (pipe-user-pages-soft); the default 64 KiB are
        // just slower.
        let _ = rustix::pipe::fcntl_setpipe_size(&ends.0, PIPE);
        Ok(ends)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let (reader, writer) = io::pipe()?;
        Ok((reader.into(), writer.into()))
    }
}

fn explain(error: io::Error, program: &Path, name: String) -> StartError {
    match error.raw_os_error() {
        Some(child::NO_CGROUP) => StartError::Cgroup(name),
        Some(child::NO_CAGE) => StartError::Cage(name),
        Some(libc::ENOENT) if program.exists() => StartError::NoInterpreter(name),
        Some(libc::ENOENT | libc::ENOTDIR) => StartError::NotFound(name),
        Some(libc::EACCES | libc::EPERM) => StartError::NotExecutable(name),
        Some(libc::ENOEXEC) => StartError::NotAProgram(name),
        Some(libc::E2BIG) => StartError::TooLong(name),
        None if error.kind() == io::ErrorKind::InvalidInput => StartError::Nul(name),
        _ => match Limit::of_start(&error) {
            Some(limit) => StartError::Limit { program: name, limit, error },
            None => StartError::Other { program: name, error },
        },
    }
}

#[cfg(test)]
mod tests;
