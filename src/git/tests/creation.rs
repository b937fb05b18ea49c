//! Making worktrees.

use super::*;

#[tokio::test]
async fn a_branch_and_worktree_are_made_from_the_local_default_branch() {
    let lab = Lab::new();
    lab.git(&["switch", "--quiet", "-c", "experiment"]);
    lab.commit("x", "x");
    let tip = lab.git(&["rev-parse", "main"]);
    let Start::New(base) = start_of(lab.plan("feat/x").unwrap()) else { panic!() };
    assert_eq!((base.name.as_str(), base.commit.as_str()), ("main", tip.as_str()));
    assert!(tip.starts_with(&base.short) && base.short.len() < 12);

    let created = lab.create("feat/x").await.unwrap();
    assert_eq!((created.did, created.branch.as_deref()), (Did::Made, Some("feat/x")));
    assert_eq!(created.notes, Vec::<String>::new());
    assert_healthy(&lab, "feat/x").await;
    assert_eq!(default_branch(&lab.repo).unwrap().as_deref(), Some("main"));
    assert_eq!(root(&lab.path("feat/x")).unwrap(), Some(lab.path("feat/x")));
}

#[tokio::test]
async fn with_a_remote_the_news_are_fetched_first_and_nothing_is_tracked() {
    let lab = Lab::cloned();
    lab.commit("mine", "unpublished");
    let created = lab.create("a").await.unwrap();
    assert!(lab.path("a").join("NEWS").exists());
    assert!(!lab.path("a").join("mine").exists());
    let Some(Start::New(base)) = created.start else { panic!() };
    assert_eq!(base.name, "origin/main");
    assert_eq!(
        created.notes,
        [
            "the local branch 'main' is ahead of origin/main by 1; this session starts without those commits"
        ]
    );
    assert_eq!(git(&lab.path("a"), &["for-each-ref", "--format=%(upstream)", "refs/heads/a"]), "");
    assert_healthy(&lab, "a").await;
    assert_eq!(default_branch(&lab.path("a")).unwrap().as_deref(), Some("main"));
}

#[tokio::test]
async fn a_default_branch_of_any_name_is_found_when_the_clone_does_not_know_it() {
    let lab = Lab::cloned();
    git(&lab.root().join("upstream"), &["branch", "-m", "main", "trunk"]);
    lab.git(&["remote", "set-head", "origin", "--delete"]);
    lab.git(&["update-ref", "-d", "refs/remotes/origin/main"]);
    let created = lab.create("a").await.unwrap();
    assert!(matches!(created.start, Some(Start::New(base)) if base.name == "origin/trunk"));
}

#[tokio::test]
async fn an_unreachable_remote_is_a_note_without_secrets() {
    let gone = "/nowhere/at/all.git";
    for (url, said) in [
        (gone, gone),
        ("https://bob:hunter2@127.0.0.1:1/x.git", "127.0.0.1"),
        ("ssh://bob@127.0.0.1:1/x.git", "refused"),
    ] {
        let lab = Lab::cloned();
        lab.git(&["remote", "set-url", "origin", url]);
        let created = lab.create("a").await.unwrap();
        assert_eq!((created.did, created.notes.len()), (Did::Made, 1), "{created:?}");
        let note = &created.notes[0];
        assert!(
            note.starts_with("cannot fetch from origin: git says: ")
                && note.ends_with("; using the commits already here"),
            "{note}"
        );
        assert!(note.contains(said) && !note.contains("hunter2"), "{note}");
        assert!(!lab.path("a").join("NEWS").exists());
        assert_healthy(&lab, "a").await;
    }
}

/// A server that answers every request with "who are you?".
async fn ask_for_password() -> (u16, tokio::task::JoinHandle<()>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = "HTTP/1.1 401 U\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    };
    (port, tokio::spawn(serve))
}

#[tokio::test]
async fn git_does_not_ask_for_a_password() {
    let lab = Lab::cloned();
    let (port, server) = ask_for_password().await;
    let asked = lab.root().join("asked");
    let askpass = lab.root().join("askpass");
    crate::write_program(&askpass, format!("#!/bin/sh\ntouch {}\n", asked.display()));
    lab.git(&["config", "core.askPass", askpass.to_str().unwrap()]);
    lab.git(&["config", "credential.helper", ""]);
    lab.git(&["remote", "set-url", "origin", &format!("http://127.0.0.1:{port}/x.git")]);
    let mut command = git_command(&lab.repo);
    command.arg("fetch");
    let fetched = super::super::command::run(command, "fetch", FETCH_LIMIT).await.unwrap();
    assert!(fetched.said.contains("terminal prompts disabled"), "{}", fetched.said);
    let created = lab.create("a").await.unwrap();
    assert!(created.notes[0].contains("cannot fetch from origin"), "{created:?}");
    assert!(!asked.exists());
    server.abort();
}

