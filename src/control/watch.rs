//! A live stream of changes, from session files and the service manager, for dashboards and web
//! pages. Nothing polls.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use serde::{Deserialize, Serialize};

use super::bus::Bus;
use super::context::{Caller, Context, Warnings, is_outside};
use super::error::{Class, Error, Result};
use super::folders::FolderWatch;
use super::registry;
use super::session::Session;
use super::target::Target;
use super::units::Units;
use super::view::View;

/// Asks for a stream of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// The sessions, as typed. If empty, all sessions of the project, including later ones; outside
    /// any project, all sessions with a unit.
    pub sessions: Vec<String>,
    /// All sessions of this machine with a unit, whatever the project. `sessions` must be empty.
    pub everywhere: bool,
}

/// A change. The stream begins with the current state of every session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A session is new, or has changed.
    Session {
        /// The session as it is now.
        view: Box<View>,
    },
    /// A session's folder no longer exists.
    Gone {
        /// The instance of the session's unit, which every verb takes as a name.
        instance: String,
    },
    /// A session can no longer be read. It is read again at the next change.
    Unreadable {
        /// The instance of the session's unit, which every verb takes as a name.
        instance: String,
        /// Why it cannot be read.
        error: Error,
    },
}

/// What was last reported of a session.
type Reported = Result<View>;

/// Where new sessions are looked for while a stream is open.
enum Source {
    /// Nowhere: certain sessions were asked for.
    Typed,
    /// In the project's folder.
    Project(Box<Context>),
    /// Among the units of this machine.
    Machine,
}

/// The state of an open stream.
struct Watching {
    caller: Caller,
    warnings: Warnings,
    source: Source,
    /// Each with its project's folder.
    sessions: Vec<(PathBuf, Session)>,
    folders: FolderWatch,
    bus: Bus,
    units: Units,
    /// What was reported last, by instance, so that only changes are sent.
    reported: HashMap<String, Reported>,
    /// Changes that were seen but not yet reported.
    seen: VecDeque<Change>,
    /// Whether the sessions have been read since the last event.
    is_fresh: bool,
}

/// Reports changes until the stream is dropped.
///
/// # Errors
/// If a session does not exist, or its folder cannot be watched.
pub(super) async fn watch(caller: &Caller, watch: Watch) -> Result<BoxStream<'static, Change>> {
    let warnings = Warnings::default();
    // Watch before looking, so that no change in between is missed.
    let mut folders = FolderWatch::all([])?;
    let (source, mut sessions) = if watch.everywhere && !watch.sessions.is_empty() {
        let what = "all sessions of the machine are watched, or those that are named";
        return Err(Error::new(Class::Usage, format!("either {what}")));
    } else if watch.everywhere || (watch.sessions.is_empty() && is_outside(caller)) {
        (Source::Machine, registry::recorded(caller.scope, &warnings)?)
    } else {
        let (context, mut sessions) = Target::resolve_all(caller, &warnings, &watch.sessions)?;
        let root = context.project.root.clone();
        let mut source = Source::Typed;
        if watch.sessions.is_empty() {
            if context.project.sessions.is_dir() {
                folders.add(&context.project.sessions)?;
            }
            sessions = registry::all(&context)?;
            source = Source::Project(Box::new(context));
        }
        (source, sessions.into_iter().map(|session| (root.clone(), session)).collect())
    };
    if matches!(source, Source::Machine) {
        // Those of other users may be out of reach. They are tried again at every change.
        sessions.retain(|(_, session)| folders.add_session(&session.folder).is_ok());
    } else {
        for (_, session) in &sessions {
            folders.add_session(&session.folder)?;
        }
    }
    folders.remark().into_iter().for_each(|remark| warnings.add(remark));
    let instances = sessions.iter().map(|(_, session)| session.instance.clone()).collect();
    // Units of sessions that come later are reported only if all are listened to.
    let instances = if matches!(source, Source::Typed) { instances } else { Vec::new() };
    let mut bus = Bus::listen(caller.scope, &instances, &warnings).await;
    let units = bus.ask(&warnings).await;
    let (reported, seen, caller) = (HashMap::new(), VecDeque::new(), caller.clone());
    let is_fresh = false;
    let watching = Watching {
        caller,
        warnings,
        source,
        sessions,
        folders,
        bus,
        units,
        reported,
        seen,
        is_fresh,
    };
    Ok(stream::unfold(watching, |mut watching| async move {
        let change = watching.next().await;
        Some((change, watching))
    })
    .boxed())
}

