//! The verbs that set up a project: init, config, units.

use serde_json::Value;

use crate::lab::{self, Outcome};

/// One line on stderr, nothing on stdout, and this code.
#[track_caller]
fn assert_one_line(out: &Outcome, code: i32, part: &str) {
    assert_eq!(out.code, code, "{out}");
    assert!(out.is_one_error() && out.stderr.contains(part), "{out}");
    assert_eq!(out.stdout, "", "{out}");
}

#[test]
fn init_detects_what_it_needs_and_changes_nothing_the_second_time() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("init");
    let repo = user.git_repo("shop").with_origin().create();

    let out = user.samocode(["init"]).cwd(&repo).ok();
    assert_eq!(
        out.stdout,
        "Wrote .samocode   repository ~/shop (branch main), worktrees ~/shop-worktrees, \
         sessions ~/shop-sessions\nNext: samocode enable NAME --task \"what to build\"\n"
    );
    let file = user.read("shop/.samocode");
    assert!(file.contains("MAIN_REPO=~/shop\n"), "{file}");
    assert!(user.exists("shop-worktrees") && user.exists("shop-sessions"));
    let status = user.sh("git status --porcelain").cwd(&repo).ok();
    assert_eq!(status.stdout, "", "the project's file stays out of commits");

    let again = user.samocode(["init", "shop", "--json"]).ok().json();
    assert_eq!((&again["written"], &again["branch"]), (&Value::from(false), &Value::from("main")));
    assert_eq!(user.read("shop/.samocode"), file);

    // The branch that sessions start from, whatever is checked out.
    for checkout in ["git switch -q -c feature", "git checkout -q --detach"] {
        user.sh(checkout).cwd(&repo).ok();
        let out = user.samocode(["init", "shop"]).ok();
        assert!(out.stdout.contains("repository ~/shop (branch main)"), "{checkout}: {out}");
    }
    user.sh("git init -q -b trunk new").ok();
    let new = user.samocode(["init", "new"]).ok();
    assert!(new.stdout.contains("repository ~/new (branch trunk)"), "{new}");

    user.sh("git init -q torn; : >torn/.git/HEAD; git init -q shut; chmod 000 shut/.git").ok();
    for broken in ["torn", "shut"] {
        let out = user.samocode(["init", broken]).output();
        assert_one_line(&out, 1, "has a .git, but git finds no repository there");
        assert!(!user.exists(format!("{broken}/.samocode")));
    }
}

#[test]
fn init_without_a_repository_makes_a_project_and_says_so() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("init");
    user.write("notes/a.md", "text");

    let out = user.samocode(["init", "notes", "--sessions", "elsewhere"]).ok();

    assert!(out.stdout.contains("Wrote ~/notes/.samocode"), "{out}");
    assert!(out.stdout.contains("(no git repository)"), "{out}");
    assert!(user.exists("elsewhere") && !user.exists("notes-sessions"));
    user.sh(
        "mkdir p && git init -q -b main p/repo && git -C p/repo -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m Begin",
    )
    .ok();
    user.write("p/.samocode", "MAIN_REPO=repo\nWORKTREES=trees\nSESSIONS=sessions\n");
    let below = user.samocode(["init", "p"]).ok();
    assert!(below.stdout.contains("repository ~/p/repo (branch main)"), "{below}");
    let missing = user.samocode(["init", "/not/there"]).output();
    assert_one_line(&missing, 78, "cannot open /not/there");
    let config = user.samocode(["--config", "notes/.samocode", "init"]).output();
    assert_one_line(&config, 2, "samocode init notes");
}

#[test]
fn config_shows_the_source_of_every_value_and_no_secret() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("config");
    let project = user.project("shop").key("CLAUDE_TIMEOUT", "90").create();
    user.write(".config/samocode/config", "CLAUDE_MODEL=sonnet\nCLAUDE_MAX_TURNS=7\n");
    user.write_env_file("TELEGRAM_BOT_TOKEN=1:hidden\nTELEGRAM_CHAT_ID=5\n");

    let command = |args: &[&str]| {
        user.samocode(args.iter().copied())
            .cwd(&project.dir)
            .env("CLAUDE_MAX_TURNS", "9")
            .env("ANTHROPIC_API_KEY", "sk-ant-hidden")
    };
    let shown = command(&["config", "--json"]).ok();
    let json = shown.json();
    let row = |key: &str| {
        let rows = json["settings"].as_array().expect("settings");
        let row = rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key}"));
        let word = |name: &str| row[name].as_str().expect("text").to_owned();
        (word("value"), word("origin"))
    };
    let expect = [
        ("CLAUDE_TIMEOUT", "90", "~/shop/.samocode:4"),
        ("CLAUDE_MODEL", "sonnet", "~/.config/samocode/config:1"),
        ("CLAUDE_MAX_TURNS", "9", "environment"),
        ("SAMOCODE_MAX_RETRIES", "3", "default"),
        ("TELEGRAM_BOT_TOKEN", "set", "~/.config/samocode/env:1"),
    ];
    for (key, value, origin) in expect {
        assert_eq!(row(key), (value.to_owned(), origin.to_owned()), "{key}");
    }

    let table = command(&["config"]).ok();
    let lines: Vec<&str> = table.stdout.lines().collect();
    let column = lines[0].find("VALUE").expect("a header");
    assert!(lines.iter().all(|line| line.as_bytes()[column - 1] == b' '), "{table}");
    assert!(!(shown.stdout + &table.stdout).contains("hidden"));

    let outside = command(&["config", "--json"]).cwd(&user.home).ok();
    assert_eq!(outside.json()["project"], Value::Null);
    assert!(outside.stderr.contains("no .samocode here or in a parent folder"), "{outside}");
    assert!(!outside.stdout.contains("MAIN_REPO"), "{outside}");
}

