//! The verbs that set up and look: init, config, units, doctor, notify,
//! completions; and the help of all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use crate::lab::{self, LabUser, Outcome};

/// The program without a lab: no home, no service manager.
fn samocode(args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_samocode"))
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("it runs")
}

/// One line on stderr, nothing on stdout, and this code.
#[track_caller]
fn assert_one_line(out: &Outcome, code: i32, part: &str) {
    assert_eq!(out.code, code, "{out}");
    assert!(out.is_one_error() && out.stderr.contains(part), "{out}");
    assert_eq!(out.stdout, "", "{out}");
}

#[test]
fn init_finds_out_what_it_needs_and_changes_nothing_the_second_time() {
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

    // The branch that sessions begin with, whatever is checked out.
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
    let missing = user.samocode(["init", "/not/there"]).output();
    assert_one_line(&missing, 78, "cannot open /not/there");
    let config = user.samocode(["--config", "notes/.samocode", "init"]).output();
    assert_one_line(&config, 2, "samocode init notes");
}

#[test]
fn config_says_of_every_value_where_it_comes_from_and_shows_no_secret() {
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
    assert!(outside.stderr.contains("no .samocode here or above"), "{outside}");
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

    // The doctor goes on and tells all that is wrong.
    let out = user.samocode(["doctor"]).cwd(&project.dir).output();
    assert_eq!(out.code, 1, "{out}");
    assert!(out.stdout.contains("✗") && out.stdout.contains("WORKTREES, SESSIONS are not set"));
    assert!(out.stdout.contains("inotify"), "{out}");
}

#[test]
fn config_of_a_session_shows_what_its_unit_goes_by() {
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
    assert!(shown.stderr.contains("samocode enable jwt records"), "{shown}");
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
    for file in printed["files"].as_array().expect("files") {
        let path = file["path"].as_str().expect("a path");
        assert_eq!(user.read(path), file["text"].as_str().expect("text"), "{path}");
    }

    let denied = user.samocode(["units", "install", "--system"]).output();
    assert_one_line(&denied, 1, "sudo samocode units install --system");

    let verified = user.samocode(["units", "verify"]).ok();
    assert!(verified.stdout.contains("found no problems in the 6 user units"), "{verified}");
    let without = user.samocode(["units", "verify"]).env("PATH", "/opt/samocode/bin").ok();
    assert!(without.stdout.contains("systemd-analyze is not installed"), "{without}");
}

#[test]
fn units_verify_fails_where_systemd_finds_a_mistake() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("units");
    // Stands in for one that complains, the way the real one does.
    user.write_program(
        "bin/systemd-analyze",
        "#!/bin/sh\nfor unit; do :; done\necho \"$unit:3: Unknown key name 'Foo', ignoring.\" >&2\n",
    );
    let path = format!("{}/bin:/opt/samocode/bin:/usr/bin:/bin", user.home.display());

    let out = user.samocode(["units", "verify"]).env("PATH", path).output();

    assert_eq!((out.code, out.stdout.as_str()), (1, ""), "{out}");
    assert_eq!(out.stderr, "error: samocode-convoy@.target:3: Unknown key name 'Foo', ignoring.\n");
}

