//! The limits that a session has for itself, watched while its agent runs: room on the disk, and
//! processes. A run that reaches one is ended before it fills the disk for all, and what took the
//! most is named.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use crate::platform::cgroup::RunCgroup;
use crate::platform::free_space;
use crate::session::describe::size;
use crate::session::order;

use super::Worker;

/// How many of the largest parts are named.
const NAMED: usize = 3;

/// The shortest time between two measurements of a session; reading a large worktree takes a while.
const PAUSE: Duration = Duration::from_secs(30);

/// How long the worker itself may spend on finding the largest parts.
pub(super) const BRIEFLY: Duration = Duration::from_secs(3);

/// How long a thread of its own may.
const THOROUGHLY: Duration = Duration::from_secs(600);

/// How many looks in a row must find that processes were refused: a build may reach the limit for a
/// moment.
const LOOKS: u32 = 3;

/// Where a session's files are.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) all: Vec<PathBuf>,
    /// Folders in them that are other sessions'.
    pub(super) without: Vec<PathBuf>,
}

/// What a session takes on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Bytes in all.
    pub(super) bytes: u64,
    /// What is in its places, with the bytes of each; the largest first.
    parts: Vec<(PathBuf, u64)>,
}

impl Taken {
    /// Adds up what is in the places, without following links. What is not reached in time counts
    /// nothing.
    pub(super) fn of(places: &Places, within: Duration) -> Self {
        let end = Instant::now() + within;
        let mut taken = Self::default();
        let mut seen = HashSet::new();
        for place in &places.all {
            for entry in fs::read_dir(place).into_iter().flatten().flatten() {
                let bytes = bytes(entry.path(), &places.without, &mut seen, end);
                taken.bytes += bytes;
                taken.parts.push((entry.path(), bytes));
            }
        }
        order::by_key(&mut taken.parts, |(_, bytes)| std::cmp::Reverse(*bytes));
        taken.parts.truncate(NAMED);
        taken
    }

    /// The largest parts in words.
    pub(super) fn largest(&self) -> String {
        let parts = self.parts.iter().filter(|(_, bytes)| *bytes > 0);
        let named = parts.map(|(path, bytes)| format!("{} ({})", path.display(), size(*bytes)));
        named.collect::<Vec<_>>().join(", ")
    }

    /// Why a session that takes this may not run, if it may take at most `most`.
    pub(super) fn too_much(&self, most: u64) -> Option<String> {
        (self.bytes > most).then(|| {
            format!(
                "it takes {} on the disk, but SAMOCODE_DISK_MAX allows {}: delete what it does not \
                 need, or raise that. The largest: {}",
                size(self.bytes),
                size(most),
                self.largest()
            )
        })
    }
}

/// The bytes of a file, or of a folder with everything in it. A file with several names counts once.
fn bytes(path: PathBuf, without: &[PathBuf], seen: &mut HashSet<(u64, u64)>, end: Instant) -> u64 {
    let (mut sum, mut left) = (0, vec![path]);
    while let Some(path) = left.pop().filter(|_| Instant::now() < end) {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if without.contains(&path)
            || (meta.nlink() > 1 && !meta.is_dir() && !seen.insert((meta.dev(), meta.ino())))
        {
            continue;
        }
        // Blocks of 512 bytes: stat(2).
        sum += meta.blocks() * 512;
        if meta.is_dir() {
            left.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
        }
    }
    sum
}

/// What has been used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Short {
    /// Too little is free on the disk of this folder.
    Disk(PathBuf, u64),
    /// It takes more than it may.
    Own(Box<Taken>),
    /// It may start no more processes, and keeps trying.
    Processes,
}

/// The least that a run may leave of this much free space: sessions do not start below the floor, and
/// one that runs gets half of that. A disk that had less from the start, such as a small `/tmp`, may
/// be filled to the half.
fn least(floor: u64, free: u64) -> u64 {
    floor.min(free) / 2
}

