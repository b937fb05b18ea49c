//! The texts that agents and people read agree with the program: every command line, signal, file
//! name, status line, question and tool in them goes through what will read it.

mod said;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;

use super::Cli;
use super::verbs::code_of;
use crate::session::advance::{Gate, advance};
use crate::session::journal::Step;
use crate::session::overview::Overview;
use crate::session::qa::{Answer, Qa};
use crate::session::signal::{Signal, Status};
use crate::session::state::StateName;
use crate::session::store::{Document, Folder};
use crate::session::{Needs, Phase, WaitsFor};

/// A text, with its path from the root of the repository.
struct Text {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

/// What agents read: the workflow, the phases, and the plugin.
fn texts() -> Vec<Text> {
    let mut paths = vec![root().join("workflow.md")];
    files_below(&root().join("agents"), &mut paths);
    files_below(&root().join("plugin"), &mut paths);
    assert!(paths.len() > 35, "{paths:?}");
    let text = |path: &PathBuf| Text {
        path: path.strip_prefix(root()).unwrap().display().to_string(),
        text: fs::read_to_string(path).unwrap(),
    };
    paths.iter().map(text).collect()
}

impl Text {
    /// The blocks between fences, and the language each names.
    fn blocks(&self) -> Vec<(&str, String)> {
        let (mut blocks, mut open): (Vec<(&str, String)>, bool) = (Vec::new(), false);
        for line in self.text.lines() {
            match (line.trim_start().strip_prefix("```"), open) {
                (Some(language), false) => {
                    blocks.push((language, String::new()));
                    open = true;
                }
                (Some(_), true) => open = false,
                (None, true) => {
                    let block = &mut blocks.last_mut().unwrap().1;
                    block.push_str(line);
                    block.push('\n');
                }
                (None, false) => {}
            }
        }
        assert!(!open, "{}: a fence is never closed", self.path);
        blocks
    }

    /// What stands between backticks outside of blocks.
    fn spans(&self) -> Vec<String> {
        let mut prose = String::new();
        let mut open = false;
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                open = !open;
            } else if !open {
                prose.push_str(line.trim());
                prose.push(' ');
            }
        }
        prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// The samocode commands: spans, and lines of shell blocks.
    fn commands(&self) -> Vec<String> {
        let blocks = self.blocks();
        let shell = blocks.iter().filter(|(language, _)| *language == "sh");
        let lines = shell.flat_map(|(_, block)| block.lines()).map(str::to_owned);
        let all = self.spans().into_iter().chain(lines);
        all.filter(|text| text.starts_with("samocode ")).collect()
    }

    fn signals(&self) -> Vec<&str> {
        self.text.lines().filter(|line| line.starts_with("{\"status\":")).collect()
    }

    /// The phase that a file of `agents/` is about.
    fn phase(&self) -> Option<Phase> {
        let name = self.path.strip_prefix("agents/")?.strip_suffix("-agent.md")?;
        Some(name.parse().unwrap_or_else(|_| panic!("{}: no phase {name}", self.path)))
    }
}