impl Watching {
    async fn next(&mut self) -> Change {
        loop {
            if let Some(change) = self.seen.pop_front() {
                return change;
            }
            if self.is_fresh {
                tokio::select! {
                    () = self.folders.changed() => {}
                    () = self.bus.changed() => {
                        self.units = self.bus.ask(&self.warnings).await;
                    }
                }
            }
            self.is_fresh = true;
            self.look();
        }
    }

    /// Reads all sessions and queues those that differ from what was last reported.
    fn look(&mut self) {
        self.find_new();
        for (root, session) in &self.sessions {
            let instance = &session.instance;
            if !session.exists() {
                if self.reported.remove(instance).is_some() {
                    self.seen.push_back(Change::Gone { instance: instance.clone() });
                }
                continue;
            }
            let unit = self.units.get(instance);
            let now = View::of(&self.caller, root, session, unit.as_ref());
            if self.reported.get(instance) == Some(&now) {
                continue;
            }
            self.reported.insert(instance.clone(), now.clone());
            self.seen.push_back(match now {
                Ok(view) => Change::Session { view: Box::new(view) },
                Err(error) => Change::Unreadable { instance: instance.clone(), error },
            });
        }
        self.sessions.retain(|(_, session)| session.exists());
    }

    fn find_new(&mut self) {
        let found = match &self.source {
            Source::Typed => return,
            Source::Project(context) => registry::all(context).map(|all| {
                let root = &context.project.root;
                all.into_iter().map(|session| (root.clone(), session)).collect()
            }),
            Source::Machine => registry::recorded(self.caller.scope, &self.warnings),
        };
        for (root, session) in found.unwrap_or_default() {
            let is_known = self.sessions.iter().any(|(_, known)| known.folder == session.folder);
            // A folder that cannot be watched yet is tried again at the next change.
            if !is_known && self.folders.add_session(&session.folder).is_ok() {
                self.sessions.push((root, session));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::host::tests::caller;
    use crate::session::Phase;
    use crate::session::store::Folder;

    async fn next(changes: &mut BoxStream<'static, Change>) -> Change {
        let bound = std::time::Duration::from_secs(60);
        tokio::time::timeout(bound, changes.next()).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn what_is_there_what_changes_what_begins_and_what_goes_is_told() {
        let root = tempfile::tempdir().unwrap();
        let caller = caller(root.path());
        let folder = |name: &str| root.path().join("sessions").join(name);
        let write = |name: &str, phase: &str| {
            std::fs::create_dir_all(folder(name)).unwrap();
            let text = format!("# Session: jwt\n## Status\nPhase: {phase}\n");
            std::fs::write(Folder::new(folder(name)).overview(), text).unwrap();
        };
        write("26-11-20-jwt", "planning");
        let mut changes = watch(&caller, Watch::default()).await.unwrap();
        let phase = |change: &Change| match change {
            Change::Session { view } => (view.session.clone(), view.phase),
            other => panic!("{other:?}"),
        };
        assert_eq!(phase(&next(&mut changes).await), ("jwt".to_owned(), Phase::Planning));

        write("26-11-20-jwt", "testing");
        // The file was empty for a moment.
        while phase(&next(&mut changes).await) != ("jwt".to_owned(), Phase::Testing) {}

        write("26-11-21-search", "quality");
        while phase(&next(&mut changes).await) != ("search".to_owned(), Phase::Quality) {}

        std::fs::remove_dir_all(folder("26-11-20-jwt")).unwrap();
        loop {
            match next(&mut changes).await {
                Change::Gone { instance } => break assert_eq!(instance, "jwt"),
                Change::Session { view } => assert_eq!(view.session, "jwt"),
                Change::Unreadable { error, .. } => panic!("{error}"),
            }
        }
    }
}
