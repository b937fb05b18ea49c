//! Notices on a desktop: a real notification service, dunst, on a display that nobody looks at. Its menu
//! of actions is a program that presses what it is told to.

use crate::lab::{self, LabUser, Running};
use crate::session::BOUND;

/// A display and the notification service on it.
struct Desktop<'u> {
    user: &'u LabUser,
    display: String,
    _server: Running,
    service: Option<Running>,
}

impl<'u> Desktop<'u> {
    fn start(user: &'u LabUser) -> Self {
        user.write_program(
            "menu.sh",
            "#!/bin/sh\ncat >~/menu.new\nmv ~/menu.new ~/menu\ngrep \"$(cat ~/press)\" ~/menu | head -n 1\n",
        );
        let menu = user.home.join("menu.sh");
        user.write(
            ".config/dunst/dunstrc",
            format!(
                "[global]\n    dmenu = {}\n[urgency_normal]\n    timeout = 0\n",
                menu.display()
            ),
        );
        let command = ["Xvfb", "-displayfd", "1", "-screen", "0", "320x240x24", "-nolisten", "tcp"];
        let mut server = user.run(command).spawn();
        server.wait_for_stdout("\n", BOUND);
        let display = format!(":{}", server.stdout().trim());
        Self { user, display, _server: server, service: None }
    }

    /// Asks the service.
    fn asked(&self, words: &str) -> String {
        let bus = format!("unix:path={}/bus", self.user.runtime_dir().display());
        let asked = self.user.sh(&format!("dunstctl {words}"));
        asked.env("DBUS_SESSION_BUS_ADDRESS", bus).output().stdout.trim().to_owned()
    }

    fn start_service(&mut self) {
        let bus = format!("unix:path={}/bus", self.user.runtime_dir().display());
        let service = self.user.run(["dunst"]).env("DISPLAY", &self.display);
        self.service = Some(service.env("DBUS_SESSION_BUS_ADDRESS", bus).spawn());
        self.user.wait_until("the service is there", BOUND, || self.shows().is_some());
    }

    fn kill_service(&mut self) {
        if let Some(mut service) = self.service.take() {
            // The one of this user, whoever stands between it and the test.
            self.user.sh("pkill -KILL -u $USER -x dunst").ok();
            service.wait(BOUND);
        }
    }

    /// How many notices are on it.
    fn shows(&self) -> Option<u32> {
        self.asked("count displayed").parse().ok()
    }

    /// Presses a button: what is in the line of the menu.
    fn press(&self, button: &str) {
        self.user.write("press", button);
        self.asked("context");
        self.user.wait_until("the menu was open", BOUND, || {
            self.user.sh(&format!("grep -q '{button}' ~/menu")).output().code == 0
        });
    }
}

#[test]
fn a_notification_service_that_is_killed_and_comes_back_loses_and_doubles_nothing() {
    let Some(lab) = lab::get() else { return };
    if !lab::is_installed("dunst") || !lab::is_installed("Xvfb") {
        return lab::skipped("there is no desktop: apt-get install dunst xvfb");
    }
    let user = lab.user("desk");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let mut desktop = Desktop::start(&user);
    desktop.start_service();
    project.samocode(["notify", "test"]).ok();
    assert!(project.samocode(["doctor"]).output().stdout.contains("✓ desktop"));
    desktop.asked("close-all");
    user.wait_until("nothing is shown", BOUND, || desktop.shows() == Some(0));

    // Two sessions wait for answers; one is told of as its plan when the service is not there.
    let first = project.named("first");
    first.enable(&["--task", "JWT login"]);
    first.wait_to_rest("waiting", "requirements");
    project.samocode(["answer", "first", "--accept-suggestions"]).ok();
    first.wait_to_rest("waiting", "planning");
    user.wait_until("its questions and its plan are shown", BOUND, || desktop.shows() == Some(2));
    desktop.kill_service();

    let second = project.named("second");
    second.enable(&["--task", "JWT login"]);
    second.wait_to_rest("waiting", "requirements");
    let failed = || second.journal("notified").iter().any(|line| line["error"].is_string());
    user.wait_until("the desktop could not be reached", BOUND, failed);
    let status = project.samocode(["status", "second"]).ok().stdout;
    assert!(status.contains("could not notify you via desktop"), "{status}");
    let doctor = project.samocode(["doctor"]).output().stdout;
    assert!(doctor.contains("no notification service on this session bus"), "{doctor}");
    assert!(doctor.contains("second: could not notify you via desktop"), "{doctor}");

    desktop.start_service();
    user.wait_until("both are shown again", BOUND, || desktop.shows() == Some(2));
    project.samocode(["notify", "test"]).ok();
    // Those of the first, the questions of the second, and the test itself.
    user.wait_until("all is shown", BOUND, || desktop.shows() == Some(4));
    let kept = || user.sh("find ~/.local/state/samocode/notices -name '*.json'").ok().stdout;
    assert!(kept().is_empty(), "{}", kept());

    // Who hears presses is killed. A press before its successor is there is lost.
    user.systemctl(["kill", "-s", "KILL", "samocode-desktop.service"]).ok();
    user.wait_until("the plan is approved by a button", BOUND, || {
        desktop.press("#Approve (first");
        !first.journal("mail").iter().all(|line| line["mail"] != "approve")
    });
    first.wait_to_rest("done", "done");
    let mail = first.journal("mail");
    assert_eq!(mail.iter().filter(|line| line["mail"] == "approve").count(), 1, "{mail:?}");
    desktop.kill_service();
}