/// Passes a command line to the parser, without what only a shell reads.
fn parse(line: &str) -> Result<(), String> {
    let words = shlex::split(line).ok_or("quotes that do not match")?;
    let mut args = Vec::new();
    for word in words {
        if ["|", "<", ">", "&&"].iter().any(|stop| word.starts_with(stop)) {
            break;
        }
        args.push(word.trim_end_matches(';').to_owned());
        if word.ends_with(';') {
            break;
        }
    }
    // A verb that is only named lacks its arguments.
    if args.len() == 2 && Cli::command().find_subcommand(&args[1]).is_some() {
        return Ok(());
    }
    match Cli::command().try_get_matches_from(args) {
        Ok(_) => Ok(()),
        Err(error) if !error.use_stderr() => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn every_command_is_one_that_the_program_accepts() {
    let mut count = 0;
    for text in texts() {
        for line in text.commands() {
            count += 1;
            parse(&line).unwrap_or_else(|why| panic!("{}: {line}\n{why}", text.path));
        }
        let header = text.text.lines().find_map(|line| line.strip_prefix("allowed-tools: "));
        for allowed in header.unwrap_or_default().split(", ") {
            let verb =
                allowed.strip_prefix("Bash(samocode ").map(|rest| rest.trim_end_matches(":*)"));
            let known = verb.is_none_or(|verb| Cli::command().find_subcommand(verb).is_some());
            assert!(known, "{}: {allowed}", text.path);
        }
    }
    assert!(count > 60, "{count}");
    assert!(parse("samocode enabel x").is_err() && parse("samocode stop x --later").is_err());
}

#[test]
fn every_flag_that_is_named_alone_exists() {
    let command = Cli::command();
    let verbs = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let known: BTreeSet<String> = verbs
        .chain(command.get_arguments())
        .filter_map(|arg| arg.get_long().map(|long| format!("--{long}")))
        .collect();
    for text in texts() {
        for span in text.spans().iter().filter(|span| span.starts_with("--")) {
            let flag = span.split([' ', '=']).next().unwrap();
            assert!(known.contains(flag), "{}: {span}", text.path);
        }
    }
}

#[test]
fn every_signal_is_well_formed_and_allowed_where_it_stands() {
    let mut count = 0;
    for text in texts() {
        for line in text.signals() {
            count += 1;
            let signal = Signal::parse(line.as_bytes(), "RUN");
            let signal = signal.unwrap_or_else(|why| panic!("{}: {line}: {why}", text.path));
            let is_new = |word: &Option<String>| word.as_ref().is_none_or(|word| !word.is_empty());
            assert!(is_new(&signal.summary), "{line}");
            assert!(!matches!(signal.needs, Some(Needs::Other(_))), "{}: {line}", text.path);
            assert!(!matches!(signal.waits_for, Some(WaitsFor::Other(_))), "{}: {line}", text.path);
            let Some(phase) = text.phase() else { continue };
            let step = advance(phase, Gate::Open, &signal);
            let refused = matches!(step, Step::Block { .. }) && signal.status != Status::Blocked;
            assert!(!refused, "{}: {line}\n{step:?}", text.path);
        }
    }
    assert!(count > 20, "{count}");
    for phase in Phase::ALL {
        let path = root().join(format!("agents/{phase}-agent.md"));
        assert!(path.is_file(), "no instructions for {phase}");
    }
}

#[test]
fn every_file_of_a_session_that_is_named_is_one() {
    let folder = Folder::new("/s");
    let paths = [
        folder.overview(),
        folder.signal(),
        folder.history(),
        folder.hook(),
        folder.journal(),
        folder.qa(),
        folder.inbox(),
        folder.mail(),
        folder.logs(),
        folder.lock(),
        folder.damaged(),
    ];
    let mut known: BTreeSet<String> =
        paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    // Where archived sessions go, and the first name of a signal that is being written.
    known.extend(["_archive".to_owned(), "_signal.json.tmp".to_owned()]);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    for text in texts() {
        let words = text.text.split(|c: char| !is_part(c)).map(|word| word.trim_end_matches('.'));
        for word in words.filter(|word| word.starts_with('_') && word.len() > 2) {
            // `_waiting_` marks an answer; `…_PHASE` is the end of a name.
            let is_other = word.ends_with('_') || word.chars().any(|c| c.is_ascii_uppercase());
            assert!(is_other || known.contains(word), "{}: {word}", text.path);
        }
    }
}

/// The kinds of artifacts in file names, as in `TIMESTAMP_FILE-plan-NAME.md`.
#[test]
fn plans_and_summaries_have_the_names_by_which_they_are_found() {
    let mut kinds = BTreeSet::new();
    for text in texts() {
        for begin in ["TIMESTAMP_FILE-", "MM-DD-HH:mm-"] {
            for (at, _) in text.text.match_indices(begin) {
                let rest = &text.text[at + begin.len()..];
                let name: String = rest
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || "-.".contains(*c))
                    .collect();
                kinds.insert(name.trim_end_matches('.').to_owned());
            }
        }
    }
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::new(place.path());
    for (document, kind) in [(Document::Plan, "plan"), (Document::Summary, "summary")] {
        let name = format!("{kind}-NAME.md");
        assert!(kinds.contains(&name), "{name}: {kinds:?}");
        let path = place.path().join(format!("11-20-18:31-{name}"));
        fs::write(&path, "text").unwrap();
        assert_eq!(folder.document(document), Some(path));
    }
    let workflow = fs::read_to_string(root().join("workflow.md")).unwrap();
    for name in ["dive-TOPIC.md", "requirements-NAME.md", "test-report-NAME.md", "review-NAME.md"] {
        let kind = name.rsplit_once('-').unwrap().0;
        assert!(kinds.contains(name) && workflow.contains(&format!("`{kind}`")), "{name}");
    }
}

#[test]
fn status_lines_and_overviews_are_read_as_they_are_meant() {
    let mut count = 0;
    for text in texts() {
        for span in text.spans() {
            let Some((key, value)) = span.split_once(": ") else { continue };
            let status = Overview::parse(format!("## Status\n{span}\n")).status();
            let is_read = match key {
                "Phase" => status.phase.is_some_and(|phase| phase.as_str() == value),
                "Blocked" => status.blocked.is_some_and(|blocked| blocked.as_str() == value),
                "Last Action" => status.last_action.is_some(),
                "Next" => status.next.is_some(),
                _ => continue,
            };
            count += 1;
            assert!(is_read, "{}: {span}", text.path);
        }
        for (_, block) in text.blocks().iter().filter(|(_, block)| block.starts_with("# Session:"))
        {
            let overview = Overview::parse(block.as_bytes());
            let status = overview.status();
            assert_eq!(overview.title(), Some("jwt-login"), "{}", text.path);
            assert!(overview.working_dir().is_some() && overview.started().is_some());
            assert!(overview.task().is_some_and(|task| !task.is_empty()));
            assert!(
                status.phase.is_some() && status.blocked.is_some() && status.iteration == Some(1)
            );
            count += 1;
        }
    }
    assert!(count >= 6, "{count}");
}

#[test]
fn questions_in_the_texts_can_be_asked_and_answered() {
    let mut count = 0;
    for text in texts() {
        for (_, block) in text.blocks().iter().filter(|(_, block)| block.contains("### Q1")) {
            let qa = Qa::parse(block.clone());
            assert!(!qa.questions().is_empty(), "{}", text.path);
            for question in qa.questions() {
                count += 1;
                assert!((2..=4).contains(&question.options.len()), "{question:?}");
                let suggested = question.suggestion.as_ref().and_then(|(letter, _)| *letter);
                assert!(question.options.iter().any(|(letter, _)| Some(*letter) == suggested));
                assert_eq!(question.answer, Answer::Waiting, "{}", text.path);
            }
        }
    }
    assert!(count >= 3, "{count}");
}

#[test]
fn exit_codes_states_and_tools_are_the_programs() {
    let skill = fs::read_to_string(root().join("plugin/skills/samocode-run/SKILL.md")).unwrap();
    let settled = [
        StateName::Done,
        StateName::Waiting,
        StateName::Blocked,
        StateName::Stopped,
        StateName::Paused,
        StateName::Limited,
    ];
    for word in settled.into_iter().chain([StateName::Queued]) {
        let row = format!("| {} | ", code_of(word));
        let row =
            skill.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("{row}"));
        assert!(row.contains(word.as_str()), "{word}: {row}");
    }
    let words = Text { path: String::new(), text: skill.clone() }.spans();
    let all: BTreeSet<&str> = StateName::ALL.into_iter().map(StateName::as_str).collect();
    let listed = words.iter().find(|span| span.starts_with("new running")).unwrap();
    assert_eq!(listed.split(' ').collect::<BTreeSet<_>>(), all);
    let tools = crate::mcp::tool_names();
    for text in texts() {
        let is_tool =
            |span: &&String| ["session_", "convoy_"].iter().any(|of| span.starts_with(of));
        for span in text.spans().iter().filter(is_tool) {
            assert!(tools.contains(&span.as_str()), "{}: {span}", text.path);
        }
    }
}

