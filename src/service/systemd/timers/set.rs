//! Setting a timer and reading it back, over D-Bus.

use jiff::Timestamp;

use super::super::manager::Systemd;
use super::super::status::{next_elapse, object_path};
use super::super::{timer, units};
use super::remove;
use crate::service::{
    Active, Error, JobResult, Progress, ServiceManager as _, Session, Shared, Timer, Verb, quiet,
};

impl Systemd {
    /// Sets a timer, unless the manager has it so already.
    pub(in crate::service::systemd) async fn set_session_timer(
        &self,
        shared: Shared<'_>,
        session: Option<&Session>,
        of: &Timer,
    ) -> Result<(), Error> {
        let version = self.version().await?;
        let mut set = units::shared(shared, self.scope, version)?;
        if let Some(session) = session {
            set = set.with(units::session(session, version)?);
        }
        self.install_units(&set.with(super::units(of, version)?)).await?;
        let unit = timer(&of.instance);
        self.enable_unit(&unit).await?;
        if self.is_set(&unit, of.at).await? {
            return Ok(());
        }
        self.reset_failed_unit(&unit).await?;
        self.job(Verb::Restart, &unit, &quiet).await?;
        // One that is due now is over at once.
        if of.at <= Timestamp::now() || self.is_set(&unit, of.at).await? {
            return Ok(());
        }
        let ask = format!("to find out why: systemctl status {unit}");
        Err(Error::Job { verb: Verb::Start, unit, result: JobResult::Failed, ask })
    }

    /// Whether the manager waits for this time.
    async fn is_set(&self, unit: &str, at: Timestamp) -> Result<bool, Error> {
        let detail = self.detail(unit).await?;
        let found = self.properties(&object_path(unit)).await;
        let next = next_elapse(&found.map_err(self.failed(format!("look up {unit}")))?);
        let wanted = u64::try_from(at.as_microsecond()).unwrap_or_default();
        // It may wait for AccuracySec= longer, but shows the time itself.
        Ok(detail.status.active == Active::Active && next == Some(wanted))
    }

    /// Stops and removes the timer of a session.
    pub(in crate::service::systemd) async fn remove_session_timer(
        &self,
        instance: &str,
        progress: Progress<'_>,
    ) -> Result<(), Error> {
        let dir = self.unit_dir().await?;
        let unit = timer(instance);
        if !dir.join(super::drop_in(instance)).exists() {
            return Ok(());
        }
        // First so that no boot starts it; its files last, so that this can be repeated.
        self.disable_unit(&unit).await?;
        self.job(Verb::Stop, &unit, progress).await?;
        self.reset_failed_unit(&unit).await?;
        remove(&dir, instance)?;
        self.reload_if_needed(&unit).await?;
        Ok(())
    }
}
