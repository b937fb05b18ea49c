//! The command line: [`verbs`] has a file a verb, which parses, makes one call of
//! [`control`](crate::control) and prints; [`ui`] has what people see.

#[macro_use]
mod ui;

mod failure;
mod front;
mod log;
mod origin;
mod parse;
mod usage;
mod verbs;

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ColorChoice, CommandFactory as _, Parser, ValueHint};
use clap_complete::CompleteEnv;

use crate::control::Error;
use crate::control::error::Attempt as _;
use crate::platform::limits;
use crate::service::Scope;
use crate::session::clock;

use ui::{output, terminfo};
use verbs::Verb;
use verbs::completions::VARIABLE;

/// Run coding agents unattended, with the operating system as their supervisor
#[derive(Debug, Parser)]
#[command(
    name = "samocode",
    version,
    propagate_version = true,
    after_help = "Examples:\n  samocode                       the sessions, and what to do next\n  samocode init\n  samocode enable jwt-login --task \"JWT login with httpOnly cookies\"\n  samocode status\n  samocode answer jwt-login\n\nA session is a task with its own folder of plain files. Each runs as a unit, samocode@NAME.service."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// Flags that every verb accepts: which project, whose service manager, and how output looks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
struct Common {
    /// Project file [default: the nearest .samocode, here or in a parent folder]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Use the user's service manager (the default)
    #[arg(long, global = true, conflicts_with = "system")]
    user: bool,
    /// Use the system's service manager
    #[arg(long, global = true)]
    system: bool,
    /// When to use colours: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto, hide_default_value = true, hide_possible_values = true)]
    color: ColorChoice,
    /// Show times in UTC instead of local time
    #[arg(long, global = true)]
    utc: bool,
    /// Print only what was asked for, warnings and errors
    #[arg(short, long, global = true)]
    quiet: bool,
}

impl Common {
    const fn scope(&self) -> Scope {
        if self.system { Scope::System } else { Scope::User }
    }
}

/// Runs the program with these arguments and returns its exit code. Every error is one line on
/// standard error, plus a `hint:` line where there is something to do.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    limits::keep_own_permissions();
    limits::have_temporary_folder();
    limits::with_stack(move || begin(args))
}

fn begin(args: Vec<OsString>) -> ExitCode {
    if std::env::var_os(VARIABLE).is_some() {
        return complete(args);
    }
    let color = usage::color(&args);
    set_color(color);
    let cli = match parse::parse(&args, color) {
        Ok(cli) => cli,
        Err(error) => return usage::answer(&error, &args),
    };
    if cli.common.utc {
        clock::show_utc();
    }
    if cli.common.quiet {
        output::be_quiet();
    }
    let built = limits::make_room_for_files()
        .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build());
    let runtime = match built.attempt(|| "start".to_owned()) {
        Ok(runtime) => runtime,
        Err(error) => {
            output::failure(&error);
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        let ready = limits::survive_large_files().and_then(|()| limits::keep_exit_statuses());
        ready.attempt(|| "start".to_owned())?;
        match cli.verb {
            Some(verb) => verb.exec(&cli.common).await,
            None => verbs::overview(&cli.common).await,
        }
    });
    // A plain drop would block on DNS lookups that are still running.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => {
            let (error, code) = failure::with_exit_code(error);
            let hint = error.hint.as_deref().map(|hint| cli.common.command(hint));
            let message = cli.common.command(&error.message);
            output::failure(&Error { message, hint, ..error });
            ExitCode::from(code)
        }
    }
}

/// Answers a shell that asks what may come next.
fn complete(args: Vec<OsString>) -> ExitCode {
    let here = std::env::current_dir().ok();
    let completer = CompleteEnv::with_factory(Cli::command).var(VARIABLE);
    match completer.try_complete(args, here.as_deref()) {
        Ok(_) => ExitCode::SUCCESS,
        // Whatever is wrong, the person at the shell is in the middle of a line.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Colours for all output, unless the environment or the stream decide.
fn set_color(color: ColorChoice) {
    let force = std::env::var_os("CLICOLOR_FORCE");
    let is_terminal = std::io::stdout().is_terminal();
    let has_colors = !terminfo::has_no_colors();
    if let Some(choice) = chosen(color, force.as_deref(), is_terminal, has_colors) {
        choice.write_global();
    }
}

/// The choice of colours; `None` leaves it to `anstream`, for which any `CLICOLOR_FORCE` forces them.
/// By convention 0 does not.
fn chosen(
    color: ColorChoice,
    force: Option<&OsStr>,
    is_terminal: bool,
    has_colors: bool,
) -> Option<anstream::ColorChoice> {
    const OFF: &str = "0";
    match color {
        ColorChoice::Always => Some(anstream::ColorChoice::Always),
        ColorChoice::Never => Some(anstream::ColorChoice::Never),
        ColorChoice::Auto if force == Some(OsStr::new(OFF)) && !is_terminal => {
            Some(anstream::ColorChoice::Never)
        }
        ColorChoice::Auto if !has_colors && force.is_none_or(|force| force == OsStr::new(OFF)) => {
            Some(anstream::ColorChoice::Never)
        }
        ColorChoice::Auto => None,
    }
}

#[cfg(test)]
mod tests;
