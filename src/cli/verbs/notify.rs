//! `samocode notify`: which channels there are, and whether they work.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::bot::pairing::Pairing;
use crate::control::notify::{
    ChannelListed, ChannelTested, NotifyList, NotifyListed, NotifyTest, NotifyTested, Outcome,
    bot_server, save_bot,
};
use crate::control::quiet::{QuietHours, QuietNow, SetQuiet};
use crate::notify::NoticeKind;
use crate::platform::memory;
use crate::web;

use super::format::count;
use super::{Common, front, output, secret};

/// Show and test how samocode notifies you
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode notify list\n  samocode notify test\n  samocode notify test phone\n\nTo set up Telegram, put TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID into ~/.config/samocode/env.\nDesktop notifications need no setup. Other channels, and what each is for, go into\n~/.config/samocode/notify.toml, for one project into .samocode.d/notify.toml:\n\n  [channel.phone]\n  type = \"ntfy\"\n  url = \"https://ntfy.sh/TOPIC\"\n  events = [\"waiting\", \"blocked\", \"done\"]\n\n  [quiet]\n  from = \"22:00\"\n  to = \"07:00\"\n  except = [\"blocked\"]\n\nA secret is inline in a file of mode 0600, or token_file, token_env, or token_credential:\nthe name of a credential that only the units have which send messages. For that, in\n~/.config/systemd/user/samocode-.service.d/secret.conf:\n\n  [Service]\n  LoadCredential=NAME:/path/of/file"
)]
pub(in crate::cli) struct Notify {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the channels, what each is for, and what they have not sent
    #[command(after_help = "Example:\n  samocode notify list")]
    List {
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Pair a Telegram bot with your phone
    ///
    /// Asks for the bot's token, waits until you send the bot a code, saves both in
    /// ~/.config/samocode/env and sends a test message.
    #[command(
        after_help = "Examples:\n  samocode notify setup\n  samocode notify setup <token-file\n\nMake a bot first: write /newbot to @BotFather in Telegram."
    )]
    Setup {},
    /// Hold messages back at night, and tell of them in one in the morning
    ///
    /// Writes [quiet] and digest into ~/.config/samocode/notify.toml; what is not given stays as it
    /// is. Nothing is lost: what is held back is sent when the quiet hours end, or in the digest.
    #[command(
        after_help = "Examples:\n  samocode notify quiet --digest 08:00\n  samocode notify quiet --from 23:00 --to 06:30 --except blocked\n  samocode notify quiet --off"
    )]
    Quiet {
        /// When the quiet hours begin, by the local clock [default: 22:00]
        #[arg(long, value_name = "HH:MM", value_parser = time)]
        from: Option<String>,
        /// When they end [default: 07:00]
        #[arg(long, value_name = "HH:MM", value_parser = time)]
        to: Option<String>,
        /// A kind of event that is sent all the same; may be given several times
        #[arg(long, value_name = "KIND", value_parser = kind)]
        except: Option<Vec<NoticeKind>>,
        /// When one message tells of all that was held back
        #[arg(long, value_name = "HH:MM", value_parser = time)]
        digest: Option<String>,
        /// Hold nothing back
        #[arg(long, conflicts_with_all = ["from", "to", "except", "digest"])]
        off: bool,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a test message through every channel
    #[command(
        after_help = "Examples:\n  samocode notify test\n  samocode notify test phone\n\nExit code 0 when at least one message was sent and none failed, else 1."
    )]
    Test {
        /// Send it through this channel only
        channel: Option<String>,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
}

