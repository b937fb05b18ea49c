//! The files of convoys: `_convoys/ID.json`, what was announced of it, and its lock; and the
//! predecessor's `_convoy.json`.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use crate::config::Project;
use crate::control::error::{Attempt as _, Class, Error, Result};
use crate::platform::threads;
use crate::session::names::SessionName;
use crate::session::order;
use crate::session::store;

use super::next::Memory;
use super::plan::Plan;

const FOLDER: &str = "_convoys";
/// The predecessor's only convoy.
const SINGLE: &str = "_convoy.json";
const STATE: &str = ".state.json";
const JSON: &str = ".json";

/// The files of one convoy.
#[derive(Debug)]
pub(super) struct Files {
    plan: PathBuf,
    state: PathBuf,
    lock: PathBuf,
}

impl Files {
    pub(super) fn of(project: &Project, id: &str) -> Result<Self> {
        let id = SessionName::new(id)?;
        let folder = project.sessions.join(FOLDER);
        store::make_folder(&folder)?;
        let file = |ending: &str| folder.join(format!("{id}{ending}"));
        Ok(Self { plan: file(JSON), state: file(STATE), lock: file(".lock") })
    }

    pub(super) fn write(&self, plan: &Plan) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(plan)?;
        bytes.push(b'\n');
        Ok(store::replace(&self.plan, &bytes)?)
    }

    /// What is remembered; nothing if that cannot be read.
    pub(super) fn memory(&self) -> Result<Memory> {
        let bytes = store::read(&self.state)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub(super) fn save(&self, memory: &Memory) -> Result<()> {
        Ok(store::replace(&self.state, &serde_json::to_vec(memory)?)?)
    }

    /// Removes the convoy's file; its sessions stay.
    pub(super) fn remove(&self) -> Result<()> {
        store::remove(&self.plan)?;
        Ok(store::remove(&self.state)?)
    }

    /// Waits until no other process advances this convoy.
    pub(super) async fn lock(&self) -> Result<File> {
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).open(&self.lock);
        let shown = self.lock.display().to_string();
        let file = opened.attempt(|| format!("open {shown}"))?;
        let locked = threads::apart_or_here(move || file.lock().map(|()| file)).await;
        let locked = locked.unwrap_or_else(Err);
        locked.attempt(|| format!("lock {shown}"))
    }
}

fn read(path: &std::path::Path) -> Result<Option<Plan>> {
    let Some(bytes) = store::read(path)? else { return Ok(None) };
    let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("cannot read the convoy in {}: {error}", path.display());
        Error::new(Class::Configuration, message)
    })?;
    Ok(Some(
        plan.checked().map_err(|flaw| {
            Error::new(Class::Configuration, format!("{}: {flaw}", path.display()))
        })?,
    ))
}

/// The convoy with this id.
///
/// # Errors
/// If its file is damaged.
pub(in crate::control) fn find(project: &Project, id: &str) -> Result<Option<Plan>> {
    let id = SessionName::new(id)?;
    let own = read(&project.sessions.join(FOLDER).join(format!("{id}{JSON}")))?;
    if own.is_some() {
        return Ok(own);
    }
    Ok(read(&project.sessions.join(SINGLE))?.filter(|plan| plan.id == id.as_str()))
}

/// Removes the predecessor's file.
pub(super) fn remove_single(project: &Project) -> Result<()> {
    Ok(store::remove(&project.sessions.join(SINGLE))?)
}

/// All convoys of a project by id, and what is wrong with files that cannot be read.
pub(super) fn all(project: &Project) -> Result<(Vec<Plan>, Vec<String>)> {
    let folder = project.sessions.join(FOLDER);
    let mut paths = vec![project.sessions.join(SINGLE)];
    match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        entries => {
            let entries = entries.attempt(|| format!("read {}", folder.display()))?.flatten();
            paths.extend(entries.map(|entry| entry.path()).filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.ends_with(JSON) && !name.ends_with(STATE) && !name.starts_with('.')
            }));
        }
    }
    let (mut plans, mut damaged) = (Vec::<Plan>::new(), Vec::new());
    for path in paths {
        match read(&path) {
            Ok(plan) => plans.extend(plan),
            Err(error) => damaged.push(error.message),
        }
    }
    order::by(&mut plans, |one, other| one.id.cmp(&other.id));
    plans.dedup_by(|one, other| one.id == other.id);
    Ok((plans, damaged))
}

/// The id of the convoy that a session is in.
///
/// # Errors
/// If the folder of convoys cannot be read.
pub(in crate::control) fn convoy_of(project: &Project, session: &str) -> Result<Option<String>> {
    let (plans, _) = all(project)?;
    let has_it = |plan: &Plan| plan.sessions.iter().any(|name| name == session);
    Ok(plans.into_iter().find(has_it).map(|plan| plan.id))
}
