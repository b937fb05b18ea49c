//! What a plan says of all kinds of repositories and places.

use super::*;

#[tokio::test]
async fn a_folder_in_no_repository_is_used_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let planned = plan(folder.path(), "a", &folder.path().join("wt")).unwrap();
    assert!(matches!(&planned, Plan::Plain { .. }));
    let created = create(&planned, &Programs::of(folder.path())).await.unwrap();
    assert_eq!(
        (created.working_dir, created.branch),
        (folder.path().canonicalize().unwrap(), None)
    );
    assert!(!folder.path().join("wt").exists());
    assert_eq!(root(folder.path()).unwrap(), None);
    assert!(matches!(
        plan(&folder.path().join("gone"), "a", Path::new("/x")),
        Err(Error::Io { .. })
    ));
}

#[tokio::test]
async fn a_folder_inside_the_repository_is_worked_on_inside_the_worktree() {
    let lab = Lab::new();
    std::fs::create_dir_all(lab.repo.join("apps/web")).unwrap();
    let web = lab.repo.join("apps/web");
    assert!(
        matches!(plan(&web, "a", &lab.path("a")).unwrap(), Plan::Plain { .. }),
        "nothing tracked there"
    );
    lab.commit("apps/web/index", "x");
    let created = create(&plan(&web, "a", &lab.path("a")).unwrap(), &lab.programs()).await.unwrap();
    assert_eq!(
        (created.folder, created.working_dir),
        (lab.path("a"), lab.path("a").join("apps/web"))
    );
}

#[tokio::test]
async fn bare_repositories_get_worktrees_too() {
    let lab = Lab::cloned();
    git(&lab.root(), &["clone", "--quiet", "--bare", "upstream", "bare.git"]);
    let bare = lab.root().join("bare.git");
    let planned = plan(&bare, "a", &lab.path("a")).unwrap();
    create(&planned, &lab.programs()).await.unwrap();
    assert!(lab.path("a").join("NEWS").exists());
    assert_eq!(
        create(&plan(&bare, "a", &lab.path("a")).unwrap(), &lab.programs()).await.unwrap().did,
        Did::Nothing
    );
}

#[tokio::test]
async fn a_branch_in_use_elsewhere_is_refused_with_the_place() {
    let lab = Lab::new();
    git(&lab.repo, &["switch", "--quiet", "--create", "mine"]);
    let error = lab.plan("mine").unwrap_err().in_one_line();
    assert!(error.contains(&format!("checked out in {}", lab.repo.display())), "{error}");
    assert!(!error.contains("worktree remove"), "git removes no main working tree: {error}");
    lab.create("a").await.unwrap();
    let error = plan(&lab.repo, "a", &lab.path("other")).unwrap_err().in_one_line();
    assert!(error.contains(&format!("checked out in {}", lab.path("a").display())), "{error}");
    assert!(error.contains("git worktree remove"), "{error}");
}

#[tokio::test]
async fn the_branch_that_all_begin_from_is_nobodys() {
    let lab = Lab::cloned();
    git(&lab.root(), &["clone", "--quiet", "--bare", "upstream", "bare.git"]);
    git(&lab.repo, &["switch", "--quiet", "--detach"]);
    let unborn = lab.root().join("unborn");
    git(&lab.root(), &["init", "--quiet", "--initial-branch=main", "unborn"]);
    for repo in [&lab.repo, &lab.root().join("bare.git"), &unborn] {
        let planned = plan(repo, "main", &lab.path("main"));
        assert!(matches!(planned, Err(Error::BaseBranch(name)) if name == "main"), "{repo:?}");
        plan(repo, "main2", &lab.path("main2")).unwrap();
    }
    // One that has had it from the start continues.
    let at = lab.path("main");
    git(&lab.repo, &["worktree", "add", "--quiet", at.to_str().unwrap(), "main"]);
    plan(&lab.repo, "main", &at).unwrap();
}

