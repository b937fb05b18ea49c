use super::*;
use proptest::prelude::*;
use std::io::{Read, Seek};

/// Notes what it is given.
#[derive(Default)]
struct Notes(Vec<(usize, Vec<u8>)>);

impl Decoder for Notes {
    fn line(&mut self, line: &[u8], _emit: &mut dyn FnMut(Event)) {
        self.0.push((line.len(), line.to_vec()));
    }
    fn oversized(&mut self, head: &[u8], tail: &[u8], _emit: &mut dyn FnMut(Event)) {
        self.0.push((usize::MAX, [head, b"...", tail].concat()));
    }
}

fn split(chunks: &[&[u8]]) -> Vec<(usize, Vec<u8>)> {
    let (mut notes, mut lines) = (Notes::default(), Lines::default());
    for chunk in chunks {
        lines.feed(chunk, &mut notes, &mut |_| ());
    }
    lines.finish(&mut notes, &mut |_| ());
    notes.0
}

#[test]
fn lines_are_split_and_a_torn_last_one_is_handed_over() {
    let lines: Vec<_> = split(&[b"a\r\n\nbc", b"d\nto", b"rn"]).into_iter().map(|l| l.1).collect();
    assert_eq!(lines, [b"a".to_vec(), b"bcd".to_vec(), b"torn".to_vec()]);
}

#[test]
fn of_a_line_too_long_both_ends_are_handed_over_however_it_is_cut() {
    let mut whole: Vec<u8> = (0..MAX_LINE + 12_345).map(|at| b'a' + (at % 23) as u8).collect();
    let expected = [&whole[..HEAD], b"...", &whole[whole.len() - TAIL..]].concat();
    whole.extend_from_slice(b"\nnext\n");
    for size in [1000, 4096, CHUNK, whole.len()] {
        let chunks: Vec<_> = whole.chunks(size).collect();
        let found = split(&chunks);
        assert_eq!(found.len(), 2, "chunks of {size}");
        assert!(found[0] == (usize::MAX, expected.clone()), "chunks of {size}");
        assert_eq!(found[1].1, b"next");
    }
}

#[test]
fn a_line_of_100_mb_through_a_pipe_takes_no_memory_and_is_logged_whole() {
    const LENGTH: u64 = 100_000_000;
    let (reader, mut writer) = io::pipe().unwrap();
    let generator = std::thread::spawn(move || {
        io::copy(&mut io::repeat(b'x').take(LENGTH), &mut writer).unwrap();
        writer.write_all(b"\nlast\n").unwrap();
    });
    let mut log = Log::new(tempfile::tempfile().unwrap());
    let (mut notes, mut lines) = (Notes::default(), Lines::default());
    let (mut chunk, mut most, mut reader) = (vec![0; CHUNK], 0, reader);
    loop {
        let count = reader.read(&mut chunk).unwrap();
        if count == 0 {
            break;
        }
        log.write(&chunk[..count]);
        lines.feed(&chunk[..count], &mut notes, &mut |_| ());
        most = most.max(lines.capacity());
    }
    generator.join().unwrap();
    assert!(most <= 2 * MAX_LINE + HEAD, "{most} bytes were held");
    assert!(lines.capacity() <= CHUNK + HEAD, "{} bytes are still held", lines.capacity());
    assert_eq!(log.written, LENGTH + 6);
    assert_eq!(notes.0.len(), 2);
    assert_eq!(notes.0[1].1, b"last");
}

#[test]
fn a_log_that_cannot_be_written_ends_and_says_so_once() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        crate::skipped("there is no /dev/full");
        return;
    };
    let mut log = Log::new(full);
    let mut notes = Notes::default();
    pump(&b"a\nb\n"[..], &mut log, &mut notes, &mut |_| ()).unwrap();
    assert_eq!(notes.0.len(), 2);
    assert_eq!(log.written, 0);
    assert_eq!(log.error.unwrap().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_log_ends_where_it_is_full_and_says_so_while_the_output_is_read_on() {
    let file = tempfile::tempfile().unwrap();
    let mut log = Log::new(file.try_clone().unwrap()).with_room(4);
    let mut notes = Notes::default();
    pump(&b"ab\ncd\nef\n"[..], &mut log, &mut notes, &mut |_| ()).unwrap();
    log.write(b"gh");
    assert_eq!((notes.0.len(), log.written), (3, 4));
    assert_eq!(log.error.unwrap().to_string(), "the agent printed more than 4 bytes");
    let (mut file, mut found) = (file, Vec::new());
    file.rewind().unwrap();
    file.read_to_end(&mut found).unwrap();
    assert_eq!(found, b"ab\nc");
    let mut exact = Log::new(tempfile::tempfile().unwrap()).with_room(4);
    exact.write(b"abcd");
    assert!(exact.error.is_none());
}

#[test]
fn the_log_has_every_byte() {
    let bytes = b"a\r\n\0\xff{\n\n torn";
    let file = tempfile::tempfile().unwrap();
    let mut log = Log::new(file.try_clone().unwrap());
    pump(&bytes[..], &mut log, &mut Notes::default(), &mut |_| ()).unwrap();
    let (mut file, mut found) = (file, Vec::new());
    file.rewind().unwrap();
    file.read_to_end(&mut found).unwrap();
    assert_eq!(found, bytes);
}

proptest! {
    #[test]
    fn chunk_boundaries_anywhere_give_the_same_lines(
        text in "[ab\\r\\n]{0,60}",
        cuts in proptest::collection::vec(0usize..60, 0..6),
    ) {
        let bytes = text.as_bytes();
        let mut at: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<_> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(split(&chunks), split(&[bytes]));
    }

    #[test]
    fn a_tail_is_the_end_of_what_came(parts in proptest::collection::vec(0usize..5000, 0..6)) {
        let mut tail = Tail::default();
        let mut all = Vec::new();
        for (at, length) in parts.into_iter().enumerate() {
            let part = vec![b'a' + at as u8; length];
            tail.feed(&part);
            all.extend(part);
        }
        let end = &all[all.len().saturating_sub(Tail::KEPT)..];
        let kept = tail.text();
        prop_assert_eq!(kept.as_bytes(), end);
    }
}
