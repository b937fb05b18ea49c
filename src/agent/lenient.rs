//! JSON of agents read for what can be read: a line may have other text in it, or two objects, and a
//! field of an unexpected type counts as absent.

use serde_json::Value;

use super::mend::mended;
use super::salvage;
use crate::session::surrogates::without_halves;

/// The objects in a line; none if it holds nothing that could be one.
pub(super) fn objects(line: &[u8]) -> Vec<Value> {
    match serde_json::from_slice::<Value>(line) {
        Ok(told) if told.is_object() => return vec![told],
        Ok(Value::Array(all)) => return all.into_iter().filter(Value::is_object).collect(),
        _ if !line.contains(&b'{') => return Vec::new(),
        _ => {}
    }
    let text = String::from_utf8_lossy(line);
    let text = without_halves(&mended(&text));
    let found = salvage::objects(&text).objects;
    let objects = found.iter().filter_map(|object| serde_json::from_str(object).ok());
    objects.filter(Value::is_object).collect()
}

/// A number, written as an integer, a float or a string.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().trim_start_matches('$').parse().ok(),
        other => other.as_f64(),
    };
    number.filter(|number: &f64| number.is_finite())
}

/// A count. One that is too large becomes the largest possible.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to integer cast saturates"
)]
pub(super) fn count(value: &Value) -> Option<u64> {
    let exact = value.as_u64();
    exact.or_else(|| number(value).filter(|number| *number >= 0.0).map(|number| number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_found_among_other_text_and_numbers_in_every_form() {
        for line in [
            r#"{"a":1}"#,
            r#"hook: done {"a":1}"#,
            "\u{feff}{\"a\":1}",
            "\u{1b}[0m{\"a\":1}\u{1b}[K",
            "\0\0{\"a\":1}",
            r#"[{"a":1}]"#,
        ] {
            assert_eq!(objects(line.as_bytes()), [json!({"a": 1})], "{line:?}");
        }
        assert_eq!(objects(br#"{"a":1}{"b":2}"#), [json!({"a": 1}), json!({"b": 2})]);
        assert_eq!(objects(br#"{"a":"cut \ud83d"}"#), [json!({"a": "cut \u{fffd}"})]);
        assert_eq!(objects(b"{\"a\":\"\xff\"}"), [json!({"a": "\u{fffd}"})]);
        assert_eq!(objects(b"{\"a\":NaN,\"b\":\"\x01\"}"), [json!({"a": null, "b": "\u{1}"})]);
        assert!(objects(b"compiling {").is_empty() && objects(b"7").is_empty());
        for three in [json!(3), json!(3.0), json!("3"), json!(" 3.2 "), json!("$3.20")] {
            assert_eq!(count(&three), Some(3), "{three}");
        }
        for none in [json!(null), json!([3]), json!("three"), json!(-1), json!("NaN")] {
            assert_eq!(count(&none), None, "{none}");
        }
        assert_eq!(count(&json!(u64::MAX)), Some(u64::MAX));
    }
}
