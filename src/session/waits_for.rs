//! What a waiting session waits for.

/// The command that answers what a session waits for.
#[must_use]
pub fn answer_command(instance: &str, waits_for: &str) -> String {
    match waits_for {
        "qa_answers" => format!("samocode answer {instance}"),
        "plan_approval" => format!("samocode approve {instance}"),
        _ => format!("samocode send {instance} \"…\""),
    }
}
