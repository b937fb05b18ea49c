//! Commits that are taken over while the agent runs.

use super::*;

/// What the agent's own git puts into a bundle: the commits of its branch since `base`.
fn bundle(bench: &Bench, tree: &Path, base: &str) -> PathBuf {
    let file = bench.lab.root().join(format!("{}.bundle", uuid::Uuid::new_v4().simple()));
    let name = file.display().to_string();
    git(tree, &["bundle", "create", &name, "refs/heads/jwt", &format!("^{base}")]);
    file
}

#[tokio::test]
async fn commits_reach_the_project_by_a_bundle_and_nothing_of_the_agents_repository_is_read() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    let base = bench.branch();
    let tip = bench.commit(&tree, "a");
    let first = bundle(&bench, &tree, &base);
    // What git would fail on, or run.
    std::fs::write(bench.own().join("config"), "[core\nfsmonitor = touch /nowhere").unwrap();
    assert_eq!(bench.checkout().take_bundle_over(&first).await.unwrap(), Fetched::Up);
    assert_eq!(bench.branch(), tip);
    // The end of the run finds it as after any other.
    assert_eq!(bench.take_over().await, Fetched::Up);
    let next = bench.commit(&tree, "b");
    let second = bundle(&bench, &tree, &base);
    assert_eq!(bench.checkout().take_bundle_over(&second).await.unwrap(), Fetched::Up);
    assert_eq!(bench.checkout().take_bundle_over(&second).await.unwrap(), Fetched::Up);
    assert_eq!((bench.branch(), bench.take_over().await), (next, Fetched::Up));
}

#[tokio::test]
async fn a_branch_that_a_human_moved_is_left_to_them_and_what_is_no_bundle_changes_nothing() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    let base = bench.branch();
    bench.commit(&tree, "a");
    let made = bundle(&bench, &tree, &base);
    let broken = bench.lab.root().join("broken.bundle");
    std::fs::write(&broken, "# v2 git bundle\n").unwrap();
    assert!(bench.checkout().take_bundle_over(&broken).await.is_err());
    assert_eq!(bench.branch(), base);
    let theirs = bench.lab.git(&["commit-tree", "-p", "main", "-m", "Theirs", "main^{tree}"]);
    bench.lab.git(&["branch", "-f", "jwt", &theirs]);
    let taken = bench.checkout().take_bundle_over(&made).await.unwrap();
    assert!(matches!(taken, Fetched::Aside { .. }), "{taken:?}");
    assert_eq!(bench.branch(), theirs);
}