impl Notify {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        // Before the bot's token is read.
        memory::seal();
        match self.verb {
            Verb::Setup {} => setup(common).await,
            Verb::Quiet { from, to, except, digest, off, json } => {
                let hours = QuietHours { from, to, except, digest };
                let set = common.call(SetQuiet { hours: (!off).then_some(hours) }).await?;
                if json {
                    output::json(&set)?;
                } else {
                    print_quiet(&set);
                }
                Ok(ExitCode::SUCCESS)
            }
            Verb::List { json } => list(common, json).await,
            Verb::Test { channel, json } => Self::test(common, channel, json).await,
        }
    }

    async fn test(
        common: &Common,
        channel: Option<String>,
        json: bool,
    ) -> anyhow::Result<ExitCode> {
        let answer =
            common.call_with(NotifyTest { channel }, &|line| output::progress(line)).await?;
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

/// A time of day, `HH:MM`.
fn time(text: &str) -> Result<String, String> {
    let read = jiff::civil::Time::strptime("%H:%M", text.trim());
    let read = read.map_err(|_| "expected a time such as 07:30".to_owned())?;
    Ok(read.strftime("%H:%M").to_string())
}

fn kind(text: &str) -> Result<NoticeKind, String> {
    let mut kinds = NoticeKind::ALL.into_iter().filter(|kind| !kind.is_for_all());
    kinds.find(|kind| kind.as_str() == text).ok_or_else(|| {
        let kinds = NoticeKind::ALL.into_iter().filter(|kind| !kind.is_for_all());
        format!("expected one of {}", kinds.map(NoticeKind::as_str).collect::<Vec<_>>().join(", "))
    })
}

fn print_quiet(set: &QuietNow) {
    let Some((from, to)) = &set.quiet else {
        outln!("There are no quiet hours now: every message is sent at once.");
        return;
    };
    let digest = set.digest.as_ref();
    let then =
        digest.map_or("sent then".to_owned(), |at| format!("told of in one message at {at}"));
    outln!("From {from} to {to} messages are held back, and {then}. Saved in {}.", set.file);
    if !set.except.is_empty() {
        let kinds = set.except.iter().map(|kind| kind.as_str()).collect::<Vec<_>>();
        outln!("Sent all the same: {}.", kinds.join(", "));
    }
}

async fn setup(common: &Common) -> anyhow::Result<ExitCode> {
    let caller = common.caller()?;
    let (api_url, proxies) = bot_server(&caller)?;
    output::note("Make a bot if you have none: write /newbot to @BotFather in Telegram.");
    let token = secret::ask("The bot's token (not shown)")?;
    let pairing = Pairing::begin(&token, Some(&api_url), proxies).await?;
    let link = pairing.link();
    if output::width().is_some() {
        dataln!("\n{}", web::qr_code(&link));
    }
    dataln!("Open {link} on your phone,");
    dataln!("or send the bot this, also in a group it is in: {}", pairing.message());
    output::progress("Waiting for that; Ctrl-C leaves, and nothing is saved.");
    let paired = pairing.wait(&|line| output::note(line)).await?;
    let file = save_bot(&caller, token, paired.chat)?;
    outln!("Paired with chat {}; saved in {file}.", paired.chat);
    if paired.user != paired.chat {
        outln!(
            "It is a group. To answer there, add to ~/.config/samocode/notify.toml:\n\
             [channel.telegram]\nusers = [{}]",
            paired.user
        );
    }
    let worked = Notify::test(common, Some("telegram".to_owned()), false).await?;
    outln!("To answer from the phone: {}", common.command("samocode bot --install"));
    Ok(worked)
}

async fn list(common: &Common, json: bool) -> anyhow::Result<ExitCode> {
    let answer = common.call_with(NotifyList {}, &|line| output::progress(line)).await?;
    let listed = front::accept(answer)?;
    if json {
        output::json(&listed)?;
    } else {
        print_list(&listed);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_list(listed: &NotifyListed) {
    let width = listed.channels.iter().map(|channel| channel.name.len()).max().unwrap_or(0);
    for channel in &listed.channels {
        let name = output::painted(output::BOLD, format!("{:<width$}", channel.name));
        dataln!("{name}  {}", state(channel));
    }
    if let Some((from, to)) = &listed.quiet {
        let digest = listed.digest.as_ref();
        let digest = digest.map_or(String::new(), |at| format!("; a digest of them at {at}"));
        dataln!("Quiet hours from {from} to {to}{digest}.");
    }
    for file in &listed.files {
        dataln!("Set up in {file}.");
    }
}

/// The state of a channel in one line.
fn state(channel: &ChannelListed) -> String {
    if let Some(problem) = &channel.problem {
        let word = if channel.mistaken { "not used" } else { "not set up" };
        return format!("{word}: {problem}");
    }
    let all = NoticeKind::ALL.len();
    let mut state = if channel.events.len() == all {
        "all events".to_owned()
    } else {
        let events = channel.events.iter().filter(|kind| !kind.is_for_all());
        events.map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
    };
    let late = channel.unsent - channel.held;
    if late > 0 {
        let why = channel.error.as_deref().unwrap_or("no attempt has finished");
        state.push_str(&format!("; {} not sent: {why}", count(late, "notice", "notices")));
    }
    if channel.held > 0 {
        state.push_str(&format!("; {} held back", count(channel.held, "notice", "notices")));
    }
    state
}

fn print(tested: &NotifyTested) {
    let width = tested.results.iter().map(|tested| tested.notifier.len()).max().unwrap_or(0).max(9);
    for channel in &tested.results {
        let name = output::painted(output::BOLD, format!("{:<width$}", channel.notifier));
        dataln!("{name} {}", describe(channel));
    }
    let is_mute =
        |tested: &ChannelTested| matches!(tested.outcome, Outcome::Absent | Outcome::NotSetUp);
    if tested.results.iter().all(is_mute) {
        dataln!(
            "You would not be notified. Put TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID into {}, one per line, then try again.",
            tested.env_file
        );
    }
    if tested.late > 0 {
        dataln!(
            "Also sent {} that had failed to send earlier.",
            count(tested.late, "notice", "notices")
        );
    }
}

fn describe(tested: &ChannelTested) -> String {
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
    fn times_and_kinds_are_read_as_the_file_has_them() {
        assert_eq!(time(" 7:05 ").as_deref(), Ok("07:05"));
        for wrong in ["7", "24:00", "7:5 pm", ""] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert_eq!(kind("blocked"), Ok(NoticeKind::Blocked));
        assert!(kind("nothing").unwrap_err().contains("waiting, blocked, done"));
        assert!(kind("digest").is_err(), "it is for all channels");
    }

    #[test]
    fn each_outcome_has_its_words() {
        let text = |outcome| {
            let reason = Some("no token".to_owned());
            describe(&ChannelTested {
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
