//! A session's checkout, and the one place that knows what it is: a linked worktree of the project's repository, in the project's folder for them, under the
//! name of the session's folder. The rest of the tree asks here and assumes none of that.

use std::path::{Path, PathBuf};

use super::confirm::{Confirmed, confirm};
use super::create::{create, outlast_maker};
use super::durable::{Damage, Window, find_damage};
use super::leftovers::is_whole;
use super::plan::plan;
use super::{Created, Error, Plan, Programs};
use crate::config::Project;
use crate::session::store::{self, Folder, StoreError};

/// Where a session's work is checked out, whether it is there yet or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The project's folder, in the repository that is checked out.
    source: PathBuf,
    /// The root of the checkout.
    root: PathBuf,
}

impl Checkout {
    /// The checkout of the session in a folder of this name.
    #[must_use]
    pub fn of_session(project: &Project, folder: &str) -> Self {
        Self { source: project.main_repo.clone(), root: Self::place(project).join(folder) }
    }

    /// The checkouts that exist of the project's sessions.
    #[must_use]
    pub fn of_all_sessions(project: &Project) -> Vec<Self> {
        let entries = std::fs::read_dir(&project.sessions).into_iter().flatten().flatten();
        let folders = entries.flat_map(|entry| {
            let folder = Folder::new(entry.path());
            let below = folder.descendants();
            std::iter::once(folder).chain(below)
        });
        let all = folders.map(|folder| Self::place(project).join(folder.name()));
        all.filter(|root| root.is_dir())
            .map(|root| Self { source: project.main_repo.clone(), root })
            .collect()
    }

    /// The checkout that a folder is in, as one that an agent works in is. `None` where it is in no checkout that was made for a session.
    #[must_use]
    pub fn around(project: &Project, folder: &Path) -> Option<Self> {
        let below = folder.strip_prefix(Self::place(project)).ok()?;
        let name = below.components().next()?;
        Some(Self { source: project.main_repo.clone(), root: Self::place(project).join(name) })
    }

    /// Where the checkouts of a project lie, whose disk has to have room for them.
    #[must_use]
    pub fn place(project: &Project) -> &Path {
        &project.worktrees
    }

    /// The root of its files.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads what [`make`](Self::make) would do for this branch. Needs no network and changes nothing.
    ///
    /// # Errors
    /// When it cannot be made: a name that git does not take, a branch or a folder that exists
    /// already, git's own.
    pub fn plan(&self, branch: &str) -> Result<Plan, Error> {
        plan(&self.source, branch, &self.root)
    }

    /// Makes it on this branch, or completes one whose making was cut off. What is there already is left as it is, so it may be called any number of times, but
    /// only while no agent of the session runs.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); a checkout that fails or takes longer than [`CHECKOUT_LIMIT`](super::CHECKOUT_LIMIT).
    pub async fn make(&self, branch: &str, programs: &Programs) -> Result<Created, Error> {
        let place = self.root.parent().unwrap_or(&self.root);
        store::make_folder(place).map_err(|StoreError { action, path, source }| Error::Io {
            doing: action,
            path,
            source,
        })?;
        let plan = match self.plan(branch) {
            Ok(plan) => plan,
            Err(_) => {
                outlast_maker(&self.root).await;
                self.plan(branch)?
            }
        };
        create(&plan, programs).await
    }

    /// Confirms that git in it works on it and on no other folder. Cheap for one that is `known`
    /// from an earlier call: git is asked only if something changed.
    ///
    /// # Errors
    /// [`Error::Astray`] with the command that fixes it; git's own.
    pub async fn confirm(&self, known: Option<&Confirmed>) -> Result<Confirmed, Error> {
        confirm(&self.root, &self.source, known).await
    }

    /// Whether nothing that a killed git or worker leaves behind is in it: a few looks at files, where [`make`](Self::make) may start git several times. False
    /// when in doubt.
    #[must_use]
    pub fn is_whole(&self, branch: Option<&str>) -> bool {
        is_whole(&self.root, branch)
    }

    /// Finds what lost its data with the machine's power. See [`find_damage`].
    ///
    /// # Errors
    /// git's.
    pub async fn find_damage(&self, window: &Window, programs: &Programs) -> Result<Damage, Error> {
        find_damage(&self.root, window, programs).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::tests::Lab;

    fn project(lab: &Lab) -> Project {
        let config = lab.repo.join(".samocode");
        std::fs::write(&config, "MAIN_REPO=.\nWORKTREES=../trees\nSESSIONS=../sessions\n").unwrap();
        Project::read(&config, None).unwrap()
    }

    #[tokio::test]
    async fn a_session_finds_the_checkout_that_was_made_for_it_from_any_folder_in_it() {
        let lab = Lab::new();
        let project = project(&lab);
        let checkout = Checkout::of_session(&project, "26-11-20-jwt-login");
        assert!(!checkout.is_whole(None));
        let made = checkout.make("jwt-login", &lab.programs()).await.unwrap();
        assert_eq!(made.working_dir, checkout.root());
        assert!(made.base().is_some_and(|commit| commit.len() == 40), "{made:?}");
        assert!(checkout.is_whole(Some("jwt-login")));
        for folder in ["", "src/deep"] {
            let inside = checkout.root().join(folder);
            assert_eq!(Checkout::around(&project, &inside), Some(checkout.clone()));
        }
        for outside in [Checkout::place(&project), &lab.repo] {
            assert_eq!(Checkout::around(&project, outside), None);
        }
    }
}
