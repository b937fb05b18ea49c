//! What a session recorded when it began to wait for a human: only what comes after that is an
//! answer.

use serde::{Deserialize, Serialize};

/// The state of questions and inbox when a wait began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Fingerprint of the answers in `_qa.md`; `None` if there were no questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// What `_qa.md` said, which somebody may remove meanwhile; absent without questions, and if it is
    /// very long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// IDs of the messages in the inbox, which were written before the session waited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}
