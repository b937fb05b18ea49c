//! What a human should know of a session beside its state, though it stops nothing.

/// The most remarks kept about mail, so that a flood of files cannot fill the hook.
const MOST: usize = 5;

/// Remarks about a session, each in one sentence without a full stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// What was not as it should be when the worktree was made.
    preparation: Vec<String>,
    /// Files in the inbox that were no messages, since the last signal.
    mail: Vec<String>,
}

impl Notes {
    /// Replaces the remarks about the worktree.
    pub(in crate::session) fn prepared(&mut self, notes: &[String]) {
        notes.clone_into(&mut self.preparation);
    }

    /// Adds a remark about mail.
    pub(in crate::session) fn mail(&mut self, note: String) {
        if !self.mail.contains(&note) {
            self.mail.push(note);
        }
        let surplus = self.mail.len().saturating_sub(MOST);
        self.mail.drain(..surplus);
    }

    /// Forgets what the agent has heard of.
    pub(in crate::session) fn signalled(&mut self) {
        self.mail.clear();
    }

    /// The remarks about the worktree.
    #[must_use]
    pub fn preparation(&self) -> &[String] {
        &self.preparation
    }

    /// All remarks, for `status` and the next prompt.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.preparation.iter().chain(&self.mail).cloned().collect()
    }
}
