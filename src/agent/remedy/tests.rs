use super::*;

/// The names in the schema of Claude Code 2.1.329: `api_error`, then `error`.
const SPECIFIC: &str = "max_output_tokens dlp_request_denied claude_code_version_too_old \
    safety_monitor_blocked hook_denied effort_requires_thinking advisor_incompatible \
    tool_history_mismatch autocompact_thrashing pdf_too_large pdf_password_protected \
    stored_login_refused oauth_refresh_store_refused media_removed no_response tls_untrusted_ca \
    tls_cert_signature_failure gateway_content_type connection_failed stream_idle_timeout \
    computer_slept provider_credentials gateway_signin_required gateway_session_expired \
    api_key_auth_disabled org_disabled_credential invalid_credential_header \
    model_requires_usage_credits long_context_credits_required consent_unanswered \
    no_allowed_fallback model_substitution_disabled field_not_granted usage_limit_reached \
    empty_completion malformed_tool_use_exhausted unattended_start_limit \
    unattended_start_unconfirmed message_over_context_limit network_edge_blocked";
const COARSE: &str = "authentication_failed oauth_org_not_allowed account_on_hold \
    verification_required billing_error rate_limit overloaded invalid_request model_not_found \
    server_error max_output_tokens cloud_credential_error";

fn failure(names: &[&str], api_status: Option<u16>) -> Finished {
    let error_kind = names.iter().map(|name| (*name).to_owned()).collect();
    Finished { is_error: true, error_kind, api_status, ..Finished::default() }
}

#[test]
fn every_name_of_the_schema_has_a_remedy() {
    for name in SPECIFIC.split_whitespace().chain(COARSE.split_whitespace()) {
        assert!(Remedy::of_name(name).is_some(), "{name}");
    }
}

#[test]
fn names_count_in_any_case() {
    assert_eq!(Remedy::of_name(" Authentication_Failed"), Some(Remedy::LogIn));
}

#[test]
fn a_name_is_in_one_group_only() {
    let mut names: Vec<_> = NAMES.iter().chain(VAGUE).flat_map(|(_, names)| *names).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn what_passes_is_retried_and_what_concerns_the_account_needs_a_login() {
    for name in [
        "no_response",
        "stream_idle_timeout",
        "connection_failed",
        "empty_completion",
        "computer_slept",
    ] {
        assert_eq!(Remedy::of_name(name), Some(Remedy::Later), "{name}");
    }
    for name in [
        "org_disabled_credential",
        "api_key_auth_disabled",
        "invalid_credential_header",
        "provider_credentials",
        "cloud_credential_error",
        "gateway_session_expired",
        "stored_login_refused",
        "stored_login_of_tomorrow",
        "account_on_hold",
    ] {
        assert_eq!(Remedy::of_name(name), Some(Remedy::LogIn), "{name}");
    }
}

#[test]
fn an_unknown_name_hides_neither_the_coarse_one_nor_the_status() {
    for (names, status, remedy) in [
        (&["new_in_2027", "server_error", "api_error"][..], None, Some(Remedy::Later)),
        (&["new_in_2027", "authentication_failed"], Some(400), Some(Remedy::LogIn)),
        (&["new_in_2027", "unknown", "overloaded_error"], None, Some(Remedy::Later)),
        (&["new_in_2027"], Some(529), Some(Remedy::Later)),
        (&["new_in_2027"], Some(401), Some(Remedy::LogIn)),
        (&["new_in_2027"], Some(407), Some(Remedy::LogIn)),
        (&["new_in_2027"], Some(301), Some(Remedy::Setup)),
        (&["new_in_2027"], Some(410), Some(Remedy::Setup)),
        (&["new_in_2027"], Some(421), Some(Remedy::Later)),
        (&["new_in_2027"], Some(424), Some(Remedy::Later)),
        (&["new_in_2027"], Some(499), Some(Remedy::Later)),
        (&["new_in_2027"], Some(426), None),
        (&["new_in_2027", "rate_limit"], Some(429), Some(Remedy::SlowDown)),
        (&["new_in_2027"], None, None),
        (&[], None, None),
    ] {
        assert_eq!(Remedy::of(&failure(names, status)), remedy, "{names:?} {status:?}");
    }
}

#[test]
fn a_specific_name_is_more_than_a_coarse_one_and_both_are_more_than_the_status() {
    for (names, status, remedy) in [
        (&["org_disabled_credential", "invalid_request"][..], Some(400), Remedy::LogIn),
        (&["long_context_credits_required", "rate_limit"], Some(429), Remedy::Setup),
        (&["tool_history_mismatch", "invalid_request"], None, Remedy::Fresh),
        (&["billing_error"], Some(400), Remedy::LogIn),
        // `invalid_request` stands for many things; the status is more exact.
        (&["invalid_request"], Some(403), Remedy::LogIn),
        (&["invalid_request"], Some(413), Remedy::Shrink),
        (&["invalid_request"], None, Remedy::Request),
        (&["unknown", "invalid_request_error"], Some(400), Remedy::Request),
    ] {
        assert_eq!(Remedy::of(&failure(names, status)), Some(remedy), "{names:?} {status:?}");
    }
}

#[test]
fn a_refusal_by_the_model_needs_a_fresh_conversation_whatever_it_is_called() {
    let refused = Finished { refused: true, ..failure(&["invalid_request"], None) };
    assert_eq!(Remedy::of(&refused), Some(Remedy::Fresh));
}
