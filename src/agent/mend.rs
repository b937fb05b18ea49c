//! JSON that other languages write and `serde_json` refuses: control characters that are not escaped,
//! and words such as `NaN`, `undefined` and `True` for values.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The words that are no JSON, with what stands for them.
const WORDS: [(&str, &str); 7] = [
    ("-Infinity", "null"),
    ("Infinity", "null"),
    ("NaN", "null"),
    ("undefined", "null"),
    ("None", "null"),
    ("True", "true"),
    ("False", "false"),
];

/// The text with all of these replaced; the same if there are none.
pub(super) fn mended(json: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut kept, mut at) = (0, 0);
    let (mut in_string, bytes) = (false, json.as_bytes());
    while let Some(byte) = bytes.get(at) {
        let (length, instead): (usize, Cow<'_, str>) = match *byte {
            b'"' => {
                in_string = !in_string;
                (1, "".into())
            }
            b'\\' if in_string => (2, "".into()),
            0..0x20 if in_string => {
                let mut escaped = String::new();
                let _ = write!(escaped, "\\u{byte:04x}");
                (1, escaped.into())
            }
            b'-' | b'I' | b'N' | b'u' | b'T' | b'F' if !in_string => {
                let found = WORDS.iter().find(|(word, _)| bytes[at..].starts_with(word.as_bytes()));
                found.map_or((1, "".into()), |(word, value)| (word.len(), (*value).into()))
            }
            _ => (1, "".into()),
        };
        if !instead.is_empty() {
            out.push_str(&json[kept..at]);
            out.push_str(&instead);
            kept = at + length;
        }
        at += length;
    }
    if kept == 0 { json.into() } else { (out + &json[kept..]).into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_other_languages_write_becomes_json() {
        for (json, expected) in [
            ("{\"a\":\"x\u{0}y\t\",\"b\":1}", r#"{"a":"x\u0000y\u0009","b":1}"#),
            (r#"{"a":NaN,"b":[-Infinity,True]}"#, r#"{"a":null,"b":[null,true]}"#),
            (r#"{"a":undefined,"b":None,"c":False}"#, r#"{"a":null,"b":null,"c":false}"#),
            (r#"{"a":"NaN \" True","b":-1}"#, r#"{"a":"NaN \" True","b":-1}"#),
            ("\"\\", "\"\\"),
        ] {
            assert_eq!(mended(json), expected);
        }
    }

    proptest! {
        #[test]
        fn json_stays_as_it_is(text in "\\PC{0,40}", number in any::<f32>()) {
            let json = serde_json::json!({"a": text, "b": [number, true, null]}).to_string();
            prop_assert_eq!(mended(&json), json.as_str());
        }

        #[test]
        fn any_text_is_mended_without_panic(text in "\\PC{0,20}[\"NaI\\\\\u{0}\u{1f}-]{0,20}\\PC{0,5}") {
            let _ = mended(&text);
        }
    }
}
