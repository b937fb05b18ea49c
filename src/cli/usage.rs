//! Errors for command lines that cannot be parsed: one line, with the closest valid word.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ColorChoice, CommandFactory as _, ValueEnum as _};

use crate::session::names::{as_option, nearest};

use super::{Cli, output};

/// Exit code for a command line that cannot be parsed; clap's own.
const USAGE: u8 = 2;

/// Words that people know from other programs, and the verb for each here.
const OTHER_WORDS: [(&str, &str); 30] = [
    ("list", "status"),
    ("ls", "status"),
    ("ps", "status"),
    ("info", "status"),
    ("rm", "remove"),
    ("delete", "remove"),
    ("del", "remove"),
    ("clean", "remove"),
    ("new", "enable"),
    ("create", "enable"),
    ("add", "enable"),
    ("begin", "enable"),
    ("resume", "start"),
    ("continue", "start"),
    ("retry", "start"),
    ("kill", "stop --now"),
    ("pause", "stop"),
    ("cancel", "stop --now"),
    ("log", "logs"),
    ("tail", "logs -f"),
    ("journal", "logs"),
    ("message", "send"),
    ("msg", "send"),
    ("reply", "answer"),
    ("accept", "approve"),
    ("plan", "show SESSION plan"),
    ("diff", "show SESSION diff"),
    ("settings", "config"),
    ("setup", "init"),
    ("check", "doctor"),
];

/// Prints clap's output: help unchanged, an error as one line.
pub(super) fn answer(error: &clap::Error, args: &[OsString]) -> ExitCode {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand || !error.use_stderr() {
        let printed = error.print().and_then(|()| std::io::stdout().flush());
        // A reader such as head may stop early.
        if let Err(error) = printed
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            output::error(&format!("cannot print what was asked for: {error}"));
            return ExitCode::FAILURE;
        }
    } else {
        output::error(&line(error, args));
    }
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// The colours that were asked for; also counts for the help, which is printed while parsing.
pub(super) fn color(args: &[OsString]) -> ColorChoice {
    let mut words = args.iter().skip(1).map(|arg| arg.to_string_lossy());
    let mut found = ColorChoice::Auto;
    while let Some(word) = words.next() {
        let value = match word.as_ref() {
            "--" => break,
            "--color" => words.next(),
            word => word.strip_prefix("--color=").map(|value| value.to_owned().into()),
        };
        if let Some(Ok(color)) = value.map(|value| ColorChoice::from_str(&value, true)) {
            found = color;
        }
    }
    found
}

/// clap's error in one line: without the usage, with a useful tip, ending with the help command to
/// run.
fn line(error: &clap::Error, args: &[OsString]) -> String {
    let cli = Cli::command();
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand)
        && cli.find_subcommand(typed).is_none()
    {
        let verb = args.iter().skip(1).find_map(|arg| cli.find_subcommand(arg));
        return match verb.filter(|verb| verb.has_subcommands()) {
            Some(verb) => unknown_below(typed, verb),
            None => unknown_verb(typed, &cli),
        };
    }
    let text = error.render().to_string();
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
    let option = args.iter().skip(1).find_map(|arg| as_option(arg.to_str()?));
    if let Some(option) = option {
        line = format!("{line}; options begin with two hyphens: {option}");
    }
    match args.iter().skip(1).find_map(|arg| cli.find_subcommand(arg)) {
        Some(verb) => format!("{line}; see samocode {} --help", verb.get_name()),
        None => line + "; see samocode --help",
    }
}

fn unknown_verb(typed: &str, cli: &clap::Command) -> String {
    let word = typed.to_lowercase();
    let other = OTHER_WORDS.iter().find(|(other, _)| *other == word).map(|(_, verb)| *verb);
    let shown = cli.get_subcommands().filter(|verb| !verb.is_hide_set());
    let verb = other.or_else(|| nearest(&word, shown.map(clap::Command::get_name)));
    let tip = verb.map_or_else(String::new, |verb| format!("; did you mean: samocode {verb}"));
    format!("there is no verb '{typed}'{tip}; see samocode --help")
}

fn unknown_below(typed: &str, verb: &clap::Command) -> String {
    let name = verb.get_name();
    let known = verb.get_subcommands().map(clap::Command::get_name);
    let tip = nearest(typed, known).map(|near| format!("; did you mean: samocode {name} {near}"));
    let tip = tip.unwrap_or_default();
    format!("samocode {name} has no verb '{typed}'{tip}; see samocode {name} --help")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn error_of(args: &[&str]) -> String {
        let error = Cli::try_parse_from(args).unwrap_err();
        line(&error, &args.iter().map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn a_usage_error_is_one_line_with_its_tip() {
        assert_eq!(
            error_of(&["samocode", "enable"]),
            "the following required arguments were not provided: <SESSIONS>...; see samocode enable --help"
        );
        assert_eq!(
            error_of(&["samocode", "--user", "wait", "a", "--timeout", "-1"]),
            "unexpected argument '-1' found; see samocode wait --help"
        );
        // As pasted from a page that made dashes of the hyphens.
        let pasted = error_of(&["samocode", "run", "a", "—task", "x"]);
        assert!(pasted.contains("; options begin with two hyphens: --task; see"), "{pasted}");
        assert_eq!(
            error_of(&["samocode", "notify", "tset"]),
            "samocode notify has no verb 'tset'; did you mean: samocode notify test; see samocode notify --help"
        );
    }

    #[test]
    fn a_verb_that_does_not_exist_names_the_one_that_was_meant() {
        for (typed, meant) in [
            ("enabel", "; did you mean: samocode enable"),
            ("staus", "; did you mean: samocode status"),
            ("list", "; did you mean: samocode status"),
            ("ls", "; did you mean: samocode status"),
            ("rm", "; did you mean: samocode remove"),
            ("resume", "; did you mean: samocode start"),
            ("kill", "; did you mean: samocode stop --now"),
            ("frobnicate", ""),
        ] {
            let line = format!("there is no verb '{typed}'{meant}; see samocode --help");
            assert_eq!(error_of(&["samocode", typed]), line);
        }
    }

    #[test]
    fn every_word_of_another_program_leads_to_a_verb_and_is_none_itself() {
        let cli = Cli::command();
        for (word, verb) in OTHER_WORDS {
            assert!(cli.find_subcommand(word).is_none(), "{word}");
            let verb = verb.split(' ').next().unwrap_or_default();
            assert!(cli.find_subcommand(verb).is_some(), "{verb}");
        }
    }

    #[test]
    fn colours_are_known_before_the_help_is_printed() {
        let of = |args: &[&str]| color(&args.iter().map(Into::into).collect::<Vec<_>>());
        assert_eq!(of(&["samocode", "status", "--color", "never", "--help"]), ColorChoice::Never);
        assert_eq!(of(&["samocode", "--color=always"]), ColorChoice::Always);
        assert_eq!(of(&["samocode", "send", "a", "--", "--color=never"]), ColorChoice::Auto);
        assert_eq!(of(&["samocode", "--color=blue"]), ColorChoice::Auto);
    }
}