#[test]
fn bad_settings_are_one_line_and_the_code_of_configuration() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("config");
    let project = user.project("shop").key("CLAUDE_MAX_TURNS", "many").create();

    let out = user.samocode(["config"]).cwd(&project.dir).output();
    assert_one_line(&out, 78, "CLAUDE_MAX_TURNS=many (~/shop/.samocode:4)");
    user.write("shop/.samocode", "MAIN_REPO=~/shop\n");
    let out = user.samocode(["config"]).cwd(&project.dir).output();
    assert_one_line(&out, 78, "WORKTREES, SESSIONS are not set");
    let out = user.samocode(["config", "--config", "/not/there"]).output();
    assert_one_line(&out, 78, "/not/there");

    // The doctor continues and reports all problems.
    let out = user.samocode(["doctor"]).cwd(&project.dir).output();
    assert_eq!(out.code, 1, "{out}");
    assert!(out.stdout.contains("✗") && out.stdout.contains("WORKTREES, SESSIONS are not set"));
    assert!(out.stdout.contains("inotify"), "{out}");
}

#[test]
fn config_of_a_session_shows_the_settings_of_its_unit() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("config");
    let project = user.project("shop").key("CLAUDE_TIMEOUT", "90").create();
    let session = project.named("jwt");
    let without = user.samocode(["config", "jwt"]).cwd(&project.dir).output();
    assert_one_line(&without, 2, "there is no session 'jwt'");
    let enable = ["enable", "jwt", "--task", "x", "--agent", "rehearsal"];
    let work = user.home.join("work");
    project
        .samocode(enable)
        .env("CLAUDE_MODEL", "haiku")
        .env("CLAUDE_CONFIG_DIR", work.to_string_lossy())
        .ok();
    session.wait_to_rest("waiting", "requirements");

    // From anywhere, in a shell that has other values.
    let shown = user.samocode(["config", "jwt", "--json"]).env("CLAUDE_MAX_TURNS", "9").ok();
    let json = shown.json();

    assert_eq!(json["unit"], "samocode@jwt.service");
    let row = |key: &str| {
        let rows = json["settings"].as_array().expect("settings");
        let row = rows.iter().find(|row| row["key"] == key).expect("a row");
        let word = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        [word("value"), word("origin"), word("here")]
    };
    assert_eq!(row("CLAUDE_MODEL"), ["haiku", "recorded by enable", "opus (default)"]);
    assert_eq!(row("SAMOCODE_AGENT"), ["rehearsal", "recorded by enable", "claude (default)"]);
    assert_eq!(row("CLAUDE_MAX_TURNS"), ["300", "default", "9 (environment)"]);
    assert_eq!(row("CLAUDE_TIMEOUT"), ["90", "~/shop/.samocode:4", "-"]);
    assert_eq!(json["environment"]["CLAUDE_CONFIG_DIR"], work.to_string_lossy().as_ref());
    assert!(json["environment"]["PATH"].as_str().is_some_and(|path| path.contains("/usr/bin")));
    assert!(
        shown.stderr.contains("to record this shell's settings: samocode enable jwt"),
        "{shown}"
    );
}

#[test]
fn units_are_printed_for_a_version_installed_and_verified() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("units");

    let old = user.samocode(["units", "print", "--for-version", "239"]).ok().stdout;
    let new = user.samocode(["units", "print", "--for-version", "257"]).ok().stdout;
    assert!(old.contains("ExecStart=/opt/samocode/bin/samocode worker %i"), "{old}");
    assert!(!old.contains("RestartMode=") && new.contains("RestartMode=direct"));
    assert!(!old.contains("OOMPolicy=") && new.contains("OOMPolicy=continue"));
    let bad = user.samocode(["units", "print", "--for-version", "200"]).output();
    assert_eq!(bad.code, 2, "{bad}");
    assert!(!user.exists(".config/systemd/user"), "printing writes nothing");

    user.samocode(["units", "install"]).ok();
    assert_eq!(user.unit_property("samocode-wake.path", "ActiveState"), "active");
    assert_eq!(user.unit_property("samocode-wake.path", "UnitFileState"), "enabled");
    let printed = user.samocode(["units", "print", "--json"]).ok().json();
    let files = printed["files"].as_array().expect("files");
    for file in files {
        let path = file["path"].as_str().expect("a path");
        assert_eq!(user.read(path), file["text"].as_str().expect("text"), "{path}");
    }

    let denied = user.samocode(["units", "install", "--system"]).output();
    assert_one_line(&denied, 1, "sudo samocode units install --system");

    let verified = user.samocode(["units", "verify"]).ok();
    let said = format!("found no problems in the {} user units", files.len());
    assert!(verified.stdout.contains(&said), "{verified}");
    let without = user.samocode(["units", "verify"]).env("PATH", "/opt/samocode/bin").ok();
    assert!(without.stdout.contains("systemd-analyze is not installed"), "{without}");
}

#[test]
fn units_verify_fails_where_systemd_finds_a_mistake() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("units");
    // A stand-in that complains the way the real one does.
    user.write_program(
        "bin/systemd-analyze",
        "#!/bin/sh\nfor unit; do :; done\necho \"$unit:3: Unknown key name 'Foo', ignoring.\" >&2\n",
    );
    let path = format!("{}/bin:/opt/samocode/bin:/usr/bin:/bin", user.home.display());

    let out = user.samocode(["units", "verify"]).env("PATH", path).output();

    assert_eq!((out.code, out.stdout.as_str()), (1, ""), "{out}");
    assert_eq!(out.stderr, "error: samocode-timer@.service:3: Unknown key name 'Foo', ignoring.\n");
}
