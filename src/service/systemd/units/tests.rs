use std::path::Path;

use super::*;
use crate::service::Limits;
use crate::session::Hint as _;

fn set(scope: Scope, version: u32) -> UnitSet {
    let (binary, spool) = (Path::new("/usr/bin/samocode"), Path::new("/var/lib/samocode/wake"));
    shared(Shared { binary, spool }, scope, version).unwrap()
}

fn example() -> Session {
    Session {
        instance: "jwt-login".to_owned(),
        project: "shop 100%".to_owned(),
        config: PathBuf::from("/home/u/my shop/.samocode"),
        folder: PathBuf::from("/home/u/my shop/s/26-11-20-jwt-login"),
        spool: PathBuf::from("/home/u/.local/state/samocode/wake"),
        environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        uid: Some(1000),
        limits: Limits {
            memory_high: Some("45%".to_owned()),
            memory_max: Some("4G".to_owned()),
            tasks_max: Some("4096".to_owned()),
            cpu_weight: Some("100".to_owned()),
        },
        convoy: Some("login".to_owned()),
    }
}

fn shown(set: &UnitSet) -> String {
    let mut out = String::new();
    for file in &set.files {
        out.push_str(&format!("==== {}\n{}", file.path.display(), file.text));
    }
    out
}

#[test]
fn the_units_of_each_version_are_as_designed() {
    for version in [239, 252, 257] {
        insta::assert_snapshot!(format!("user-{version}"), shown(&set(Scope::User, version)));
    }
    insta::assert_snapshot!("system-257", shown(&set(Scope::System, 257)));
    insta::assert_snapshot!("session", shown(&session(&example(), 257).unwrap()));
}

#[test]
fn every_directive_of_the_sources_has_its_version() {
    // As installed, with what hardens them.
    let texts = [Scope::User, Scope::System].into_iter().flat_map(|scope| set(scope, 257).files);
    let texts = texts.map(|file| file.text);
    let session = session(&example(), 257).unwrap().files.into_iter().map(|file| file.text);
    let of = crate::service::Convoy {
        id: "c".to_owned(),
        members: vec!["a".to_owned()],
        ..Default::default()
    };
    let convoy = convoys::units(&of, 257).unwrap().files.into_iter().map(|file| file.text);
    for text in texts.chain(session).chain(convoy) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(name) = directive(line) {
                assert!(SINCE.iter().any(|(known, _)| *known == name), "{name} has no version");
            }
        }
    }
}

#[test]
fn no_placeholder_is_left() {
    let both = [Scope::User, Scope::System].into_iter().flat_map(|scope| set(scope, 252).files);
    for file in both {
        assert!(!file.text.contains("hardened"), "{}", file.text);
        let named = file.path.display().to_string();
        let text = file.text.replace(&named, "");
        let left = text.split_whitespace().any(|word| word.matches('@').count() > 1);
        assert!(!left, "{named}: {text}");
    }
}

#[test]
fn a_recorded_session_is_read_back() {
    let mut of = example();
    of.environment.push(("SAMOCODE_AGENT".to_owned(), "command:a \"b\" %h\\\n".to_owned()));
    let text = &session(&of, 252).unwrap().files[0].text;
    let read = read_session(text).unwrap();
    assert_eq!((read.config, read.folder), (of.config, of.folder));
    assert_eq!((read.environment, read.uid), (of.environment, of.uid));
    assert_eq!(read_session("[Service]\n"), None);
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    let bad = || "../x".to_owned();
    assert!(session(&Session { instance: bad(), ..example() }, 252).is_err());
    assert!(session(&Session { convoy: Some(bad()), ..example() }, 252).is_err());
}

#[test]
fn memory_high_is_just_below_the_maximum() {
    let high = |max: &str| Limits::default().with_memory(max).memory_high;
    assert_eq!(high("50%").as_deref(), Some("49%"));
    assert_eq!(high("1%").as_deref(), Some("1%"));
    assert_eq!(high("4G").as_deref(), Some("4209067950"));
    assert_eq!(high("1000").as_deref(), Some("980"));
    assert_eq!(high("infinity"), None);
    assert_eq!(high("lots"), None);
}

