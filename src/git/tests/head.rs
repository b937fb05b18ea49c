//! HEAD on another branch than the session's, or on none.

use super::*;

async fn look(lab: &Lab) -> Option<crate::session::Elsewhere> {
    elsewhere(&lab.path("t"), "t").await.unwrap()
}

#[tokio::test]
async fn head_on_another_branch_is_found_with_what_the_sessions_branch_lacks() {
    let lab = Lab::new();
    lab.create("t").await.unwrap();
    let path = lab.path("t");
    assert_eq!(look(&lab).await, None);
    git(&path, &["checkout", "--quiet", "-b", "other"]);
    assert_eq!(look(&lab).await.unwrap().lacking, Some(0));
    commit(&path, "work", "done\n");
    let found = look(&lab).await.unwrap();
    assert_eq!((found.on.as_deref(), found.lacking), (Some("other"), Some(1)));
    assert_eq!(found.kept, None, "a branch keeps them");
    for words in found.remedy() {
        git(&path, &words.split(' ').collect::<Vec<_>>());
    }
    assert_eq!(look(&lab).await, None);
    assert_eq!(commits_of(&path, "t", "main").unwrap(), 1);

    git(&path, &["branch", "-m", "renamed"]);
    let found = look(&lab).await.unwrap();
    assert_eq!((found.on.as_deref(), found.lacking), (Some("renamed"), None));
    assert_eq!(commits_of(&path, "t", "main").unwrap(), 0);
    for words in found.remedy() {
        git(&path, &words.split(' ').collect::<Vec<_>>());
    }
    assert_eq!(look(&lab).await, None);
}

#[tokio::test]
async fn a_branch_that_was_deleted_under_head_is_kept_with_its_commits() {
    for pack in [false, true] {
        let lab = Lab::new();
        lab.create("t").await.unwrap();
        let path = lab.path("t");
        commit(&path, "work", "done\n");
        let tip = git(&path, &["rev-parse", "HEAD"]);
        if pack {
            git(&path, &["pack-refs", "--all"]);
        }
        assert_eq!(look(&lab).await, None, "packed: {pack}");
        git(&path, &["update-ref", "-d", "refs/heads/t"]);
        let found = look(&lab).await.unwrap();
        assert!(found.has_work() && found.describe().contains("is gone or"), "{found:?}");
        assert_eq!(git(&path, &["rev-parse", found.kept.as_ref().unwrap()]), tip);
        for words in found.remedy() {
            git(&path, &words.split(' ').collect::<Vec<_>>());
        }
        assert_eq!(look(&lab).await, None);
        assert_eq!(git(&path, &["status", "--porcelain"]), "");
    }
}

#[tokio::test]
async fn head_is_compared_where_the_history_is_shallow() {
    let lab = Lab::cloned();
    let (root, url) = (lab.root(), format!("file://{}", lab.root().join("upstream").display()));
    std::fs::remove_dir_all(&lab.repo).unwrap();
    git(&root, &["clone", "--quiet", "--depth", "1", &url, "repo"]);
    lab.configure();
    let created = lab.create("t").await.unwrap();
    let path = lab.path("t");
    git(&path, &["checkout", "--quiet", "-b", "other"]);
    commit(&path, "work", "done\n");
    let found = look(&lab).await.unwrap();
    assert_eq!((found.on.as_deref(), found.lacking), (Some("other"), Some(1)));
    assert_eq!(commits_of(&path, "other", created.base().unwrap()).unwrap(), 1);
}

#[tokio::test]
async fn a_branch_that_only_names_another_is_made_a_branch_again() {
    let lab = Lab::new();
    lab.create("t").await.unwrap();
    let path = lab.path("t");
    // Its commits would be made on the other.
    git(&path, &["symbolic-ref", "refs/heads/t", "refs/heads/main"]);
    commit(&path, "work", "done\n");
    let tip = git(&path, &["rev-parse", "HEAD"]);
    let found = look(&lab).await.unwrap();
    assert!(found.has_work() && found.describe().contains("names another"), "{found:?}");
    for words in found.remedy() {
        git(&path, &words.split(' ').collect::<Vec<_>>());
    }
    assert_eq!(look(&lab).await, None);
    assert_eq!(git(&path, &["rev-parse", "refs/heads/t"]), tip);
    // A loop names no commit at all.
    git(&path, &["symbolic-ref", "refs/heads/t", "refs/heads/t"]);
    let found = look(&lab).await.unwrap();
    assert_eq!(git(&path, &["rev-parse", found.kept.as_ref().unwrap()]), tip);
}

