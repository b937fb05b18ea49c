//! UTF-16 with its mark, as some editors save text.

/// The text in bytes that begin with the mark of UTF-16; `None` without the mark, or if it is none.
#[must_use]
pub fn utf16(bytes: &[u8]) -> Option<String> {
    let (rest, unit): (_, fn([u8; 2]) -> u16) = match bytes {
        [0xff, 0xfe, rest @ ..] => (rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => (rest, u16::from_be_bytes),
        _ => return None,
    };
    let (pairs, []) = rest.as_chunks::<2>() else { return None };
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_of_bytes_are_read_and_nothing_else() {
        assert_eq!(utf16(b"\xff\xfeh\0i\0").as_deref(), Some("hi"));
        assert_eq!(utf16(b"\xfe\xff\0h\0i").as_deref(), Some("hi"));
        for other in [b"hi".as_slice(), b"", b"\xff\xfeh", b"\xff\xfe\0\xd8"] {
            assert_eq!(utf16(other), None);
        }
    }
}
