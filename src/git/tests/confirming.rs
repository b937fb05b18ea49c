//! Settings and links that send git in a worktree to another folder.

use super::*;
use crate::git::leftovers::look;

fn configure(lab: &Lab, worktree: &str) {
    lab.git(&["config", "core.worktree", worktree]);
    lab.git(&["config", "extensions.worktreeConfig", "true"]);
}

fn said(result: Result<impl std::fmt::Debug, Error>) -> String {
    match result {
        Err(error @ Error::Astray { .. }) => error.in_one_line(),
        other => panic!("{other:?}"),
    }
}

/// Runs the command at the end of a message, as someone who pastes it would.
fn paste(said: &str) {
    let start = said.find("git config").or_else(|| said.find("mv ")).unwrap();
    let done = Command::new("sh").arg("-c").arg(&said[start..]).status().unwrap();
    assert!(done.success(), "{said}");
}

async fn confirmed(lab: &Lab, known: Option<&Confirmed>) -> Result<Confirmed, Error> {
    super::confirm::confirm(&lab.path("a"), &lab.repo, known).await
}

#[tokio::test]
async fn a_working_tree_in_the_shared_settings_is_refused_with_the_command_that_moves_it() {
    let lab = Lab::new();
    std::fs::write(lab.repo.join("README"), "edited by a human\n").unwrap();
    // Its own path, as repaired clones have it, or another folder.
    let elsewhere = lab.root().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    for (branch, there) in [("own", &lab.repo), ("other", &elsewhere)] {
        configure(&lab, there.to_str().unwrap());
        let refused = said(lab.create(branch).await);
        assert!(
            refused.contains(&format!("works on {}", there.display()))
                && refused.contains("extensions.worktreeConfig makes core.worktree"),
            "{refused}"
        );
        let found = check(&lab.repo).await.unwrap();
        assert!(found.iter().any(|f| f.severity == Severity::Blocking), "{found:?}");
        assert!(found[0].what.contains("would work on another folder"), "{found:?}");
        paste(&refused);
        lab.create(branch).await.unwrap();
        assert_eq!(head(&lab.path(branch)).unwrap().branch.as_deref(), Some(branch));
        assert_eq!(check(&lab.repo).await.unwrap(), []);
    }
    let human = std::fs::read_to_string(lab.repo.join("README")).unwrap();
    assert_eq!(human, "edited by a human\n");
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[tokio::test]
async fn where_the_working_tree_is_a_folder_around_the_repository_a_session_has_its_own() {
    let lab = Lab::new();
    lab.git(&["config", "core.worktree", lab.root().to_str().unwrap()]);
    let made = lab.create("a").await.unwrap();
    assert_eq!(made.working_dir, lab.path("a"), "{made:?}");
    assert!(lab.path("a").join("README").exists());
    assert_eq!(root(&lab.repo).unwrap(), Some(lab.repo.clone()));
    confirmed(&lab, None).await.unwrap();
}

#[tokio::test]
async fn an_interrupted_creation_is_not_completed_in_somebody_elses_folder() {
    let lab = Lab::new();
    let made = lab.create("a").await.unwrap();
    let admin = lab.repo.join(".git/worktrees/a");
    std::fs::remove_file(admin.join("index")).unwrap();
    std::fs::write(admin.join("locked"), OUR_LOCK).unwrap();
    std::fs::write(lab.repo.join("README"), "edited by a human\n").unwrap();
    configure(&lab, lab.repo.to_str().unwrap());
    said(lab.create("a").await);
    let human = std::fs::read_to_string(lab.repo.join("README")).unwrap();
    assert_eq!(human, "edited by a human\n");
    assert!(made.folder.is_dir());
}

#[tokio::test]
async fn a_bare_repository_with_settings_for_each_worktree_is_refused_with_its_remedy() {
    let lab = Lab::new();
    lab.create("a").await.unwrap();
    lab.git(&["config", "extensions.worktreeConfig", "true"]);
    confirmed(&lab, None).await.unwrap();
    lab.git(&["config", "core.bare", "true"]);
    let refused = said(confirmed(&lab, None).await);
    assert!(refused.contains("makes core.bare = true"), "{refused}");
    paste(&refused);
    confirmed(&lab, None).await.unwrap();
}

#[tokio::test]
async fn what_changes_between_two_runs_is_noticed_and_what_stays_costs_no_git() {
    let lab = Lab::new();
    lab.create("a").await.unwrap();
    let first = confirmed(&lab, None).await.unwrap();
    assert_eq!(confirmed(&lab, Some(&first)).await.unwrap(), first);
    lab.git(&["config", "extensions.worktreeConfig", "true"]);
    let own = lab.repo.join(".git/worktrees/a/config.worktree");
    std::fs::write(&own, "[core]\n\tWorkTree = /tmp\n").unwrap();
    let refused = said(confirmed(&lab, Some(&first)).await);
    assert!(refused.contains("works on /tmp") && refused.contains("config.worktree is /tmp"));
    paste(&refused);
    confirmed(&lab, Some(&first)).await.unwrap();
}

#[tokio::test]
async fn a_worktree_that_is_a_link_is_removed_and_not_what_it_leads_to() {
    let lab = Lab::new();
    lab.create("a").await.unwrap();
    let path = lab.path("a");
    std::fs::rename(&path, lab.root().join("aside")).unwrap();
    std::os::unix::fs::symlink(&lab.repo, &path).unwrap();
    let refused = said(confirmed(&lab, None).await);
    assert!(refused.contains(&format!("a link to {}", lab.repo.display())), "{refused}");
    let command = refused.split(": ").last().unwrap();
    assert_eq!(command, format!("rm {}", path.display()));
    let done = Command::new("sh").arg("-c").arg(command).status().unwrap();
    assert!(done.success() && lab.repo.join(".git/HEAD").is_file());
    lab.create("a").await.unwrap();
    confirmed(&lab, None).await.unwrap();
}

#[tokio::test]
async fn a_link_that_was_replaced_is_refused_whatever_it_is_now() {
    let lab = Lab::new();
    lab.create("a").await.unwrap();
    let gitfile = lab.path("a").join(".git");
    let right = std::fs::read(&gitfile).unwrap();
    let other = Lab::new();
    other.create("a").await.unwrap();
    type Change<'a> = Box<dyn Fn() + 'a>;
    let fifo = |path: &Path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let changes: [(&str, Change<'_>); 5] = [
        (
            "a repository of its own",
            Box::new(|| drop(git(&lab.path("a"), &["init", "--quiet", "."]))),
        ),
        (
            "not a regular file",
            Box::new(|| std::os::unix::fs::symlink("/etc/passwd", &gitfile).unwrap()),
        ),
        ("not a regular file", Box::new(|| fifo(&gitfile))),
        ("does not name a repository", Box::new(|| std::fs::write(&gitfile, "hello").unwrap())),
        (
            "its .git names",
            Box::new(|| {
                std::fs::copy(other.path("a").join(".git"), &gitfile).unwrap();
            }),
        ),
    ];
    for (what, change) in changes {
        std::fs::remove_file(&gitfile).unwrap();
        change();
        // Nobody waits for a writer.
        drop(look(&lab.path("a")));
        let refused = said(confirmed(&lab, None).await);
        assert!(refused.contains(what), "{refused}");
        paste(&refused);
        confirmed(&lab, None).await.unwrap();
        assert_eq!(std::fs::read(&gitfile).unwrap(), right);
        let aside = lab.path("a").join(".git.aside");
        let _ = std::fs::remove_file(&aside).or_else(|_| std::fs::remove_dir_all(&aside));
    }
    let head = lab.repo.join(".git/worktrees/a/HEAD");
    std::fs::rename(&head, head.with_extension("kept")).unwrap();
    fifo(&head);
    let refused = said(confirmed(&lab, None).await);
    assert!(refused.contains("HEAD is not a regular file"), "{refused}");
}

#[tokio::test]
async fn the_worktree_of_a_repository_that_was_moved_is_repaired_by_one_command() {
    let lab = Lab::new();
    lab.create("a").await.unwrap();
    let known = confirmed(&lab, None).await.unwrap();
    let moved = lab.root().join("moved");
    std::fs::rename(&lab.repo, &moved).unwrap();
    let gone = said(confirmed(&lab, Some(&known)).await);
    assert!(gone.contains("does not exist: move it back, or set MAIN_REPO"), "{gone}");

    let refused = said(super::confirm::confirm(&lab.path("a"), &moved, None).await);
    let (_, repair) = refused.split_once("or now: ").expect(&refused);
    assert!(Command::new("sh").args(["-c", repair]).status().unwrap().success(), "{refused}");
    super::confirm::confirm(&lab.path("a"), &moved, None).await.unwrap();
}
