//! Merges in memory, to find conflicts before anything is written.

use std::path::Path;

use git2::{Oid, Repository};

use crate::session::order;

use super::super::Error;
use super::Conflict;

/// Merges one commit after another in memory. Nothing reaches the disk, not even an object.
pub struct Simulation {
    repo: Repository,
    tip: Oid,
}

/// What a merge would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreseen {
    /// It merges without a conflict.
    Clean,
    /// These files conflict; the merge was not made.
    Conflicts(Vec<Conflict>),
    /// The commit is already contained.
    Contained,
}

impl Simulation {
    /// Starts at a commit, given as an id. `None` for a repository that libgit2 cannot read, and
    /// for one with merge drivers of its own, which only the git program runs.
    ///
    /// # Errors
    /// If the commit cannot be read.
    pub fn of(repo: &Path, start: &str) -> Result<Option<Self>, Error> {
        let Ok(repo) = Repository::open(repo) else { return Ok(None) };
        if repo.config().is_ok_and(|config| has_drivers(&config)) {
            return Ok(None);
        }
        let Ok(tip) = Oid::from_str(start) else { return Ok(None) };
        {
            let odb = repo.odb().map_err(|error| failed(&repo, &error))?;
            odb.add_new_mempack_backend(i32::MAX).map_err(|error| failed(&repo, &error))?;
            repo.find_commit(tip).map_err(|error| failed(&repo, &error))?;
        }
        Ok(Some(Self { repo, tip }))
    }

    /// Merges a commit, given as an id, into what has been merged so far. `names` label both sides
    /// of a passage in conflict.
    ///
    /// # Errors
    /// If the commit cannot be read.
    pub fn merge(&mut self, commit: &str, names: [&str; 2]) -> Result<Foreseen, Error> {
        let result = Oid::from_str(commit).and_then(|theirs| self.try_merge(theirs, names));
        result.map_err(|error| failed(&self.repo, &error))
    }

    fn try_merge(&mut self, theirs: Oid, names: [&str; 2]) -> Result<Foreseen, git2::Error> {
        if theirs == self.tip || self.repo.graph_descendant_of(self.tip, theirs)? {
            return Ok(Foreseen::Contained);
        }
        let (our, their) = (self.repo.find_commit(self.tip)?, self.repo.find_commit(theirs)?);
        let mut index = self.repo.merge_commits(&our, &their, None)?;
        if index.has_conflicts() {
            let mut found = Vec::new();
            for conflict in index.conflicts()? {
                found.extend(Conflict::of(&self.repo, &conflict?, names));
            }
            order::by(&mut found, |one, other| one.path.cmp(&other.path));
            found.dedup_by(|one, other| one.path == other.path);
            return Ok(Foreseen::Conflicts(found));
        }
        let tree = self.repo.find_tree(index.write_tree_to(&self.repo)?)?;
        let who = git2::Signature::now("samocode", "samocode@localhost")?;
        let tip = self.repo.commit(None, &who, &who, "", &tree, &[&our, &their])?;
        self.tip = tip;
        Ok(Foreseen::Clean)
    }
}

/// Whether a merge driver is configured, as `.gitattributes` may name it.
fn has_drivers(config: &git2::Config) -> bool {
    let Ok(mut entries) = config.entries(Some(r"^merge\..*\.driver$")) else { return false };
    entries.next().is_some()
}

fn failed(repo: &Repository, error: &git2::Error) -> Error {
    Error::Git {
        doing: format!("merge in memory in {}", repo.path().display()),
        said: error.message().to_owned(),
    }
}
