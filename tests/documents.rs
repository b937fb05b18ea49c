//! README and ARCHITECTURE match the program as it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use samocode::agent::{REGISTRY, vocabulary};

use crate::lab;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// What `samocode --help` lists, hidden verbs left out.
fn verbs() -> BTreeSet<String> {
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_samocode")).arg("--help").output();
    let help = String::from_utf8(out.unwrap().stdout).unwrap();
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verb = |line: &str| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned);
    let listed = lines.take_while(|line| !line.is_empty()).filter_map(verb);
    listed.filter(|verb| !verb.is_empty() && verb != "help").collect()
}

#[test]
fn the_readme_has_every_key_with_its_default() {
    let readme = read("README.md");
    let missing: Vec<String> = vocabulary()
        .keys()
        .map(|key| {
            let phase = if key.by_phase { ", `…_PHASE`" } else { "" };
            let default = if key.of_project { "required" } else { key.default };
            format!("| `{}`{phase} | {default} | {} |", key.name, key.doc)
        })
        .filter(|row| !readme.contains(row))
        .collect();
    assert!(missing.is_empty(), "README.md lacks these rows:\n{}", missing.join("\n"));
}

#[test]
fn the_readme_says_what_each_agent_can_do() {
    let readme = read("README.md");
    let missing: Vec<String> = REGISTRY
        .specs()
        .map(|spec| spec.capabilities().row(spec.words().name))
        .filter(|row| !readme.contains(row))
        .collect();
    assert!(missing.is_empty(), "README.md lacks these rows:\n{}", missing.join("\n"));
}

#[test]
fn the_readme_has_every_verb_and_no_other() {
    let readme = read("README.md");
    let table: BTreeSet<String> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `samocode ")?.split('|').next())
        .flat_map(|cell| cell.split("`samocode ").map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|cell| cell.split([' ', '`']).next().map(str::to_owned))
        .collect();
    assert_eq!(table, verbs(), "the table of verbs against samocode --help");
}

#[test]
fn the_plugin_offers_its_commands_and_none_of_the_internal_agents() {
    let json = |file: &str| -> serde_json::Value { serde_json::from_str(&read(file)).unwrap() };
    let plugin = json("plugin/.claude-plugin/plugin.json");
    assert_eq!(plugin["version"], env!("CARGO_PKG_VERSION"));
    let market = json(".claude-plugin/marketplace.json");
    assert_eq!(market["plugins"][0]["name"], plugin["name"]);
    let readme = read("README.md");
    assert!(readme.contains("claude plugin install samocode@samocode"));

    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user_without_manager("plugins");
    user.run(["claude", "plugin", "marketplace", "add", "/repo"]).within(lab::secs(60)).ok();
    user.run(["claude", "plugin", "install", "samocode@samocode"]).within(lab::secs(60)).ok();
    assert!(!user.sh("find .claude/plugins").ok().stdout.contains("Cargo.toml"), "only the plugin");
    let details = user.run(["claude", "plugin", "details", "samocode"]).ok().stdout;
    assert!(details.contains("Agents (0)"), "{details}");
    for verb in ["enable", "status", "watch", "answer", "approve"] {
        assert!(details.contains(verb), "{verb}: {details}");
    }
}

#[test]
fn the_architecture_is_short_and_lists_every_folder_and_outcome() {
    let text = read("ARCHITECTURE.md");
    assert!(text.lines().count() <= 150, "{} lines", text.lines().count());
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            assert!(text.contains(&format!("src/{name}/")), "ARCHITECTURE.md lacks src/{name}/");
        }
    }
    let rules = read("src/worker/rules.rs");
    let rows: Vec<&str> = rules.lines().filter_map(|line| line.strip_prefix("/// |")).collect();
    assert!(rows.len() > 5, "the table of outcomes has moved");
    for row in rows {
        assert!(text.contains(row), "ARCHITECTURE.md lacks the row |{row}");
    }
}