#[tokio::test]
async fn smudge_filters_and_the_post_checkout_hook_run() {
    let lab = Lab::new();
    lab.filter("tr a-z A-Z");
    lab.hook("post-checkout", "echo \"$@\" > ran");
    lab.create("a").await.unwrap();
    assert_eq!(std::fs::read_to_string(lab.path("a").join("x.big")).unwrap(), "CONTENT\n");
    let ran = std::fs::read_to_string(lab.path("a").join("ran")).unwrap();
    assert!(ran.trim().ends_with(" 1"), "{ran}");
    assert_eq!(
        changed_files(&lab.path("a")).await.unwrap(),
        2,
        "the hook's file and the filtered one: a filter of the repository may be an agent's"
    );
}

#[tokio::test]
async fn a_failing_hook_is_a_note_and_a_failing_filter_an_error() {
    let lab = Lab::new();
    lab.hook("post-checkout", "echo no npm here >&2; exit 3");
    let created = lab.create("a").await.unwrap();
    assert_eq!(created.notes, ["the post-checkout hook failed: no npm here"]);
    assert_healthy(&lab, "a").await;

    // A filter that came later would not run.
    lab.forget_programs();
    lab.filter("false");
    lab.git(&["config", "filter.big.required", "true"]);
    let error = lab.create("b").await.unwrap_err().to_string();
    assert!(error.contains("x.big") && error.contains("smudge"), "{error}");
    lab.git(&["config", "filter.big.smudge", "cat"]);
    lab.hook("post-checkout", "true");
    lab.forget_programs();
    lab.create("b").await.unwrap();
    assert_healthy(&lab, "b").await;
}

#[tokio::test]
async fn an_existing_branch_is_attached_with_its_commits() {
    let lab = Lab::new();
    lab.git(&["switch", "--quiet", "-c", "a"]);
    lab.commit("work", "done before");
    lab.git(&["switch", "--quiet", "main"]);
    let created = lab.create("a").await.unwrap();
    assert!(matches!(created.start, Some(Start::Attach(_))));
    assert!(lab.path("a").join("work").exists());
    assert_eq!(commits_of(&lab.path("a"), "a", "main").unwrap(), 1);
    assert_healthy(&lab, "a").await;
}

#[tokio::test]
async fn a_repository_without_a_commit_gets_a_branch_without_one() {
    let lab = Lab::empty(&[]);
    assert_eq!(start_of(lab.plan("a").unwrap()), Start::Orphan);
    assert_eq!(default_branch(&lab.repo).unwrap(), None);
    if version().unwrap() < (Version { major: 2, minor: 42, patch: 0 }) {
        assert!(matches!(lab.create("a").await, Err(Error::NoCommit { .. })));
        return;
    }
    lab.create("a").await.unwrap();
    assert_eq!(head(&lab.path("a")).unwrap(), Head { branch: Some("a".into()), commit: None });
    assert_eq!(commits_of(&lab.path("a"), "a", "main").unwrap(), 0);
    assert_healthy(&lab, "a").await;
    std::fs::remove_dir_all(lab.path("a")).unwrap();
    assert_eq!(lab.create("a").await.unwrap().did, Did::Completed);
    commit(&lab.path("a"), "first", "first");
    assert_healthy(&lab, "a").await;
}

#[tokio::test]
async fn paths_with_spaces_and_letters_of_all_kinds_work() {
    let lab = Lab::new();
    let path = lab.root().join("mes œuvres 作品/it's \"mine\"");
    let planned = plan(&lab.repo, "a", &path).unwrap();
    assert_eq!(create(&planned, &lab.programs()).await.unwrap().did, Did::Made);
    assert_eq!(create(&planned, &lab.programs()).await.unwrap().did, Did::Nothing);
    assert_eq!(head(&path).unwrap().branch.as_deref(), Some("a"));
    assert_eq!(changed_files(&path).await.unwrap(), 0);
}

#[tokio::test]
async fn submodules_are_mentioned() {
    let lab = Lab::new();
    let other = Lab::new();
    lab.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        other.repo.to_str().unwrap(),
        "sub",
    ]);
    lab.commit("x", "x");
    let created = lab.create("a").await.unwrap();
    assert!(created.notes[0].contains("git submodule update --init"));
    assert_healthy(&lab, "a").await;
}

#[tokio::test]
async fn a_surrounding_git_hooks_variables_do_not_reach_our_git() {
    let other = Lab::new();
    let (dir, index) = (other.repo.join(".git"), other.repo.join(".git/index"));
    let variables = [
        ("GIT_DIR", dir.to_str().unwrap()),
        ("GIT_INDEX_FILE", index.to_str().unwrap()),
        ("GIT_WORK_TREE", other.repo.to_str().unwrap()),
    ];
    if in_environment(
        "creation::a_surrounding_git_hooks_variables_do_not_reach_our_git",
        &variables,
    ) {
        let lab = Lab::with(&["--object-format=sha256"]);
        lab.create("a").await.unwrap();
        assert_healthy(&lab, "a").await;
        assert_eq!(lab.registered(), 1);
    }
}

