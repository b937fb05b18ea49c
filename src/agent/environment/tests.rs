use super::*;
use crate::agent::registry::vocabulary;
use crate::config::file::ConfigFile;
use proptest::prelude::*;

fn file(lines: &str) -> EnvFile {
    EnvFile::of(&ConfigFile::parse(Path::new("env"), lines.as_bytes()).unwrap())
}

fn run() -> RunIds {
    RunIds {
        session: "jwt-login".to_owned(),
        session_dir: "/s/26-11-20-jwt-login".into(),
        phase: Phase::Testing,
        iteration: 7,
        run: "r-1".to_owned(),
        tmpdir: "/t/r-1".into(),
        port_base: Some(20_040),
        own_caches: vec!["YARN_CACHE_FOLDER".to_owned()],
        path_additions: Vec::new(),
    }
}

const AGENTS: [&str; 5] = ["claude", "codex", "gemini", "command", "rehearsal"];

fn environment(worker: &Env, file: &EnvFile, agent: &str, run: &RunIds) -> Env {
    agent_environment(&vocabulary(), worker, file, agent, run)
}

/// Which of the agents get a variable: claude, codex, gemini, command, rehearsal.
const ALL: &str = "ccgcr";
const NONE: &str = ".....";
const TABLE: &[(&str, &str, &str)] = &[
    ("ANTHROPIC_API_KEY", "sk", "c..c."),
    ("ANTHROPIC_AUTH_TOKEN", "sk", "c..c."),
    ("ANTHROPIC_BASE_URL", "http://x", "c..c."),
    ("ANTHROPIC_CUSTOM_HEADERS", "A: b", "c..c."),
    ("CLAUDE_CODE_OAUTH_TOKEN", "t", "c..c."),
    ("CLAUDE_CONFIG_DIR", "/c", "c..c."),
    ("AWS_SECRET_ACCESS_KEY", "k", "c..c."),
    ("AWS_SESSION_TOKEN", "k", "c..c."),
    ("AWS_REGION", "eu", "c..c."),
    ("OPENAI_API_KEY", "k", ".c.c."),
    ("CODEX_HOME", "/c", ".c.c."),
    ("GEMINI_API_KEY", "k", "..gc."),
    ("GOOGLE_API_KEY", "k", "..gc."),
    ("QWEN_API_KEY", "k", "...c."),
    ("GH_TOKEN", "t", NONE),
    ("GITHUB_TOKEN", "t", NONE),
    ("DASHSCOPE_API_KEY", "k", "...c."),
    ("GOOSE_PROVIDER", "x", "...c."),
    ("GOOGLE_CLOUD_PROJECT", "p", ALL),
    ("TELEGRAM_BOT_TOKEN", "k", NONE),
    ("TELEGRAM_CHAT_ID", "1", NONE),
    ("GITHUB_TOKEN", "k", NONE),
    ("DATABASE_PASSWORD", "k", NONE),
    ("HTTPS_PROXY", "http://h:1", ALL),
    ("https_proxy", "http://u:p@h:1", "ccgc."),
    ("NO_PROXY", "localhost", ALL),
    ("NODE_EXTRA_CA_CERTS", "/ca", ALL),
    ("HOME", "/h", ALL),
    ("USER", "u", ALL),
    ("LOGNAME", "u", ALL),
    ("SHELL", "/bin/sh", ALL),
    ("LANG", "C", ALL),
    ("LC_ALL", "C", ALL),
    ("TERM", "xterm", ALL),
    ("TZ", "UTC", ALL),
    ("XDG_CONFIG_HOME", "/c", ALL),
    ("XDG_RUNTIME_DIR", "/r", ALL),
    ("SSH_AUTH_SOCK", "/s", ALL),
    ("GIT_AUTHOR_NAME", "n", ALL),
    ("CARGO_HOME", "/c", ALL),
    ("JAVA_HOME", "/j", ALL),
    ("DISABLE_AUTOUPDATER", "0", ALL),
    ("GIT_DIR", "/g", NONE),
    ("GIT_INDEX_FILE", "/g", NONE),
    ("NOTIFY_SOCKET", "/n", NONE),
    ("WATCHDOG_USEC", "1", NONE),
    ("XPC_SERVICE_NAME", "dev.samocode.session.jwt", NONE),
    ("WATCHDOG_PID", "1", NONE),
    ("LISTEN_FDS", "1", NONE),
    ("INVOCATION_ID", "1", NONE),
    ("JOURNAL_STREAM", "1", NONE),
    ("CREDENTIALS_DIRECTORY", "/c", NONE),
    ("MANAGERPID", "1", NONE),
    ("DBUS_SESSION_BUS_ADDRESS", "unix:", NONE),
    ("CLAUDECODE", "1", NONE),
    ("CLAUDE_CODE_CHILD_SESSION", "1", NONE),
    ("CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR", "3", NONE),
    ("CLAUDE_MODEL", "opus", NONE),
    ("CLAUDE_TIMEOUT", "9", NONE),
    ("GIT_BRANCH_PREFIX", "x", NONE),
    ("SAMOCODE_AGENT", "codex", NONE),
    ("SAMOCODE_BUDGET_USD", "9", NONE),
    ("PWD", "/w", NONE),
    ("TMP", "/w", NONE),
];

