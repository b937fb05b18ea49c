//! [`ServiceManager`] over D-Bus: `org.freedesktop.systemd1`, and logind for lingering.

use std::collections::HashSet;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{OnceCell, mpsc};
use zbus::proxy::CacheProperties;
use zbus::{Connection, MatchRule, MessageStream, message};
use zbus_systemd::systemd1::ManagerProxy;

use super::front::front_unit;
use super::jobs::{Jobs, Mode};
use super::registry::UnitFolder;
use super::status::{self, Properties, UNIT_PATHS, detail_of, object_path};
use super::{
    NOTICES_PATH, WAKE_PATH, bus, convoy, convoys, files, of_system, service, units, version,
};
use crate::service::{
    About, Convoy, Error, FrontEnd, Progress, Registry, Scope, ServiceManager, Session, Shared,
    Timer, UnitChange, UnitDetail, UnitStatus, Verb, quiet,
};

const MANAGER: &str = "/org/freedesktop/systemd1";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// How many signals may be queued. The reader of jobs is always reading; a watcher may be slow.
const QUEUE: std::num::NonZeroUsize = match std::num::NonZeroUsize::new(1024) {
    Some(size) => size,
    None => std::num::NonZeroUsize::MIN,
};

/// A connection to a systemd manager.
pub struct Systemd {
    pub(super) scope: Scope,
    pub(super) connection: Connection,
    pub(super) manager: ManagerProxy<'static>,
    /// Created for the first job, since most verbs have none.
    jobs: OnceCell<Jobs>,
}

/// The D-Bus name of an error reply.
pub(super) fn error_name(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(name, ..) => name.to_string(),
        zbus::Error::FDO(error) => zbus::DBusError::name(&**error).to_string(),
        _ => String::new(),
    }
}

impl Systemd {
    /// Connects to the manager of `scope`.
    ///
    /// # Errors
    /// [`Error::NoManager`].
    pub async fn connect(scope: Scope) -> Result<Self, Error> {
        let connection = bus::connect(scope).await?;
        let manager = ManagerProxy::builder(&connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .map_err(|error| Error::NoManager { scope, why: error.to_string() })?;
        Ok(Self { scope, connection, manager, jobs: OnceCell::new() })
    }

    /// Adds the attempt, and a hint where there is one, to an error of the bus.
    pub(super) fn failed(&self, what: impl Into<String>) -> impl FnOnce(zbus::Error) -> Error {
        let (scope, what) = (self.scope, what.into());
        move |error| match error_name(&error).as_str() {
            "org.freedesktop.DBus.Error.AccessDenied"
            | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
            | "org.freedesktop.DBus.Error.AuthFailed" => {
                let hint = match scope {
                    Scope::System => "run it again as root, with sudo",
                    Scope::User => "run it again as the user who owns the manager",
                };
                Error::Denied { scope, what, hint }
            }
            "org.freedesktop.DBus.Error.Disconnected" | "org.freedesktop.DBus.Error.NoReply" => {
                Error::Gone(what)
            }
            "org.freedesktop.systemd1.UnitMasked" => {
                // Each attempt on a unit ends in its name.
                let unit = what.split(' ').next_back().unwrap_or_default();
                let command = match scope {
                    Scope::System => format!("sudo systemctl unmask {unit}"),
                    Scope::User => format!("systemctl --user unmask {unit}"),
                };
                Error::Masked { what, command }
            }
            _ => Error::Call { what, source: of_system::explained(error) },
        }
    }

    async fn subscribe(&self) -> Result<(), Error> {
        match self.manager.subscribe().await {
            Err(error) if error_name(&error) != "org.freedesktop.systemd1.AlreadySubscribed" => {
                Err(self.failed("subscribe to the service manager's signals")(error))
            }
            _ => Ok(()),
        }
    }

    async fn signals(
        &self,
        rule: zbus::Result<MatchRule<'static>>,
    ) -> Result<MessageStream, Error> {
        let stream =
            async { MessageStream::for_match_rule(rule?, &self.connection, Some(QUEUE)).await };
        stream.await.map_err(self.failed("listen to the service manager's signals"))
    }

    async fn jobs(&self) -> Result<&Jobs, Error> {
        self.jobs
            .get_or_try_init(|| async {
                let rule = MatchRule::builder()
                    .msg_type(message::Type::Signal)
                    .path(MANAGER)
                    .interface("org.freedesktop.systemd1.Manager")
                    .member("JobRemoved")
                    .build();
                let removed = self.signals(rule).await?;
                self.subscribe().await?;
                Ok(Jobs::new(removed))
            })
            .await
    }

    /// All properties of an object in one answer, so that they are consistent. An empty interface
    /// name selects all.
    pub(super) async fn properties(&self, path: &str) -> zbus::Result<Properties> {
        let name = Some("org.freedesktop.systemd1");
        let all = self.connection.call_method(name, path, Some(PROPERTIES), "GetAll", &"").await?;
        all.body().deserialize()
    }

    /// Runs a job for a unit, by its full name, and waits until it ends, at most
    /// [`JOB_BOUND`](crate::service::JOB_BOUND). It replaces a conflicting job.
    pub(super) async fn job(
        &self,
        verb: Verb,
        unit: &str,
        progress: Progress<'_>,
    ) -> Result<(), Error> {
        self.run_job((verb, unit), Mode::Replace, progress).await
    }

    async fn run_job(
        &self,
        (verb, unit): (Verb, &str),
        mode: Mode,
        progress: Progress<'_>,
    ) -> Result<(), Error> {
        let failed = self.failed(format!("{verb} {unit}"));
        self.jobs().await?.run(&self.manager, (verb, unit), mode, progress, failed).await
    }

    /// The full status of a unit, by its full name. An unknown unit is inactive.
    pub(super) async fn detail(&self, unit: &str) -> Result<UnitDetail, Error> {
        let path = object_path(unit);
        // The manager loads a unit that is queried by its path.
        let found = self.properties(&path).await.map_err(self.failed(format!("look up {unit}")))?;
        Ok(detail_of(unit, &found))
    }
}

#[async_trait]
impl ServiceManager for Systemd {
    fn scope(&self) -> Scope {
        self.scope
    }

