use super::*;
use crate::agent::registry::vocabulary;

fn account(agent: &str, more: &[(&str, &str)]) -> Option<Account> {
    let mut env = Env::from_iter([("HOME", "/h")]);
    env.extend(more.iter().copied());
    let name = AgentName::parse(agent, Path::new("/"), None, &vocabulary()).unwrap();
    of(&vocabulary(), &name, &env)
}

#[test]
fn an_account_differs_by_each_of_its_parts_and_shows_none() {
    let base = || hash("claude", Path::new("/h/.claude"), "", "sk-1");
    let others = [
        hash("codex", Path::new("/h/.claude"), "", "sk-1"),
        hash("claude", Path::new("/h/.claude2"), "", "sk-1"),
        hash("claude", Path::new("/h/.claude"), "http://x", "sk-1"),
        hash("claude", Path::new("/h/.claude"), "", "sk-2"),
        hash("claude", Path::new("/h/.claude"), "sk-1", ""),
    ];
    assert_eq!(base(), base());
    assert!(base().len() == 16 && base().bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(others.iter().all(|other| *other != base()));
}

#[test]
fn the_account_follows_what_the_agent_will_use() {
    let claude = |more: &[(&str, &str)]| account("claude", more).unwrap().hash;
    let elsewhere = [("OPENAI_API_KEY", "x"), ("CLAUDE_CONFIG_DIR", "/h/.claude")];
    assert_eq!(claude(&[]), claude(&elsewhere));
    assert_ne!(claude(&[]), claude(&[("ANTHROPIC_API_KEY", "x")]));
    assert_ne!(claude(&[]), claude(&[("CLAUDE_CONFIG_DIR", "/other")]));
    assert_ne!(claude(&[("ANTHROPIC_API_KEY", "x")]), claude(&[("ANTHROPIC_AUTH_TOKEN", "x")]));
    assert_eq!(
        claude(&[("ANTHROPIC_BASE_URL", "http://x/")]),
        claude(&[("ANTHROPIC_BASE_URL", "http://x")])
    );
}

#[test]
fn a_command_is_known_by_every_agents_credentials_and_the_rehearsal_has_no_account() {
    let command = |more: &[(&str, &str)]| account("command:/bin/x", more).unwrap().hash;
    assert_ne!(command(&[]), command(&[("OPENAI_API_KEY", "x")]));
    assert_ne!(command(&[]), command(&[("ANTHROPIC_BASE_URL", "http://x")]));
    assert_eq!(account("rehearsal", &[]), None);
    let acp = |agent: &str, token| account(agent, &[("GH_TOKEN", token)]).unwrap().hash;
    assert_ne!(acp("acp:copilot --acp", "x"), acp("acp:copilot --acp", "y"));
    assert_eq!(acp("acp:qwen --acp", "x"), acp("acp:qwen --acp", "y"));
}

#[test]
fn a_new_login_is_looked_for_in_the_agents_own_folder() {
    let logins = account("claude", &[("CLAUDE_CONFIG_DIR", "/c")]).unwrap().logins;
    assert_eq!(logins, [Path::new("/c/.credentials.json")]);
    assert_eq!(account("command:x", &[]).unwrap().logins, Vec::<PathBuf>::new());
}

#[test]
fn the_file_beside_the_users_own_folder_is_open_only_to_those_who_use_that() {
    use crate::agent::registry::{REGISTRY, testing::agent_of};
    let agent = agent_of(&REGISTRY, "claude", "CLAUDE_PATH=/bin/true\n").unwrap();
    let home = Path::new("/home/u");
    assert_eq!(agent.login_files(home, &Vec::new()), [Path::new("/home/u/.claude.json")]);
    let elsewhere = vec![("CLAUDE_CONFIG_DIR".into(), "/home/u/.claude-sessions".into())];
    assert_eq!(agent.login_files(home, &elsewhere), Vec::<PathBuf>::new());
    let folders = agent.login_folders(home, &elsewhere);
    assert_eq!(folders, [Path::new("/home/u/.claude-sessions")]);
}
