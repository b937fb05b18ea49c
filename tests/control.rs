//! A whole session through `control` alone, as any front end would drive it. What calls it is this
//! test binary inside the lab; the units there run the real samocode.

use std::path::PathBuf;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use samocode::config::Env;
use samocode::control::enable::{Enable, Overrides};
use samocode::control::log::{Line, Log};
use samocode::control::request::{Became, Work};
use samocode::control::wait::{Wait, Waited};
use samocode::control::watch::{Change, Watch};
use samocode::control::{
    Answer, Call, Caller, Class, Host, Local, Reply, Request, Result, answers, call, cost, inbox,
    inspect, post, stop, timeline, unit,
};
use samocode::service::{Progress, Scope, quiet};
use samocode::session::state::StateName;
use samocode::session::{Phase, WaitsFor};

use crate::lab::{self, secs};
use crate::service::{PROGRAM, part, place};

#[test]
fn a_session_goes_from_enable_to_done_through_control_alone() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("control");
    place(lab);
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();

    let inside = part(user.run([PROGRAM]), "control::inside").cwd(&project.dir);
    let done = inside.within(secs(120)).output();

    let output = format!("{}\n{}", done.stdout, done.stderr);
    assert!(output.contains("1 passed"), "{output}\n{}", user.diagnosis());
    let log = user.sh("git -C shop log --format=%s jwt").ok().stdout;
    assert!(log.contains("Add a program that greets"), "the branch has the work: {log}");
}

/// A host that is reached by JSON alone, as one on another machine is.
struct Distant(Local);

#[async_trait]
impl Host for Distant {
    async fn request(&self, request: Request, progress: Progress<'_>) -> Answer<Reply> {
        let request = serde_json::to_string(&request).unwrap();
        let answer = self.0.request(serde_json::from_str(&request).unwrap(), progress).await;
        serde_json::from_str(&serde_json::to_string(&answer).unwrap()).unwrap()
    }

    async fn watch(&self, watch: Watch) -> Result<BoxStream<'static, Change>> {
        let changes = self.0.watch(watch).await?;
        let travelled = |change: Change| {
            serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap()
        };
        Ok(changes.map(travelled).boxed())
    }

    async fn log(&self, log: Log) -> Result<BoxStream<'static, Result<Line>>> {
        let lines = self.0.log(log).await?;
        let travelled = |line: Result<Line>| {
            serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap()
        };
        Ok(lines.map(travelled).boxed())
    }
}

impl Distant {
    async fn ask<C: Call>(&self, request: C) -> C::Reply {
        let answer = call(self, request, &quiet).await;
        answer.result.unwrap_or_else(|error| panic!("{error}; {:?}", answer.warnings))
    }

    async fn refused<C: Call>(&self, request: C) -> Class {
        match call(self, request, &quiet).await.result {
            Ok(_) => panic!("it was done"),
            Err(error) => error.class,
        }
    }

    /// Waits until the session needs someone, and checks its state.
    async fn rests(&self, state: StateName, phase: Phase) {
        let waited = self
            .ask(Wait {
                sessions: vec![session()],
                until: Vec::new(),
                timeout_s: Some(60),
                ..Wait::default()
            })
            .await;
        let Waited::Reached(view) = waited else { panic!("{waited:?}") };
        assert_eq!((view.state, view.phase), (state, phase), "{view:?}");
    }
}

fn session() -> String {
    "jwt".to_owned()
}

