//! Finding the session that a person typed, by name, dated folder name or instance.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::config::{Dirs, Error as ProjectError, Flags, Project};
use crate::service;
use crate::session::clock;
use crate::session::names::{self, SessionName};
use crate::session::store::Folder;

use super::context::{Caller, Context, Warnings, act_as, project_here, project_owner};
use super::error::{Attempt as _, Class, Error, Result};
use super::registry::{self, Recorded, all};
use super::session::Session;
use super::whereabouts::{self, Gone};

/// A session, and the project it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) context: Context,
    pub(crate) session: Session,
}

impl Target {
    /// Finds an existing session: inside a project, one of that project; outside, the one whose unit
    /// has that instance name. `NAME--PROJECT` means that project from anywhere.
    ///
    /// # Errors
    /// [`Class::NotFound`], and errors of the project.
    pub(crate) fn resolve(caller: &Caller, warnings: &Warnings, typed: &str) -> Result<Self> {
        Ok(Self::look_up(caller, warnings, typed)??)
    }

    /// Like [`Target::resolve`], but also finds the unit of a session that no longer exists.
    ///
    /// # Errors
    /// As [`Target::resolve`], except for sessions that no longer exist.
    pub(crate) fn look_up(
        caller: &Caller,
        warnings: &Warnings,
        typed: &str,
    ) -> Result<Result<Self, Gone>> {
        let context = match context_of(caller, warnings, typed)? {
            Ok(context) => context,
            Err(gone) => return Ok(Err(gone)),
        };
        Ok(find(&context, typed)?.map(|session| Self { context, session }))
    }

    /// Finds a session of the caller's project, or prepares a new one of that name.
    ///
    /// # Errors
    /// If the name is not valid, and errors of the project.
    pub(crate) fn begin(
        caller: &Caller,
        warnings: &Warnings,
        typed: &str,
        flags: &Flags,
        run_as: Option<&str>,
    ) -> Result<Self> {
        let owner = registry::owner(caller, typed);
        let context = Context::load(caller, warnings, flags, run_as, owner)?;
        let session = resolve(&context, typed)?;
        Ok(Self { context, session })
    }

    /// Finds several existing sessions, all of the first one's project, so that a mistyped name is
    /// reported before anything is done to the others.
    ///
    /// # Errors
    /// As [`Target::resolve`].
    pub(crate) fn resolve_all(
        caller: &Caller,
        warnings: &Warnings,
        typed: &[String],
    ) -> Result<(Context, Vec<Session>)> {
        let context = match typed.first() {
            Some(first) => context_of(caller, warnings, first)??,
            None => Context::here(caller, warnings)?,
        };
        let found = typed.iter().map(|typed| Ok(find(&context, typed)??));
        let found = found.collect::<Result<_>>()?;
        Ok((context, found))
    }
}

/// The context of the session that was typed.
fn context_of(caller: &Caller, warnings: &Warnings, typed: &str) -> Result<Result<Context, Gone>> {
    let owner = registry::owner(caller, typed).or_else(|| project_owner(caller));
    let (caller, run_as) = act_as(caller, None, owner)?;
    let dirs = Dirs::user(&caller.env)?;
    let by_unit = || project_of_instance(&caller, typed, &dirs);
    let named = if caller.config.is_none() && typed.contains("--") { by_unit() } else { None };
    let project = match named {
        Some(project) => project,
        None => match project_here(&caller) {
            Err(error @ ProjectError::NoProject { .. }) => {
                match (by_unit(), whereabouts::project_gone(caller.scope, typed)) {
                    (Some(project), _) => project,
                    (None, Some(gone)) => return Ok(Err(gone)),
                    (None, None) => return Err(unknown_here(&caller, typed, error)),
                }
            }
            found => found?,
        },
    };
    let context = Context::of_project(caller, warnings, project, &Flags::default())?;
    Ok(Ok(Context { run_as, ..context }))
}

/// The error, outside any project, for an unknown instance or one whose project cannot be read.
fn unknown_here(caller: &Caller, typed: &str, error: ProjectError) -> Error {
    let all = service::registry(caller.scope).and_then(|registry| registry.all());
    let all = all.unwrap_or_default();
    if let Some((_, recorded)) = all.iter().find(|(instance, _)| instance == typed) {
        let config = recorded.config.display();
        let message = format!("cannot read the project of '{typed}', {config}");
        return Error::new(Class::Configuration, message)
            .hint("it may be another user's: run this as that user, or as root");
    }
    match names::nearest(typed, all.iter().map(|(instance, _)| instance.as_str())) {
        Some(near) => {
            let message = format!("no session '{typed}' has a unit, and {error}");
            Error::new(Class::NotFound, message).hint(format!("did you mean '{near}'?"))
        }
        None => error.into(),
    }
}

/// The project of the unit with this instance name.
fn project_of_instance(caller: &Caller, instance: &str, dirs: &Dirs) -> Option<Project> {
    let recorded = service::recorded(caller.scope, instance).ok().flatten()?;
    // `~` is the home of the user it runs as, not of the caller.
    let user = recorded.uid.and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok().flatten());
    let home = user.map_or_else(|| dirs.home.clone(), |user| user.dir);
    Project::read(&recorded.config, Some(&home)).ok()
}