#[test]
fn doctor_finds_what_is_broken_and_mends_it() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("doctor");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    user.samocode(["units", "install"]).ok();
    user.systemctl(["stop", "samocode-wake.path"]).ok();
    user.write(".config/samocode/env", "ANTHROPIC_API_KEY=sk-ant-hidden\n");
    user.set_mode(".config/samocode/env", 0o644);
    user.set_mode(".local/state/samocode/wake", 0o755);
    user.sh("sed -i s/WatchdogSec=30s/WatchdogSec=31s/ ~/.config/systemd/user/samocode@.service")
        .ok();

    let sick = project.samocode(["doctor"]).output();
    assert_eq!(sick.code, 1, "{sick}");
    for line in [
        "✗ samocode-wake.path is inactive and enabled",
        "✗ ~/.config/samocode/env can be read by others (mode 0644)",
        "samocode/wake has mode 755",
        "! not as this version has them: samocode@.service",
        "shop-worktrees is not there → mkdir -p ",
        "! lingering is off",
        "✓ rehearsal, which is built in",
        "✓ commits work",
    ] {
        assert!(sick.stdout.contains(line), "{line:?} is missing in {sick}");
    }

    let mended = project.samocode(["doctor", "--fix"]).output();
    let well = project.samocode(["doctor", "--json"]).ok();

    assert_eq!(mended.code, 0, "{mended}");
    assert!(mended.stdout.contains("Mended: chmod 600 "), "{mended}");
    assert_eq!(well.json()["healthy"], true);
    assert_eq!(user.unit_property("samocode-wake.path", "ActiveState"), "active");
    let mode = user.sh("stat -c %a ~/.config/samocode/env ~/.local/state/samocode/wake").ok();
    assert_eq!(mode.stdout, "600\n700\n");
    assert!(user.exists("shop-worktrees") && user.exists("shop-sessions"));
    assert!(user.host_path(format!("/var/lib/systemd/linger/{}", user.name)).exists(), "{mended}");
    assert!(!user.read(".config/systemd/user/samocode@.service").contains("31s"));
    for out in [&sick, &mended, &well] {
        assert!(!out.stdout.contains("hidden") && !out.stderr.contains("hidden"), "{out}");
    }
}

#[test]
fn doctor_works_outside_a_project_and_without_a_manager() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("doctor");

    let out = user.samocode(["doctor"]).env("PATH", "/opt/samocode/bin:/usr/bin:/bin").output();

    assert_eq!(out.code, 1, "{out}");
    assert!(out.stdout.contains("✗ no user service manager is reachable"), "{out}");
    assert!(out.stdout.contains("samocode run SESSION"), "{out}");
    assert!(out.stdout.contains("what concerns a project was left out"), "{out}");
    assert!(out.stdout.contains("✗ cannot find claude: looked in"), "{out}");
    assert_eq!(out.stderr, "", "{out}");
}

#[test]
fn doctor_tells_an_agents_version_and_does_not_wait_for_one_for_ever() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("doctor");
    user.write_program("agents/claude", "#!/bin/sh\necho \"9.9.9 (Stand-in)\"\n");
    let program = user.home.join("agents/claude").display().to_string();
    let doctor = || user.samocode(["doctor"]).env("CLAUDE_PATH", &program);

    let out = doctor().ok();
    assert!(out.stdout.contains("✓ claude 9.9.9 (Stand-in) (/home/"), "{out}");

    user.write_program("agents/claude", "#!/bin/sh\nexec sleep 1000\n");
    let out = doctor().output();
    assert_eq!(out.code, 1, "{out}");
    assert!(out.stdout.contains("--version' said nothing for 10 s"), "{out}");

    let root = lab.root(["samocode", "doctor"]).env("CLAUDE_PATH", &program).output();
    assert!(root.stdout.contains("✗ claude does not run as root"), "{root}");
}

#[test]
fn doctor_does_not_start_a_command_that_might_take_its_version_for_a_task() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("doctor");
    user.write_program("agent", "#!/bin/sh\ntouch ~/started\n");
    let agent = format!("command:{}/agent", user.home.display());

    let out = user.samocode(["doctor"]).env("SAMOCODE_AGENT", &agent).ok();

    assert!(out.stdout.contains(&format!("✓ {agent}")), "{out}");
    assert!(!user.exists("started"));
}

/// A server that answers each request with this status and body, and tells the
/// first line of each.
fn bot_api(status: &'static str, body: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut lines = reader.by_ref().lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let length = headers
                .iter()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            let mut request = vec![0; length];
            let _ = reader.read_exact(&mut request);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = reader.get_mut().write_all(head.as_bytes());
            if tell.send(first).is_err() {
                return;
            }
        }
    });
    (url, told)
}

