//! From the word a person types to a session: a name, a dated folder name or an instance.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;

use crate::config::{Env, Project};
use crate::service::{self, Registry, Scope};
use crate::session::Overview;
use crate::session::history::History;
use crate::session::hook::Hook;
use crate::session::journal::Event;
use crate::session::names::{self, SessionName};
use crate::session::qa::Qa;
use crate::session::state::{State, Word};
use crate::session::store::{self, Folder, JournalError, Lock, read_journal};

use super::Common;
use super::context::{Context, Usage};
use super::whereabouts;

/// A session as the verbs know it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Its plain name.
    pub(super) name: String,
    /// Its unit instance.
    pub(super) instance: String,
    /// Its folder, which may not be there yet.
    pub(super) folder: Folder,
}

impl Session {
    /// Whether the folder is there.
    pub(super) fn exists(&self) -> bool {
        self.folder.path().is_dir()
    }

    /// What the journal says.
    pub(super) fn state(&self) -> anyhow::Result<State> {
        let (state, damage) = read_journal(&self.folder, |_| {})?;
        if let Some(damage) = damage {
            super::output::note(&format!(
                "{} is damaged in {damage}; what follows is from the lines before",
                self.folder.journal().display()
            ));
        }
        Ok(state)
    }

    /// What keeps any worker from taking the session up: its journal, which holds the truth, is
    /// damaged or cannot be read, or it has none and its overview does not say where it stands.
    pub(super) fn obstacle(&self) -> Option<String> {
        match read_journal(&self.folder, |_| {}) {
            Ok((state, None)) if state.seq == 0 => self.imported(&self.overview()).err(),
            Ok((_, None)) => None,
            Ok((_, Some(damage))) => {
                Some(JournalError::Damaged(self.folder.journal(), damage).to_string())
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// Whether a worker holds the session.
    pub(super) fn is_worked_on(&self) -> bool {
        Lock::is_held(&self.folder)
    }

    /// The hook, or one derived from the journal or the overview when it is missing.
    pub(super) fn hook(&self) -> anyhow::Result<Hook> {
        if let Some(hook) = self.folder.read_hook() {
            return Ok(hook);
        }
        let state = self.state()?;
        let mut hook = Hook::of(&state);
        if state.seq == 0 {
            hook.task_id.clone_from(&self.name);
            let overview = self.overview();
            let status = overview.status();
            hook.phase = status.phase.unwrap_or(hook.phase);
            hook.iteration = status.iteration.unwrap_or(0);
            hook.total_iterations = status.total_iterations.unwrap_or(0);
            hook.state = match status.blocked {
                Some(crate::session::overview::Blocked::WaitingHuman) => Word::Waiting,
                Some(crate::session::overview::Blocked::Yes) => Word::Blocked,
                _ if hook.phase == crate::session::Phase::Done => Word::Done,
                _ => Word::Stopped,
            };
            self.foreign_reason(&overview, &mut hook);
        }
        Ok(hook)
    }

    fn overview(&self) -> Overview {
        let overview = store::read(&self.folder.overview()).ok().flatten().unwrap_or_default();
        Overview::parse(String::from_utf8_lossy(&overview).into_owned())
    }

    /// A session without a journal, as its worker will take it over from its files.
    fn imported(&self, overview: &Overview) -> Result<Event, String> {
        let history = store::read(&self.folder.history()).ok().flatten().unwrap_or_default();
        crate::session::import(&self.name, overview, &History::parse(&history).lines)
    }

    /// What a session without a journal waits for or is blocked by, as its worker will see it.
    fn foreign_reason(&self, overview: &Overview, hook: &mut Hook) {
        let (waits_for, blocked) = match self.imported(overview) {
            Ok(Event::Imported { waits_for, blocked, .. }) => (waits_for, blocked),
            Ok(_) => return,
            Err(why) => {
                hook.state = Word::Failed;
                hook.reason = Some(why);
                return;
            }
        };
        if hook.state == Word::Waiting {
            hook.waits_for = waits_for;
            let qa = store::read(&self.folder.qa()).ok().flatten().unwrap_or_default();
            let qa = Qa::parse(String::from_utf8_lossy(&qa).into_owned());
            hook.questions = Some(qa.waiting()).filter(|open| *open > 0);
        } else if hook.state == Word::Blocked {
            hook.reason = blocked;
        }
    }
}

/// Finds a session by what a person typed; it need not exist.
///
/// # Errors
/// [`names::BadName`], or a line for what is in the way.
pub(super) fn resolve(context: &Context, typed: &str) -> anyhow::Result<Session> {
    context.project.check_sessions()?;
    let sessions = &context.project.sessions;
    if let Some((word, slug)) = typed.split_once("--") {
        return with_project(context, typed, word, slug);
    }
    let name = SessionName::new(typed)?;
    let folder = match existing(sessions, name.as_str())? {
        Some(folder) => folder,
        None => {
            let plain = names::name_in_folder(name.as_str());
            let today = jiff::Zoned::now().date();
            sessions.join(if plain.is_some() {
                name.as_str().to_owned()
            } else {
                name.folder(today)
            })
        }
    };
    in_folder(context, folder)
}

/// The session an instance `word--slug` means; nothing is begun under such a name.
fn with_project(context: &Context, typed: &str, word: &str, slug: &str) -> anyhow::Result<Session> {
    let sessions = &context.project.sessions;
    let recorded = service::recorded(context.common.scope(), typed).ok().flatten();
    if let Some(service::Recorded { folder, .. }) = recorded {
        if folder.parent() != Some(sessions) {
            return Err(Usage(format!(
                "'{typed}' is a session of another project, in {}: name its project with --config FILE",
                folder.display()
            ))
            .into());
        }
        return in_folder(context, folder);
    }
    let name = SessionName::new(word).map_err(|_| names::BadName(typed.to_owned()))?;
    let is_ours = slug == names::project_slug(&context.project.name);
    match existing(sessions, name.as_str())?.filter(|_| is_ours) {
        Some(folder) => in_folder(context, folder),
        None => Err(names::BadName(typed.to_owned()).into()),
    }
}

fn in_folder(context: &Context, folder: PathBuf) -> anyhow::Result<Session> {
    check_folder(&folder)?;
    let own = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plain = names::name_in_folder(&own).unwrap_or(&own).to_owned();
    let instance = instance(context, &plain, &folder)?;
    Ok(Session { name: plain, instance, folder: Folder::new(folder) })
}

/// A session that has to exist.
pub(super) fn find(context: &Context, typed: &str) -> anyhow::Result<Session> {
    let session = resolve(context, typed)?;
    if session.exists() {
        return Ok(session);
    }
    if let Some(gone) = whereabouts::gone(context, typed, &session.name) {
        return Err(gone.into());
    }
    let known: Vec<String> = all(context)?.into_iter().map(|session| session.name).collect();
    let near = known
        .iter()
        .find(|name| name.contains(&session.name) || session.name.contains(name.as_str()));
    let hint = match near {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("begin it with: samocode enable {} --task \"…\"", session.name),
    };
    Err(Usage(format!(
        "there is no session '{}' in {}; {hint}",
        session.name,
        context.project.sessions.display()
    ))
    .into())
}

/// All sessions of the project, newest first.
pub(super) fn all(context: &Context) -> anyhow::Result<Vec<Session>> {
    context.project.check_sessions()?;
    let folder = &context.project.sessions;
    let names = dated_folders(folder)?;
    let recorded = Recorded::read(context);
    Ok(names
        .into_iter()
        .map(|own| {
            let path = folder.join(&own);
            let name = names::name_in_folder(&own).unwrap_or(&own).to_owned();
            let instance = recorded.instance(context, &name, &path);
            Session { name, instance, folder: Folder::new(path) }
        })
        .collect())
}

/// All sessions that the units know, whatever their project, newest first, each with its
/// project's folder.
pub(super) fn recorded(scope: Scope) -> anyhow::Result<Vec<(PathBuf, Session)>> {
    let mut found: Vec<(PathBuf, Session)> = service::registry(scope)?
        .all()?
        .into_iter()
        .filter_map(|(instance, recorded)| {
            let own = recorded.folder.file_name()?.to_string_lossy().into_owned();
            let name = names::name_in_folder(&own).unwrap_or(&own).to_owned();
            let root = recorded.config.parent()?.to_owned();
            Some((root, Session { name, instance, folder: Folder::new(recorded.folder) }))
        })
        .filter(|(_, session)| session.exists())
        .collect();
    found.sort_by_cached_key(|(_, session)| {
        let path = session.folder.path();
        Reverse(age(&session.folder.name(), fs::metadata(path).ok()))
    });
    Ok(found)
}

/// What sorts session folders by age: the day in the name, then the time they were made where the
/// file system knows it, then the name.
fn age(name: &str, meta: Option<fs::Metadata>) -> (String, Option<SystemTime>, String) {
    let day = name.get(..8).unwrap_or_default().to_owned();
    (day, meta.and_then(|meta| meta.created().ok()), name.to_owned())
}

/// The sessions' folders, newest first.
fn dated_folders(sessions: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(sessions) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", sessions.display()))?,
    };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| match entry.file_type() {
            Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
            kind => kind.is_ok_and(|kind| kind.is_dir()),
        })
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry))
        .filter(|(name, _)| names::name_in_folder(name).is_some())
        .map(|(name, entry)| age(&name, entry.metadata().ok()))
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found.into_iter().map(|(_, _, name)| name).collect())
}

