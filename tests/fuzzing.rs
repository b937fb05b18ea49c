//! The parsers, given changed seeds for some seconds: no bytes make them panic. `fuzz/run.sh` does
//! more, led by coverage, but takes minutes to build.

#[path = "../fuzz/properties.rs"]
mod properties;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::faults::Dice;

/// How long each parser is tried.
const LONG: Duration = Duration::from_secs(5);

/// The longest input.
const LONGEST: usize = 64 * 1024;

/// What parsers look for, or trip over.
const WORDS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"\"",
    b"\\",
    b"\\ud83d",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"1.8e302",
    b"18446744073709551615",
    b"-1",
    b"null",
    b"\"type\":\"result\"",
    b"{\"type\":\"rate_limit_event\"}",
    b"Phase: ",
    b"## Status",
    b"### Q1: ",
    b"**Q2: x**",
    b"**Answer:** _waiting_",
    b"KEY=",
    b"'",
];

fn seeds(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(&folder).expect("seeds").map(|file| file.expect("a file").path());
    let seeds: Vec<_> = files.map(|file| std::fs::read(file).expect("a seed")).collect();
    assert!(!seeds.is_empty(), "{}", folder.display());
    seeds
}

/// A place in a sequence, its end included.
fn place(dice: &mut Dice, length: usize) -> usize {
    usize::try_from(dice.below(length as u64 + 1)).expect("within it")
}

fn changed(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let of = |dice: &mut Dice| &seeds[place(dice, seeds.len() - 1)];
    let mut bytes = of(dice).clone();
    for _ in 0..=dice.below(6) {
        let (from, to) = (place(dice, bytes.len()), place(dice, bytes.len()));
        let (from, to) = (from.min(to), from.max(to));
        match dice.below(6) {
            0 => drop(bytes.drain(from..to)),
            1 => bytes.extend_from_within(from..to),
            2 => {
                let part = bytes[from..to].to_vec();
                bytes.splice(from..from, part);
            }
            3 => {
                let other = of(dice);
                let at = place(dice, other.len());
                bytes.splice(from..to, other[at..].iter().copied());
            }
            4 if from < bytes.len() => bytes[from] = dice.below(256).to_le_bytes()[0],
            _ => {
                let word = WORDS[place(dice, WORDS.len() - 1)];
                bytes.splice(from..from, word.iter().copied());
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

/// Tries a parser. What fails is printed, to become a test.
fn fuzz(seeds: &[Vec<u8>], holds: impl Fn(&[u8])) {
    let start = Instant::now();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_micros();
    let mut dice = Dice::new(seed as u64);
    let mut tried = 0_u32;
    while start.elapsed() < LONG {
        let bytes = changed(&mut dice, seeds);
        let result = catch_unwind(AssertUnwindSafe(|| holds(&bytes)));
        assert!(result.is_ok(), "a parser fails for b\"{}\"", bytes.escape_ascii());
        tried += 1;
    }
    assert!(tried > 100, "only {tried} in {LONG:?}");
}

#[test]
fn config() {
    fuzz(&seeds("fuzz/seeds/config"), properties::config);
}

#[test]
fn journal() {
    fuzz(&seeds("fuzz/seeds/journal"), properties::journal);
}

#[test]
fn mail() {
    fuzz(&seeds("fuzz/seeds/mail"), properties::mail);
}

#[test]
fn overview() {
    fuzz(&seeds("fuzz/seeds/overview"), properties::overview);
}

#[test]
fn questions() {
    fuzz(&seeds("fuzz/seeds/questions"), properties::questions);
}

#[test]
fn signal() {
    fuzz(&seeds("fuzz/seeds/signal"), properties::signal);
}

#[test]
fn stream() {
    let folders = ["claude", "codex", "gemini"].map(|agent| format!("tests/fixtures/{agent}"));
    let seeds: Vec<_> = folders.iter().flat_map(|folder| seeds(folder)).collect();
    fuzz(&seeds, properties::stream);
}

#[test]
fn units() {
    fuzz(&seeds("fuzz/seeds/units"), properties::units);
}

#[test]
fn notices() {
    fuzz(&seeds("fuzz/seeds/notices"), properties::notices);
}

#[test]
fn gate() {
    fuzz(&seeds("fuzz/seeds/gate"), properties::gate);
}
