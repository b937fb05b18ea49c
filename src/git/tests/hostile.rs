//! Programs that an agent makes its repository name, which our git must not run.

use super::*;
use crate::git::merge::{self, Integration, Merged};

#[tokio::test]
async fn an_extension_that_is_off_or_in_an_included_file_leaves_no_settings_of_a_worktree() {
    let lab = Lab::new();
    lab.create("a").await.unwrap();
    std::fs::write(lab.repo.join(".git/more"), "[extensions]\n\tworktreeConfig = true\n").unwrap();
    for (key, value) in [("extensions.worktreeConfig", "false"), ("include.path", "more")] {
        lab.git(&["config", key, value]);
        // git is asked for more only where a word may name a program.
        lab.git(&["config", "filter.x.clean", "cat"]);
        lab.create(&key[..3]).await.unwrap();
        let status = changed_files(&lab.path("a")).await;
        assert!(status.is_ok(), "{key}: {status:?}");
        lab.git(&["config", "--unset", key]);
    }
}

#[tokio::test]
async fn our_git_runs_no_program_that_the_repository_names() {
    let lab = Lab::new();
    lab.commit("x.big", "content\n");
    lab.create("t").await.unwrap();
    let path = lab.path("t");
    let trap = lab.root().join("trap");
    let ran = lab.root().join("ran");
    let script = format!("#!/bin/sh\necho \"$0 $*\" >>{}\nexit 1\n", ran.display());
    let program = |path: &Path| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::write_program(path, &script);
    };
    program(&trap);
    // What an agent may do in its worktree.
    for key in [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.askPass",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
    ] {
        lab.git(&["config", key, trap.to_str().unwrap()]);
    }
    lab.git(&["config", "filter.evil.required", "true"]);
    lab.git(&["config", "extensions.worktreeConfig", "true"]);
    std::fs::write(
        lab.repo.join(".git/worktrees/t/config.worktree"),
        format!("[core]\n\tfsmonitor = {0}\n\thooksPath = {1}\n", trap.display(), path.display()),
    )
    .unwrap();
    for hook in ["reference-transaction", "post-checkout", "post-index-change", "pre-auto-gc"] {
        program(&path.join(hook));
        program(&lab.repo.join(".git/hooks").join(hook));
    }
    std::fs::write(path.join(".gitattributes"), "* filter=evil diff=evil\n").unwrap();
    std::fs::write(path.join("x.big"), "CONTENT\n").unwrap();

    assert!(changed_files(&path).await.unwrap() > 0);
    super::confirm::confirm(&path, &lab.repo, None).await.unwrap();
    head(&path).unwrap();
    commits_of(&path, "t", "main").unwrap();
    commits_work(&path).await;
    check(&path).await.unwrap();
    let lost = git(&path, &["commit-tree", "-m", "x", "-p", "HEAD", "HEAD^{tree}"]);
    let repo = git2::Repository::open(&path).unwrap();
    repo.set_head_detached(git2::Oid::from_str(&lost).unwrap()).unwrap();
    assert!(elsewhere(&path, "t").await.unwrap().unwrap().kept.is_some());
    let said = std::fs::read_to_string(&ran).unwrap_or_default();
    assert_eq!(said, "");
    // The trap works: git on its own runs it.
    let _ = Command::new("git").arg("-C").arg(&path).arg("status").output();
    assert!(ran.exists());
}

/// A program that notes that it ran, and the note.
fn trap(lab: &Lab) -> (String, PathBuf) {
    let (trap, ran) = (lab.root().join("trap"), lab.root().join("ran"));
    crate::write_program(&trap, format!("#!/bin/sh\necho \"$*\" >>{}\ncat\n", ran.display()));
    (trap.to_str().unwrap().to_owned(), ran)
}

