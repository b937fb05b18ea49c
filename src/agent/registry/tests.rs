//! A toy agent, with a spec of its own and one line of a registry: everything else follows.

use crate::agent::stream::Log;
use std::fs;
use std::path::PathBuf;

use super::testing::{PLANNED, agent_of, settings};
use super::*;
use crate::agent::doctor::examine;
use crate::agent::environment::{recorded, secrets_in_shell};
use crate::agent::exam::{About, Exam, Finding, Status};
use crate::agent::outcome::{Facts, ProcessExit, Reported};
use crate::agent::run::{GRACE, Run, Setting, Step, TERM_GRACE};
use crate::agent::spec::{Capabilities, ConversationId};
use crate::agent::{
    Cost, Environment, Event, Finished, Input, Launch, Outcome, Task, judge, variable,
};
use crate::config::file::ConfigFile;
use crate::config::keys::{Key, Kind, key};
use crate::config::{Credentials, Dirs, Reach, Variables};
use crate::session::Hint as _;

static TOYS: Registry = Registry::new(&[
    Entry::Built(&Toy),
    Entry::Built(&claude::Claude),
    Entry::Planned(&PLANNED),
    Entry::Built(&command::Command),
    Entry::Built(&rehearsal::Rehearsal),
]);

const KEYS: &[Key] = &[
    key("TOY_PATH", "toy", Kind::Program, "the toy"),
    key("TOY_TURNS", "9", Kind::Number(1, 10), "turns"),
    key("TOY_MODEL", "none", Kind::Text, "the model"),
];

static WORDS: AgentManifest = AgentManifest {
    name: "toy",
    takes_command: false,
    reach: Reach::Own,
    keys: KEYS,
    variables: Variables {
        prefixes: &["TOY_"],
        places: &["TOY_HOME"],
        of_parent: &["TOY_INSIDE"],
        defaults: &[("TOY_UPDATES", "no")],
        ..Variables::NONE
    },
    credentials: Credentials {
        folder: Some(("TOY_HOME", ".toy")),
        base_url: "TOY_URL",
        hosts: &["toys.example"],
        keys: &["TOY_KEY"],
        logins: &["login"],
        remedy: "log in with: toy login, or put TOY_KEY into",
        ..Credentials::NONE
    },
};

struct Toy;

impl AgentSpec for Toy {
    fn manifest(&self) -> &'static AgentManifest {
        &WORDS
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resumes: true,
            conversation: ConversationId::Agents,
            one_writer: false,
            live_input: true,
            reports_end: true,
            cost: true,
            limits: false,
            day_quota: false,
            max_turns: Some("TOY_TURNS"),
            partial_messages: false,
            tells_version: true,
            wants_identity: false,
        }
    }

    fn program(&self, _name: &AgentName, settings: &Settings) -> Program {
        let program = settings.of_agents("TOY_PATH").unwrap_or_default().to_owned();
        Program::Named { program, key: "TOY_PATH", before: "" }
    }

    fn launch(&self, agent: &Agent, task: &Task) -> Launch {
        let turns = agent.value("TOY_TURNS").unwrap_or_default();
        let mut args = vec!["--turns".into(), turns.into()];
        if task.resume {
            args.extend(["--resume".into(), task.conversation.clone().into()]);
        }
        let input = Input::Feed(format!("{}\n", task.prompt).into_bytes());
        let defaults = vec![("TOY_MODE", "headless".into())];
        Launch { program: agent.program().to_owned(), args, input, defaults, files: Vec::new() }
    }

    fn decoder(&self, _working_dir: &Path) -> Box<dyn Decoder> {
        Box::new(Dialogue::default())
    }

    /// The toy says why it failed in a file of its own only.
    fn outcome(&self, facts: &Facts<'_>) -> Outcome {
        let home = variable(facts.environment, "TOY_HOME").map(PathBuf::from).unwrap_or_default();
        match (judge(facts), fs::read_to_string(home.join(facts.conversation))) {
            (Outcome::Failed { .. }, Ok(class)) if class == "limit" => {
                Outcome::Limit { resets_at: None, kind: class, what: String::new() }
            }
            (judged, _) => judged,
        }
    }

    fn check(&self, agent: &Agent, _exam: &Exam<'_>) -> Vec<Finding> {
        vec![Finding {
            about: About::Program,
            status: Status::Note,
            what: format!("{} has {} turns", agent.word(), agent.value("TOY_TURNS").unwrap()),
            remedy: "set TOY_TURNS".to_owned(),
        }]
    }
}

