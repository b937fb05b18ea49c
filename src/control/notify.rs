//! The ways to notify the human: which there are, and whether they work.

use std::collections::BTreeSet;
use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Time;
use serde::{Deserialize, Serialize};

use crate::agent::environment::secrets_in_shell;
use crate::agent::vocabulary;
use crate::config::{Dirs, EnvFile, Error as ProjectError, Flags, Secret, Settings};
use crate::notify::file::FILE;
use crate::notify::outbox::Due;
use crate::notify::{
    self, BotAccount, Channels, Files, Hours, LeftOut, Notice, NoticeKind, Proxies, TestOutcome,
    TestResult, UnsentFolder,
};
use crate::service::Scope;

use super::channels::{bot_folder, channels, files, resend_all};
use super::context::{Caller, project_here};
use super::error::{Error, Result};
use super::operation::{Operation, Perform};

/// Sends a test message through every channel, or one. If one gets through, also sends the notices
/// that could not be sent before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyTest {
    /// The channel's name; all if it is missing.
    #[serde(default)]
    pub channel: Option<String>,
}

/// Which channels there are, what each is for, and what they have not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyList {}

/// The channels, and when they are quiet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyListed {
    /// The channels, also those that cannot be used.
    pub channels: Vec<ChannelListed>,
    /// The quiet hours, such as `22:00` to `07:00`.
    pub quiet: Option<(String, String)>,
    /// When one message tells of what was held back.
    pub digest: Option<String>,
    /// The files that set up channels, with `~` for the home folder.
    pub files: Vec<String>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelListed {
    /// Its name.
    pub name: String,
    /// What it gets, by kind of event.
    pub events: Vec<NoticeKind>,
    /// Why it cannot be used, and the remedy.
    pub problem: Option<String>,
    /// Whether that is a mistake, and not only something that nobody set up.
    pub mistaken: bool,
    /// How many notices it has not sent.
    pub unsent: usize,
    /// How many of these the quiet hours hold back.
    pub held: usize,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// The results of a test message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotifyTested {
    /// One result for each channel.
    pub results: Vec<ChannelTested>,
    /// How many notices were sent that could not be sent before.
    pub late: usize,
    /// The file for the channels' credentials, with `~` for the home folder.
    pub env_file: String,
}

/// The result for one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelTested {
    /// The channel's name.
    pub notifier: String,
    /// Whether the message was sent.
    pub outcome: Outcome,
    /// How long sending took.
    pub seconds: Option<f64>,
    /// Why it was not sent, and the remedy.
    pub reason: Option<String>,
}

/// How a test message fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The channel accepted it.
    Sent,
    /// Sending failed, or the channel is set up incorrectly.
    Failed,
    /// There is no desktop to show it on.
    Absent,
    /// There are no settings for the channel.
    NotSetUp,
}

impl NotifyTested {
    /// Whether at least one message was sent and none failed.
    #[must_use]
    pub fn works(&self) -> bool {
        let any = |outcome| self.results.iter().any(|tested| tested.outcome == outcome);
        any(Outcome::Sent) && !any(Outcome::Failed)
    }
}

impl ChannelTested {
    fn of(result: TestResult) -> Self {
        let (outcome, seconds, reason) = match result.outcome {
            TestOutcome::Sent(took) => (Outcome::Sent, Some(took.as_secs_f64()), None),
            TestOutcome::Failed(error) if error.is_quiet() => {
                (Outcome::Absent, None, Some(error.to_string()))
            }
            TestOutcome::Failed(error) => (Outcome::Failed, None, Some(error.to_string())),
            TestOutcome::NotSetUp(left_out) if left_out.mistaken => {
                (Outcome::Failed, None, Some(left_out.reason))
            }
            TestOutcome::NotSetUp(left_out) => (Outcome::NotSetUp, None, Some(left_out.reason)),
        };
        // The line already starts with the name.
        let prefix = format!("{}: ", result.notifier);
        let reason = reason.map(|text| match text.strip_prefix(&prefix) {
            Some(rest) => rest.to_owned(),
            None => text,
        });
        Self { notifier: result.notifier, outcome, seconds, reason }
    }
}

/// What both calls look at.
struct Looked {
    dirs: Dirs,
    file: EnvFile,
    files: Files,
    channels: Channels,
    config: Option<PathBuf>,
}

