//! A session's checkout, and the one place that knows what it is: a linked worktree in the project's
//! folder for them, under the name of the session's folder. It is linked to the project's repository,
//! or where agents are confined, to [one of the session's own](super::own). The rest of the tree asks
//! here and assumes none of that.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::confirm::{Confirmed, confirm};
use super::create::{create, outlast_maker};
use super::durable::{Damage, Window, find_damage};
use super::leftovers::{Found, is_whole, look, registered_as};
use super::own::{Fetched, Made, OwnRepository};
use super::plan::{below, plan};
use super::progress::Told;
use super::{Created, Error, Plan, Programs, Removal, Stores, remove_worktree, root, stores};
use crate::config::Project;
use crate::session::store::{self, Folder, StoreError};

/// The repository that a new checkout is linked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repository {
    /// The project's.
    Projects,
    /// One of the session's own, if the project's allows that.
    Own,
}

/// Where a session's work is checked out, whether it is there yet or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The project's folder, in the repository that is checked out.
    source: PathBuf,
    /// The root of the checkout.
    root: PathBuf,
    /// The session's own repository.
    own: OwnRepository,
    /// Whether that is what it is linked to.
    is_own: bool,
}

impl Checkout {
    fn new(project: &Project, name: impl AsRef<Path>) -> Self {
        let place = Self::place(project);
        let source = project.main_repo.clone();
        let own = OwnRepository::of(place, name.as_ref(), project);
        Self { source, root: place.join(name), is_own: own.exists(), own }
    }

    /// The checkout of the session in a folder of this name.
    #[must_use]
    pub fn of_session(project: &Project, folder: &str) -> Self {
        Self::new(project, folder)
    }

    /// The checkouts that exist of the project's sessions.
    #[must_use]
    pub fn of_all_sessions(project: &Project) -> Vec<Self> {
        let entries = std::fs::read_dir(&project.sessions).into_iter().flatten().flatten();
        // What is not a session's has such a name: merges have a folder here and one among the checkouts.
        let is_session = |name: &OsStr| !name.as_encoded_bytes().starts_with(b"_");
        let entries = entries.filter(|entry| is_session(&entry.file_name()));
        let folders = entries.flat_map(|entry| {
            let folder = Folder::new(entry.path());
            let below = folder.descendants();
            std::iter::once(folder).chain(below)
        });
        let all = folders.map(|folder| Self::new(project, folder.name()));
        all.filter(|checkout| checkout.root.is_dir()).collect()
    }

