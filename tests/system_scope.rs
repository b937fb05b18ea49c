//! `--system`: root drives the system manager, and the session runs as the user.

use crate::lab::{self, Lab, LabCommand, Project, secs};
use crate::session::{BOUND, Session};
use crate::web::{Browser, link};

/// A command of samocode's as root, in the project's folder.
fn root<const N: usize>(lab: &'static Lab, project: &Project<'_>, args: [&str; N]) -> LabCommand {
    lab.root(["samocode"].iter().chain(&args)).cwd(&project.dir)
}

fn active(lab: &'static Lab, unit: &str) -> String {
    let show = lab.root(["systemctl", "show", "--value", "--property=ActiveState", unit]);
    show.ok().stdout.trim().to_owned()
}

/// Waits until the session has this state and phase and the system's unit has ended.
#[track_caller]
fn wait_to_rest(lab: &'static Lab, session: &Session<'_>, state: &str, phase: &str) {
    let what = format!("{} is {state} in {phase}", session.name);
    session.user().wait_until(&what, BOUND, || {
        session.stands() == (state.to_owned(), phase.to_owned())
            && active(lab, &session.unit()) == "inactive"
    });
}

#[test]
fn a_session_of_the_systems_manager_is_its_users_from_first_to_last() {
    let Some(lab) = lab::get() else { return };
    // No manager of the user's own: nothing may need one.
    let user = lab.user_without_manager("sysdev");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let session = project.named("sysjwt");

    let task = ["enable", "--system", "--run-as", "sysdev", "sysjwt", "--task", "JWT login"];
    root(lab, &project, task).ok();
    wait_to_rest(lab, &session, "waiting", "requirements");
    // Answers are the user's: they need no power of root's.
    project.samocode(["answer", "--system", "sysjwt", "--accept-suggestions"]).ok();
    wait_to_rest(lab, &session, "waiting", "planning");
    let refused = root(lab, &project, ["web", "--system"]).output();
    assert!(refused.code != 0 && refused.stderr.contains("not for a browser"), "{refused}");
    let mut server = project.samocode(["web", "--system"]).spawn();
    server.wait_for_stdout("/enter?token=", secs(30));
    let browser = Browser::open(&user, link(&server.stdout()));
    browser.wait("/", "needs your approval of its plan");
    browser.submit("/s/sysjwt", "/s/sysjwt/approve", &[("message", "Good.")]);
    wait_to_rest(lab, &session, "done", "done");

    let folders = format!(
        "find {} {} {} -not -user {} -o -not -group {}",
        project.sessions.display(),
        project.worktrees.display(),
        project.dir.display(),
        user.name,
        user.name
    );
    assert_eq!(lab.root_sh(&folders).ok().stdout, "", "not the user's");
    let unit = session.unit();
    user.wait_until("the unit is disabled", BOUND, || {
        lab.root(["systemctl", "is-enabled", &unit]).output().stdout.trim() == "disabled"
    });
    lab.root(["journalctl", "--sync"]).ok();
    let uid = format!("_UID={}", user.uid);
    let message = lab.root(["journalctl", "-q", "-o", "cat", "SAMOCODE_SESSION=sysjwt", &uid]).ok();
    assert!(message.stdout.lines().count() > 10, "{message}");
}

#[test]
fn root_stops_and_starts_a_session_of_the_systems_manager() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("sysstop");
    let agent = user.obedient_agent("until [ -e ~/go ]; do sleep 0.05; done");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("sysheld");

    let task = ["enable", "--system", "--run-as", "sysstop", "sysheld", "--task", "Hold"];
    root(lab, &project, task).ok();
    user.wait_until("the agent runs", BOUND, || user.exists("asked"));
    let stopped = root(lab, &project, ["stop", "--system", "--now", "sysheld"]).ok();
    assert!(!stopped.stderr.contains("cannot ask"), "{}", stopped.stderr);
    assert_eq!(session.stands().0, "stopped");
    assert_eq!(active(lab, &session.unit()), "inactive");

    // A token does not bring it back.
    project.samocode(["send", "--system", "sysheld", "Hello?"]).ok();
    let spool = user.host_path("/var/lib/samocode/wake");
    user.wait_until("the token is taken", BOUND, || {
        !spool.join("sysheld").exists() && active(lab, "samocode-wake.service") == "inactive"
    });
    assert_eq!(active(lab, &session.unit()), "inactive");
    assert_eq!(session.journal("run_started").len(), 1);

    user.write("go", "");
    // Named twice: also the second call of one process acts as the user, and as root with the manager.
    root(lab, &project, ["start", "--system", "sysheld", "sysheld"]).within(secs(60)).ok();
    wait_to_rest(lab, &session, "waiting", "requirements");
    let foreign = format!("find {} -not -user {}", project.sessions.display(), user.name);
    assert_eq!(lab.root_sh(&foreign).ok().stdout, "", "not the user's");
}

