//! A whole session with marked secrets of every kind, from init to done: while it runs and after it,
//! nothing of them is where it must not be.

use crate::lab::{self, Api, Bot, LabUser, Project, Reply, secs};
use crate::session::{BOUND, Session};
use crate::web::{Browser, link};

/// What all the others have in common.
const MARK: &str = "marked-secret";
/// What the agent needs, in the env file.
const KEY: &str = "sk-ant-api03-marked-secret-key";
const PROXY: &str = "http://me:marked-secret-proxy@127.0.0.1:9";
/// Another key, as a credential of the workers' units, which has precedence.
const CREDENTIAL: &str = "sk-ant-api03-marked-secret-credential";
/// Of two bots: one token is in a file, one is a credential of the units that send.
const BY_FILE: &str = "12345678:AA-marked-secret-file-0123456789";
const BY_CREDENTIAL: &str = "12345678:AA-marked-secret-unit-0123456789";
/// Of the repository's remote.
const REMOTE: &str = "https://me:marked-secret-remote@127.0.0.1:9/shop.git";

/// Files that hold secrets because a person put them there, or the CLI its own. The service manager
/// keeps credentials in memory, for the unit's processes.
const THEIR_OWN: &[&str] = &[
    "/.config/samocode/env",
    "/.config/samocode/token",
    "/keys/",
    "/.claude/",
    "/.claude.json",
    "/shop/.git/config",
    "/credentials/",
];

/// Where files are that samocode, the manager or the kernel writes: all but programs.
const PLACES: &str = "/root /tmp /var/tmp /dev/shm /run /var/lib/samocode /var/lib/systemd \
                      /var/crash /etc/systemd";

/// The agent says what it has, and where it may look it finds no more; then it waits.
const TELLS: &str = r#"env; cat /proc/$PPID/environ; git config --list
    cat ~/keys/* ~/.config/samocode/* /run/credentials/*/* /run/user/*/credentials/*/*
    touch "$SAMOCODE_SESSION_DIR/started"
    until [ -e "$SAMOCODE_SESSION_DIR/go" ]; do sleep 0.05; done"#;

fn set_up<'u>(user: &'u LabUser, api: &Api, bot: &Bot) -> Project<'u> {
    let (mut lines, keys) = (String::new(), [("HTTPS_PROXY", PROXY), ("NO_PROXY", "127.0.0.1")]);
    for (name, value) in api.environment() {
        let value = if name == "ANTHROPIC_API_KEY" { KEY.to_owned() } else { value };
        lines.push_str(&format!("{name}={value}\n"));
    }
    keys.iter().for_each(|(name, value)| lines.push_str(&format!("{name}={value}\n")));
    lines.push_str(&format!("TELEGRAM_API_URL={}\n", bot.url()));
    user.write_env_file(lines);
    for (path, text) in [
        (".config/samocode/token", BY_FILE.to_owned()),
        ("keys/telegram", BY_CREDENTIAL.to_owned()),
        ("keys/env", format!("ANTHROPIC_API_KEY={CREDENTIAL}\n")),
        (
            ".config/samocode/notify.toml",
            "[channel.first]\ntype = \"telegram\"\nchat = \"1\"\ntoken_file = \"token\"\n\
             [channel.telegram]\ntype = \"telegram\"\nchat = \"1\"\ntoken_credential = \"telegram\"\n"
                .to_owned(),
        ),
    ] {
        user.write(path, text);
        user.set_mode(path, 0o600);
    }
    for (units, name) in [("samocode-", "telegram"), ("samocode@", "samocode.env")] {
        let file = if units == "samocode@" { "env" } else { "telegram" };
        let drop_in =
            format!("[Service]\nLoadCredential={name}:{}/keys/{file}\n", user.home.display());
        user.write(format!(".config/systemd/user/{units}.service.d/secret.conf"), drop_in);
    }
    // The real CLI where the secrets are looked for, then an agent that takes no time.
    let project = user
        .project("shop")
        .key("SAMOCODE_CONFINE", "standard")
        .key("SAMOCODE_AGENT", "rehearsal")
        .key("SAMOCODE_AGENT_INVESTIGATION", "claude")
        .create();
    user.sh(&format!("git -C shop remote add origin {REMOTE}")).ok();
    project
}

