//! What is done to a worktree before a run, for those who watch: copies and a setup command can take
//! minutes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anstream::adapter::strip_str;
use tokio::sync::watch;

use crate::config::Redactor;
use crate::git;
use crate::notify::text::clip;
use crate::platform::threads;
use crate::service::Notify;
use crate::session::describe::harmless;
use crate::session::store;

use super::provision::{Ground, Provided, provision};
use super::unready::Unready;
use super::writer::Writer;

/// The shortest time between two writes of the hook.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the output of a command is looked at while it runs.
const LOOK: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 2000 });

/// The longest description, in characters.
const LONGEST: usize = 160;

/// Says what is done, to whoever shows it.
#[derive(Debug, Clone)]
pub(super) struct Teller(watch::Sender<String>);

impl Teller {
    pub(super) fn say(&self, what: String) {
        self.0.send_replace(what);
    }

    /// Says that this file is about to be copied.
    pub(super) fn copying(&self, at: usize, of: usize, path: &Path) {
        self.say(format!("copying ignored files, {at} of {of}: {}", path.display()));
    }

    /// Says what a command prints, until it has ended.
    pub(super) async fn follow<T>(
        &self,
        command: &str,
        log: &Path,
        running: impl Future<Output = T>,
    ) -> T {
        self.say(format!("the setup command runs: {command}"));
        let mut running = std::pin::pin!(running);
        loop {
            tokio::select! {
                ended = &mut running => return ended,
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Some(line) = last_line(log) {
                self.say(format!("the setup command runs: {line}"));
            }
        }
    }
}

/// The last line of a command's output. One that draws a bar writes many over one another.
fn last_line(log: &Path) -> Option<String> {
    let end = store::read_tail(log, 4096).ok()?;
    let text = strip_str(&String::from_utf8_lossy(&end)).to_string();
    let mut lines = text.split(['\n', '\r']).map(str::trim);
    let line = lines.rfind(|line| !line.is_empty())?;
    Some(line.strip_prefix("$ ").unwrap_or(line).to_owned())
}

/// Who shows it, and without which secrets.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) notify: &'a Notify,
    pub(super) redactor: &'a Redactor,
}

/// Provides for the worktree at `root`, and shows what is done in the unit's status line and in the
/// hook.
pub(super) async fn provide(
    writer: &mut Writer,
    shown: Shown<'_>,
    ground: Ground<'_>,
    root: &Path,
    working_dir: &Path,
) -> Result<Provided, Unready> {
    show(writer, shown, |teller| provision(ground, teller, root, working_dir)).await
}

/// Shows what some work tells, while it lasts.
pub(super) async fn show<T, W: Future<Output = T>>(
    writer: &mut Writer,
    shown: Shown<'_>,
    work: impl FnOnce(Teller) -> W,
) -> T {
    let (teller, mut told) = watch::channel(String::new());
    let mut work = std::pin::pin!(work(Teller(teller)));
    loop {
        tokio::select! {
            done = &mut work => return done,
            Ok(()) = told.changed() => {}
        }
        // What takes no time is not worth a write.
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(PAUSE) => {}
        }
        let doing = told.borrow_and_update().clone();
        let doing = clip(&harmless(&shown.redactor.redact(&doing)), LONGEST);
        shown.notify.status(&format!("{} · {doing}", writer.state().phase()));
        writer.show_preparing(&doing);
    }
}

/// Copies the ignored files, in a thread: the watchdog is fed meanwhile.
pub(super) async fn include(
    teller: &Teller,
    repo: PathBuf,
    root: PathBuf,
) -> Result<git::Included, git::Error> {
    let (teller, folder) = (teller.clone(), root.clone());
    let copy = move || git::include(&repo, &root, &|at, of, path| teller.copying(at, of, path));
    let copied = threads::apart_or_here(copy).await;
    copied.map_err(|source| git::Error::Io {
        doing: "copy ignored files to",
        path: folder,
        source,
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_what_a_terminal_would_show() {
        let root = tempfile::tempdir().unwrap();
        let log = root.path().join("log");
        for (text, line) in [
            ("$ npm ci\n", Some("npm ci")),
            ("$ npm ci\nadded 3\n\n", Some("added 3")),
            ("$ x\n 10%\r 20%\r", Some("20%")),
            ("$ x\n\u{1b}[32mCompiling\u{1b}[0m serde\n", Some("Compiling serde")),
            ("", None),
        ] {
            std::fs::write(&log, text).unwrap();
            assert_eq!(last_line(&log).as_deref(), line, "{text:?}");
        }
        assert_eq!(last_line(&root.path().join("missing")), None);
    }

    #[tokio::test]
    async fn a_command_that_runs_is_described_by_what_it_prints() {
        let root = tempfile::tempdir().unwrap();
        let log = root.path().join("log");
        let (teller, mut told) = watch::channel(String::new());
        let (end, ended) = tokio::sync::oneshot::channel();
        let teller = Teller(teller);
        let watched = async {
            let mut next = async || {
                told.changed().await.unwrap();
                told.borrow_and_update().clone()
            };
            assert_eq!(next().await, "the setup command runs: make");
            std::fs::write(&log, "$ make\ncc a.c\n").unwrap();
            assert_eq!(next().await, "the setup command runs: cc a.c");
            end.send(7).unwrap();
        };
        let (status, ()) = tokio::join!(teller.follow("make", &log, ended), watched);
        assert_eq!(status.unwrap(), 7);
    }
}
