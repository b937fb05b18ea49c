use std::process::Command;

use super::*;
use crate::service::Limits;

fn places() -> Places {
    let state = Path::new("/Users/dev/.local/state/samocode/wake");
    Places::new(Path::new("/Users/dev/Library"), state)
}

fn ground<'a>(places: &'a Places, inherited: &'a [(String, String)]) -> Ground<'a> {
    Ground { binary: Path::new("/Users/dev/.local/bin/samocode"), places, inherited }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn example() -> Session {
    Session {
        instance: "jwt-login--shop".into(),
        project: "~/shop".into(),
        config: "/Users/dev/my shop <&>/.samocode".into(),
        folder: "/Users/dev/sessions/26-11-20-jwt-login".into(),
        spool: places().spool,
        environment: vec![
            pair("PATH", "/opt/homebrew/bin:/usr/bin:/bin"),
            pair("SAMOCODE_BUDGET_USD", "5"),
            pair("SAMOCODE_SETUP", "say \"]]>\" && $HOME 'x' %i\nnext\tline ü"),
        ],
        uid: None,
        limits: Limits::default(),
        convoy: None,
    }
}

fn example_timer() -> Timer {
    let at = "2026-11-29T02:00:05Z".parse().unwrap();
    Timer { instance: "jwt-login--shop".into(), at, what: "w".into() }
}

fn all(places: &Places) -> Vec<UnitFile> {
    let inherited = [pair("XDG_STATE_HOME", "/Users/dev/.local/state")];
    let mut files = shared(ground(places, &inherited)).unwrap();
    files.push(session(&example(), ground(places, &inherited)).unwrap());
    files.push(web(7266, ground(places, &inherited)).unwrap());
    files.push(bot(ground(places, &inherited)).unwrap());
    files.push(timer(&example_timer(), ground(places, &inherited)).unwrap());
    files
}

#[test]
fn every_source_parses_and_says_when_it_is_started() {
    for agent in &SHARED {
        assert!(template(agent.source).contains_key("ThrottleInterval"), "{}", agent.label);
    }
    let timer = template(TIMER_SOURCE);
    assert_eq!(timer.get("RunAtLoad").and_then(Value::as_boolean), Some(true));
    assert!(timer.contains_key("ThrottleInterval"));
    let front = template(FRONT_SOURCE);
    assert_eq!(front.get("KeepAlive").and_then(Value::as_boolean), Some(true));
    assert!(front.contains_key("ThrottleInterval"));
    let session = template(SESSION_SOURCE);
    let keep = session.get("KeepAlive").and_then(Value::as_dictionary).unwrap();
    assert_eq!(keep.get("SuccessfulExit").and_then(Value::as_boolean), Some(false));
    for key in ["ThrottleInterval", "ExitTimeOut", "ProcessType"] {
        assert!(session.contains_key(key), "{key}");
    }
}

#[test]
fn a_sessions_agent_is_read_back() {
    let places = places();
    let file = session(&example(), ground(&places, &[])).unwrap();
    assert_eq!(file.path, Path::new("dev.samocode.session.jwt-login--shop.plist"));
    let recorded = read_session(file.text.as_bytes()).unwrap();
    assert_eq!((recorded.config, recorded.folder), (example().config, example().folder));
    let mut environment = example().environment;
    environment.sort();
    assert_eq!(recorded.environment, environment);
    assert_eq!(program(file.text.as_bytes()).as_deref(), Some("/Users/dev/.local/bin/samocode"));
    assert_eq!(read_session(b"not a property list"), None);
    assert_eq!(read_session(all(&places)[0].text.as_bytes()), None, "a shared one is no session's");
}

#[test]
fn what_an_agent_inherits_is_not_taken_for_a_setting() {
    let places = places();
    let inherited = [pair("XDG_STATE_HOME", "/x"), pair(super::super::LAUNCHCTL, "/y")];
    let file = session(&example(), ground(&places, &inherited)).unwrap();
    assert!(file.text.contains("XDG_STATE_HOME"));
    let recorded = read_session(file.text.as_bytes()).unwrap();
    assert!(recorded.environment.iter().all(|(name, _)| !name.starts_with("XDG_")));
    assert!(recorded.environment.iter().all(|(name, _)| name != super::super::LAUNCHCTL));
}

#[test]
fn what_a_property_list_cannot_hold_is_refused() {
    let places = places();
    let refused = |of: Session| session(&of, ground(&places, &[])).unwrap_err();
    let with = |name: &str, value: &str| {
        refused(Session { environment: vec![pair(name, value)], ..example() })
    };
    assert!(matches!(with("A", "\u{1b}[0m"), Unfit::Character(_)));
    assert!(matches!(with("A", "a\rb"), Unfit::Character(_)));
    assert!(matches!(with("A", "\u{ffff}"), Unfit::Character(_)));
    assert!(matches!(with("A B", "x"), Unfit::Variable(_)));
    assert!(matches!(with("", "x"), Unfit::Variable(_)));
    let instance = "../x".to_owned();
    assert!(matches!(refused(Session { instance, ..example() }), Unfit::Name(_)));
    let relative = Ground { binary: Path::new("samocode"), places: &places, inherited: &[] };
    assert!(matches!(shared(relative), Err(Unfit::Relative(_))));
}

#[test]
fn a_convoy_is_read_back_and_a_name_that_leads_elsewhere_is_refused() {
    let of = Convoy {
        id: "login-2".into(),
        config: "/Users/dev/shop/.samocode".into(),
        members: vec!["schema".into(), "server".into()],
        limits: Limits::default(),
    };
    let file = convoy(&of).unwrap();
    assert_eq!(read_convoy(file.text.as_bytes()), Some((of.config.clone(), of.members.clone())));
    assert!(convoy(&Convoy { id: "../x".into(), ..of.clone() }).is_err());
    assert!(convoy(&Convoy { members: vec!["../x".into()], ..of }).is_err());
}

/// Has other programs than ours read the files. Returns `None` if the program is not installed.
fn read_by(program: &str, args: &[&str], files: &Path) -> Option<String> {
    let mut command = Command::new(program);
    let output = match command.args(args).current_dir(files).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn two_parsers_that_are_not_ours_read_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let places = places();
    let files = all(&places);
    crate::service::unit_files::install(folder.path(), &files).unwrap();
    let name = files[4].path.to_str().unwrap();

    const PYTHON: &str = "import json, plistlib, sys\n\
        for name in sys.argv[1:]: print(json.dumps(plistlib.load(open(name, 'rb'))))";
    let mut args = vec!["-c", PYTHON];
    args.extend(files.iter().map(|file| file.path.to_str().unwrap()));
    match read_by("python3", &args, folder.path()) {
        None => crate::skipped("python3 is not installed"),
        Some(said) => {
            let read: Vec<serde_json::Value> =
                said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(read.len(), 8);
            assert_eq!(read[0]["QueueDirectories"][0], places.spool.to_str().unwrap());
            assert!(read[3]["QueueDirectories"][0].as_str().unwrap().ends_with("/notices-held"));
            assert_eq!(read[3]["ThrottleInterval"], 300);
            assert_eq!(read[4]["ProgramArguments"][2], "jwt-login--shop");
            let variables = &read[4]["EnvironmentVariables"];
            for (name, value) in example().environment {
                assert_eq!(variables[name], value);
            }
            assert_eq!(variables[CONFIG], "/Users/dev/my shop <&>/.samocode");
            assert_eq!(read[4]["KeepAlive"]["SuccessfulExit"], false);
            let web = ["web", "--quiet", "--port", "7266"];
            assert_eq!(read[5]["ProgramArguments"].as_array().unwrap()[1..], web);
            assert_eq!((&read[6]["Label"], &read[6]["KeepAlive"]), (&BOT.into(), &true.into()));
            let at = example_timer().at.to_zoned(clock::local_zone());
            let minute = serde_json::json!({
                "Month": at.month(), "Day": at.day(), "Hour": at.hour(), "Minute": at.minute(),
            });
            assert_eq!(read[7]["StartCalendarInterval"], minute);
            let due = ["due", "jwt-login--shop", "2026-11-29T02:00:05Z"];
            assert_eq!(read[7]["ProgramArguments"].as_array().unwrap()[1..], due);
            assert_eq!(read[7]["Label"], "dev.samocode.timer.jwt-login--shop");
        }
    }

    // Converted to the binary form and back by it, they hold what they held.
    let to_binary = ["-i", name, "-f", "bin", "-o", "binary.plist"];
    match read_by("plistutil", &to_binary, folder.path()) {
        None => crate::skipped("plistutil is not installed (Debian: libplist-utils)"),
        Some(_) => {
            let binary = std::fs::read(folder.path().join("binary.plist")).unwrap();
            assert!(binary.starts_with(b"bplist"));
            assert_eq!(read(&binary), read(files[4].text.as_bytes()));
        }
    }
}
