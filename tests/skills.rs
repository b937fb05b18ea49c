//! The plugin's skill for parents: the real CLI, with nothing but the plugin and a human's sentence,
//! takes a session from start to done by the commands that the skill names.

use serde_json::json;

use crate::lab::{self, Api, Reply, Script, secs};

#[test]
fn a_parent_with_the_plugin_takes_a_session_to_done_by_the_skill() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("skilled");
    let project = user.project("shop").create();
    let wait = "samocode wait jwt --timeout 90s; echo \"exit $?\"";
    let api = Api::start(
        Script::new()
            .reply(Reply::tool("Skill", json!({"skill": "samocode:samocode-run"})))
            .bash("samocode enable jwt --task 'JWT login' --agent rehearsal")
            .bash(wait)
            .bash("samocode answer jwt --accept-suggestions")
            .bash(wait)
            .bash("samocode approve jwt -m Good.")
            .bash(wait)
            .bash("samocode show jwt summary")
            .say("It is done."),
    );
    user.run(["claude", "plugin", "marketplace", "add", "/repo"]).within(secs(60)).ok();
    user.run(["claude", "plugin", "install", "samocode@samocode"]).within(secs(60)).ok();

    let asks = "run samocode on this: JWT login. Take every suggestion and approve the plan.";
    let command = user
        .run(["claude", "-p", asks, "--dangerously-skip-permissions"])
        .cwd(&project.dir)
        .within(secs(240));
    let command = api.environment().iter().fold(command, |c, (name, value)| c.env(name, value));
    let out = command.output();

    let requests = api.requests();
    let results = requests.last().unwrap().tool_results();
    assert!(out.stdout.contains("It is done."), "{out}\n{results:#?}");
    assert_eq!(project.status("jwt", "Phase").as_deref(), Some("done"), "{results:#?}");
    // The skill is offered by what people say, and read in full when it is used.
    assert!(requests[0].says("let samocode work on it"), "{}", requests[0].prompt());
    assert!(requests[1].says("Decide for them only if"), "{}", requests[1].prompt());
    let ended = |code: &str| results.iter().filter(|result| result.contains(code)).count();
    assert_eq!((ended("exit 10"), ended("exit 0")), (2, 1), "{results:#?}");
}
