//! Every request, reply and error travels as JSON and comes back the same.

use crate::session::store::Folder;
use std::path::PathBuf;

use super::*;
use crate::config::Env;
use crate::control::enable::{Enable, Overrides};
use crate::control::request::Work;
use crate::control::{answers, call};
use crate::notify::NoticeKind;
use crate::service::{Scope, quiet};
use crate::session::mail::Kind;
use crate::session::state::StateName;

fn travelled(request: &Request) -> Request {
    serde_json::from_str(&serde_json::to_string(request).unwrap()).unwrap()
}

/// A request of every kind.
pub(in crate::control) fn every() -> Vec<Request> {
    let session = || "jwt".to_owned();
    vec![
        inspect::Find { sessions: vec![session()] }.into(),
        inspect::List {}.into(),
        inspect::Show { session: session() }.into(),
        inspect::Explain { session: session() }.into(),
        timeline::History { session: session() }.into(),
        load::Load {}.into(),
        usage::Usage {}.into(),
        tree::Tree { session: session() }.into(),
        cost::Cost { sessions: Vec::new(), by: Some(cost::By::Day) }.into(),
        inbox::Inbox { session: session(), all: true }.into(),
        answers::Questions { session: session() }.into(),
        answers::Answers {
            session: session(),
            answers: vec![answers::Answer { id: "Q1".into(), answer: "A".into(), to: None }],
            accept_suggestions: true,
            hold: false,
        }
        .into(),
        post::Approve { session: session(), message: "yes".into() }.into(),
        post::Reject { session: session(), reason: "no".into() }.into(),
        press::Press { button: "y:0123456789abcdef".into(), reason: "no".into(), again: false }
            .into(),
        post::Send { session: session(), kind: Kind::Nudge, text: String::new() }.into(),
        mail::Write {
            to: Some(mail::Recipient::Human),
            kind: Kind::Text,
            text: "done".into(),
            reply_to: Some("m-1".into()),
        }
        .into(),
        mail::Ask { session: session(), text: "which?".into(), timeout_s: Some(9) }.into(),
        Enable {
            session: session(),
            work: Work { task: Some("JWT login".into()), ..Work::default() },
            set: Overrides { agent: Some("rehearsal".into()), ..Overrides::default() },
            import_env: true,
            run_as: Some("dev".into()),
        }
        .into(),
        run::Run { session: session(), ..run::Run::default() }.into(),
        unit::Start { session: session() }.into(),
        stop::Stop { session: session(), now: true }.into(),
        unit::Restart { session: session() }.into(),
        unit::Reload { session: session(), timeout_s: 60 }.into(),
        unit::Disable { session: session() }.into(),
        remove::Remove { session: session(), unfinished: true }.into(),
        archive::Archive { sessions: vec![session()], older_s: Some(7), ..Default::default() }
            .into(),
        many::Many { sessions: many::Chosen::All, action: many::Action::Stop { now: true } }.into(),
        archive::Restore { session: session() }.into(),
        report::Report { session: session() }.into(),
        documents::Read { session: session(), topic: Some(documents::Topic::Diff) }.into(),
        prompt::Prompt { session: session(), next: true }.into(),
        role::Role { at: Some(session()) }.into(),
        convoy::Create {
            id: Some("login".into()),
            sessions: vec![session()],
            planned: vec![convoy::Planned { name: session(), ..convoy::Planned::default() }],
            toml: Some("id = 1".into()),
            budget: Some(2.5),
            cap: Some(3),
            merge: true,
        }
        .into(),
        convoy::Start { id: "login".into() }.into(),
        convoy::Stop { id: "login".into(), now: true }.into(),
        convoy::Status { id: "login".into() }.into(),
        convoy::List {}.into(),
        convoy::Remove { id: "login".into() }.into(),
        convoy::Advance { session: session() }.into(),
        confine::Confine { session: session(), about: Some("~/.ssh".to_owned()) }.into(),
        merge::Merge {
            sessions: vec![session()],
            into: Some("main".into()),
            dry_run: true,
            unfinished: true,
            resolve: true,
        }
        .into(),
        wait::Wait {
            sessions: vec![session()],
            until: vec![StateName::Done],
            timeout_s: Some(9),
            seen: vec![wait::Mark { instance: session(), state: StateName::Waiting, since: None }],
        }
        .into(),
        init::Init { dir: Some("shop".into()), worktrees: None, sessions: Some("s".into()) }.into(),
        settings::Configure { session: Some(session()) }.into(),
        doctor::Examine { fix: true }.into(),
        doctor::live::TryAgent { agent: Some("claude".into()), agreed: true }.into(),
        notify::NotifyTest::default().into(),
        notify::NotifyList {}.into(),
        quiet::SetQuiet {
            hours: Some(quiet::QuietHours {
                from: Some("22:00".into()),
                except: Some(vec![NoticeKind::Blocked]),
                digest: Some("08:00".into()),
                ..quiet::QuietHours::default()
            }),
        }
        .into(),
        unit_files::Print { for_version: Some(239) }.into(),
        unit_files::Install {}.into(),
        bot::Install {}.into(),
        bot::Remove {}.into(),
        web::Install { port: 7266 }.into(),
        web::Remove {}.into(),
        unit_files::Verify { for_version: None }.into(),
        disk::Disk { sessions: vec![session()] }.into(),
        disk::caches::ClearCaches { sessions: vec![session()] }.into(),
        timer::Tick { session: session() }.into(),
    ]
}