#[tokio::test]
async fn a_filter_and_a_hook_run_if_they_were_there_at_first_and_not_if_they_came_later() {
    let lab = Lab::new();
    lab.filter("tr a-z A-Z");
    lab.hook("post-checkout", "touch hooked");
    let text = |name: &str| std::fs::read_to_string(lab.path(name).join("x.big")).unwrap();
    let first = lab.create("first").await.unwrap();
    assert_eq!(first.notes, Vec::<String>::new());
    assert_eq!(text("first"), "CONTENT\n");
    assert!(lab.path("first").join("hooked").exists());

    let (trap, ran) = trap(&lab);
    lab.commit("y.evil", "content\n");
    lab.commit(".gitattributes", "*.big filter=big\n*.evil filter=evil\n");
    for key in ["filter.evil.clean", "filter.evil.smudge"] {
        lab.git(&["config", key, &trap]);
    }
    lab.hook("post-checkout", &trap);
    let second = lab.create("second").await.unwrap();
    assert_eq!(text("second"), "CONTENT\n", "the known filter still runs");
    assert!(!ran.exists());
    assert!(!lab.path("second").join("hooked").exists());
    let note = &second.notes[..];
    assert!(
        matches!(note, [note] if note.contains("filter.evil, the hook post-checkout") && note.contains("rm ")),
        "{note:?}"
    );
    let finding = lab.programs().findings(&lab.repo).await.unwrap().unwrap();
    // What the note says to paste makes them count.
    let paste = finding.1.strip_prefix("if that was you: ").unwrap();
    assert!(Command::new("sh").args(["-c", paste]).status().unwrap().success());
    assert_eq!(lab.create("third").await.unwrap().notes, Vec::<String>::new());
    assert!(ran.exists());
    assert_eq!(lab.programs().findings(&lab.repo).await.unwrap(), None);
}

#[tokio::test]
async fn settings_that_an_agent_hides_in_an_include_or_in_its_worktree_count_too() {
    let lab = Lab::new();
    lab.commit("x.big", "content\n");
    lab.commit(".gitattributes", "*.big filter=evil\n");
    lab.create("first").await.unwrap();
    let (trap, ran) = trap(&lab);
    let include = lab.root().join("more");
    std::fs::write(&include, format!("[Filter \"evil\"]\n\tSmudge = {trap}\n\tclean = {trap}\n"))
        .unwrap();
    lab.git(&["config", "include.path", include.to_str().unwrap()]);
    assert_eq!(lab.create("second").await.unwrap().notes.len(), 1);
    lab.git(&["config", "--unset", "include.path"]);
    lab.git(&["config", "extensions.worktreeConfig", "true"]);
    let own = lab.repo.join(".git/worktrees/first/config.worktree");
    std::fs::copy(&include, own).unwrap();
    let path = lab.path("first");
    std::fs::write(path.join("x.big"), "CONTENT\n").unwrap();
    let window = Window { since: std::time::SystemTime::UNIX_EPOCH, booted: None };
    let damage = durable::find_damage(&path, &window, &lab.programs()).await.unwrap();
    assert!(damage.restorable().is_empty(), "what only its filter can compare is left alone");
    drop(damage);
    std::fs::write(path.join("x.big"), "").unwrap();
    let damage = durable::find_damage(&path, &window, &lab.programs()).await.unwrap();
    assert_eq!(damage.lost(), [PathBuf::from("x.big")]);
    damage.restore().await.unwrap();
    let removed = remove_worktree(&lab.repo, &path, "first").await.unwrap();
    assert!(matches!(removed, Removal::Removed(_)), "{removed:?}");
    assert!(!ran.exists());
}

#[tokio::test]
async fn nothing_is_fetched_with_a_program_that_came_later() {
    for (key, of_remote) in [
        ("core.sshCommand", "host:repo"),
        ("credential.https://127.0.0.1.helper", "https://127.0.0.1:1/x"),
        ("remote.origin.uploadpack", "upstream"),
        ("remote.origin.vcs", "upstream"),
    ] {
        let lab = Lab::cloned();
        lab.create("first").await.unwrap();
        let (trap, ran) = trap(&lab);
        let url = lab.root().join(of_remote);
        let url = if of_remote.contains(':') { of_remote } else { url.to_str().unwrap() };
        lab.git(&["config", "remote.origin.url", url]);
        lab.git(&["config", key, &trap]);
        let made = lab.create("second").await.unwrap();
        let says = |words: &str| made.notes.iter().any(|note| note.contains(words));
        assert!(says("did not fetch from origin") && says(&key.to_lowercase()[..10]), "{made:?}");
        assert!(!ran.exists(), "{key}");
    }
}

