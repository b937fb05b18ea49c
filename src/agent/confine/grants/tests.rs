use super::*;
use crate::agent::confine::{Confinement, Verdict, explain, explain_peer, words};
use crate::config::confine::{CONNECT, Level};
use crate::platform::confinement::{Lack, Network, Sockets, Support};
use crate::session::store::{Folder, Lock};

fn place<'a>(environment: &'a Environment) -> Place<'a> {
    Place {
        home: Path::new("/home/u"),
        environment,
        program: Some(Path::new("/home/u/.npm/lib/node_modules/@x/agent/cli.js")),
        files: vec!["/home/u/agent.py".into()],
        work: Path::new("/home/u/work/trees/jwt"),
        session: Some(Path::new("/home/u/work/sessions/26-01-01-jwt")),
        temporary: Path::new("/tmp/samocode-1"),
        repository: Some(Repository::Shared {
            common: "/home/u/work/main/.git".into(),
            own: "/home/u/work/main/.git/worktrees/jwt".into(),
        }),
        git_files: vec!["/home/u/.ignore".into()],
        settings: vec!["/home/u/.cargo/config.toml".into()],
        login: vec!["/home/u/.agent".into()],
        login_files: vec!["/home/u/.agent.json".into()],
        service: vec![Peer::parse("api.example").unwrap()],
    }
}

fn environment() -> Environment {
    vec![("PATH".into(), "/home/u/.local/bin:/home/u/tools:/home/u:/:bin:/usr/bin".into())]
}

fn keys(level: Level) -> Confine {
    Confine {
        demanded: true,
        level,
        read: vec!["/srv/models".into()],
        write: vec!["/srv/out".into()],
        connect: vec![Peer::parse("example.org").unwrap()],
        any_socket: false,
    }
}

fn access(path: &str) -> Option<Access> {
    let environment = environment();
    match explain(&table(&place(&environment), &keys(Level::Standard)), Path::new(path)) {
        Verdict::Open(access, _) => Some(access),
        Verdict::Closed { .. } => None,
    }
}

#[test]
fn what_lies_beside_the_file_of_servers_for_names_is_closed_at_the_level_strict() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let (file, link) = (root.join("run/resolve/stub.conf"), root.join("resolv.conf"));
    std::fs::create_dir_all(root.join("run/resolve")).unwrap();
    std::fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let opened = |level| {
        let mut rows = Rows(Vec::new());
        rows.linked(&link, level);
        rows.0.remove(0).path
    };
    assert_eq!(opened(Level::Standard), root.join("run/resolve"));
    assert_eq!(opened(Level::Strict), file);
}

#[test]
fn an_agent_reaches_its_work_and_the_system_and_nothing_else() {
    for (path, wanted) in [
        ("/usr/bin/cc", Some(Access::Read)),
        ("/dev/null", Some(Access::Device)),
        ("/var/lib/dpkg/status", Some(Access::Read)),
        ("/var/lib/incus/unix.socket", None),
        ("/home/u/tools/x", Some(Access::Read)),
        ("/home/u/.npm/lib/node_modules/@y/z.js", Some(Access::Read)),
        ("/home/u/.npm/lib/other", None),
        ("/home/u/agent.py", Some(Access::Read)),
        ("/home/u/.gitconfig", Some(Access::Read)),
        ("/home/u/.ignore", Some(Access::Read)),
        ("/home/u/.cargo/config.toml", Some(Access::Read)),
        ("/home/u/.tool-versions", Some(Access::Read)),
        ("/home/u/.local/share/pipx/venvs/x/bin/x", Some(Access::Read)),
        ("/home/linuxbrew/.linuxbrew/Cellar/x/bin/x", Some(Access::Read)),
        ("/home/u/.gem/credentials", None),
        ("/home/u/.cargo/credentials.toml", None),
        ("/home/u/.julia/config/startup.jl", None),
        ("/home/u/work/trees/jwt/src/a.rs", Some(Access::Write)),
        ("/home/u/work/trees/other", None),
        ("/home/u/work/trees/jwt2", None),
        ("/home/u/work/sessions/26-01-01-jwt/_plan.md", Some(Access::Write)),
        ("/home/u/work/sessions/26-01-01-other", None),
        ("/tmp/samocode-1/x", Some(Access::Write)),
        ("/tmp/samocode-2", None),
        ("/home/u/work/main/.git/hooks/pre-commit", Some(Access::Read)),
        ("/home/u/work/main/.git/config", Some(Access::Read)),
        ("/home/u/work/main/.git/objects/ab", Some(Access::Write)),
        ("/home/u/work/main/.git/worktrees/jwt/index", Some(Access::Write)),
        ("/home/u/work/main/.git/worktrees/other/HEAD", Some(Access::Read)),
        ("/home/u/work/main/src", None),
        ("/home/u/.agent/login.json", Some(Access::Write)),
        ("/home/u/.cache/samocode/agent/npm", Some(Access::Write)),
        ("/home/u/.cache/pip", None),
        ("/home/u/.cargo/bin/cargo", Some(Access::Read)),
        ("/home/u/.cargo/credentials.toml", None),
        ("/home/u/.ssh/id_ed25519", None),
        ("/home/u/.bashrc", None),
        ("/home/u", None),
        ("/srv/models/a", Some(Access::Read)),
        ("/srv/out/a", Some(Access::Write)),
        ("/run/user/1000/bus", None),
    ] {
        assert_eq!(access(path), wanted, "{path}");
    }
}

