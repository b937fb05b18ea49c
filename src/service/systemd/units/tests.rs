use std::path::Path;

use super::*;
use crate::service::Limits;

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
    let texts = SOURCES.iter().map(|(_, text)| (*text).to_owned());
    let session = session(&example(), 257).unwrap().files.into_iter().map(|file| file.text);
    for text in
        texts.chain(session).chain([convoy("c", &["a".to_owned()]).unwrap().files[0].text.clone()])
    {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(name) = directive(line) {
                assert!(SINCE.iter().any(|(known, _)| *known == name), "{name} has no version");
            }
        }
    }
}

#[test]
fn no_placeholder_is_left() {
    for file in set(Scope::System, 252).files {
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
    assert!(convoy(&bad(), &[]).is_err() && convoy("c", &[bad()]).is_err());
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
        assert!(directives(&limits).is_err(), "{bad:?}");
    }
    for good in ["50%", "1.5G", "infinity", "4096"] {
        let limits = Limits { memory_max: Some(good.to_owned()), ..Limits::default() };
        assert!(directives(&limits).is_ok(), "{good:?}");
    }
    let limits = Limits { cpu_weight: Some("0".to_owned()), ..Limits::default() };
    assert_eq!(
        directives(&limits).unwrap_err().to_string(),
        "\"0\" is not a valid value for CPUWeight: use a number from 1 to 10000"
    );
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
