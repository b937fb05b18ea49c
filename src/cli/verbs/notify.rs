//! `samocode notify test`: sends a test message through every channel.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::agent::environment::secrets_in_shell;
use crate::agent::vocabulary;
use crate::config::{Dirs, Env, EnvFile, Error as ProjectError, Flags, Project, Settings};
use crate::control::channels::{channels, resend_all};
use crate::notify::{self, Notice, TestOutcome, TestResult};
use crate::service::Scope;

use super::words::count;
use super::{Common, output};

/// Test how samocode notifies you
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode notify test\n\nTo set up Telegram, put TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID into ~/.config/samocode/env.\nDesktop notifications need no setup."
)]
pub(in crate::cli) struct Notify {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Send a test message through every channel
    #[command(
        after_help = "Example:\n  samocode notify test\n\nExit code 0 when at least one message was sent and none failed, else 1."
    )]
    Test {
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
}

impl Notify {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let Verb::Test { json } = self.verb;
        let env = Env::of_process();
        let dirs = Dirs::user(&env)?;
        let file = EnvFile::read(&dirs)?;
        let cwd = std::env::current_dir().context("cannot tell the current folder")?;
        let project = match Project::find_with(common.config.as_deref(), &cwd, &env) {
            Ok(project) => Some(project),
            Err(ProjectError::NoProject { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let settings = Settings::load(&vocabulary(), project.as_ref(), &env, &Flags::default())?;
        let channels = channels(&settings, &env, &file, common.scope() == Scope::User);
        let host = rustix::system::uname();
        let id = uuid::Uuid::now_v7().to_string();
        let notice = Notice::test(&id, &host.nodename().to_string_lossy());
        let results: Vec<Tested> =
            notify::test(&channels, &notice).await.into_iter().map(Tested::of).collect();
        let sent = results.iter().any(|tested| tested.outcome == Outcome::Sent);
        let desktop = common.scope() == Scope::User;
        let late = if sent { resend_all(&dirs, &env, &file, desktop).await } else { Vec::new() };
        let late_sent = late.iter().filter(|delivery| delivery.result.is_ok()).count();
        if json {
            output::json(&serde_json::json!({ "results": results, "late": late_sent }))?;
        } else {
            tell(&results, &dirs.short(&dirs.env_file()));
            if late_sent > 0 {
                say!(
                    "Sent {} that could not be sent before.",
                    count(late_sent, "notice", "notices")
                );
            }
        }
        for remark in channels.notifiers.iter().filter_map(|notifier| notifier.remark()) {
            output::note(&remark);
        }
        warn_of_shell(&env, &file, &dirs);
        let failed = results.iter().any(|tested| tested.outcome == Outcome::Failed);
        Ok(if sent && !failed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The result for one notifier, as in `--json`.
#[derive(Debug, PartialEq, Serialize)]
struct Tested {
    notifier: &'static str,
    outcome: Outcome,
    seconds: Option<f64>,
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Sent,
    /// Sending failed, or the notifier is set up incorrectly.
    Failed,
    /// No desktop to show it on.
    Absent,
    NotSetUp,
}

impl Tested {
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

    fn words(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or_default();
        match self.outcome {
            Outcome::Sent => format!("sent in {:.1} s", self.seconds.unwrap_or_default()),
            Outcome::Failed => format!("failed: {reason}"),
            Outcome::Absent => format!("not shown: {reason}"),
            Outcome::NotSetUp => format!("not set up: {reason}"),
        }
    }
}

fn tell(results: &[Tested], env_file: &str) {
    for tested in results {
        let name = output::painted(output::BOLD, format!("{:<9}", tested.notifier));
        say!("{name} {}", tested.words());
    }
    let nobody = |tested: &Tested| matches!(tested.outcome, Outcome::Absent | Outcome::NotSetUp);
    if results.iter().all(nobody) {
        say!(
            "You would not be notified. Put TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID into {env_file}, one per line, then try again."
        );
    }
}

/// Warns of a token set only in this shell, which units do not see.
fn warn_of_shell(env: &Env, file: &EnvFile, dirs: &Dirs) {
    let name = "TELEGRAM_BOT_TOKEN";
    if secrets_in_shell(&vocabulary(), env, file).iter().any(|secret| secret == name) {
        output::note(&format!(
            "{name} is set only in this shell, where units do not see it: put it into {}",
            dirs.short(&dirs.env_file())
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::notify::NotifyError;
    use crate::notify::setup::LeftOut;

    fn words(outcome: TestOutcome) -> (Outcome, String) {
        let tested = Tested::of(TestResult { notifier: "telegram", outcome });
        (tested.outcome, tested.words())
    }

    #[test]
    fn a_half_set_up_notifier_is_a_failure_and_an_absent_desktop_is_none() {
        let left_out = |mistaken| {
            let reason = "no token; put it there".to_owned();
            TestOutcome::NotSetUp(LeftOut { notifier: "telegram", reason, mistaken })
        };
        assert_eq!(
            words(left_out(false)),
            (Outcome::NotSetUp, "not set up: no token; put it there".to_owned())
        );
        assert_eq!(words(left_out(true)).0, Outcome::Failed);
        let absent =
            TestOutcome::Failed(NotifyError::Absent("telegram: there is no desktop".to_owned()));
        assert_eq!(words(absent), (Outcome::Absent, "not shown: there is no desktop".to_owned()));
        let sent = TestOutcome::Sent(Duration::from_millis(340));
        assert_eq!(words(sent), (Outcome::Sent, "sent in 0.3 s".to_owned()));
    }
}
