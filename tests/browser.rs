//! The web page in a real browser: headless Chromium, driven by Playwright (`lab/browser/pages.mjs`).

use std::net::TcpListener;
use std::path::Path;

use rustix::process::Signal;

use crate::lab::{self, LabUser, Running, secs};
use crate::session::BOUND;

/// Playwright and axe-core, fetched by `tests/run.sh`.
const MODULES: &str = "/repo/tests/.cache/browser/node_modules/playwright-core";

/// What the agent does first: it prints markup and scripts, which must be shown as they are, and works
/// on the implementation until the file `seen` is there.
const HOSTILE: &str = r#"echo "<img src=x onerror=alert('img')><script>alert('log')</script>"
[ "$SAMOCODE_PHASE" != implementation ] || until [ -e ~/seen ]; do sleep 0.05; done"#;

/// The browser's program.
fn chromium() -> Option<&'static str> {
    ["/usr/bin/chromium", "/usr/bin/chromium-headless-shell"]
        .into_iter()
        .find(|program| Path::new(program).exists())
}

/// Serves the pages on a port, and waits for the link.
fn serve(user: &LabUser, port: &str) -> (Running, String) {
    let mut server = user.samocode(["web", "--port", port]).spawn();
    server.wait_for_stdout("/enter?token=", secs(30));
    let printed = server.stdout();
    let link = printed.split_whitespace().find(|word| word.contains("/enter?token="));
    let link = link.unwrap_or_else(|| panic!("no link: {printed}")).to_owned();
    (server, link)
}

/// Waits until the browser has come to a step.
#[track_caller]
fn reach(user: &LabUser, person: &mut Running, step: &str) {
    user.wait_until(&format!("the browser is at {step}"), secs(180), || {
        let has_come = person.stdout().contains(&format!("at {step}"));
        assert!(has_come || person.is_running(), "{}\n{}", person.stderr(), user.diagnosis());
        has_come
    });
}

#[test]
fn a_person_takes_a_session_to_its_end_on_pages_that_stay_open() {
    let Some(lab) = lab::get() else { return };
    let Some(chromium) = chromium() else {
        return lab::skipped("there is no Chromium: apt-get install chromium");
    };
    if !lab.host_path(MODULES).exists() || !lab::is_installed("node") {
        return lab::skipped("Playwright is not in tests/.cache, ./tests/run.sh fetches it");
    }
    let user = lab.user("sees");
    let agent = user.obedient_agent(HOSTILE);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT <img src=x onerror=alert('task')>"]);
    session.wait_to_rest("waiting", "requirements");

    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (server, link) = serve(&user, &port);
    let shots = user.disk();
    let script = ["node", "/repo/tests/lab/browser/pages.mjs", &link, chromium];
    let person = user.run(script).arg(shots.to_string_lossy()).stdin_open();
    let mut person = person.spawn();
    reach(&user, &mut person, "answered");
    server.signal(Signal::KILL);
    session.wait_to_rest("waiting", "planning");
    let (server, _) = serve(&user, &port);
    person.send("\n");
    reach(&user, &mut person, "working");
    user.write("seen", "");
    person.send("\n");
    reach(&user, &mut person, "done");
    let report = shots.join("report.html");
    project.samocode(["report", "jwt", "-o"]).arg(report.to_string_lossy()).ok();
    person.send("\n");
    reach(&user, &mut person, "end");
    session.wait_to_rest("done", "done");
    // The browser that its push service no longer knows is dropped, and named.
    let doctor = user.samocode(["doctor"]).cwd(&project.dir).output();
    assert!(doctor.stdout.contains("Chrome on Linux no longer takes messages"), "{doctor}");
    person.send("\n");
    assert_eq!(person.wait(BOUND).code, 0);
    drop(server);

    // For a look: target/screenshots.
    let kept = lab::target_dir().join("screenshots");
    std::fs::create_dir_all(&kept).unwrap();
    for shot in std::fs::read_dir(lab.host_path(&shots)).unwrap().flatten() {
        std::fs::copy(shot.path(), kept.join(shot.file_name())).unwrap();
    }
}
