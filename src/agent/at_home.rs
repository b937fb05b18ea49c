//! Where programs that have no folder of their own here keep their settings and logins, below the home
//! folder: those that `acp:` and `command:` are used with.

use std::path::Path;

use crate::config::AgentName;

/// Programs, by name, and their folders.
const FOLDERS: &[(&str, &[&str])] = &[
    ("aider", &[".aider"]),
    ("amp", &[".config/amp", ".local/share/amp"]),
    ("auggie", &[".augment"]),
    ("claude", &[".claude"]),
    ("claude-agent-acp", &[".claude"]),
    ("claude-code-acp", &[".claude"]),
    ("codex", &[".codex"]),
    ("codex-acp", &[".codex"]),
    ("copilot", &[".copilot"]),
    ("crush", &[".config/crush", ".local/share/crush"]),
    ("cursor-agent", &[".cursor", ".config/cursor", ".local/share/cursor-agent"]),
    ("droid", &[".factory"]),
    ("gemini", &[".gemini"]),
    ("goose", &[".config/goose", ".local/share/goose", ".local/state/goose"]),
    ("kimi", &[".kimi"]),
    ("opencode", &[".config/opencode", ".local/share/opencode", ".local/state/opencode"]),
    ("qwen", &[".qwen"]),
    ("vibe", &[".vibe"]),
];

/// The folders of the program that a command line starts, itself or by `npx` and the like.
pub(super) fn folders(name: &AgentName) -> Vec<&'static str> {
    let Some(command) = name.command() else { return Vec::new() };
    let words = std::iter::once(&command.program).chain(&command.args);
    let names = words.filter_map(|word| Path::new(word).file_name()?.to_str());
    // As in @scope/name@latest.
    let mut names = names.map(|name| name.split_once('@').map_or(name, |(name, _)| name));
    let found = names.find_map(|name| FOLDERS.iter().find(|(known, _)| *known == name));
    found.map(|(_, folders)| folders.to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_name_wherever_it_is_and_however_it_is_started() {
        let of = |text: &str| {
            let home = Some(Path::new("/home/u"));
            let words = crate::agent::vocabulary();
            folders(&AgentName::parse(text, Path::new("/p"), home, &words).unwrap())
        };
        assert_eq!(of("acp:qwen --acp"), [".qwen"]);
        assert_eq!(of("acp:/home/u/bin/gemini --acp"), [".gemini"]);
        assert_eq!(of("acp:npx -y @zed-industries/claude-code-acp@latest"), [".claude"]);
        assert_eq!(of("command:/home/u/agent --fast"), Vec::<&str>::new());
    }
}
