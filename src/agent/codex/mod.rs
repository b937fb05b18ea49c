//! Codex. It cannot be used yet; its declarations keep its secrets from other agents.

use crate::config::{AgentWords, Credentials, Reach, Variables};

/// The declarations of Codex for the settings.
pub const WORDS: AgentWords = AgentWords {
    name: "codex",
    takes_command: false,
    reach: Reach::Own,
    keys: &[],
    variables: Variables {
        prefixes: &["OPENAI_", "CODEX_"],
        routes: &["OPENAI_"],
        places: &["CODEX_HOME"],
        ..Variables::NONE
    },
    credentials: Credentials {
        folder: Some(("CODEX_HOME", ".codex")),
        base_url: "OPENAI_BASE_URL",
        keys: &["CODEX_API_KEY", "OPENAI_API_KEY"],
        ..Credentials::NONE
    },
};
