use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;
use tempfile::TempDir;

use super::super::folder::{INBOX, LOGS, MAIL};
use super::super::{self as store, Journal, faults, read_journal};
use super::*;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::mail::{Kind, Message};
use crate::session::state::StateName;

const NAME: &str = "26-11-20-jwt";

fn message(body: &str) -> Message {
    Message::new("human", "jwt", Timestamp::UNIX_EPOCH, Kind::Text, body).unwrap()
}

/// A session with something in each of its files.
fn session() -> (TempDir, Folder) {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().join(NAME));
    fs::create_dir(folder.path()).unwrap();
    let lock = taken(&folder);
    let mut journal = Journal::open(&folder, &lock).unwrap();
    let (name, task) = ("jwt".to_owned(), "a task".to_owned());
    journal
        .append(Event::Created(event::Created { name, task, dive: None, parent: None }))
        .unwrap();
    folder.make_subfolders().unwrap();
    for body in ["read", "unread"] {
        folder.deliver(&message(body)).unwrap();
    }
    let (file, read) = folder.unread().unwrap().messages.remove(0);
    folder.put_away(&file, &read.file_name()).unwrap();
    store::append(&folder.history(), b"{\"phase\":\"init\"}\n").unwrap();
    io::Write::write_all(&mut folder.open_log("a.jsonl").unwrap(), b"a line\n").unwrap();
    folder.mark_unready().unwrap();
    fs::create_dir_all(folder.damaged().join("11-20/src")).unwrap();
    fs::write(folder.damaged().join("11-20/src/a.rs"), "half").unwrap();
    fs::write(folder.overview(), "# Session: jwt\n").unwrap();
    fs::write(folder.path().join("11-20-18:04-plan-jwt.md"), "plan").unwrap();
    (root, folder)
}

/// Does something again until no other test's child that has not yet called exec has the lock.
fn unheld<T>(mut act: impl FnMut() -> Result<T, LockError>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        match act() {
            Err(LockError::Held(_)) if std::time::Instant::now() < deadline => {
                std::thread::yield_now();
            }
            done => return done.unwrap(),
        }
    }
}

fn taken(folder: &Folder) -> Lock {
    unheld(|| Lock::take(folder))
}

/// State, task, history, and whether the worktree is marked.
type Known = (StateName, String, Vec<u8>, bool);

/// What a session knows at any moment of a move: without mail and logs, which are moved one by one.
fn known(folder: &Folder) -> Known {
    let (state, damage) = read_journal(folder, |_| {}).unwrap();
    assert_eq!(damage, None);
    let history = store::read(&folder.history()).unwrap().unwrap_or_default();
    (state.name(), state.task, history, folder.is_unready())
}

/// Everything a session knows.
fn all(folder: &Folder) -> (Known, Vec<String>, BTreeMap<String, Vec<u8>>) {
    let bodies = folder.read_mail().unwrap().into_iter();
    let bodies = bodies.chain(folder.unread().unwrap().messages.into_iter().map(|(_, it)| it));
    let files = [folder.logs().join("a.jsonl"), folder.damaged().join("11-20/src/a.rs")];
    let files = files.iter().map(|path| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
    });
    (known(folder), bodies.map(|message| message.body).collect(), files.collect())
}

/// Dies at each crash point in turn; after each death nothing is lost, and the next process gets it
/// done.
fn at_each_crash_point(
    prepare: impl Fn(&Folder),
    step: fn(&Folder, Lock) -> Result<Lock, LockError>,
) {
    let mut points = 0;
    for at in 1.. {
        let (_root, folder) = session();
        prepare(&folder);
        let (before, everything) = (known(&folder), all(&folder));
        let lock = taken(&folder);
        faults::set(Some(at), None);
        let done = catch_unwind(AssertUnwindSafe(|| step(&folder, lock).map(drop)));
        faults::set(None, None);
        let has_died = done.is_err();
        if let Ok(done) = done {
            done.unwrap();
        }
        // Anyone who looks finds it, without the lock.
        let folder = Folder::new(folder.path());
        assert_eq!(known(&folder), before, "after the death at {at}");
        let lock = taken(&folder);
        let lock = step(&folder, lock).unwrap();
        assert_eq!(all(&folder), everything, "after the death at {at}");
        // It can be written.
        let mut journal = Journal::open(&folder, &lock).unwrap();
        journal.append(Event::Stopped(event::Stopped {})).unwrap();
        assert!(Lock::take(&folder).is_err(), "the lock is that of the place");
        assert_eq!(folder.unfit(), [], "after the death at {at}");
        assert!(fs::read_to_string(folder.overview()).unwrap().contains("jwt"));
        if !has_died {
            break;
        }
        points = at;
    }
    assert!(points > 20, "{points}");
}

