//! What a session's agent may reach, and trying it out.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::unix::pipe::Receiver;

use crate::agent::confine::{self, Confinement, Grant, Place, Repository, caches};
use crate::agent::environment::RunIds;
use crate::agent::process::{Start, Stdin};
use crate::agent::{Agent, Environment, REGISTRY};
use crate::config::EnvFile;
use crate::config::confine::{LEVEL, Level};
use crate::git;
use crate::platform::confinement::Access;
use crate::session::phase::Phase;
use crate::session::store;

use super::error::{Class, Error, Result};
use super::host::{Operation, Perform};
use super::target::Target;

/// The most that is kept of each output of a command.
const MOST_OUTPUT: u64 = 1024 * 1024;

/// Asks what a session's agent may reach in its phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confine {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// A path, a port, or a host with a port, to be told about just that.
    #[serde(default)]
    pub about: Option<String>,
}

/// What may be done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum May {
    /// Read and execute.
    Read,
    /// Read and write what exists.
    Use,
    /// Write.
    Write,
}

/// A path that is open to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// A file, or a folder with all below it.
    pub path: PathBuf,
    /// What may be done with it.
    pub may: May,
    /// Why.
    pub why: String,
}

/// What a session's agent may reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confined {
    /// The session's name.
    pub session: String,
    /// The phase that this is about.
    pub phase: Phase,
    /// The level, what holds it, and what it leaves open on this host.
    pub level: String,
    /// What is open; empty if the agent is not confined.
    pub open: Vec<Open>,
    /// The answer about the path or port that was asked for.
    pub verdict: Option<String>,
}

/// Runs a command as the session's agent would run: in its folder, with its environment, in its
/// cage. It gets no input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Its exit code; 128 and the signal's number if a signal ended it.
    pub code: i32,
    /// What it printed. Not safe for a terminal.
    pub output: String,
    /// What it printed to standard error. Not safe for a terminal.
    pub errors: String,
}

#[async_trait]
impl Perform for Confine {
    async fn perform(self, on: &Operation<'_>) -> Result<Confined> {
        let scene = Scene::of(on, &self.session)?;
        let confinement = scene.confinement(Path::new("/tmp/samocode-RUN"));
        let verdict = self.about.as_deref().map(|about| scene.verdict(confinement.as_ref(), about));
        let grants = confinement.into_iter().flat_map(|confinement| confinement.grants);
        let level = scene.target.context.settings.confine(scene.phase).level;
        Ok(Confined {
            session: scene.target.session.name.clone(),
            phase: scene.phase,
            level: confine::describe(level, &confine::support()),
            open: grants.map(open).collect(),
            verdict: verdict.transpose()?,
        })
    }
}