/// The command after this mark in a text, up to the end of its line.
fn command_after<'t>(text: &'t str, mark: &str) -> &'t str {
    let found = text.split(mark).nth(1).and_then(|rest| rest.lines().next());
    found.unwrap_or_else(|| panic!("{mark:?} is not in {text}")).trim()
}

#[test]
fn plain_root_finds_a_session_from_anywhere_and_every_hint_can_be_pasted() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("sysplain");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    // `~` is the user's home, whoever looks.
    let home = user.home.to_string_lossy().into_owned();
    let text = user.read("shop/.samocode").replace(&home, "~");
    user.write("shop/.samocode", text);
    let session = project.named("sysroot");
    let from = |cwd: &str, line: &str| lab.root(["sh", "-c", line]).cwd(cwd);
    let here = project.dir.to_string_lossy().into_owned();

    let enable = "samocode enable --system --run-as sysplain sysroot --task 'JWT login'";
    let enabled = from(&here, enable).ok();
    assert!(enabled.stdout.contains("logs: samocode logs --system -f sysroot"), "{enabled}");
    wait_to_rest(lab, &session, "waiting", "requirements");
    for cwd in [here.as_str(), "/root", "/"] {
        let listed = from(cwd, "samocode status --system").ok();
        assert!(listed.stdout.contains("sysroot"), "{cwd}: {listed}");
        let why = from(cwd, "samocode why --system sysroot").ok();
        let answer = command_after(&why.stdout, "it resumes after: ");
        assert_eq!(answer, "samocode answer --system sysroot", "{cwd}");
    }
    let none = from("/", "samocode status").ok();
    assert!(none.stderr.contains("samocode status --system"), "{none}");
    let mistyped = from("/", "samocode status --system sysrot").output();
    assert!(mistyped.stderr.contains("did you mean 'sysroot'?"), "{mistyped}");

    from("/root", "samocode answer --system sysroot --accept-suggestions").ok();
    wait_to_rest(lab, &session, "waiting", "planning");
    let stopped = from("/root", "samocode stop --system sysroot").ok();
    let start = command_after(&stopped.stdout, "Resume it with: ").to_owned();
    assert_eq!(start, "samocode start --system sysroot");
    let theirs = project.samocode(["why", "--system", "sysroot"]).ok();
    assert!(theirs.stdout.contains("after: sudo samocode start --system sysroot"), "{theirs}");
    from("/root", &start).ok();
    from("/root", "samocode approve --system sysroot").ok();
    wait_to_rest(lab, &session, "done", "done");

    let removed = from("/root", "samocode remove --system sysroot").ok();
    assert!(removed.stdout.contains("Branch sysroot stays."), "{removed}");
    assert!(project.worktree("sysroot").is_none() && project.session("sysroot").is_none());
    assert_eq!(
        from("/", "samocode status --system --json | grep -c sysroot").output().stdout,
        "0\n"
    );
    let foreign = format!("find {} {} -not -user {}", home, project.sessions.display(), user.name);
    assert_eq!(lab.root_sh(&foreign).ok().stdout, "", "not the user's");
}