fn apart(folder: &Folder) {
    let lock = taken(folder);
    folder.set_apart(lock).unwrap();
}

#[test]
fn a_record_is_set_apart_whole_wherever_that_is_cut_off() {
    at_each_crash_point(|_| {}, Folder::set_apart);
}

#[test]
fn a_record_is_put_together_whole_wherever_that_is_cut_off() {
    at_each_crash_point(apart, Folder::put_together);
}

#[test]
fn whatever_was_cut_off_on_the_way_back_the_next_start_sets_it_apart_again() {
    for at in (1..).step_by(3) {
        let (_root, folder) = session();
        apart(&folder);
        let everything = all(&folder);
        let lock = taken(&folder);
        faults::set(Some(at), None);
        let done = catch_unwind(AssertUnwindSafe(|| folder.put_together(lock).map(drop)));
        faults::set(None, None);
        apart(&folder);
        assert_eq!(all(&folder), everything, "after the death at {at}");
        assert!(folder.record().is_some() && folder.unfit().is_empty());
        if done.is_ok() {
            break;
        }
    }
}

#[test]
fn people_and_other_programs_find_the_record_where_it_used_to_be() {
    let (root, folder) = session();
    apart(&folder);
    let record = root.path().join(".samocode").join(NAME);
    assert_eq!(folder.record(), Some(record.clone()));
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    for own in [folder.journal(), folder.history(), folder.logs().join("a.jsonl")] {
        let below = own.strip_prefix(&record).unwrap();
        let there = folder.path().join(below);
        assert_eq!(fs::read(&there).unwrap(), fs::read(&own).unwrap(), "{}", there.display());
    }
    assert_eq!(names(&folder.path().join(MAIL)), names(&folder.mail()));
    // What the predecessor appends is in the history.
    let history =
        fs::File::options().append(true).open(folder.path().join("_signal_history.jsonl"));
    io::Write::write_all(&mut history.unwrap(), b"{}\n").unwrap();
    assert!(fs::read_to_string(folder.history()).unwrap().ends_with("{}\n"));
    // Nothing of it is a file in the agent's folder, nor taken for one the agent wrote.
    assert_eq!(folder.artifacts().unwrap().len(), 1);

    // In the archive it is in one folder again.
    let lock = taken(&folder);
    folder.put_together(lock).unwrap();
    assert_eq!(folder.record(), None);
    assert!(!folder.journal().is_symlink() && !folder.logs().is_symlink());
    assert_eq!(names(record.parent().unwrap()), Vec::<std::ffi::OsString>::new());
}