#[test]
fn requests_come_through_json_as_they_were() {
    let requests = every();
    for request in requests {
        assert_eq!(travelled(&request), request);
    }
    let text =
        serde_json::to_string(&Request::from(inspect::Show { session: "jwt".into() })).unwrap();
    assert_eq!(text, r#"{"show":{"session":"jwt"}}"#);
}

#[test]
fn replies_and_errors_come_through_json_as_they_were() {
    let stopped = stop::Stopped {
        session: "jwt".into(),
        instance: "jwt--shop".into(),
        end: stop::StopEnd::Gone { what: Error::usage("it is gone").hint("put it back") },
        upcoming: None,
    };
    let waited = wait::Waited::TimedOut { standing: vec!["jwt is running".into()] };
    let reload = unit::Named { session: "jwt".into(), instance: "jwt".into() };
    let examined = doctor::Examined {
        healthy: false,
        fixed: vec!["turn lingering on".into()],
        not_fixed: vec![Error::refused("cannot create /s: no")],
        checks: vec![doctor::Checked {
            group: doctor::Group::Manager,
            status: doctor::Status::Broken,
            what: "it is off".into(),
            remedy: None,
            fix: Some("turn it on".into()),
        }],
    };
    let replies = [
        Reply::Stop(stopped),
        Reply::Wait(waited),
        Reply::Reload(reload),
        Reply::Examine(examined),
        Reply::VerifyUnits(Verified::Faulty(vec!["line 3".into()])),
    ];
    for reply in replies {
        let answer = Answer { result: Ok(reply), warnings: vec!["look at that".into()] };
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<Answer<Reply>>(&text).unwrap(), answer);
    }
    let refused: Answer<Reply> = Answer { result: Err(Error::refused("no")), warnings: vec![] };
    let text = serde_json::to_string(&refused).unwrap();
    assert_eq!(serde_json::from_str::<Answer<Reply>>(&text).unwrap(), refused);
}

