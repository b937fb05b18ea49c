//! Gemini CLI. It cannot be used yet; what it declares keeps its secrets from other agents.

use crate::config::{AgentWords, Credentials, Reach, Variables};

/// The declarations of Gemini CLI for the settings.
pub const WORDS: AgentWords = AgentWords {
    name: "gemini",
    takes_command: false,
    reach: Reach::Own,
    keys: &[],
    variables: Variables {
        prefixes: &["GEMINI_"],
        names: &["GOOGLE_API_KEY"],
        // Those of Google's cloud, which Claude Code needs for Vertex.
        shared: &["GOOGLE_"],
        routes: &["GOOGLE_"],
        ..Variables::NONE
    },
    credentials: Credentials {
        folder: Some(("GEMINI_CONFIG_DIR", ".gemini")),
        base_url: "GOOGLE_GEMINI_BASE_URL",
        keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        ..Credentials::NONE
    },
};
