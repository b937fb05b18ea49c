//! `samocode notify test`: sends a test message through every channel.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::control::notify::{ChannelTested, NotifyTest, NotifyTested, Outcome};
use crate::platform::memory;

use super::words::count;
use super::{Common, front, output};

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
        // Before the bot's token is read.
        memory::seal();
        let answer = common.call_with(NotifyTest {}, &|line| output::note(line)).await?;
        if let Ok(tested) = &answer.result {
            if json {
                let (results, late) = (&tested.results, tested.late);
                output::json(&serde_json::json!({ "results": results, "late": late }))?;
            } else {
                print(tested);
            }
        }
        let works = front::accept(answer)?.works();
        Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print(tested: &NotifyTested) {
    for channel in &tested.results {
        let name = output::painted(output::BOLD, format!("{:<9}", channel.notifier));
        say!("{name} {}", words(channel));
    }
    let is_mute =
        |tested: &ChannelTested| matches!(tested.outcome, Outcome::Absent | Outcome::NotSetUp);
    if tested.results.iter().all(is_mute) {
        say!(
            "You would not be notified. Put TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID into {}, one per line, then try again.",
            tested.env_file
        );
    }
    if tested.late > 0 {
        say!(
            "Also sent {} that had failed to send earlier.",
            count(tested.late, "notice", "notices")
        );
    }
}

fn words(tested: &ChannelTested) -> String {
    let reason = tested.reason.as_deref().unwrap_or_default();
    match tested.outcome {
        Outcome::Sent => format!("sent in {:.1} s", tested.seconds.unwrap_or_default()),
        Outcome::Failed => format!("failed: {reason}"),
        Outcome::Absent => format!("not shown: {reason}"),
        Outcome::NotSetUp => format!("not set up: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_words() {
        let text = |outcome| {
            let reason = Some("no token".to_owned());
            words(&ChannelTested {
                notifier: "telegram".into(),
                outcome,
                seconds: Some(0.34),
                reason,
            })
        };
        assert_eq!(text(Outcome::Sent), "sent in 0.3 s");
        assert_eq!(text(Outcome::Failed), "failed: no token");
        assert_eq!(text(Outcome::Absent), "not shown: no token");
        assert_eq!(text(Outcome::NotSetUp), "not set up: no token");
    }
}
