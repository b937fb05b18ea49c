//! Sessions are folders with a hook; there is no service manager.

use super::*;
use crate::control::host::tests::caller;
use crate::control::{Call, Caller, Local, call};
use crate::service::quiet;
use crate::session::hook::Hook;
use crate::session::state::State;
use crate::session::store::Folder;

async fn perform<C: Call>(caller: &Caller, request: C) -> Result<C::Reply> {
    call(&Local::new(caller.clone()), request, &quiet).await.result
}

fn session(root: &std::path::Path, name: &str, state: StateName, cost_usd: f64) {
    let folder = Folder::new(root.join(format!("sessions/26-11-20-{name}")));
    std::fs::create_dir_all(folder.path()).unwrap();
    let hook = Hook {
        task_id: name.into(),
        state,
        cost_usd,
        reason: Some("no port".into()),
        ..Hook::of(&State::default())
    };
    std::fs::write(folder.hook(), serde_json::to_vec(&hook).unwrap()).unwrap();
}

fn create(id: &str, sessions: &[&str]) -> Create {
    let sessions = sessions.iter().map(|name| (*name).to_owned()).collect();
    Create { id: Some(id.to_owned()), sessions, ..Create::default() }
}

fn planned(name: &str, task: &str, after: &[&str]) -> Planned {
    let after = after.iter().map(|name| (*name).to_owned()).collect();
    Planned { name: name.into(), task: task.into(), after, ..Planned::default() }
}

#[tokio::test]
async fn a_convoy_is_created_shown_and_announced_once() {
    let root = tempfile::tempdir().unwrap();
    let human = caller(root.path());
    for name in ["a", "b"] {
        session(root.path(), name, StateName::Running, 1.25);
    }
    let made = perform(&human, create("login", &["a", "26-11-20-b"])).await.unwrap();
    assert_eq!((made.members.len(), made.cost_usd, made.complete), (2, 2.5, false));
    let advance = || Advance { session: "a".into() };
    assert_eq!(perform(&human, advance()).await.unwrap(), Advanced::default());

    session(root.path(), "a", StateName::Blocked, 1.25);
    let told = perform(&human, advance()).await.unwrap().announced;
    assert_eq!(told, ["convoy login: a is blocked (no port)"]);
    assert_eq!(perform(&human, advance()).await.unwrap(), Advanced::default());
    session(root.path(), "a", StateName::Running, 1.25);
    perform(&human, advance()).await.unwrap();
    session(root.path(), "a", StateName::Blocked, 1.25);
    assert_eq!(perform(&human, advance()).await.unwrap().announced.len(), 1, "blocked again");

    for name in ["a", "b"] {
        session(root.path(), name, StateName::Done, 2.0);
    }
    let told = perform(&human, advance()).await.unwrap().announced;
    assert_eq!(
        told,
        ["convoy login is complete: 2 sessions, $4.00; merge it with: samocode merge login"]
    );
    assert_eq!(perform(&human, advance()).await.unwrap(), Advanced::default());
    let all = perform(&human, List {}).await.unwrap();
    assert_eq!((all.len(), all[0].complete), (1, true));

    // One that is planned with names and what they come after.
    for name in ["c", "d"] {
        session(root.path(), name, StateName::Running, 0.5);
    }
    let plan = vec![planned("c", "", &[]), planned("26-11-20-d", "", &["c"])];
    let made = perform(&human, Create { planned: plan, ..create("page", &[]) }).await.unwrap();
    assert_eq!((made.members[1].session.as_str(), made.members[1].after[0].as_str()), ("d", "c"));
}

#[tokio::test]
async fn each_bad_convoy_is_refused_in_one_line_and_not_created() {
    let root = tempfile::tempdir().unwrap();
    let human = caller(root.path());
    for name in ["a", "b"] {
        session(root.path(), name, StateName::Running, 0.0);
    }
    perform(&human, create("first", &["a"])).await.unwrap();
    let toml = |text: &str| Create { toml: Some(text.into()), ..Create::default() };
    for (request, said) in [
        (create("login", &[]), "convoy 'login' has no sessions"),
        (create("login", &["b", "b"]), "session 'b' is named twice"),
        (create("login", &["a", "b"]), "a is in convoy 'first' already"),
        (create("login", &["nobody"]), "there is no session 'nobody'"),
        (create("../x", &["b"]), "is not a session name"),
        (toml("id = \"x\"\n[[session]]\nname = \"new\"\n"), "there is no session 'new'"),
        (
            toml("id = \"x\"\n[[session]]\nname = \"b\"\ntask = \"other\"\n"),
            "session 'b' exists and has another task",
        ),
        (create("first", &["b"]), "convoy 'first' exists, and a is in it but not in this one"),
        (create("login", &["b--elsewhere"]), "is not a session name"),
        (
            toml("id = \"x\"\n[limits]\nmemory_max = \"lots\"\n[[session]]\nname = \"b\"\n"),
            "\"lots\" is not a limit",
        ),
        (toml("id = \"x\"\n[[session]]\nname = \"b\"\nafter = [\"b\"]\n"), "b → b"),
        (
            toml("id = \"x\"\n[[session]]\nname = \"human\"\ntask = \"t\"\n"),
            "can be called 'human'",
        ),
        (toml("id = 3\n"), "cannot read the convoy: line 1"),
        (Create { sessions: vec!["b".into()], ..toml("id = \"x\"") }, "not from both"),
        (Create { planned: vec![planned("b", "", &[])], ..toml("id = \"x\"") }, "not from both"),
        (Create { planned: vec![planned("b", "t", &[])], ..create("x", &[]) }, "has another task"),
        (Create { planned: vec![planned("b", "", &["c"])], ..create("x", &[]) }, "after 'c'"),
    ] {
        let error = perform(&human, request).await.unwrap_err();
        let line = error.in_one_line();
        assert!(line.contains(said) && !line.contains('\n'), "{said}: {line}");
    }
    let error = perform(&human, Status { id: "frist".into() }).await.unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean 'first'?"));
    let all = perform(&human, List {}).await.unwrap();
    assert_eq!(all.iter().map(|standing| standing.id.as_str()).collect::<Vec<_>>(), ["first"]);
    let mut agent = human.clone();
    agent.env.set("SAMOCODE_SESSION", "a");
    let refused = perform(&agent, Stop { id: "first".into(), now: true }).await.unwrap_err();
    assert_eq!(refused.class, Class::Refused);
}

#[tokio::test]
async fn the_predecessors_file_is_a_convoy_and_a_damaged_one_is_reported() {
    let root = tempfile::tempdir().unwrap();
    let human = caller(root.path());
    session(root.path(), "a", StateName::Done, 0.0);
    let sessions = root.path().join("sessions");
    let text =
        r#"{"id":"auth","name":"Auth","sessions":["26-11-20-a"],"notify_on_complete":false}"#;
    std::fs::write(sessions.join("_convoy.json"), text).unwrap();
    assert!(perform(&human, Status { id: "auth".into() }).await.unwrap().complete);
    let quiet_end = perform(&human, Advance { session: "a".into() }).await.unwrap();
    assert_eq!(quiet_end, Advanced::default(), "nobody asked to be told");
    std::fs::write(sessions.join("_convoys/bad.json"), "{").unwrap();
    let host = Local::new(human);
    let listed = call(&host, List {}, &quiet).await;
    assert_eq!(listed.result.unwrap().len(), 1);
    assert!(listed.warnings[0].contains("bad.json"), "{:?}", listed.warnings);
}
