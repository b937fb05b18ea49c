//! What keeps a session's commits from the project's repository is named, and they get there later.

use super::*;

#[tokio::test]
async fn a_repository_that_was_moved_away_is_named() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    let tip = bench.commit(&tree, "a");
    let away = bench.lab.root().join("away");
    std::fs::rename(&bench.lab.repo, &away).unwrap();
    let why = bench.checkout().take_over().await.unwrap_err();
    assert!(why.to_string().contains("there is no repository in"), "{why}");
    std::fs::rename(&away, &bench.lab.repo).unwrap();
    assert_eq!((bench.take_over().await, bench.branch()), (Fetched::Up, tip));
}

#[tokio::test]
async fn a_lock_that_was_left_behind_is_named() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    let tip = bench.commit(&tree, "a");
    let lock = bench.lab.repo.join(".git/refs/heads/jwt.lock");
    std::fs::write(&lock, "").unwrap();
    let why = bench.checkout().take_over().await.unwrap_err().to_string();
    assert!(why.contains("jwt.lock': File exists"), "{why}");
    std::fs::remove_file(&lock).unwrap();
    assert_eq!((bench.take_over().await, bench.branch()), (Fetched::Up, tip));
}
