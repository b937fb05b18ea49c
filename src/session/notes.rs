//! What a human should know of a session beside its state, though it stops nothing.

/// The most remarks kept of a kind, so that a flood of files cannot fill the hook.
const MOST: usize = 5;

/// Remarks about a session, each in one sentence without a full stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// What was not as it should be when the worktree was made.
    preparation: Vec<String>,
    /// Files in the inbox that were no messages, since the last signal.
    mail: Vec<String>,
    /// What should be changed about a channel of notices, and which.
    channels: Vec<(String, String)>,
    /// What was in the place of the session's files and is set aside, since the last signal.
    files: Vec<String>,
    /// Why the session's branch lacks its work in the project's repository, with the command.
    branch: Option<String>,
}

impl Notes {
    /// Replaces the remarks about the worktree.
    pub(in crate::session) fn prepared(&mut self, notes: &[String]) {
        notes.clone_into(&mut self.preparation);
    }

    /// Adds a remark about mail.
    pub(in crate::session) fn mail(&mut self, note: String) {
        add(&mut self.mail, note);
    }

    /// Adds a remark about a file of the session.
    pub(in crate::session) fn file(&mut self, note: String) {
        add(&mut self.files, note);
    }

    /// Replaces the remark about a channel of notices.
    pub(in crate::session) fn notified(&mut self, by: &str, remark: Option<&str>) {
        self.channels.retain(|(channel, _)| channel != by);
        self.channels.extend(remark.map(|remark| (by.to_owned(), remark.to_owned())));
    }

    /// Replaces the remark about the branch.
    pub(in crate::session) fn fetched(&mut self, note: Option<String>) {
        self.branch = note;
    }

    /// Why the session's branch lacks its work in the project's repository.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }

    /// Forgets what the agent has heard of.
    pub(in crate::session) fn signalled(&mut self) {
        self.mail.clear();
        self.files.clear();
    }

    /// Those that the agent should know.
    #[must_use]
    pub fn for_agent(&self) -> Vec<String> {
        self.preparation.iter().chain(&self.mail).chain(&self.files).cloned().collect()
    }

    /// All remarks, for people.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let mut all = self.for_agent();
        all.extend(self.branch.clone());
        all.extend(self.channels.iter().map(|(_, remark)| remark.clone()));
        all
    }
}

fn add(notes: &mut Vec<String>, note: String) {
    if !notes.contains(&note) {
        notes.push(note);
    }
    let surplus = notes.len().saturating_sub(MOST);
    notes.drain(..surplus);
}
