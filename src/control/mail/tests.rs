//! Sessions are folders with a hook; there are no units to wake.

use std::path::PathBuf;

use super::*;
use crate::control::host::tests::caller;
use crate::control::inbox::Inbox;
use crate::control::{Call, Caller, Class, Local, call};
use crate::service::quiet;
use crate::session::event::{self};
use crate::session::hook::Hook;
use crate::session::journal::Event;
use crate::session::mail::Message;
use crate::session::state::{State, StateName};
use crate::session::store::{Folder, Journal, Lock};

struct Office {
    root: tempfile::TempDir,
    human: Caller,
}

impl Office {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let human = caller(root.path());
        Self { root, human }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(format!("sessions/26-11-20-{name}"))
    }

    fn session(&self, name: &str, state: StateName, parent: Option<&str>) -> Folder {
        let folder = Folder::new(self.path(name));
        std::fs::create_dir_all(folder.path()).unwrap();
        let lock = Lock::take(&folder).unwrap();
        let mut journal = Journal::open(&folder, &lock).unwrap();
        let created = event::Created {
            name: name.into(),
            task: "t".into(),
            dive: None,
            parent: parent.map(str::to_owned),
        };
        journal.append(Event::Created(created)).unwrap();
        let hook = Hook { state, ..Hook::of(&State::default()) };
        std::fs::write(folder.hook(), serde_json::to_vec(&hook).unwrap()).unwrap();
        folder
    }

    /// The agent of a session, in a run.
    fn agent(&self, name: &str) -> Caller {
        let mut agent = self.human.clone();
        agent.env.set("SAMOCODE_SESSION", name);
        agent.env.set("SAMOCODE_SESSION_DIR", self.path(name));
        agent.env.set("SAMOCODE_RUN", "r-1");
        agent.env.set("SAMOCODE_MAIL_BUDGET", "3");
        agent
    }
}

async fn perform<C: Call>(caller: &Caller, request: C) -> Result<C::Reply> {
    call(&Local::new(caller.clone()), request, &quiet).await.result
}

fn write(to: &str, text: &str) -> Write {
    Write { to: Some(to.parse().unwrap()), kind: Kind::Text, text: text.into(), reply_to: None }
}

fn bodies(folder: &Folder) -> Vec<(String, String)> {
    let unread = folder.unread().unwrap().messages.into_iter();
    unread.map(|(_, Message { from, body, .. })| (from, body)).collect()
}

#[tokio::test]
async fn an_agent_writes_to_others_its_parent_and_the_human_and_answers_by_the_id() {
    let office = Office::new();
    let lead = office.session("lead", StateName::Waiting, None);
    let _worker = office.session("worker", StateName::Waiting, Some("lead"));
    let agent = office.agent("worker");
    perform(&agent, write("lead", "one")).await.unwrap();
    perform(&agent, write("parent", "two")).await.unwrap();
    assert_eq!(
        bodies(&lead),
        [("worker", "one"), ("worker", "two")].map(|(from, body)| (from.into(), body.into()))
    );

    let leads = office.agent("lead");
    let told = perform(&leads, write("parent", "done soon")).await.unwrap().human.unwrap();
    assert_eq!(told.by, Vec::<String>::new(), "no notifier is set up");
    let inbox = || Inbox { session: String::new(), all: false };
    assert_eq!(perform(&agent, inbox()).await.unwrap_err().class, Class::Refused);
    let mail = perform(&office.human, inbox()).await.unwrap();
    assert_eq!((mail.len(), mail[0].message.body.as_str()), (1, "done soon"));
    assert_eq!(perform(&office.human, inbox()).await.unwrap().len(), 0, "shown once");

    let (_, question) = lead.unread().unwrap().messages.remove(0);
    let reply = Write { to: None, reply_to: Some(question.id.clone()), ..write("x", "yes") };
    let sent = perform(&leads, reply).await.unwrap().sessions;
    assert_eq!(sent[0].session, "worker");
    let answered = Folder::new(office.path("worker")).unread().unwrap().messages.remove(0).1;
    assert_eq!(answered.reply_to, Some(question.id));
    let unknown = Write { to: None, reply_to: Some("m-9".into()), ..write("x", "yes") };
    let error = perform(&leads, unknown).await.unwrap_err();
    assert!(error.message.contains("you have no message 'm-9'"), "{error:?}");
}