#[test]
fn the_systems_manager_is_for_root_and_runs_nothing_as_root() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("sysrefused");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let refused = |out: crate::lab::Outcome, code: i32, message: &str| {
        assert_eq!(out.code, code, "{out}");
        assert!(out.is_one_error() && out.stderr.contains(message), "{out}");
    };
    let enable = ["enable", "--system", "a", "--task", "t"];
    refused(root(lab, &project, enable).output(), 2, "--run-as USER");
    let as_root = ["enable", "--system", "--run-as", "root", "a", "--task", "t"];
    refused(root(lab, &project, as_root).output(), 2, "refuse to run as root");
    let nobody = ["enable", "--system", "--run-as", "no-such", "a", "--task", "t"];
    refused(root(lab, &project, nobody).output(), 2, "no user 'no-such'");
    let as_user = project.samocode(["enable", "--system", "a", "--task", "t"]).output();
    assert!(matches!(as_user.code, 1 | 2), "{as_user}");
    assert!(as_user.is_one_error(), "{as_user}");
    assert!(project.session("a").is_none());
}

#[test]
fn a_convoy_of_the_systems_manager_is_its_users_from_its_file_to_its_merge() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("sysfleet");
    let agent = user.obedient_agent("mkdir -p $SAMOCODE_SESSION; cd $SAMOCODE_SESSION");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_TEST_COMMAND", "test -e sysfirst/work.txt && test $(id -un) = sysfleet")
        .repo(|repo| repo.then("git branch develop"))
        .create();
    user.write(
        project.dir.join("fleet.toml"),
        "id = \"sysfleet\"\nmerge = true\ninto = \"develop\"\n\
         [[session]]\nname = \"syssecond\"\ntask = \"t\"\nafter = [\"sysfirst\"]\n\
         [[session]]\nname = \"sysfirst\"\ntask = \"t\"\n",
    );
    let [first, second] = ["sysfirst", "syssecond"].map(|name| project.named(name));
    root(lab, &project, ["convoy", "create", "--system", "--file", "fleet.toml"]).ok();
    wait_to_rest(lab, &first, "waiting", "requirements");
    assert!(second.journal("run_started").is_empty());
    let slice = ["systemctl", "show", "--value", "--property=Slice", &second.unit()];
    assert_eq!(lab.root(slice).ok().stdout.trim(), "samocode-convoy-sysfleet.slice");
    let target = "samocode-convoy@sysfleet.target";
    assert_eq!(active(lab, target), "active");
    let listed = lab.root(["samocode", "status", "--system"]).cwd("/").ok().stdout;
    assert!(listed.contains("syssecond") && listed.contains("queued"), "{listed}");
    let why = root(lab, &project, ["why", "--system", "syssecond"]).ok().stdout;
    assert!(why.contains("starts after sysfirst"), "{why}");

    for session in [&first, &second] {
        let name = session.name;
        wait_to_rest(lab, session, "waiting", "requirements");
        project.samocode(["answer", "--system", name, "--accept-suggestions"]).ok();
        wait_to_rest(lab, session, "waiting", "planning");
        project.samocode(["approve", "--system", name]).ok();
        wait_to_rest(lab, session, "done", "done");
    }
    let within = ["git", "merge-base", "--is-ancestor", "sysfirst", "syssecond"];
    user.run(within).cwd(&project.dir).ok();
    let shows = || project.samocode(["inbox", "--system"]).output().stdout;
    user.wait_until("it is merged", BOUND, || {
        shows().contains("convoy sysfleet is merged: develop has 2 sessions; tested with")
    });
    user.run(["git", "merge-base", "--is-ancestor", "syssecond", "develop"]).cwd(&project.dir).ok();
    user.wait_until("the target has ended", BOUND, || active(lab, target) == "inactive");
    let shown = root(lab, &project, ["convoy", "status", "--system", "sysfleet"]).ok().stdout;
    assert!(shown.contains("2 of 2 sessions done"), "{shown}");

    root(lab, &project, ["convoy", "remove", "--system", "sysfleet"]).ok();
    root(lab, &project, ["archive", "--system", "--done"]).ok();
    let foreign =
        format!("find {} -not -user {n} -o -not -group {n}", user.home.display(), n = user.name);
    assert_eq!(lab.root_sh(&foreign).ok().stdout, "", "not the user's");
    let left = "ls -d /etc/systemd/system/samocode@sys{first,second}.service.d /etc/systemd/system/samocode-convoy*sysfleet* 2>/dev/null";
    assert_eq!(lab.root_sh(left).output().stdout, "", "units are left");
}
