//! What would stop a first commit.

use super::*;

#[tokio::test]
async fn a_missing_identity_is_found_and_so_is_a_made_up_one() {
    let home = tempfile::tempdir().unwrap();
    let none = [
        ("HOME", home.path().to_str().unwrap()),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("EMAIL", ""),
    ];
    if !in_environment("checks::a_missing_identity_is_found_and_so_is_a_made_up_one", &none) {
        return;
    }
    let lab = Lab::new();
    assert_eq!(check(&lab.repo).await.unwrap(), []);
    lab.git(&["config", "--unset", "user.name"]);
    lab.git(&["config", "--unset", "user.email"]);
    lab.git(&["config", "user.useConfigOnly", "true"]);
    let found = check(&lab.repo).await.unwrap().remove(0);
    assert_eq!(found.severity, Severity::Blocking);
    assert!(
        found.what.starts_with("git has no author identity for commits")
            && found.remedy.contains("user.email"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_key_nobody_can_unlock_is_found_by_signing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings");
    std::fs::write(&settings, "").unwrap();
    let variables = [("GIT_CONFIG_GLOBAL", settings.to_str().unwrap())];
    if !in_environment("checks::a_key_nobody_can_unlock_is_found_by_signing", &variables) {
        return;
    }
    let lab = Lab::new();
    lab.git(&["config", "commit.gpgSign", "true"]);
    let gpg = lab.root().join("gpg");
    let program = |script: &str| {
        crate::write_program(&gpg, format!("#!/bin/sh\n{script}\n"));
    };
    lab.git(&["config", "--global", "gpg.program", gpg.to_str().unwrap()]);
    program("echo 'gpg: signing failed: Inappropriate ioctl for device' >&2; exit 2");
    let found = check(&lab.repo).await.unwrap().remove(0);
    assert_eq!(found.severity, Severity::Blocking);
    assert!(
        found.what.contains("signing fails") && found.remedy.contains("commit.gpgSign false"),
        "{found:?}"
    );

    program("cat >/dev/null; echo '[GNUPG:] SIG_CREATED ' >&2; echo signature");
    let objects = lab.git(&["count-objects"]);
    let found = check(&lab.repo).await.unwrap().remove(0);
    assert_eq!(found.severity, Severity::Warning, "{found:?}");
    assert_eq!(lab.git(&["count-objects"]), objects, "the probe leaves nothing behind");
}

#[tokio::test]
async fn signing_with_an_open_ssh_key_is_fine_and_with_a_locked_one_not() {
    let lab = Lab::new();
    for (name, passphrase) in [("open", ""), ("locked", "secret")] {
        let key = lab.root().join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", passphrase, "-f"])
            .arg(&key)
            .status();
        if !made.is_ok_and(|status| status.success()) {
            crate::skipped("no ssh-keygen");
            return;
        }
        for (setting, value) in [
            ("commit.gpgSign", "true"),
            ("gpg.format", "ssh"),
            ("user.signingKey", key.to_str().unwrap()),
        ] {
            lab.git(&["config", setting, value]);
        }
        let found = check(&lab.repo).await.unwrap();
        assert_eq!(
            found.iter().map(|found| found.severity).collect::<Vec<_>>(),
            if name == "open" { vec![] } else { vec![Severity::Blocking] },
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_repository_of_another_user_is_refused_with_the_remedy() {
    if !rustix::process::geteuid().is_root() {
        crate::skipped("only root can give a folder away");
        return;
    }
    let lab = Lab::new();
    for folder in [lab.repo.clone(), lab.repo.join(".git")] {
        std::os::unix::fs::chown(folder, Some(12345), Some(12345)).unwrap();
    }
    if git_command(&lab.repo).into_std().arg("status").output().unwrap().status.success() {
        crate::skipped("safe.directory is open on this host");
        return;
    }
    let error = lab.plan("a").unwrap_err().in_one_line();
    assert!(error.contains("git config --global --add safe.directory"), "{error}");
    assert!(check(&lab.repo).await.unwrap()[0].remedy.contains("safe.directory"));
}

#[tokio::test]
async fn a_real_gpg_key_with_a_passphrase_blocks_and_opens_no_dialogue() {
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let test = "checks::a_real_gpg_key_with_a_passphrase_blocks_and_opens_no_dialogue";
    if !in_environment(test, &[("GNUPGHOME", home.path().to_str().unwrap())]) {
        return;
    }
    let gpg = |args: &[&str]| Command::new("gpg").args(["--batch", "--quiet"]).args(args).output();
    let loopback = ["--pinentry-mode", "loopback", "--passphrase", "secret"];
    let make = ["--quick-generate-key", "T <t@example.org>", "ed25519", "sign", "never"];
    if !gpg(&[&loopback[..], &make].concat()).is_ok_and(|made| made.status.success()) {
        crate::skipped("no gpg that can make a key");
        return;
    }
    let kill_agent = || Command::new("gpgconf").args(["--kill", "gpg-agent"]).status().unwrap();
    // The agent remembers the passphrase the key was made with.
    kill_agent();
    let lab = Lab::new();
    lab.git(&["config", "commit.gpgSign", "true"]);
    let found = check(&lab.repo).await.unwrap();
    kill_agent();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::Blocking, "{found:?}");
    assert!(found[0].what.contains("nobody can type"), "{found:?}");
}
