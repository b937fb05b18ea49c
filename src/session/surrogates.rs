//! Half surrogate pairs in JSON. JavaScript writes them where it cuts a pair in two, and `serde_json`
//! refuses them.

/// The JSON with every half surrogate pair replaced by U+FFFD.
#[must_use]
pub fn without_halves(json: &str) -> String {
    let mut whole = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        whole.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match escaped(rest) {
            Some(0xd800..0xdc00)
                if matches!(rest.get(6..).and_then(escaped), Some(0xdc00..0xe000)) =>
            {
                12
            }
            Some(0xd800..0xe000) => {
                whole.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            Some(_) => 6,
            None => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        whole.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    whole + rest
}

/// The code unit of the `\uXXXX` at the start of a text.
fn escaped(json: &str) -> Option<u32> {
    let digits = json.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pairs_and_other_escapes_stay() {
        for (json, expected) in [
            (r#""\ud83d\ude00 \\ud83d""#, r#""\ud83d\ude00 \\ud83d""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\u00e9\"é\ud83d\n""#, r#""\u00e9\"é\ufffd\n""#),
        ] {
            assert_eq!(without_halves(json), expected);
        }
    }
}
