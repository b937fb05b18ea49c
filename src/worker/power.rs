//! A machine that may lose its power: what a run did is put on the disk before it counts, and what did not reach the disk is looked for after a boot.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::git::{self, Checkout, Window};
use crate::platform::machine;
use crate::session::clock;
use crate::session::journal::Event;
use crate::session::restored::Restored;
use crate::session::stamp;
use crate::session::store::{StoreError, crash_point, read_journal};

use super::{Worker, pinging};

/// How many files of a kind the journal names.
const NAMED: usize = 10;

/// How long before the last run files are looked at. The kernel writes out what is older than 30 s (`vm.dirty_expire_centisecs`), laptops set a minute.
const SLACK: Duration = Duration::from_secs(300);

impl Worker<'_> {
    /// Puts on the disk what a run wrote from `since` on, before a signal makes it what the next run builds on. A disk that refuses shows it at what
    /// is written next.
    pub(super) async fn settle_run(&self, since: SystemTime) {
        let _ = self.writer.folder.settle(since);
        let working_dir = self.writer.state().working_dir().map(PathBuf::from);
        let root = self.checkout().map(|checkout| checkout.root().to_owned());
        if let Some(folder) = root.or(working_dir)
            && let Err(error) = pinging(self.notify, git::settle_changes(&folder, since)).await
        {
            tracing::warn!("cannot write {} to the disk: {error}", folder.display());
        }
    }

    /// Looks for what did not reach the disk before the machine went down, and gives damaged files what git has of them. What is replaced is kept, and
    /// said, before anything is touched. A failure is said and no more: the agent is told to look, too.
    pub(super) async fn restore_damaged(&mut self, checkout: &Checkout) -> Result<(), StoreError> {
        let Some(window) = self.window()? else { return Ok(()) };
        let work = checkout.find_damage(&window);
        let damage = match pinging(self.notify, work).await {
            Ok(damage) => damage,
            Err(error) => return tolerate(&error),
        };
        let mut lost: Vec<PathBuf> = damage.lost().to_vec();
        let artifacts = self.writer.folder.artifacts()?;
        lost.extend(artifacts.into_iter().filter(|path| git::lost_data(path, &window)));
        if damage.is_none() && lost.is_empty() {
            return Ok(());
        }
        let folder = self.place_for_damaged();
        let kept = match pinging(self.notify, damage.keep(&folder)).await {
            Ok(kept) => kept,
            Err(error) => return tolerate(&error),
        };
        let below = folder.strip_prefix(self.writer.folder.path()).unwrap_or(&folder);
        let (files, first) = counted(damage.restorable());
        let (lost, first_lost) = counted(&lost);
        let kept = kept.then(|| below.to_string_lossy().into_owned());
        self.writer.record(Event::Restored(Restored { files, first, kept, lost, first_lost }))?;
        crash_point("what is damaged is kept, and not restored yet");
        match pinging(self.notify, damage.restore()).await {
            Ok(()) => Ok(()),
            Err(error) => tolerate(&error),
        }
    }

    /// When what was written may not have reached the disk: from the last run before the boot on. What earlier runs wrote was put there.
    fn window(&self) -> Result<Option<Window>, StoreError> {
        let boot = self.writer.state().machine.boot().to_owned();
        let (mut started, mut last, mut found) = (None, None, None);
        read_journal(&self.writer.folder, |entry| {
            match &entry.event {
                Event::WorkerStarted { boot: new, .. } if *new == boot && found.is_none() => {
                    found = started.min(last).or(last).map(|since| (since, last));
                }
                Event::RunStarted { .. } => started = Some(entry.at),
                _ => {}
            }
            last = Some(entry.at);
        })?;
        let Some((since, Some(last))) = found else { return Ok(None) };
        // With a clock that was behind at the boot, what is older than it may look newer.
        let booted = machine::booted().filter(|booted| *booted > SystemTime::from(last));
        Ok(Some(Window { since: SystemTime::from(since) - SLACK, booted }))
    }

    /// A folder that is not there yet.
    fn place_for_damaged(&self) -> PathBuf {
        let stamp = stamp::file(&clock::local_now());
        let names = (2..).map(|number: u64| format!("{stamp}-{number}"));
        let folder = self.writer.folder.damaged();
        let mut places = [stamp.clone()].into_iter().chain(names).map(|name| folder.join(name));
        places.find(|place| place.symlink_metadata().is_err()).unwrap_or(folder)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a caller returns in its place")]
fn tolerate(error: &git::Error) -> Result<(), StoreError> {
    tracing::warn!("files that lost their data with the machine's power may be left: {error}");
    Ok(())
}

fn counted(paths: &[PathBuf]) -> (u64, Vec<String>) {
    let first = paths.iter().take(NAMED).map(|path| path.to_string_lossy().into_owned());
    (paths.len() as u64, first.collect())
}
