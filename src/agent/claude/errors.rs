//! How Claude Code reports errors, and what to change for those whose text does not say it.

use crate::agent::fields::Fields;

/// The keys of an error's names, the most specific one first.
const NAMES: [&str; 4] = ["api_error", "startup_failure_reason", "error", "api_error_type"];

/// What an assistant's line or a result says about an API error.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    /// Its names under the keys of [`NAMES`].
    names: [Option<String>; 4],
    /// The HTTP status of the response.
    pub(super) status: Option<u16>,
}

impl ApiError {
    /// The error in an object, if it has one.
    pub(super) fn of(fields: &Fields<'_>) -> Option<Self> {
        // Some versions pass on the service's own object.
        let of_object = |key| fields.object(key)?.text("type");
        let names = NAMES.map(|key| fields.text(key).or_else(|| of_object(key)));
        let status = fields.whole("api_error_status").or_else(|| in_words(fields));
        let status = status.and_then(|status| u16::try_from(status).ok());
        let is_error = names.iter().any(Option::is_some) || status.is_some_and(|s| s >= 400);
        is_error.then_some(Self { names, status })
    }

    /// An error of this name.
    pub(super) fn named(name: &str) -> Self {
        Self { names: [Some(name.to_owned()), None, None, None], status: None }
    }

    /// The error of a result. The line before it, if that was an error, has more of its names.
    pub(super) fn with(self, before: Option<Self>) -> Self {
        let before = before.unwrap_or_default();
        let mut names = self.names.into_iter().zip(before.names);
        Self {
            names: std::array::from_fn(|_| names.next().and_then(|(own, other)| own.or(other))),
            status: self.status.or(before.status),
        }
    }

    /// Its names, the most specific one first.
    pub(super) fn into_names(self) -> Vec<String> {
        self.names.into_iter().flatten().collect()
    }
}

/// A status that is followed by its meaning: `503 Service Unavailable`.
fn in_words(fields: &Fields<'_>) -> Option<u64> {
    fields.text("api_error_status")?.split_whitespace().next()?.parse().ok()
}

/// What older versions say where the service could not be reached, so that there is no status.
const UNREACHABLE: [&str; 5] = [
    "Connection error",
    "Request timed out",
    "Unable to connect",
    "The socket connection was closed",
    "fetch failed",
];

/// The status in what older versions say of an error: `API Error: 529 {…}`, or in other words what to do.
pub(super) fn status_in(text: &str) -> Option<u16> {
    if text.trim_end().ends_with("Please run /login") {
        return Some(401);
    }
    if text.trim_start().starts_with("Claude AI usage limit reached") {
        return Some(429);
    }
    let rest = text.trim_start().strip_prefix("API Error")?;
    let rest = rest.trim_start_matches([':', ' ', '(']);
    if UNREACHABLE.iter().any(|words| rest.starts_with(words)) {
        return Some(408);
    }
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|status| (400..600).contains(status))
}

/// How to fix an error with these names, or this status where they say nothing.
pub(super) fn advice_for(names: &[String], status: Option<u16>) -> Option<&'static str> {
    let named = names.iter().find_map(|name| advice(name));
    named.or_else(|| advice("billing_error").filter(|_| status == Some(402)))
}

