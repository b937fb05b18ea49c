//! Settings and repositories of git that matter in a cage.

use crate::lab::{self, Project};

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