#[test]
fn a_path_is_judged_by_where_its_links_lead() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (work, secret) = (root.join("work"), root.join("secret"));
    std::fs::create_dir(&work).unwrap();
    std::fs::write(&secret, "").unwrap();
    std::os::unix::fs::symlink(&secret, work.join("link")).unwrap();
    let environment = environment();
    let grants = table(&Place { work: &work, ..place(&environment) }, &Confine::default());
    let is_open = |path: &str| matches!(explain(&grants, &work.join(path)), Verdict::Open(..));
    assert!(is_open("new/file"));
    assert!(!is_open("link") && !is_open("../secret"));
}

#[test]
fn a_repository_of_its_own_is_the_agents() {
    let environment = environment();
    let own = PathBuf::from("/home/u/work/trees/jwt/.git");
    let repository = Some(Repository::Shared { common: own.clone(), own });
    let place = Place { repository, ..place(&environment) };
    let verdict = explain(
        &table(&place, &keys(Level::Standard)),
        Path::new("/home/u/work/trees/jwt/.git/config"),
    );
    assert!(matches!(verdict, Verdict::Open(Access::Write, _)), "{verdict:?}");
}

#[test]
fn in_a_sessions_own_repository_all_is_open_and_of_the_projects_only_objects_are_read() {
    let environment = environment();
    let repository = Some(Repository::Own {
        folder: "/home/u/work/trees/.samocode-repositories/jwt".into(),
        objects: "/home/u/work/main/.git/objects".into(),
    });
    let grants = table(&Place { repository, ..place(&environment) }, &Confine::default());
    let access = |path: &str| match explain(&grants, Path::new(path)) {
        Verdict::Open(access, _) => Some(access),
        Verdict::Closed { .. } => None,
    };
    for (path, wanted) in [
        ("/home/u/work/trees/.samocode-repositories/jwt/config", Some(Access::Write)),
        ("/home/u/work/trees/.samocode-repositories/jwt/packed-refs.lock", Some(Access::Write)),
        ("/home/u/work/trees/.samocode-repositories/jwt.kept/config", None),
        ("/home/u/work/trees/.samocode-repositories/other/HEAD", None),
        ("/home/u/work/main/.git/objects/ab/cd", Some(Access::Read)),
        ("/home/u/work/main/.git/lfs/objects/ab", Some(Access::Read)),
        ("/home/u/work/main/.git/config", None),
        ("/home/u/work/main/.git/refs/heads/main", None),
        ("/home/u/work/main/.git/hooks/pre-commit", None),
    ] {
        assert_eq!(access(path), wanted, "{path}");
    }
}

#[test]
fn a_place_that_is_not_known_opens_nothing() {
    let environment = environment();
    let place = Place { work: Path::new(""), ..place(&environment) };
    let verdict = explain(&table(&place, &Confine::default()), Path::new("/home/u/.ssh"));
    assert!(matches!(verdict, Verdict::Closed { .. }), "{verdict:?}");
}

