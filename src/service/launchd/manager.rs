//! [`ServiceManager`] by launchd, for the agents of a user's login session.

use std::fs;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::folder::AgentFolder;
use super::front::label_of;
use super::launchctl::Launchctl;
use super::operation::{Operation, unload};
use super::status::Status;
use super::{WAKE, agents, label, program, state, watch};
use crate::service::unit_files::fault;
use crate::service::{
    About, Active, Convoy, Error, FrontEnd, JobResult, Progress, Registry, Scope, ServiceManager,
    Session, Shared, Timer, UnitChange, UnitDetail, UnitStatus, Verb, quiet,
};
use crate::session::names;

/// launchd's agents of the calling user.
#[derive(Debug, Clone)]
pub struct Launchd {
    pub(super) launchctl: Launchctl,
    pub(super) folder: AgentFolder,
}

impl Launchd {
    /// Checks that launchd has a login session of this user.
    ///
    /// # Errors
    /// [`Error::NoManager`], also in system scope: an agent of the system could not use a person's
    /// credentials.
    pub async fn connect(scope: Scope) -> Result<Self, Error> {
        let none = |why: &str| Error::NoManager { scope, why: why.to_owned() };
        if scope == Scope::System {
            return Err(none("on macOS, sessions are agents of the user who is logged in"));
        }
        let program = program().ok_or_else(|| none("launchd runs on macOS only"))?;
        let launchctl = Launchctl::new(program);
        launchctl.check().await?;
        Ok(Self { launchctl, folder: AgentFolder::of_env()? })
    }

    fn on<'a>(&'a self, instance: &'a str) -> Operation<'a> {
        Operation { launchctl: &self.launchctl, folder: &self.folder, instance }
    }

    fn status(&self, instance: &str) -> Option<Status> {
        Status::read(&self.folder.places.status_of(instance))
    }

    /// All sessions that are up or have failed.
    pub(super) async fn all(&self) -> Result<Vec<UnitStatus>, Error> {
        let mut units = Vec::new();
        for listed in self.launchctl.list().await? {
            let status = self.status(&listed.instance);
            units.push(state::listed(&listed.instance, Some(&listed.job), status.as_ref()));
        }
        // After a logout launchd no longer knows what failed.
        let reports = fs::read_dir(&self.folder.places.status).into_iter().flatten().flatten();
        for report in reports {
            let path = report.path();
            let instance = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if names::is_instance(instance) && !units.iter().any(|unit| unit.instance == instance) {
                units.push(state::listed(instance, None, Status::read(&path).as_ref()));
            }
        }
        units.retain(|unit| unit.active.is_up() || unit.active == Active::Failed);
        Ok(units)
    }

    /// Loads a shared agent, again if its file has changed since.
    pub(super) async fn load_shared(&self, label: &str) -> Result<(), Error> {
        let Some(file) = self.folder.file_of(label) else { return Ok(()) };
        let copy = self.folder.places.loaded.join(agents::file_name(label));
        let wanted = fs::read(&file).map_err(fault("read", &file))?;
        let is_loaded = self.launchctl.job(label).await?.is_some();
        if is_loaded && fs::read(&copy).is_ok_and(|loaded| loaded == wanted) {
            return Ok(());
        }
        if !unload(&self.launchctl, label, &quiet).await? {
            return Err(Error::Slow { verb: Verb::Stop, unit: label.to_owned() });
        }
        self.launchctl.bootstrap(label, &file).await?;
        if self.launchctl.job(label).await?.is_none() {
            let ask = format!("to find out why: launchctl print {}", self.launchctl.target(label));
            let (unit, result) = (label.to_owned(), JobResult::Failed);
            return Err(Error::Job { verb: Verb::Start, unit, result, ask });
        }
        fs::write(&copy, wanted).map_err(fault("write", &copy))
    }
}

#[async_trait]
impl ServiceManager for Launchd {
    fn scope(&self) -> Scope {
        Scope::User
    }

    async fn version(&self) -> Result<u32, Error> {
        self.launchctl.version().await
    }

    async fn about(&self) -> Result<About, Error> {
        let version = self.version().await?;
        let name = format!("launchd {version}, login session {}", self.launchctl.domain());
        Ok(About { name, lacks: Vec::new() })
    }

    async fn registry(&self) -> Result<Box<dyn Registry>, Error> {
        Ok(Box::new(self.folder.clone()))
    }

    async fn environment(&self) -> Result<Vec<(String, String)>, Error> {
        self.launchctl.environment().await
    }

    async fn lingering(&self) -> Result<bool, Error> {
        let source = "launchd ends the agents of a user with the login session".into();
        Err(Error::Call { what: "keep agents running after logout".to_owned(), source })
    }

