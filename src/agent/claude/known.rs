//! What the stream of the tested version has: the schemas in the program itself list it. Anything
//! else is counted, as a sign that the program is newer than this decoder.

use crate::agent::fields::Fields;
use crate::agent::unknown::Unknown;

/// The types of lines.
const TYPES: &[&str] = &[
    "active_goal",
    "api_metrics",
    "assistant",
    "attachment",
    "auth_status",
    "autocompact_state",
    "bash_command",
    "command_lifecycle",
    "compact_progress",
    "control_cancel_request",
    "control_request",
    "control_response",
    "conversation_reset",
    "keep_alive",
    "os_notification",
    "prompt_suggestion",
    "queued_notification",
    "rate_limit_event",
    "refusal_continuation",
    "response_length",
    "result",
    "session_notice",
    "stream_event",
    "stream_mode",
    "streamlined_text",
    "streamlined_tool_use_summary",
    "summary",
    "system",
    "tombstone",
    "tool_progress",
    "tool_use_summary",
    "transcript_mirror",
    "user",
];

/// The subtypes of `system` lines, apart from those that begin with `ui_`.
const SYSTEM: &[&str] = &[
    "agents_killed",
    "api_error",
    "api_retry",
    "away_summary",
    "background_tasks_changed",
    "cloud_session_delta",
    "code_change_published",
    "commands_changed",
    "compact_boundary",
    "control_request_progress",
    "dev_intent",
    "elicitation_complete",
    "feedback_draft_queued",
    "file_attachments_missing",
    "file_snapshot",
    "files_persisted",
    "hook_progress",
    "hook_response",
    "hook_started",
    "informational",
    "inherited_asks_settled",
    "init",
    "instruction_size_warning",
    "late_allow_not_run",
    "local_command_output",
    "memory_recall",
    "memory_saved",
    "microcompact_boundary",
    "mirror_error",
    "model_consent_fallback",
    "model_fallback",
    "model_refusal_fallback",
    "model_refusal_no_fallback",
    "notification",
    "peer_message_hold",
    "per_turn_effort_changed",
    "permission_check_status",
    "permission_denied",
    "permission_retry",
    "plugin_install",
    "post_turn_summary",
    "scheduled_task_fire",
    "session_metadata",
    "session_state_changed",
    "session_title_changed",
    "session_writes_lost",
    "shell_cwd",
    "status",
    "stop_hook_summary",
    "task_list_statuses",
    "task_notification",
    "task_progress",
    "task_started",
    "task_summary",
    "task_updated",
    "thinking",
    "thinking_tokens",
    "turn_duration",
    "turn_handoff_available",
    "turn_preempted",
    "upgrade_relay_marker",
    "vcs_state_changed",
    "worker_shutting_down",
];

/// The subtypes of results.
const RESULTS: &[&str] = &[
    "success",
    "error_during_execution",
    "error_max_turns",
    "error_max_budget_usd",
    "error_max_structured_output_retries",
];

/// The fields of results, apart from measurements.
const OF_RESULT: &[&str] = &[
    "api_error",
    "api_error_code",
    "api_error_origin",
    "api_error_status",
    "api_error_type",
    "credential_expires_at",
    "deferred_tool_use",
    "errors",
    "fast_mode_disabled_reason",
    "fast_mode_state",
    "interrupted_by_shutdown",
    "invalid_config_file",
    "is_error",
    "local_command",
    "message_undelivered",
    "modelUsage",
    "model_usage_since_last_result",
    "num_turns",
    "origin",
    "permission_denials",
    "policy_answer",
    "policy_answer_reason",
    "restored_rewind",
    "result",
    "resume_reason",
    "runner_exit",
    "safety_stops",
    "session_id",
    "startup_failure_reason",
    "stop_reason",
    "stopped_by_permission_check",
    "structured_output",
    "subagent_stats",
    "subtype",
    "terminal_reason",
    "total_cost_usd",
    "type",
    "usage",
    "user_message_uuid",
    "user_message_uuids",
    "uuid",
    "warm_spare_claimed",
];

/// How the names of measurements begin and end: how long a step took, how much memory it needed.
const MEASURED: [&[&str]; 2] = [
    &[
        "first_", "flag_", "frame_", "main_", "memory_", "process_", "request_", "shell_", "text_",
        "time_", "tool_", "turn_",
    ],
    &["_by", "_count", "_detail", "_index", "_mib", "_ms"],
];

