//! What an agent may put into its repository so that others run or read it.

use super::*;

#[tokio::test]
async fn what_an_agent_puts_into_its_repository_runs_nowhere_outside() {
    let bench = Bench::new(Lab::new());
    bench.lab.hook("pre-commit", "true");
    let tree = bench.made().await;
    assert!(bench.own().join("hooks/pre-commit").exists(), "the project's hooks run inside");
    bench.commit(&tree, "a");
    let ran = bench.lab.root().join("ran");
    let evil = bench.lab.root().join("evil");
    crate::write_program(&evil, format!("#!/bin/sh\ntouch {}\ncat\n", ran.display()));
    let evil = evil.to_str().unwrap();
    for key in [
        "core.fsmonitor",
        "core.sshCommand",
        "filter.x.clean",
        "filter.x.smudge",
        "filter.x.process",
        "uploadpack.packObjectsHook",
        "diff.external",
        "core.alternateRefsCommand",
        "core.pager",
    ] {
        git(&tree, &["config", key, evil]);
    }
    std::fs::write(tree.join(".gitattributes"), "* filter=x\n").unwrap();
    for hook in ["post-checkout", "reference-transaction", "pre-auto-gc", "post-index-change"] {
        std::fs::copy(evil, bench.own().join("hooks").join(hook)).unwrap();
    }
    std::fs::write(bench.own().join("info/attributes"), "* filter=x\n").unwrap();
    // A whole other place for what is shared.
    let other = tree.join("other.git");
    git(&tree, &["init", "--quiet", "--bare", "other.git"]);
    std::fs::write(bench.own().join("commondir"), format!("{}\n", other.display())).unwrap();
    let _ = std::fs::remove_file(&ran);
    assert_eq!(bench.take_over().await, Fetched::Up);
    assert!(!ran.exists(), "the worker ran it");
    // The human's own git, without any of samocode's options.
    let plain = |args: &[&str]| {
        let done = std::process::Command::new("git").arg("-C").arg(&tree).args(args).output();
        assert!(done.unwrap().status.success());
    };
    plain(&["status"]);
    plain(&["diff"]);
    plain(&["checkout", "--quiet", "--", "README"]);
    assert!(!ran.exists(), "the human's git ran it");
    assert!(bench.own().join("hooks/pre-commit").exists());
    assert!(!bench.own().join("hooks/post-checkout").exists());

    // The same place, named by the worktree's registration, which git in it asks first.
    git(&other, &["config", "core.fsmonitor", evil]);
    std::fs::copy(evil, other.join("hooks/post-checkout")).unwrap();
    let admin = bench.own().join("worktrees/26-11-20-jwt");
    std::fs::write(admin.join("commondir"), format!("{}\n", other.display())).unwrap();
    std::fs::write(admin.join("config.worktree"), format!("[core]\nfsmonitor = {evil}\n")).unwrap();
    std::os::unix::fs::symlink(&other, bench.own().join("worktrees/another")).unwrap();
    let _ = std::fs::remove_file(&ran);
    assert_eq!(bench.take_over().await, Fetched::Up);
    plain(&["status"]);
    plain(&["checkout", "--quiet", "--", "README"]);
    assert!(!ran.exists(), "the human's git ran it");
    assert!(!bench.own().join("worktrees/another").is_symlink());

    // Another repository altogether.
    let before = git(&tree, &["rev-parse", "HEAD"]);
    std::fs::remove_file(tree.join(".git")).unwrap();
    git(&tree, &["init", "--quiet"]);
    git(&tree, &["config", "core.fsmonitor", evil]);
    assert_eq!(bench.take_over().await, Fetched::Up);
    plain(&["status"]);
    assert!(!ran.exists(), "the human's git ran it");
    assert_eq!(git(&tree, &["rev-parse", "HEAD"]), before);
    assert!(bench.own().with_file_name("26-11-20-jwt.set-aside").is_dir());
    assert_eq!(git(&tree, &["status", "--porcelain"]), "?? .gitattributes\n?? other.git/");
}

#[tokio::test]
async fn objects_that_are_links_to_other_repositories_are_not_taken_in() {
    let secret = Lab::new();
    secret.commit("secret", "s3cret\n");
    let hidden = secret.git(&["rev-parse", "HEAD"]);
    for attack in ["alternates", "objects", "one object", "refs"] {
        let bench = Bench::new(Lab::new());
        let tree = bench.made().await;
        let (own, theirs) = (bench.own(), secret.repo.join(".git/objects"));
        match attack {
            "alternates" => {
                let path = own.join("objects/info/alternates");
                std::fs::write(path, format!("{}\n", theirs.display())).unwrap();
            }
            "objects" => {
                std::fs::remove_dir_all(own.join("objects")).unwrap();
                std::os::unix::fs::symlink(&theirs, own.join("objects")).unwrap();
            }
            "one object" => {
                let (folder, name) = hidden.split_at(2);
                std::fs::create_dir_all(own.join("objects").join(folder)).unwrap();
                let (from, to) = (theirs.join(folder), own.join("objects").join(folder));
                std::os::unix::fs::symlink(from.join(name), to.join(name)).unwrap();
            }
            _ => {
                std::fs::remove_dir_all(own.join("refs/heads")).unwrap();
                let refs = secret.repo.join(".git/refs/heads");
                std::os::unix::fs::symlink(refs, own.join("refs/heads")).unwrap();
            }
        }
        if attack != "refs" {
            std::fs::write(own.join("refs/heads/jwt"), format!("{hidden}\n")).unwrap();
        }
        let error = bench.checkout().take_over().await.unwrap_err().in_one_line();
        let has = std::process::Command::new("git")
            .arg("-C")
            .arg(&bench.lab.repo)
            .args(["cat-file", "-e", &hidden])
            .output()
            .unwrap();
        assert!(!has.status.success(), "{attack}: {error}");
        assert!(tree.exists());
    }
}

