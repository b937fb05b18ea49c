//! The command line: [`verbs`] has a file a verb, which parses, makes one call of
//! [`control`](crate::control) and prints; [`ui`] has what people see.

#[macro_use]
mod ui;

mod failure;
mod front;
mod log;
mod verbs;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser};

use crate::service::Scope;

use ui::output;
use verbs::Verb;

/// Run coding agents unattended, with the operating system as their supervisor
#[derive(Debug, Parser)]
#[command(
    name = "samocode",
    version,
    propagate_version = true,
    after_help = "Examples:\n  samocode init\n  samocode enable jwt-login --task \"JWT login with httpOnly cookies\"\n  samocode status\n  samocode answer jwt-login\n\nA session is a task with its own folder of plain files. Each runs as a unit, samocode@NAME.service."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags that every verb accepts: which project, and whose service manager.
#[derive(Debug, Clone, Args)]
struct Common {
    /// Project file [default: the nearest .samocode, here or in a parent folder]
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

/// Exit code for a command line that cannot be parsed; clap's own.
const USAGE: u8 = 2;

/// Runs the program with these arguments and returns its exit code. Every error is one line on
/// standard error, plus a `hint:` line where there is something to do.
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
    let result = runtime.block_on(cli.verb.exec(&cli.common));
    // A plain drop would block on DNS lookups that are still running.
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

/// Prints clap's output: help unchanged, an error as one line.
fn answer_usage(error: &clap::Error, args: &[OsString]) -> ExitCode {
    use clap::error::ErrorKind;
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand || !error.use_stderr() {
        let _ = error.print();
    } else {
        output::error(&usage_line(&error.render().to_string(), args));
    }
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// clap's error in one line: without the usage, with a useful tip, ending with the help command to run.
fn usage_line(text: &str, args: &[OsString]) -> String {
    let said = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let mut line = String::new();
    // Someone who mistypes a flag does not mean it as a value.
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
