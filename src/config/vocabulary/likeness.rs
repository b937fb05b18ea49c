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
        // A worker asks this at its start, of variables that are no keys: most names are too long or
        // too short, and the others begin alike.
        let like = self.names().filter(|name| name.len().abs_diff(upper.len()) <= MOST);
        let scored = like.map(|name| (distance(&upper, &name), name));
        scored.filter(|(far, _)| *far <= MOST).min().map(|(_, name)| name)
    }
}

/// In how many letters two words differ. What both begin with makes no difference.
fn distance(one: &str, other: &str) -> usize {
    let alike = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    let alike = alike.map(|(letter, _)| letter.len_utf8()).sum::<usize>();
    strsim::damerau_levenshtein(&one[alike..], &other[alike..])
}
