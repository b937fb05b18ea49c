//! Against the real git: everything an agent may do in its own repository, and what becomes of it.

use std::path::PathBuf;

use super::*;
use crate::config::Project;
use crate::git::tests::{Lab, git};
use crate::git::{Checkout, Created, Did, Removal, Repository};
use crate::session::Hint as _;

mod bundle;
mod hostile;
mod trouble;

struct Bench {
    lab: Lab,
    project: Project,
}

impl Bench {
    fn new(lab: Lab) -> Self {
        Self::below(lab, "")
    }

    /// With the project in a folder of the repository.
    fn below(lab: Lab, subfolder: &str) -> Self {
        let root = lab.repo.join(subfolder);
        let config = root.join(".samocode");
        let places = lab.root().display().to_string();
        std::fs::write(
            &config,
            format!("MAIN_REPO=.\nWORKTREES={places}/trees\nSESSIONS={places}/sessions\n"),
        )
        .unwrap();
        let project = Project::read(&config, None).unwrap();
        Self { lab, project }
    }

    fn checkout(&self) -> Checkout {
        Checkout::of_session(&self.project, "26-11-20-jwt")
    }

    async fn make(&self, repository: Repository) -> Created {
        self.checkout().make("jwt", &self.lab.programs(), repository).await.unwrap()
    }

    async fn made(&self) -> PathBuf {
        let made = self.make(Repository::Own).await;
        assert_eq!(made.did, Did::Made);
        assert_eq!(self.checkout().repository(), Repository::Own);
        made.folder
    }

    /// Commits a file in the worktree as an agent does.
    fn commit(&self, tree: &Path, file: &str) -> String {
        std::fs::write(tree.join(file), file).unwrap();
        git(tree, &["add", "--all"]);
        git(tree, &["commit", "--quiet", "-m", file]);
        git(tree, &["rev-parse", "HEAD"])
    }

    async fn take_over(&self) -> Fetched {
        self.checkout().take_over().await.unwrap()
    }

    fn own(&self) -> PathBuf {
        self.lab.root().join("trees/.samocode-repositories/26-11-20-jwt")
    }

    fn branch(&self) -> String {
        self.lab.git(&["rev-parse", "jwt"])
    }
}

#[tokio::test]
async fn a_sessions_commits_are_fetched_and_nothing_else_of_the_project_is_touched() {
    let bench = Bench::new(Lab::new());
    bench.lab.git(&["branch", "other"]);
    let (config, main) = (
        std::fs::read(bench.lab.repo.join(".git/config")).unwrap(),
        bench.lab.git(&["rev-parse", "main"]),
    );
    let tree = bench.made().await;
    assert_eq!(git(&tree, &["rev-parse", "--abbrev-ref", "HEAD"]), "jwt");
    assert_eq!(git(&tree, &["status", "--porcelain"]), "");
    assert_eq!(git(&tree, &["rev-parse", "other"]), main, "it sees the project's branches");
    assert_eq!(git(&tree, &["config", "user.email"]), "t@example.org");
    assert_eq!(bench.branch(), main);

    let tip = bench.commit(&tree, "a");
    git(&tree, &["branch", "-f", "main", "HEAD"]);
    git(&tree, &["branch", "-D", "other"]);
    git(&tree, &["config", "core.fsmonitor", "/bin/false"]);
    git(&tree, &["gc", "--quiet"]);
    assert_eq!(bench.branch(), main, "only after the run");
    assert_eq!(bench.take_over().await, Fetched::Up);
    assert_eq!(bench.branch(), tip);
    assert_eq!(bench.take_over().await, Fetched::Up);
    assert_eq!(bench.lab.git(&["rev-parse", "main"]), main);
    assert_eq!(bench.lab.git(&["rev-parse", "other"]), main);
    assert_eq!(std::fs::read(bench.lab.repo.join(".git/config")).unwrap(), config);
    bench.lab.git(&["fsck", "--strict", "--connectivity-only"]);

    // Before the next run it sees what is there now; an agent may rewrite its own branch.
    bench.lab.commit("news", "n\n");
    bench.checkout().refresh().unwrap();
    assert_eq!(git(&tree, &["rev-parse", "main"]), bench.lab.git(&["rev-parse", "main"]));
    assert_eq!(git(&tree, &["rev-parse", "other"]), main);
    git(&tree, &["commit", "--quiet", "--amend", "-m", "other words"]);
    assert_eq!(bench.take_over().await, Fetched::Up);
    assert_eq!(bench.branch(), git(&tree, &["rev-parse", "HEAD"]));

    let confirmed = bench.checkout().confirm(None).await.unwrap();
    assert_eq!(bench.checkout().confirm(Some(&confirmed)).await.unwrap(), confirmed);
    assert!(bench.checkout().is_whole(Some("jwt")));
    let again = bench.make(Repository::Projects).await;
    assert_eq!((again.did, again.folder), (Did::Nothing, tree), "it keeps its repository");
}

