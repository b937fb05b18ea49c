//! The [`Registry`] of a user's agents, and the writing of their files.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;

use super::agents::{self, Ground, INHERITED};
use super::{Places, instance_of, label};
use crate::service::unit_files::{self, Written, fault};
use crate::service::{
    Convoy, Enablement, Error, Installed, Limits, Recorded, Registry, Session, Shared, UnitFile,
    Verified,
};
use crate::session::names;

/// How long plutil may take.
const BOUND: Duration = Duration::from_secs(20);

/// The files of a user's agents.
#[derive(Debug, Clone)]
pub struct AgentFolder {
    pub(super) places: Places,
    inherited: Vec<(String, String)>,
}

impl AgentFolder {
    /// The folders that the environment gives.
    ///
    /// # Errors
    /// [`Error::NoHome`].
    pub fn of_env() -> Result<Self, Error> {
        let value = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
        let inherited = INHERITED.into_iter().filter_map(value);
        let inherited = inherited.filter(|(_, value)| Path::new(value).is_absolute());
        Ok(Self { places: Places::of_env()?, inherited: inherited.collect() })
    }

    pub(super) fn ground<'a>(&'a self, binary: &'a Path) -> Ground<'a> {
        Ground { binary, places: &self.places, inherited: &self.inherited }
    }

    /// The agent's file; `None` if it has none.
    pub(super) fn file_of(&self, label: &str) -> Option<PathBuf> {
        let name = agents::file_name(label);
        let both = [&self.places.at_login, &self.places.parked];
        both.into_iter().map(|dir| dir.join(&name)).find(|path| path.is_file())
    }

    /// Whether an agent starts at login.
    pub(super) fn enabled(&self, label: &str) -> Enablement {
        match self.file_of(label) {
            Some(path) if path.starts_with(&self.places.at_login) => Enablement::Enabled,
            Some(_) => Enablement::Disabled,
            None => Enablement::Absent,
        }
    }

    /// Writes the shared agents wherever they differ, and creates the folders that they need. Returns
    /// whether any did.
    pub(super) fn install_shared(&self, of: Shared<'_>) -> Result<bool, Error> {
        let places = &self.places;
        let logs = places.logs.join("sessions");
        for dir in [
            &places.notices,
            &places.held,
            &places.failed,
            &places.status,
            &places.locks,
            &places.loaded,
            &logs,
        ] {
            fs::create_dir_all(dir).map_err(fault("create", dir))?;
        }
        let files = agents::shared(self.ground(of.binary))?;
        let written = unit_files::install(&places.at_login, &files)?;
        Ok(written.iter().any(|(_, written)| *written != Written::Same))
    }

    /// Writes the agent of a session, if it differs. A new one does not start at login.
    pub(super) fn install_session(&self, binary: &Path, of: &Session) -> Result<(), Error> {
        let file = agents::session(of, self.ground(binary))?;
        let dir = match self.enabled(&label(&of.instance)) {
            Enablement::Enabled => &self.places.at_login,
            _ => &self.places.parked,
        };
        unit_files::install(dir, &[file]).map(drop)
    }

    /// Writes the file of a convoy, if it differs.
    pub(super) fn install_convoy(&self, of: &Convoy) -> Result<(), Error> {
        unit_files::install(&self.places.convoys, &[agents::convoy(of)?]).map(drop)
    }

    /// The members of a convoy; none if it has no file.
    pub(super) fn members(&self, id: &str) -> Result<Vec<String>, Error> {
        Ok(self.read_convoy(id)?.map(|(_, members)| members).unwrap_or_default())
    }

    fn read_convoy(&self, id: &str) -> Result<Option<(PathBuf, Vec<String>)>, Error> {
        if !names::is_instance(id) {
            return Ok(None);
        }
        let file = read(&self.places.convoys.join(agents::file_name(id)))?;
        Ok(file.and_then(|file| agents::read_convoy(&file)))
    }

    /// Makes an agent start at login, or no longer: moves its file. Without a file, does nothing.
    pub(super) fn set_at_login(&self, label: &str, at_login: bool) -> Result<(), Error> {
        let Some(from) = self.file_of(label) else { return Ok(()) };
        let dir = if at_login { &self.places.at_login } else { &self.places.parked };
        let to = dir.join(agents::file_name(label));
        if from == to {
            return Ok(());
        }
        fs::create_dir_all(dir).map_err(fault("create", dir))?;
        fs::rename(&from, &to).map_err(fault("move", &from))?;
        for dir in [from.parent(), to.parent()].into_iter().flatten() {
            fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(fault("write", dir))?;
        }
        Ok(())
    }

