use super::*;
use std::path::Path;

#[test]
fn a_suffix_names_a_phase_only_where_the_key_takes_one() {
    let words = sample::vocabulary();
    assert_eq!(
        words.lookup("SAMOCODE_AGENT_TESTING").map(|(k, p)| (k.name, p)),
        Some(("SAMOCODE_AGENT", Some(Phase::Testing)))
    );
    assert_eq!(words.lookup("SAMOCODE_BUDGET_USD_DAY").map(|(_, p)| p), Some(None));
    for unknown in [
        "CLAUDE_MODEL_TESTING",
        "SAMOCODE_AGENT_",
        "SAMOCODE_AGENT_testing",
        "SAMOCODE_AGENT_SHIPPING",
        "",
    ] {
        assert!(words.lookup(unknown).is_none(), "{unknown}");
    }
}

#[test]
fn the_nearest_key_is_suggested_and_nothing_for_what_is_like_none() {
    for (typed, expected) in [
        ("WORKTREE", Some("WORKTREES")),
        ("SESSION", Some("SESSIONS")),
        ("main_repo", Some("MAIN_REPO")),
        ("SAMOCODE_AGNET", Some("SAMOCODE_AGENT")),
        ("STALL_AFTER", Some("SAMOCODE_STALL_AFTER")),
        ("CLAUDE_MAX_TURN", Some("CLAUDE_MAX_TURNS")),
        ("SAMOCODE_STALL_AFTER_TESTNG", Some("SAMOCODE_STALL_AFTER_TESTING")),
        ("FROBNICATE", None),
    ] {
        assert_eq!(sample::vocabulary().nearest(typed).as_deref(), expected, "{typed}");
    }
}

#[test]
fn agents_are_listed_as_they_are_typed() {
    let allowed = sample::vocabulary().allowed_agents();
    assert_eq!(allowed, "use claude, codex, rehearsal or command:PROGRAM ARGS");
    let words = sample::vocabulary().with_planned(["codex"]);
    assert_eq!(words.allowed_agents(), "use claude, rehearsal or command:PROGRAM ARGS");
    let allowed = words.allowed_agents();
    let instead = |typed| words.instead_of_agent(typed);
    assert_eq!(instead("cluade"), format!("{allowed}; did you mean 'claude'?"));
    assert_eq!(instead("rehersal"), format!("{allowed}; did you mean 'rehearsal'?"));
    assert_eq!([instead("hal9000"), instead("codx")], [allowed.clone(), allowed]);
}

#[test]
fn variables_of_the_env_file_that_nobody_gets_are_warned_of() {
    let path = Path::new("env");
    let text = b"ANTHROPIC_API_KEY=sk-1\nGITHUB_TOKEN=gh-1\n";
    let file = EnvFile::of(&crate::config::file::ConfigFile::parse(path, text).unwrap());
    let warnings = sample::vocabulary().not_handed_on(&file, &Dirs::of_home(Path::new("/h")));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(
        warnings[0].to_string(),
        "/h/.config/samocode/env:2: GITHUB_TOKEN is not passed to agents: only ANTHROPIC_*, \
         CLAUDE_*, OPENAI_*, *_PROXY, NODE_EXTRA_CA_CERTS, NODE_TLS_REJECT_UNAUTHORIZED, \
         NODE_USE_ENV_PROXY, NODE_USE_SYSTEM_CA, SSL_CERT_DIR and SSL_CERT_FILE are"
            .replace("/h/.config", "~/.config")
    );
}

#[test]
fn a_key_with_a_letter_wrong_is_told_from_a_variable_of_the_agents() {
    let words = sample::vocabulary();
    for (typed, expected) in [
        ("CLAUDE_TIMOUT", Some("CLAUDE_TIMEOUT")),
        ("CLAUDE_MODLE", Some("CLAUDE_MODEL")),
        ("CLAUDE_MAX_TURN", Some("CLAUDE_MAX_TURNS")),
        ("TELEGRAM_CHATID", Some("TELEGRAM_CHAT_ID")),
        ("claude_path", Some("CLAUDE_PATH")),
        ("CLAUDE_CODE_USE_BEDROCK", None),
        ("ANTHROPIC_API_KEY", None),
        ("CLAUDE_CONFIG_DIR", None),
    ] {
        assert_eq!(words.misspelt(typed).as_deref(), expected, "{typed}");
    }
    assert_eq!(words.nearest("TELEGRAM_TOKEN").as_deref(), Some("TELEGRAM_BOT_TOKEN"));
}