#[tokio::test]
async fn a_signature_is_not_tried_with_a_program_that_the_repository_names() {
    for (format, key) in [
        ("openpgp", "gpg.program"),
        ("x509", "gpg.x509.program"),
        ("ssh", "gpg.ssh.defaultKeyCommand"),
    ] {
        let lab = Lab::new();
        let (trap, ran) = trap(&lab);
        lab.git(&["config", "commit.gpgSign", "true"]);
        lab.git(&["config", "gpg.format", format]);
        lab.git(&["config", key, &trap]);
        let found = check(&lab.repo).await.unwrap();
        assert!(
            matches!(&found[..], [found] if found.what.contains(&key.to_lowercase())),
            "{found:?}"
        );
        assert_eq!(found[0].severity, Severity::Warning);
        assert!(!ran.exists(), "{key}");
    }
}

#[tokio::test]
async fn what_came_later_does_not_run_in_a_merge_either() {
    let lab = Lab::new();
    lab.commit("poem", "one\ntwo\nthree\nfour\nfive\n");
    lab.commit(".gitattributes", "*.evil filter=evil\npoem merge=evil\n");
    lab.hook("pre-merge-commit", "touch known");
    lab.create("first").await.unwrap();
    let branch = |name: &str, file: &str, content: &str| {
        lab.git(&["switch", "--quiet", "-c", name, "main"]);
        lab.commit(file, content);
        lab.git(&["switch", "--quiet", "main"]);
        let tip = git(&lab.repo, &["rev-parse", name]);
        tip.trim().to_owned()
    };
    let other = branch("other", "other", "x\n");
    let same = branch("same", "poem", "one\ntwo\nthree\nfour\nFIVE\n");
    let last = branch("last", "last", "x\n");
    lab.commit("poem", "ONE\ntwo\nthree\nfour\nfive\n");
    lab.commit("y.evil", "content\n");
    let main = git(&lab.repo, &["rev-parse", "main"]);
    let tree = Integration::new(&lab.repo, &lab.path("_merge"), "run", lab.programs());
    tree.put_at(main.trim()).await.unwrap();
    assert!(matches!(tree.merge(&other, "Merge").await.unwrap(), Merged::Commit(_)));
    assert!(tree.path().join("known").exists(), "one that was there at first runs");

    let (trap, ran) = trap(&lab);
    for key in ["filter.evil.clean", "filter.evil.smudge", "merge.evil.driver"] {
        lab.git(&["config", key, &trap]);
    }
    for hook in ["post-checkout", "pre-merge-commit", "commit-msg", "post-merge"] {
        lab.hook(hook, &trap);
    }
    std::fs::write(lab.repo.join("y.evil"), "content\n").unwrap();
    let changes = merge::tracked_changes(&lab.repo, &lab.programs(), true).await.unwrap();
    tree.put_at(main.trim()).await.unwrap();
    let conflicts = tree.merge(&same, "Merge").await.unwrap();
    let merged = tree.merge(&last, "Merge").await.unwrap();
    let said = std::fs::read_to_string(&ran).unwrap_or_default();
    assert_eq!((said.as_str(), changes), ("", 0));
    assert!(matches!(conflicts, Merged::Conflicts(_)), "what no driver merges: {conflicts:?}");
    assert!(matches!(merged, Merged::Commit(_)), "{merged:?}");
    let (found, _) = lab.programs().findings(&lab.repo).await.unwrap().unwrap();
    assert!(found.contains("merge.evil.driver") && found.contains("commit-msg"), "{found}");

    lab.git(&["config", "commit.gpgSign", "true"]);
    lab.git(&["config", "gpg.program", &trap]);
    let signed = tree.merge(&other, "Merge").await.unwrap();
    assert!(matches!(&signed, Merged::Refused(said) if said.contains("gpg.program")), "{signed:?}");
    assert!(!ran.exists());
}

#[tokio::test]
async fn an_older_record_does_not_bar_what_it_could_not_know_and_learns_it() {
    let lab = Lab::new();
    lab.hook("commit-msg", "true");
    lab.git(&["config", "merge.known.driver", "true"]);
    lab.create("first").await.unwrap();
    let folder = lab.root().join("state/programs");
    let record = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut known: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    known["settings"] = serde_json::json!({});
    known.as_object_mut().unwrap().remove("of_merges");
    std::fs::write(&record, known.to_string()).unwrap();
    assert_eq!(lab.programs().findings(&lab.repo).await.unwrap(), None);
    lab.create("second").await.unwrap();
    assert_eq!(lab.programs().findings(&lab.repo).await.unwrap(), None);
    lab.hook("commit-msg", "false");
    let (found, _) = lab.programs().findings(&lab.repo).await.unwrap().unwrap();
    assert!(found.ends_with("the hook commit-msg"), "{found}");
}
