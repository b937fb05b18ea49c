//! The command line: one verb a file, and the only place that wires things together.

#[macro_use]
mod say;

mod answer;
mod approve;
mod completions;
mod config;
mod cost;
mod demo;
mod doctor;
mod enable;
mod failed;
mod failure;
mod front;
mod history;
mod inbox;
mod init;
mod lifecycle;
mod log;
mod logs;
mod notify;
mod output;
mod questions;
mod run;
mod send;
mod status;
mod stop;
mod units;
mod wait;
mod wake;
mod why;
mod words;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::agent::rehearsal;
use crate::service::Scope;

/// Runs coding agents unattended, with the operating system as their supervisor.
#[derive(Debug, Parser)]
#[command(
    name = "samocode",
    version,
    propagate_version = true,
    after_help = "Examples:\n  samocode init\n  samocode enable jwt-login --task \"JWT login with httpOnly cookies\"\n  samocode status\n  samocode answer jwt-login\n\nA session is a task with a folder of plain files; each is a unit, samocode@NAME.service."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Clone, Args)]
struct Common {
    /// The project's file; else the first .samocode in this folder or above
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use the user's service manager (the default)
    #[arg(long, global = true, conflicts_with = "system")]
    user: bool,
    /// Use the system's service manager
    #[arg(long, global = true)]
    system: bool,
}

impl Common {
    const fn scope(&self) -> Scope {
        if self.system { Scope::System } else { Scope::User }
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Init),
    Config(config::Config),
    Enable(enable::Enable),
    Disable(lifecycle::Disable),
    Start(lifecycle::Start),
    Stop(stop::Stop),
    Restart(lifecycle::Restart),
    Reload(lifecycle::Reload),
    Run(run::Run),
    Status(status::Status),
    Logs(logs::Logs),
    Wait(wait::Wait),
    Answer(answer::Answer),
    Approve(approve::Approve),
    Reject(approve::Reject),
    Send(send::Send),
    Inbox(inbox::Inbox),
    Why(why::Why),
    History(history::History),
    Cost(cost::Cost),
    Units(units::Units),
    Doctor(doctor::Doctor),
    Notify(notify::Notify),
    Demo(demo::Demo),
    Completions(completions::Completions),
    #[command(hide = true)]
    Worker(worker::Worker),
    #[command(hide = true)]
    Wake(wake::Wake),
    #[command(hide = true)]
    Failed(failed::Failed),
    #[command(hide = true)]
    Rehearsal(Rehearsal),
}

/// The built-in agent, which plays all phases and costs nothing.
#[derive(Debug, Args)]
struct Rehearsal {}

/// Exit code of a command line that cannot be understood, as `sysexits.h` and clap have it.
const USAGE: u8 = 2;

/// Runs the program with these arguments and says how it ends. Every error is one line on
/// standard error, with a second one for what to do now.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return answer_usage(&error, &args),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(dispatch(cli));
    // Names that are still being looked up would hold a plain drop up.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => {
            let (error, code) = failure::told(error);
            output::failure(&error);
            ExitCode::from(code)
        }
    }
}

/// Prints what clap has to say: help as it is, an error as one line.
fn answer_usage(error: &clap::Error, args: &[OsString]) -> ExitCode {
    use clap::error::ErrorKind;
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand || !error.use_stderr() {
        let _ = error.print();
    } else {
        output::error(&usage_line(&error.render().to_string(), args));
    }
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// clap's error without its usage and with the tip that helps, in one line that ends in where to read on.
fn usage_line(text: &str, args: &[OsString]) -> String {
    let said = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let mut line = String::new();
    // Who mistypes a flag does not mean it as a value.
    let noise = ["For more information", "tip: to pass '"];
    for part in said.filter(|part| !part.is_empty() && !noise.iter().any(|n| part.starts_with(n))) {
        if !line.is_empty() {
            line.push_str(if line.ends_with(':') { " " } else { "; " });
        }
        line.push_str(part.strip_prefix("error: ").unwrap_or(part));
    }
    let cli = Cli::command();
    match args.iter().skip(1).find_map(|arg| cli.find_subcommand(arg)) {
        Some(verb) => format!("{line}; see samocode {} --help", verb.get_name()),
        None => line + "; see samocode --help",
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let common = &cli.common;
    match cli.verb {
        Verb::Init(verb) => verb.exec(common),
        Verb::Config(verb) => verb.exec(common),
        Verb::Enable(verb) => verb.exec(common).await,
        Verb::Disable(verb) => verb.exec(common).await,
        Verb::Start(verb) => verb.exec(common).await,
        Verb::Stop(verb) => verb.exec(common).await,
        Verb::Restart(verb) => verb.exec(common).await,
        Verb::Reload(verb) => verb.exec(common).await,
        Verb::Run(verb) => verb.exec(common).await,
        Verb::Status(verb) => verb.exec(common).await,
        Verb::Logs(verb) => verb.exec(common).await,
        Verb::Wait(verb) => verb.exec(common).await,
        Verb::Answer(verb) => verb.exec(common).await,
        Verb::Approve(verb) => verb.exec(common).await,
        Verb::Reject(verb) => verb.exec(common).await,
        Verb::Send(verb) => verb.exec(common).await,
        Verb::Inbox(verb) => verb.exec(common).await,
        Verb::Why(verb) => verb.exec(common).await,
        Verb::History(verb) => verb.exec(common).await,
        Verb::Cost(verb) => verb.exec(common).await,
        Verb::Units(verb) => verb.exec(common).await,
        Verb::Doctor(verb) => verb.exec(common).await,
        Verb::Notify(verb) => verb.exec(common).await,
        Verb::Demo(verb) => verb.exec(common).await,
        Verb::Completions(verb) => Ok(verb.exec()),
        Verb::Worker(verb) => verb.exec().await,
        Verb::Wake(verb) => verb.exec(common).await,
        Verb::Failed(verb) => verb.exec(common).await,
        Verb::Rehearsal(Rehearsal {}) => Ok(rehearsal::main().map(|()| ExitCode::SUCCESS)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_is_one_line_with_its_tip() {
        let told = |args: &[&str]| {
            let error = Cli::try_parse_from(args).unwrap_err();
            usage_line(
                &error.render().to_string(),
                &args.iter().map(Into::into).collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            told(&["samocode", "enabel"]),
            "unrecognized subcommand 'enabel'; tip: a similar subcommand exists: 'enable'; see samocode --help"
        );
        assert_eq!(
            told(&["samocode", "enable"]),
            "the following required arguments were not provided: <SESSION>; see samocode enable --help"
        );
        assert_eq!(
            told(&["samocode", "--user", "wait", "a", "--timeout", "-1"]),
            "unexpected argument '-1' found; see samocode wait --help"
        );
    }
}