fn uses_telegram(user: &LabUser, url: &str) {
    user.write_env_file(format!(
        "TELEGRAM_BOT_TOKEN=123:hidden\nTELEGRAM_CHAT_ID=5\nTELEGRAM_API_URL={url}\n"
    ));
}

#[test]
fn notify_test_sends_one_message_and_says_how_it_went() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("notify");
    let (url, told) = bot_api("200 OK", r#"{"ok":true,"result":{"message_id":1}}"#);
    uses_telegram(&user, &url);

    let out = user.samocode(["notify", "test"]).ok();

    assert!(out.stdout.contains("telegram  sent in "), "{out}");
    assert!(told.try_recv().expect("a request").starts_with("POST /bot123:hidden/sendMessage"));
    assert!(told.try_recv().is_err(), "one message");
    assert!(!out.stdout.contains("hidden") && !out.stderr.contains("hidden"), "{out}");
}

#[test]
fn notify_test_fails_where_a_message_does_or_nothing_is_set_up() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("notify");
    let out = user.samocode(["notify", "test"]).output();
    assert_eq!(out.code, 1, "{out}");
    assert!(
        out.stdout
            .contains("put TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID into ~/.config/samocode/env"),
        "{out}"
    );

    let body = r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#;
    let (url, _told) = bot_api("401 Unauthorized", body);
    uses_telegram(&user, &url);
    let out = user.samocode(["notify", "test", "--json"]).output();
    assert_eq!(out.code, 1, "{out}");
    let results = out.json()["results"].clone();
    let telegram =
        results.as_array().and_then(|all| all.iter().find(|r| r["notifier"] == "telegram"));
    assert_eq!(telegram.expect("telegram")["outcome"], "failed", "{out}");
    assert!(!out.stdout.contains("hidden"), "{out}");

    // Half of it is a mistake, not a choice.
    user.write(".config/samocode/env", "TELEGRAM_BOT_TOKEN=123:hidden\n");
    let out = user.samocode(["notify", "test"]).output();
    assert_eq!(out.code, 1, "{out}");
    assert!(out.stdout.contains("telegram  failed: a token but no chat"), "{out}");
}

#[test]
fn completions_are_scripts_of_their_shells() {
    for (shell, part) in [
        ("bash", "complete -F _samocode"),
        ("zsh", "#compdef samocode"),
        ("fish", "complete -c samocode"),
    ] {
        let out = samocode(&["completions", shell]);
        let script = String::from_utf8(out.stdout).expect("text");
        assert!(out.status.success() && script.contains(part), "{shell}");
        assert!(script.contains("enable") && script.contains("doctor"), "{shell}");
    }
    let out = samocode(&["completions", "nosh"]);
    assert_eq!(out.status.code(), Some(2));

    let script = samocode(&["completions", "bash"]).stdout;
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().expect("bash");
    bash.stdin.take().expect("a pipe").write_all(&script).expect("it reads");
    assert!(bash.wait().expect("it ends").success(), "bash finds an error in it");
}

#[test]
fn completions_end_quietly_where_nobody_reads() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_samocode"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let out = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
}

/// The verbs below these words, as their help lists them.
fn verbs_of(words: &[&str]) -> Vec<String> {
    let mut args = words.to_vec();
    args.push("--help");
    let help = String::from_utf8(samocode(&args).stdout).expect("text");
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_verb_has_an_example_in_its_help() {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    let mut next = 0;
    while next < all.len() {
        let words: Vec<&str> = all[next].iter().map(String::as_str).collect();
        let verbs = verbs_of(&words);
        let mut args = words.clone();
        args.push("--help");
        let help = String::from_utf8(samocode(&args).stdout).expect("text");
        let example = format!("\n  samocode {}", words.join(" "));
        assert!(
            help.contains("Example") && (help.contains(&example) || help.contains("\n  sudo ")),
            "{words:?}: {help}"
        );
        let below = verbs.into_iter().map(|verb| [all[next].clone(), vec![verb]].concat());
        let below: Vec<_> = below.collect();
        all.extend(below);
        next += 1;
    }
    assert!(all.len() > 10, "{all:?}");
}