#[test]
fn names_git_cannot_take_are_refused() {
    let lab = Lab::new();
    for name in ["", "a b", "-x", "a..b", "HEAD", "a.lock", "/a", "a~1"] {
        assert!(matches!(lab.plan(name), Err(Error::BadBranch(_))), "{name}");
    }
    lab.git(&["branch", "feat"]);
    lab.git(&["branch", "deep/er/still"]);
    let collides = |name: &str| match lab.plan(name) {
        Err(Error::BranchCollides { existing, .. }) => existing,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(collides("feat/x"), "feat");
    assert_eq!(collides("deep/er"), "deep/er/still");
    assert!(lab.plan("deep/other").is_ok());
}

#[tokio::test]
async fn a_file_that_is_no_branch_but_where_one_would_be_is_named() {
    let lab = Lab::new();
    let heads = lab.repo.join(".git/refs/heads");
    std::fs::create_dir_all(heads.join("a/b")).unwrap();
    assert!(lab.plan("a").is_ok(), "git removes empty folders");
    for (file, name) in [("a/b/lock", "a"), ("c", "c/d/e")] {
        std::fs::write(heads.join(file), "junk").unwrap();
        let error = lab.plan(name).unwrap_err();
        assert!(matches!(error, Error::BranchBlocked { .. }) && error.is_about_name());
        let said = error.in_one_line();
        assert!(said.contains(&format!("cannot create branch '{name}': ")), "{said}");
        assert!(said.contains(&format!("mv {} ", heads.join(file).display())), "{said}");
        std::fs::remove_file(heads.join(file)).unwrap();
        assert!(lab.plan(name).is_ok());
    }
    // One that comes between looking and making.
    let planned = lab.plan("a").unwrap();
    std::fs::write(heads.join("a/lock"), "junk").unwrap();
    let error = create(&planned, &lab.programs()).await.unwrap_err().in_one_line();
    assert!(error.contains("refs/heads/a/lock"), "{error}");
}

#[tokio::test]
async fn what_is_in_the_way_is_named_and_left_alone() {
    let lab = Lab::new();
    let path = lab.path("a");
    let refused = |what: &str| {
        let error = lab.plan("a").unwrap_err().in_one_line();
        assert!(error.contains(what) && error.contains(path.to_str().unwrap()), "{error}");
    };
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "a file").unwrap();
    refused("it is a file");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("notes"), "mine").unwrap();
    refused("not empty");
    std::fs::remove_dir_all(&path).unwrap();
    let other = Lab::new();
    git(&other.repo, &["worktree", "add", "-q", "-b", "a", path.to_str().unwrap()]);
    refused("worktree of another repository");
    std::fs::remove_dir_all(&path).unwrap();
    git(&lab.root(), &["clone", "-q", "repo", path.to_str().unwrap()]);
    refused("a separate repository");
    std::fs::remove_dir_all(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    lab.create("a").await.unwrap();
    assert_healthy(&lab, "a").await;
}

#[tokio::test]
async fn repositories_libgit2_cannot_read_are_read_by_git() {
    for option in ["--object-format=sha256", "--ref-format=reftable"] {
        if option.contains("reftable")
            && version().unwrap() < (Version { major: 2, minor: 45, patch: 0 })
        {
            // An older git neither makes nor meets such a repository.
            continue;
        }
        let lab = Lab::with(&[option]);
        assert!(
            git2::Repository::open(&lab.repo).and_then(|repo| repo.head().map(drop)).is_err(),
            "{option}: then this tests nothing"
        );
        assert!(
            matches!(start_of(lab.plan("feat/x").unwrap()), Start::New(base) if base.name == "main")
        );
        assert!(matches!(lab.plan("main"), Err(Error::BaseBranch(_))));
        lab.git(&["branch", "taken"]);
        assert!(matches!(lab.plan("taken/x"), Err(Error::BranchCollides { .. })));
        lab.git(&["branch", "-D", "taken"]);
        assert_eq!(lab.create("feat/x").await.unwrap().did, Did::Made);
        commit(&lab.path("feat/x"), "more", "more");
        assert_healthy(&lab, "feat/x").await;
        assert_eq!(commits_of(&lab.path("feat/x"), "feat/x", "main").unwrap(), 1);
        assert_eq!(default_branch(&lab.repo).unwrap().as_deref(), Some("main"));
        let unborn = Lab::empty(&[option]);
        assert_eq!(start_of(unborn.plan("a").unwrap()), Start::Orphan);
    }
}

#[test]
fn a_branch_whose_commit_is_gone_is_damage_and_not_a_repository_without_a_commit() {
    for options in [&[][..], &["--object-format=sha256"]] {
        let lab = Lab::with(options);
        std::fs::remove_dir_all(lab.repo.join(".git/objects")).unwrap();
        std::fs::create_dir(lab.repo.join(".git/objects")).unwrap();
        let said = lab.plan("a").unwrap_err().in_one_line();
        assert!(said.contains(&lab.repo.display().to_string()), "{options:?}: {said}");
        let default = default_branch(&lab.repo);
        assert!(default.is_err(), "{options:?}: {default:?}");
        if options.is_empty() {
            assert!(said.contains("refs/heads/main does not point to a commit"), "{said}");
            assert!(said.contains(" fsck"), "{said}");
        }
    }
}

#[test]
fn what_is_left_of_a_repository_is_not_taken_for_a_folder_without_one() {
    let breaks: [fn(&Path); 3] = [
        |git| std::fs::remove_file(git.join("HEAD")).unwrap(),
        |git| std::fs::write(git.join("HEAD"), "").unwrap(),
        |git| {
            std::fs::remove_dir_all(git).unwrap();
            std::fs::create_dir(git).unwrap();
        },
    ];
    for (at, damage) in breaks.into_iter().enumerate() {
        let lab = Lab::new();
        damage(&lab.repo.join(".git"));
        for found in [lab.plan("a").map(drop), root(&lab.repo).map(drop)] {
            assert!(matches!(found, Err(Error::NoRepository { .. })), "{at}: {found:?}");
        }
    }
}
