//! A value that must not be shown.

use std::fmt;

/// A secret: prints as `[hidden]`, and its value is had only by asking for it by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value into hiding. White space around it, as a file leaves it, is dropped.
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self(value.trim().to_owned())
    }

    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Takes every occurrence of the secret out of a text that somebody else wrote.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "[hidden]") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = Secret::new(" 12:abc\n");
        assert_eq!(secret.expose(), "12:abc");
        assert_eq!(format!("{:?}", Some(&secret)), "Some([hidden])");
        assert_eq!(secret.redact("x/bot12:abc/y"), "x/bot[hidden]/y");
        assert_eq!(Secret::new("").redact("abc"), "abc");
    }
}
