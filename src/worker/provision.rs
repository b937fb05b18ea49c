//! What a new worktree gets before an agent works there: submodules, the ignored files that
//! `.worktreeinclude` names, and what `SAMOCODE_SETUP_COMMAND` makes of it.
//!
//! Each step may run again after a crash: it is recorded as done only when all of them are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::agent::environment::{RunIds, agent_environment};
use crate::agent::vocabulary;
use crate::config::confine::Confine;
use crate::config::dirs;
use crate::config::settings::Provision;
use crate::config::{Project, Veil};
use crate::git::{self, Checkout};
use crate::platform::cgroup::UnitCgroup;
use crate::platform::shell::{Ended, Shell};
use crate::session::describe::harmless;
use crate::session::store::StoreError;
use crate::session::{Phase, clock};

use super::confine::Caged;
use super::preparing::{self, Teller};
use super::unready::Unready;
use super::{Worker, ports};

/// How many of the setup command's last lines a blocked session shows.
const LINES: usize = 5;

/// What was given to a worktree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Provided {
    /// The ignored files that were copied.
    pub(super) copied: Vec<String>,
    /// What a human should know.
    pub(super) notes: Vec<String>,
}

/// What providing for a worktree needs of its worker.
pub(super) struct Ground<'a> {
    settings: &'a Provision,
    /// The project, whose folder is in the repository.
    project: &'a Project,
    instance: &'a str,
    env: Vec<(OsString, OsString)>,
    log: PathBuf,
    cgroup: Option<&'a UnitCgroup>,
    confine: &'a Confine,
    home: PathBuf,
    session: &'a Path,
    veil: Veil,
}

impl Ground<'_> {
    /// How the session's agent is confined.
    pub(super) const fn confine(&self) -> &Confine {
        self.confine
    }

    /// The home folder.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }
}

impl<'a> Worker<'a> {
    pub(super) fn ground(&self) -> Ground<'a> {
        let setup = self.setup;
        let folder = &setup.folder;
        let run = RunIds {
            session: setup.instance.clone(),
            session_dir: folder.path().to_owned(),
            phase: Phase::Init,
            iteration: 0,
            run: String::new(),
            tmpdir: tempfile::env::temp_dir(),
            port_base: self.port_base(),
            own_caches: setup.settings.own_caches.clone(),
            path_additions: Vec::new(),
        };
        // The command is no agent: it gets no agent's secrets.
        let env = agent_environment(&vocabulary(), &setup.env, &self.env_file, "", &run);
        let name = format!("{}-setup.log", clock::local_now().strftime("%m-%d-%H%M"));
        Ground {
            settings: &setup.settings.provision,
            project: &setup.project,
            instance: &setup.instance,
            env: env.into_iter().collect(),
            log: folder.logs().join(name),
            cgroup: self.cgroup,
            confine: setup.settings.confine(self.writer.state().phase()),
            home: dirs::home(&setup.env).unwrap_or_default(),
            session: folder.path(),
            veil: self.redactor.veil(),
        }
    }

    /// The first port of the session's own range.
    pub(super) fn port_base(&self) -> Option<u16> {
        let find = || ports::base(&self.setup.state_dir, self.setup.folder.path());
        let warn =
            |error: &StoreError| tracing::warn!("the session has no ports of its own: {error}");
        *self.ports.get_or_init(|| find().inspect_err(warn).ok().flatten())
    }
}

/// Provides for the worktree at `root`, and says what is done.
pub(super) async fn provision(
    ground: Ground<'_>,
    teller: Teller,
    root: &Path,
    working_dir: &Path,
) -> Result<Provided, Unready> {
    let retry = format!("then: samocode start {}", ground.instance);
    let failed = |error: &git::Error| match Unready::of(error, root) {
        Unready::Blocked(_) => Unready::Blocked(format!("{error}; fix that, {retry}")),
        other => other,
    };
    let mut provided = Provided::default();
    if ground.settings.submodules {
        teller.say("checking out submodules".to_owned());
        git::update_submodules(root).await.map_err(|error| failed(&error))?;
    }
    let main = &ground.project.main_repo;
    if let Some(repo) = git::root(main).map_err(|error| Unready::of(&error, main))? {
        let included = preparing::include(&teller, repo, root.to_owned());
        let included = included.await.map_err(|error| failed(&error))?;
        provided.copied = included.copied;
        let notes = included.left_out.iter();
        provided.notes.extend(notes.map(|file| format!("could not copy to the worktree: {file}")));
    }
    if let Some(command) = &ground.settings.setup {
        let log = ground.log.display().to_string();
        let run = Uuid::now_v7().to_string();
        let Ground { confine, home, session, env, project, veil, .. } = ground;
        let checkout = Checkout::around(project, working_dir);
        let place = (working_dir, checkout.as_ref());
        let caged = Caged::command(confine, &home, place, Some(session), env)
            .map_err(|why| format!("cannot run the setup command: {why}. Fix that, {retry}"))
            .map_err(Unready::Blocked)?;
        let shell = Shell {
            command,
            folder: working_dir,
            env: caged.env.clone(),
            run: &run,
            log: &ground.log,
            limit: ground.settings.limit,
            cage: caged.cage,
            filter: veil.filter(),
        };
        let cgroup = ground.cgroup.and_then(|unit| unit.run("setup").ok());
        match teller.follow(command, &ground.log, shell.run(cgroup)).await {
            Ok(Ended::Well) => {}
            Ok(Ended::Badly { how, lines }) => {
                let last = &lines[lines.len().saturating_sub(LINES)..];
                let last: Vec<String> =
                    last.iter().map(|line| harmless(line).into_owned()).collect();
                let said = if last.is_empty() { "no output".to_owned() } else { last.join(" | ") };
                return Err(Unready::Blocked(format!(
                    "the setup command failed ({how}): {said}. Read {log}, fix it, {retry}"
                )));
            }
            Err(error) => {
                return Err(Unready::Blocked(format!(
                    "cannot run the setup command in {}: {error}. Fix that, {retry}",
                    working_dir.display()
                )));
            }
        }
    }
    Ok(provided)
}
