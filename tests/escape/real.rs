//! The real CLI in its cage: what its Bash tool makes of the attempts, and of ordinary work.

use super::{How, Report, assert_held, escape_by, lend_python};
use crate::lab::{self, Api, Lab, LabUser, Reply, Script, System, secs};

/// What is the CLI's own, and so within its reach.
const ITS_OWN: [&str; 2] = ["read ~/.claude/.credentials.json", "write ~/.claude/settings.json"];

/// Has the CLI make the attempts by its Bash tool.
fn by_bash(lab: &Lab, user: &LabUser, how: How) -> Report {
    let api = Api::start(Script::new().say("Nothing to do."));
    let agent = |arguments: &str| {
        user.uses_claude(&api);
        // The home folder is closed to it.
        let script = format!("/opt/attempts-{}.py", user.name);
        let source = user.home.join("attempts.py");
        lab.root(["cp", &source.display().to_string(), &script]).ok();
        let line = format!("/usr/bin/python3 {script} {arguments}");
        let input = serde_json::json!({"command": line, "timeout": 300_000});
        api.now(Script::new().reply(Reply::tool("Bash", input)).say("Tried.").forever());
        "claude".to_owned()
    };
    let mut report = escape_by(user, "standard", how, &agent);
    assert!(report.len() > 150, "{report:?}");
    for name in ITS_OWN {
        report.remove(name);
    }
    report
}

fn is_held_on(system: System) {
    if lab::with_claude().is_none() {
        return;
    }
    let Some(lab) = lab::on(system) else { return };
    lend_python(lab);
    for (name, how) in
        [("clifront", How::Foreground), ("cliunit", How::UserUnit), ("clisystem", How::SystemUnit)]
    {
        let user = lab.user(name);
        assert_held(&user, how, &by_bash(lab, &user, how));
    }
}

#[test]
fn nor_does_the_real_cli_by_its_bash_tool() {
    is_held_on(System::Ours);
}

#[test]
fn nor_does_the_real_cli_by_its_bash_tool_on_version_257() {
    is_held_on(System::Debian13);
}

/// What the model asks of the real CLI's Bash tool.
const TRIES: &str = "cat ~/.ssh/id_ed25519; echo '# escaped' >>~/.bashrc; \
    echo x >tried && git add tried && git commit -qm Tried && echo committed";

#[test]
fn the_real_cli_works_in_its_cage_and_what_it_is_refused_is_told() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user_without_manager("cagedcli");
    user.sh("mkdir -p .ssh && echo SECRET >.ssh/id_ed25519 && touch .bashrc").ok();
    let signal = r#"printf '{"status":"blocked","needs":"human_decision","summary":"Tried.","reason":"Tried."}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;
    let api = Api::start(Script::new().bash(TRIES).bash(signal).say("Tried.").forever());
    user.uses_claude(&api);
    let project = user.project("shop").key("SAMOCODE_CONFINE", "standard").create();
    let samocode = |words: &[&str]| user.samocode(words).cwd(&project.dir).within(secs(120));
    let ran = samocode(&["run", "jwt", "--task", "t"]).output();
    assert_eq!(ran.code, 11, "{ran}\n{}", user.diagnosis());
    let results: Vec<String> =
        api.requests().iter().flat_map(crate::lab::api::Request::tool_results).collect();
    let results = results.join("\n");
    assert!(results.contains("committed") && !results.contains("SECRET"), "{results}");
    let refused = ["Permission denied", "No such file or directory"];
    let is_refused = |how: &&str| results.contains(&format!("id_ed25519: {how}"));
    assert!(refused.iter().any(is_refused), "{results}");
    assert!(!user.sh("cat ~/.bashrc").ok().stdout.contains("escaped"));
    let kept_out = project.named("jwt").journal("kept_out").remove(0).to_string();
    let key = format!("SAMOCODE_ALLOW_READ={}/.ssh/id_ed25519", user.home.display());
    assert!(kept_out.contains(&key), "{kept_out}");
    let why = samocode(&["why", "jwt"]).ok().stdout;
    assert!(why.contains("confinement kept the agent out of"), "{why}");
    let shown = samocode(&["status", "jwt"]).ok().stdout;
    assert!(shown.contains("Confined") && shown.contains("standard (Landlock"), "{shown}");
    let explained = samocode(&["confine", "jwt", "--explain", "~/.ssh"]).ok().stdout;
    assert!(explained.contains("is closed; SAMOCODE_ALLOW_READ="), "{explained}");
    let inside = samocode(&["confine", "jwt", "--", "sh", "-c", "cat ~/.ssh/id_ed25519 || exit 7"]);
    assert_eq!(inside.output().code, 7);
}