#[tokio::test]
async fn an_agent_stops_at_its_budget_and_a_human_does_not() {
    let office = Office::new();
    let other = office.session("other", StateName::Waiting, None);
    office.session("talker", StateName::Running, None);
    let agent = office.agent("talker");
    for number in 0..3 {
        perform(&agent, write("other", &number.to_string())).await.unwrap();
    }
    for _ in 0..2 {
        let error = perform(&agent, write("other", "more")).await.unwrap_err();
        assert!(
            error.message.contains("you have already sent 3 messages in this run"),
            "{error:?}"
        );
    }
    let mut next = agent.clone();
    next.env.set("SAMOCODE_RUN", "r-2");
    perform(&next, write("other", "next run")).await.unwrap();
    for number in 0..5 {
        perform(&office.human, write("other", &format!("h{number}"))).await.unwrap();
    }
    assert_eq!(bodies(&other).len(), 9);
}

#[tokio::test]
async fn an_agent_cannot_write_into_another_project() {
    let (office, elsewhere) = (Office::new(), Office::new());
    office.session("own", StateName::Running, None);
    let theirs = elsewhere.session("theirs", StateName::Waiting, None);
    let mut agent = office.agent("own");
    agent.config.clone_from(&elsewhere.human.config);
    for request in [write("theirs", "hello")] {
        let error = perform(&agent, request).await.unwrap_err();
        assert!(error.message.contains("a session of another project"), "{error:?}");
    }
    let ask = Ask { session: "theirs".into(), text: "who?".into(), timeout_s: Some(0) };
    assert_eq!(perform(&agent, ask).await.unwrap_err().class, Class::Refused);
    assert_eq!(bodies(&theirs), []);
}

