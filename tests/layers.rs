//! The folders of `src` depend on one another in one direction, and no file
//! grows without end.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up; parts of one layer do not know one another.
const LAYERS: [&[&str]; 10] = [
    &["platform"],
    &["session"],
    &["config"],
    &["agent", "service", "notify", "git"],
    &["worker", "convoy"],
    &["control"],
    &["bot", "mcp", "report", "tui"],
    // Its pages show parts of the report.
    &["web"],
    &["cli"],
    &["main"],
];

/// Names that only code for a specific operating system may use.
const SYSTEMS: [&str; 8] = [
    "target_os",
    "\"/proc",
    "\"/sys/",
    "libc::",
    "pidfd",
    "subreaper",
    "death_signal",
    "systemd::",
];

/// Who may use them: the layers made for it, the code that starts an agent's process, and the
/// notifier that shows notices on a desktop.
const MAY_KNOW: [&str; 5] =
    ["platform/", "service/", "agent/process", "agent/run", "notify/desktop/"];

/// A longer file has more than one subject.
const LONGEST_FILE: usize = 400;

#[test]
fn folders_of_src_import_only_from_layers_below() {
    let mut wrong = Vec::new();
    let mut unknown = BTreeSet::new();
    for (path, text) in sources() {
        let from = part_of(&path);
        let Some(level) = layer(&from) else {
            // lib.rs only declares the parts.
            if from != "lib" {
                unknown.insert(from);
            }
            continue;
        };
        for (line, to) in imports(&text) {
            let below = layer(&to).is_none_or(|other| other < level);
            if to != from && !below {
                wrong.push(format!("{}:{line}: {from} imports {to}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the layers of DESIGN:\n{}", wrong.join("\n"));
    assert!(unknown.is_empty(), "in no layer of tests/layers.rs: {unknown:?}");
}

#[test]
fn what_a_release_keeps_apart_exists_and_no_worker_needs_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let build = fs::read_to_string(root.join("build.rs")).unwrap();
    let list = |name: &str| {
        let (_, after) = build.split_once(&format!("const {name}:")).unwrap();
        after.split_once("= [").unwrap().1.split_once("];").unwrap().0.to_owned()
    };
    let worker = layer("worker").unwrap();
    for line in list("FRONT_ENDS").lines().filter(|line| line.contains('"')) {
        let path: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        assert!(root.join("src").join(path.join("/")).is_dir(), "{line}");
        let is_above = layer(path[0]).unwrap() > worker;
        assert!(is_above || path[0] == "service", "a worker runs {path:?}");
    }
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let packages = lock.lines().filter_map(|line| line.strip_prefix("name = \""));
    let packages = packages.map(|name| name.trim_end_matches('"').replace('-', "_"));
    let packages: Vec<String> = packages.collect();
    for word in list("OF_FRONT_ENDS").split('"').skip(1).step_by(2) {
        // As rustls_webpki is called webpki in the code, and a function in C begins with ring_core.
        let is_of = |name: &String| word.starts_with(name) || name.ends_with(&format!("_{word}"));
        assert!(packages.iter().any(is_of), "no crate is called like {word}");
    }
}

#[test]
fn only_some_layers_know_the_operating_system() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let path = path.display().to_string();
        if MAY_KNOW.iter().any(|may| path.starts_with(may)) {
            continue;
        }
        for (line, code) in text.lines().enumerate() {
            let code = code.split("//").next().unwrap_or_default();
            let Some(word) = SYSTEMS.iter().find(|word| code.contains(**word)) else { continue };
            wrong.push(format!("{path}:{}: {word}", line + 1));
        }
    }
    assert!(wrong.is_empty(), "belongs in src/platform:\n{}", wrong.join("\n"));
}

#[test]
fn no_source_file_is_longer_than_the_limit() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "longer than {LONGEST_FILE} lines:\n{}", long.join("\n"));
}

