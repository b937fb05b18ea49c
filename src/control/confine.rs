//! What a session's agent may reach, and trying it out.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agent::confine::{self, Closed, Confinement, Grant, Proxy};
use crate::agent::environment::RunIds;
use crate::agent::process::{Start, Stdin};
use crate::agent::{Agent, Environment, REGISTRY};
use crate::config::confine::LEVEL;
use crate::config::peers::Peer;
use crate::config::{self, Flags};
use crate::git::Checkout;
use crate::platform::confinement::Access;
use crate::service::Progress;
use crate::session::phase::Phase;
use crate::worker::{self, port_base};

use super::attach::OF_TERMINALS;
use super::context::{Answer, Caller, Warnings};
use super::error::{Attempt as _, Class, Error, Result};
use super::install::UnitFiles;
use super::operation::{Operation, Perform};
use super::target::Target;

/// Asks what a session's agent may reach in its phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confine {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// A path, a host with or without a port, or a port: the reply is only about that.
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
    /// Whom it may connect to, if it has a network of its own.
    #[serde(default)]
    pub connect: Option<Vec<String>>,
    /// The answer about the path, host or port that was asked for.
    pub verdict: Option<String>,
}

/// A command that is to run as the session's agent would run it: in its folder, with its
/// environment, in its cage, but on the caller's terminal. So this is no call that travels to another
/// machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enter {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// A command that is ready to run in a session's cage.
#[derive(Debug)]
pub struct Caged {
    /// The command. It runs once.
    pub command: Command,
    /// The level, what holds it, and what it leaves open on this host.
    pub level: String,
    /// Its folder for temporary files, which goes away with this.
    pub temporary: tempfile::TempDir,
    /// The way out of its network, if it has one of its own; it ends with this.
    pub proxy: Option<Proxy>,
}

/// Builds the cage of a session's agent for a command.
pub async fn enter(caller: &Caller, request: Enter, progress: Progress<'_>) -> Answer<Caged> {
    let on = Operation { caller, warnings: Warnings::default(), progress };
    let result = request.perform(&on).map_err(|error| caller.pasteable(error));
    Answer { result, warnings: on.warnings.take() }
}

#[async_trait]
impl Perform for Confine {
    async fn perform(self, on: &Operation<'_>) -> Result<Confined> {
        let target = on.resolve(&self.session)?;
        let unit = UnitFiles::new(&target.context, &target.session, &Flags::default())?;
        let mut scene = Scene::of(&target, &unit, Path::new(RUN))?;
        let confinement = scene.confinement();
        let verdict = self.about.as_deref();
        let verdict = verdict.map(|about| verdict_on(&target, confinement.as_ref(), about));
        let network = confinement.as_ref().and_then(|confinement| confinement.network.as_ref());
        let connect = network.map(|network| network.peers().map(Peer::to_string).collect());
        let grants = confinement.into_iter().flat_map(|confinement| confinement.grants);
        Ok(Confined {
            session: target.session.name.clone(),
            phase: scene.phase,
            level: confine::describe(scene.keys, &confine::support(scene.keys.level)),
            open: grants.filter(|grant| exists(&grant.path)).map(open).collect(),
            connect,
            verdict: verdict.transpose()?,
        })
    }
}

impl Enter {
    fn perform(self, on: &Operation<'_>) -> Result<Caged> {
        let Some((program, args)) = self.command.split_first() else {
            return Err(Error::usage("there is no command to run")
                .hint(format!("samocode confine {} -- ls -a", self.session)));
        };
        let target = on.resolve(&self.session)?;
        let unit = UnitFiles::new(&target.context, &target.session, &Flags::default())?;
        let temporary = tempfile::Builder::new().prefix("samocode-confine-").tempdir();
        let temporary = temporary.attempt(|| "make a temporary folder".to_owned())?;
        let mut scene = Scene::of(&target, &unit, temporary.path())?;
        let support = confine::support(scene.keys.level);
        if let Some(why) = confine::obstacle(scene.keys, &support) {
            return Err(Error::new(Class::Configuration, why));
        }
        let closed = scene.confinement().as_ref().map(Confinement::close).transpose();
        let closed = closed.map_err(|error| Error::of(Class::Unavailable, &error))?;
        let (cage, proxy) = closed.map(|Closed { cage, proxy }| (cage, proxy)).unzip();
        let terminal =
            OF_TERMINALS.iter().filter_map(|name| Some((name, on.caller.env.get(name)?)));
        scene.environment.extend(terminal.map(|(name, value)| (name.into(), value.to_owned())));
        let command = Start {
            program: Path::new(program),
            args,
            environment: &scene.environment,
            working_dir: &scene.work,
            cgroup: None,
            cage,
            input: Stdin::Nothing,
        }
        .here()
        .map_err(|error| Error::of(Class::NotFound, &error))?;
        let level = confine::describe(scene.keys, &support);
        Ok(Caged { command, level, temporary, proxy: proxy.flatten() })
    }
}

