use super::*;
use crate::agent::REGISTRY;
use crate::agent::registry::testing::agent_of;

/// A stand-in for claude, which is a shell script with these commands before it says that it began,
/// and between that and its result. Its third turn waits to be cut off.
fn stand_in(folder: &Path, first: &str, commands: &str, result: &str) -> Agent {
    let program = folder.join("claude");
    let script = format!(
        r#"#!/bin/sh
[ "$1" = --version ] && {{ echo 9.9.9; exit; }}
while [ $# -gt 0 ]; do
    case $1 in --session-id|--resume) id=$2 ;; esac
    shift
done
read line
echo >> turns
{first}
echo '{{"type":"system","subtype":"init","session_id":"'$id'","model":"m"}}'
[ "$(wc -l < turns)" -lt 3 ] || sleep 100
{commands}
echo '{{"type":"result","subtype":"success","is_error":false,"session_id":"'$id'",{result}}}'
cat >/dev/null
"#
    );
    crate::write_program(&program, script);
    agent_of(&REGISTRY, "claude", &format!("CLAUDE_PATH={}", program.display())).unwrap()
}

/// The findings of a trial, each with a mark for its status.
async fn tried(commands: &str, result: &str) -> Vec<String> {
    tried_after("", commands, result).await
}

async fn tried_after(first: &str, commands: &str, result: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    tried_with(&stand_in(folder.path(), first, commands, result), &folder).await
}

async fn tried_with(agent: &Agent, folder: &tempfile::TempDir) -> Vec<String> {
    let environment = |run: &str| -> Environment {
        vec![("PATH".into(), "/usr/bin:/bin".into()), ("SAMOCODE_RUN".into(), run.into())]
    };
    let trial = Trial {
        agent,
        environment: &environment,
        folder: folder.path(),
        state: folder.path(),
        progress: &|_| (),
    };
    let mark = |status| match status {
        Status::Ok => "ok",
        Status::Note => "note",
        Status::Broken => "broken",
    };
    let found = trial.play().await.into_iter();
    found.map(|finding| format!("{}: {}", mark(finding.status), finding.what)).collect()
}

const COUNTS: &str =
    r#""result":"ready","total_cost_usd":0.01,"usage":{"input_tokens":9,"output_tokens":1}"#;

#[tokio::test]
async fn a_program_that_does_all_that_is_expected_passes() {
    assert_eq!(
        tried("", COUNTS).await,
        [
            "ok: a turn ends with a report",
            "ok: it takes the id of a conversation from samocode",
            "ok: it reports 10 tokens and $0.0100",
            "ok: it exits with 0 after its report",
            "ok: it resumes a conversation",
            "ok: it exits after SIGTERM and leaves no process behind",
            "ok: everything in its output is known",
        ]
    );
}

#[tokio::test]
async fn each_assumption_that_does_not_hold_is_named() {
    let found = tried("id=other; echo '{\"type\":\"sketch\"}'", r#""usage":{}"#).await;
    assert_eq!(found[2], "note: it reports no tokens, so budgets in tokens do not work");
    let unknown = found.last().unwrap();
    assert!(unknown.starts_with("note: unknown in the output of 9.9.9, tested with"), "{found:?}");
    assert!(unknown.contains("event sketch (2)"), "{found:?}");
    assert!(unknown.contains("result without total_cost_usd (2)"), "{found:?}");
    // It has left its group before the turn is cut off.
    let stays = r#"rm -f left
setsid sh -c 'echo > left; exec sleep 100' >/dev/null 2>&1 </dev/null &
until [ -e left ]; do sleep 0.01; done"#;
    let left = tried_after(stays, "", COUNTS).await;
    assert!(left.iter().any(|text| text.starts_with("note: after SIGTERM it left")), "{left:?}");
}

#[tokio::test]
async fn a_turn_that_fails_ends_the_trial_with_the_programs_own_words() {
    let failed = tried("echo 'no such model: opal' >&2; exit 1", COUNTS).await;
    assert_eq!(failed, ["broken: a turn failed: no such model: opal"]);
    let refused = tried(
        "",
        r#""api_error_status":401,"result":"Invalid API key","total_cost_usd":0,"usage":{},"is_error":true"#,
    )
    .await;
    assert_eq!(refused, ["broken: a turn failed: Invalid API key"]);
}

#[tokio::test]
async fn a_program_that_reports_nothing_has_no_end_and_no_id_to_miss() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent_of(&REGISTRY, "command:/bin/true", "").unwrap();
    let found = tried_with(&agent, &folder).await;
    assert_eq!(found[..2], ["ok: a turn ends", "ok: its conversation has no id"]);
    assert!(found.iter().all(|text| !text.starts_with("broken")), "{found:?}");
}
