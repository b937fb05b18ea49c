use super::*;

fn at(second: i64, priority: u32, instance: &str) -> String {
    turn(priority, Timestamp::from_second(second).unwrap(), instance)
}

const CONFIG: &str = "/p/.samocode";

fn two() -> Limit<'static> {
    Limit { config: Path::new(CONFIG), cap: 2 }
}

struct Room {
    folder: tempfile::TempDir,
    queue: Queue,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::of(folder.path());
        Self { queue, folder }
    }

    /// Asks for one of two slots.
    fn take(&self, turn: &str) -> Option<Slot> {
        self.queue.take(turn, two(), None).unwrap()
    }

    fn slots(&self) -> Vec<String> {
        let read = |name: &str| fs::read_to_string(self.folder.path().join("slots").join(name));
        ["1.lock", "2.lock"].map(|name| read(name).unwrap_or_default()).to_vec()
    }

    fn turns(&self) -> Vec<String> {
        turns(&self.queue.waiting()).unwrap()
    }

    /// Waits as a unit's session does; the folder has no hook.
    fn leave_word(&self, turn: &str) {
        let absent = Absent {
            folder: self.folder.path().join("session"),
            config: CONFIG.into(),
            spool: self.folder.path().join("wake"),
            system: false,
            cap: 2,
        };
        assert!(self.queue.take(turn, two(), Some(&absent)).unwrap().is_none());
    }
}

#[test]
fn so_many_get_a_slot_and_the_next_when_one_ends() {
    let room = Room::new();
    let first = room.take(&at(1, 5, "a"));
    let second = room.take(&at(1, 5, "b"));
    assert!(first.is_some() && second.is_some());
    assert_eq!(room.slots(), ["a", "b"]);
    assert!(room.take(&at(1, 5, "c")).is_none());
    drop(first);
    assert_eq!(room.slots(), ["", "b"]);
    assert!(room.take(&at(1, 5, "c")).is_some());
}

#[test]
fn the_limit_is_a_session_for_each_gibibyte_and_at_least_one() {
    assert_eq!(limit_by_memory(512 << 20), 1);
    assert_eq!(limit_by_memory(24 << 30), 24);
}

#[test]
fn priority_comes_before_age_and_age_before_the_name() {
    let mut turns =
        [at(30, 5, "a"), at(10, 5, "c"), at(10, 5, "b"), at(90, 9, "d"), at(1, 0, "e-f")];
    turns.sort_unstable();
    let names: Vec<&str> = turns.iter().map(|turn| instance_of(turn)).collect();
    assert_eq!(names, ["d", "b", "c", "a", "e-f"]);
}

#[test]
fn a_free_slot_is_for_the_first_of_those_who_wait_whoever_looks_first() {
    let room = Room::new();
    let wait = |turn: String| Waiting::begin(&room.queue, turn).unwrap();
    let take = |waiting: &Waiting| room.take(waiting.turn());
    let (late, first, second) =
        (wait(at(30, 5, "late")), wait(at(10, 5, "first")), wait(at(20, 5, "second")));
    assert!(take(&late).is_none(), "both slots are for others");
    let held = take(&second);
    assert!(held.is_some());
    drop(second);
    assert!(take(&late).is_none(), "the other slot is for the first");
    let other = take(&first);
    drop(first);
    assert!(other.is_some() && take(&late).is_none(), "none is free");
    // One that never waited has to, while someone does.
    drop(held);
    assert!(room.take(&at(40, 5, "new")).is_none());
    assert!(take(&late).is_some());
}

#[test]
fn a_worker_that_was_killed_takes_its_slot_back_before_those_who_wait() {
    let room = Room::new();
    let (killed, other) = (room.take(&at(50, 5, "killed")).unwrap(), room.take(&at(50, 5, "b")));
    let waiting = Waiting::begin(&room.queue, at(10, 5, "first")).unwrap();
    // As the kernel leaves it: unlocked, with its name.
    killed.kill();
    assert_eq!(room.slots(), ["killed", "b"]);
    let back = room.take(&at(60, 5, "killed"));
    assert!(back.is_some() && room.take(waiting.turn()).is_none());
    drop(other);
    assert!(room.take(waiting.turn()).is_some());
}

#[test]
fn the_slot_of_a_killed_worker_is_taken_last_and_of_a_failed_unit_like_any_other() {
    let room = Room::new();
    let (killed, other) = (room.take(&at(1, 5, "killed")).unwrap(), room.take(&at(1, 5, "b")));
    killed.kill();
    drop(other);
    let held = room.take(&at(2, 5, "c")).unwrap();
    assert_eq!(room.slots(), ["killed", "c"]);
    room.queue.leave("killed").unwrap();
    assert_eq!(room.slots(), ["", "c"]);
    drop(held);
}

#[test]
fn a_turn_counts_only_while_its_session_is_queued() {
    let room = Room::new();
    let (one, _other) = (room.take(&at(1, 5, "a")), room.take(&at(1, 5, "b")));
    room.leave_word(&at(10, 5, "gone"));
    assert_eq!(room.turns(), [at(10, 5, "gone")]);
    // Its priority has changed: it has one turn.
    room.leave_word(&at(10, 9, "gone"));
    assert_eq!(room.turns(), [at(10, 9, "gone")]);
    assert!(!room.queue.is_next("gone", two()).unwrap(), "no slot is free");
    drop(one);
    assert!(!room.queue.is_next("gone", two()).unwrap(), "its folder has no hook");
    assert!(room.turns().is_empty());
    assert!(room.take(&at(20, 5, "new")).is_some());
}

#[test]
fn a_turn_whose_process_was_killed_counts_no_more() {
    let room = Room::new();
    let (one, _other) = (room.take(&at(1, 5, "a")), room.take(&at(1, 5, "b")));
    fs::write(room.queue.waiting().join(at(5, 5, "gone")), "").unwrap();
    drop(one);
    assert!(room.take(&at(20, 5, "new")).is_some());
    assert!(room.turns().is_empty());
}

#[test]
fn a_slot_that_nobody_passed_on_is_found_by_the_next_who_looks_but_not_again_and_again() {
    let room = Room::new();
    let held = (room.take(&at(1, 5, "a")), room.take(&at(1, 5, "b")));
    room.leave_word(&at(2, 5, "c"));
    let hook = crate::session::hook::Hook {
        state: StateName::Queued,
        ..crate::session::hook::Hook::of(&crate::session::state::State::default())
    };
    let session = Folder::new(room.folder.path().join("session"));
    fs::create_dir_all(session.path()).unwrap();
    fs::write(session.hook(), serde_json::to_vec(&hook).unwrap()).unwrap();
    let looked = room.folder.path().join("slots/looked");
    // Killed before they could pass it on.
    held.0.unwrap().kill();
    held.1.unwrap().kill();
    room.queue.recover().unwrap();
    assert!(looked.exists());
    let at_first = fs::metadata(&looked).unwrap().modified().unwrap();
    // It was forgotten, for it has no unit; now it waits again.
    assert_eq!(room.turns(), Vec::<String>::new());
    fs::write(room.queue.waiting().join(at(2, 5, "c")), "{}").unwrap();
    room.queue.recover().unwrap();
    assert_eq!(room.turns().len(), 1, "not looked at that soon");
    assert_eq!(fs::metadata(&looked).unwrap().modified().unwrap(), at_first);

    // Nothing is looked at while nobody waits.
    let empty = Room::new();
    empty.queue.recover().unwrap();
    assert!(!empty.folder.path().join("slots").exists());
}