#[tokio::test]
async fn a_question_gets_its_answer_and_the_agent_does_not_see_that_twice() {
    let office = Office::new();
    let own = office.session("asker", StateName::Running, None);
    let other = office.session("other", StateName::Waiting, None);
    let (asker, answerer) = (office.agent("asker"), office.agent("other"));
    let ask = |timeout_s| Ask { session: "other".into(), text: "which port?".into(), timeout_s };
    let answer = async {
        let mut watch = crate::control::folders::FolderWatch::new(other.path()).unwrap();
        loop {
            if let Some((_, question)) = other.unread().unwrap().messages.pop() {
                assert_eq!(question.kind, Kind::Question);
                assert!(own.is_asking(&question.id), "the worker leaves the answer alone");
                let reply_to = Some(question.id);
                let reply = Write { to: None, reply_to, ..write("x", "8080") };
                return perform(&answerer, reply).await.unwrap();
            }
            watch.changed().await;
        }
    };
    let (asked, _) = tokio::join!(perform(&asker, ask(Some(60))), answer);
    let asked = asked.unwrap();
    assert_eq!(asked.answer.as_ref().map(|answer| answer.body.as_str()), Some("8080"));
    assert_eq!(bodies(&own), []);
    assert!(own.was_read(&asked.answer.unwrap().id) && !own.is_asking(&asked.question.id));

    // Nobody answers in time: the question stays, and the answer will be ordinary mail.
    let late = perform(&asker, ask(Some(0))).await.unwrap();
    assert_eq!(late.answer, None);
    assert!(!own.is_asking(&late.question.id));
    // The human asks, too.
    let human = perform(&office.human, ask(Some(0))).await.unwrap();
    assert_eq!(human.question.then, crate::control::post::Then::NoUnit);
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_is_refused() {
    let office = Office::new();
    office.session("done", StateName::Done, None);
    office.session("own", StateName::Running, None);
    let agent = office.agent("own");
    for (session, text, said) in [
        ("done", "why?", "done is done and would not answer"),
        ("own", "why?", "own cannot ask itself"),
        ("done", " ", "there is nothing to ask"),
        ("nobody", "why?", "there is no session 'nobody'"),
    ] {
        let ask = Ask { session: session.into(), text: text.into(), timeout_s: None };
        let error = perform(&agent, ask).await.unwrap_err();
        assert!(error.message.contains(said), "{error:?}");
    }
    assert_eq!(bodies(&Folder::new(office.path("done"))), []);
    let error = perform(&office.human, write("parent", "hello")).await.unwrap_err();
    assert!(error.message.contains("only a session's agent has a parent"), "{error:?}");
}

#[tokio::test]
async fn an_inbox_that_leads_elsewhere_gets_nothing_there() {
    let office = Office::new();
    let trap = office.session("trap", StateName::Waiting, None);
    let outside = office.root.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, trap.inbox()).unwrap();
    let _ = perform(&office.human, write("trap", "hello")).await;
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    for name in ["../trap", "/etc", "trap/../../x", ".."] {
        let error = perform(&office.human, write(name, "hello")).await.unwrap_err();
        assert_eq!(error.class, Class::Usage, "{name}: {error:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_delivered_is_refused_in_one_line_and_leaves_nothing() {
    let office = Office::new();
    let folder = office.session("search", StateName::Blocked, None);
    let long = "x".repeat(10 << 20);
    let too_long = perform(&office.human, write("search", &long)).await.unwrap_err();
    assert!(too_long.in_one_line().starts_with("cannot send to search: "), "{too_long:?}");
    assert!(too_long.in_one_line().len() < 300, "it does not quote the message");
    let human = perform(&office.human, write("human", &long)).await.unwrap_err();
    assert!(human.message.starts_with("cannot write to the human: "), "{human:?}");
    for (to, class, said) in [
        ("serach", Class::NotFound, "did you mean 'search'?"),
        ("search/", Class::Usage, "search/"),
        ("search\0", Class::Usage, "search"),
        ("convoy:..", Class::Usage, ".."),
        ("convoy:nobody", Class::NotFound, "list them with: samocode convoy --config"),
        ("role:../x", Class::NotFound, "role '../x'"),
        ("role:", Class::NotFound, "role ''"),
    ] {
        let error = perform(&office.human, write(to, "hello")).await.unwrap_err();
        assert_eq!(error.class, class, "{to:?}: {error:?}");
        assert!(error.in_one_line().contains(said), "{to:?}: {error:?}");
    }
    let damaged = [&b"{\"id\":\"m-1\",\"from\":\"human\""[..], b"\xff\xfe", b"[]", b""];
    for (at, bytes) in damaged.into_iter().enumerate() {
        std::fs::create_dir_all(folder.inbox()).unwrap();
        std::fs::write(folder.inbox().join("m-1.json"), bytes).unwrap();
        // It does not keep others from being delivered and read.
        let text = format!("after {at}");
        perform(&office.human, write("search", &text)).await.unwrap();
        assert!(bodies(&folder).contains(&("human".to_owned(), text)));
    }
    assert_eq!(bodies(&folder).len(), 4);
}

#[test]
fn two_who_write_at_once_lose_nothing_and_each_keeps_its_order() {
    const EACH: usize = 100;
    let office = Office::new();
    let to = office.session("search", StateName::Blocked, None);
    let write_all = |name: &str| {
        office.session(name, StateName::Running, None);
        let mut agent = office.agent(name);
        agent.env.set("SAMOCODE_MAIL_BUDGET", "1000");
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                for number in 0..EACH {
                    perform(&agent, write("search", &number.to_string())).await.unwrap();
                }
            });
        }
    };
    let (one, other) = (write_all("one"), write_all("other"));
    std::thread::scope(|scope| {
        scope.spawn(one);
        scope.spawn(other);
    });
    let got = bodies(&to);
    let in_order: Vec<String> = (0..EACH).map(|number| number.to_string()).collect();
    for sender in ["one", "other"] {
        let of = got.iter().filter(|(from, _)| from == sender);
        assert_eq!(of.map(|(_, body)| body.clone()).collect::<Vec<_>>(), in_order, "{sender}");
    }
    assert_eq!(got.len(), 2 * EACH);
}