/// Finds the session that was typed; it need not exist.
///
/// # Errors
/// [`names::BadName`], and errors of the sessions' folder.
pub(crate) fn resolve(context: &Context, typed: &str) -> Result<Session> {
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
            if names::OTHERS.contains(&plain.unwrap_or(name.as_str())) {
                return Err(Error::usage(format!(
                    "no session can be called '{name}': mail to and from '{name}' is not a session's"
                ))
                .hint("write with: samocode send --to human \"…\", or name a session"));
            }
            let today = clock::local_now().date();
            sessions.join(if plain.is_some() {
                name.as_str().to_owned()
            } else {
                name.folder(today)
            })
        }
    };
    in_folder(context, folder)
}

/// Finds the session of an instance `word--slug`. Such a name never starts a new session.
fn with_project(context: &Context, typed: &str, word: &str, slug: &str) -> Result<Session> {
    let sessions = &context.project.sessions;
    let recorded = service::recorded(context.scope(), typed).ok().flatten();
    if let Some(service::Recorded { folder, .. }) = recorded {
        if !folder.starts_with(sessions) {
            return Err(Error::usage(format!(
                "'{typed}' belongs to another project: its folder is {}",
                folder.display()
            ))
            .hint("name that project's .samocode with --config FILE"));
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

/// The session in this folder, which need not exist.
///
/// # Errors
/// If something else is there.
pub(super) fn at(context: &Context, folder: &Path) -> Result<Session> {
    in_folder(context, folder.to_owned())
}

fn in_folder(context: &Context, folder: PathBuf) -> Result<Session> {
    check_folder(&folder)?;
    let registry = Recorded::read(context);
    registry.check(&folder)?;
    let own = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plain = names::name_in_folder(&own).unwrap_or(&own).to_owned();
    let instance = registry.instance(context, &plain, &folder);
    let warnings = context.warnings.clone();
    Ok(Session { name: plain, instance, folder: Folder::new(folder), warnings })
}

/// Finds a session that must exist.
fn find(context: &Context, typed: &str) -> Result<Result<Session, Gone>> {
    let session = resolve(context, typed)?;
    if session.exists() {
        return Ok(Ok(session));
    }
    if let Some(gone) = whereabouts::gone(context, typed, &session.name) {
        return Ok(Err(gone));
    }
    let known: Vec<String> = all(context)?.into_iter().map(|session| session.name).collect();
    let near = names::nearest(&session.name, known.iter().map(String::as_str));
    let elsewhere = service::recorded(context.scope(), typed).ok().flatten();
    if let (None, Some(other)) = (near, &elsewhere)
        && let Some(gone) = whereabouts::looked_for(typed, &other.config, &other.folder)
    {
        return Ok(Err(gone));
    }
    let hint = match (near, elsewhere) {
        (Some(near), _) => format!("did you mean '{near}'?"),
        (None, Some(elsewhere)) => format!(
            "it is a session of another project: samocode status --config {} {typed}",
            service::quoted(&elsewhere.config)
        ),
        (None, None) if is_key(typed) => "see the settings with: samocode config".to_owned(),
        (None, None) => format!("start it with: samocode enable {} --task \"…\"", session.name),
    };
    let place = context.project.sessions.display();
    let message = format!("there is no session '{}' in {place}", session.name);
    Err(Error::new(Class::NotFound, message).hint(hint))
}

/// Whether a word looks like the name of a setting.
fn is_key(typed: &str) -> bool {
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    typed.contains('_') && typed.chars().all(fits)
}

/// The folder with this exact name, else the newest one with this session name.
fn existing(sessions: &Path, word: &str) -> Result<Option<PathBuf>> {
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
    // A folder without a date, such as one made by hand.
    if exact.is_dir() {
        return Ok(Some(exact));
    }
    Ok(below(sessions, word)?.map(|folder| folder.path().to_owned()))
}

/// The session of this name that lies below another one.
fn below(sessions: &Path, word: &str) -> Result<Option<Folder>> {
    let mut above: Vec<String> = dated_entries(sessions)?
        .into_iter()
        .filter(|own| names::name_in_folder(own).is_some())
        .collect();
    above.sort_unstable();
    let all = above.iter().rev().flat_map(|own| Folder::new(sessions.join(own)).descendants());
    Ok(all.into_iter().find(|folder| {
        let own = folder.name();
        own == word || names::name_in_folder(&own) == Some(word)
    }))
}

/// All names in the sessions' folder. Includes files, so that they are reported, not ignored.
fn dated_entries(sessions: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(sessions) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.attempt(|| format!("read {}", sessions.display()))?,
    };
    Ok(entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}

fn check_folder(folder: &Path) -> Result<()> {
    if let Some(place) = Folder::new(folder).linked_to() {
        let (link, place) = (service::quoted(folder), service::quoted(&place));
        let message = format!("{link} is a symbolic link to {place}, not a session's folder");
        return Err(Error::new(Class::Refused, message).hint(format!(
            "an agent can make one to have files written elsewhere: move it away; or, if you moved \
             the session yourself: rm {link} && mv {place} {link}"
        )));
    }
    let Ok(meta) = fs::metadata(folder) else { return Ok(()) };
    let path = folder.display();
    if !meta.is_dir() {
        return Err(Error::usage(format!("{path} is a file where a session's folder should be"))
            .hint("move it away"));
    }
    let nested = folder.join("_samocode");
    if nested.is_dir() && !Folder::new(folder).is_begun() {
        return Err(Error::usage(format!("{path} has the old layout, its files in _samocode/"))
            .hint(format!("move them up with: mv {}/* {path}/", nested.display())));
    }
    Ok(())
}