#[tokio::test]
async fn a_session_that_began_with_a_linked_worktree_keeps_it() {
    let bench = Bench::new(Lab::new());
    let tree = bench.make(Repository::Projects).await.folder;
    assert_eq!(bench.make(Repository::Own).await.did, Did::Nothing);
    assert!(!bench.own().exists());
    std::fs::remove_dir_all(&tree).unwrap();
    assert_eq!(bench.make(Repository::Own).await.did, Did::Completed);
    assert_eq!(bench.checkout().repository(), Repository::Projects);
    assert_eq!(bench.take_over().await, Fetched::Up);
}

#[tokio::test]
async fn a_branch_that_a_human_moved_or_checked_out_is_left_alone_and_the_work_is_kept() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    let tip = bench.commit(&tree, "a");
    bench.lab.git(&["switch", "--quiet", "jwt"]);
    let Fetched::Aside { why, remedy } = bench.take_over().await else { panic!("moved") };
    assert!(why.contains("is checked out in"), "{why}");
    assert_eq!(bench.lab.git(&["rev-parse", "refs/samocode/work/jwt"]), tip);
    assert_ne!(bench.branch(), tip);
    assert_eq!(bench.lab.git(&["status", "--porcelain", "-uno"]), "");
    // The command takes it over.
    assert!(
        std::process::Command::new("sh").args(["-c", &remedy]).output().unwrap().status.success()
    );
    assert_eq!(bench.branch(), tip);
    assert_eq!(bench.take_over().await, Fetched::Up);

    // What the agent rewrites meanwhile is no commit of the human's.
    git(&tree, &["commit", "--quiet", "--amend", "-m", "other words"]);
    assert!(matches!(bench.take_over().await, Fetched::Aside { .. }));
    bench.lab.git(&["switch", "--quiet", "main"]);
    assert_eq!(bench.take_over().await, Fetched::Up);
    assert_eq!(bench.branch(), git(&tree, &["rev-parse", "HEAD"]));

    // A commit of the human's own.
    bench.lab.git(&["switch", "--quiet", "jwt"]);
    bench.lab.commit("mine", "m\n");
    bench.lab.git(&["switch", "--quiet", "main"]);
    let mine = bench.branch();
    let theirs = bench.commit(&tree, "b");
    let Fetched::Aside { why, remedy } = bench.take_over().await else { panic!("moved") };
    assert!(why.contains("has commits"), "{why}");
    assert_eq!(
        (bench.branch(), bench.lab.git(&["rev-parse", "refs/samocode/work/jwt"])),
        (mine, theirs)
    );
    assert!(
        std::process::Command::new("sh").args(["-c", &remedy]).output().unwrap().status.success()
    );
    assert_eq!(bench.take_over().await, Fetched::Up);
    assert_eq!(bench.branch(), git(&tree, &["rev-parse", "HEAD"]));
}

#[tokio::test]
async fn nothing_is_lost_when_it_is_removed_and_it_can_be_made_again() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    let tip = bench.commit(&tree, "a");
    let reset = bench.commit(&tree, "undone");
    git(&tree, &["reset", "--quiet", "--hard", "HEAD~1"]);
    git(&tree, &["switch", "--quiet", "-c", "side"]);
    let side = bench.commit(&tree, "side");
    git(&tree, &["tag", "v1"]);
    git(&tree, &["switch", "--quiet", "jwt"]);
    for stash in ["one", "two"] {
        std::fs::write(tree.join("README"), stash).unwrap();
        git(&tree, &["stash", "--quiet"]);
    }
    std::fs::write(tree.join("uncommitted"), "u").unwrap();
    let Removal::Removed(Some(saved)) = bench.checkout().remove("jwt").await.unwrap() else {
        panic!("nothing was saved")
    };
    assert!(!tree.exists() && !bench.own().exists());
    let of_main = |name: &str| bench.lab.git(&["rev-parse", name]);
    assert_eq!((of_main("jwt"), of_main("side"), of_main("v1")), (tip, side.clone(), side));
    assert_eq!(bench.lab.git(&["show", &format!("{}:uncommitted", saved.reference)]), "u");
    assert_eq!(bench.lab.git(&["branch", "--all", "--contains", &reset]), "");
    bench.lab.git(&["merge-base", "--is-ancestor", &reset, &saved.reference]);
    for (number, text) in [(0, "two"), (1, "one")] {
        let stash = format!("refs/samocode/kept/jwt/stash-{number}:README");
        assert_eq!(bench.lab.git(&["show", &stash]), text);
    }
    let left = bench.lab.git(&[
        "for-each-ref",
        "refs/samocode/work",
        "refs/samocode/base",
        "refs/samocode/moved",
    ]);
    assert_eq!(left, "", "its branch has all of it");
    let left: Vec<_> = std::fs::read_dir(bench.own().parent().unwrap()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    bench.lab.git(&["gc", "--quiet", "--prune=now"]);
    bench.lab.git(&["fsck", "--strict"]);
    assert_eq!(bench.checkout().remove("jwt").await.unwrap(), Removal::Absent);

    let again = bench.made().await;
    let back = crate::git::bring_back(&again, "jwt").await.unwrap();
    assert_eq!(back.as_ref(), Some(&saved.reference));
    assert_eq!(std::fs::read_to_string(again.join("uncommitted")).unwrap(), "u");
}