#[test]
fn each_agent_gets_what_is_for_it_and_nothing_else() {
    for from_file in [false, true] {
        for (name, value, expected) in TABLE {
            // The file holds families only; the worker's environment may hold anything.
            if from_file && vocabulary().owner(name).is_none() {
                continue;
            }
            let (env, file) = if from_file {
                (Env::default(), file(&format!("{name}={value}\n")))
            } else {
                (Env::from_iter([(*name, *value)]), EnvFile::default())
            };
            for (agent, mark) in AGENTS.into_iter().zip(expected.chars()) {
                let got = environment(&env, &file, agent, &run());
                let wanted = (mark != '.').then_some(*value);
                assert_eq!(
                    got.text(name),
                    wanted,
                    "{name} for {agent}, from the file: {from_file}"
                );
            }
        }
    }
}

#[test]
fn an_agent_gets_the_facts_about_its_run() {
    let worker = Env::from_iter([
        ("HOME", "/h"),
        ("SAMOCODE_RUN", "old"),
        ("TMPDIR", "/tmp"),
        ("YARN_CACHE_FOLDER", "/h/.cache/yarn"),
        ("GIT_TERMINAL_PROMPT", "1"),
    ]);
    let got = environment(&worker, &EnvFile::default(), "claude", &run());
    for (name, value) in [
        ("SAMOCODE_SESSION", "jwt-login"),
        ("SAMOCODE_SESSION_DIR", "/s/26-11-20-jwt-login"),
        ("SAMOCODE_PHASE", "testing"),
        ("SAMOCODE_ITERATION", "7"),
        ("SAMOCODE_RUN", "r-1"),
        ("TMPDIR", "/t/r-1"),
        ("YARN_CACHE_FOLDER", "/s/26-11-20-jwt-login/_caches/YARN_CACHE_FOLDER"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("HOME", "/h"),
        ("PATH", DEFAULT_PATH),
    ] {
        assert_eq!(got.text(name), Some(value), "{name}");
    }
    let other = environment(&worker, &EnvFile::default(), "codex", &run());
    assert_eq!(other.text("DISABLE_AUTOUPDATER"), None);
}

#[test]
fn commits_of_an_agent_are_durable_and_other_settings_of_git_stay() {
    let git = |given: &[(&str, &str)]| {
        let worker = Env::from_iter(given.iter().copied());
        let got = environment(&worker, &EnvFile::default(), "claude", &run());
        let text = |name: &str| got.text(name).unwrap_or_default().to_owned();
        ["COUNT", "KEY_0", "VALUE_0", "KEY_1", "VALUE_1"]
            .map(|name| text(&format!("GIT_CONFIG_{name}")))
            .join(" ")
    };
    assert_eq!(git(&[]), "1 core.fsync all  ");
    let safe = [("GIT_CONFIG_KEY_0", "safe.directory"), ("GIT_CONFIG_VALUE_0", "*")];
    assert_eq!(
        git(&[&[("GIT_CONFIG_COUNT", "1")], &safe[..]].concat()),
        "2 safe.directory * core.fsync all"
    );
    let own = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.fSync"),
        ("GIT_CONFIG_VALUE_0", "none"),
    ];
    assert_eq!(git(&own), "1 core.fSync none  ");
    assert_eq!(git(&[("GIT_CONFIG_COUNT", "many")]), "many    ");
}

#[test]
fn the_environment_overrides_the_file_unless_it_is_empty() {
    let file = file("ANTHROPIC_API_KEY=file\n");
    let key = |value: &str| {
        let env = Env::from_iter([("ANTHROPIC_API_KEY", value)]);
        let got = environment(&env, &file, "claude", &run());
        got.text("ANTHROPIC_API_KEY").map(str::to_owned)
    };
    assert_eq!(key("env").as_deref(), Some("env"));
    assert_eq!(key("").as_deref(), Some("file"));
}

#[test]
fn nodes_folder_comes_first_in_path_and_only_once() {
    let env = Env::from_iter([("PATH", "/usr/bin:/bin")]);
    let ids = RunIds { path_additions: vec!["/n/bin".into(), "/bin".into()], ..run() };
    let got = environment(&env, &EnvFile::default(), "claude", &ids);
    assert_eq!(got.text("PATH"), Some("/n/bin:/usr/bin:/bin"));
}

