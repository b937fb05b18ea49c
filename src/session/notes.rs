//! What a human should know of a session beside its state, though it stops nothing.

use super::event::{Occurrence, Unfamiliar};

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
    /// Reviewers that could not review, and why.
    reviewers: Vec<(String, String)>,
    /// What of the output of agents' programs is unknown, one for each agent.
    programs: Vec<Unfamiliar>,
    /// Which of those about mail and files the agent was told in the prompt of its last run.
    told: Vec<String>,
}

impl Notes {
    /// Replaces the remarks about the worktree.
    pub(in crate::session) fn prepared(&mut self, notes: &[String]) {
        notes.clone_into(&mut self.preparation);
    }

    /// Adds a remark about mail.
    pub(in crate::session) fn mail(&mut self, note: String) {
        self.told.retain(|told| *told != note);
        add(&mut self.mail, note);
    }

    /// Adds a remark about a file of the session.
    pub(in crate::session) fn file(&mut self, note: String) {
        self.told.retain(|told| *told != note);
        add(&mut self.files, note);
    }

    /// Replaces the remark about a channel of notices.
    pub(in crate::session) fn notified(&mut self, by: &str, remark: Option<&str>) {
        self.channels.retain(|(channel, _)| channel != by);
        self.channels.extend(remark.map(|remark| (by.to_owned(), remark.to_owned())));
    }

    /// Replaces the remark about a reviewer.
    pub(in crate::session) fn reviewer(&mut self, name: &str, note: Option<String>) {
        self.reviewers.retain(|(known, _)| known != name);
        self.reviewers.extend(note.map(|note| (name.to_owned(), note)));
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

    /// Adds what of an agent's output is unknown; a newer version of its program replaces the rest.
    pub(in crate::session) fn unfamiliar(&mut self, found: &Unfamiliar) {
        let of_agent = |known: &&mut Unfamiliar| known.agent == found.agent;
        match self.programs.iter_mut().find(of_agent) {
            Some(known) if known.version == found.version => {
                for one in &found.unknown {
                    if !known.names().any(|name| name == one.0) {
                        known.unknown.push(one.clone());
                    }
                }
            }
            Some(known) => known.clone_from(found),
            None => self.programs.push(found.clone()),
        }
    }

    /// Whether all that is unknown here was found before in this version.
    #[must_use]
    pub fn has_found(&self, found: &Unfamiliar) -> bool {
        let same =
            |known: &&Unfamiliar| known.agent == found.agent && known.version == found.version;
        let known = self.programs.iter().find(same);
        known
            .is_some_and(|known| found.names().all(|name| known.names().any(|other| other == name)))
    }

    /// A run began: its prompt has the remarks for the agent.
    pub(in crate::session) fn run_started(&mut self) {
        self.told = self.mail.iter().chain(&self.files).cloned().collect();
    }

    /// A run left its signal. What came up in that run is for the next prompt.
    pub(in crate::session) fn signalled(&mut self) {
        let told = std::mem::take(&mut self.told);
        self.mail.retain(|note| !told.contains(note));
        self.files.retain(|note| !told.contains(note));
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
        all.extend(self.reviewers.iter().map(|(_, note)| note.clone()));
        all.extend(self.channels.iter().map(|(_, remark)| remark.clone()));
        all.extend(self.programs.iter().map(Occurrence::describe));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_up_in_a_run_is_told_in_the_next_one() {
        let mut notes = Notes::default();
        notes.mail("before".into());
        for _ in 0..2 {
            notes.run_started();
            notes.mail("not sent".into());
            notes.file("set aside".into());
            notes.signalled();
            assert_eq!(notes.for_agent(), ["not sent", "set aside"]);
        }
        notes.run_started();
        notes.signalled();
        assert!(notes.for_agent().is_empty());
    }

    #[test]
    fn what_is_unknown_of_a_program_is_news_once_for_each_version() {
        let found = |version: &str, names: &[&str]| Unfamiliar {
            agent: "claude".into(),
            version: version.into(),
            tested: "2.1".into(),
            unknown: names.iter().map(|name| ((*name).to_owned(), 1)).collect(),
        };
        let mut notes = Notes::default();
        assert!(!notes.has_found(&found("2.2", &["x"])));
        notes.unfamiliar(&found("2.2", &["x"]));
        assert!(notes.has_found(&found("2.2", &["x"])));
        assert!(
            !notes.has_found(&found("2.2", &["x", "y"])) && !notes.has_found(&found("2.3", &["x"]))
        );
        notes.unfamiliar(&found("2.2", &["x", "y"]));
        notes.signalled();
        let all = notes.all();
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].starts_with("claude 2.2 is newer than 2.1, which"), "{all:?}");
        assert!(all[0].contains("does not know: x (1), y (1); the session continues"), "{all:?}");
        assert!(notes.for_agent().is_empty(), "it is none of the agent's business");
        notes.unfamiliar(&found("2.3", &["z"]));
        assert!(notes.all()[0].contains("know: z (1);"), "{:?}", notes.all());
    }
}