#[test]
fn the_key_that_opens_something_is_named() {
    let environment = environment();
    let of = |level| Confinement::of(level, &keys(level), &place(&environment));
    assert_eq!(of(Level::Off), None);
    let standard = of(Level::Standard).unwrap();
    let closed = explain(&standard.grants, Path::new("/srv/data/x")).describe();
    assert_eq!(closed, "is closed; SAMOCODE_ALLOW_READ=/srv/data/x opens it");
    let open = explain(&standard.grants, Path::new("/srv/out/x")).describe();
    assert_eq!(open, "may be written: opened by SAMOCODE_ALLOW_WRITE");
    let peer = |text: &str| Peer::parse(text).unwrap();
    assert!(matches!(explain_peer(&standard, &peer("25")), Verdict::Open(..)));
    let strict = of(Level::Strict).unwrap();
    assert!(matches!(explain_peer(&strict, &peer("example.org:443")), Verdict::Open(..)));
    let open = explain_peer(&strict, &peer("api.example")).describe();
    assert_eq!(open, "may be used: the agent's own service");
    for (closed, value) in [("25", "example.org, 25"), ("b.example", "example.org, b.example")] {
        let closed_by = Verdict::Closed { key: CONNECT, value: value.to_owned() };
        assert_eq!(explain_peer(&strict, &peer(closed)), closed_by);
    }
}

#[test]
fn the_rules_of_the_cage_are_the_table() {
    let environment = environment();
    let of = |keys: Confine| Confinement::of(keys.level, &keys, &place(&environment)).unwrap();
    let standard = of(keys(Level::Standard));
    let rules = standard.rules();
    assert_eq!(rules.paths.len(), standard.grants.len());
    assert_eq!((rules.sockets, rules.network), (Sockets::None, Network::Host));
    let strict = of(Confine { any_socket: true, ..keys(Level::Strict) }).rules();
    assert_eq!((strict.sockets, strict.network), (Sockets::Any, Network::Own(vec![3128])));
}

#[test]
fn the_agent_is_told_where_it_may_write_and_what_to_ask_for() {
    let environment = environment();
    let support = Support { by: String::new(), lacks: vec![Lack::View] };
    let of = |level| {
        let confinement = Confinement::of(level, &keys(level), &place(&environment)).unwrap();
        words::for_agent(&confinement, &support)
    };
    let standard = of(Level::Standard);
    for wanted in
        ["- /home/u/work/trees/jwt (the folder it works in)", "- /srv/out", "SAMOCODE_ALLOW_WRITE"]
    {
        assert!(standard.contains(wanted), "{wanted} in {standard}");
    }
    assert!(!standard.contains(".agent") && !standard.contains("proxy"), "{standard}");
    assert!(of(Level::Strict).contains("lets these through: example.org, api.example."));
}

#[test]
fn a_record_that_is_apart_may_be_read_and_nothing_of_it_written_or_held() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().join("26-11-20-jwt"));
    std::fs::create_dir(folder.path()).unwrap();
    let environment = environment();
    let confinement = || {
        let place = Place { session: Some(folder.path()), ..place(&environment) };
        Confinement::of(Level::Standard, &keys(Level::Standard), &place).unwrap()
    };
    assert!(confinement().kept.contains(&folder.journal()), "held in its place until it is moved");
    let lock = Lock::take(&folder).unwrap();
    let _lock = folder.set_apart(lock).unwrap();
    let confinement = confinement();
    assert_eq!(confinement.kept, [folder.workers()]);
    let access = |path: &Path| match explain(&confinement.grants, path) {
        Verdict::Open(access, _) => Some(access),
        Verdict::Closed { .. } => None,
    };
    let record = folder.record().unwrap();
    for (path, wanted) in [
        (folder.journal(), Some(Access::Read)),
        (folder.history(), Some(Access::Read)),
        (folder.mail().join("x.json"), Some(Access::Read)),
        (folder.logs().join("x.jsonl"), Some(Access::Read)),
        (folder.lock(), None),
        (folder.hook(), None),
        (folder.stop_mark(), None),
        (record.join("new"), None),
        (record.with_file_name("26-11-20-other"), None),
        (folder.overview(), Some(Access::Write)),
        (folder.outbox().join("x.json"), Some(Access::Write)),
    ] {
        assert_eq!(access(&path), wanted, "{}", path.display());
    }
}
