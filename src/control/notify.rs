//! Testing the ways to notify the human.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agent::environment::secrets_in_shell;
use crate::agent::vocabulary;
use crate::config::{Dirs, EnvFile, Error as ProjectError, Flags, Settings};
use crate::notify::outbox::Due;
use crate::notify::{self, Notice, TestOutcome, TestResult};
use crate::service::Scope;

use super::channels::{channels, resend_all};
use super::context::project_here;
use super::error::Result;
use super::operation::{Operation, Perform};

/// Sends a test message through every channel. If one gets through, also sends the notices that
/// could not be sent before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyTest {}

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
        Self { notifier: result.notifier.to_owned(), outcome, seconds, reason }
    }
}

#[async_trait]
impl Perform for NotifyTest {
    async fn perform(self, on: &Operation<'_>) -> Result<NotifyTested> {
        let (caller, desktop) = (on.caller, on.caller.scope == Scope::User);
        let dirs = Dirs::user(&caller.env)?;
        let file = EnvFile::read(&dirs)?;
        let project = match project_here(caller) {
            Ok(project) => Some(project),
            Err(ProjectError::NoProject { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let settings =
            Settings::load(&vocabulary(), project.as_ref(), &caller.env, &Flags::default())?;
        let channels = channels(&settings, &caller.env, &file, desktop);
        let host = rustix::system::uname();
        let id = uuid::Uuid::now_v7().to_string();
        let notice = Notice::test(&id, &host.nodename().to_string_lossy());
        let results = notify::test(&channels, &notice).await;
        let results: Vec<_> = results.into_iter().map(ChannelTested::of).collect();
        let late = if results.iter().any(|tested| tested.outcome == Outcome::Sent) {
            resend_all(&dirs, &caller.env, &file, desktop, Due::Now).await
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

const TOKEN: &str = "TELEGRAM_BOT_TOKEN";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::notify::NotifyError;
    use crate::notify::setup::LeftOut;

    fn tested(outcome: TestOutcome) -> (Outcome, Option<String>) {
        let tested = ChannelTested::of(TestResult { notifier: "telegram", outcome });
        (tested.outcome, tested.reason)
    }

    #[test]
    fn a_half_set_up_notifier_is_a_failure_and_an_absent_desktop_is_none() {
        let left_out = |mistaken| {
            let reason = "no token; put it there".to_owned();
            TestOutcome::NotSetUp(LeftOut { notifier: "telegram", reason, mistaken })
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
