//! `samocode man`: manual pages.

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, ValueHint};

use crate::cli::Cli;
use crate::control::Error;

use super::output;

/// Show the manual page of samocode or of a verb, or write them all
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode man\n  samocode man enable\n  samocode man --dir ~/.local/share/man/man1      all of them, for man(1)"
)]
pub(in crate::cli) struct Man {
    /// The verb, as in convoy create [default: the program itself]
    #[arg(conflicts_with = "dir")]
    verb: Vec<String>,
    /// Write all pages to this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// Print the page, or the files written, as JSON
    #[arg(long)]
    json: bool,
}

impl Man {
    pub(super) fn exec(self) -> anyhow::Result<ExitCode> {
        let mut root = Cli::command();
        root.build();
        if let Some(dir) = &self.dir {
            let files = write_all(&root, dir)?;
            if self.json {
                output::json(&serde_json::json!({ "files": files }))?;
            } else {
                outln!("Wrote {} pages to {}.", files.len(), dir.display());
            }
            return Ok(ExitCode::SUCCESS);
        }
        let page = page(of_verb(&root, &self.verb)?.clone())?;
        if self.json {
            let text = String::from_utf8_lossy(&page);
            return output::json(&serde_json::json!({ "page": text })).map(|()| ExitCode::SUCCESS);
        }
        if std::io::stdout().is_terminal() && is_shown(&page) {
            return Ok(ExitCode::SUCCESS);
        }
        output::until_closed(
            output::line(String::from_utf8_lossy(&page).trim_end()).map(|()| ExitCode::SUCCESS),
        )
    }
}

fn of_verb<'c>(root: &'c clap::Command, words: &[String]) -> Result<&'c clap::Command, Error> {
    words.iter().try_fold(root, |command, word| {
        command.find_subcommand(word).ok_or_else(|| {
            Error::usage(format!("there is no verb '{}'", words.join(" ")))
                .hint("see samocode --help")
        })
    })
}

/// A page in roff.
fn page(command: clap::Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    let source = concat!("samocode ", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command).source(source).manual("samocode");
    man.render(&mut page).context("cannot make the manual page")?;
    Ok(page)
}

/// Shows a page with man(1); `false` where that is not installed.
fn is_shown(page: &[u8]) -> bool {
    use std::io::Write as _;
    let man = Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn();
    let Ok(mut man) = man else { return false };
    // A pager that was left early takes no more.
    let _ = man.stdin.take().map(|mut pipe| pipe.write_all(page));
    man.wait().is_ok_and(|status| status.success())
}

/// Writes the page of the program and of every verb, and returns the files.
fn write_all(root: &clap::Command, dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut files = Vec::new();
    let mut commands = vec![root.clone()];
    while let Some(command) = commands.pop() {
        let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        commands.extend(shown.filter(|verb| verb.get_name() != "help").cloned());
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        let file = dir.join(format!("{name}.1"));
        fs::write(&file, page(command)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        files.push(file);
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_by_the_words_of_its_verb() {
        let mut root = Cli::command();
        root.build();
        let name = |words: &str| {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            of_verb(&root, &words).map(|verb| verb.get_display_name().unwrap_or("").to_owned())
        };
        assert_eq!(name("convoy create").unwrap(), "samocode-convoy-create");
        assert_eq!(name("wait").unwrap(), "samocode-wait");
        assert!(name("").is_ok() && name("wait create").is_err() && name("nope").is_err());
    }

    #[test]
    fn every_verb_has_a_page_and_no_hidden_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut root = Cli::command();
        root.build();
        let files = write_all(&root, dir.path()).unwrap();
        let names: Vec<_> =
            files.iter().map(|file| file.file_name().unwrap().to_string_lossy()).collect();
        for name in ["samocode.1", "samocode-enable.1", "samocode-units-print.1", "samocode-man.1"]
        {
            assert!(names.iter().any(|known| known == name), "{names:?}");
        }
        assert!(!names.iter().any(|name| name == "samocode-worker.1"), "{names:?}");
        let text = fs::read_to_string(dir.path().join("samocode-enable.1")).unwrap();
        assert!(text.contains(".TH samocode-enable 1"), "{text}");
        assert!(text.contains("samocode enable jwt\\-login"), "{text}");
    }
}