#[tokio::test]
async fn a_file_that_git_would_repeat_is_not_read_through_a_link() {
    for file in ["packed-refs", "HEAD"] {
        let bench = Bench::new(Lab::new());
        let tree = bench.made().await;
        git(&tree, &["config", "core.fsmonitor", "/evil"]);
        let secret = bench.lab.root().join("secret");
        std::fs::write(&secret, "s3cret and more\n").unwrap();
        let path = bench.own().join(file);
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        let said = bench.checkout().take_over().await.unwrap_err().in_one_line();
        assert!(said.contains("is a link") && !said.contains("s3cret"), "{file}: {said}");
        let config = std::fs::read_to_string(bench.own().join("config")).unwrap();
        assert!(!config.contains("evil"), "{file}: {config}");
    }
}

#[tokio::test]
async fn the_humans_git_writes_through_no_link_that_an_agent_left() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    bench.commit(&tree, "a");
    let mine = bench.lab.root().join("mine");
    std::fs::write(&mine, "mine\n").unwrap();
    let planted = bench.lab.root().join("planted");
    let admin = bench.own().join("worktrees/26-11-20-jwt");
    for (link, target) in [
        (admin.join("logs/HEAD"), &mine),
        (admin.join("COMMIT_EDITMSG"), &planted),
        (admin.join("MERGE_MSG"), &mine),
        (bench.own().join("logs/refs/heads/jwt"), &mine),
    ] {
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(target, &link).unwrap();
    }
    let pipe = bench.own().join("refs/heads/pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::write(admin.join("gitdir"), "/nowhere/.git\n").unwrap();
    // As `core.preferSymlinkRefs` has it.
    std::fs::remove_file(admin.join("HEAD")).unwrap();
    std::os::unix::fs::symlink("refs/heads/jwt", admin.join("HEAD")).unwrap();
    assert_eq!(bench.take_over().await, Fetched::Up);
    git(&tree, &["commit", "--quiet", "--allow-empty", "-m", "b"]);
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "mine\n");
    assert!(!planted.exists() && !pipe.exists());
    assert_eq!(git(&tree, &["log", "--format=%s", "-2"]), "b\na");
    let named = std::fs::read_to_string(admin.join("gitdir")).unwrap();
    assert_eq!(named.trim(), tree.join(".git").to_str().unwrap());
    assert_eq!(git(&tree, &["symbolic-ref", "HEAD"]), "refs/heads/jwt");
}

#[tokio::test]
async fn a_repository_in_the_worktree_runs_nothing_when_the_humans_git_asks_it() {
    let bench = Bench::new(Lab::new());
    let tree = bench.made().await;
    let ran = bench.lab.root().join("ran");
    let evil = bench.lab.root().join("evil");
    crate::write_program(&evil, format!("#!/bin/sh\ntouch {}\ncat\n", ran.display()));
    let evil = evil.to_str().unwrap();
    let made = |folder: &Path| {
        std::fs::create_dir_all(folder).unwrap();
        git(folder, &["init", "--quiet"]);
        std::fs::write(folder.join("file"), "a").unwrap();
        std::fs::write(folder.join(".gitattributes"), "* filter=x\n").unwrap();
        git(folder, &["add", "--all"]);
        git(folder, &["commit", "--quiet", "-m", "a"]);
    };
    let arm = |folder: &Path| {
        git(folder, &["config", "remote.origin.url", "https://example.org/x.git"]);
        // The last: git here would read it, too.
        for key in ["filter.x.clean", "core.fsmonitor", "include.path"] {
            git(folder, &["config", key, evil]);
        }
        std::fs::write(folder.join("file"), "b").unwrap();
    };
    // One in another, and one whose repository is elsewhere.
    let (sub, deep, away) = (tree.join("sub"), tree.join("sub/deep"), tree.join("away"));
    for folder in [&sub, &deep, &away] {
        made(folder);
    }
    git(&sub, &["add", "deep"]);
    git(&sub, &["commit", "--quiet", "-m", "deep"]);
    git(&tree, &["add", "sub", "away"]);
    git(&tree, &["commit", "--quiet", "-m", "sub"]);
    for folder in [&deep, &sub, &away] {
        arm(folder);
    }
    std::fs::copy(evil, sub.join(".git/hooks/post-index-change")).unwrap();
    let elsewhere = bench.lab.root().join("elsewhere.git");
    std::fs::rename(away.join(".git"), &elsewhere).unwrap();
    std::fs::write(away.join(".git"), format!("gitdir: {}\n", elsewhere.display())).unwrap();
    let _ = std::fs::remove_file(&ran);
    assert_eq!(bench.take_over().await, Fetched::Up);
    for args in [["status", "--porcelain"], ["diff", "--submodule=diff"]] {
        let done = std::process::Command::new("git").arg("-C").arg(&tree).args(args).output();
        assert!(done.unwrap().status.success());
        assert!(!ran.exists(), "{args:?} ran it");
    }
    assert_eq!(git(&sub, &["log", "--format=%s"]), "deep\na");
    assert_eq!(git(&sub, &["remote", "get-url", "origin"]), "https://example.org/x.git");
    assert!(git(&tree, &["status", "--porcelain"]).contains("M sub"));
}