#[tokio::test]
async fn a_removal_that_was_killed_is_finished_by_the_next() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    let tip = bench.commit(&tree, "a");
    let own = bench.own();
    // As killed after the worktree was removed.
    let removed = crate::git::remove_worktree(&own, &tree, "jwt").await.unwrap();
    assert_eq!(removed, Removal::Removed(None));
    assert!(own.exists() && bench.branch() != tip);
    assert_eq!(bench.checkout().remove("jwt").await.unwrap(), Removal::Absent);
    assert_eq!(bench.branch(), tip);
    assert!(!own.exists());
    // As killed while it was deleted.
    let aside = own.with_file_name("26-11-20-jwt.removed");
    std::fs::create_dir(&aside).unwrap();
    std::fs::create_dir(own.with_file_name("26-11-20-jwt.kept")).unwrap();
    assert_eq!(bench.checkout().remove("jwt").await.unwrap(), Removal::Absent);
    assert_eq!(std::fs::read_dir(own.parent().unwrap()).unwrap().count(), 0);
}

#[tokio::test]
async fn it_is_made_again_after_a_death_at_any_step() {
    for step in ["kept", "branch", "making", "no worktree"] {
        let bench = Bench::new(Lab::new());
        let own = bench.own();
        let kept = own.with_file_name("26-11-20-jwt.kept");
        match step {
            "kept" => std::fs::create_dir_all(kept.join("hooks")).unwrap(),
            "branch" => {
                bench.lab.git(&["update-ref", "refs/samocode/work/jwt", "main"]);
                bench.lab.git(&["branch", "jwt"]);
            }
            "making" => {
                let making = own.with_file_name("26-11-20-jwt.making");
                std::fs::create_dir_all(making.join("objects")).unwrap();
                bench.lab.git(&["branch", "jwt"]);
            }
            _ => {
                let tree = bench.made().await;
                std::fs::remove_dir_all(tree).unwrap();
            }
        }
        let made = bench.make(Repository::Own).await;
        let tip = bench.commit(&made.folder, step);
        assert_eq!(bench.take_over().await, Fetched::Up, "{step}");
        assert_eq!(bench.branch(), tip, "{step}");
    }
}

#[tokio::test]
async fn a_worktree_that_somebody_deleted_is_made_again_with_what_was_committed() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    let tip = bench.commit(&tree, "a");
    std::fs::remove_dir_all(&tree).unwrap();
    bench.make(Repository::Own).await;
    assert_eq!(git(&tree, &["rev-parse", "HEAD"]), tip);
    assert_eq!(bench.take_over().await, Fetched::Up);
    assert_eq!(bench.branch(), tip);
}

#[tokio::test]
async fn a_session_finds_its_worktree_where_a_project_was_moved_with_all_that_is_in_it() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    let tip = bench.commit(&tree, "a");
    std::fs::write(tree.join("draft"), "not yet committed").unwrap();
    let (old, new) = (bench.lab.repo.clone(), bench.lab.root().join("moved"));
    std::fs::rename(&old, &new).unwrap();
    std::fs::rename(bench.lab.root().join("trees"), bench.lab.root().join("moved-trees")).unwrap();
    let config = new.join(".samocode");
    std::fs::write(&config, "MAIN_REPO=.\nWORKTREES=../moved-trees\nSESSIONS=../sessions\n")
        .unwrap();
    let project = Project::read(&config, None).unwrap();
    let checkout = Checkout::of_session(&project, "26-11-20-jwt");
    let made = checkout.make("jwt", &bench.lab.programs(), Repository::Own).await.unwrap();
    assert_eq!((made.did, made.working_dir.as_path()), (Did::Nothing, checkout.root()));
    assert_eq!(git(checkout.root(), &["rev-parse", "HEAD"]), tip);
    assert_eq!(git(checkout.root(), &["status", "--porcelain"]), "?? draft");
    checkout.confirm(None).await.unwrap();
    checkout.take_over().await.unwrap();
    assert_eq!(git(&new, &["rev-parse", "jwt"]), tip);
}

