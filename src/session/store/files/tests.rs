use super::*;

#[test]
fn counters_of_the_same_length_are_amended_in_place_and_all_else_replaces_the_file() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = crate::session::store::Folder::new(folder.path()).overview();
    fs::write(&path, "Iteration: 8\nTotal: 18\n").unwrap();
    let inode = || fs::metadata(&path).unwrap().ino();
    let (first, mut known) = (inode(), fs::read(&path).unwrap());
    let mut amend_to = |text: &str| {
        amend(&path, &known, text.as_bytes()).unwrap();
        known = fs::read(&path).unwrap();
        assert_eq!(known, text.as_bytes());
    };
    amend_to("Iteration: 9\nTotal: 19\n");
    assert_eq!(inode(), first);
    amend_to("Iteration: 10\nTotal: 20\n");
    assert_ne!(inode(), first, "longer");
    let second = inode();
    amend_to("Iteration: 10\nTotal: no\n");
    assert_ne!(inode(), second, "not a number");
}

#[test]
fn a_file_that_an_agent_blew_up_is_not_read_into_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = crate::session::store::Folder::new(folder.path()).overview();
    let file = fs::File::create(&path).unwrap();
    file.set_len(MOST_BYTES).unwrap();
    assert_eq!(read(&path).unwrap().map(|bytes| bytes.len() as u64), Some(MOST_BYTES));
    file.set_len(1 << 40).unwrap();
    let refused = read(&path).unwrap_err().to_string();
    let named = path.to_string_lossy().into_owned();
    assert!(refused.contains(&named) && refused.contains("shorten it"), "{refused}");
}

#[test]
fn a_fifo_in_a_files_place_is_an_error_and_waits_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    assert!(read(&path).unwrap_err().to_string().contains("not a regular file"));
    assert!(read_tail(&path, 10).unwrap_err().to_string().contains("not a regular file"));
}