    /// Removes the files of a session. Missing ones are not an error.
    pub(super) fn remove_session(&self, instance: &str) -> Result<(), Error> {
        let name = agents::file_name(&label(instance));
        let places = &self.places;
        for path in [
            places.at_login.join(&name),
            places.parked.join(&name),
            places.status_of(instance),
            places.failed.join(instance),
            places.log_of(instance),
        ] {
            remove(&path)?;
        }
        Ok(())
    }

    /// Removes the file of a convoy.
    pub(super) fn remove_convoy(&self, id: &str) -> Result<(), Error> {
        remove(&self.places.convoys.join(agents::file_name(id)))
    }
}

/// Removes a file that need not exist.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(fault("remove", path)(error)),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault("read", path)(error)),
    }
}

#[async_trait]
impl Registry for AgentFolder {
    fn dir(&self) -> &Path {
        &self.places.at_login
    }

    fn instances(&self) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for dir in [&self.places.at_login, &self.places.parked] {
            let entries = match fs::read_dir(dir) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(fault("read", dir)(error)),
            };
            for entry in entries {
                let name = entry.map_err(fault("read", dir))?.file_name();
                let instance = name
                    .to_str()
                    .and_then(|name| instance_of(name.strip_suffix(".plist")?))
                    .filter(|instance| names::is_instance(instance));
                found.extend(instance.map(str::to_owned));
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn recorded(&self, instance: &str) -> Result<Option<Recorded>, Error> {
        if !names::is_instance(instance) {
            return Ok(None);
        }
        let Some(path) = self.file_of(&label(instance)) else { return Ok(None) };
        Ok(read(&path)?.and_then(|agent| agents::read_session(&agent)))
    }

    fn convoy(&self, id: &str) -> Result<Option<PathBuf>, Error> {
        Ok(self.read_convoy(id)?.map(|(config, _)| config))
    }

    fn starts_at_boot(&self, instance: &str) -> bool {
        self.enabled(&label(instance)) == Enablement::Enabled
    }

    fn shared(&self, of: Shared<'_>, _version: u32) -> Result<Vec<UnitFile>, Error> {
        Ok(agents::shared(self.ground(of.binary))?)
    }

    fn compare(&self, of: Shared<'_>, version: u32) -> Result<Installed, Error> {
        let program = |text: &str| agents::program(text.as_bytes());
        Ok(unit_files::compare(&self.shared(of, version)?, &self.places.at_login, program))
    }

    async fn verify(&self, of: Shared<'_>, version: u32) -> Result<Verified, Error> {
        let dir = tempfile::tempdir().map_err(fault("create", &tempfile::env::temp_dir()))?;
        let mut files = self.shared(of, version)?;
        files.push(agents::session(&example(of.spool), self.ground(of.binary))?);
        unit_files::install(dir.path(), &files)?;
        let mut command = Command::new("plutil");
        command.arg("-lint").stdin(Stdio::null()).kill_on_drop(true).current_dir(dir.path());
        command.args(files.iter().map(|file| &file.path));
        let failed = |source| Error::Call { what: "run plutil".to_owned(), source };
        let output = match tokio::time::timeout(BOUND, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
                let why = "plutil is not installed (a part of macOS), so nothing was verified.";
                return Ok(Verified::Skipped(why.to_owned()));
            }
            Ok(Err(error)) => return Err(failed(error.into())),
            Err(_) => return Err(failed(format!("no answer for {} s", BOUND.as_secs()).into())),
        };
        if output.status.success() {
            let what = format!("plutil found no problems in the {} agents.", files.len());
            return Ok(Verified::Sound(what));
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        Ok(Verified::Faulty(said.lines().map(str::to_owned).collect()))
    }
}

/// An example of a session, so that the session's agent is checked too.
fn example(spool: &Path) -> Session {
    Session {
        instance: "i".to_owned(),
        project: "~/project".to_owned(),
        config: PathBuf::from("/Users/user/project/.samocode"),
        folder: PathBuf::from("/Users/user/project-sessions/26-11-20-i"),
        spool: spool.to_owned(),
        environment: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
        uid: None,
        limits: Limits::default(),
        convoy: None,
    }
}

#[cfg(test)]
mod tests;
