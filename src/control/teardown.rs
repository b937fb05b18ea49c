//! Runs `SAMOCODE_TEARDOWN_COMMAND` in a session's worktree before that is removed.

use std::path::Path;

use crate::agent::environment::{RunIds, agent_environment};
use crate::agent::vocabulary;
use crate::config::secret::redactor;
use crate::git::Checkout;
use crate::platform::shell::{Ended, Shell};
use crate::service::quoted;
use crate::session::clock;
use crate::session::describe::harmless;
use crate::worker::confine::Caged;
use crate::worker::port_base;

use super::context::Context;
use super::error::{Attempt as _, Error, Result};
use super::session::Session;

/// How many of its last lines an error shows.
const LINES: usize = 5;

/// Runs the command, if there is one. It may run again if the removal is interrupted.
pub(super) async fn tear_down(context: &Context, session: &Session, root: &Path) -> Result<()> {
    let settings = &context.settings.provision;
    let Some(command) = &settings.teardown else { return Ok(()) };
    let (name, folder) = (&session.name, &session.folder);
    let run = RunIds {
        session: session.instance.clone(),
        session_dir: folder.path().to_owned(),
        phase: session.hook()?.phase,
        tmpdir: tempfile::env::temp_dir(),
        port_base: port_base(&context.dirs.state, folder.path())?,
        own_caches: context.settings.own_caches.clone(),
        ..RunIds::default()
    };
    let file = context.env_file()?;
    let veil = redactor(&context.caller.env, &file).veil();
    let env = agent_environment(&vocabulary(), &context.caller.env, &file, "", &run);
    folder.make_subfolders()?;
    let log = format!("{}-teardown.log", clock::local_now().strftime("%m-%d-%H%M"));
    let log = folder.logs().join(log);
    let keys = context.settings.confine(run.phase);
    let checkout = Checkout::around(&context.project, root);
    let (home, env) = (&context.dirs.home, env.into_iter().collect());
    let caged = Caged::command(keys, home, (root, checkout.as_ref()), Some(folder.path()), env);
    let caged = caged.map_err(|why| {
        Error::refused(format!("cannot remove {name}: cannot run the teardown command: {why}"))
    })?;
    let shell = Shell {
        command,
        folder: root,
        env: caged.env.clone(),
        run: &format!("teardown-{}", uuid::Uuid::new_v4()),
        log: &log,
        limit: settings.limit,
        cage: caged.cage,
        filter: veil.filter(),
    };
    let ended = shell.run(None).await;
    match ended.attempt(|| format!("run the teardown command of {name}"))? {
        Ended::Well => Ok(()),
        Ended::Badly { how, lines } => {
            let last = &lines[lines.len().saturating_sub(LINES)..];
            let last: Vec<String> = last.iter().map(|line| harmless(line).into_owned()).collect();
            let message = format!(
                "cannot remove {name}: the teardown command failed ({how}): {}",
                last.join(" | ")
            );
            Err(Error::refused(message).hint(format!(
                "nothing was removed; read {}, fix SAMOCODE_TEARDOWN_COMMAND, and run this again",
                quoted(&log)
            )))
        }
    }
}
