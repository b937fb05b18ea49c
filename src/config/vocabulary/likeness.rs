//! Which key a mistyped one was meant to be.

use super::Vocabulary;

impl Vocabulary {
    /// The known key most similar to a mistyped one, if any comes close.
    #[must_use]
    pub fn nearest(&self, typed: &str) -> Option<String> {
        let upper = typed.to_ascii_uppercase();
        let likeness = |name: &str| {
            let bare = name.strip_prefix("SAMOCODE_").unwrap_or(name);
            strsim::jaro_winkler(&upper, name).max(strsim::jaro_winkler(&upper, bare))
        };
        let scored = self.names().map(|name| (likeness(&name), name));
        scored
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(score, _)| *score > 0.87)
            .map(|(_, name)| name)
    }

    /// The known key that this is, but for a letter or two.
    #[must_use]
    pub fn misspelt(&self, typed: &str) -> Option<String> {
        const MOST: usize = 2;
        let upper = typed.to_ascii_uppercase();
        let scored = self.names().map(|name| (strsim::damerau_levenshtein(&upper, &name), name));
        scored.filter(|(far, _)| *far <= MOST).min().map(|(_, name)| name)
    }
}
