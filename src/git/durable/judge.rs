//! Decides whether a file that differs from git's index was damaged by a power cut, or edited.
//!
//! After a power cut a file system holds each piece of the file as it was at some earlier moment,
//! with NUL bytes where no data had reached the disk, and often with the latest size and times.

/// The smallest unit a disk writes, in bytes.
const SECTOR: usize = 512;

/// How a file's times compare with those in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// Unchanged since it was staged, so it must have the staged content.
    AsStaged,
    /// Changed later, or the index cannot tell.
    Newer,
}

/// The condition a file is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has the staged content.
    Whole,
    /// It lost data. Either git has everything that would be lost with it, or it is no longer text.
    Damaged,
    /// It was edited since, and only the edit lost data: without its NUL bytes it begins with the
    /// whole staged content. Carries what remains.
    Holed(Vec<u8>),
    /// It has content that git may not have.
    Edited,
}

/// Compares the file's bytes with the staged ones. If the result is [`Verdict::Edited`],
/// [`says_nothing_new`] may know better.
pub(super) fn judge(there: &[u8], staged: &[u8], age: Age) -> Verdict {
    if there == staged {
        return Verdict::Whole;
    }
    if age == Age::AsStaged || there.is_empty() {
        return Verdict::Damaged;
    }
    if has_hole(there, staged) {
        let rest: Vec<u8> = there.iter().copied().filter(|byte| *byte != 0).collect();
        let is_more = rest.len() > staged.len() && rest.starts_with(staged);
        return if is_more { Verdict::Holed(rest) } else { Verdict::Damaged };
    }
    if there.contains(&0) && says_nothing_new(there, &[staged]) {
        return Verdict::Damaged;
    }
    Verdict::Edited
}

/// Whether every sector of a file comes from a version known to git at that place, or is NUL bytes.
/// A file system leaves pieces of older versions; an edit adds something new.
pub(super) fn says_nothing_new(there: &[u8], versions: &[&[u8]]) -> bool {
    there.chunks(SECTOR).enumerate().all(|(number, sector)| {
        versions.iter().any(|version| {
            let same = version.get(number * SECTOR..).unwrap_or_default();
            let known = same.iter().copied().chain(std::iter::repeat(0));
            sector.iter().zip(known).all(|(byte, known)| *byte == 0 || *byte == known)
        })
    })
}

/// Whether a text has NUL bytes that were not staged.
fn has_hole(there: &[u8], staged: &[u8]) -> bool {
    there.contains(&0)
        && !staged.contains(&0)
        && std::str::from_utf8(staged).is_ok()
        && std::str::from_utf8(there).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_index_has_is_whole_at_any_age() {
        for age in [Age::AsStaged, Age::Newer] {
            assert_eq!(judge(b"one\n", b"one\n", age), Verdict::Whole);
            assert_eq!(judge(b"", b"", age), Verdict::Whole);
        }
    }

    #[test]
    fn a_file_that_was_not_changed_since_is_damaged_whatever_it_has() {
        assert_eq!(judge(b"old\n", b"new\n", Age::AsStaged), Verdict::Damaged);
        assert_eq!(judge(b"one\n", b"one\ntwo\n", Age::AsStaged), Verdict::Damaged);
    }

    #[test]
    fn of_later_ones_those_without_data_or_with_holes_are_damaged() {
        let staged = b"one\ntwo\n";
        assert_eq!(judge(b"", staged, Age::Newer), Verdict::Damaged);
        assert_eq!(judge(b"one\n\0\0\0\0", staged, Age::Newer), Verdict::Damaged);
        assert_eq!(judge(b"one\n\0\0\0\0\0\0", staged, Age::Newer), Verdict::Damaged);
        assert_eq!(judge(b"ONE\n\0\0\0\0", staged, Age::Newer), Verdict::Damaged);
        let added = Verdict::Holed(b"one\ntwo\nthree\n".to_vec());
        assert_eq!(judge(b"one\ntwo\nthree\n\0\0\0", staged, Age::Newer), added);
        assert_eq!(judge(b"one\ntwo\nthree\n\0\0\0", staged, Age::AsStaged), Verdict::Damaged);
        assert_eq!(judge(b"ONE\n", staged, Age::Newer), Verdict::Edited);
        assert_eq!(judge(b"one\n", staged, Age::Newer), Verdict::Edited, "its end was deleted");
    }

    #[test]
    fn of_later_ones_that_are_no_text_only_holes_in_what_was_staged_tell() {
        let staged = [1, 0, 0xff, 4];
        assert_eq!(judge(&[1, 0, 0, 0], &staged, Age::Newer), Verdict::Damaged);
        assert_eq!(judge(&[1, 0, 0xfe, 4], &staged, Age::Newer), Verdict::Edited);
        assert_eq!(judge(&[0, 0xff], b"text", Age::Newer), Verdict::Edited, "made a binary");
    }

    #[test]
    fn a_mixture_of_versions_says_nothing_new_and_one_byte_of_its_own_does() {
        let versions = [[b'a'; 2000], [b'b'; 2000], [b'c'; 2000]];
        let known = [&versions[0][..], &versions[1], &versions[2]];
        let mut mixed = versions[0].to_vec();
        mixed[512..1024].fill(b'b');
        mixed[1024..1536].fill(0);
        assert!(says_nothing_new(&mixed, &known));
        mixed[600] = b'c';
        assert!(!says_nothing_new(&mixed, &known));
        assert!(says_nothing_new(b"aaa", &known), "a part of one");
        assert!(!says_nothing_new(&[b'a'; 2001], &known), "more than one has");
    }

    proptest! {
        #[test]
        fn what_a_disk_leaves_of_an_append_is_never_taken_for_an_edit(
            line in "[a-z]{1,40}\n", lines in 1_usize..60, kept in 0_usize..2400,
        ) {
            let staged = line.repeat(lines).into_bytes();
            let mut there = staged.clone();
            let kept = kept % there.len();
            there[kept..].fill(0);
            prop_assert_eq!(judge(&there, &staged, Age::Newer), Verdict::Damaged);
        }

        #[test]
        fn a_new_line_is_never_taken_for_damage(
            line in "[a-z]{1,40}\n", lines in 1_usize..60, added in "[A-Z]{1,40}\n",
        ) {
            let staged = line.repeat(lines).into_bytes();
            let there = [staged.clone(), added.into_bytes()].concat();
            prop_assert_eq!(judge(&there, &staged, Age::Newer), Verdict::Edited);
            prop_assert!(!says_nothing_new(&there, &[&staged]));
        }
    }
}