/// The fields of a result's tokens.
const OF_USAGE: &[&str] = &[
    "cache_creation",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "fallback_credit",
    "inference_geo",
    "input_tokens",
    "iterations",
    "output_tokens",
    "output_tokens_details",
    "server_tool_use",
    "service_tier",
    "speed",
];

/// Fields without which a result cannot be judged or counted.
const NEEDED: &[&str] = &["is_error", "subtype", "total_cost_usd", "usage"];

/// The states of a usage limit.
const STATES: &[&str] = &["allowed", "allowed_warning", "rejected"];

/// The names of usage limits.
const LIMITS: &[&str] = &[
    "five_hour",
    "overage",
    "seven_day",
    "seven_day_opus",
    "seven_day_overage_included",
    "seven_day_sonnet",
];

/// Counts what is unknown in an object of the stream.
pub(super) fn check(object: &Fields<'_>, unknown: &mut Unknown) {
    let kind = object.text("type");
    match kind.as_deref() {
        Some("system") => {
            let subtype = object.text("subtype").unwrap_or_default();
            if !subtype.starts_with("ui_") {
                word(SYSTEM, "system", &subtype, unknown);
            }
        }
        Some("result") => result(object, unknown),
        Some("rate_limit_event") => match object.object("rate_limit_info") {
            Some(info) => limit(&info, unknown),
            None => unknown.note("rate_limit_event without rate_limit_info"),
        },
        Some(kind) => word(TYPES, "event", kind, unknown),
        None => unknown.note("event without a type"),
    }
}

fn result(object: &Fields<'_>, unknown: &mut Unknown) {
    word(RESULTS, "result", &object.text("subtype").unwrap_or_default(), unknown);
    let is_measured = |name: &str| {
        let [begins, ends] = MEASURED;
        begins.iter().any(|begin| name.starts_with(begin))
            || ends.iter().any(|end| name.ends_with(end))
    };
    let names = object.names().filter(|name| !is_measured(name));
    unknown.note_fields("result", names, OF_RESULT);
    if let Some(usage) = object.object("usage") {
        unknown.note_fields("usage", usage.names(), OF_USAGE);
    }
    for missing in NEEDED.iter().filter(|name| object.get(name).is_none()) {
        unknown.note(&format!("result without {missing}"));
    }
}

fn limit(info: &Fields<'_>, unknown: &mut Unknown) {
    word(STATES, "status of a limit", &info.text("status").unwrap_or_default(), unknown);
    if let Some(kind) = info.text("rateLimitType") {
        word(LIMITS, "limit", &kind, unknown);
    }
}

fn word(known: &[&str], about: &str, word: &str, unknown: &mut Unknown) {
    if !known.contains(&word) {
        unknown.note(&format!("{about} {word}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(json: &str) -> String {
        let mut unknown = Unknown::default();
        check(&Fields::of(json).unwrap(), &mut unknown);
        unknown.describe()
    }

    #[test]
    fn what_the_tested_version_does_not_have_is_counted_by_name() {
        for (json, found) in [
            (r#"{"type":"assistant","anything":1}"#, ""),
            (r#"{"type":"sketch"}"#, "event sketch (1)"),
            (r#"{"kind":"assistant"}"#, "event without a type (1)"),
            (r#"{"type":"system","subtype":"init"}"#, ""),
            (r#"{"type":"system","subtype":"ui_sparkle"}"#, ""),
            (r#"{"type":"system","subtype":"moon_phase"}"#, "system moon_phase (1)"),
            (
                r#"{"type":"result","subtype":"success","is_error":false,"total_cost_usd":0,"usage":{"input_tokens":1},"ttft_ms":3,"process_x":1}"#,
                "",
            ),
            (
                r#"{"type":"result","subtype":"paused","is_error":false,"total_cost":0,"usage":{"tokens":1}}"#,
                "field tokens of usage (1), field total_cost of result (1), result paused (1), result without total_cost_usd (1)",
            ),
            (
                r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed","rateLimitType":"five_hour"}}"#,
                "",
            ),
            (
                r#"{"type":"rate_limit_event","rate_limit_info":{"status":"queued","rateLimitType":"lunar"}}"#,
                "limit lunar (1), status of a limit queued (1)",
            ),
            (
                r#"{"type":"rate_limit_event","limits":[]}"#,
                "rate_limit_event without rate_limit_info (1)",
            ),
        ] {
            assert_eq!(unknown(json), found, "{json}");
        }
    }
}
