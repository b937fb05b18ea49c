//! Hides secrets in a stream of bytes that comes in pieces: an agent may print its own key.

use std::fmt;

use memchr::memmem;
use zeroize::Zeroizing;

use super::Secret;
use crate::platform::shell::Filter;

/// Replaces known secrets, also those that are cut in two. What may be the beginning of one is held
/// back until the next piece; a secret has no line ending, so whole lines are never held.
#[derive(Clone, Default)]
pub struct Veil {
    secrets: Vec<(Secret, String)>,
    held: Zeroizing<Vec<u8>>,
}

impl Veil {
    /// Hides these, each behind the text beside it.
    pub(super) fn new(secrets: Vec<(Secret, String)>) -> Self {
        Self { secrets, held: Zeroizing::new(Vec::new()) }
    }

    /// Whether there is nothing to hide.
    #[must_use]
    pub const fn is_clear(&self) -> bool {
        self.secrets.is_empty()
    }

    /// The filter for a command's output; `None` if there is nothing to hide.
    #[must_use]
    pub fn filter(self) -> Option<Box<dyn Filter>> {
        (!self.is_clear()).then(|| Box::new(self) as Box<dyn Filter>)
    }

    /// What may be seen of the stream, with this piece, so far.
    pub fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(piece);
        let mut seen = Vec::with_capacity(all.len());
        let mut rest = &all[..];
        while let Some((at, length, shown)) = self.first(rest) {
            seen.extend_from_slice(&rest[..at]);
            seen.extend_from_slice(shown.as_bytes());
            rest = &rest[at + length..];
        }
        let (sure, open) = rest.split_at(rest.len() - self.beginning(rest));
        seen.extend_from_slice(sure);
        self.held = Zeroizing::new(open.to_vec());
        seen
    }

    /// The end of the stream: what was held back was no secret.
    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.held)
    }

    /// The first secret in it, of several at one place the longest: where, its length, what is shown.
    fn first(&self, text: &[u8]) -> Option<(usize, usize, &str)> {
        let found = self.secrets.iter().filter_map(|(secret, shown)| {
            let secret = secret.expose().as_bytes();
            memmem::find(text, secret).map(|at| (at, secret.len(), shown.as_str()))
        });
        found.min_by_key(|(at, length, _)| (*at, std::cmp::Reverse(*length)))
    }

    /// How many bytes at its end may be the beginning of a secret.
    fn beginning(&self, text: &[u8]) -> usize {
        let of_one = |secret: &[u8]| {
            let most = text.len().min(secret.len().saturating_sub(1));
            (1..=most).rev().find(|length| text.ends_with(&secret[..*length])).unwrap_or(0)
        };
        let all = self.secrets.iter().map(|(secret, _)| of_one(secret.expose().as_bytes()));
        all.max().unwrap_or(0)
    }
}

impl Filter for Veil {
    fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        Self::pass(self, piece)
    }

    fn rest(&mut self) -> Vec<u8> {
        Self::rest(self)
    }
}

impl fmt::Debug for Veil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.secrets.iter().map(|(_, shown)| shown)).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Redactor;
    use super::*;

    fn veil() -> Veil {
        let mut redactor = Redactor::default();
        redactor.add("ANTHROPIC_API_KEY", "sk-ant-1234567");
        redactor.add("OPENAI_API_KEY", "sk-ant-12345678");
        redactor.add("HTTPS_PROXY", "http://me:pass-word@h:1");
        redactor.veil()
    }

    fn seen(pieces: &[&[u8]]) -> Vec<u8> {
        let mut veil = veil();
        let mut seen: Vec<u8> = pieces.iter().flat_map(|piece| veil.pass(piece)).collect();
        seen.extend(veil.rest());
        seen
    }

    #[test]
    fn secrets_are_replaced_however_they_are_cut() {
        let text = b"{\"key\":\"sk-ant-1234567\",\xff\"x\":\"sk-ant-12345678 http://me:pass-word@h\"}\nsk-ant";
        let clean = b"{\"key\":\"[ANTHROPIC_API_KEY]\",\xff\"x\":\"[OPENAI_API_KEY] http://[HTTPS_PROXY]@h\"}\nsk-ant";
        for cut in 0..=text.len() {
            let (head, tail) = text.split_at(cut);
            let seen = seen(&[head, tail]);
            let shown = String::from_utf8_lossy(&seen);
            // Cut where the shorter ends, only the longer one's last letter shows.
            assert!(!shown.contains("sk-ant-1") && !shown.contains("pass-word"), "{cut}: {shown}");
        }
        assert_eq!(seen(&[text]), clean);
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert!(!String::from_utf8_lossy(&seen(&single)).contains("sk-ant-1"));
    }

    #[test]
    fn a_line_is_seen_at_once_and_nothing_is_shown_by_debug() {
        let mut veil = veil();
        assert_eq!(veil.pass(b"a sk-\n"), b"a sk-\n");
        assert_eq!(veil.pass(b"b sk-"), b"b ");
        assert_eq!(veil.pass(b"x"), b"sk-x");
        assert!(!format!("{veil:?}").contains("sk-ant"), "{veil:?}");
    }

    proptest! {
        #[test]
        fn text_without_secrets_is_left_alone(
            pieces in proptest::collection::vec("[sk\\-ant12\n]{0,12}", 0..8),
        ) {
            let whole = pieces.concat();
            prop_assume!(!whole.contains("sk-ant-1234567"));
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            prop_assert_eq!(seen(&pieces), whole.into_bytes());
        }
    }
}