#[test]
fn enable_records_path_and_settings_but_no_secret() {
    let env = Env::from_iter([
        ("PATH", "/usr/bin"),
        ("CLAUDE_PATH", "bin/claude"),
        ("CLAUDE_MODEL", "sonnet"),
        ("SAMOCODE_AGENT", "command:./run 'a b'"),
        ("SAMOCODE_AGENT_TESTING", "rehearsal"),
        ("SAMOCODE_STALL_AFTER", "bad\nvalue"),
        ("TELEGRAM_BOT_TOKEN", "secret"),
        ("ANTHROPIC_API_KEY", "secret"),
        ("HTTPS_PROXY", "http://u:secret@h"),
        ("CLAUDE_CONFIG_DIR", "/c"),
        ("MAIN_REPO", "/m"),
        ("HOME", "/h"),
        ("GIT_BRANCH_PREFIX", ""),
    ]);
    let got = recorded(&vocabulary(), &env, Path::new("/w"));
    let got: Vec<_> = got.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("PATH", "/usr/bin"),
        ("CLAUDE_CONFIG_DIR", "/c"),
        ("SAMOCODE_AGENT", "command:/w/run 'a b'"),
        ("SAMOCODE_AGENT_TESTING", "rehearsal"),
        ("CLAUDE_PATH", "/w/bin/claude"),
        ("CLAUDE_MODEL", "sonnet"),
    ];
    assert_eq!(got, expected);
}

#[test]
fn secrets_only_in_the_shell_are_named_and_saved_with_what_belongs_to_them() {
    let env = Env::from_iter([
        ("ANTHROPIC_API_KEY", "a"),
        ("ANTHROPIC_BASE_URL", "http://x"),
        ("OPENAI_API_KEY", "o"),
        ("GEMINI_API_KEY", ""),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("TELEGRAM_BOT_TOKEN", "t"),
        ("HTTPS_PROXY", "http://u:p@h"),
        ("GITHUB_TOKEN", "g"),
        ("CLAUDE_CODE_SESSION_ACCESS_TOKEN", "x"),
        ("CLAUDE_MODEL", "opus"),
        ("CLAUDE_CONFIG_DIR", "/c"),
    ]);
    let file = file("OPENAI_API_KEY=other\nANTHROPIC_BASE_URL=http://x\n");
    let missing =
        ["ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "TELEGRAM_BOT_TOKEN"];
    assert_eq!(secrets_in_shell(&vocabulary(), &env, &file), missing);
    let saved: Vec<_> =
        importable(&vocabulary(), &env, &file).into_iter().map(|(name, _)| name).collect();
    let expected = [
        "ANTHROPIC_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "HTTPS_PROXY",
        "OPENAI_API_KEY",
        "TELEGRAM_BOT_TOKEN",
    ];
    assert_eq!(saved, expected);
}

proptest! {
    #[test]
    fn no_agent_ever_gets_a_notices_or_the_managers_variable(
        name in "(TELEGRAM_|WATCHDOG_|LISTEN_)[A-Z_]{0,12}|NOTIFY_SOCKET",
        value in "[a-z]{1,8}",
    ) {
        let env = Env::from_iter([(name.as_str(), value.as_str())]);
        for agent in AGENTS {
            let got = environment(&env, &file(&format!("{name}={value}\n")), agent, &run());
            prop_assert_eq!(got.get(&name), None);
        }
    }
}

#[test]
fn the_tokens_of_one_program_reach_it_wherever_they_are_set_and_no_other() {
    let worker = Env::from_iter([("HOME", "/h"), ("GH_TOKEN", "of-units")]);
    let file = file("GITHUB_TOKEN=of-file\nGH_TOKEN=of-file\n");
    let of = |agent: &str| {
        let name = AgentName::parse(agent, Path::new("/"), None, &vocabulary()).unwrap();
        let env = crate::agent::REGISTRY.environment(&worker, &file, &name, &run());
        ["GH_TOKEN", "GITHUB_TOKEN"].map(|name| env.text(name).map(str::to_owned))
    };
    let both = [Some("of-units".to_owned()), Some("of-file".to_owned())];
    for copilot in ["acp:copilot --acp", "acp:/opt/node/bin/copilot --acp --allow-all-tools"] {
        assert_eq!(of(copilot), both, "{copilot}");
    }
    for other in
        ["acp:qwen --acp", "acp:copilot-x --acp", "command:copilot", "claude", "codex", "rehearsal"]
    {
        assert_eq!(of(other), [None, None], "{other}");
    }
    assert!(
        vocabulary()
            .not_handed_on(&file, &crate::config::Dirs::of_home(Path::new("/h")))
            .is_empty()
    );
    assert_eq!(importable(&vocabulary(), &worker, &EnvFile::default()), []);
}
