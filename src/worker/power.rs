//! Power cuts: a run's work is synced before its signal is accepted, and after a boot the worker
//! looks for files that lost data.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;

use crate::git::{self, Checkout, Programs, Window};
use crate::platform::machine;
use crate::session::clock;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::restored::Restored;
use crate::session::stamp;
use crate::session::store::{StoreError, crash_point, read_journal};

use super::{Worker, pinging};

/// Maximum number of files of each kind named in the journal.
const NAMED: usize = 10;

/// How far before the last run to look for damaged files. The kernel writes dirty data after 30 s
/// (`vm.dirty_expire_centisecs`); laptops use up to a minute.
const SLACK: Duration = Duration::from_secs(300);

impl Worker<'_> {
    /// Syncs everything a run wrote since `since`, before its signal makes the next run depend on
    /// it. A disk error shows up again at the next write.
    pub(super) async fn settle_run(&self, since: SystemTime) {
        let _ = self.writer.folder.settle(since);
        let working_dir = self.writer.state().working_dir().map(PathBuf::from);
        let root = self.checkout().map(|checkout| checkout.root().to_owned());
        if let Some(folder) = root.or(working_dir) {
            let mut work = std::pin::pin!(git::settle_changes(&folder, since));
            // A run that changed little is done at once.
            let settled = match work.as_mut().now_or_never() {
                Some(settled) => settled,
                None => pinging(self.notify, work).await,
            };
            if let Err(error) = settled {
                tracing::warn!("cannot sync {}: {error}", folder.display());
            }
        }
    }

    /// Finds files that lost data when the machine went down, and restores what git has. Damaged
    /// versions are saved and journaled before anything is replaced. A failure is only logged, as
    /// the agent's prompt says to check, too.
    pub(super) async fn restore_damaged(&mut self, checkout: &Checkout) -> Result<(), StoreError> {
        let Some(window) = self.window()? else { return Ok(()) };
        self.writer.keep_hook_up()?;
        let programs = Programs::of(&self.setup.state_dir);
        let work = checkout.find_damage(&window, &programs);
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
        let below = folder.strip_prefix(self.writer.folder.record_root()).unwrap_or(&folder);
        let (files, first) = counted(damage.restorable());
        let (lost, first_lost) = counted(&lost);
        let kept = kept.then(|| below.to_string_lossy().into_owned());
        self.writer.record(Event::Restored(Restored { files, first, kept, lost, first_lost }))?;
        crash_point("damaged versions are kept, nothing is restored yet");
        match pinging(self.notify, damage.restore()).await {
            Ok(()) => Ok(()),
            Err(error) => tolerate(&error),
        }
    }

    /// The time in which writes may not have reached the disk: since the last run before the boot.
    /// The work of earlier runs was synced.
    fn window(&self) -> Result<Option<Window>, StoreError> {
        let boot = self.writer.state().machine.boot().to_owned();
        let (mut started, mut last, mut found) = (None, None, None);
        read_journal(&self.writer.folder, |entry| {
            match &entry.event {
                Event::WorkerStarted(event::WorkerStarted { boot: new, .. })
                    if *new == boot && found.is_none() =>
                {
                    found = started.min(last).or(last).map(|since| (since, last));
                }
                Event::RunStarted(_) => started = Some(entry.at),
                _ => {}
            }
            last = Some(entry.at);
        })?;
        let Some((since, Some(last))) = found else { return Ok(None) };
        // If the clock was behind at boot, files older than the boot may look newer.
        let booted = machine::booted().filter(|booted| *booted > SystemTime::from(last));
        Ok(Some(Window { since: SystemTime::from(since) - SLACK, booted }))
    }

    /// A path for damaged files that does not exist yet.
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
    tracing::warn!("some files may still lack data lost when the machine went down: {error}");
    Ok(())
}

fn counted(paths: &[PathBuf]) -> (u64, Vec<String>) {
    let first = paths.iter().take(NAMED).map(|path| path.to_string_lossy().into_owned());
    (paths.len() as u64, first.collect())
}