#[tokio::test]
async fn a_project_is_set_up_and_examined_from_afar() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("shop");
    std::fs::create_dir(&folder).unwrap();
    let caller = Caller { config: None, ..caller(root.path()) };
    std::fs::remove_file(root.path().join(".samocode")).unwrap();
    let afar = Distant(Local::new(caller));

    let init = || init::Init { dir: Some("shop".into()), worktrees: None, sessions: None };
    let made = call(&afar, init(), &quiet).await.result.unwrap();
    assert!(made.written && !made.in_repository, "{made:?}");
    assert_eq!(made.config, folder.canonicalize().unwrap().join(".samocode"));
    let places = init::Init { sessions: Some("other".into()), ..init() };
    let again = call(&afar, places, &quiet).await;
    assert!(!again.result.unwrap().written);
    assert!(again.warnings[0].contains("set WORKTREES and SESSIONS in"), "{:?}", again.warnings);

    let outside = call(&afar, settings::Configure { session: None }, &quiet).await;
    assert!(outside.warnings.iter().any(|warning| warning.contains("no .samocode here")));
    let settings::Configured::Here(here) = outside.result.unwrap() else { panic!() };
    assert!(here.project.is_none() && !here.settings.is_empty());
    assert!(!here.settings.iter().any(|setting| setting.key == "MAIN_REPO"));

    let units = call(&afar, unit_files::Print { for_version: Some(239) }, &quiet).await;
    let units = units.result.unwrap();
    assert_eq!(units.version, 239);
    assert!(units.files.iter().any(|file| file.text.contains("/nowhere/samocode")));
}

/// A host that is reached by JSON alone, as one on another machine is.
struct Distant(Local);

#[async_trait]
impl Host for Distant {
    async fn request(&self, request: Request, progress: Progress<'_>) -> Answer<Reply> {
        let there = self.0.request(travelled(&request), progress).await;
        serde_json::from_str(&serde_json::to_string(&there).unwrap()).unwrap()
    }

    async fn watch(&self, watch: Watch) -> Result<BoxStream<'static, Change>> {
        self.0.watch(watch).await
    }

    async fn log(&self, log: Log) -> Result<BoxStream<'static, Result<Line>>> {
        self.0.log(log).await
    }
}

/// A caller in a project in `root` whose sessions are below it.
pub(in crate::control) fn caller(root: &std::path::Path) -> Caller {
    for folder in ["repo", "worktrees", "sessions"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let text = "MAIN_REPO=repo\nWORKTREES=worktrees\nSESSIONS=sessions\n";
    std::fs::write(root.join(".samocode"), text).unwrap();
    Caller {
        env: Env::from_iter([("HOME", root), ("XDG_RUNTIME_DIR", root)]),
        cwd: root.to_owned(),
        config: Some(root.join(".samocode")),
        scope: Scope::User,
        origin: crate::control::origin::Origin::Outside("a test".to_owned()),
        binary: PathBuf::from("/nowhere/samocode"),
    }
}

#[tokio::test]
async fn a_hint_can_be_pasted_where_the_caller_is() {
    let root = tempfile::tempdir().unwrap();
    let caller = Caller { scope: Scope::System, ..caller(root.path()) };
    let config = root.path().join(".samocode").display().to_string();
    let missing = inspect::Show { session: "search".to_owned() };
    let error = call(&Local::new(caller), missing, &quiet).await.result.unwrap_err();
    let sudo = if rustix::process::getuid().is_root() { "" } else { "sudo " };
    let hint = format!("start it with: {sudo}samocode enable --system --config {config} search");
    assert!(error.hint.as_ref().unwrap().starts_with(&hint), "{error:?}");
}

#[tokio::test]
async fn a_session_is_shown_the_same_from_here_and_from_afar() {
    let root = tempfile::tempdir().unwrap();
    let here = Local::new(caller(root.path()));
    let folder = root.path().join("sessions/26-11-20-jwt");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(Folder::new(&folder).overview(), "# Session: jwt\n## Status\nPhase: planning\n")
        .unwrap();
    let afar = Distant(here.clone());

    let show = || inspect::Show { session: "jwt".to_owned() };
    let near = call(&here, show(), &quiet).await.result.unwrap();
    let far = call(&afar, show(), &quiet).await.result.unwrap();
    assert_eq!(near.view.session, "jwt");
    assert_eq!(near, far);

    let missing = inspect::Show { session: "search".to_owned() };
    let error = call(&afar, missing, &quiet).await.result.unwrap_err();
    assert_eq!(error.class, Class::NotFound);
    assert!(error.hint.unwrap().contains("samocode enable --config"), "the hint travels, too");
}
