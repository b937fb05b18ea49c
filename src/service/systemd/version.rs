//! The version of a systemd manager, as it reports it.

/// The major number in `252.39-1~deb12u2`, `v252` or `257`.
pub(super) fn number(text: &str) -> Option<u32> {
    let digits = text.trim_start_matches('v');
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_leading_number() {
        assert_eq!(number("252.39-1~deb12u2"), Some(252));
        assert_eq!(number("v239"), Some(239));
        assert_eq!(number("257"), Some(257));
        assert_eq!(number("unknown"), None);
    }
}