#[tokio::test]
async fn a_project_in_a_folder_of_its_repository_works_in_that_folder() {
    let lab = Lab::new();
    lab.commit("sub/file", "x\n");
    let bench = Bench::below(lab, "sub");
    let made = bench.make(Repository::Own).await;
    assert_eq!(made.working_dir, made.folder.join("sub"));
    assert!(made.working_dir.join("file").exists());
}

#[tokio::test]
async fn a_repository_whose_objects_cannot_be_shared_gets_a_linked_worktree_and_says_why() {
    for (kind, why) in [
        ("shallow", "shallow"),
        ("partial", "partial"),
        ("promised", "partial"),
        ("borrows", "another"),
    ] {
        let lab = Lab::new();
        lab.commit("b", "b\n");
        match kind {
            "shallow" => {
                let first = lab.git(&["rev-parse", "HEAD~1"]);
                std::fs::write(lab.repo.join(".git/shallow"), format!("{first}\n")).unwrap();
            }
            "promised" => {
                std::fs::write(lab.repo.join(".git/objects/pack/pack-1.promisor"), "").unwrap();
            }
            "partial" => drop(lab.git(&["config", "extensions.partialClone", "origin"])),
            _ => {
                let path = lab.repo.join(".git/objects/info/alternates");
                std::fs::write(path, "/nowhere\n").unwrap();
            }
        }
        let bench = Bench::new(lab);
        let made = bench.make(Repository::Own).await;
        assert_eq!(bench.checkout().repository(), Repository::Projects);
        let said = made.notes.iter().any(|note| note.contains(why));
        assert!(said, "{kind}: {:?}", made.notes);
    }
}

#[tokio::test]
async fn a_clone_with_a_remote_starts_from_what_is_there_now_and_keeps_no_password() {
    let lab = Lab::new();
    let root = lab.root();
    std::fs::rename(&lab.repo, root.join("upstream")).unwrap();
    git(&root, &["clone", "--quiet", "upstream", "repo"]);
    for (key, value) in [("user.name", "T"), ("user.email", "t@example.org")] {
        git(&lab.repo, &["config", key, value]);
    }
    git(&lab.repo, &["config", "remote.origin.pushurl", "https://me:s3cret@example.org/x"]);
    std::fs::write(root.join("upstream/NEWS"), "fresh\n").unwrap();
    let upstream = root.join("upstream");
    git(&upstream, &["add", "--all"]);
    git(&upstream, &["-c", "user.name=T", "-c", "user.email=t@x", "commit", "-qm", "news"]);
    let bench = Bench::new(lab);
    let tree = bench.made().await;
    assert!(tree.join("NEWS").exists(), "it was fetched first");
    assert_eq!(git(&tree, &["rev-parse", "--abbrev-ref", "origin/HEAD"]), "origin/main");
    let config = std::fs::read_to_string(bench.own().join("config")).unwrap();
    assert!(config.contains("https://example.org/x") && !config.contains("s3cret"), "{config}");
    git(&tree, &["fetch", "--quiet", "origin"]);
}

#[tokio::test]
async fn large_files_of_lfs_reach_the_projects_repository_unless_they_are_something_else() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    // The digest of "large\n".
    let name = "9f1b0e0fd5a6f0bcf4a0b2c4a0c7d0b7a8c7e0d0e3b1b8a9c0d1e2f3a4b5c6d7";
    let digest = ring::digest::digest(&ring::digest::SHA256, b"large\n");
    let real: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    for name in [name, &real] {
        let folder = bench.own().join("lfs/objects").join(&name[..2]).join(&name[2..4]);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), "large\n").unwrap();
    }
    bench.commit(&tree, "a");
    assert_eq!(bench.take_over().await, Fetched::Up);
    let place = |name: &str| {
        let all = bench.lab.repo.join(".git/lfs/objects");
        all.join(&name[..2]).join(&name[2..4]).join(name)
    };
    assert_eq!(std::fs::read_to_string(place(&real)).unwrap(), "large\n");
    assert!(!place(name).exists());
}