/// How to fix an error with this name in the configuration of samocode.
fn advice(name: &str) -> Option<&'static str> {
    Some(match name {
        "model_not_found" | "no_allowed_fallback" | "model_substitution_disabled" => {
            "set CLAUDE_MODEL to a model that the account may use"
        }
        "model_requires_usage_credits" => {
            "turn on usage credits for the account, or set CLAUDE_MODEL to another model"
        }
        "long_context_credits_required" => {
            "turn on usage credits for the account, or set CLAUDE_MODEL to a model without the 1M \
             context"
        }
        "claude_code_version_too_old" | "cli_version_too_old" => "update it with: claude update",
        "effort_requires_thinking" => "change effortLevel in Claude Code's settings",
        "advisor_incompatible" => "change advisorModel in Claude Code's settings",
        "tls_untrusted_ca" => {
            "set NODE_EXTRA_CA_CERTS to the network's root certificate, or use another \
             network"
        }
        "gateway_content_type" | "network_edge_blocked" => {
            "use another network, or ask for the proxy to be changed"
        }
        "hook_denied" => "change the hook in Claude Code's settings",
        "field_not_granted" => {
            "turn off what the account was not granted, in Claude Code's settings"
        }
        "provider_not_allowed" => {
            "unset CLAUDE_CODE_USE_BEDROCK and the like, or ask the organization's administrator"
        }
        "managed_settings_invalid" | "managed_settings_not_delivered" => {
            "ask the administrator of this machine to fix Claude Code's managed settings"
        }
        "proxy_invalid" => "fix HTTPS_PROXY in ~/.config/samocode/env",
        "temp_dir_unusable" => "make room for temporary files, or set TMPDIR to another folder",
        "cwd_unavailable" => "make the worktree readable",
        "bypass_root" => "run it as another user: Claude Code refuses to run unattended as root",
        "sandbox_required_unavailable" => {
            "install what Claude Code's sandbox needs, or turn it off in Claude Code's settings"
        }
        "config_file_invalid" => "fix the file, or move it away and log in again",
        "shell_tool_missing" => "install a shell that Claude Code finds",
        "initialize_not_first" | "initialize_fields_not_delivered" => {
            "use a version of Claude Code that samocode was tested with, or update samocode"
        }
        "billing_error" => "pay, or buy credits for the account",
        "account_on_hold" | "verification_required" => "clear it up at https://claude.ai",
        "oauth_org_not_allowed" | "org_pin_mismatch" | "org_pin_api_key_conflict" => {
            "use a login of the organization that this machine's settings name"
        }
        "provider_credentials" | "cloud_credential_error" => {
            "renew the cloud provider's credentials, such as with: aws sso login"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::remedy::Remedy;

    fn error(json: &str) -> Option<ApiError> {
        ApiError::of(&Fields::of(json).unwrap())
    }

    #[test]
    fn a_result_without_names_has_those_of_the_line_before() {
        let before = error(r#"{"error":"rate_limit","api_error":"usage_limit_reached"}"#);
        let found = error(r#"{"api_error_status":429}"#).unwrap().with(before);
        assert_eq!(found.status, Some(429));
        assert_eq!(found.into_names(), ["usage_limit_reached", "rate_limit"]);
        assert_eq!(error(r#"{"api_error_status":null,"api_error":7}"#), None);
        assert_eq!(error(r#"{"api_error_status":200}"#), None);
        let in_words = error(r#"{"api_error_status":"503 Service Unavailable"}"#).unwrap();
        assert_eq!(in_words.status, Some(503));
        let object = error(r#"{"error":{"type":"overloaded_error","message":"m"}}"#).unwrap();
        assert_eq!(object.into_names(), ["overloaded_error"]);
    }

    #[test]
    fn an_older_version_says_the_status_in_words_only() {
        for (text, status) in [
            ("API Error: 529 {\"type\":\"error\"}", Some(529)),
            ("API Error (401 unauthorized)", Some(401)),
            ("API Error: Connection error.", Some(408)),
            ("API Error (Request timed out.)", Some(408)),
            ("API Error: Unable to connect to API (ECONNRESET)", Some(408)),
            ("API Error: Connections are fine, said the model", None),
            ("API Error: 5290", None),
            ("Invalid API key · Please run /login", Some(401)),
            ("Claude AI usage limit reached|1795223745", Some(429)),
            ("I wrote: Please run /login, and then again", None),
            ("The API Error: 529 is in the log", None),
        ] {
            assert_eq!(status_in(text), status, "{text}");
        }
    }

    #[test]
    fn whatever_needs_a_change_of_the_setup_says_which() {
        for name in Remedy::Setup.names() {
            assert!(advice(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_missing_model_names_the_key_that_sets_it() {
        assert!(advice("model_not_found").unwrap().contains("CLAUDE_MODEL"));
        assert_eq!(advice("overloaded"), None);
    }
}
