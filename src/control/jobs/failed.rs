//! Notifying the human that a unit has failed for good, even when its worker cannot.

use std::path::PathBuf;
use std::time::Duration;

use crate::agent::vocabulary;
use crate::config::{Dirs, Env, EnvFile, Flags, Project, Settings};
use crate::control::channels::{channels, files};
use crate::control::error::Attempt as _;
use crate::control::{Error, Result, whereabouts};
use crate::notify::outbox::Due;
use crate::notify::{About, Delivery, Notice, NotifyError, Shelf};
use crate::service::launchd::Places;
use crate::service::{self, Action, Active, Reader, Scope, Spool, Token};
use crate::session::hook::{Hook, KEPT_DYING};
use crate::session::names;
use crate::session::state::StateName;
use crate::session::store::Folder;
use crate::worker::Queue;

/// How long sending to all notifiers may take, together.
const BOUND: Duration = Duration::from_secs(45);

/// The result of notifying the human of a failure.
#[derive(Debug, Default)]
pub struct Notified {
    /// What failed, one line each: notifiers, or the queue.
    pub errors: Vec<String>,
    /// Whether nothing could be delivered, but a retry may succeed.
    pub retry: bool,
}

/// Notifies the human that the unit of an instance has failed, unless it has not.
///
/// # Errors
/// If the manager does not answer, and those of the settings.
pub async fn notify(env: &Env, scope: Scope, instance: &str) -> Result<Notified> {
    // Some versions trigger OnFailure= at every restart; report only a unit that stays failed.
    if let Ok(manager) = service::connect(scope).await {
        let unit = manager.unit(instance).await?;
        if unit.status.active != Active::Failed {
            return Ok(Notified::default());
        }
    }
    // Others of its convoy may wait for it.
    if let Some(token) = Token::new(Action::Advance, instance) {
        Spool::of(scope)?.leave(&token)?;
    }
    let dirs = Dirs::user(env)?;
    // Its worker can no longer do that.
    let queue = Queue::of(&dirs.state);
    let queued = queue.leave(instance).and_then(|()| queue.pass_on(None));
    let env_file = EnvFile::read(&dirs).unwrap_or_default();
    let config = env.get("SAMOCODE_CONFIG").map(PathBuf::from);
    let recorded = service::recorded(scope, instance).ok().flatten();
    let config = config.or_else(|| recorded.as_ref().map(|known| known.config.clone()));
    let project = config.as_ref().and_then(|config| Project::read(config, Some(&dirs.home)).ok());
    let settings = Settings::load(&vocabulary(), project.as_ref(), env, &Flags::default())
        .or_else(|_| Settings::load(&vocabulary(), None, env, &Flags::default()))?;
    let gone = recorded
        .as_ref()
        .and_then(|known| whereabouts::looked_for(instance, &known.config, &known.folder));
    let hook = recorded.and_then(|known| Folder::new(known.folder).read_hook());
    let reason = gone.map(|gone| Error::from(gone).in_one_line());
    let of_hook = |hook: &Hook| {
        let gave_up = (hook.state == StateName::Failed).then(|| KEPT_DYING.to_owned());
        hook.reason.clone().or(gave_up)
    };
    let reason = reason.or_else(|| hook.as_ref().and_then(of_hook));
    let about = About {
        // Another one at the next time.
        id: format!("{instance}-failed-{}", hook.as_ref().map_or(0, |hook| hook.seq)),
        session: instance.to_owned(),
        project: project.as_ref().map(|project| project.name.clone()).unwrap_or_default(),
        phase: hook.as_ref().map(|hook| hook.phase),
    };
    let files = files(&dirs, project.as_ref());
    let channels = channels(&settings, files, env, &env_file, scope == Scope::User);
    let mut outbox = channels.outbox();
    if let Some(config) = &config {
        outbox = outbox.with_shelf(Shelf::new(&dirs.state, config));
    }
    outbox.resend(Due::AsAsked, |notice| notice.session != instance);
    let reader = Reader { scope, config: None, is_root: false };
    let command = format!("samocode logs {instance}, then samocode start {instance}");
    let command = reader.pasteable(&command);
    outbox.post(Notice::failed(&about, reason.as_deref(), &command));
    let deliveries = outbox.drain(BOUND).await;
    let mut errors = super::errors(&deliveries);
    errors.extend(queued.err().map(|error| error.to_string()));
    Ok(Notified { errors, retry: is_worth_a_retry(&deliveries) })
}

/// Notifies the human of each instance that has left a token for launchd's agent. A token is removed
/// once that is done or a retry would not help; launchd retries as long as one is left.
///
/// # Errors
/// If the tokens cannot be read.
pub async fn notify_of_all(env: &Env, scope: Scope) -> Result<Notified> {
    let folder = Places::of_env()?.failed;
    let mut all = Notified::default();
    let tokens = std::fs::read_dir(&folder).attempt(|| format!("read {}", folder.display()))?;
    for token in tokens.flatten() {
        let name = token.file_name().to_string_lossy().into_owned();
        let notified = match names::is_instance(&name) {
            true => notify(env, scope, &name).await,
            false => Ok(Notified::default()),
        };
        let retry = notified.as_ref().map_or(true, |notified| notified.retry);
        match notified {
            Ok(notified) => all.errors.extend(notified.errors),
            Err(error) => all.errors.push(format!("{name}: {}", error.in_one_line())),
        }
        all.retry |= retry;
        if !retry {
            // One that cannot be removed is looked at again, which is harmless.
            let _ = std::fs::remove_file(token.path());
        }
    }
    Ok(all)
}

/// Whether nothing could be delivered, but a retry may succeed.
fn is_worth_a_retry(deliveries: &[Delivery]) -> bool {
    let is_passing =
        |delivery: &Delivery| delivery.result.as_ref().is_err_and(NotifyError::is_retryable);
    deliveries.iter().all(|delivery| delivery.result.is_err()) && deliveries.iter().any(is_passing)
}
