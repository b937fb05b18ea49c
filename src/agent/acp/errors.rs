//! What an error in place of a result means. The protocol has hardly a word for it, so each agent has
//! its own way: a status as the code, more in the data, the service's reply quoted, or just its words.

use jiff::Timestamp;
use serde_json::Value;

use super::wire::Error;
use crate::agent::event::{Event, Finished, MAX_TEXT, cut};
use crate::agent::quota;

/// What to do about a model that the service does not have.
const ANOTHER_MODEL: &str = "set a model that the account may use, in the agent's own settings or its options in SAMOCODE_AGENT";

/// Words of services and of libraries for HTTP, and the names of errors they stand for, the most
/// specific first. They count where there is no status, or one that agents use for anything.
const WORDS: &[(&str, &[&str])] = &[
    (
        "authentication_failed",
        &[
            "invalid x-api-key",
            "invalid api key",
            "invalid api-key",
            "incorrect api key",
            "api key not valid",
            "api key expired",
            "api key does not have permission",
        ],
    ),
    ("billing_error", &["credit balance is too low", "insufficient balance"]),
    (
        "context_full",
        &[
            "prompt is too long",
            "context exceeds",
            "context length",
            "context_length",
            "context window",
        ],
    ),
    ("rate_limit", &["rate limit", "too many requests"]),
    ("overloaded", &["overloaded", "service unavailable"]),
    ("server_error", &["internal server error", "bad gateway", "gateway timeout"]),
    (
        "connection_failed",
        &[
            "connection error",
            "cannot connect",
            "unable to connect",
            "econnrefused",
            "econnreset",
            "enotfound",
            "etimedout",
            "fetch failed",
            "socket hang up",
        ],
    ),
];

/// The end of a run that got an error in place of a result.
pub(super) fn refused(error: &Error, emit: &mut dyn FnMut(Event)) {
    let details = ["details", "message"].into_iter().find_map(|key| error.data[key].as_str());
    let (status, said) = said(&error.message);
    let (of_details, details) = details.map_or((None, None), |details| {
        let (status, quoted) = self::said(details);
        (status, Some(quoted))
    });
    let code = u16::try_from(error.code).ok().filter(|code| is_status(*code));
    let status = code.or(of_details).or(status);
    let text = match &details {
        Some(details) if details.text != said.text => format!("{}: {}", said.text, details.text),
        _ => said.text.clone(),
    };
    let limit = quota::of_day(&text, Timestamp::now());
    let kinds = [details.map(|details| details.kind), Some(said.kind)].into_iter().flatten();
    let named = name(error, status, &text, limit.is_some());
    let advice = match named {
        "model_not_found" => Some(ANOTHER_MODEL),
        _ if limit.is_some() => Some(quota::ADVICE),
        _ => None,
    };
    if let Some(limit) = limit {
        emit(Event::Limit(limit));
    }
    let names = std::iter::once(named.to_owned()).chain(kinds);
    emit(Event::Finished(Box::new(Finished {
        is_error: true,
        api_status: status,
        terminal_reason: (named == "context_full").then(|| "prompt_too_long".to_owned()),
        error_kind: names.filter(|name| !name.is_empty()).collect(),
        text: cut(&text, MAX_TEXT).to_owned(),
        advice: advice.map(str::to_owned),
        ..Finished::default()
    })));
}

/// The name of an error; empty if its status alone says what it is.
fn name(error: &Error, status: Option<u16>, text: &str, of_day: bool) -> &'static str {
    let field = |key: &str| error.data[key].as_str().unwrap_or_default();
    match (field("codexErrorInfo"), field("errorName")) {
        ("usage_limit_exceeded" | "usageLimitExceeded", _) => return "usage_limit_reached",
        ("unauthorized", _) => return "authentication_failed",
        (_, "ContextOverflowError") => return "context_full",
        _ if of_day => return "usage_limit_reached",
        _ => {}
    }
    let text = text.to_ascii_lowercase();
    if matches!(status, None | Some(400 | 404 | 500)) && is_of_model(&text) {
        return "model_not_found";
    }
    let has = |(_, words): &&(&str, &[&str])| words.iter().any(|words| text.contains(words));
    match WORDS.iter().find(has).filter(|_| matches!(status, None | Some(400 | 500))) {
        Some((name, _)) => name,
        // The protocol's "authentication required".
        None if error.code == -32000 => "authentication_failed",
        None => "",
    }
}