/// A protocol in both directions, a line each.
#[derive(Default)]
struct Dialogue {
    conversation: String,
    replies: Vec<u8>,
}

impl Decoder for Dialogue {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        let line = String::from_utf8_lossy(line);
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("id", id) => {
                self.conversation = id.to_owned();
                emit(Event::Started {
                    conversation: id.to_owned(),
                    model: String::new(),
                    permissions: None,
                });
            }
            ("ask", _) => self.replies.extend_from_slice(b"allowed\n"),
            ("end", cost) => emit(Event::Finished(Box::new(Finished {
                is_error: cost.is_empty(),
                cost: cost.parse().ok().map(|total| Cost { total, own: None }),
                ..Finished::default()
            }))),
            (_, text) => emit(Event::Text { text: text.to_owned() }),
        }
    }

    /// A message names the conversation, which only the stream reports.
    fn message(&mut self, text: &str) -> Option<Vec<u8>> {
        Some(format!("{}: {text}\n", self.conversation).into_bytes())
    }

    fn take_replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.replies)
    }
}

/// What it prints: its id, a request, and everything that it reads.
const PLAY: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then echo "toy 7"; exit 0; fi
read prompt; echo "id c-1"; echo "said $prompt, $*, $TOY_MODE"
echo "ask to delete"; read answer; echo "said $answer"
read message; echo "said $message"; read more || echo "end 0.25"
"#;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(play: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("toy");
        crate::write_program(&path, play);
        Self { folder }
    }

    fn config(&self) -> String {
        format!("SAMOCODE_AGENT=toy\nTOY_PATH={}/toy\nTOY_TURNS=5\n", self.folder.path().display())
    }

    fn agent(&self) -> Agent {
        agent_of(&TOYS, "toy", &self.config()).unwrap()
    }
}

fn environment(agent: &str, variables: &[(&str, &str)], file: &str) -> Env {
    let file = EnvFile::of(&ConfigFile::parse(Path::new("env"), file.as_bytes()).unwrap());
    let worker = Env::from_iter(variables.iter().copied());
    let name = AgentName::parse(agent, Path::new("/"), None, &TOYS.vocabulary()).unwrap();
    TOYS.environment(&worker, &file, &name, &RunIds::default())
}

#[tokio::test]
async fn it_is_launched_asked_answered_and_judged() {
    let place = Place::new(PLAY);
    let agent = place.agent();
    let (prompt, conversation) = ("Work.".to_owned(), "c-0".to_owned());
    let task = Task { prompt, conversation, resume: true, ..Task::default() };
    let environment: Environment = environment("toy", &[], "").into_iter().collect();
    let setting = Setting {
        environment: environment.clone(),
        working_dir: place.folder.path(),
        cgroup: None,
        cage: None,
        log: tempfile::tempfile().unwrap(),
        stderr_log: Log::later(tempfile::tempfile),
        veil: crate::config::Veil::default(),
        grace: GRACE,
        term_grace: TERM_GRACE,
    };
    let decoder = agent.decoder(place.folder.path());
    let mut run = Run::start(agent.launch(&task), decoder, setting).unwrap();
    let (mut reported, mut said) = (Reported::default(), Vec::new());
    let exit = loop {
        match run.next().await {
            Step::Event(event) => {
                reported.take(&event);
                if let Event::Text { text } = event {
                    said.push(text);
                }
                if said.len() == 2 {
                    assert!(run.send("Hurry."));
                    run.close_input();
                }
            }
            Step::Exited(status) => break ProcessExit::from(status),
            Step::ClosedStdout | Step::Overstayed(_) => {}
        }
    };
    assert_eq!(said, ["Work., --turns 5 --resume c-0, headless", "allowed", "c-1: Hurry."]);
    assert!(reported.finished.as_ref().is_some_and(|end| end.cost.is_some()));
    let facts = Facts {
        exit,
        reported: &reported,
        stderr_tail: "",
        oom_kills: 0,
        ended_by: None,
        resumed: true,
        rejected: false,
        reports_end: agent.capabilities().reports_end,
        conversation: "c-1",
        environment: &environment,
    };
    assert_eq!(agent.outcome(&facts), Outcome::Finished);
}

