//! Confining the agent of a run.

pub(super) mod calls;
pub(super) mod outbox;
mod own_repository;
mod tools;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::agent::confine::refusals::{Refused, refusals};
use crate::agent::confine::{
    self, Closed, Confinement, Place, Proxy, Repository, caches, network, signing,
};
use crate::agent::roles::PROJECT_FOLDER;
use crate::agent::{Agent, Environment};
use crate::config::confine::{Confine, Level, READ};
use crate::config::{Project, Settings, dirs};
use crate::git::{self, Checkout, Stores};
use crate::platform::cage::Cage;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::store::{self, Folder, Lock, LockError};

use super::iterate::Plan;
use super::under_way::Ended;
use super::{Setup, Trouble, Worker};

/// Tells an agent, and samocode in its hands, that it is confined, with the level.
pub(crate) const CONFINED: &str = "SAMOCODE_CONFINED";

/// How much of a run's log is searched for refusals, from its end, in bytes.
const MOST_LOG: u64 = 16 * 1024 * 1024;

/// What a new session's checkout is linked to: where agents are confined, a repository of its own.
pub(crate) fn repository(settings: &Settings) -> git::Repository {
    if confine::is_used(settings) { git::Repository::Own } else { git::Repository::Projects }
}

/// Whether commits are left unsigned, whatever git's settings say.
pub(crate) fn forgoes_signing(keys: &Confine, home: &Path) -> bool {
    keys.level != Level::Off
        && confine::level(keys, &confine::support(keys.level)) != Level::Off
        && !signing::is_opened(keys, home)
}

/// Moves the session's record out of the reach of agents that are confined. Once it is there it
/// stays, whatever the settings say later.
pub(super) fn keep_record(setup: &Setup, lock: Lock) -> Result<Lock, LockError> {
    if confine::is_used(&setup.settings) {
        if setup.folder.record().is_none() {
            // From then on its agent could make up sessions below it: those that are there are known by
            // records of their own. One that is worked on sees to it itself.
            let is_session = |below: &&Folder| below.is_begun() || below.journal().exists();
            for below in setup.folder.descendants().iter().filter(is_session) {
                if let Ok(lock) = Lock::take(below) {
                    below.set_apart(lock)?;
                }
            }
        }
        return setup.folder.set_apart(lock);
    }
    setup.folder.settle_record()?;
    Ok(lock)
}

/// Where an agent works, or a command of the project's.
pub(crate) struct Scene<'a> {
    /// The home folder.
    pub(crate) home: &'a Path,
    /// The agent, if it is one.
    pub(crate) agent: Option<&'a Agent>,
    /// The folder it works in.
    pub(crate) work: &'a Path,
    /// The session's checkout, if that is in one.
    pub(crate) checkout: Option<&'a Checkout>,
    /// The session's folder, if it works for one.
    pub(crate) session: Option<&'a Path>,
    /// Its folder for temporary files.
    pub(crate) temporary: &'a Path,
}