    async fn enable_linger(&self) -> Result<(), Error> {
        self.lingering().await.map(drop)
    }

    async fn install(&self, shared: Shared<'_>, session: Option<&Session>) -> Result<bool, Error> {
        let changed = self.folder.install_shared(shared)?;
        if let Some(session) = session {
            self.folder.install_session(shared.binary, session)?;
        }
        Ok(changed)
    }

    async fn install_convoy(
        &self,
        shared: Shared<'_>,
        convoy: Option<&Convoy>,
        sessions: &[Session],
    ) -> Result<bool, Error> {
        let changed = self.folder.install_shared(shared)?;
        if let Some(convoy) = convoy {
            self.folder.install_convoy(convoy)?;
        }
        for session in sessions {
            self.folder.install_session(shared.binary, session)?;
        }
        Ok(changed)
    }

    async fn start_convoy(&self, _id: &str) -> Result<(), Error> {
        // launchd groups nothing: a convoy is only what its file says.
        Ok(())
    }

    async fn remove_convoy(&self, id: &str) -> Result<(), Error> {
        self.folder.remove_convoy(id)
    }

    async fn set_timer(
        &self,
        shared: Shared<'_>,
        session: Option<&Session>,
        timer: &Timer,
    ) -> Result<(), Error> {
        self.set_session_timer(shared, session, timer).await
    }

    async fn remove_timer(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error> {
        self.remove_session_timer(instance, progress).await
    }

    async fn remove(&self, instance: &str) -> Result<(), Error> {
        self.on(instance).stop(&quiet).await?;
        self.folder.remove_session(instance)
    }

    async fn enable(&self, instance: &str) -> Result<(), Error> {
        self.folder.set_at_login(&label(instance), true)
    }

    async fn disable(&self, instance: &str) -> Result<(), Error> {
        self.folder.set_at_login(&label(instance), false)
    }

    async fn start(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error> {
        self.on(instance).start(progress).await
    }

    async fn wake(&self, instance: &str) -> Result<bool, Error> {
        self.on(instance).wake(&quiet).await
    }

    async fn stop(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error> {
        self.on(instance).stop(progress).await
    }

    async fn restart(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error> {
        self.on(instance).restart(progress).await
    }

    async fn stop_convoy(&self, id: &str) -> Result<(), Error> {
        let members = self.folder.members(id)?;
        let stops = members.iter().map(|member| async move { self.on(member).stop(&quiet).await });
        futures_util::future::join_all(stops).await.into_iter().collect()
    }

    async fn open_web(&self, shared: Shared<'_>, port: u16) -> Result<(), Error> {
        let agent = agents::web(port, self.folder.ground(shared.binary))?;
        self.open_front(shared, FrontEnd::Web, agent).await
    }

    async fn open_bot(&self, shared: Shared<'_>) -> Result<(), Error> {
        let agent = agents::bot(self.folder.ground(shared.binary))?;
        self.open_front(shared, FrontEnd::Bot, agent).await
    }

    async fn close(&self, front: FrontEnd) -> Result<(), Error> {
        self.close_front(front).await
    }

    async fn front_end(&self, front: FrontEnd) -> Result<UnitDetail, Error> {
        self.detail_of(label_of(front)).await
    }

    async fn kill(&self, instance: &str, signal: i32) -> Result<(), Error> {
        self.launchctl.kill(&label(instance), signal).await
    }

    async fn reset_failed(&self, instance: &str) -> Result<(), Error> {
        self.on(instance).reset().await
    }

    async fn units(&self) -> Result<Vec<UnitStatus>, Error> {
        self.all().await
    }

    async fn unit(&self, instance: &str) -> Result<UnitDetail, Error> {
        let label = label(instance);
        let job = self.launchctl.job(&label).await?;
        let enabled = self.folder.enabled(&label);
        Ok(state::detail(instance, job.as_ref(), self.status(instance).as_ref(), enabled))
    }

    async fn watch(&self, instances: &[String]) -> Result<BoxStream<'static, UnitChange>, Error> {
        let first = self.all().await?;
        Ok(watch::watch(self.clone(), instances.iter().cloned().collect(), first))
    }

    async fn hurry_waker(&self) -> Result<(), Error> {
        // On its own, launchd starts it 10 s after its last start at the earliest.
        self.launchctl.kickstart(WAKE).await
    }

    async fn watch_spool(&self) -> Result<(), Error> {
        for label in agents::shared_labels() {
            self.load_shared(label).await?;
        }
        Ok(())
    }

    async fn spool_watch(&self) -> Result<UnitDetail, Error> {
        self.detail_of(WAKE).await
    }
}
