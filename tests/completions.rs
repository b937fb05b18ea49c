//! Shell completions, and the help of all verbs.

use std::io::Write;
use std::process::{Command, Stdio};

/// The program without a lab: no home, no service manager.
fn samocode(args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_samocode"))
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("it runs")
}

#[test]
fn completions_are_valid_scripts_for_their_shells() {
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
fn completions_exit_quietly_when_their_pipe_is_closed() {
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
