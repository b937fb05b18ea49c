//! Summarizes tool calls in a few words for a status line.

use std::borrow::Cow;

use serde::Deserialize;

use crate::agent::command_words::first_words;
use crate::agent::event::one_line;

/// The longest summary in characters.
const MAX: usize = 80;

/// The fields of a tool's input that a summary needs; all others are skipped.
#[derive(Deserialize, Default)]
struct Fields<'a> {
    #[serde(borrow)]
    command: Option<Cow<'a, str>>,
    #[serde(borrow)]
    file_path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    notebook_path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pattern: Option<Cow<'a, str>>,
    #[serde(borrow)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow)]
    query: Option<Cow<'a, str>>,
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
}

/// Describes the call of `tool` with the JSON `input`. Commands show only their first plain words:
/// the rest may hold secrets, and others read status lines.
#[must_use]
pub fn summarize(tool: &str, input: &str, working_dir: &str) -> String {
    let fields: Fields = serde_json::from_str(input).unwrap_or_default();
    let of = |field: &'_ Option<Cow<'_, str>>| field.as_deref().unwrap_or_default().to_owned();
    let file = |field: &Option<Cow<'_, str>>| {
        let path = of(field);
        let inside = path.strip_prefix(working_dir).and_then(|rest| rest.strip_prefix('/'));
        inside.filter(|_| !working_dir.is_empty()).map_or_else(|| path.clone(), str::to_owned)
    };
    let said = match tool {
        "Bash" => format!("running {}", first_words(&of(&fields.command))),
        "Edit" | "MultiEdit" => format!("editing {}", file(&fields.file_path)),
        "NotebookEdit" => format!("editing {}", file(&fields.notebook_path)),
        "Write" => format!("writing {}", file(&fields.file_path)),
        "Read" => format!("reading {}", file(&fields.file_path)),
        "Grep" | "Glob" => format!("searching for {}", of(&fields.pattern)),
        "Task" | "Agent" => format!("asking a helper: {}", of(&fields.description)),
        "WebSearch" => format!("searching the web for {}", of(&fields.query)),
        "WebFetch" => format!("reading {}", host(&of(&fields.url))),
        "TodoWrite" => "updating its list".to_owned(),
        _ => match tool.strip_prefix("mcp__").and_then(|rest| rest.split_once("__")) {
            Some((server, name)) => format!("using {name} of {server}"),
            None => format!("using {tool}"),
        },
    };
    one_line(&said, MAX)
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn calls_are_told_in_a_few_words() {
        for (tool, input, said) in [
            (
                "Bash",
                json!({"command": "cd /w && RUST_LOG=x cargo test --quiet"}),
                "running cargo test",
            ),
            ("Bash", json!({"command": "curl -H 'Authorization: Bearer sk-1'"}), "running curl"),
            ("Bash", json!({"command": "TOKEN=abc"}), "running a command"),
            ("Bash", json!({"command": 7}), "running a command"),
            ("Edit", json!({"file_path": "/w/src/auth.rs"}), "editing src/auth.rs"),
            ("Read", json!({"file_path": "/worktree/a"}), "reading /worktree/a"),
            ("WebFetch", json!({"url": "https://u:p@docs.rs/x?key=1"}), "reading docs.rs"),
            ("mcp__github__list", json!({}), "using list of github"),
            ("Odd", json!(null), "using Odd"),
        ] {
            assert_eq!(summarize(tool, &input.to_string(), "/w"), said, "{tool} {input}");
        }
    }

    #[test]
    fn a_summary_is_one_short_line_whatever_the_input() {
        let said =
            summarize("Grep", &json!({"pattern": "a\n\u{1b}[31m".repeat(99)}).to_string(), "");
        assert!(said.chars().count() <= MAX && !said.chars().any(char::is_control), "{said:?}");
    }
}