/// Whether a text in small letters says that there is no such model.
fn is_of_model(text: &str) -> bool {
    let is_missing = ["not found", "does not exist", "not_found", "unknown model", "no such model"];
    let bare = text.trim_start_matches("internal error: ").strip_prefix("model: ");
    // As the Messages API has it: the name, and no more.
    let is_name = bare.is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace));
    is_name || (text.contains("model") && is_missing.iter().any(|words| text.contains(words)))
}

/// A message as its words, and the service's name for the error where it is quoted.
struct Said {
    text: String,
    kind: String,
}

/// A message, which may be a service's reply, alone or after its status: `404 {"error":{"message":…}}`.
fn said(message: &str) -> (Option<u16>, Said) {
    let (number, rest) = message.split_once(' ').unwrap_or_default();
    let leading = number.parse().ok().filter(|status| is_status(*status));
    let body = if leading.is_some() { rest } else { message };
    let quoted = serde_json::from_str::<Value>(body).unwrap_or_default();
    let error = &quoted["error"];
    let reasons = error["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    let refuses_key = reasons.iter().any(|detail| detail["reason"] == "API_KEY_INVALID");
    let kind = if refuses_key { Some("authentication_failed") } else { error["type"].as_str() };
    let said = Said {
        text: error["message"].as_str().unwrap_or(message).to_owned(),
        kind: kind.unwrap_or_default().to_owned(),
    };
    (leading, said)
}

const fn is_status(code: u16) -> bool {
    matches!(code, 400..600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::outcome::{Facts, Outcome, ProcessExit, Reported, judge};
    use crate::agent::remedy::Remedy;
    use serde_json::json;

    fn events(error: Value) -> Vec<Event> {
        let mut events = Vec::new();
        refused(&Error::from(error), &mut |event| events.push(event));
        events
    }

    fn finished(error: Value) -> Finished {
        match events(error).pop() {
            Some(Event::Finished(finished)) => *finished,
            other => panic!("{other:?}"),
        }
    }

    fn remedy(error: &Value) -> Option<Remedy> {
        Remedy::of(&finished(error.clone()))
    }

    #[test]
    fn errors_have_a_status_or_a_name() {
        let of_codex = json!({"codexErrorInfo": "usage_limit_exceeded"});
        for (error, remedy_expected) in [
            (json!({"code": 429, "message": "slow down"}), Some(Remedy::SlowDown)),
            (json!({"code": 401, "message": "no"}), Some(Remedy::LogIn)),
            (json!({"code": 500, "message": "Internal error encountered."}), Some(Remedy::Later)),
            (json!({"code": -32000, "message": "Authentication required"}), Some(Remedy::LogIn)),
            (json!({"code": -32603, "message": "x", "data": of_codex}), Some(Remedy::Wait)),
            (json!({"code": -32603, "message": "Internal error"}), None),
        ] {
            assert_eq!(remedy(&error), remedy_expected, "{error}");
        }
        // As the Gemini CLI quotes its service.
        let reason = json!([{"reason": "API_KEY_INVALID"}]);
        let said = json!({"error": {"code": 400, "message": "Key expired.", "details": reason}});
        let end = finished(json!({"code": 400, "message": said.to_string()}));
        assert_eq!((Remedy::of(&end), end.text.as_str()), (Some(Remedy::LogIn), "Key expired."));
    }

    /// As Qwen Code reports what its service replied.
    fn of_qwen(details: &str) -> Value {
        json!({"code": -32603, "message": "Internal error", "data": {"details": details}})
    }

    /// As opencode does.
    fn of_opencode(words: &str, name: &str) -> Value {
        let data = json!({"service": "session", "errorName": name});
        json!({"code": -32603, "message": format!("Internal error: {words}"), "data": data})
    }

    #[test]
    fn what_the_real_agents_say_where_the_code_says_nothing() {
        let api = |status: u16, kind: &str, message: &str| {
            let error = json!({"type": kind, "message": message});
            of_qwen(&format!("{status} {}", json!({"type": "error", "error": error})))
        };
        let of_opencode = |words: &str| of_opencode(words, "APIError");
        let key = "invalid x-api-key";
        let credit = "Your credit balance is too low to access the Anthropic API.";
        for (error, expected) in [
            (api(401, "authentication_error", key), Remedy::LogIn),
            (api(400, "invalid_request_error", credit), Remedy::LogIn),
            (api(403, "permission_error", "no"), Remedy::LogIn),
            (api(529, "overloaded_error", "Overloaded"), Remedy::Later),
            (of_qwen("Connection error."), Remedy::Later),
            (of_qwen("429 You exceeded your current quota"), Remedy::SlowDown),
            (of_opencode(key), Remedy::LogIn),
            (of_opencode(credit), Remedy::LogIn),
            (
                of_opencode("Your API key does not have permission to use the specified resource."),
                Remedy::LogIn,
            ),
            (of_opencode("Overloaded"), Remedy::Later),
            (of_opencode("Internal server error"), Remedy::Later),
            (
                of_opencode(
                    "Cannot connect to API: Unable to connect. Is the computer able to access the url?",
                ),
                Remedy::Later,
            ),
            (
                of_opencode("This request would exceed your organization's rate limit"),
                Remedy::SlowDown,
            ),
        ] {
            assert_eq!(remedy(&error), Some(expected), "{error}");
        }
    }

    #[test]
    fn a_model_that_does_not_exist_is_named_with_what_to_set_whatever_the_status() {
        let missing = "models/gemini-9 is not found for API version v1beta, or is not supported for generateContent.";
        let qwen = json!({"type": "error", "error": {"type": "not_found_error", "message": "model: claude-9"}});
        for (error, model) in [
            (json!({"code": 500, "message": missing}), "gemini-9"),
            (of_qwen(&format!("404 {qwen}")), "claude-9"),
            (of_qwen("404 The model `gpt-9` does not exist or you do not have access."), "gpt-9"),
            (of_opencode("model: claude-9", "APIError"), "claude-9"),
        ] {
            let end = finished(error);
            assert_eq!(Remedy::of(&end), Some(Remedy::Setup), "{end:?}");
            assert_eq!(end.advice.as_deref(), Some(ANOTHER_MODEL));
            assert!(end.text.contains(model), "{end:?}");
        }
        assert!(!is_of_model("internal error: model: it took too long"));
    }

    #[test]
    fn a_full_context_asks_for_a_fresh_conversation_and_a_days_quota_for_the_next_day() {
        let judged = |error: Value| {
            let mut reported = Reported::default();
            events(error).iter().for_each(|event| reported.take(event));
            let environment = Vec::new();
            judge(&Facts {
                exit: ProcessExit::Code(0),
                reported: &reported,
                stderr_tail: "",
                oom_kills: 0,
                ended_by: None,
                resumed: true,
                rejected: false,
                reports_end: true,
                conversation: "x",
                environment: &environment,
            })
        };
        let long = "prompt is too long: 210000 tokens > 200000 maximum";
        let full = of_opencode("Session too large to compact", "ContextOverflowError");
        for error in [full, of_qwen(&format!("400 {long}")), json!({"code": 400, "message": long})]
        {
            assert_eq!(judged(error.clone()), Outcome::ContextFull, "{error}");
        }
        let daily = "You have exhausted your daily quota on this model.";
        let outcome = judged(json!({"code": 429, "message": daily}));
        let Outcome::Limit { resets_at: Some(_), kind, what } = &outcome else {
            panic!("{outcome:?}")
        };
        assert!(kind == quota::DAILY && what.contains("midnight Pacific"), "{outcome:?}");
    }
}