#[test]
fn what_its_stream_does_not_say_its_spec_finds_out() {
    let place = Place::new(PLAY);
    fs::write(place.folder.path().join("c-1"), "limit").unwrap();
    let environment = vec![("TOY_HOME".into(), place.folder.path().into())];
    let reported = Reported { started: true, finished: None, ..Reported::default() };
    let facts = Facts {
        exit: ProcessExit::Code(1),
        reported: &reported,
        stderr_tail: "",
        oom_kills: 0,
        ended_by: None,
        resumed: false,
        rejected: false,
        reports_end: true,
        conversation: "c-1",
        environment: &environment,
    };
    let agent = place.agent();
    let limit = Outcome::Limit { resets_at: None, kind: "limit".to_owned(), what: String::new() };
    assert_eq!(agent.outcome(&facts), limit);
    let other = Facts { conversation: "c-2", ..facts };
    assert!(matches!(agent.outcome(&other), Outcome::Failed { .. }));
}

#[test]
fn its_variables_reach_it_and_no_other_agent() {
    for (agent, key, mode, other) in [
        ("toy", true, true, false),
        ("command:x", true, true, true),
        ("claude", false, false, true),
        ("rehearsal", false, false, false),
    ] {
        let file = "TOY_KEY=t\nANTHROPIC_API_KEY=a\nUNKNOWN=u\n";
        let got =
            environment(agent, &[("TOY_URL", "u"), ("TOY_INSIDE", "1"), ("TOY_TURNS", "3")], file);
        assert_eq!(got.get("TOY_KEY").is_some(), key, "{agent}");
        assert_eq!(got.get("TOY_URL").is_some(), mode, "{agent}");
        assert_eq!(got.get("ANTHROPIC_API_KEY").is_some(), other, "{agent}");
        for none in ["TOY_INSIDE", "TOY_TURNS", "UNKNOWN"] {
            assert_eq!(got.get(none), None, "{none} of {agent}");
        }
        assert_eq!(got.get("TOY_UPDATES").is_some(), agent == "toy");
    }
    let shell = Env::from_iter([("TOY_KEY", "t"), ("TOY_PATH", "/t"), ("TOY_HOME", "/h")]);
    let words = TOYS.vocabulary();
    assert_eq!(secrets_in_shell(&words, &shell, &EnvFile::default()), ["TOY_KEY"]);
    let recorded = recorded(&words, &shell, Path::new("/"));
    let names: Vec<&str> = recorded.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["TOY_HOME", "TOY_PATH"]);
}

#[test]
fn its_keys_are_settings_like_others() {
    let settings = settings(&TOYS, "TOY_TURNS=4\nTOY_TURN=4\nTOY_KEY=k\n");
    let row = |key: &str| settings.rows().iter().find(|row| row.key == key).unwrap();
    assert_eq!(row("TOY_TURNS").value, "4");
    assert_eq!(
        (settings.of_agents("TOY_PATH"), settings.of_agents("TOY_MODEL")),
        (Some("toy"), None)
    );
    let warnings: Vec<String> = settings.warnings().iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|text| text.contains("TOY_KEY") && text.contains("move it to")));
    let words = TOYS.vocabulary();
    let refusal = AgentName::parse("ty", Path::new("/"), None, &words).unwrap_err();
    let allowed = "use toy, claude, command:PROGRAM ARGS or rehearsal";
    assert_eq!(refusal, format!("{allowed}; did you mean 'toy'?"));
}

