//! Which role a session has, and why.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use crate::agent::roles::rules::Given;
use crate::agent::roles::{self, Roles};
use crate::config::Project;
use crate::session::Phase;
use crate::session::names::name_in_folder;
use crate::session::store::Folder;

use super::context::Context;
use super::error::{Class, Error, Result};
use super::operation::{Operation, Perform};
use super::session::Session;
use super::target;

/// Looks up the role of a session, and the instructions that its agent gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    /// A folder in a session, or a session as typed; `None` for the caller's folder, else the
    /// caller's own session.
    pub at: Option<String>,
}

/// The role of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleFound {
    /// The session's name, without date and project.
    pub session: String,
    /// The session's folder, absolute.
    pub folder: PathBuf,
    /// Where it sits among the sessions of the project, by plain names.
    pub place: String,
    /// The rule that fits; `None` if none does.
    pub given: Option<Given>,
    /// The session above it, if it lies below one.
    pub above: Option<String>,
    /// The sessions directly below it.
    pub below: Vec<String>,
    /// The phase it is in.
    pub phase: Phase,
    /// Its instructions in this phase, in the order in which the agent gets them.
    pub parts: Vec<RolePart>,
}

/// A part of the instructions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolePart {
    /// What it is: `workflow.md`, `agents/ROLE.md`, `agents/PHASE-agent.md`.
    pub name: String,
    /// The file with it; `None` if it is built in.
    pub file: Option<PathBuf>,
}

#[async_trait]
impl Perform for Role {
    async fn perform(self, on: &Operation<'_>) -> Result<RoleFound> {
        let (context, session) = self.find(on)?;
        let folder = &session.folder;
        let unusable =
            |error: roles::RoleError| Error::new(Class::Configuration, error.to_string());
        let roles = roles_of(&context, folder)?;
        let hook = session.hook()?;
        let parts = roles.parts(hook.phase).map_err(unusable)?;
        Ok(RoleFound {
            place: folder.place_below(&context.project.sessions).unwrap_or_default(),
            given: roles.given().map_err(unusable)?,
            above: folder.above().map(|above| plain(&above)),
            below: folder.below().iter().map(plain).collect(),
            phase: hook.phase,
            parts: parts
                .into_iter()
                .map(|part| RolePart { name: part.name, file: part.file })
                .collect(),
            folder: folder.path().to_owned(),
            session: session.name,
        })
    }
}

impl Role {
    fn find(&self, on: &Operation<'_>) -> Result<(Context, Session)> {
        let here = || {
            let own = on.caller.env.get("SAMOCODE_SESSION_DIR").map(PathBuf::from);
            [Some(on.caller.cwd.clone()), own]
        };
        let folders = match &self.at {
            Some(typed) => [Some(on.caller.cwd.join(typed)), None],
            None => here(),
        };
        let context = Context::here(on.caller, &on.warnings);
        if let Ok(context) = &context {
            let mut inside = folders.iter().flatten().filter_map(|at| around(&context.project, at));
            if let Some(folder) = inside.next() {
                let session = target::at(context, &folder)?;
                return Ok((context.clone(), session));
            }
        }
        match &self.at {
            Some(typed) if typed.contains('/') => {
                Err(Error::new(Class::NotFound, format!("{typed} is not in a session's folder"))
                    .hint("name a session: samocode role SESSION"))
            }
            Some(typed) => {
                let target = on.resolve(typed)?;
                Ok((target.context, target.session))
            }
            None => {
                context?;
                Err(Error::usage("this folder is not in a session's folder")
                    .hint("name a session: samocode role SESSION"))
            }
        }
    }
}

/// The session's folder that a folder is in: the innermost one.
fn around(project: &Project, at: &Path) -> Option<PathBuf> {
    let real = at.canonicalize().ok().filter(|real| real.is_dir())?;
    let sessions = project.sessions.canonicalize().ok()?;
    let below = real.strip_prefix(&sessions).ok()?;
    let mut parts = below.iter();
    let mut folder = Folder::new(project.sessions.join(parts.next()?));
    name_in_folder(&folder.name())?;
    let rest: Vec<_> = parts.collect();
    for pair in rest.chunks(2) {
        let next = pair.iter().fold(folder.path().to_owned(), |path, part| path.join(part));
        match folder.below().into_iter().find(|known| known.path() == next) {
            Some(known) => folder = known,
            None => break,
        }
    }
    Some(folder.path().to_owned())
}

