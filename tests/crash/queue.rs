//! A session that waits for a place is started, wherever the one that should see to it is killed.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Command;

use samocode::session::event;
use samocode::session::journal::Event;
use samocode::session::state::Word;
use samocode::session::store::{Folder, Journal, Lock, read_journal};

use super::stage::Stage;
use super::{Dice, each, points};

/// A project with the sessions `demo`, which runs, and `next`, which waits; one may run at once.
struct Two(Stage);

impl Two {
    fn new() -> Self {
        let two = Self(Stage::new(true));
        let next = two.folder("next");
        fs::create_dir(next.path()).unwrap();
        let lock = Lock::take(&next).unwrap();
        let created =
            event::Created { name: "next".into(), task: "Wait".into(), dive: None, parent: None };
        Journal::open(&next, &lock).unwrap().append(Event::Created(created)).unwrap();
        let unit = two.0.at("home/.config/systemd/user/samocode@next.service.d");
        fs::create_dir_all(&unit).unwrap();
        let drop_in = format!(
            "[Service]\nEnvironment=\"SAMOCODE_CONFIG={}\"\nEnvironment=\"SAMOCODE_SESSION_DIR={}\"\n",
            two.0.at("repo/.samocode").display(),
            next.path().display()
        );
        fs::write(unit.join("session.conf"), drop_in).unwrap();
        for folder in ["wake", "slots"] {
            fs::create_dir_all(two.state(folder)).unwrap();
        }
        two
    }

    fn state(&self, name: &str) -> PathBuf {
        self.0.at("home/.local/state/samocode").join(name)
    }

    fn folder(&self, name: &str) -> Folder {
        Folder::new(self.0.at(&format!("sessions/26-11-20-{name}")))
    }

    fn worker(&self, name: &str) -> Command {
        let mut command = self.0.command(env!("CARGO_BIN_EXE_samocode"));
        command
            .args(["worker", name])
            .env("SAMOCODE_CONFIG", self.0.at("repo/.samocode"))
            .env("SAMOCODE_SESSION_DIR", self.folder(name).path())
            .env("SAMOCODE_SPOOL", self.state("wake"))
            .env("SAMOCODE_MAX_RUNNING", "1");
        command
    }

    /// Runs a worker that dies at a point, and then others until one ends in order, as a unit does.
    fn work(&self, name: &str, at: usize) {
        let mut worker = self.worker(name);
        worker.env("SAMOCODE_CRASH_AT", at.to_string());
        let mut status = self.0.end(worker);
        assert_eq!(status.signal(), Some(9), "{}", self.0.output());
        let slot = fs::read_to_string(self.state("slots/1.lock")).unwrap_or_default();
        assert!(!(slot == "demo" && self.is_called()), "the place is not free yet");
        for _ in 0..3 {
            status = self.0.end(self.worker(name));
            if status.code() != Some(75) {
                break;
            }
        }
        assert_eq!(status.code(), Some(0), "{}", self.0.output());
    }

    /// Has `next` wait while someone else holds the only place, which is free after that.
    fn queue(&self, work: impl FnOnce()) {
        let slot = File::create(self.state("slots/1.lock")).unwrap();
        slot.lock().unwrap();
        work();
    }

    /// Whether the waker is to start `next`.
    fn is_called(&self) -> bool {
        self.state("wake/next").exists()
    }

    fn assert_queued_once(&self) {
        let next = self.folder("next");
        assert_eq!(next.read_hook().unwrap().state, Word::Queued);
        let mut times = 0;
        read_journal(&next, |entry| times += usize::from(entry.event.kind() == "queued")).unwrap();
        assert_eq!(times, 1, "{}", self.0.output());
        assert_eq!(fs::read_dir(self.state("slots/waiting")).unwrap().count(), 1);
        assert!(!self.is_called(), "no place is free");
    }
}

/// What went wrong at a point, as `each` collects it.
fn told(what: &str, went: impl FnOnce() + std::panic::UnwindSafe) -> Result<(), String> {
    std::panic::catch_unwind(went).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        format!("died at {what}:\n{text}")
    })
}

#[test]
fn a_worker_killed_while_it_queues_leaves_its_session_in_the_queue_once() {
    let two = Two::new();
    let log = two.0.at("points");
    two.queue(|| {
        let mut worker = two.worker("next");
        worker.env("SAMOCODE_CRASH_LOG", &log);
        assert_eq!(two.0.end(worker).code(), Some(0), "{}", two.0.output());
    });
    two.assert_queued_once();
    let names = points(&log, None);
    assert!(names.iter().any(|name| name == "a session waits for a place"), "{names:?}");
    each(&Dice::new().sample(names.len(), 16), |at| {
        told(&names[*at], || {
            let two = Two::new();
            two.queue(|| {
                two.work("next", at + 1);
                two.assert_queued_once();
            });
        })
    });
}

#[test]
fn a_worker_killed_at_any_point_has_the_next_session_started_in_the_end() {
    let stage = || {
        let two = Two::new();
        two.queue(|| assert_eq!(two.0.end(two.worker("next")).code(), Some(0)));
        // As a worker that was killed leaves its place.
        fs::write(two.state("slots/1.lock"), "demo").unwrap();
        two
    };
    let two = stage();
    let log = two.0.at("points");
    let mut worker = two.worker("demo");
    worker.env("SAMOCODE_CRASH_LOG", &log);
    assert_eq!(two.0.end(worker).code(), Some(0), "{}", two.0.output());
    assert!(two.is_called());
    let names = points(&log, None);
    // Anywhere, and all around the end.
    let mut cases = Dice::new().sample(names.len(), 10);
    cases.extend(names.len() - 14..names.len());
    each(&cases, |at| {
        told(&names[*at], || {
            let two = stage();
            two.work("demo", at + 1);
            assert!(two.is_called(), "{}", two.0.output());
        })
    });
}
