//! The event stream of `gemini -o stream-json`.

use std::path::Path;

use serde_json::{Map, Value};

use crate::agent::command_words::first_words;
use crate::agent::event::{
    Decoder, Event, Finished, MAX_TEXT, Tool, Usage, cut, fingerprint, one_line,
};
use crate::agent::lenient;
use crate::agent::unknown::{NOT_JSON, Unknown};

/// The states of a result in the tested version.
const STATES: &[&str] = &["success", "error"];

/// The fields of a result.
const OF_RESULT: &[&str] = &["type", "timestamp", "status", "error", "stats"];

/// The fields of its counts.
const OF_STATS: &[&str] = &[
    "cached",
    "duration_ms",
    "input",
    "input_tokens",
    "models",
    "output_tokens",
    "tool_calls",
    "total_tokens",
];

/// Decodes the output of one run.
#[derive(Debug, Default)]
pub(super) struct GeminiDecoder {
    working_dir: String,
    /// The text of the current message, which comes in pieces.
    text: String,
    unknown: Unknown,
}

impl GeminiDecoder {
    pub(super) fn new(working_dir: &Path) -> Self {
        let working_dir = working_dir.to_string_lossy().into_owned();
        Self { working_dir, ..Self::default() }
    }

    fn event(&mut self, value: &Value, emit: &mut dyn FnMut(Event)) {
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        let kind = text("type");
        if kind != "message" {
            self.text.clear();
        }
        match kind {
            "init" => emit(Event::Started {
                conversation: text("session_id").to_owned(),
                model: text("model").to_owned(),
                permissions: None,
            }),
            "message" if text("role") == "assistant" => {
                if value["delta"] != true {
                    self.text.clear();
                }
                self.text.push_str(text("content"));
                self.text.truncate(cut(&self.text, MAX_TEXT).len());
                emit(Event::Text { text: self.text.clone() });
            }
            "tool_use" => emit(Event::Tool(self.tool(text("tool_name"), &value["parameters"]))),
            "message" | "tool_result" | "error" => emit(Event::Progress),
            "result" => {
                let status = text("status");
                if !STATES.contains(&status) {
                    self.unknown.note(&format!("result {status}"));
                }
                for (about, object, known) in
                    [("result", value, OF_RESULT), ("stats", &value["stats"], OF_STATS)]
                {
                    let names = object.as_object().into_iter().flat_map(Map::keys);
                    self.unknown.note_fields(about, names.map(String::as_str), known);
                }
                emit(Event::Finished(Box::new(result(value))));
            }
            other => {
                self.unknown.note(other);
                emit(Event::Progress);
            }
        }
    }

    fn tool(&self, name: &str, input: &Value) -> Tool {
        let text = |key: &str| input[key].as_str().unwrap_or_default();
        let file = || {
            let path = [text("file_path"), text("absolute_path"), text("path"), text("dir_path")];
            let path = path.into_iter().find(|path| !path.is_empty()).unwrap_or("a file");
            let inside = path.strip_prefix(self.working_dir.as_str());
            inside.and_then(|rest| rest.strip_prefix('/')).unwrap_or(path).to_owned()
        };
        let summary = match name {
            "run_shell_command" => format!("running {}", first_words(text("command"))),
            "write_file" => format!("writing {}", file()),
            "replace" => format!("editing {}", file()),
            "read_file" | "list_directory" => format!("reading {}", file()),
            "glob" | "grep_search" | "search_file_content" => {
                format!("searching for {}", text("pattern"))
            }
            "google_web_search" => "searching the web".to_owned(),
            other => format!("using {other}"),
        };
        Tool {
            name: one_line(name, 80),
            summary: one_line(&summary, 80),
            fingerprint: fingerprint(name, input.to_string().as_bytes()),
        }
    }
}

/// The end of a run: success is what it says, whatever its exit code is.
fn result(value: &Value) -> Finished {
    let stats = &value["stats"];
    let count = |key: &str| lenient::count(&stats[key]).unwrap_or(0);
    // A status that cannot be read is as good as none: an error comes with its description.
    let is_error = match value["status"].as_str() {
        Some(status) => status != "success",
        None => !value["error"].is_null(),
    };
    let (said, is_key, code) = said(value["error"]["message"].as_str().unwrap_or_default());
    Finished {
        is_error,
        subtype: value["status"].as_str().unwrap_or_default().to_owned(),
        error_kind: is_key.then(|| "authentication_failed".to_owned()).into_iter().collect(),
        api_status: code,
        text: cut(&said, MAX_TEXT).to_owned(),
        usage: Usage {
            input: count("input_tokens").saturating_sub(count("cached")),
            output: count("output_tokens"),
            cache_read: count("cached"),
            cache_write: 0,
        },
        ..Finished::default()
    }
}

