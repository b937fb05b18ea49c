//! The requests of a client.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;

/// The words samocode uses for its phases.
const PHASES: [&str; 8] = [
    "init",
    "investigation",
    "requirements",
    "planning",
    "implementation",
    "testing",
    "quality",
    "done",
];

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    /// The body as JSON, null when there was none.
    pub(crate) body: Value,
}

/// The API that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Anthropic's Messages API.
    Messages,
    /// OpenAI's Responses API.
    Responses,
    /// Google's Gemini API.
    Gemini,
}

pub(super) enum Kind {
    /// The agent's own conversation.
    Message,
    /// A small request beside it.
    Side,
    CountTokens,
    Greeting,
    Unknown,
}

impl Request {
    pub(super) fn new(method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        Self {
            method: method.to_string(),
            path: uri.path().to_string(),
            headers,
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match (self.method.as_str(), self.path.as_str()) {
            ("POST", "/v1/messages") if self.is_side() => Kind::Side,
            ("POST", _) if self.is_message() => Kind::Message,
            ("POST", "/v1/messages/count_tokens") => Kind::CountTokens,
            ("HEAD" | "GET", "/") => Kind::Greeting,
            _ => Kind::Unknown,
        }
    }

    /// Whether it is for the model.
    pub(crate) fn is_message(&self) -> bool {
        let is_known = matches!(self.path.as_str(), "/v1/messages" | "/v1/responses");
        self.method == "POST" && (is_known || self.dialect() == Dialect::Gemini)
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.path.as_str() {
            "/v1/responses" => Dialect::Responses,
            path if path.ends_with(":streamGenerateContent") => Dialect::Gemini,
            _ => Dialect::Messages,
        }
    }

    /// Whether the CLI asked it for itself (a title, a summary): such requests
    /// offer the model no tools.
    pub(crate) fn is_side(&self) -> bool {
        self.dialect() == Dialect::Messages
            && self.body["tools"].as_array().is_none_or(Vec::is_empty)
    }

    pub(super) fn wants_stream(&self) -> bool {
        self.body["stream"].as_bool().unwrap_or(self.dialect() == Dialect::Gemini)
    }

    /// What the agent calls the tool that runs a line of shell, over the Messages API.
    pub(super) fn shell_tool(&self) -> &'static str {
        let offers = |name: &str| {
            self.body["tools"].as_array().into_iter().flatten().any(|tool| tool["name"] == name)
        };
        ["bash", "run_shell_command"].into_iter().find(|name| offers(name)).unwrap_or("Bash")
    }

    /// The model asked for.
    pub(crate) fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or("claude-lab")
    }

    /// A header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The system prompt.
    pub(crate) fn system(&self) -> String {
        if self.dialect() == Dialect::Responses {
            let ours = self.messages().filter(|m| m["role"] == "developer");
            return ours.map(|m| text_of(&m["content"])).collect::<Vec<_>>().join("\n");
        }
        text_of(&self.body["system"])
    }

    /// All input to the model in this conversation, tool results
    /// excepted. The CLI passes what comes while a tool runs, and reminders of
    /// its own, as messages of the role `system`.
    pub(crate) fn prompt(&self) -> String {
        let input = self.input();
        input.map(content).collect::<Vec<_>>().join("\n")
    }

    /// The last input to the model, tool results excepted.
    pub(crate) fn last_prompt(&self) -> String {
        let input = self.input();
        input.last().map(content).unwrap_or_default()
    }

    /// The results of all tools run in this conversation, in order.
    pub(crate) fn tool_results(&self) -> Vec<String> {
        if self.dialect() == Dialect::Responses {
            let outputs = self.messages().filter(|item| item["type"] == "function_call_output");
            return outputs.map(|item| text_of(&item["output"])).collect();
        }
        self.messages()
            .filter_map(|m| m["content"].as_array())
            .flatten()
            .filter(|block| block["type"] == "tool_result")
            .map(|block| text_of(&block["content"]))
            .collect()
    }

    /// Whether a tool's result is the last input, reminders of the CLI excepted.
    pub(crate) fn ends_with_tool_result(&self) -> bool {
        if self.dialect() == Dialect::Responses {
            return self.messages().last().is_some_and(|m| m["type"] == "function_call_output");
        }
        let input: Vec<&Value> = self.messages().filter(|m| m["role"] == "user").collect();
        let blocks = input.last().and_then(|message| message["content"].as_array());
        blocks.is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_result"))
    }

    /// Whether system prompt or conversation hold `text`.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.system().contains(text) || self.prompt().contains(text)
    }

    /// The phase that the prompt, or else the system prompt, names: the first
    /// phase word that follows the word "phase" and marks like `: "`.
    pub(crate) fn phase(&self) -> Option<&'static str> {
        phase_in(&self.prompt()).or_else(|| phase_in(&self.system()))
    }

    fn input(&self) -> impl Iterator<Item = &Value> {
        let role = |message: &&Value| {
            let role = message["role"].as_str().unwrap_or_default();
            // The Responses API has further items among the messages, without a role.
            !matches!(role, "assistant" | "model" | "developer" | "")
        };
        self.messages().filter(role)
    }

    fn messages(&self) -> impl Iterator<Item = &Value> {
        let key = match self.dialect() {
            Dialect::Messages => "messages",
            Dialect::Responses => "input",
            Dialect::Gemini => "contents",
        };
        self.body[key].as_array().into_iter().flatten()
    }
}

/// The text of a message.
fn content(message: &Value) -> String {
    text_of(if message["parts"].is_array() { &message["parts"] } else { &message["content"] })
}

/// Content is a string, or blocks of which some hold text.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|b| b["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn phase_in(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    text.match_indices("phase").find_map(|(at, word)| {
        let after = &text[at + word.len()..];
        let named = after.trim_start_matches([':', '=', ' ', '*', '`', '"', '\'']);
        // "phases" or "phase planning" without a mark is prose.
        let marked = after.starts_with([':', '=', '*', '`', '"']);
        let word: &str = named.split(|c: char| !c.is_ascii_alphabetic()).next()?;
        PHASES.into_iter().find(|phase| marked && *phase == word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: Value) -> Request {
        Request { method: "POST".into(), path: "/v1/messages".into(), headers: Vec::new(), body }
    }

    #[test]
    fn a_phase_is_what_follows_the_word_and_a_mark() {
        assert_eq!(phase_in("Phase: planning\n"), Some("planning"));
        assert_eq!(phase_in("**Phase:** `Testing`"), Some("testing"));
        assert_eq!(phase_in(r#"{"phase":"quality"}"#), Some("quality"));
        assert_eq!(phase_in("SAMOCODE_PHASE=init"), Some("init"));
        assert_eq!(phase_in("the phase testing comes later"), None);
        assert_eq!(phase_in("all phases: done"), None);
        assert_eq!(phase_in("a phase: unknown; Phase: done"), Some("done"));
    }

    #[test]
    fn the_prompt_is_asked_for_the_phase_before_the_system_prompt() {
        let mut asked = request(serde_json::json!({
            "system": [{"type": "text", "text": "Phase: init"}],
            "messages": [{"role": "user", "content": "Phase: quality"}],
        }));
        assert_eq!(asked.phase(), Some("quality"));
        asked.body["messages"] = serde_json::json!([]);
        assert_eq!(asked.phase(), Some("init"));
    }
}
