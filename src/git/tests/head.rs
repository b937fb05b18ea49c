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
async fn an_orphan_branch_is_merged_by_the_command_that_is_named() {
    for options in [&[][..], &["--object-format=sha256"]] {
        let lab = Lab::with(options);
        lab.create("t").await.unwrap();
        let path = lab.path("t");
        commit(&path, "first", "done\n");
        git(&path, &["checkout", "--quiet", "--orphan", "other"]);
        git(&path, &["rm", "-rfq", "."]);
        commit(&path, "work", "done\n");
        let tip = git(&path, &["rev-parse", "HEAD"]);
        let found = look(&lab).await.unwrap();
        assert!(found.unrelated && found.has_work(), "{found:?}");
        for words in found.remedy() {
            git(&path, &words.split(' ').collect::<Vec<_>>());
        }
        assert_eq!(look(&lab).await, None);
        git(&path, &["merge-base", "--is-ancestor", tip.trim(), "t"]);
    }
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