#[test]
fn a_limit_systemd_would_ignore_is_refused() {
    for bad in ["", "lots", "-1", "4G\nUser=root", "4GG", "1e3", "nan", "inf"] {
        let limits = Limits { memory_max: Some(bad.to_owned()), ..Limits::default() };
        assert!(directives(&limits, NEWEST).is_err(), "{bad:?}");
    }
    for good in ["50%", "1.5G", "infinity", "4096"] {
        let limits = Limits { memory_max: Some(good.to_owned()), ..Limits::default() };
        assert!(directives(&limits, NEWEST).is_ok(), "{good:?}");
    }
    let limits = Limits { cpu_weight: Some("0".to_owned()), ..Limits::default() };
    assert_eq!(
        directives(&limits, NEWEST).unwrap_err().in_one_line(),
        "\"0\" is not a valid value for CPUWeight: use a number from 1 to 10000, or idle"
    );
}

#[test]
fn an_idle_weight_is_the_lowest_where_systemd_does_not_know_it() {
    let limits = Limits { cpu_weight: Some("idle".to_owned()), ..Limits::default() };
    assert_eq!(directives(&limits, 252), Ok(vec![("CPUWeight", "idle")]));
    assert_eq!(directives(&limits, 251), Ok(vec![("CPUWeight", "1")]));
    let of = Session { limits, ..example() };
    assert!(session(&of, 252).unwrap().files[0].text.contains("\nCPUWeight=idle\n"));
}

#[test]
fn a_path_may_contain_what_the_sources_have_as_placeholders() {
    let binary = Path::new("/opt/@spool@/@binary@@/samocode");
    let spool = Path::new("/var/@scope@/wake@");
    let set = shared(Shared { binary, spool }, Scope::System, 257).unwrap();
    let all = shown(&set);
    assert!(all.contains("ExecStart=\"/opt/@spool@/@binary@@/samocode\" worker %i\n"), "{all}");
    assert!(all.contains("DirectoryNotEmpty=/var/@scope@/wake@\n"), "{all}");
}

#[test]
fn a_program_that_systemd_would_refuse_is_refused_with_the_remedy() {
    for bad in ["/opt/it's/samocode", "/opt/a\"b/samocode", "/opt/a\\b/samocode", "/opt/a\nb"] {
        let (binary, spool) = (Path::new(bad), Path::new("/var/lib/samocode/wake"));
        let refused = shared(Shared { binary, spool }, Scope::User, 252).unwrap_err();
        assert!(refused.in_one_line().contains("install samocode in another folder"), "{refused}");
    }
}

proptest::proptest! {
    #[test]
    fn what_the_settings_accept_a_unit_can_hold(
        text in "( ?[0-9]{0,20}(\\.[0-9]{0,4})? ?([kmgtKMGT]i?[bB]?|%)?)|(infinity|idle|INFINITY|Idle)",
    ) {
        use crate::config::values;
        for version in [OLDEST, NEWEST] {
            let limits = Limits {
                memory_high: None,
                memory_max: values::memory(&text),
                tasks_max: values::tasks(&text),
                cpu_weight: values::cpu_weight(&text),
            };
            proptest::prop_assert!(directives(&limits, version).is_ok(), "{:?}", limits);
        }
    }
}

#[test]
fn features_that_an_old_systemd_lacks_are_listed() {
    assert_eq!(lacks(257), [""; 0]);
    let all = lacks(239).join("; ");
    assert!(all.contains("OOMPolicy=") && all.contains("TriggerLimitIntervalSec="), "{all}");
    assert!(!lacks(249).join("; ").contains("OOMPolicy="));
}

#[test]
fn only_supported_versions_are_accepted() {
    assert_eq!(parse_version("239"), Ok(239));
    assert_eq!(parse_version("v257"), Ok(257));
    assert!(parse_version("238").unwrap_err().contains("239"));
    assert!(parse_version("new").unwrap_err().contains("257"));
}
