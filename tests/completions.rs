//! Shell completions, and the help of all verbs.

use std::io::Write;
use std::path::Path;
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
        (
            "bash",
            "complete -o nospace -o bashdefault -o nosort -F _clap_complete_samocode samocode",
        ),
        ("zsh", "#compdef samocode"),
        ("fish", "complete --keep-order --exclusive --command samocode"),
    ] {
        let out = samocode(&["completions", shell]);
        let script = String::from_utf8(out.stdout).expect("text");
        assert!(out.status.success() && script.contains(part), "{shell}: {script}");
        assert!(script.contains("SAMOCODE_COMPLETE"), "{shell}: it asks the program");
    }
    let out = samocode(&["completions", "nosh"]);
    assert_eq!(out.status.code(), Some(2));

    let script = samocode(&["completions", "bash"]).stdout;
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().expect("bash");
    bash.stdin.take().expect("a pipe").write_all(&script).expect("it reads");
    assert!(bash.wait().expect("it ends").success(), "bash finds an error in it");
}

/// What bash offers after these words, the last of which is being typed, in this folder.
fn offered(cwd: &Path, words: &[&str]) -> Vec<String> {
    let program = env!("CARGO_BIN_EXE_samocode");
    let line: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    // As bash does it: the script's function, with the words in its variables.
    let script = format!(
        "PATH={}:$PATH; source <(samocode completions bash)
         COMP_WORDS=(samocode {}); COMP_CWORD={}; COMP_TYPE=9
         _clap_complete_samocode samocode {} samocode; printf '%s\n' \"${{COMPREPLY[@]}}\"",
        Path::new(program).parent().expect("a folder").display(),
        line.join(" "),
        words.len(),
        line.last().expect("a word"),
    );
    let out = Command::new("bash")
        .args(["-c", &script])
        .current_dir(cwd)
        .env("HOME", cwd)
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .expect("bash");
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).expect("text");
    text.lines().filter(|line| !line.is_empty()).map(|line| line.trim().to_owned()).collect()
}

/// A project with two sessions and a file.
fn project() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let project = "MAIN_REPO=repo\nWORKTREES=worktrees\nSESSIONS=sessions\n";
    std::fs::write(root.path().join(".samocode"), project).expect("written");
    for folder in ["repo", "sessions/26-11-20-jwt-login", "sessions/26-11-21-search"] {
        std::fs::create_dir_all(root.path().join(folder)).expect("made");
    }
    std::fs::write(root.path().join("task.md"), "Paint").expect("written");
    root
}

/// What a shell prints that runs this script in the project; `None` if it is not installed.
fn shell(argv: &[&str], script: &str, root: &Path) -> Option<String> {
    let folder = Path::new(env!("CARGO_BIN_EXE_samocode")).parent().expect("a folder");
    let path = std::env::var("PATH").expect("a path");
    let out = Command::new("timeout")
        .arg("60")
        .args(argv)
        .args(["-c", script])
        .current_dir(root)
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("HOME", root)
        .env("TERM", "dumb")
        .env_remove("XDG_CONFIG_HOME")
        .stdin(Stdio::null())
        .output()
        .expect("timeout");
    if out.status.code() == Some(127) {
        crate::lab::skipped(&format!("{} is not installed", argv[0]));
        return None;
    }
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    Some(text)
}

/// A word being typed, as the shells know it, and what becomes of it.
const TYPED: [(&str, &str); 4] = [
    ("status jw", "jwt-login"),
    ("enable x --agent cl", "claude"),
    ("enable x --task-file ta", "task.md"),
    ("enab", "enable"),
];

#[test]
fn bash_itself_completes() {
    let root = project();
    for (typed, completed) in TYPED {
        let script = format!(
            r#"source <(samocode completions bash)
            function=$(complete -p samocode | sed 's/.*-F \([^ ]*\).*/\1/')
            COMP_LINE='samocode {typed}' COMP_WORDS=(samocode {typed})
            COMP_POINT=${{#COMP_LINE}} COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) COMP_TYPE=9 COMP_KEY=9
            "$function" samocode "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
            printf '%s\n' "${{COMPREPLY[@]}}""#
        );
        let Some(offered) = shell(&["bash", "--norc"], &script, root.path()) else { return };
        let words: Vec<_> = offered.lines().map(str::trim).collect();
        assert_eq!(words, [completed], "{typed}");
    }
}

#[test]
fn fish_itself_completes() {
    let root = project();
    for (typed, completed) in TYPED {
        let script =
            format!("source (samocode completions fish | psub); complete -C 'samocode {typed}'");
        let Some(offered) = shell(&["fish", "--no-config"], &script, root.path()) else { return };
        let words: Vec<_> = offered.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(words, [completed], "{typed}");
    }
}

#[test]
fn zsh_itself_completes() {
    let root = project();
    for (typed, completed) in TYPED {
        let known = typed.rsplit_once(' ').map_or(String::new(), |(known, _)| format!("{known} "));
        // A shell at a terminal, which is typed into. It prints the line again as it completes it.
        let script = format!(
            r#"zmodload zsh/zpty
            zpty it zsh -f -i
            zpty -w it "PS1=; stty -echo; autoload -U compinit; compinit -u -D; source <(samocode completions zsh); echo rea''dy"
            zpty -r -m it all "*ready*"
            zpty -w -n it $'samocode {typed}\t'
            zpty -r -m it all "*samocode {known}{completed}*"
            print -r -- "$all""#
        );
        let Some(shown) = shell(&["zsh", "-f"], &script, root.path()) else { return };
        assert!(shown.contains(&format!("samocode {known}{completed}")), "{typed}: {shown}");
    }
}

#[test]
fn sessions_agents_states_and_topics_are_completed_and_files_where_one_is_meant() {
    let root = project();
    let offered = |words: &[&str]| offered(root.path(), words);
    assert_eq!(offered(&["status", "jw"]), ["jwt-login"]);
    let all = offered(&["approve", ""]);
    assert!(all.contains(&"search".to_owned()) && all.contains(&"jwt-login".to_owned()), "{all:?}");
    assert_eq!(offered(&["enable", "x", "--agent", "cl"]), ["claude"]);
    assert_eq!(offered(&["enable", "x", "--agent", "task"]), [""; 0], "no file is an agent");
    assert_eq!(offered(&["wait", "x", "--until", "wai"]), ["waiting"]);
    assert_eq!(offered(&["show", "jwt-login", "pl"]), ["plan"]);
    assert_eq!(offered(&["logs", "--phase", "test"]), ["testing"]);
    assert_eq!(offered(&["enable", "x", "--every", "dai"]), ["daily"]);
    let convoys = root.path().join("sessions/_convoys");
    std::fs::create_dir_all(&convoys).expect("made");
    let login = r#"{"id":"login","sessions":["jwt-login"]}"#;
    std::fs::write(convoys.join("login.json"), login).expect("written");
    assert_eq!(offered(&["convoy", "status", "lo"]), ["login"]);
    assert_eq!(offered(&["enable", "x", "--task-file", "ta"]), ["task.md"]);
    assert_eq!(offered(&["enab"]), ["enable"]);
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
