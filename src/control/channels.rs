//! The ways to notify the human, set up from the settings.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::agent::roles::PROJECT_FOLDER;
use crate::agent::vocabulary;
use crate::config::{Dirs, Env, EnvFile, Flags, Project, Settings};
use crate::notify::file::{self, Files};
use crate::notify::outbox::Due;
use crate::notify::{Delivery, Shelf, UnsentFolder};

use super::context::Context;

/// The files that set up channels, of the user and of a project.
pub(crate) fn files(dirs: &Dirs, project: Option<&Project>) -> Files {
    Files {
        user: Some(dirs.config.join(file::FILE)),
        project: project.map(|project| project.root.join(PROJECT_FOLDER).join(file::FILE)),
        home: dirs.home.clone(),
        state: Some(dirs.state.clone()),
        has_bot: bot_folder(dirs).exists(),
    }
}

/// The folder of the bot's state. It exists once the bot has run.
pub(crate) fn bot_folder(dirs: &Dirs) -> PathBuf {
    dirs.state.join("bot")
}

/// The notifiers for which there are settings, each ready to send.
pub(crate) fn channels(
    settings: &Settings,
    files: Files,
    env: &Env,
    file: &EnvFile,
    desktop: bool,
) -> crate::notify::Channels {
    let look_up = |name: &str| {
        let filed = file.get(name).map(|secret| secret.expose().to_owned());
        filed.or_else(|| env.text(name).map(str::to_owned))
    };
    let settings = crate::notify::Settings {
        telegram_token: settings.telegram_bot_token.clone(),
        telegram_chat: settings.telegram_chat_id.clone(),
        telegram_api_url: Some(settings.telegram_api_url.clone()),
        proxies: crate::notify::Proxies::from_variables(look_up),
        desktop,
        buttons: files.has_bot,
        files,
    };
    crate::notify::from_settings(&settings, &look_up)
}

/// The channels that a mistake keeps from being used: their messages reach nobody.
pub(crate) fn mistakes(context: &Context) -> Vec<String> {
    let Ok(file) = context.env_file() else { return Vec::new() };
    let files = files(&context.dirs, Some(&context.project));
    let set_up = channels(&context.settings, files, &context.caller.env, &file, false);
    let mistaken = set_up.left_out.into_iter().filter(|left_out| left_out.mistaken);
    let said = mistaken.map(|one| format!("no notices via {}: {}", one.notifier, one.reason));
    said.collect()
}

/// How long sending kept notices may take, together.
const BOUND: Duration = Duration::from_secs(30);

/// Sends the notices that could not be sent before and are due, each through the channels of its own
/// project. The next attempt of those that fail is left to others.
pub(crate) async fn resend_all(
    dirs: &Dirs,
    env: &Env,
    file: &EnvFile,
    desktop: bool,
    due: Due,
) -> Vec<Delivery> {
    let unsent = UnsentFolder::of(&dirs.state).all();
    let configs: BTreeSet<_> = unsent.into_iter().map(|unsent| unsent.config).collect();
    let mut deliveries = Vec::new();
    for config in configs {
        let Ok(project) = Project::read(&config, Some(&dirs.home)) else { continue };
        let settings = Settings::load(&vocabulary(), Some(&project), env, &Flags::default());
        let Ok(settings) = settings else { continue };
        let channels = channels(&settings, files(dirs, Some(&project)), env, file, desktop);
        let outbox = channels.outbox().with_shelf(Shelf::new(&dirs.state, &config));
        outbox.resend(due, |_| true);
        deliveries.extend(outbox.drain(BOUND).await);
    }
    deliveries
}
