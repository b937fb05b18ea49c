//! Agents are confined without anybody asking for it: what people are told, what the host lacks, and
//! settings of git that matter in a cage.

use crate::lab::{self, LabUser, Outcome, Project, secs};

/// How the agent of the newest run was confined, as its journal has it.
fn confined(project: &Project<'_>, name: &str) -> String {
    let runs = project.named(name).journal("run_started");
    runs.last().expect("a run")["confined"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn nobody_has_to_ask_for_it_and_everyone_is_told() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("default");
    let agent = user.obedient_agent("touch ~/escaped 2>/dev/null || true");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).confined().create();
    let ran = project.samocode(["run", "jwt", "--task", "t"]).output();
    assert_eq!(ran.code, 10, "{ran}");
    assert!(!user.exists("escaped"));
    let level = confined(&project, "jwt");
    assert!(level.starts_with("standard (Landlock "), "{level}");
    let says = |args: &[&str]| project.samocode(args).output().stdout;
    for (args, wanted) in [
        (&["status", "jwt"][..], "standard (Landlock "),
        (&["doctor"], "agents are confined: standard (Landlock "),
        (&["config"], "SAMOCODE_CONFINE"),
        (&["confine", "jwt"], "standard (Landlock "),
        (&["confine", "jwt", "--explain", "~/.ssh"], "is closed; SAMOCODE_ALLOW_READ="),
    ] {
        assert!(says(args).contains(wanted), "{args:?}: {}", says(args));
    }
}

/// Runs samocode in a unit that the kernel lacks something for.
fn with_lack(user: &LabUser, project: &Project<'_>, lack: &[&str], args: &[&str]) -> Outcome {
    let line = format!(
        "exec systemd-run --user --wait --pipe --quiet --collect --working-directory={} {} --setenv=PATH=\"$PATH\" \
         \"$(command -v samocode)\" {}",
        project.dir.display(),
        lack.iter().map(|property| format!("-p {property}")).collect::<Vec<_>>().join(" "),
        args.join(" "),
    );
    user.sh(&line).within(secs(120)).output()
}

#[test]
fn the_default_takes_what_a_host_has_and_a_level_that_is_written_down_does_not() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("lacks");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).confined().create();
    let run =
        |name: &str, lack: &[&str]| with_lack(&user, &project, lack, &["run", name, "--task", "t"]);

    // As where programs may not make user namespaces.
    let no_view = ["RestrictNamespaces=yes"];
    let ran = run("noview", &no_view);
    assert_eq!(ran.code, 10, "{ran}\n{}", user.diagnosis());
    let level = confined(&project, "noview");
    assert!(level.starts_with("standard (Landlock "), "{level}");
    assert!(level.contains("all UNIX sockets are refused"), "{level}");

    // As on a kernel without Landlock.
    let no_landlock =
        ["SystemCallFilter=~landlock_create_ruleset", "SystemCallErrorNumber=EOPNOTSUPP"];
    let ran = run("nolandlock", &no_landlock);
    assert_eq!(ran.code, 10, "{ran}\n{}", user.diagnosis());
    let level = confined(&project, "nolandlock");
    assert!(level.starts_with("off: access to files cannot be restricted"), "{level}");
    let shown = project.samocode(["status", "nolandlock"]).ok().stdout;
    assert!(shown.contains("off: access to files"), "{shown}");
    let doctor = with_lack(&user, &project, &no_landlock, &["doctor"]).stdout;
    assert!(doctor.contains("! agents are not confined: off: access to files"), "{doctor}");

    user.sh("echo SAMOCODE_CONFINE=standard >>shop/.samocode").ok();
    let ran = run("demanded", &no_landlock);
    assert_eq!(ran.code, 11, "{ran}");
    let why = project.samocode(["why", "demanded"]).ok().stdout;
    assert!(why.contains("SAMOCODE_CONFINE=standard is not possible on this host"), "{why}");
    assert!(why.contains("SAMOCODE_CONFINE=off"), "{why}");
}

#[test]
fn commits_are_made_by_whom_the_settings_name_and_left_unsigned_with_a_word() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("signs");
    let agent = user.obedient_agent("");
    let repo = user.project("shop").repo(|repo| repo.without_identity());
    let project = repo.key("SAMOCODE_AGENT", &agent).confined().create();
    user.write(".git-who", "[user]\n\tname = Included\n\temail = in@lab\n");
    user.write(".ignored", "*.swp\n");
    user.sh("mkdir -m 700 .ssh; ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519
        git config --global include.path '~/.git-who'
        git config --global core.excludesFile '~/.ignored'
        git config --global gpg.format ssh
        git config --global user.signingKey '~/.ssh/id_ed25519'
        git config --global commit.gpgSign true")
        .ok();
    let run = |name: &str, code: i32| {
        let ran = project.samocode(["run", name, "--task", "t"]).output();
        assert_eq!(ran.code, code, "{ran}\n{}", user.diagnosis());
        ran
    };
    run("jwt", 10);
    let shown = project.samocode(["status", "jwt"]).ok().stdout;
    assert!(shown.contains("commits of confined agents are not signed"), "{shown}");
    let doctor = project.samocode(["doctor"]).output().stdout;
    assert!(doctor.contains("commits of confined agents are not signed"), "{doctor}");
    let commit = "touch a.swp && git status --porcelain | grep -c swp; git commit --allow-empty -qm Work \
         && git log -1 --format='%an %G?'";
    let inside = |project: &Project<'_>, line: &str| {
        project.samocode(["confine", "jwt", "--", "sh", "-c", line]).output()
    };
    let said = inside(&project, commit);
    assert_eq!(said.stdout.trim(), "0\nIncluded N", "{said}");

    // Whoever opens the key gets signatures.
    user.sh("echo 'SAMOCODE_ALLOW_READ=~/.ssh' >>shop/.samocode").ok();
    let said = inside(&project, "git commit --allow-empty -qm Work && git cat-file -p HEAD");
    assert!(said.stdout.contains("BEGIN SSH SIGNATURE"), "{said}");
}

#[test]
fn a_repository_whose_objects_would_be_closed_blocks_with_the_key_that_opens_them() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("borrows");
    let agent = user.obedient_agent("git log --oneline");
    let borrow = "git clone -q --bare --no-local . ../base.git
        echo \"$HOME/base.git/objects\" >.git/objects/info/alternates && git repack -adlq && git prune-packed";
    let repo = user.project("shop").repo(|repo| repo.then(borrow));
    let project = repo.key("SAMOCODE_AGENT", &agent).confined().create();
    let ran = project.samocode(["run", "jwt", "--task", "t"]).output();
    assert_eq!(ran.code, 11, "{ran}\n{}", user.diagnosis());
    let why = project.samocode(["why", "jwt"]).ok().stdout;
    let key = format!("SAMOCODE_ALLOW_READ={}/base.git/objects", user.home.display());
    assert!(why.contains(&key), "{why}");
    user.sh(&format!("echo '{key}' >>shop/.samocode")).ok();
    let ran = project.samocode(["run", "jwt"]).output();
    assert_eq!(ran.code, 10, "{ran}\n{}", user.diagnosis());
}