fn plain(folder: &Folder) -> String {
    let own = folder.name();
    name_in_folder(&own).map_or_else(|| own.clone(), str::to_owned)
}

/// Where the instructions of the session in `folder` come from.
pub(super) fn roles_of(context: &Context, folder: &Folder) -> Result<Roles> {
    let folders = roles::folders(&context.project.root, context.dirs.config.parent());
    Ok(Roles::of(folders, folder, &context.project.sessions))
}

/// The role of the session in `folder`, if it has one.
///
/// # Errors
/// If a file of rules cannot be used.
pub(super) fn role_of(context: &Context, folder: &Folder) -> Result<Option<String>> {
    let given = roles_of(context, folder)?.given();
    let given = given.map_err(|error| Error::new(Class::Configuration, error.to_string()))?;
    Ok(given.and_then(|given| given.role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::context::Caller;
    use crate::control::host::Local;
    use crate::control::host::tests::caller;
    use crate::control::{call, role};
    use crate::service::quiet;

    async fn look(caller: &Caller, at: Option<&str>) -> Result<RoleFound> {
        let ask = role::Role { at: at.map(str::to_owned) };
        call(&Local::new(caller.clone()), ask, &quiet).await.result
    }

    #[tokio::test]
    async fn the_folder_says_what_a_session_is_and_which_rule_made_it_so() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let mut caller = caller(&root);
        let lead = root.join("sessions/26-11-20-main-task");
        let worker = lead.join("workers/impl-1");
        let logs = Folder::new(&worker).logs();
        std::fs::create_dir_all(&logs).unwrap();
        for folder in [&lead, &worker] {
            std::fs::write(Folder::new(folder).overview(), "## Status\nPhase: planning\n").unwrap();
        }
        let found = look(&caller, Some("main-task")).await.unwrap();
        let given = found.given.unwrap();
        assert_eq!((given.role.as_deref(), &given.file), (Some("coordinator"), &None));
        assert_eq!((found.above, found.below), (None, vec!["impl-1".to_owned()]));

        let found = look(&caller, Some("impl-1")).await.unwrap();
        assert_eq!(
            (found.place.as_str(), found.above.as_deref()),
            ("main-task/workers/impl-1", Some("main-task"))
        );
        let names: Vec<&str> = found.parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(
            names,
            ["workflow.md", "agents/implementation-worker.md", "agents/planning-agent.md"]
        );

        // By where one is, and by any folder.
        let error = look(&caller, None).await.unwrap_err();
        assert!(error.hint.unwrap().contains("samocode role"), "{}", error.message);
        for inside in [&logs, &worker] {
            caller.cwd.clone_from(inside);
            assert_eq!(look(&caller, None).await.unwrap().session, "impl-1");
            assert_eq!(look(&caller, Some(".")).await.unwrap().session, "impl-1");
        }
        caller.cwd = lead.join("workers");
        assert_eq!(look(&caller, None).await.unwrap().session, "main-task");
        caller.cwd.clone_from(&root);
        caller.env.set("SAMOCODE_SESSION_DIR", &worker);
        assert_eq!(look(&caller, None).await.unwrap().session, "impl-1");
        assert_eq!(look(&caller, Some("../x")).await.unwrap_err().class, Class::NotFound);
        assert_eq!(look(&caller, Some("impl-9")).await.unwrap_err().class, Class::NotFound);

        let rules = root.join(".samocode.d/roles.toml");
        std::fs::create_dir_all(rules.parent().unwrap()).unwrap();
        std::fs::write(&rules, "[[role]]\nrole = \"tester\"\nfolder = \"*/workers/impl-?\"\n")
            .unwrap();
        let given = look(&caller, Some("impl-1")).await.unwrap().given.unwrap();
        assert_eq!((given.role.as_deref(), given.file), (Some("tester"), Some(rules.clone())));
        std::fs::write(&rules, "[[roles]]\n").unwrap();
        let error = look(&caller, Some("impl-1")).await.unwrap_err();
        assert!(
            error.class == Class::Configuration && error.message.contains("roles.toml"),
            "{error:?}"
        );
    }
}