/// Watches over one run.
#[derive(Debug)]
pub(super) struct Room {
    places: Places,
    /// The least that may be free on the disk of each place, in bytes.
    least: Vec<(PathBuf, u64)>,
    floor: u64,
    most: Option<u64>,
    tasks: String,
    measuring: Option<Receiver<Taken>>,
    next: Instant,
    refused: u64,
    looks: u32,
}

impl Room {
    /// For a run of this worker's with a folder for temporary files of its own.
    pub(super) fn of(worker: &Worker<'_>, temporary: &Path, run: Option<&RunCgroup>) -> Self {
        let settings = &worker.setup.settings;
        let mut places = worker.places();
        places.all.push(temporary.to_owned());
        let free = places.all.iter().map(|place| (place.clone(), free_space(place)));
        let least =
            free.filter_map(|(place, free)| Some((place, least(settings.disk_floor, free?))));
        Self {
            least: least.collect(),
            places,
            floor: settings.disk_floor,
            most: settings.disk_max,
            tasks: settings.tasks_max.clone(),
            measuring: None,
            next: Instant::now(),
            refused: run.and_then(RunCgroup::refused_processes).unwrap_or(0),
            looks: 0,
        }
    }

    /// Looks whether something is used up.
    pub(super) fn look(&mut self, now: Instant, run: Option<&RunCgroup>) -> Option<Short> {
        let low = |(place, least): &(PathBuf, u64)| {
            let free = free_space(place).filter(|free| free < least)?;
            Some(Short::Disk(place.clone(), free))
        };
        if let Some(short) = self.least.iter().find_map(low) {
            return Some(short);
        }
        let refused = run.and_then(RunCgroup::refused_processes);
        if self.is_refused(refused) {
            return Some(Short::Processes);
        }
        self.measured(now).map(|taken| Short::Own(Box::new(taken)))
    }

    /// Whether processes were refused in several looks on end.
    fn is_refused(&mut self, so_far: Option<u64>) -> bool {
        let Some(so_far) = so_far else { return false };
        self.looks = if so_far > self.refused { self.looks + 1 } else { 0 };
        self.refused = so_far;
        self.looks >= LOOKS
    }

    /// What it takes, if that is too much. It is measured in a thread, again and again.
    fn measured(&mut self, now: Instant) -> Option<Taken> {
        let most = self.most?;
        let Some(result) = &self.measuring else {
            if now >= self.next {
                let (done, result) = channel();
                let places = self.places.clone();
                let measure = move || drop(done.send(Taken::of(&places, THOROUGHLY)));
                // Without a thread it is tried at the next look.
                self.measuring = std::thread::Builder::new().spawn(measure).ok().map(|_| result);
            }
            return None;
        };
        match result.try_recv() {
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => {}
            Ok(taken) if taken.bytes > most => return Some(taken),
            Ok(_) => {}
        }
        (self.measuring, self.next) = (None, now + PAUSE);
        None
    }

