//! What a confined agent may ask for, and how it travels.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::control::context::Context;
use crate::control::enable::{Enable, Overrides};
use crate::control::host::tests::{caller, every};
use crate::control::many::{Action, Chosen, Many};
use crate::control::{archive, call, convoy, inspect, post, target, unit};
use crate::service::quiet;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::store::{Folder, Journal, Lock};

fn kind(request: &Request) -> String {
    let value = serde_json::to_value(request).unwrap();
    value.as_object().unwrap().keys().next().unwrap().clone()
}

#[test]
fn each_kind_of_call_is_for_confined_agents_or_is_not() {
    let all = every();
    let kinds = |wanted: fn(&May<'_>) -> bool| {
        all.iter().filter(|call| wanted(&may::of(call))).map(kind).collect::<BTreeSet<_>>()
    };
    let named = |names: &str| names.split_whitespace().map(str::to_owned).collect();
    let looks: BTreeSet<String> = named(
        "find show explain history disk inbox questions answer approve reject prompt read report role wait",
    );
    assert_eq!(kinds(|may| matches!(may, May::Look(_))), looks);
    assert_eq!(kinds(|may| matches!(may, May::LookAtConvoy(_))), named("convoy_status"));
    let acts = named("start stop restart reload disable");
    assert_eq!(kinds(|may| matches!(may, May::Act(_))), acts);
    assert_eq!(kinds(|may| *may == May::Always), named("list send write ask"));
    // The one that is listed has a resolver begun.
    assert_eq!(kinds(|may| *may == May::Begin), named("merge"));
    let never = kinds(|may| matches!(may, May::Never(_)));
    for one in ["run", "remove", "init", "configure", "examine", "try_agent", "press", "tick"] {
        assert!(never.contains(one), "{one}");
    }
    assert_eq!(all.iter().map(kind).collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn no_call_takes_a_program_a_user_or_credentials_of_the_agents_choice() {
    let enable = |set: Overrides| Request::from(Enable { set, ..Enable::default() });
    let with = |agent: &str| Overrides { agent: Some(agent.into()), ..Overrides::default() };
    assert_eq!(may::of(&enable(Overrides::default())), May::Begin);
    assert_eq!(may::of(&enable(with("codex"))), May::Begin);
    for agent in ["command:cat /etc/passwd", "acp:/tmp/x", "/tmp/x", "a b", "../x", "x\ny"] {
        assert!(matches!(may::of(&enable(with(agent))), May::Never(_)), "{agent}");
        let action = Action::Enable {
            work: Box::default(),
            set: with(agent),
            import_env: false,
            run_as: None,
        };
        let many = Many { sessions: Chosen::Named(vec!["a".into()]), action };
        assert!(matches!(may::of(&many.into()), May::Never(_)), "{agent}");
    }
    for enable in [
        Enable { import_env: true, ..Enable::default() },
        Enable { run_as: Some("root".into()), ..Enable::default() },
    ] {
        assert!(matches!(may::of(&enable.into()), May::Never(_)));
    }
    let all = Many { sessions: Chosen::All, action: Action::Start };
    assert_eq!(may::of(&all.into()), May::NamesNone);
    for kind in [Kind::Approve, Kind::Reject, Kind::Answer, Kind::Stop, Kind::Question] {
        let send = post::Send { session: "a".into(), kind, text: "yes".into() };
        assert!(matches!(may::of(&send.into()), May::Never(_)), "{kind}");
    }
}

/// A project with the sessions `lead`, `impl` below it, and `other`; and the confined agent of `lead`.
fn project(root: &Path) -> (Caller, Caller) {
    let human = caller(root);
    let context = Context::here(&human, &Warnings::default()).unwrap();
    for (name, parent) in [("lead", None), ("impl", Some("lead")), ("other", None)] {
        let session = target::resolve(&context, name).unwrap();
        std::fs::create_dir_all(session.folder.path()).unwrap();
        let lock = Lock::take(&session.folder).unwrap();
        let parent = parent.map(str::to_owned);
        let created = event::Created { name: name.into(), task: "t".into(), dive: None, parent };
        let mut journal = Journal::open(&session.folder, &lock).unwrap();
        journal.append(Event::Created(created)).unwrap();
        if name == "lead" {
            session.folder.set_apart(lock).unwrap();
        }
    }
    let mut agent = human.clone();
    agent.env.set("SAMOCODE_SESSION", "lead");
    let folder = target::resolve(&context, "lead").unwrap().folder;
    agent.env.set("SAMOCODE_SESSION_DIR", folder.path());
    agent.origin = Origin::Confined { coordinates: true };
    (human, agent)
}

#[tokio::test]
async fn a_confined_agent_sees_its_own_session_and_those_below_and_no_other() {
    let root = tempfile::tempdir().unwrap();
    let (human, agent) = project(root.path());
    let ask = async |caller: &Caller, request: Request| {
        Local::new(caller.clone()).request(request, &quiet).await.result
    };
    let show = |name: &str| Request::from(inspect::Show { session: name.into() });
    for name in ["lead", "impl"] {
        assert!(ask(&agent, show(name)).await.is_ok(), "{name}");
    }
    let refused = ask(&agent, show("other")).await.unwrap_err();
    assert!(refused.message.contains("other is not below your session"), "{refused:?}");
    assert!(ask(&human, show("other")).await.is_ok());
    let names = |reply: Reply| match reply {
        Reply::List(views) => views.into_iter().map(|view| view.session).collect::<BTreeSet<_>>(),
        other => panic!("{other:?}"),
    };
    let seen = names(ask(&agent, inspect::List {}.into()).await.unwrap());
    assert_eq!(seen, BTreeSet::from(["impl".to_owned(), "lead".to_owned()]));
    assert_eq!(names(ask(&human, inspect::List {}.into()).await.unwrap()).len(), 3);

    for (request, said) in [
        (unit::Start { session: "other".into() }.into(), "not below"),
        (unit::Start { session: "lead".into() }.into(), "your own session"),
        (post::Approve { session: "lead".into(), message: String::new() }.into(), "answer itself"),
        (
            post::Approve { session: "impl".into(), message: String::new() }.into(),
            "did not delegate them",
        ),
        (archive::Restore { session: "impl".into() }.into(), "a confined agent cannot do that"),
        (convoy::List {}.into(), "convoys are the human's"),
    ] {
        let error = ask(&agent, request).await.unwrap_err();
        assert!(error.class == Class::Refused || error.class == Class::Usage, "{error:?}");
        assert!(error.message.contains(said), "{said}: {error:?}");
    }
    let alone = Caller { origin: Origin::Confined { coordinates: false }, ..agent.clone() };
    let begin = Enable { session: "new".into(), ..Enable::default() };
    let error = ask(&alone, begin.into()).await.unwrap_err();
    assert!(error.message.contains("does not coordinate others"), "{error:?}");

    let hint = ask(&agent, show("nobody")).await.unwrap_err().hint.unwrap();
    assert!(!hint.contains("--config"), "in its cage it names no file: {hint}");
    let log = |name: &str, follow| Log { session: name.into(), follow, ..Log::default() };
    let host = Local::new(agent);
    assert!(host.log(log("impl", false)).await.is_ok());
    assert!(host.log(log("other", false)).await.is_err());
    assert!(host.log(log("impl", true)).await.is_err());
}

#[tokio::test]
async fn a_session_that_an_agent_made_up_below_its_own_is_none() {
    let root = tempfile::tempdir().unwrap();
    let (human, _) = project(root.path());
    let context = Context::here(&human, &Warnings::default()).unwrap();
    let lead = target::resolve(&context, "lead").unwrap();
    let forged = lead.folder.workers().join("forged");
    std::fs::create_dir_all(&forged).unwrap();
    let folder = Folder::new(&forged);
    std::fs::write(folder.journal(), "{}\n").unwrap();
    std::fs::write(folder.overview(), "# Session: forged\n").unwrap();
    let error = target::resolve(&context, "forged").unwrap_err();
    assert!(error.message.contains("is no session that samocode began"), "{error:?}");
    let host = Local::new(human);
    let listed = call(&host, inspect::List {}, &quiet).await;
    assert!(listed.result.unwrap().iter().all(|view| view.session != "forged"));
    assert!(listed.warnings.iter().any(|warning| warning.contains("forged")));
}

#[tokio::test]
async fn a_call_leaves_the_cage_and_its_reply_comes_back_as_it_is_outside() {
    let root = tempfile::tempdir().unwrap();
    let (human, agent) = project(root.path());
    let calls = Calls::make(root.path()).unwrap();
    let mut outside = agent.clone();
    outside.env.set(CALLS, calls.path());
    let mut inside = Caller { config: None, origin: Origin::Run, ..outside.clone() };
    inside.env.set(CONFINED, "standard");
    let host = host_of(inside.clone());
    let serve = async |times: usize| {
        for _ in 0..times {
            let watch = FolderWatch::new(calls.path()).unwrap();
            watch.until(|| !calls.waiting().is_empty()).await;
            let id = calls.waiting().remove(0);
            let (call, taken) = Outside::take(outside.clone(), &id, true).unwrap().unwrap();
            call.perform(&taken.bytes).await.unwrap();
        }
    };
    let show = |name: &str| inspect::Show { session: name.into() };
    let (seen, ()) = tokio::join!(call(host.as_ref(), show("impl"), &quiet), serve(1));
    let here = call(&Local::new(human), show("impl"), &quiet).await;
    assert_eq!(seen.result.unwrap().view.session, here.result.unwrap().view.session);
    let (refused, ()) = tokio::join!(call(host.as_ref(), show("other"), &quiet), serve(1));
    let error = refused.result.unwrap_err();
    assert_eq!(error.class, Class::Refused);
    assert!(error.hint.is_some_and(|hint| hint.contains("samocode ask")));
    let log = Log { session: "impl".into(), ..Log::default() };
    let (lines, ()) = tokio::join!(host.log(log), serve(1));
    let lines: Vec<_> = lines.unwrap().collect().await;
    assert!(lines.iter().any(|line| matches!(line, Ok(Line::Journal { .. }))), "{lines:?}");
    assert!(host.watch(Watch::default()).await.is_err());

    inside.env.remove(CALLS);
    let error = call(host_of(inside).as_ref(), show("impl"), &quiet).await.result.unwrap_err();
    assert!(error.message.contains("nobody here performs calls"), "{error:?}");
}

#[test]
fn whatever_a_confined_agent_may_ask_can_be_read_outside() {
    for request in every() {
        let asked =
            Asked { system: false, bundle: None, what: What::Request(Box::new(request.clone())) };
        let text = serde_json::to_string(&asked).unwrap();
        let read = serde_json::from_str::<Asked>(&text);
        if !matches!(may::of(&request), May::Never(_)) {
            assert_eq!(read.unwrap(), asked, "{text}");
        }
    }
}