#[tokio::test]
async fn commits_without_a_common_one_and_an_unfinished_rebase_have_a_remedy_that_works() {
    let lab = Lab::new();
    lab.create("t").await.unwrap();
    let path = lab.path("t");
    commit(&path, "work", "done\n");
    git(&path, &["checkout", "--quiet", "--orphan", "fresh"]);
    git(&path, &["rm", "--quiet", "--cached", "-r", "."]);
    git(&path, &["clean", "--quiet", "-fd"]);
    commit(&path, "more", "of it\n");
    let found = look(&lab).await.unwrap();
    assert!(found.unrelated, "{found:?}");
    for words in found.remedy() {
        let words =
            format!("{words}{}", if words.starts_with("merge") { " --no-edit" } else { "" });
        git(&path, &words.split(' ').collect::<Vec<_>>());
    }
    assert_eq!(look(&lab).await, None);
    assert!(path.join("work").exists() && path.join("more").exists());

    git(&path, &["checkout", "--quiet", "-b", "side", "HEAD~1"]);
    commit(&path, "work", "otherwise\n");
    git(&path, &["checkout", "--quiet", "t"]);
    commit(&path, "work", "another\n");
    assert!(
        !Command::new("git")
            .arg("-C")
            .arg(&path)
            .args(["rebase", "side"])
            .output()
            .unwrap()
            .status
            .success()
    );
    let found = look(&lab).await.unwrap();
    assert!(found.rebasing && found.describe().contains("unfinished rebase"), "{found:?}");
    std::fs::write(path.join("work"), "merged\n").unwrap();
    git(&path, &["add", "work"]);
    for words in found.remedy() {
        let words: Vec<_> = words.split(' ').collect();
        git(&path, &[&["-c", "core.editor=true"], &words[..]].concat());
    }
    assert_eq!(look(&lab).await, None);
}

#[tokio::test]
async fn commits_of_a_detached_head_are_kept_from_gits_cleaning() {
    for options in [&[][..], &["--object-format=sha256"]] {
        let lab = Lab::with(options);
        lab.create("t").await.unwrap();
        let path = lab.path("t");
        git(&path, &["checkout", "--quiet", "--detach"]);
        let found = look(&lab).await.unwrap();
        assert_eq!((found.on, found.lacking, found.kept), (None, Some(0), None));
        commit(&path, "work", "done\n");
        let tip = git(&path, &["rev-parse", "HEAD"]);
        let found = look(&lab).await.unwrap();
        let kept = found.kept.clone().unwrap();
        assert!(kept.starts_with("refs/samocode/kept/t/"), "{kept}");
        assert_eq!((found.lacking, look(&lab).await), (Some(1), Some(found.clone())));
        git(&path, &["checkout", "--quiet", "t"]);
        assert_eq!(look(&lab).await, None);
        git(&path, &["reflog", "expire", "--expire=now", "--all"]);
        git(&path, &["gc", "--quiet", "--prune=now"]);
        assert_eq!(git(&path, &["rev-parse", &kept]), tip);
        for words in found.remedy() {
            git(&path, &words.split(' ').collect::<Vec<_>>());
        }
        assert_eq!(git(&path, &["rev-parse", "t"]), tip);
    }
}

#[tokio::test]
async fn a_branch_without_a_commit_yet_is_not_gone() {
    let lab = Lab::empty(&[]);
    lab.create("t").await.unwrap();
    assert_eq!(look(&lab).await, None);
    commit(&lab.path("t"), "work", "done\n");
    assert_eq!(look(&lab).await, None);
    git(&lab.path("t"), &["update-ref", "-d", "refs/heads/t"]);
    assert!(look(&lab).await.is_some_and(|found| found.has_work() && found.kept.is_some()));
}
