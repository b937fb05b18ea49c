//! From arguments to a verb.
//!
//! clap builds the whole command line before it reads a word of it, 0.8 ms with some forty verbs.
//! What programs start, or people often, is first read by a command line of that verb alone. What
//! that one does not accept (a mistake, `--help`, a global flag before the verb) the whole one reads.

use std::ffi::OsString;
use std::iter;

use clap::{ArgMatches, Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser};

use super::verbs::Verb;
use super::{Cli, Common};

/// One verb as a command line of its own.
#[derive(Debug, Parser)]
struct Alone<V: Args> {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    verb: V,
}

/// Reads the arguments. An error prints in this colour.
pub(super) fn parse(args: &[OsString], color: ColorChoice) -> Result<Cli, clap::Error> {
    if let Some(cli) = Verb::read_alone(args) {
        return Ok(cli);
    }
    let matches = Cli::command().color(color).try_get_matches_from(args);
    let matches = matches.or_else(|error| as_status(args, color).ok_or(error))?;
    Cli::from_arg_matches(&matches)
}

/// `samocode --json` is the overview for a program: `status --json`.
fn as_status(args: &[OsString], color: ColorChoice) -> Option<ArgMatches> {
    let (program, flags) = args.split_first()?;
    let only_flags = flags.iter().all(|arg| arg.as_encoded_bytes().starts_with(b"-"));
    let words = [program.clone(), "status".into()].into_iter().chain(flags.iter().cloned());
    let wanted = only_flags && flags.iter().any(|arg| arg == "--json");
    wanted.then(|| Cli::command().color(color).try_get_matches_from(words).ok()).flatten()
}

/// The arguments as those of this verb, which is their second word.
pub(super) fn alone<V: Args>(args: &[OsString], verb: impl FnOnce(V) -> Verb) -> Option<Cli> {
    let words = iter::once(args.first()?).chain(args.get(2..)?);
    let read = Alone::try_parse_from(words).ok()?;
    Some(Cli { common: read.common, verb: Some(verb(read.verb)) })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{Cli, ColorChoice, OsString, Verb, parse};

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_verb_alone_is_read_as_among_all_verbs() {
        for line in [
            "samocode worker jwt-login",
            "samocode run jwt-login",
            "samocode run jwt-login --config a/.samocode --color never --json",
            "samocode run jwt-login --task t --agent demo",
            "samocode run jwt-login --task --config",
            "samocode status",
            "samocode status --system a b",
            "samocode wait a --until done --timeout 5m",
            "samocode wake",
            "samocode approve a -m good",
            "samocode start -- a",
        ] {
            let args = words(line);
            let whole = Cli::try_parse_from(&args);
            let alone = Verb::read_alone(&args);
            match (whole, alone) {
                (Ok(whole), Some(alone)) => assert_eq!(format!("{alone:?}"), format!("{whole:?}")),
                (Err(_), None) => {}
                (whole, alone) => panic!("{line}: {alone:?} alone, {whole:?} as a whole"),
            }
        }
    }

    #[test]
    fn json_without_a_verb_is_that_of_the_status() {
        let read = |line: &str| parse(&words(line), ColorChoice::Never);
        for line in ["samocode --json", "samocode --system --json"] {
            assert!(matches!(read(line).unwrap().verb, Some(Verb::Status(_))), "{line}");
        }
        for line in ["samocode --jsn", "samocode --json staus", "samocode --json --tsk"] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_a_verb_alone_cannot_read_is_left_to_the_whole() {
        for line in [
            "samocode",
            "samocode --color never run a",
            "samocode run",
            "samocode run --help",
            "samocode run --version",
            "samocode run a --tsk t",
            "samocode worker",
            "samocode rn a",
            "samocode doctor",
        ] {
            assert!(Verb::read_alone(&words(line)).is_none(), "{line}");
        }
    }
}