    async fn version(&self) -> Result<u32, Error> {
        let what = "read the service manager's version";
        let text = self.manager.version().await.map_err(self.failed(what))?;
        match version::number(&text) {
            Some(found) if found < units::OLDEST => {
                Err(Error::TooOld { name: "systemd", found, oldest: units::OLDEST })
            }
            Some(version) => Ok(version),
            None => Err(Error::Call { what: what.to_owned(), source: text.into() }),
        }
    }

    async fn about(&self) -> Result<About, Error> {
        let version = self.version().await?;
        let name = format!("systemd {version} of the {}", self.scope);
        Ok(About { name, lacks: units::lacks(version) })
    }

    async fn registry(&self) -> Result<Box<dyn Registry>, Error> {
        Ok(Box::new(UnitFolder::at(self.scope, self.unit_dir().await?)))
    }

    async fn environment(&self) -> Result<Vec<(String, String)>, Error> {
        let all = self.manager.environment().await;
        let all = all.map_err(self.failed("ask for the environment of units"))?;
        let split = |line: &String| line.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()));
        Ok(all.iter().filter_map(split).collect())
    }

    async fn lingering(&self) -> Result<bool, Error> {
        self.units_linger().await
    }

    async fn enable_linger(&self) -> Result<(), Error> {
        self.make_units_linger().await
    }

    async fn install(&self, shared: Shared<'_>, session: Option<&Session>) -> Result<bool, Error> {
        let version = self.version().await?;
        let mut set = units::shared(shared, self.scope, version)?;
        if let Some(session) = session {
            set = set.with(units::session(session, version)?);
        }
        self.install_units(&set).await
    }

    async fn install_convoy(
        &self,
        shared: Shared<'_>,
        convoy: Option<&Convoy>,
        sessions: &[Session],
    ) -> Result<bool, Error> {
        let version = self.version().await?;
        let mut set = units::shared(shared, self.scope, version)?;
        if let Some(convoy) = convoy {
            set = set.with(convoys::units(convoy, version)?);
        }
        for session in sessions {
            set = set.with(units::session(session, version)?);
        }
        self.install_units(&set).await
    }

    async fn start_convoy(&self, id: &str) -> Result<(), Error> {
        self.run_job((Verb::Start, &convoy(id)), Mode::Alone, &quiet).await
    }

    async fn remove_convoy(&self, id: &str) -> Result<(), Error> {
        convoys::remove(&self.unit_dir().await?, id)?;
        self.reload_if_needed(&convoy(id)).await?;
        Ok(())
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
        let unit = service(instance);
        self.reset_failed_unit(&unit).await?;
        files::remove_session(&self.unit_dir().await?, instance)?;
        self.reload_if_needed(&unit).await?;
        Ok(())
    }

    async fn enable(&self, instance: &str) -> Result<(), Error> {
        self.enable_unit(&service(instance)).await
    }

    async fn disable(&self, instance: &str) -> Result<(), Error> {
        self.disable_unit(&service(instance)).await
    }

    async fn start(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error> {
        self.job(Verb::Start, &service(instance), progress).await
    }

    async fn stop(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error> {
        self.job(Verb::Stop, &service(instance), progress).await
    }

    async fn restart(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error> {
        self.job(Verb::Restart, &service(instance), progress).await
    }

    async fn wake(&self, instance: &str) -> Result<bool, Error> {
        match self.run_job((Verb::Start, &service(instance)), Mode::Fail, &quiet).await {
            Err(error) if error.is_overruled() => Ok(false),
            other => other.map(|()| true),
        }
    }

    async fn stop_convoy(&self, id: &str) -> Result<(), Error> {
        self.job(Verb::Stop, &convoy(id), &quiet).await
    }

    async fn kill(&self, instance: &str, signal: i32) -> Result<(), Error> {
        let unit = service(instance);
        let what = format!("send signal {signal} to {unit}");
        self.manager.kill_unit(unit, "main".to_owned(), signal).await.map_err(self.failed(what))
    }

    async fn reset_failed(&self, instance: &str) -> Result<(), Error> {
        self.reset_failed_unit(&service(instance)).await
    }

    async fn units(&self) -> Result<Vec<UnitStatus>, Error> {
        // Leaves out idle units, of which a thousand may be enabled and waiting.
        let up = ["active", "reloading", "refreshing", "activating", "deactivating", "failed"];
        let states = up.map(str::to_owned).to_vec();
        let listed = self.manager.list_units_by_patterns(states, vec![service("*")]).await;
        let listed = listed.map_err(self.failed("list the units of the sessions"))?;
        Ok(listed.into_iter().map(status::listed).collect())
    }

    async fn unit(&self, instance: &str) -> Result<UnitDetail, Error> {
        self.detail(&service(instance)).await
    }

    async fn spool_watch(&self) -> Result<UnitDetail, Error> {
        self.detail(WAKE_PATH).await
    }

    async fn watch_spool(&self) -> Result<(), Error> {
        let watches: &[&str] = match self.scope {
            Scope::User => &[WAKE_PATH, NOTICES_PATH],
            Scope::System => &[WAKE_PATH],
        };
        for watch in watches {
            self.enable_unit(watch).await?;
            self.reset_failed_unit(watch).await?;
            self.job(Verb::Start, watch, &quiet).await?;
        }
        Ok(())
    }

    async fn open_web(&self, shared: Shared<'_>, port: u16) -> Result<(), Error> {
        self.open_web_socket(shared, port).await
    }

    async fn open_bot(&self, shared: Shared<'_>) -> Result<(), Error> {
        self.open_bot_service(shared).await
    }

    async fn close(&self, front: FrontEnd) -> Result<(), Error> {
        self.close_front(front).await
    }

    async fn front_end(&self, front: FrontEnd) -> Result<UnitDetail, Error> {
        self.detail(front_unit(front)).await
    }

    async fn watch(&self, instances: &[String]) -> Result<BoxStream<'static, UnitChange>, Error> {
        let watched: HashSet<String> = instances.iter().cloned().collect();
        let rule = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .path_namespace(UNIT_PATHS)
            .interface(PROPERTIES)
            .member("PropertiesChanged")
            .build();
        let messages = self.signals(rule).await?;
        self.subscribe().await?;
        let changes = messages.filter_map(move |message| {
            let is_watched = |name: &str| watched.is_empty() || watched.contains(name);
            let change = message.ok().and_then(|message| status::change_of(&message, is_watched));
            async move { change }
        });
        Ok(drained(changes.boxed()))
    }
}

/// The same changes, taken as they come. Were they left where they arrive, a unit that crashes again and
/// again would fill the queue, and the connection would give no reply to whoever looks at it meanwhile.
fn drained(mut changes: BoxStream<'static, UnitChange>) -> BoxStream<'static, UnitChange> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                change = changes.next() => {
                    let Some(change) = change else { break };
                    if sender.send(change).is_err() {
                        break;
                    }
                }
                () = sender.closed() => break,
            }
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
}

pub(super) fn is_unknown(error: &zbus::Error) -> bool {
    error_name(error) == "org.freedesktop.systemd1.NoSuchUnit"
}