#[test]
fn what_an_agent_puts_in_a_links_place_is_set_aside_and_changes_nothing() {
    let (root, folder) = session();
    apart(&folder);
    let everything = all(&folder);
    let elsewhere = root.path().join("home");
    fs::create_dir(&elsewhere).unwrap();
    let own = |name: &str| folder.path().join(name);
    for name in [JOURNAL, LOCK, MAIL, LOGS] {
        fs::remove_file(own(name)).unwrap();
    }
    fs::write(own(JOURNAL), "forged").unwrap();
    symlink(&elsewhere, own(MAIL)).unwrap();
    fs::create_dir(own(LOGS)).unwrap();
    fs::write(own(LOGS).join("a.jsonl"), "forged").unwrap();
    // Marks that only count in the record.
    fs::write(own(MOVING), "").unwrap();
    fs::write(own("_stop"), "").unwrap();

    assert_eq!(all(&folder), everything);
    assert!(!folder.is_marked_stopped());
    folder.settle_record().unwrap();
    let found = folder.unfit();
    let what: Vec<_> = found.iter().map(|unfit| (&*unfit.file, &*unfit.what)).collect();
    let link = format!("a symbolic link to {}", elsewhere.display());
    assert_eq!(what, [(JOURNAL, "a file"), (MAIL, &*link), (LOGS, "a folder")]);
    found.iter().for_each(|unfit| folder.set_aside(unfit).unwrap());
    assert_eq!(folder.unfit(), []);
    assert!([JOURNAL, LOCK, MAIL, LOGS].iter().all(|name| own(name).is_symlink()));
    assert_eq!(all(&folder), everything);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn a_message_that_comes_while_the_record_moves_is_not_lost() {
    let (_root, folder) = session();
    apart(&folder);
    // As by a process that looked before.
    let record = folder.record().unwrap();
    fs::write(record.join(MOVING), "").unwrap();
    let inbox = folder.path().join(INBOX);
    fs::remove_file(&inbox).unwrap();
    fs::create_dir(&inbox).unwrap();
    let late = message("late");
    fs::write(inbox.join(late.file_name()), late.to_json().unwrap()).unwrap();
    folder.settle_record().unwrap();
    let bodies: Vec<_> =
        folder.unread().unwrap().messages.into_iter().map(|(_, it)| it.body).collect();
    assert!(bodies.contains(&"late".to_owned()), "{bodies:?}");
}

#[test]
fn a_lock_of_the_old_place_is_no_lock_once_the_record_has_moved() {
    let (_root, folder) = session();
    let stale = open(&folder.lock(), OFlags::RDWR).unwrap();
    apart(&folder);
    unheld(|| match stale.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Err(LockError::Held(String::new())),
        locked => {
            locked.unwrap();
            Ok(())
        }
    });
    assert_eq!(Lock::adopt(&folder, stale).map(drop), None);
    let lock = taken(&folder);
    assert!(matches!(Lock::take(&folder), Err(LockError::Held(_))));
    drop(lock);
}

#[test]
fn a_folder_that_was_renamed_without_its_record_says_where_that_belongs() {
    let (root, folder) = session();
    apart(&folder);
    let record = folder.record().unwrap();
    let renamed = Folder::new(root.path().join("26-11-21-login"));
    fs::rename(folder.path(), renamed.path()).unwrap();
    let belongs = root.path().join(".samocode/26-11-21-login");
    let command = format!("mv '{}' '{}'", record.display(), belongs.display());
    let error = renamed.find().unwrap_err().to_string();
    assert!(error.ends_with(&command), "{error}");
    let error = read_journal(&renamed, |_| {}).map(drop).unwrap_err().to_string();
    assert!(error.ends_with(&command), "{error}");
    assert!(Lock::take(&renamed).unwrap_err().to_string().ends_with(&command));
    assert!(renamed.deliver(&message("x")).unwrap_err().to_string().ends_with(&command));
    fs::rename(&record, &belongs).unwrap();
    renamed.find().unwrap();
    let lock = taken(&renamed);
    let lock = renamed.set_apart(lock).unwrap();
    Journal::open(&renamed, &lock).unwrap();
    assert_eq!(renamed.unfit(), [], "its links are new ones");
    assert!(renamed.path().join(MAIL).is_dir());
}

#[test]
fn a_new_session_does_not_get_the_record_of_one_whose_folder_was_removed() {
    let (_root, folder) = session();
    assert_eq!(folder.set_lost_record_aside().unwrap(), None);
    apart(&folder);
    assert_eq!(folder.set_lost_record_aside().unwrap(), None);
    fs::remove_dir_all(folder.path()).unwrap();
    let lock = taken(&folder);
    assert!(folder.set_lost_record_aside().is_err(), "a worker has it");
    drop(lock);
    let kept = unheld(|| folder.set_lost_record_aside()).unwrap();
    assert!(kept.join(JOURNAL).exists());
    assert_eq!(folder.record(), None);
}
