//! `samocode failed INSTANCE`, run by `samocode-failed@.service`: notifies the human that a unit has
//! failed for good, even when its worker cannot.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tracing::Level;

use crate::agent::vocabulary;
use crate::config::{Dirs, Env, EnvFile, Flags, Project, Settings};
use crate::control::channels::channels;
use crate::control::{Error, whereabouts};
use crate::notify::outbox::Due;
use crate::notify::{About, Delivery, Notice, NotifyError, Outbox, Shelf};
use crate::platform::memory;
use crate::service::{self, Action, Active, Reader, Scope, Spool, Token};
use crate::session::store::Folder;
use crate::worker::Queue;

use super::{Common, log, output};

/// Notify the human that a unit has failed; run by its unit
#[derive(Debug, Args)]
pub(in crate::cli) struct Failed {
    /// The session's unit instance
    instance: String,
}

/// How long sending to all notifiers may take, together.
const BOUND: Duration = Duration::from_secs(45);

impl Failed {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        memory::seal();
        log::start(Level::INFO);
        let scope = common.scope();
        let instance = &self.instance;
        // Some versions trigger OnFailure= at every restart; report only a unit that stays failed.
        if let Ok(manager) = service::connect(scope).await {
            let unit = manager.unit(instance).await?;
            if unit.status.active != Active::Failed {
                return Ok(ExitCode::SUCCESS);
            }
        }
        // Others of its convoy may wait for it.
        if let Some(token) = Token::new(Action::Advance, instance) {
            Spool::of(scope)?.leave(&token)?;
        }
        let env = Env::of_process();
        let dirs = Dirs::user(&env)?;
        let env_file = EnvFile::read(&dirs).unwrap_or_default();
        // Its worker can no longer do that.
        let queue = Queue::of(&dirs.state);
        if let Err(error) = queue.leave(instance).and_then(|()| queue.pass_on(None)) {
            output::error(&error.to_string());
        }
        let config = env.get("SAMOCODE_CONFIG").map(PathBuf::from);
        let recorded = service::recorded(scope, instance).ok().flatten();
        let config = config.or_else(|| recorded.as_ref().map(|known| known.config.clone()));
        let project =
            config.as_ref().and_then(|config| Project::read(config, Some(&dirs.home)).ok());
        let settings = Settings::load(&vocabulary(), project.as_ref(), &env, &Flags::default())
            .or_else(|_| Settings::load(&vocabulary(), None, &env, &Flags::default()))?;
        let gone = recorded
            .as_ref()
            .and_then(|known| whereabouts::looked_for(instance, &known.config, &known.folder));
        let hook = recorded.and_then(|known| Folder::new(known.folder).read_hook());
        let reason = gone.map(|gone| Error::from(gone).in_one_line());
        let reason = reason.or_else(|| hook.as_ref().and_then(|hook| hook.reason.clone()));
        let about = About {
            id: format!("{instance}-failed"),
            session: instance.clone(),
            project: project.map(|project| project.name).unwrap_or_default(),
            phase: hook.as_ref().map(|hook| hook.phase),
        };
        let channels = channels(&settings, &env, &env_file, scope == Scope::User);
        let mut outbox = Outbox::new(channels.notifiers);
        if let Some(config) = &config {
            outbox = outbox.with_shelf(Shelf::new(&dirs.state, config));
        }
        outbox.resend(Due::AsAsked, |notice| notice.session != *instance);
        let reader = Reader { scope, config: None, is_root: false };
        let command = format!("samocode logs {instance}, then samocode start {instance}");
        let command = reader.pasteable(&command);
        outbox.post(Notice::failed(&about, reason.as_deref(), &command));
        let deliveries = outbox.drain(BOUND).await;
        for delivery in &deliveries {
            if let Err(error) = &delivery.result
                && !error.is_quiet()
            {
                output::error(&format!("{}: {error}", delivery.notifier));
            }
        }
        Ok(if is_worth_another_try(&deliveries) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Whether nothing could be delivered, but a retry may succeed.
fn is_worth_another_try(deliveries: &[Delivery]) -> bool {
    let is_passing =
        |delivery: &Delivery| delivery.result.as_ref().is_err_and(NotifyError::is_retryable);
    deliveries.iter().all(|delivery| delivery.result.is_err()) && deliveries.iter().any(is_passing)
}