/// Stands for the folder for temporary files of a run that has not started.
pub(super) const RUN: &str = "/tmp/samocode-RUN";

/// Whether a path exists now, or will in a run.
fn exists(path: &Path) -> bool {
    path == Path::new(RUN) || path.exists()
}

fn open(grant: Grant) -> Open {
    let may = match grant.access {
        Access::Read => May::Read,
        Access::Device => May::Use,
        Access::Write => May::Write,
    };
    Open { path: grant.path, may, why: grant.because.describe() }
}

/// A session's agent as it would run now.
pub(super) struct Scene<'a> {
    target: &'a Target,
    keys: &'a config::confine::Confine,
    temporary: &'a Path,
    phase: Phase,
    agent: Agent,
    environment: Environment,
    work: PathBuf,
}

impl<'a> Scene<'a> {
    pub(super) fn of(
        target: &'a Target,
        unit: &'a UnitFiles<'_>,
        temporary: &'a Path,
    ) -> Result<Self> {
        let Target { context, session } = target;
        let state = session.state()?;
        let phase = state.phase();
        let work = state.working_dir().map(PathBuf::from).ok_or_else(|| {
            Error::refused(format!("{} has no folder to work in yet", session.name))
                .hint(format!("samocode start {}", session.instance))
        })?;
        let name = unit.settings.agent(phase);
        let agent =
            REGISTRY.agent(name, phase, &unit.settings, &unit.env, &context.caller.binary)?;
        let ids = RunIds {
            session: session.instance.clone(),
            session_dir: session.folder.path().to_owned(),
            phase,
            iteration: state.total,
            tmpdir: temporary.to_owned(),
            port_base: port_base(&context.dirs.state, session.folder.path())?,
            own_caches: unit.settings.own_caches.clone(),
            path_additions: agent.path_additions().to_vec(),
            ..RunIds::default()
        };
        let file = context.env_file()?;
        let environment = REGISTRY.environment(&unit.env, &file, name, &ids).into_iter().collect();
        let keys = unit.settings.confine(phase);
        Ok(Self { target, keys, temporary, phase, agent, environment, work })
    }

    /// How it is confined; and points its tools to their caches.
    pub(super) fn confinement(&mut self) -> Option<Confinement> {
        let checkout = Checkout::around(&self.target.context.project, &self.work);
        let scene = worker::confine::Scene {
            home: &self.target.context.dirs.home,
            agent: Some(&self.agent),
            work: &self.work,
            checkout: checkout.as_ref(),
            session: Some(self.target.session.folder.path()),
            temporary: self.temporary,
        };
        scene.confinement(self.keys, &mut self.environment)
    }
}

/// Whether a path, a host or a port is open, and what opens it.
fn verdict_on(target: &Target, confinement: Option<&Confinement>, about: &str) -> Result<String> {
    let Some(confinement) = confinement else {
        return Ok(format!(
            "{about} is open: agents are not confined; {LEVEL}=standard confines them"
        ));
    };
    let caller = &target.context.caller;
    let path = match about.strip_prefix("~/") {
        Some(below) => target.context.dirs.home.join(below),
        None => caller.cwd.join(about),
    };
    if !about.contains('/') && !path.exists() {
        let peer = Peer::parse(about).ok_or_else(|| {
            let message = format!("'{about}' is neither a path that exists nor a host or port");
            Error::usage(message)
                .hint("name a path with a /, or a host with its port, as in example.org:443")
        })?;
        let verdict = confine::explain_peer(confinement, &peer);
        return Ok(format!("{peer} {}", verdict.describe()));
    }
    let verdict = confine::explain(&confinement.grants, &path);
    Ok(format!("{} {}", path.display(), verdict.describe()))
}
