//! JSON objects read field by field: a field of an unexpected type is treated as absent and affects
//! no other. Numbers may be integers, floats or strings.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::session::surrogates::without_halves;

/// The fields of an object, not yet parsed. Of two with the same name the last one wins.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(Vec<(String, &'a RawValue)>);

/// A field's name, which may hold half a surrogate pair like any other text.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
                Ok(Key(String::from_utf8_lossy(name).into_owned()))
            }
        }
        deserializer.deserialize_bytes(Reader)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((Key(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'a> Fields<'a> {
    /// The fields of `json`, if it is an object.
    pub(super) fn of(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        text(self.get(key)?)
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        let raw = self.get(key)?.get();
        let bare = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw);
        // Gateways write costs as people do.
        let bare = bare.trim().trim_start_matches('$');
        bare.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A whole number that is not negative. One that is too large becomes the largest possible.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float to integer cast saturates"
    )]
    pub(super) fn whole(&self, key: &str) -> Option<u64> {
        self.number(key).filter(|number| *number >= 0.0).map(|number| number as u64)
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.get(key)?.get().trim_matches('"').parse().ok()
    }

    pub(super) fn object(&self, key: &str) -> Option<Self> {
        Self::of(self.get(key)?.get())
    }

    pub(super) fn list(&self, key: &str) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.get(key)?.get()).ok()
    }

    /// The names of all fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The objects among the values, with their keys.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, Self)> {
        self.0.iter().filter_map(|(key, value)| Some((key.as_str(), Self::of(value.get())?)))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = Self> {
        self.0.iter().filter_map(|(_, value)| Self::of(value.get()))
    }
}

/// The text of a JSON string. Half a surrogate pair, which JavaScript writes where it cuts a pair in
/// two, becomes `\u{fffd}`.
pub(super) fn text(value: &RawValue) -> Option<String> {
    let json = value.get();
    serde_json::from_str(json).ok().or_else(|| {
        json.starts_with('"').then(|| serde_json::from_str(&without_halves(json)).ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_field_is_absent_and_the_others_are_read() {
        let json = r#"{"a":3.0,"b":"0.5","c":[1],"d":"cut \ud83d","e":true,"a":4,"f":-1,"g":"true","h":"$0.25","\ud83d":1}"#;
        let fields = Fields::of(json).unwrap();
        assert_eq!((fields.whole("a"), fields.number("b")), (Some(4), Some(0.5)));
        assert_eq!(fields.number("h"), Some(0.25));
        assert_eq!((fields.number("c"), fields.whole("f")), (None, None));
        assert_eq!(fields.text("d").as_deref(), Some("cut \u{fffd}"));
        assert_eq!(
            (fields.flag("e"), fields.flag("g"), fields.flag("a")),
            (Some(true), Some(true), None)
        );
    }
}