/// Each process with a secret in its environment or its command line: those, its cgroup.
fn processes_with_secrets(user: &LabUser) -> Vec<String> {
    // A pattern that does not match itself, in the command line of the search.
    let mark = MARK.replacen('-', "[-]", 1);
    let look = format!(
        "cd /proc; for p in [0-9]*; do
             found=$(cat $p/environ $p/cmdline | tr '\\0' '\\n' | grep -ao '[^=]*{mark}-[a-z]*' | sort -u)
             [ -z \"$found\" ] || echo $found: $(cat $p/cgroup)
         done 2>/dev/null"
    );
    let lines = user.lab.root_sh(&look).within(secs(300)).output().stdout;
    lines.lines().map(str::to_owned).collect()
}

/// Files with a secret that are nobody's own.
fn files_with_secrets(user: &LabUser) -> Vec<String> {
    user.lab.root(["journalctl", "--sync"]).ok();
    // Toolchains of the machine's own root are large, and nobody's business.
    let without = "--exclude-dir=.cargo --exclude-dir=.rustup";
    let home = user.home.display();
    let search = format!("grep -rlas -D skip {without} -e {MARK} {home} {PLACES}");
    // Others' files are there, too, and may be large.
    let found = user.lab.root_sh(&search).within(secs(600)).output().stdout;
    let is_theirs = |path: &&str| !THEIR_OWN.iter().any(|own| path.contains(own));
    found.lines().filter(is_theirs).map(str::to_owned).collect()
}

/// What samocode, the manager and its log say, a text each.
fn what_is_said(session: &Session<'_>) -> Vec<(String, String)> {
    let user = session.user();
    let mut said = Vec::new();
    for args in [
        &["status"][..],
        &["status", "jwt", "--json"],
        &["why", "jwt"],
        &["config", "jwt", "--json"],
        &["doctor", "--json"],
        &["history", "jwt"],
        &["logs", "jwt", "--tools"],
        &["logs", "jwt", "--raw"],
        &["prompt", "jwt"],
        &["report", "jwt"],
        &["notify", "list"],
        &["show", "jwt", "diff"],
        &["units", "print"],
    ] {
        let out = session.project.samocode(args).output();
        said.push((args.join(" "), out.stdout + &out.stderr));
    }
    let all = user.lab.root(["journalctl", "--no-pager", "--all", "-o", "export"]).output();
    said.push(("the journal".to_owned(), all.stdout));
    for line in [
        "systemctl --user show 'samocode*'",
        "systemctl --user cat 'samocode*'",
        "systemctl --user status --full --no-pager 'samocode*'",
        "systemctl --user show-environment",
        "journalctl --user --all -o verbose --no-pager",
    ] {
        let out = user.sh(line).output();
        said.push((line.to_owned(), out.stdout + &out.stderr));
    }
    said
}

#[track_caller]
fn assert_hidden(session: &Session<'_>, agents: &str) {
    let mut files = files_with_secrets(session.user());
    files.retain(|path| !path.starts_with(agents));
    assert_eq!(files, [""; 0]);
    for (what, text) in what_is_said(session) {
        let line = text.lines().find(|line| line.contains(MARK));
        assert_eq!(line, None, "{what}");
    }
}

#[test]
fn marked_secrets_of_a_whole_session_are_only_where_they_belong() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("marked");
    let bot = Bot::start();
    let api = Api::obedient_after(vec![Reply::bash(TELLS)]);
    let project = set_up(&user, &api, &bot);
    let session = project.named("jwt");

    let shell = project.samocode(["enable", "jwt", "--task", "JWT login"]);
    let enabled = shell.env("GEMINI_API_KEY", "marked-secret-shell").ok();
    assert!(!(enabled.stdout + &enabled.stderr).contains(MARK));
    project.samocode(["bot", "--install"]).ok();
    user.wait_until("the bot has its credential", BOUND, || bot.is_polled());
    user.wait_until("the agent works", BOUND, || project.session_file("jwt", "started").is_some());
    assert_eq!(api.requests()[0].header("x-api-key"), Some(CREDENTIAL));
    let mut server = project.samocode(["web"]).spawn();
    server.wait_for_stdout("/enter?token=", secs(60));
    let browser = Browser::open(&user, link(&server.stdout()));

    // The agent and what it starts have the keys of agents, and nobody has the others.
    let processes = processes_with_secrets(&user);
    assert!(processes.iter().any(|line| line.contains(CREDENTIAL)), "{processes:#?}");
    assert!(processes.iter().any(|line| line.contains("-proxy")), "{processes:#?}");
    for process in &processes {
        assert!(process.contains("/samocode@jwt.service/run-"), "{process}");
        for mark in ["-file", "-unit", "-remote", "-shell", "-key"] {
            assert!(!process.contains(&format!("{MARK}{mark}")), "{process}");
        }
    }
    // What it prints the CLI keeps in the run's own folder, which goes away with the run.
    assert_hidden(&session, "/tmp/samocode-");

    // A crash leaves no core, and the next worker no more than this one.
    user.systemctl(["kill", "--kill-whom=main", "--signal=SEGV", "samocode@jwt.service"]).ok();
    user.write(project.session("jwt").expect("a session").join("go"), "");
    user.wait_until("it asks", BOUND, || session.stands().0 == "waiting");
    project.samocode(["answer", "jwt", "--accept-suggestions"]).ok();
    user.wait_until("it has a plan", BOUND, || {
        session.stands() == ("waiting".into(), "planning".into())
    });
    for page in ["/", "/s/jwt"] {
        let page = browser.wait(page, "jwt");
        assert!(!page.contains(MARK), "{page}");
    }
    project.samocode(["approve", "jwt"]).ok();
    session.wait_for_state("done");
    // What the worker has no token for is sent by the unit that has the credential.
    user.wait_until("one bot has said so", BOUND, || bot.count_of("done") >= 1);
    user.systemctl(["start", "samocode-notices.service"]).ok();
    user.wait_until("both bots have said so", BOUND, || bot.count_of("done") >= 2);
    let nobodys = "//";
    assert_hidden(&session, nobodys);
    assert!(!bot.messages().concat().contains(MARK));
}