/// The service's words in `[API Error: {"error":{"message":…}}]`, which may be followed by lines of
/// the program's own; whether it refuses the key, as it does with the status of an invalid request;
/// and the status.
fn said(message: &str) -> (String, bool, Option<u16>) {
    let bare = message.strip_prefix("[API Error: ").and_then(|rest| {
        rest.strip_suffix(']').or_else(|| rest.split_once("]\n").map(|(said, _)| said))
    });
    let inner = bare.unwrap_or(message);
    let quoted = serde_json::from_str::<Value>(inner).unwrap_or_default();
    let details = quoted["error"]["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_key = details.iter().any(|detail| detail["reason"] == "API_KEY_INVALID");
    let code = lenient::count(&quoted["error"]["code"]).and_then(|code| u16::try_from(code).ok());
    (quoted["error"]["message"].as_str().unwrap_or(inner).to_owned(), is_key, code)
}

impl Decoder for GeminiDecoder {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        let values = lenient::objects(line);
        if values.is_empty() {
            self.unknown.note(NOT_JSON);
            emit(Event::Progress);
        }
        values.iter().for_each(|value| self.event(value, emit));
    }

    fn unknown(&self) -> Option<&Unknown> {
        Some(&self.unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> (Vec<Event>, Unknown) {
        let mut decoder = GeminiDecoder::new(Path::new("/home/u/shop"));
        let (mut events, mut lines) = (Vec::new(), crate::agent::stream::Lines::default());
        lines.feed(bytes, &mut decoder, &mut |event| events.push(event));
        lines.finish(&mut decoder, &mut |event| events.push(event));
        (events, decoder.unknown)
    }

    const SUCCESS: &[u8] = include_bytes!("../../../tests/fixtures/gemini/success.jsonl");

    #[test]
    fn a_run_is_read_from_its_session_to_its_tokens() {
        let (events, unknown) = decode(SUCCESS);
        let Event::Started { conversation, model, .. } = &events[0] else { panic!("{events:?}") };
        assert_eq!((conversation.len(), model.as_str()), (36, "gemini-2.5-pro"));
        assert!(events.contains(&Event::Text { text: "Done 2".into() }));
        let summary = |event: &Event| match event {
            Event::Tool(tool) => Some(tool.summary.clone()),
            _ => None,
        };
        let tools: Vec<String> = events.iter().filter_map(summary).collect();
        assert_eq!(tools, ["running echo hi"]);
        let Some(Event::Finished(end)) = events.last() else { panic!("{events:?}") };
        assert!(!end.is_error);
        assert_eq!((end.usage.input, end.usage.cache_read, end.usage.output), (120, 80, 40));
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn text_in_pieces_is_one_text_until_something_else_comes() {
        let piece = |text: &str| {
            format!(
                "{{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"{text}\",\"delta\":true}}\n"
            )
        };
        let tool = "{\"type\":\"tool_use\",\"tool_name\":\"x\",\"parameters\":{}}\n";
        let (events, _) =
            decode([piece("a"), piece("b"), tool.to_owned(), piece("c")].concat().as_bytes());
        let texts: Vec<&str> = events
            .iter()
            .filter_map(|event| if let Event::Text { text } = event { Some(&**text) } else { None })
            .collect();
        assert_eq!(texts, ["a", "ab", "c"]);
    }

    #[test]
    fn an_error_is_one_even_if_the_process_says_it_went_well() {
        let line = br#"{"type":"result","status":"error","error":{"message":"[API Error: {\"error\":{\"message\":\"no\"}}]"}}"#;
        let (events, _) = decode(line);
        assert!(matches!(&events[0], Event::Finished(end) if end.is_error && end.text == "no"));
        let line = br#"{"type":"result","status":"error","error":{"message":"[API Error: {\"error\":{\"code\":503}}]"}}"#;
        let (events, _) = decode(line);
        assert!(matches!(&events[0], Event::Finished(end) if end.api_status == Some(503)));
    }

    #[test]
    fn an_end_is_read_whatever_is_wrong_with_its_line() {
        let end = |line: &str| match decode(line.as_bytes()).0.pop() {
            Some(Event::Finished(end)) => (end.is_error, end.usage.input, end.usage.output),
            other => panic!("{line}: {other:?}"),
        };
        let stats = r#""stats":{"input_tokens":"120","output_tokens":40.0,"cached":[]}"#;
        let result = format!(r#"{{"type":"result","status":"success",{stats}}}"#);
        for line in [
            result.clone(),
            format!("hook: done {result}"),
            format!("{{\"type\":\"message\",\"role\":\"user\"}}{result}"),
            result.replace(r#""success""#, "7"),
            result.replace("}}", r#"},"note":"cut \ud83d"}"#),
        ] {
            assert_eq!(end(&line), (false, 120, 40), "{line}");
        }
        let failed = result.replace(r#""success""#, r#"null,"error":{"message":"no"}"#);
        assert!(end(&failed).0, "{failed}");
    }

    #[test]
    fn what_is_unknown_is_counted() {
        let (events, unknown) = decode(b"Hook says hi\n{\"type\":\"thought\"}\n");
        assert_eq!(events, [Event::Progress, Event::Progress]);
        assert_eq!(unknown.describe(), "lines that are not JSON (1), thought (1)");
    }

    proptest! {
        #[test]
        fn damaged_streams_are_read_without_panic(at in 0usize..3000, byte in any::<u8>()) {
            let mut bytes = SUCCESS.to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            decode(&bytes);
        }
    }
}
