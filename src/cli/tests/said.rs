//! The commands that the program names, in hints above all, have the flags that they are named with.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};

use super::{Cli, root};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// What follows each "samocode " up to where a command or its line ends.
fn named(source: &str) -> impl Iterator<Item = &str> {
    let program = source.split("#[cfg(test)]").next().unwrap_or_default();
    let ends = ['"', '`', '\n', ';', ',', ')', '\\'];
    program.split("samocode ").skip(1).map(move |rest| rest.split(ends).next().unwrap_or_default())
}

/// The first flag of a command that its verb does not have; words that are none are prose.
fn unknown_flag(root: &Command, line: &str) -> Option<String> {
    let mut words = line.split_whitespace().peekable();
    let mut verb = root;
    let mut known: BTreeSet<&str> = root.get_arguments().filter_map(clap::Arg::get_long).collect();
    while let Some(next) = words.peek().and_then(|word| verb.find_subcommand(word)) {
        verb = next;
        known.extend(verb.get_arguments().filter_map(clap::Arg::get_long));
        words.next();
    }
    let flags = words.take_while(|word| *word != "--").filter_map(|word| word.strip_prefix("--"));
    let mut names = flags.map(|flag| flag.split(['=', '.', ':', '{']).next().unwrap_or_default());
    let is_one = |name: &&str| name.starts_with(|first: char| first.is_ascii_lowercase());
    names.find(|name| is_one(name) && !known.contains(name)).map(str::to_owned)
}

#[test]
fn every_command_that_the_program_names_has_its_flags() {
    let mut command = Cli::command();
    command.build();
    let mut paths = Vec::new();
    sources(&root().join("src"), &mut paths);
    let (mut flags, mut wrong) = (0, Vec::new());
    for path in paths {
        let source = fs::read_to_string(&path).unwrap();
        for line in named(&source) {
            let first = line.split_whitespace().next().unwrap_or_default();
            // What comes after `samocode mcp` is for the client that starts it.
            if first == "mcp" || command.find_subcommand(first).is_none() {
                continue;
            }
            flags += line.matches(" --").count();
            if let Some(flag) = unknown_flag(&command, line) {
                wrong.push(format!("{}: samocode {line}: --{flag}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(flags > 50, "{flags}");
    assert_eq!(unknown_flag(&command, "wait x --for done").as_deref(), Some("for"));
    assert_eq!(unknown_flag(&command, "convoy create --file x --system"), None);
}