#[test]
fn skills_and_commands_are_named_as_they_are_found() {
    let plugin = root().join("plugin");
    let has = |name: &str| {
        let skill = plugin.join("skills").join(name).join("SKILL.md").is_file();
        skill || plugin.join(format!("commands/{name}.md")).is_file()
    };
    for text in texts().iter().filter(|text| text.path.starts_with("plugin/")) {
        for (at, _) in text.text.match_indices("samocode:") {
            let rest = &text.text[at + "samocode:".len()..];
            let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
            let name: String = rest.chars().take_while(is_part).collect();
            assert!(name.is_empty() || has(&name), "{}: samocode:{name}", text.path);
        }
        let Some(folder) = text.path.strip_suffix("/SKILL.md") else { continue };
        let name = folder.rsplit_once('/').unwrap().1;
        assert!(text.text.starts_with(&format!("---\nname: {name}\ndescription: ")), "{folder}");
        let description = text.text.lines().nth(2).unwrap();
        assert!(description.len() < 1024, "{folder}: {} bytes", description.len());
        assert!(text.text.contains("**Common mistake:**"), "{folder}");
    }
}

#[test]
fn colours_are_forced_by_anything_but_a_zero() {
    use std::ffi::OsStr;

    use anstream::ColorChoice::{Always, Never};
    use clap::ColorChoice;

    use super::chosen;

    let zero = Some(OsStr::new("0"));
    assert_eq!(chosen(ColorChoice::Always, zero, false, false), Some(Always));
    assert_eq!(chosen(ColorChoice::Never, None, true, true), Some(Never));
    assert_eq!(chosen(ColorChoice::Auto, zero, false, true), Some(Never));
    for (force, is_terminal) in [(zero, true), (Some(OsStr::new("1")), false), (None, false)] {
        assert_eq!(chosen(ColorChoice::Auto, force, is_terminal, true), None, "{force:?}");
    }
    // A terminal without colours.
    for force in [None, zero] {
        assert_eq!(chosen(ColorChoice::Auto, force, true, false), Some(Never), "{force:?}");
    }
    assert_eq!(chosen(ColorChoice::Auto, Some(OsStr::new("1")), true, false), None);
}