/// Not a test by itself: runs inside the lab, in the project's folder.
#[test]
#[ignore = "the test above starts it inside the lab"]
fn inside() {
    let caller = Caller {
        env: Env::of_process(),
        cwd: std::env::current_dir().unwrap(),
        config: None,
        scope: Scope::User,
        origin: samocode::control::origin::Origin::Outside("a test".to_owned()),
        binary: PathBuf::from("/opt/samocode/bin/samocode"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(from_enable_to_done(&Distant(Local::new(caller))));
}

async fn from_enable_to_done(host: &Distant) {
    let show = || inspect::Show { session: session() };
    assert_eq!(host.refused(show()).await, Class::NotFound);
    assert_eq!(
        host.refused(Enable { session: session(), ..Enable::default() }).await,
        Class::Usage
    );

    let work = Work { task: Some("JWT login".to_owned()), ..Work::default() };
    let set = Overrides { budget: Some("5".to_owned()), ..Overrides::default() };
    let enable = Enable { session: session(), work, set, ..Enable::default() };
    let enabled = host.ask(enable).await;
    assert_eq!((enabled.became, enabled.unit.as_str()), (Became::Created, "samocode@jwt.service"));

    // The first gate: questions.
    host.rests(StateName::Waiting, Phase::Requirements).await;
    let asked = host.ask(answers::Questions { session: session() }).await;
    assert!(asked.waiting && asked.open > 0 && asked.refusal.is_none(), "{asked:?}");
    let needs = host.ask(show()).await.view.needs.unwrap();
    assert_eq!((needs.waits_for, needs.count), (WaitsFor::QaAnswers, Some(asked.open)));
    let first = answers::Answer {
        id: asked.questions[0].id.clone(),
        answer: "B".to_owned(),
        to: Some(asked.questions[0].text.clone()),
    };
    let one = answers::Answers { session: session(), answers: vec![first], ..Default::default() };
    let answered = host.ask(one).await;
    assert!(answered.sent.is_none() && answered.open.len() == asked.open - 1, "{answered:?}");
    let rest = answers::Answers {
        session: session(),
        accept_suggestions: true,
        ..answers::Answers::default()
    };
    assert!(host.ask(rest).await.sent.is_some());

    // The second: the plan, which a stop in between does not lose.
    host.rests(StateName::Waiting, Phase::Planning).await;
    let stopped = host.ask(stop::Stop { session: session(), now: false }).await;
    assert_eq!(stopped.end, stop::StopEnd::Stopped);
    assert_eq!(host.ask(unit::Start { session: session() }).await.session, "jwt");
    host.rests(StateName::Waiting, Phase::Planning).await;
    let no_reason = post::Reject { session: session(), reason: " ".to_owned() };
    assert_eq!(host.refused(no_reason).await, Class::Usage);
    let approve = || post::Approve { session: session(), message: "go ahead".to_owned() };
    assert_eq!(host.ask(approve()).await.sent.session, "jwt");

    host.rests(StateName::Done, Phase::Done).await;
    assert_eq!(host.refused(approve()).await, Class::Refused);

    // What can be viewed afterwards.
    let mut changes = host.watch(Watch::default()).await.unwrap();
    let Some(Change::Session { view }) = changes.next().await else { panic!("nothing changes") };
    assert_eq!((view.session.as_str(), view.state), ("jwt", StateName::Done));
    let listed = host.ask(inspect::List {}).await;
    assert_eq!(listed.iter().map(|view| view.state).collect::<Vec<_>>(), [StateName::Done]);
    let story = host.ask(timeline::History { session: session() }).await;
    let iterations =
        story.iter().filter(|item| matches!(item, timeline::Item::Iteration(_))).count();
    assert!(iterations >= Phase::ALL.len() - 1, "{story:?}");
    let log = host.log(Log { session: session(), ..Log::default() }).await.unwrap();
    let log: Vec<Line> = log.map(|line| line.unwrap()).collect().await;
    let said = log.iter().filter(|line| matches!(line, Line::Agent { .. })).count();
    assert!(said >= iterations, "{log:?}");
    assert_eq!(log.last(), Some(&Line::UpToDate));
    let costs = host.ask(cost::Cost { sessions: vec![session()], ..cost::Cost::default() }).await;
    assert!(costs.total.runs as usize >= iterations, "{costs:?}");
    let mail = host.ask(inbox::Inbox { session: session(), all: true }).await;
    assert!(mail.iter().all(|mail| mail.read && mail.message.from == "human"), "{mail:?}");
    assert!(mail.iter().any(|mail| mail.message.body == "go ahead"), "{mail:?}");
    assert!(!host.ask(unit::Disable { session: session() }).await.removed);
}
