//! What helps after an error: the names of errors, sorted by remedy.
//!
//! The names are those of Claude Code's own schema, where new ones are added over time and an
//! unknown one counts as absent. So a failure is classified by its most specific name that is known
//! here; if none is, by what every version reports, the HTTP status. Agents that write events
//! themselves may use the same names.

use super::event::Finished;

/// What helps after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Try again later: the service failed, or could not be reached.
    Later,
    /// Wait until the account's usage limit resets.
    Wait,
    /// The service takes no more requests for now. This alone does not say whether it is a limit,
    /// or until when.
    SlowDown,
    /// Fix the account's credentials, or pay.
    LogIn,
    /// Change the setup: the model, the program's version, a hook, the plan.
    Setup,
    /// Make room: the conversation no longer fits the model's context.
    Room,
    /// Use a fresh conversation: this one would be refused again.
    Fresh,
    /// Change the request, which is invalid. Whether the conversation is the cause is unknown.
    Request,
    /// Make the request smaller.
    Shrink,
    /// Try again, a limited number of times: the model's answer, or a part of the request, was
    /// unusable.
    Again,
}

/// The known names of errors: specific (`api_error`), coarse (`error`), and those of a failed start
/// (`startup_failure_reason`).
const NAMES: &[(Remedy, &[&str])] = &[
    (
        Remedy::Later,
        &[
            "no_response",
            "connection_failed",
            "stream_idle_timeout",
            "computer_slept",
            "empty_completion",
            // The way to the service: another network, or the proxy's administrator, may fix it.
            "tls_untrusted_ca",
            "tls_cert_signature_failure",
            "gateway_content_type",
            "network_edge_blocked",
            "unattended_start_limit",
            "unattended_start_unconfirmed",
            "overloaded",
            "server_error",
            "remote_settings_required_unavailable",
            "org_config_required_unavailable",
            "worktree_unverified",
        ],
    ),
    (Remedy::Wait, &["usage_limit_reached"]),
    (Remedy::SlowDown, &["rate_limit"]),
    (
        Remedy::LogIn,
        &[
            "stored_login_refused",
            "oauth_refresh_store_refused",
            "provider_credentials",
            "gateway_signin_required",
            "gateway_session_expired",
            "api_key_auth_disabled",
            "org_disabled_credential",
            "invalid_credential_header",
            "authentication_failed",
            "oauth_org_not_allowed",
            "account_on_hold",
            "verification_required",
            "billing_error",
            "cloud_credential_error",
            "org_pin_api_key_conflict",
            "org_pin_mismatch",
            "org_verify_failed",
            "org_config_refused",
            "gateway_access_denied",
        ],
    ),
    (
        Remedy::Setup,
        &[
            "claude_code_version_too_old",
            "effort_requires_thinking",
            "advisor_incompatible",
            "model_substitution_disabled",
            "field_not_granted",
            "model_requires_usage_credits",
            "long_context_credits_required",
            "no_allowed_fallback",
            "hook_denied",
            "model_not_found",
            "provider_not_allowed",
            "managed_settings_invalid",
            "managed_settings_not_delivered",
            "proxy_invalid",
            "temp_dir_unusable",
            "cwd_unavailable",
            "cli_version_too_old",
            "bypass_root",
            "sandbox_required_unavailable",
            "config_file_invalid",
            "shell_tool_missing",
            "initialize_not_first",
            "initialize_fields_not_delivered",
        ],
    ),
    (Remedy::Room, &["autocompact_thrashing"]),
    (
        Remedy::Fresh,
        &[
            "tool_history_mismatch",
            "dlp_request_denied",
            "safety_monitor_blocked",
            "policy_blocked",
            "tool_use_denied",
            "worktree_resume_refused",
        ],
    ),
    (
        Remedy::Again,
        &[
            "max_output_tokens",
            "malformed_tool_use_exhausted",
            "media_removed",
            "pdf_too_large",
            "pdf_password_protected",
            "consent_unanswered",
            "message_over_context_limit",
            "session_held_by_background",
        ],
    ),
];

/// Names that say less than the HTTP status does: a vague coarse one, and the types in the bodies of
/// responses, which gateways fill in as they like.
const VAGUE: &[(Remedy, &[&str])] = &[
    (Remedy::Request, &["invalid_request", "invalid_request_error"]),
    (Remedy::Later, &["overloaded_error", "api_error", "timeout_error"]),
    (Remedy::SlowDown, &["rate_limit_error"]),
    (Remedy::LogIn, &["authentication_error", "permission_error"]),
    (Remedy::Setup, &["not_found_error"]),
    (Remedy::Shrink, &["request_too_large"]),
];

impl Remedy {
    /// The remedy for a failure that an agent reported; `None` if nothing is known about it.
    #[must_use]
    pub fn of(finished: &Finished) -> Option<Self> {
        if finished.refused {
            return Some(Self::Fresh);
        }
        let named = |names| finished.error_kind.iter().find_map(|name| named(names, name));
        named(NAMES)
            .or_else(|| finished.api_status.and_then(Self::of_status))
            .or_else(|| named(VAGUE))
    }

    /// The remedy for a name; `None` for an unknown one.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        named(NAMES, name).or_else(|| named(VAGUE, name))
    }

    /// The names of the failures for which this helps.
    #[cfg(test)]
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(helps, _)| *helps == self).flat_map(|(_, names)| *names).copied()
    }

    /// By status code: Anthropic's API errors, <https://docs.claude.com/en/api/errors>.
    const fn of_status(status: u16) -> Option<Self> {
        Some(match status {
            400 | 422 => Self::Request,
            // 407: the proxy wants credentials, which are in the env file too.
            401..=403 | 407 => Self::LogIn,
            // Redirected, or not there: the model or the base URL.
            300..=399 | 404 | 405 | 410 => Self::Setup,
            413 => Self::Shrink,
            429 => Self::SlowDown,
            451 => Self::Fresh,
            // 421: a connection that another server should have had. 424: what the server itself
            // asked has failed. 499: a gateway gave up waiting.
            408 | 409 | 421 | 424 | 425 | 499.. => Self::Later,
            _ => return None,
        })
    }
}

fn named(table: &[(Remedy, &[&str])], name: &str) -> Option<Remedy> {
    let name = name.trim().to_ascii_lowercase();
    let known = table.iter().find(|(_, names)| names.contains(&name.as_str()));
    // A family of names that grows with the ways to store a login.
    let is_login = || name.starts_with("stored_login_").then_some(Remedy::LogIn);
    known.map(|(remedy, _)| *remedy).or_else(is_login)
}

#[cfg(test)]
mod tests;
