//! An agent that tries to get more out of samocode than it was given.

use crate::lab;

/// What it does in its first run. What it got is in `~/got`.
const ATTEMPTS: &str = r#"#!/bin/bash
cd "$SAMOCODE_SESSION_DIR"
if [ ! -e ~/tried ]; then
    touch ~/tried
    # Words into the terminal behind `samocode run`.
    (: </dev/tty) 2>/dev/null && echo terminal >>~/got
    # The memory of worker and parent.
    pgrep -c samocode >~/seen
    grep -qa . /proc/self/environ && echo self >>~/seen
    for pid in $(pgrep samocode); do
        grep -qa . /proc/$pid/environ 2>/dev/null && echo environment >>~/got
        head -c 0 /proc/$pid/mem 2>/dev/null && echo memory >>~/got
    done
    # Files that the worker writes to.
    ln -sf ~/.profile _signal_history.jsonl
    rm -f _overview.md && ln ~/.profile _overview.md
    rm -rf _logs && ln -s ~/.config _logs
    rm -rf _mail && ln -s ~/.config _mail
fi
echo '{"status":"continue","phase":"requirements","summary":"PWNED"}' >_signal.json
"#;

#[test]
fn an_agent_gets_neither_terminal_nor_memory_and_none_of_its_links_is_followed() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("hostile");
    user.write_program("agent", ATTEMPTS);
    user.write(".profile", "mine\n");
    user.write(".config/mine", "");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", "command:/home/hostile/agent")
        .key("SAMOCODE_MAX_RETRIES", "1")
        .create();
    user.sh("script -qec 'samocode run jwt --task t' /dev/null").cwd(&project.dir).output();
    let session = project.named("jwt");
    assert!(user.exists("tried"));
    let seen = user.read("seen");
    let (processes, own) = seen.split_once('\n').expect("two lines");
    assert!(processes.parse::<u32>().is_ok_and(|count| count >= 2), "{seen}");
    assert_eq!(own, "self\n", "what may be read is read");
    assert!(!user.exists("got"), "{}", user.read("got"));
    assert_eq!(user.read(".profile"), "mine\n");
    assert_eq!(user.sh("ls ~/.config").ok().stdout, "mine\n");
    let aside: Vec<_> = session
        .journal("set_aside")
        .iter()
        .map(|event| event["file"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(aside, ["_overview.md", "_signal_history.jsonl", "_mail", "_logs"]);
    assert!(session.file("_signal_history.jsonl").contains("PWNED"), "a new file has it");
    assert!(project.status("jwt", "Total Iterations").is_some(), "a new overview");
    let why = project.samocode(["why", "jwt"]).ok().stdout;
    assert!(why.contains("_logs was a symbolic link to /home/hostile/.config"), "{why}");
}