    /// Why the run was ended, for a person.
    pub(super) fn why(&self, short: &Short) -> String {
        match short {
            Short::Disk(place, free) => format!(
                "only {} was left on the disk of {}: a run leaves at least half of SAMOCODE_DISK_FLOOR \
                 ({}), or of what was free before, if that was less. The largest of this session: {}",
                size(*free),
                place.display(),
                size(self.floor),
                Taken::of(&self.places, BRIEFLY).largest()
            ),
            Short::Own(taken) => taken.too_much(self.most.unwrap_or(0)).unwrap_or_default(),
            Short::Processes => format!(
                "its processes and threads reached the limit, SAMOCODE_TASKS_MAX={}, and stayed \
                 there: it starts ever more, or needs a higher limit",
                self.tasks
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(places: Places) -> Room {
        Room {
            least: Vec::new(),
            places,
            floor: 0,
            most: None,
            tasks: "4096".to_owned(),
            measuring: None,
            next: Instant::now(),
            refused: 7,
            looks: 0,
        }
    }

    /// A place with a large and a small part, and another session's.
    fn place() -> (tempfile::TempDir, Places) {
        let root = tempfile::tempdir().unwrap();
        for (file, size) in [("big/deep/file", 1 << 20), ("small", 1 << 16), ("other/x", 1 << 22)] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![1; size]).unwrap();
        }
        fs::hard_link(root.path().join("big/deep/file"), root.path().join("again")).unwrap();
        std::os::unix::fs::symlink("/", root.path().join("link")).unwrap();
        let without = vec![root.path().join("other")];
        let places = Places { all: vec![root.path().to_owned()], without };
        (root, places)
    }

    #[test]
    fn what_a_session_takes_is_added_up_and_the_largest_is_named_first() {
        let (root, places) = place();
        let taken = Taken::of(&places, Duration::from_secs(600));
        let all = (1 << 20) + (1 << 16);
        assert!((all..all + (1 << 16)).contains(&taken.bytes), "{taken:?}");
        let why = taken.too_much(1 << 20).unwrap();
        assert!(why.contains("SAMOCODE_DISK_MAX allows 1 MiB"), "{why}");
        let first = why.split("The largest: ").nth(1).unwrap();
        let of_one = ["big", "again"].map(|name| root.path().join(name).display().to_string());
        assert!(of_one.iter().any(|path| first.starts_with(path)), "{why}");
        assert!(!why.contains("/other"), "{why}");
        assert_eq!(taken.too_much(1 << 24), None);
    }

    #[test]
    fn a_run_that_takes_more_than_it_may_is_found() {
        let (_root, places) = place();
        let mut room = Room { most: Some(1 << 20), ..room(places) };
        let end = Instant::now() + Duration::from_secs(600);
        let short = loop {
            assert!(Instant::now() < end, "it is never found");
            if let Some(short) = room.look(Instant::now(), None) {
                break short;
            }
            std::thread::yield_now();
        };
        assert!(matches!(&short, Short::Own(taken) if taken.bytes > 1 << 20), "{short:?}");
        assert!(room.why(&short).contains("but SAMOCODE_DISK_MAX allows"), "{}", room.why(&short));
    }

    #[test]
    fn a_disk_with_too_little_room_is_found_and_what_is_large_is_named() {
        let (root, places) = place();
        let least = vec![(root.path().to_owned(), super::least(u64::MAX, u64::MAX))];
        let mut room = Room { least, floor: u64::MAX, ..room(places) };
        let short = room.look(Instant::now(), None).unwrap();
        assert!(matches!(&short, Short::Disk(place, _) if place == root.path()), "{short:?}");
        let why = room.why(&short);
        assert!(why.contains("SAMOCODE_DISK_FLOOR") && why.contains("(1 MiB)"), "{why}");
        // Half of the floor is left, or half of what a small disk had.
        assert_eq!((super::least(1000, 5000), super::least(1000, 400)), (500, 200));
        room.least = vec![(root.path().to_owned(), super::least(0, u64::MAX))];
        assert_eq!(room.look(Instant::now(), None), None);
    }

    #[test]
    fn processes_that_are_refused_for_a_moment_are_no_fork_bomb() {
        let mut room = room(Places::default());
        assert!(!room.is_refused(None));
        // 7 were refused before the run. Then a build reaches the limit now and then.
        for so_far in [7, 9, 12, 12, 13, 14, 14] {
            assert!(!room.is_refused(Some(so_far)), "{so_far}");
        }
        let bomb: Vec<bool> = [20, 900, 4000].map(|so_far| room.is_refused(Some(so_far))).into();
        assert_eq!(bomb, [false, false, true]);
        assert!(room.why(&Short::Processes).contains("SAMOCODE_TASKS_MAX=4096"));
    }
}