#[async_trait]
impl Perform for Try {
    async fn perform(self, on: &Operation<'_>) -> Result<Tried> {
        let Some((program, args)) = self.command.split_first() else {
            return Err(Error::usage("there is no command to run")
                .hint(format!("samocode confine {} -- ls -a", self.session)));
        };
        let mut scene = Scene::of(on, &self.session)?;
        let unavailable =
            |error: &(dyn std::error::Error + 'static)| Error::of(Class::Unavailable, error);
        let temporary = tempfile::Builder::new()
            .prefix("samocode-confine-")
            .tempdir()
            .map_err(|error| unavailable(&error))?;
        let level = scene.target.context.settings.confine(scene.phase).level;
        if let Some(why) = confine::obstacle(level, &confine::support()) {
            return Err(Error::new(Class::Configuration, why));
        }
        let confinement = scene.confinement(temporary.path());
        let cage = confinement.as_ref().map(Confinement::cage).transpose();
        let cage = cage.map_err(|error| unavailable(&error))?;
        if let Some(confinement) = &confinement {
            let cache = caches::folder(&scene.environment, &scene.target.context.dirs.home);
            caches::redirect(&mut scene.environment, &cache, &confinement.keys.write);
        }
        scene.environment.retain(|(name, _)| name != "TMPDIR");
        scene.environment.push(("TMPDIR".into(), temporary.path().into()));
        let args: Vec<_> = args.iter().map(Into::into).collect();
        let started = Start {
            program: Path::new(program),
            args: &args,
            environment: &scene.environment,
            working_dir: &scene.work,
            cgroup: None,
            cage,
            input: Stdin::Nothing,
        }
        .start();
        let mut process = started.map_err(|error| unavailable(&error))?;
        let pipe = |end| Receiver::from_owned_fd(end).map_err(|error| unavailable(&error));
        let (stdout, stderr) = (pipe(process.stdout)?, pipe(process.stderr)?);
        let (output, errors, status) =
            tokio::join!(text(stdout), text(stderr), process.child.wait());
        let status = status.map_err(|error| unavailable(&error))?;
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        let code = status.code().or_else(|| signal.map(|signal| 128 + signal)).unwrap_or(1);
        Ok(Tried { code, output, errors })
    }
}

/// All that is printed, up to a bound; the rest is read and dropped, so that nothing blocks.
async fn text(mut pipe: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let _ = (&mut pipe).take(MOST_OUTPUT).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

fn open(grant: Grant) -> Open {
    let may = match grant.access {
        Access::Read => May::Read,
        Access::Device => May::Use,
        Access::Write => May::Write,
    };
    Open { path: grant.path, may, why: grant.because.describe() }
}

/// A session, and the agent as it would run now.
struct Scene {
    target: Target,
    phase: Phase,
    agent: Agent,
    environment: Environment,
    work: PathBuf,
}

impl Scene {
    fn of(on: &Operation<'_>, session: &str) -> Result<Self> {
        let target = on.resolve(session)?;
        let Target { context, session } = &target;
        let (state, _) = store::read_journal(&session.folder, |_| {})?;
        let phase = state.phase();
        let work = state.working_dir().map(PathBuf::from).ok_or_else(|| {
            Error::refused(format!("{} has no folder to work in yet", session.name))
                .hint(format!("start it first: samocode start {}", session.instance))
        })?;
        let (settings, env) = (&context.settings, &context.caller.env);
        let name = settings.agent(phase);
        let agent = REGISTRY
            .agent(name, settings, env, &context.caller.binary)
            .map_err(|error| Error::of(Class::Configuration, &error))?;
        let file = EnvFile::read(&context.dirs)
            .map_err(|error| Error::of(Class::Configuration, &error))?;
        let ids = RunIds {
            session: session.instance.clone(),
            session_dir: session.folder.path().to_owned(),
            phase,
            iteration: state.total,
            path_additions: agent.path_additions().to_vec(),
            ..RunIds::default()
        };
        let environment = REGISTRY.environment(env, &file, name, &ids).into_iter().collect();
        Ok(Self { phase, agent, environment, work, target })
    }

    fn confinement(&self, temporary: &Path) -> Option<Confinement> {
        let context = &self.target.context;
        let home = &context.dirs.home;
        let stores = git::stores(&self.work);
        let place = Place {
            home,
            environment: &self.environment,
            program: self.agent.program(),
            files: confine::named_files(&self.agent),
            work: &self.work,
            session: self.target.session.folder.path(),
            temporary,
            repository: stores.map(|git::Stores { common, own }| Repository { common, own }),
            login: self.agent.login_places(home, &self.environment),
        };
        Confinement::of(context.settings.confine(self.phase), &place)
    }

    /// What is said about a path, a port, or a host with a port.
    fn verdict(&self, confinement: Option<&Confinement>, about: &str) -> Result<String> {
        let Some(confinement) = confinement else {
            return Ok(format!("{about} is open: {LEVEL}={} confines nothing", Level::Off));
        };
        let port = about.rsplit_once(':').map_or(about, |(_, port)| port);
        if let Ok(port) = port.parse() {
            let verdict = confine::explain_port(confinement, port);
            return Ok(format!("TCP port {port} {}", verdict.describe()));
        }
        let context = &self.target.context;
        let path = match about.strip_prefix("~/") {
            Some(below) => context.dirs.home.join(below),
            None => context.caller.cwd.join(about),
        };
        if !about.contains('/') && !path.exists() {
            return Err(Error::usage(format!(
                "'{about}' is neither a path that exists nor a port"
            ))
            .hint("name a path with a /, or a host with its port, as in example.org:443"));
        }
        let verdict = confine::explain(&confinement.grants, &path);
        Ok(format!("{} {}", path.display(), verdict.describe()))
    }
}