#[test]
fn its_account_is_that_of_its_own_key_and_folder() {
    let account = |variables: &[(&str, &str)]| {
        let env = Env::from_iter(variables.iter().copied());
        let name = AgentName::parse("toy", Path::new("/"), None, &TOYS.vocabulary()).unwrap();
        TOYS.account(&name, &env).unwrap()
    };
    let base = account(&[("TOY_HOME", "/t")]);
    assert_eq!(base.logins, [Path::new("/t/login")]);
    assert_eq!(base, account(&[("TOY_HOME", "/t"), ("ANTHROPIC_API_KEY", "a")]));
    for other in [("TOY_KEY", "k"), ("TOY_URL", "http://x")] {
        assert_ne!(base.hash, account(&[("TOY_HOME", "/t"), other]).hash);
    }
}

#[tokio::test]
async fn doctor_finds_its_program_its_credentials_and_what_its_spec_adds() {
    let place = Place::new(PLAY);
    let home = tempfile::tempdir().unwrap();
    let dirs = Dirs::of_home(home.path());
    let settings = settings(&TOYS, &place.config());
    let look = async |env: &Env| {
        let exam = Exam {
            env,
            units: &Env::default(),
            dirs: &dirs,
            file: &EnvFile::default(),
            settings: &settings,
            is_root: false,
            folders: &[],
            sessions: 0,
            samocode: Path::new("/bin/samocode"),
        };
        let findings = examine(&TOYS, &exam).await;
        findings.into_iter().map(|found| (found.status, found.what)).collect::<Vec<_>>()
    };
    let shell = Env::from_iter([("PATH", "/usr/bin:/bin"), ("TOY_KEY", "t")]);
    let found = look(&shell).await;
    let path = place.folder.path().join("toy");
    assert_eq!(found[0], (Status::Ok, format!("toy toy 7 ({})", path.display())));
    assert_eq!(found[1], (Status::Note, "toy has 5 turns".to_owned()));
    assert_eq!(found[2], (Status::Ok, "toy: it does not say when a usage limit ends".to_owned()));
    assert_eq!(found[3].0, Status::Broken, "its only key is one no unit sees: {found:?}");
    let no_login = found[4].1.starts_with("found no credentials for toy");
    assert!(found[4].0 == Status::Note && no_login, "{found:?}");
    fs::create_dir(home.path().join(".toy")).unwrap();
    fs::write(home.path().join(".toy/login"), "").unwrap();
    let found = look(&shell).await;
    assert_eq!(found[3].0, Status::Note, "{found:?}");
    assert_eq!(found[4], (Status::Ok, "toy is logged in by ~/.toy/login".to_owned()));
}

#[test]
fn one_that_is_planned_or_gone_is_named_with_what_to_do() {
    let planned = agent_of(&TOYS, "later", "").map(|agent| agent.word()).unwrap_err();
    assert!(planned.in_one_line().contains("not built in yet: use claude"), "{planned}");
    let missing = agent_of(&TOYS, "toy", "TOY_PATH=/no/toy\n").err().unwrap().in_one_line();
    assert!(missing.contains("/no/toy") && missing.contains("TOY_PATH"), "{missing}");
    let mut events = Vec::new();
    TOYS.decoder("of-old", Path::new("/")).line(b"x", &mut |event| events.push(event));
    assert_eq!(events, [Event::Progress]);
}

#[test]
fn names_keys_and_variables_of_the_built_in_agents_do_not_collide() {
    let words = vocabulary();
    let mut names: Vec<String> = words.names().collect();
    names.extend(words.agents().iter().map(|agent| agent.name.to_owned()));
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
    for spec in REGISTRY.specs() {
        let declared = spec.manifest();
        for key in declared.credentials.keys {
            assert!(declared.owns(key), "{key} of {} would go to everyone", declared.name);
        }
    }
}
