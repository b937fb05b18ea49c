//! [`ServiceManager`] over D-Bus: `org.freedesktop.systemd1`, and logind for lingering.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::OnceCell;
use zbus::proxy::CacheProperties;
use zbus::{Connection, MatchRule, MessageStream, message};
use zbus_systemd::login1;
use zbus_systemd::systemd1::{ManagerProxy, UnitProxy};

use super::files::{self, Written};
use super::jobs::Jobs;
use super::status::{self, Properties, UNIT_PATHS, detail_of, object_path};
use super::{bus, service, units};
use crate::service::{
    Error, JOB_BOUND, Progress, Scope, ServiceManager, UnitChange, UnitDetail, UnitSet, UnitStatus,
    Verb,
};

const MANAGER: &str = "/org/freedesktop/systemd1";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// A job that takes longer than this is spoken of.
const SILENCE: Duration = Duration::from_secs(1);

/// Signals that may be queued. The reader of jobs is always reading; a watcher may be slow.
const QUEUE: std::num::NonZeroUsize = match std::num::NonZeroUsize::new(1024) {
    Some(size) => size,
    None => std::num::NonZeroUsize::MIN,
};

/// A systemd manager.
pub struct Systemd {
    scope: Scope,
    connection: Connection,
    manager: ManagerProxy<'static>,
    /// Made for the first job: most verbs have none.
    jobs: OnceCell<Jobs>,
}

/// The number in `252.39-1~deb12u2`, `v252` or `257`.
fn version_number(text: &str) -> Option<u32> {
    let digits = text.trim_start_matches('v');
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// The D-Bus name of an error reply.
fn error_name(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(name, ..) => name.to_string(),
        zbus::Error::FDO(error) => zbus::DBusError::name(&**error).to_string(),
        _ => String::new(),
    }
}

impl Systemd {
    /// Connects.
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