#[tokio::test]
async fn a_new_worktree_and_its_checks_take_three_gits_and_open_no_other_worktree() {
    const CALLS: &str = "SAMOCODE_TEST_GIT_CALLS";
    let calls = tempfile::tempdir().unwrap();
    let log = calls.path().join("log");
    let real = PathBuf::from(std::env::var_os("PATH").unwrap_or_default());
    let wrapper = calls.path().join("git");
    let script =
        format!("#!/bin/sh\necho \"$*\" >> \"${CALLS}\"\nPATH=${{PATH#*:}} exec git \"$@\"\n");
    crate::write_program(&wrapper, script);
    let path = format!("{}:{}", calls.path().display(), real.display());
    let variables = [("PATH", path.as_str()), (CALLS, log.to_str().unwrap())];
    let name = "creation::a_new_worktree_and_its_checks_take_three_gits_and_open_no_other_worktree";
    if !in_environment(name, &variables) {
        return;
    }
    let log = PathBuf::from(std::env::var_os(CALLS).unwrap());
    let lab = Lab::new();
    lab.create("other").await.unwrap();
    // Whoever opens one of these waits for a writer.
    for file in ["gitdir", "HEAD", "locked"] {
        let file = lab.repo.join(".git/worktrees/other").join(file);
        let _ = std::fs::remove_file(&file);
        assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    }
    std::fs::write(&log, "").unwrap();
    let programs = lab.programs();
    let making = async {
        let plan = lab.plan("a").unwrap();
        tokio::join!(create(&plan, &programs), commits_work(&lab.repo))
    };
    let (created, commits_work) =
        tokio::time::timeout(Duration::from_secs(60), making).await.unwrap();
    assert_eq!(created.unwrap().did, Did::Made);
    assert!(commits_work);
    let calls = std::fs::read_to_string(&log).unwrap();
    assert_eq!(calls.lines().count(), 3, "{calls}");
    // Once it is there, nothing has to be asked.
    assert_eq!(lab.create("a").await.unwrap().did, Did::Nothing);
    assert_eq!(std::fs::read_to_string(&log).unwrap(), calls);
}

#[tokio::test]
async fn a_repository_with_settings_of_its_own_for_worktrees_is_left_to_git() {
    let lab = Lab::new();
    lab.git(&["config", "worktree.useRelativePaths", "true"]);
    assert!(matches!(lab.plan("a").unwrap(), Plan::Worktree(WorktreePlan { is_plain: false, .. })));
    lab.create("a").await.unwrap();
    assert_healthy(&lab, "a").await;
}

#[tokio::test]
async fn a_partial_clone_waits_for_a_server_that_cannot_be_reached() {
    let lab = Lab::new();
    let (root, upstream) = (lab.root(), lab.root().join("upstream"));
    std::fs::rename(&lab.repo, &upstream).unwrap();
    git(&upstream, &["config", "uploadpack.allowFilter", "true"]);
    let address = format!("file://{}", upstream.display());
    let clone = ["clone", "--quiet", "--no-checkout", "--filter=blob:none", &address, "repo"];
    git(&root, &clone);
    lab.configure();
    std::fs::rename(&upstream, root.join("away")).unwrap();
    let error = lab.create("a").await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    std::fs::rename(root.join("away"), &upstream).unwrap();
    lab.create("a").await.unwrap();
    assert_eq!(std::fs::read_to_string(lab.path("a").join("README")).unwrap(), "hello\n");
}

#[tokio::test]
async fn a_checkout_that_lasts_tells_how_far_it_is() {
    let lab = Lab::new();
    for file in 0..200 {
        std::fs::write(lab.repo.join(format!("f{file}")), "x").unwrap();
    }
    lab.commit("one", "more");
    // Each file of the checkout passes a filter, so that git has something to say after its two
    // seconds of silence.
    let told = std::sync::Mutex::new(Vec::new());
    let tell = |step: &str| told.lock().unwrap().push(step.to_owned());
    std::fs::write(lab.repo.join(".git/info/attributes"), "f1? filter=slow\n").unwrap();
    git(&lab.repo, &["config", "filter.slow.smudge", "sleep 0.3; cat"]);
    let planned = plan(&lab.repo, "a", &lab.path("a")).unwrap();
    super::super::create::create(&planned, &lab.programs(), &tell).await.unwrap();
    let told = told.into_inner().unwrap();
    let last = told.last().expect("git said nothing");
    assert!(last.starts_with("updating files, "), "{told:?}");
    assert!(told.iter().all(|step| step.contains(" % (") && step.contains(" of 20")), "{told:?}");
}
