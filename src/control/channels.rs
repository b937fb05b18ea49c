//! The ways to notify the human, set up from the settings.

use crate::config::{Env, EnvFile, Settings};

/// The notifiers for which there are settings, each ready to send.
pub(crate) fn channels(
    settings: &Settings,
    env: &Env,
    file: &EnvFile,
    desktop: bool,
) -> crate::notify::Channels {
    let look_up = |name: &str| {
        let filed = file.get(name).map(|secret| secret.expose().to_owned());
        filed.or_else(|| env.text(name).map(str::to_owned))
    };
    crate::notify::from_settings(&crate::notify::Settings {
        telegram_token: settings.telegram_bot_token.clone(),
        telegram_chat: settings.telegram_chat_id.clone(),
        telegram_api_url: look_up("TELEGRAM_API_URL"),
        proxies: crate::notify::Proxies::from_variables(look_up),
        desktop,
    })
}