    /// Puts what was asked and what to do about it to an error of the bus.
    fn failed(&self, what: impl Into<String>) -> impl FnOnce(zbus::Error) -> Error {
        let (scope, what) = (self.scope, what.into());
        move |error| match error_name(&error).as_str() {
            "org.freedesktop.DBus.Error.AccessDenied"
            | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
            | "org.freedesktop.DBus.Error.AuthFailed" => {
                let hint = match scope {
                    Scope::System => "run it as root, with sudo",
                    Scope::User => "run it as the user whose manager it is",
                };
                Error::Denied { scope, what, hint }
            }
            "org.freedesktop.DBus.Error.Disconnected" | "org.freedesktop.DBus.Error.NoReply" => {
                Error::Gone(what)
            }
            _ => Error::Call { what, source: Box::new(error) },
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

    /// All properties of an object in one answer, so that they agree with one another: the empty
    /// interface stands for all.
    async fn properties(&self, path: &str) -> zbus::Result<Properties> {
        let name = Some("org.freedesktop.systemd1");
        let all = self.connection.call_method(name, path, Some(PROPERTIES), "GetAll", &"").await?;
        all.body().deserialize()
    }

    async fn reload(&self) -> Result<(), Error> {
        self.manager.reload().await.map_err(self.failed("reload the service manager"))
    }

    /// Whether what the manager has of `unit`, loading it if need be, is not what is on disk.
    /// `drop_in` is one that must be among its files: managers before 246 know no new drop-in
    /// folder until they are reloaded.
    async fn is_stale(&self, unit: &str, drop_in: Option<&Path>) -> Result<bool, Error> {
        let read = async {
            let path = self.manager.load_unit(unit.to_owned()).await?;
            // Not all properties: some take the manager long to find out.
            let unit = UnitProxy::builder(&self.connection)
                .path(path)
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            let (load, needs, drop_ins) = futures_util::future::try_join3(
                unit.load_state(),
                unit.need_daemon_reload(),
                unit.drop_in_paths(),
            )
            .await?;
            let unseen =
                drop_in.is_some_and(|path| !drop_ins.iter().any(|seen| Path::new(seen) == path));
            Ok(load == "not-found" || needs || unseen)
        };
        read.await.map_err(self.failed(format!("look up {unit}")))
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
        match version_number(&text) {
            Some(version) if version < units::OLDEST => Err(Error::TooOld(version)),
            Some(version) => Ok(version),
            None => Err(Error::Call { what: what.to_owned(), source: text.into() }),
        }
    }

    async fn unit_dir(&self) -> Result<PathBuf, Error> {
        if self.scope == Scope::System {
            return files::unit_dir(Scope::System);
        }
        // The manager's XDG_CONFIG_HOME may differ from ours. Its own folder for what the user
        // configures comes before /etc's in its search path.
        let what = "read the service manager's search path";
        let searched = self.manager.unit_path().await.map_err(self.failed(what))?;
        let own = searched.into_iter().find(|dir| dir.ends_with("/systemd/user"));
        own.map(PathBuf::from).map_or_else(|| files::unit_dir(Scope::User), Ok)
    }

    async fn lingering(&self) -> Result<bool, Error> {
        if self.scope == Scope::System {
            return Ok(true);
        }
        let uid = rustix::process::geteuid().as_raw();
        let ask = async {
            let bus = bus::system_bus().await?;
            let logind = login1::ManagerProxy::new(&bus).await?;
            let path = logind.get_user(uid).await?;
            let user = login1::UserProxy::builder(&bus)
                .path(path)
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            user.linger().await
        };
        match ask.await {
            // One who is neither logged in nor lingers.
            Err(error) if error_name(&error) == "org.freedesktop.login1.NoSuchUser" => Ok(false),
            other => other.map_err(self.failed("ask logind about lingering")),
        }
    }

    async fn enable_linger(&self) -> Result<(), Error> {
        if self.scope == Scope::System {
            return Ok(());
        }
        let uid = rustix::process::geteuid().as_raw();
        let ask = async {
            let bus = bus::system_bus().await?;
            login1::ManagerProxy::new(&bus).await?.set_user_linger(uid, true, false).await
        };
        ask.await.map_err(|error| match self.failed("turn lingering on")(error) {
            Error::Denied { scope, what, .. } => {
                Error::Denied { scope, what, hint: "run `sudo loginctl enable-linger $USER`" }
            }
            other => other,
        })
    }

    async fn install(&self, set: &UnitSet) -> Result<bool, Error> {
        let dir = self.unit_dir().await?;
        let written = files::install(&dir, set)?;
        // A changed template concerns every unit made from it, and reading the search path again
        // is cheaper than asking about each.
        let is_drop_in = |path: &Path| path.components().count() > 1;
        if written.iter().any(|(path, was)| *was == Written::Changed && !is_drop_in(path)) {
            self.reload().await?;
            return Ok(true);
        }
        // Also where nothing was written now: whoever wrote it may have been killed before the
        // reload.
        for (path, _) in &written {
            let folder = path.parent().and_then(Path::to_str).unwrap_or_default();
            let name = match folder.strip_suffix(".d") {
                Some(unit) => unit.to_owned(),
                None => path.display().to_string(),
            };
            // A template cannot be loaded; its instances are looked at when they come.
            if name.contains("@.") {
                continue;
            }
            let drop_in = is_drop_in(path).then(|| dir.join(path));
            if self.is_stale(&name, drop_in.as_deref()).await? {
                self.reload().await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn remove(&self, instance: &str) -> Result<(), Error> {
        files::remove_session(&self.unit_dir().await?, instance)
    }

    async fn reload_if_needed(&self, unit: &str) -> Result<bool, Error> {
        let stale = self.is_stale(unit, None).await?;
        if stale {
            self.reload().await?;
        }
        Ok(stale)
    }

    async fn enable_units(&self, units: &[String]) -> Result<(), Error> {
        let what = format!("enable {}", units.join(" "));
        // Not in /run, and over links that point elsewhere.
        let done = self.manager.enable_unit_files(units.to_vec(), false, true).await;
        done.map(|_| ()).map_err(self.failed(what))
    }

    async fn disable_units(&self, units: &[String]) -> Result<(), Error> {
        // Not by the proxy: it has a third argument that the manager refuses.
        let what = format!("disable {}", units.join(" "));
        let done = self.manager.inner().call_method("DisableUnitFiles", &(units, false)).await;
        done.map(|_| ()).map_err(self.failed(what))
    }

    async fn job(&self, verb: Verb, unit: &str, progress: Progress<'_>) -> Result<(), Error> {
        let jobs = self.jobs().await?;
        let call = jobs.expect();
        let (name, mode) = (unit.to_owned(), "replace".to_owned());
        let job = match verb {
            Verb::Start => self.manager.start_unit(name, mode).await,
            Verb::Stop => self.manager.stop_unit(name, mode).await,
            Verb::Restart => self.manager.restart_unit(name, mode).await,
        };
        let job = match job {
            // Nothing to stop.
            Err(error) if verb == Verb::Stop && is_unknown(&error) => return Ok(()),
            other => other.map_err(self.failed(format!("{verb} {unit}")))?,
        };
        let mut ended = std::pin::pin!(call.result(&job));
        let result = match tokio::time::timeout(SILENCE, ended.as_mut()).await {
            Ok(result) => result,
            Err(_) => {
                progress(&format!("waiting for systemd to {verb} {unit}"));
                let rest = JOB_BOUND.saturating_sub(SILENCE);
                tokio::time::timeout(rest, ended)
                    .await
                    .map_err(|_| Error::Slow { verb, unit: unit.to_owned() })?
            }
        };
        match result.map_err(|_| Error::Gone(format!("{verb} of {unit}")))?.as_str() {
            "done" => Ok(()),
            result => Err(Error::Job { verb, unit: unit.to_owned(), result: result.to_owned() }),
        }
    }

    async fn kill(&self, instance: &str, signal: i32) -> Result<(), Error> {
        let unit = service(instance);
        let what = format!("send signal {signal} to {unit}");
        self.manager.kill_unit(unit, "main".to_owned(), signal).await.map_err(self.failed(what))
    }

    async fn reset_failed(&self, unit: &str) -> Result<(), Error> {
        match self.manager.reset_failed_unit(unit.to_owned()).await {
            Err(error) if !is_unknown(&error) => {
                Err(self.failed(format!("reset the failure of {unit}"))(error))
            }
            _ => Ok(()),
        }
    }

    async fn units(&self) -> Result<Vec<UnitStatus>, Error> {
        // Without the idle ones, of which there may be a thousand, that are enabled and wait.
        let up = ["active", "reloading", "refreshing", "activating", "deactivating", "failed"];
        let states = up.map(str::to_owned).to_vec();
        let listed = self.manager.list_units_by_patterns(states, vec![service("*")]).await;
        let listed = listed.map_err(self.failed("list the units of the sessions"))?;
        Ok(listed.into_iter().map(status::listed).collect())
    }

    async fn detail(&self, unit: &str) -> Result<UnitDetail, Error> {
        let path = object_path(unit);
        // The manager loads a unit that is asked for by its path.
        let found = self.properties(&path).await.map_err(self.failed(format!("look up {unit}")))?;
        Ok(detail_of(unit, &found))
    }

    async fn is_active(&self, unit: &str) -> Result<bool, Error> {
        let found = self.properties(&object_path(unit)).await;
        let found = found.map_err(self.failed(format!("look up {unit}")))?;
        Ok(detail_of(unit, &found).status.active == "active")
    }

    async fn watch(&self, instances: &[String]) -> Result<BoxStream<'static, UnitChange>, Error> {
        let watched: HashMap<String, String> =
            instances.iter().map(|name| (object_path(&service(name)), name.clone())).collect();
        let rule = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .path_namespace(UNIT_PATHS)
            .interface(PROPERTIES)
            .member("PropertiesChanged")
            .build();
        let messages = self.signals(rule).await?;
        self.subscribe().await?;
        let changes = messages.filter_map(move |message| {
            let change = message.ok().and_then(|message| status::change_of(&message, &watched));
            async move { change }
        });
        Ok(changes.boxed())
    }
}

fn is_unknown(error: &zbus::Error) -> bool {
    error_name(error) == "org.freedesktop.systemd1.NoSuchUnit"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_leading_number() {
        assert_eq!(version_number("252.39-1~deb12u2"), Some(252));
        assert_eq!(version_number("v239"), Some(239));
        assert_eq!(version_number("257"), Some(257));
        assert_eq!(version_number("unknown"), None);
    }
}