/// The exact folder, else the newest that ends in the name.
fn existing(sessions: &Path, word: &str) -> anyhow::Result<Option<PathBuf>> {
    let exact = sessions.join(word);
    if fs::symlink_metadata(&exact).is_ok() && names::name_in_folder(word).is_some() {
        return Ok(Some(exact));
    }
    let mut matching: Vec<String> = dated_entries(sessions)?
        .into_iter()
        .filter(|own| names::name_in_folder(own) == Some(word))
        .collect();
    matching.sort_unstable();
    if let Some(newest) = matching.pop() {
        return Ok(Some(sessions.join(newest)));
    }
    // A folder without a date, as one made by hand.
    Ok(exact.is_dir().then_some(exact))
}

/// As [`dated_folders`], with files, which are reported rather than overlooked.
fn dated_entries(sessions: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(sessions) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", sessions.display()))?,
    };
    Ok(entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}

fn check_folder(folder: &Path) -> anyhow::Result<()> {
    let Ok(meta) = fs::metadata(folder) else { return Ok(()) };
    let path = folder.display();
    if !meta.is_dir() {
        return Err(Usage(format!(
            "{path} is a file where a session's folder should be: move it away"
        ))
        .into());
    }
    let nested = folder.join("_samocode");
    if nested.is_dir() && !folder.join("_overview.md").exists() {
        return Err(Usage(format!(
            "{path} has the old layout, its files in _samocode/: move them up with: mv {}/* {path}/",
            nested.display()
        ))
        .into());
    }
    Ok(())
}