/// A user of the lab gets a number behind the name when another test was first to ask for that name.
/// On the emulated machine there is one user, who has a name of its own.
#[test]
fn tests_ask_a_user_of_the_lab_for_its_home() {
    let mut wrong = Vec::new();
    for (path, text) in files_below("tests").iter().filter(|(path, _)| !path.starts_with("machine"))
    {
        for (number, line) in text.lines().enumerate() {
            let named = line.split_once(concat!("/home", "/")).map(|(_, rest)| rest);
            if named.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic())) {
                wrong.push(format!("tests/{}:{}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "names a home folder:\n{}", wrong.join("\n"));
}

/// Names that would tie `control` to one process at a terminal, or make it print by itself.
const NOT_IN_CONTROL: [&str; 12] = [
    "println!",
    "eprintln!",
    "print!",
    "outln!",
    "stdout()",
    "stderr()",
    "stdin()",
    "env::args",
    "env::var",
    "Env::of_process",
    "current_dir()",
    "process::exit",
];

#[test]
fn control_never_prints_or_exits_or_looks_at_its_own_process() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if part_of(&path) != "control" || is_of_tests(&path) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            for word in NOT_IN_CONTROL.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: {word}", path.display(), at + 1));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not for a library that serves all front ends:\n{}",
        wrong.join("\n")
    );
}

/// A setting that is shown and not used is worse than none.
#[test]
fn every_setting_is_used_by_something_besides_the_settings() {
    let all = sources();
    let settings = all.iter().find(|(path, _)| path == Path::new("config/settings.rs"));
    let text = &settings.expect("the settings").1;
    let body = text.split("pub struct Settings {").nth(1).and_then(|rest| rest.split('}').next());
    let fields = body.unwrap_or_default().lines().filter_map(|line| {
        let field = line.trim().strip_prefix("pub ")?;
        field.split_once(':').map(|(name, _)| name.to_owned())
    });
    let is_used = |field: &str| {
        let outside =
            all.iter().filter(|(path, _)| !path.starts_with("config") && !is_of_tests(path));
        let mut code =
            outside.map(|(_, text)| text.split("#[cfg(test)]").next().unwrap_or_default());
        code.any(|text| text.contains(&format!(".{field}")))
    };
    let fields: Vec<String> = fields.collect();
    assert!(fields.len() > 10, "{fields:?}");
    let unused: Vec<_> = fields.iter().filter(|field| !is_used(field)).collect();
    assert!(unused.is_empty(), "shown by `samocode config` and used by nothing: {unused:?}");
}

fn is_of_tests(path: &Path) -> bool {
    path.iter().any(|name| name == "tests" || name == "tests.rs")
}

/// The location of a session's files will change: the worker's own will leave the agent's folder.
#[test]
fn only_the_store_knows_the_names_of_a_sessions_files() {
    const FILES: [&str; 10] = [
        "_overview.md",
        "_signal.json",
        "_signal_history.jsonl",
        "_hook.json",
        "_journal.jsonl",
        "_qa.md",
        "_inbox",
        "_mail",
        "_logs",
        "_lock",
    ];
    const PLACE: &str = "session/store/folder.rs";
    let names = |text: &str| -> Vec<&str> {
        FILES.into_iter().filter(|name| text.contains(&format!("\"{name}\""))).collect()
    };
    let mut found = Vec::new();
    for (path, text) in sources() {
        let names = names(&text);
        if path == Path::new(PLACE) {
            assert_eq!(names, FILES, "{PLACE} names each");
        } else {
            found.extend(names.into_iter().map(|name| format!("{}: {name}", path.display())));
        }
    }
    assert!(found.is_empty(), "use a method of Folder instead:\n{}", found.join("\n"));
}

/// How a session's checkout is made is to change: a repository of its own beside the linked worktree.
#[test]
fn only_git_knows_how_a_sessions_checkout_is_made() {
    // Joins of its paths, and what only a linked worktree has.
    const WORDS: [&str; 5] =
        ["worktrees.join(", ".worktrees", "join(\".git", "\"commondir\"", "\"gitdir"];
    // What a project's file sets, and which repository a folder of the user's belongs to.
    const MAY: [&str; 5] =
        ["git/", "config/", "cli/verbs/init.rs", "control/init.rs", "control/doctor/project.rs"];
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    for (path, text) in sources() {
        if is_of_tests(&path) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let path = path.display().to_string();
        for (at, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            let Some(word) = WORDS.iter().find(|word| line.contains(**word)) else { continue };
            match MAY.iter().find(|may| path.starts_with(**may)) {
                Some(may) => drop(known.insert(*may)),
                None => found.push(format!("{path}:{}: {word}", at + 1)),
            }
        }
    }
    assert!(found.is_empty(), "use git::Checkout instead:\n{}", found.join("\n"));
    assert_eq!(known, BTreeSet::from(MAY), "no longer needs to be in MAY");
}

#[test]
fn imports_are_found_in_all_their_forms() {
    let text = "use crate::agent;\n// crate::tui is prose\nuse crate::{\n    cli::{a, b},\n    session::{self, name},\n    worker,\n};\n\
                fn f() { crate::notify::send() }\nuse samocode::convoy::x;\n";
    let found: Vec<String> = imports(text).into_iter().map(|(_, part)| part).collect();
    assert_eq!(found, ["agent", "cli", "session", "worker", "notify", "convoy"]);
}

fn layer(part: &str) -> Option<usize> {
    LAYERS.iter().position(|parts| parts.contains(&part))
}

/// The top-level folder or file below `src`.
fn part_of(path: &Path) -> String {
    let first = path.iter().next().and_then(|name| name.to_str()).unwrap_or_default();
    first.trim_end_matches(".rs").to_string()
}

/// Paths relative to `src`, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    files_below("src")
}

/// The Rust files of a folder of the project, with paths relative to it.
fn files_below(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with(".cache") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_path_buf(), text));
            }
        }
    }
    found.sort();
    found
}

/// The parts named after `crate::` or `samocode::`, with their line numbers;
/// comments are ignored.
fn imports(text: &str) -> Vec<(usize, String)> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().to_string() + "\n")
        .collect();
    let mut found = Vec::new();
    for root in ["crate::", "samocode::"] {
        for (at, _) in code.match_indices(root) {
            let line = code[..at].matches('\n').count() + 1;
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[at + root.len()..];
            found.extend(first_names(rest).into_iter().map(|name| (line, name)));
        }
    }
    found
}

/// The first name of each path: `a::b` gives a, `{a::{b, c}, d}` gives a and d.
fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![identifier(path)];
    };
    let mut names = Vec::new();
    let mut depth = 0;
    let mut item = String::new();
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => names.push(identifier(std::mem::take(&mut item).trim())),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                item.push(c);
            }
        }
    }
    names.push(identifier(item.trim()));
    names.retain(|name| !name.is_empty());
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