/// Sets up the channels of the project here, or of no project.
fn look(caller: &Caller) -> Result<Looked> {
    let dirs = Dirs::user(&caller.env)?;
    let file = EnvFile::read(&dirs)?;
    let project = match project_here(caller) {
        Ok(project) => Some(project),
        Err(ProjectError::NoProject { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let settings = Settings::load(&vocabulary(), project.as_ref(), &caller.env, &Flags::default())?;
    let files = files(&dirs, project.as_ref());
    let is_user = caller.scope == Scope::User;
    let channels = channels(&settings, files.clone(), &caller.env, &file, is_user);
    let config = project.map(|project| project.config);
    Ok(Looked { dirs, file, files, channels, config })
}

/// The server of the Bot API and the proxies to it, for a bot that is not set up yet.
///
/// # Errors
/// Those of the settings.
pub fn bot_server(caller: &Caller) -> Result<(String, Proxies)> {
    let file = EnvFile::read(&Dirs::user(&caller.env)?)?;
    let settings = Settings::load(&vocabulary(), None, &caller.env, &Flags::default())?;
    let look_up = |name: &str| {
        let filed = file.get(name).map(|secret| secret.expose().to_owned());
        filed.or_else(|| caller.env.text(name).map(str::to_owned))
    };
    Ok((settings.telegram_api_url, Proxies::from_variables(look_up)))
}

/// Saves a bot and its chat in the user's env file; returns the file, with `~` for the home folder.
///
/// # Errors
/// Those of the disk.
pub fn save_bot(caller: &Caller, token: Secret, chat: i64) -> Result<String> {
    let dirs = Dirs::user(&caller.env)?;
    let chat = Secret::new(chat.to_string());
    EnvFile::save(&dirs, &[(TOKEN.to_owned(), token), (CHAT.to_owned(), chat)])?;
    Ok(dirs.short(&dirs.env_file()))
}

/// The bot that answers people, and the folder of its state.
///
/// # Errors
/// If no channel has a bot, and those of the settings.
pub fn bot_account(caller: &Caller) -> Result<(BotAccount, PathBuf)> {
    let Looked { dirs, channels, .. } = look(caller)?;
    let account = channels.notifiers.iter().find_map(|notifier| notifier.bot());
    let account = account.ok_or_else(|| {
        let why = channels.left_out.iter().find(|left_out| left_out.mistaken);
        let why = why.map_or(String::new(), |left_out| format!(": {}", left_out.reason));
        Error::usage(format!("there is no Telegram bot to answer through{why}")).hint(
            "put TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID into ~/.config/samocode/env, then: \
             samocode notify test",
        )
    })?;
    Ok((account, bot_folder(&dirs)))
}

#[async_trait]
impl Perform for NotifyTest {
    async fn perform(self, on: &Operation<'_>) -> Result<NotifyTested> {
        let caller = on.caller;
        let Looked { dirs, file, mut channels, .. } = look(caller)?;
        if let Some(name) = &self.channel {
            let notifiers = channels.notifiers.iter().map(|notifier| notifier.name());
            let left_out = channels.left_out.iter().map(|left_out| left_out.notifier.as_str());
            let known: BTreeSet<String> = notifiers.chain(left_out).map(str::to_owned).collect();
            if !known.contains(name) {
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                let why = channels.left_out.iter().find(|one| one.mistaken && one.notifier == FILE);
                let why = why.map_or(String::new(), |one| format!(": {}", one.reason));
                return Err(Error::usage(format!("there is no channel '{name}'{why}"))
                    .hint(format!("there are: {known}")));
            }
            channels.notifiers.retain(|notifier| notifier.name() == name);
            channels.left_out.retain(|left_out| left_out.notifier == *name);
        }
        let host = rustix::system::uname();
        let id = uuid::Uuid::now_v7().to_string();
        let notice = Notice::test(&id, &host.nodename().to_string_lossy());
        let results = notify::test(&channels, &notice).await;
        let results: Vec<_> = results.into_iter().map(ChannelTested::of).collect();
        let late = if results.iter().any(|tested| tested.outcome == Outcome::Sent) {
            let is_user = caller.scope == Scope::User;
            resend_all(&dirs, &caller.env, &file, is_user, Due::Now).await
        } else {
            Vec::new()
        };
        for remark in channels.notifiers.iter().filter_map(|notifier| notifier.remark()) {
            on.warnings.add(remark);
        }
        let env_file = dirs.short(&dirs.env_file());
        let in_shell = secrets_in_shell(&vocabulary(), &caller.env, &file);
        if in_shell.iter().any(|secret| secret == TOKEN) {
            on.warnings.add(format!(
                "{TOKEN} is set only in this shell, where units do not see it: put it into {env_file}"
            ));
        }
        let late = late.iter().filter(|delivery| delivery.result.is_ok()).count();
        Ok(NotifyTested { results, late, env_file })
    }
}

#[async_trait]
impl Perform for NotifyList {
    async fn perform(self, on: &Operation<'_>) -> Result<NotifyListed> {
        let Looked { dirs, files, channels, config, .. } = look(on.caller)?;
        let unsent = UnsentFolder::of(&dirs.state).all();
        let unsent: Vec<_> = unsent
            .into_iter()
            .filter(|unsent| config.as_ref().is_none_or(|config| unsent.config == *config))
            .collect();
        let now = Timestamp::now();
        let listed = |name: &str, events: Vec<NoticeKind>, problem: Option<&LeftOut>| {
            let own: Vec<_> = unsent.iter().filter(|unsent| unsent.by == name).collect();
            ChannelListed {
                name: name.to_owned(),
                events,
                problem: problem.map(|left_out| left_out.reason.clone()),
                mistaken: problem.is_some_and(|left_out| left_out.mistaken),
                unsent: own.len(),
                held: own.iter().filter(|unsent| unsent.is_held(now).is_some()).count(),
                error: own.iter().find_map(|unsent| unsent.error.clone()),
            }
        };
        let ready = channels.notifiers.iter().map(|notifier| {
            let wanted = NoticeKind::ALL.into_iter().filter(|kind| notifier.wants(*kind));
            listed(notifier.name(), wanted.collect(), None)
        });
        let left_out = channels.left_out.iter();
        let left_out =
            left_out.map(|left_out| listed(&left_out.notifier, Vec::new(), Some(left_out)));
        let hours = &channels.hours;
        Ok(NotifyListed {
            quiet: hours.quiet.as_ref().map(|quiet| (clock(quiet.from), clock(quiet.to))),
            digest: hours.digest.map(clock),
            files: [files.user, files.project]
                .into_iter()
                .flatten()
                .filter(|path| path.exists())
                .map(|path| dirs.short(&path))
                .collect(),
            channels: ready.chain(left_out).collect(),
        })
    }
}

/// A time of day as `notify.toml` has it.
pub(super) fn clock(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}

/// The user's `notify.toml`, its name for people, and the hours that hold now.
pub(super) fn hours_now(caller: &Caller) -> Result<(PathBuf, String, Hours)> {
    let Looked { dirs, files, channels, .. } = look(caller)?;
    let user = files.user.ok_or_else(|| Error::usage("there is no home folder"))?;
    let short = dirs.short(&user);
    Ok((user, short, channels.hours))
}

const TOKEN: &str = "TELEGRAM_BOT_TOKEN";
const CHAT: &str = "TELEGRAM_CHAT_ID";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::notify::NotifyError;
    use crate::notify::setup::LeftOut;

    fn tested(outcome: TestOutcome) -> (Outcome, Option<String>) {
        let tested = ChannelTested::of(TestResult { notifier: "telegram".to_owned(), outcome });
        (tested.outcome, tested.reason)
    }

    #[test]
    fn a_half_set_up_notifier_is_a_failure_and_an_absent_desktop_is_none() {
        let left_out = |mistaken| {
            let reason = "no token; put it there".to_owned();
            TestOutcome::NotSetUp(LeftOut { notifier: "telegram".to_owned(), reason, mistaken })
        };
        let reason = Some("no token; put it there".to_owned());
        assert_eq!(tested(left_out(false)), (Outcome::NotSetUp, reason));
        assert_eq!(tested(left_out(true)).0, Outcome::Failed);
        let absent =
            TestOutcome::Failed(NotifyError::Absent("telegram: there is no desktop".to_owned()));
        assert_eq!(tested(absent), (Outcome::Absent, Some("there is no desktop".to_owned())));
        let sent = TestOutcome::Sent(Duration::from_millis(340));
        assert_eq!(tested(sent), (Outcome::Sent, None));
    }
}