fn instance(context: &Context, name: &str, folder: &Path) -> anyhow::Result<String> {
    Ok(Recorded::read(context).instance(context, name, folder))
}

/// Which instance belongs to which session folder, as the units' drop-ins say.
#[derive(Default)]
struct Recorded {
    registry: Option<Box<dyn Registry>>,
    by_folder: HashMap<OsString, String>,
    known: HashSet<String>,
}

impl Recorded {
    fn read(context: &Context) -> Self {
        let Ok(registry) = service::registry(context.common.scope()) else {
            return Self::default();
        };
        let mut all = Self::default();
        for (instance, recorded) in registry.all().unwrap_or_default() {
            all.by_folder.insert(recorded.folder.into_os_string(), instance.clone());
            all.known.insert(instance);
        }
        all.registry = Some(registry);
        all
    }

    /// The instance of a session: the one it has, else the first that is free: its name; its name
    /// and its project; its folder and its project.
    fn instance(&self, context: &Context, name: &str, folder: &Path) -> String {
        if let Some(instance) = self.by_folder.get(folder.as_os_str()) {
            return instance.clone();
        }
        if let Some(instance) = self.moved_here(context, folder) {
            return instance;
        }
        if !self.known.contains(name) || self.is_of_deleted(context, name) {
            return name.to_owned();
        }
        let own = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let project = names::project_slug(&context.project.name);
        let second = format!("{name}--{project}");
        if self.known.contains(&second) { format!("{own}--{project}") } else { second }
    }
}

impl Recorded {
    /// Whether an instance is that of a session of this project whose folder was deleted: the name
    /// is free again.
    fn is_of_deleted(&self, context: &Context, instance: &str) -> bool {
        let sessions = &context.project.sessions;
        let known = self.by_folder.iter().find(|(_, known)| *known == instance);
        known.is_some_and(|(folder, _)| {
            let folder = Path::new(folder);
            folder.parent() == Some(sessions) && sessions.is_dir() && !folder.exists()
        })
    }

    /// The instance of a session that was moved to `folder`, its unit still knowing the old place.
    fn moved_here(&self, context: &Context, folder: &Path) -> Option<String> {
        let own = folder.file_name();
        let registry = self.registry.as_ref()?;
        let like = self.by_folder.iter().filter(|(known, _)| Path::new(known).file_name() == own);
        like.map(|(_, instance)| instance)
            .find(|instance| {
                let recorded = registry.recorded(instance).ok().flatten();
                recorded
                    .is_some_and(|recorded| whereabouts::is_of(&recorded, &context.project, folder))
            })
            .cloned()
    }
}

/// The user id that a session of the system's manager runs as, by what its unit says: of the
/// project of this folder, or outside of any the instance of that name.
pub(super) fn owner(common: &Common, typed: &str) -> Option<u32> {
    if common.scope() != Scope::System {
        return None;
    }
    let cwd = std::env::current_dir().ok()?;
    let here = Project::find_with(common.config.as_deref(), &cwd, &Env::of_process());
    let all = service::registry(Scope::System).ok()?.all().ok()?;
    let known = all.into_iter().find_map(|(instance, recorded)| {
        let own = recorded.folder.file_name().unwrap_or_default().to_string_lossy();
        let is_typed =
            instance == typed || own == typed || names::name_in_folder(&own) == Some(typed);
        let is_here = match &here {
            Ok(project) if !typed.contains("--") => project.config == recorded.config,
            _ => instance == typed,
        };
        (is_typed && is_here).then_some(recorded)
    })?;
    known.uid
}

/// The project of an instance the units know, for verbs outside of any project.
pub(super) fn project_of_instance(
    scope: Scope,
    instance: &str,
    home: Option<&Path>,
) -> Option<Project> {
    let recorded = service::recorded(scope, instance).ok().flatten()?;
    Project::read(&recorded.config, home).ok()
}
