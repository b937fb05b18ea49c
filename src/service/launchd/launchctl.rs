//! Runs launchctl(1).

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use super::job::{self, Job, Listed};
use crate::service::{Error, Scope};

/// How long one call may take. A bootout may wait for the agent's end, at most its ExitTimeOut.
const BOUND: Duration = Duration::from_secs(60);

/// How long to retry a bootstrap. Right after a bootout launchd refuses one for some seconds (error 5),
/// although it no longer shows the agent.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often.
const PAUSE: Duration = Duration::from_millis(250);

/// The exit code of `launchctl print` for an agent that is not loaded. Others mean that it could not
/// look.
const NOT_LOADED: i32 = 113;

/// launchctl, for the agents of the calling user's login session.
#[derive(Debug, Clone)]
pub struct Launchctl {
    program: PathBuf,
    domain: String,
}

/// What launchctl said.
#[derive(Debug)]
struct Said {
    /// Its exit code; `None` if a signal ended it.
    code: Option<i32>,
    out: String,
    /// Its own words for a failure, in one line.
    why: String,
}

impl Launchctl {
    /// Uses this program.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        let uid = rustix::process::getuid().as_raw();
        Self { program, domain: format!("gui/{uid}") }
    }

    /// The login session, as in `gui/501`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The name by which launchctl knows an agent, as in `gui/501/dev.samocode.wake`.
    #[must_use]
    pub fn target(&self, label: &str) -> String {
        format!("{}/{label}", self.domain)
    }

    async fn say<S: AsRef<OsStr> + Sync>(&self, args: &[S]) -> Result<Said, Error> {
        let words = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect::<Vec<_>>();
        let what = format!("run launchctl {}", words.join(" "));
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Call {
            what: what.clone(),
            source,
        };
        let mut command = Command::new(&self.program);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(BOUND, command.output()).await {
            Ok(Ok(output)) => Ok(Said::of(&output)),
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Err(Error::NoManager {
                scope: Scope::User,
                why: format!("{} does not exist", self.program.display()),
            }),
            Ok(Err(error)) => Err(failed(error.into())),
            Err(_) => Err(failed(format!("no answer for {} s", BOUND.as_secs()).into())),
        }
    }

    /// A call that has to succeed; `what` is the attempt in our words.
    async fn must<S: AsRef<OsStr> + Sync>(&self, what: &str, args: &[S]) -> Result<String, Error> {
        let said = self.say(args).await?;
        if said.is_done() {
            return Ok(said.out);
        }
        Err(Error::Call { what: what.to_owned(), source: said.why.into() })
    }

    /// Checks that the login session exists.
    ///
    /// # Errors
    /// [`Error::NoManager`] if it does not, as over ssh to a Mac at which nobody is logged in.
    pub async fn check(&self) -> Result<(), Error> {
        let said = self.say(&["print", &self.domain]).await?;
        if said.is_done() {
            return Ok(());
        }
        let why = format!(
            "launchd has no login session {}; log in at the Mac's screen: {}",
            self.domain, said.why
        );
        Err(Error::NoManager { scope: Scope::User, why })
    }

    /// An agent that is loaded; `None` if launchd does not know it.
    ///
    /// # Errors
    /// [`Error::Call`] if launchctl cannot be run.
    pub async fn job(&self, label: &str) -> Result<Option<Job>, Error> {
        let said = self.say(&["print", &self.target(label)]).await?;
        if said.is_done() {
            return Ok(Some(job::parse(&said.out)));
        }
        if said.code == Some(NOT_LOADED) {
            return Ok(None);
        }
        Err(Error::Call { what: format!("look up {label}"), source: said.why.into() })
    }

    /// All agents of ours that are loaded.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        let out = self.must("list the agents", &["print", &self.domain]).await?;
        Ok(job::parse_list(&out))
    }

    /// The variables that launchd passes to every agent.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn environment(&self) -> Result<Vec<(String, String)>, Error> {
        let out = self.must("ask for the environment of agents", &["print", &self.domain]).await?;
        Ok(job::parse_environment(&out))
    }

    /// Whether someone has disabled an agent, so that launchd refuses to load it.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn is_disabled(&self, label: &str) -> Result<bool, Error> {
        let said = self.say(&["print-disabled", &self.domain]).await?;
        Ok(job::is_disabled(&said.out, label))
    }

    /// launchd's own version, as far as it has one: 7 for macOS 11 and later.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn version(&self) -> Result<u32, Error> {
        let out = self.must("read launchd's version", &["version"]).await?;
        Ok(job::parse_version(&out).unwrap_or_default())
    }

    /// Loads an agent. Ours all start when they are loaded, except those that wait for a file.
    ///
    /// # Errors
    /// [`Error::Masked`], [`Error::Call`].
    pub async fn bootstrap(&self, label: &str, file: &Path) -> Result<(), Error> {
        let what = format!("load {label}");
        let args = [OsStr::new("bootstrap"), OsStr::new(&self.domain), file.as_os_str()];
        let began = Instant::now();
        loop {
            let said = self.say(&args).await?;
            // Somebody else may have done it meanwhile.
            if said.is_done() || self.job(label).await?.is_some() {
                return Ok(());
            }
            if self.is_disabled(label).await? {
                let command = format!("launchctl enable {}", self.target(label));
                return Err(Error::Masked { what, command });
            }
            if began.elapsed() >= PATIENCE {
                return Err(Error::Call { what, source: said.why.into() });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks launchd to end and unload an agent. It may take until the agent has ended: see
    /// [`Launchctl::job`].
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn bootout(&self, label: &str) -> Result<(), Error> {
        // Fails if it is not loaded, and also while it ends. What counts is read back.
        self.say(&["bootout", &self.target(label)]).await.map(drop)
    }

    /// Starts an agent that is loaded and not running.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn kickstart(&self, label: &str) -> Result<(), Error> {
        let args = ["kickstart", &self.target(label)];
        self.must(&format!("start {label}"), &args).await.map(drop)
    }

    /// Sends a signal, by number, to an agent's main process.
    ///
    /// # Errors
    /// [`Error::Call`], also if it is not running.
    pub async fn kill(&self, label: &str, signal: i32) -> Result<(), Error> {
        let args = ["kill", &signal.to_string(), &self.target(label)];
        self.must(&format!("send signal {signal} to {label}"), &args).await.map(drop)
    }
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let why = text(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        let why = if why.is_empty() { output.status.to_string() } else { why };
        Self { code: output.status.code(), out: text(&output.stdout), why }
    }

    fn is_done(&self) -> bool {
        self.code == Some(0)
    }
}
