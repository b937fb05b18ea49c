use super::*;

fn folder(home: &Path) -> AgentFolder {
    let places = Places::new(&home.join("Library"), &home.join("state/samocode/wake"));
    AgentFolder { places, inherited: Vec::new() }
}

fn session(instance: &str) -> Session {
    Session { instance: instance.to_owned(), ..example(Path::new("/spool")) }
}

const BINARY: &str = "/usr/local/bin/samocode";

#[test]
fn a_session_starts_at_login_only_once_it_is_enabled() {
    let home = tempfile::tempdir().unwrap();
    let folder = folder(home.path());
    assert_eq!(folder.instances().unwrap(), [] as [&str; 0]);
    folder.install_session(Path::new(BINARY), &session("jwt")).unwrap();
    assert_eq!(folder.instances().unwrap(), ["jwt"]);
    assert!(!folder.starts_at_boot("jwt"));
    assert!(!folder.places.at_login.exists(), "launchd would load it at login");

    for _ in 0..2 {
        folder.set_at_login("dev.samocode.session.jwt", true).unwrap();
        assert!(folder.starts_at_boot("jwt"));
    }
    // Written again, it stays where it is.
    let moved = Session { folder: "/elsewhere".into(), ..session("jwt") };
    folder.install_session(Path::new(BINARY), &moved).unwrap();
    assert!(folder.starts_at_boot("jwt"));
    assert_eq!(folder.instances().unwrap(), ["jwt"]);
    let recorded = folder.recorded("jwt").unwrap().unwrap();
    assert_eq!(recorded.folder, Path::new("/elsewhere"));

    folder.set_at_login("dev.samocode.session.jwt", false).unwrap();
    assert_eq!(folder.enabled("dev.samocode.session.jwt"), Enablement::Disabled);
    assert_eq!(folder.recorded("jwt").unwrap(), Some(recorded));
}

#[test]
fn a_removed_session_leaves_nothing_and_a_name_from_outside_reads_no_other_file() {
    let home = tempfile::tempdir().unwrap();
    let folder = folder(home.path());
    folder.install_session(Path::new(BINARY), &session("jwt")).unwrap();
    for _ in 0..2 {
        folder.remove_session("jwt").unwrap();
        assert_eq!(folder.instances().unwrap(), [] as [&str; 0]);
    }
    assert_eq!(folder.enabled("dev.samocode.session.jwt"), Enablement::Absent);
    assert_eq!(folder.recorded("../../x").unwrap(), None);
    assert_eq!(folder.convoy("../../x").unwrap(), None);
    assert_eq!(folder.members("absent").unwrap(), [] as [&str; 0]);
}

#[test]
fn the_shared_agents_are_compared_with_those_that_this_program_needs() {
    let home = tempfile::tempdir().unwrap();
    let folder = folder(home.path());
    let binary = home.path().join("samocode");
    std::fs::write(&binary, "").unwrap();
    let of = Shared { binary: &binary, spool: &folder.places.spool };
    assert_eq!(folder.compare(of, 0).unwrap(), Installed::No);
    assert!(folder.install_shared(of).unwrap());
    assert!(!folder.install_shared(of).unwrap());
    assert_eq!(folder.compare(of, 0).unwrap(), Installed::Current);

    let wake = folder.places.at_login.join("dev.samocode.wake.plist");
    std::fs::remove_file(&wake).unwrap();
    let missing = Installed::Outdated(vec!["dev.samocode.wake.plist".to_owned()]);
    assert_eq!(folder.compare(of, 0).unwrap(), missing);
    folder.install_shared(of).unwrap();

    let newer = home.path().join("newer");
    let of_newer = Shared { binary: &newer, ..of };
    let other = binary.display().to_string();
    assert_eq!(folder.compare(of_newer, 0).unwrap(), Installed::Other(other.clone()));
    std::fs::remove_file(&binary).unwrap();
    assert_eq!(folder.compare(of_newer, 0).unwrap(), Installed::Gone(other));
}