    /// The checkout that a folder is in, as one that an agent works in is. `None` where it is in no
    /// checkout that was made for a session.
    #[must_use]
    pub fn around(project: &Project, folder: &Path) -> Option<Self> {
        let below = folder.strip_prefix(Self::place(project)).ok()?;
        Some(Self::new(project, below.components().next()?))
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

    /// The repository it is linked to.
    #[must_use]
    pub const fn repository(&self) -> Repository {
        if self.is_own { Repository::Own } else { Repository::Projects }
    }

    /// The session's own repository, if it is linked to that.
    #[must_use]
    pub fn own_repository(&self) -> Option<&Path> {
        self.is_own.then(|| self.own.folder())
    }

    /// A folder in the repository it is linked to.
    fn linked_to(&self) -> &Path {
        if self.is_own { self.own.folder() } else { &self.source }
    }

    /// The folders of that repository.
    #[must_use]
    pub fn stores(&self) -> Option<Stores> {
        if !self.is_own {
            return stores(&self.root);
        }
        let objects = self.own.shared().ok()?;
        Some(Stores::Own { folder: self.own.folder().to_owned(), objects })
    }

    /// Reads what [`make`](Self::make) would do for this branch. Needs no network and changes nothing.
    ///
    /// # Errors
    /// When it cannot be made: a name that git does not take, a branch or a folder that exists
    /// already, git's own.
    pub fn plan(&self, branch: &str) -> Result<Plan, Error> {
        plan(self.linked_to(), branch, &self.root)
    }

    /// Makes it on this branch, or completes one whose making was cut off. One that is linked to a
    /// repository stays with that. What is there already is left as it is, so it may be called any
    /// number of times, but only while no agent of the session runs.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); a checkout that fails or takes longer than
    /// [`CHECKOUT_LIMIT`](super::CHECKOUT_LIMIT).
    pub async fn make(
        &self,
        branch: &str,
        programs: &Programs,
        repository: Repository,
    ) -> Result<Created, Error> {
        self.make_and_tell(branch, programs, repository, &|_| {}).await
    }

    /// The same, and tells how far git's checkout is, if it takes seconds.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub async fn make_and_tell(
        &self,
        branch: &str,
        programs: &Programs,
        repository: Repository,
        told: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Created, Error> {
        let place = self.root.parent().unwrap_or(&self.root);
        store::make_folder(place).map_err(|StoreError { action, path, source }| Error::Io {
            doing: action,
            path,
            source,
        })?;
        if self.is_own {
            // Where a project was moved, it does not find the project's objects.
            self.own.put_back()?;
        }
        let plan = match self.plan(branch) {
            Ok(plan) => plan,
            Err(_) => {
                outlast_maker(&self.root).await;
                self.plan(branch)?
            }
        };
        if self.is_own {
            return self.make_of_own(branch, programs, Vec::new(), told).await;
        }
        let mut why_not = None;
        if repository == Repository::Own
            && let Plan::Worktree(of_project) = &plan
            && look(&self.root)? == Found::Nothing
            && registered_as(&of_project.common, &of_project.path).is_none()
        {
            match self.own.make(of_project, programs).await? {
                Made::Repository(notes) => {
                    return self.make_of_own(branch, programs, notes, told).await;
                }
                Made::Unfit(why) => why_not = Some(why),
            }
        }
        let mut created = create(&plan, programs, told).await?;
        created.notes.extend(why_not.map(|why| {
            format!(
                "the session has no repository of its own, since the project's does not allow it: {why}; \
                 its agent can write the project's branches and objects"
            )
        }));
        Ok(created)
    }

    /// Makes the worktree of the session's own repository, which is there.
    async fn make_of_own(
        &self,
        branch: &str,
        programs: &Programs,
        notes: Vec<String>,
        told: Told<'_>,
    ) -> Result<Created, Error> {
        self.own.put_back()?;
        let plan = plan(self.own.folder(), branch, &self.root)?;
        let mut created = create(&plan, programs, told).await?;
        if let Some(top) = root(&self.source)? {
            let source = self.source.canonicalize().unwrap_or_else(|_| self.source.clone());
            let subfolder = source.strip_prefix(&top).unwrap_or(Path::new(""));
            created.working_dir = below(&created.folder, subfolder);
        }
        created.notes.splice(0..0, notes);
        Ok(created)
    }

    /// Takes over what a run left in the session's own repository: puts back its settings and hooks,
    /// then fetches its branch into the project's. Does nothing where it has none. Safe to repeat;
    /// call it only while no agent of the session runs.
    ///
    /// # Errors
    /// git's; [`Error::Astray`] if parts of the repository were replaced.
    pub async fn take_over(&self) -> Result<Fetched, Error> {
        if !self.is_own {
            return Ok(Fetched::Up);
        }
        // Whatever is wrong with one part, the others are put back.
        let parts = (self.own.put_back(), self.own.put_back_link(&self.root));
        let nested = self.own.settle_nested(&self.root);
        parts.0.and(parts.1)?;
        let fetched = self.own.fetch().await?;
        nested.map(|()| fetched)
    }

    /// Takes over what the agent of a session with a repository of its own has committed so far, from a
    /// bundle of it. It may run meanwhile.
    ///
    /// # Errors
    /// git's.
    pub async fn take_bundle_over(&self, bundle: &Path) -> Result<Fetched, Error> {
        if self.is_own { self.own.fetch_bundle(bundle).await } else { Ok(Fetched::Up) }
    }

    /// Shows the agent the project's branches as they are now, where it has a repository of its own.
    ///
    /// # Errors
    /// git's.
    pub fn refresh(&self) -> Result<(), Error> {
        if self.is_own { self.own.refresh() } else { Ok(()) }
    }

    /// Removes it without losing anything of it, as [`remove_worktree`] does.
    ///
    /// # Errors
    /// git's. Removing it again finishes what was left.
    pub async fn remove(&self, session: &str) -> Result<Removal, Error> {
        self.own.sweep()?;
        if self.is_own {
            return self.own.remove(&self.root, session).await;
        }
        remove_worktree(&self.source, &self.root, session).await
    }

    /// Confirms that git in it works on it and on no other folder. Cheap for one that is `known`
    /// from an earlier call: git is asked only if something changed.
    ///
    /// # Errors
    /// [`Error::Astray`] with the command that fixes it; git's own.
    pub async fn confirm(&self, known: Option<&Confirmed>) -> Result<Confirmed, Error> {
        confirm(&self.root, self.linked_to(), known).await
    }

    /// Whether nothing that a killed git or worker leaves behind is in it: a few looks at files, where
    /// [`make`](Self::make) may start git several times. False when in doubt.
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
        let made = checkout.make("jwt-login", &lab.programs(), Repository::Projects).await.unwrap();
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
        // What merges keep in folders of such a name is no session's.
        for folder in ["26-11-20-jwt-login", "_merge"] {
            std::fs::create_dir_all(project.sessions.join(folder)).unwrap();
            std::fs::create_dir_all(project.worktrees.join(folder)).unwrap();
        }
        assert_eq!(Checkout::of_all_sessions(&project), [checkout]);
    }
}
