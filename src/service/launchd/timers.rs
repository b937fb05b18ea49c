//! The agents that start sessions at a time.

use super::folder::remove;
use super::manager::Launchd;
use super::operation::unload;
use super::{agents, timer_label};
use crate::service::unit_files;
use crate::service::{Error, Progress, Session, Shared, Timer, Verb};

impl Launchd {
    /// Writes the agent of a timer, and loads it, again if it differs.
    pub(super) async fn set_session_timer(
        &self,
        shared: Shared<'_>,
        session: Option<&Session>,
        of: &Timer,
    ) -> Result<(), Error> {
        self.folder.install_shared(shared)?;
        if let Some(session) = session {
            self.folder.install_session(shared.binary, session)?;
        }
        let file = agents::timer(of, self.folder.ground(shared.binary))?;
        unit_files::install(&self.folder.places.at_login, &[file])?;
        self.load_shared(&timer_label(&of.instance)).await
    }

    /// Unloads the agent of a timer, and removes its files.
    pub(super) async fn remove_session_timer(
        &self,
        instance: &str,
        progress: Progress<'_>,
    ) -> Result<(), Error> {
        let (label, places) = (timer_label(instance), &self.folder.places);
        let name = agents::file_name(&label);
        // First the file, so that a login in between does not load it.
        remove(&places.at_login.join(&name))?;
        if !unload(&self.launchctl, &label, progress).await? {
            return Err(Error::Slow { verb: Verb::Stop, unit: label });
        }
        remove(&places.loaded.join(&name))
    }
}