impl Scene<'_> {
    /// How it is confined here, `None` if it is not; and points its tools to their caches.
    pub(crate) fn confinement(
        &self,
        keys: &Confine,
        environment: &mut Environment,
    ) -> Option<Confinement> {
        let Self { home, agent, work, checkout, session, temporary } = *self;
        // Nothing is asked of the host.
        if keys.level == Level::Off {
            return None;
        }
        let stores = match checkout {
            Some(checkout) => checkout.stores(),
            None => git::stores(work),
        };
        if let Some(Stores::Shared { common, .. }) = &stores {
            // git makes it at the first commit, beside what an agent may write.
            let _ = std::fs::create_dir(common.join("logs"));
        }
        let place = Place {
            home,
            environment,
            program: agent.map(Agent::program),
            files: agent.map(confine::named_files).unwrap_or_default(),
            // A project in a folder of its repository needs the rest of the checkout, too.
            work: checkout.map_or(work, Checkout::root),
            session,
            temporary,
            repository: stores.map(|stores| match stores {
                Stores::Shared { common, own } => Repository::Shared { common, own },
                Stores::Own { folder, objects } => Repository::Own { folder, objects },
            }),
            git_files: git::named_by_settings(home),
            settings: tools::settings(home),
            login: agent.map(|agent| agent.login_folders(home, environment)).unwrap_or_default(),
            login_files: agent
                .map(|agent| agent.login_files(home, environment))
                .unwrap_or_default(),
            service: agent
                .map(|agent| network::service(agent.spec().manifest(), environment))
                .unwrap_or_default(),
        };
        let support = confine::support(keys.level);
        let level = confine::level(keys, &support);
        let confinement = Confinement::of(level, keys, &place)?;
        let confinement = Confinement { work: work.to_owned(), ..confinement };
        let cache = caches::folder(environment, home);
        let own = session.map(|session| Folder::new(session).own_caches());
        let opened: Vec<PathBuf> = keys.write.iter().cloned().chain(own).collect();
        caches::redirect(environment, &cache, &opened);
        signing::forgo(environment, keys, home);
        if !confinement.has_view(&support) {
            caches::java_temporary(environment, temporary);
        }
        if let Some(network) = &confinement.network {
            network.redirect(environment);
        }
        environment.push((CONFINED.into(), level.as_str().into()));
        Some(confinement)
    }
}

/// A command of the project's that runs on what an agent left, so in a cage like the agent's: its
/// environment, and the cage if there is one.
#[derive(Debug)]
pub(crate) struct Caged {
    pub(crate) env: Environment,
    pub(crate) cage: Option<Cage>,
    /// The way out of its network. Keep it until the command has ended.
    _proxy: Option<Proxy>,
    /// Its folder for temporary files, which goes away with this.
    _temporary: Option<tempfile::TempDir>,
}

impl Caged {
    /// Confines a command that works in a folder, which may be in a checkout, as the keys say. The error is for a person.
    pub(crate) fn command(
        keys: &Confine,
        home: &Path,
        (work, checkout): (&Path, Option<&Checkout>),
        session: Option<&Path>,
        mut env: Environment,
    ) -> Result<Self, String> {
        let open = |env| Ok(Self { env, cage: None, _proxy: None, _temporary: None });
        if keys.level == Level::Off {
            return open(env);
        }
        let support = confine::support(keys.level);
        if let Some(why) = confine::obstacle(keys, &support) {
            return Err(why);
        }
        if confine::level(keys, &support) == Level::Off {
            return open(env);
        }
        let temporary = tempfile::Builder::new().prefix("samocode-command-").tempdir();
        let temporary = temporary.map_err(|error| format!("no temporary folder: {error}"))?;
        env.retain(|(name, _)| name != "TMPDIR");
        env.push(("TMPDIR".into(), temporary.path().into()));
        let temporary_files = temporary.path();
        let scene =
            Scene { home, agent: None, work, checkout, session, temporary: temporary_files };
        let confinement = scene.confinement(keys, &mut env);
        let closed = confinement.as_ref().map(Confinement::close).transpose();
        let closed = closed.map_err(|error| error.to_string())?;
        let (cage, proxy) = closed.map(|Closed { cage, proxy }| (cage, proxy)).unzip();
        Ok(Self { env, cage, _proxy: proxy.flatten(), _temporary: Some(temporary) })
    }
}

impl Worker<'_> {
    /// Records what the cage refused the agent, as far as the logs of its run tell.
    pub(super) fn record_refusals(&mut self, plan: &Plan, ended: &Ended) -> Result<(), Trouble> {
        let Some(confinement) = &ended.confinement else { return Ok(()) };
        let Some(open) = self.writer.state().open_run() else { return Ok(()) };
        let home = dirs::home(&self.setup.env).unwrap_or_default();
        let mut all = BTreeMap::new();
        for name in [open.log.clone(), open.log.replace(".jsonl", ".stderr")] {
            let text = store::read_tail(&self.writer.folder.logs().join(name), MOST_LOG);
            let text = text.unwrap_or_default();
            for (refused, times) in refusals(confinement, &home, &text) {
                *all.entry(refused).or_insert(0) += times;
            }
        }
        for ((host, port), times) in ended.proxy.as_ref().map(Proxy::refused).unwrap_or_default() {
            all.insert(Refused::peer(confinement, host, port), times);
        }
        if all.is_empty() {
            return Ok(());
        }
        let redact = |text: &str| self.redactor.redact(text).into_owned();
        let refused = all.into_iter().map(|(Refused { what, key, value }, times)| event::Refusal {
            what: redact(&what),
            opened_by: redact(&format!("{key}={value}")),
            times,
        });
        let kept_out = event::KeptOut { run: plan.run.clone(), refused: refused.collect() };
        Ok(self.writer.record(Event::KeptOut(kept_out))?)
    }

    /// What the settings demand in this phase.
    fn demanded(&self) -> &Confine {
        self.setup.settings.confine(self.writer.state().phase())
    }

    /// Why this host cannot confine the agent as demanded.
    pub(super) fn not_confined(&self) -> Option<String> {
        let keys = self.demanded();
        if keys.level == Level::Off {
            return None;
        }
        let support = confine::support(keys.level);
        confine::obstacle(keys, &support).or_else(|| {
            let is_confined = confine::level(keys, &support) != Level::Off;
            is_confined.then(|| self.closed_objects(keys)).flatten()
        })
    }

    /// What of the repository would be closed to the agent, so that git would not work. Who wrote that
    /// the repository needs it is not known, so it is not opened because of that.
    fn closed_objects(&self, keys: &Confine) -> Option<String> {
        let checkout = self.checkout().filter(|it| it.repository() == git::Repository::Projects)?;
        let opened = keys.read.iter().chain(&keys.write);
        let opened = opened.map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()));
        let opened: Vec<PathBuf> = opened.collect();
        let mut borrowed = checkout.stores()?.borrowed().into_iter();
        let closed = borrowed.find(|folder| !opened.iter().any(|open| folder.starts_with(open)))?;
        let closed = closed.display();
        Some(format!(
            "the repository takes objects from {closed}, which is closed to confined agents: put {READ}={closed} into \
             .samocode"
        ))
    }

    /// How the agent is confined, for the journal; `None` if nobody wants it to be.
    pub(super) fn confined(&self) -> Option<String> {
        let keys = self.demanded();
        (keys.level != Level::Off).then(|| confine::describe(keys, &confine::support(keys.level)))
    }

    /// How the agent of a run is confined; and points its tools to their caches.
    pub(super) fn confinement(
        &self,
        agent: &Agent,
        environment: &mut Environment,
        temporary: &Path,
    ) -> Option<Confinement> {
        let checkout = self.checkout();
        let scene = Scene {
            home: &dirs::home(&self.setup.env).unwrap_or_default(),
            agent: Some(agent),
            work: Path::new(self.writer.state().working_dir().unwrap_or_default()),
            checkout: checkout.as_ref(),
            session: Some(self.writer.folder.path()),
            temporary,
        };
        let mut confinement = scene.confinement(self.demanded(), environment)?;
        confinement.kept.extend(settings_in(&self.setup.project, scene.work));
        Some(confinement)
    }
}

/// The project's settings, if they are where the agent works: in a project without a repository. They say
/// how it is confined, and name programs.
fn settings_in(project: &Project, work: &Path) -> Vec<PathBuf> {
    let is_below = |path: &Path| match (path.canonicalize(), work.canonicalize()) {
        (Ok(path), Ok(work)) => path.starts_with(work),
        _ => false,
    };
    if !is_below(&project.config) {
        return Vec::new();
    }
    let folder = project.root.join(PROJECT_FOLDER);
    // What does not exist cannot be held.
    if let Err(error) = std::fs::create_dir(&folder)
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        tracing::warn!("cannot make {}: {error}", folder.display());
    }
    vec![project.config.clone(), folder]
}

#[cfg(test)]
mod tests;
