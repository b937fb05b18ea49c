//! Finds the objects in a line that is not exactly one object: a hook printed text before it, two
//! have no line end between them, or one was written into the middle of another.

use serde::de::IgnoredAny;

use super::fields::Fields;

/// The beginnings of Claude Code's lines whose first key is their type.
const BEGINNINGS: [&str; 5] = [
    r#"{"type":"rate_limit_event""#,
    r#"{"type":"system""#,
    r#"{"type":"assistant""#,
    r#"{"type":"user""#,
    r#"{"type":"result""#,
];

/// What a result has in it, wherever its type is.
pub(super) const RESULT: &str = r#""type":"result""#;

/// The most objects inside others that are taken out of one line.
const MOST_INSIDE: usize = 8;

/// How many places before [`RESULT`] are tried as the beginning of its object.
const MOST_PLACES: usize = 256;

/// The content of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The complete objects, in order.
    pub(super) objects: Vec<String>,
    /// The remainder: an object that was cut in two. The next line may have its rest.
    pub(super) torn: String,
}

/// The objects of `line`, which may complete one that an earlier line left `torn`.
pub(super) fn joined(torn: &str, line: &str) -> Found {
    if torn.is_empty() {
        return objects(line);
    }
    let both = objects(&format!("{torn}{line}"));
    if both.torn.is_empty() {
        return both;
    }
    let alone = objects(line);
    if alone.torn.is_empty() { alone } else { both }
}

/// Splits a line into its objects.
pub(super) fn objects(line: &str) -> Found {
    let mut found = Found::default();
    let mut rest = line.to_owned();
    for _ in 0..MOST_INSIDE {
        let taken = whole_ones(&rest, &mut found.objects);
        rest.drain(..taken);
        let Some((at, length)) = inside(&rest) else { break };
        found.objects.push(rest[at..at + length].to_owned());
        rest.replace_range(at..at + length, "");
    }
    if !rest.trim().is_empty() {
        found.torn = rest;
    }
    found
}

/// Collects the objects at the start of a text, skipping other text between them. Returns where
/// the first incomplete one starts.
fn whole_ones(text: &str, objects: &mut Vec<String>) -> usize {
    let mut at = 0;
    while let Some(next) = text[at..].find('{') {
        let start = at + next;
        if is_cut_at_once(&text[start..]) {
            return start;
        }
        // A hook's text may have braces of its own.
        if !text[start + 1..].trim_start().starts_with('"') {
            at = start + 1;
            continue;
        }
        let Some(length) = length(&text[start..]) else { return start };
        at = start + length;
        objects.push(text[start..at].to_owned());
    }
    text.len()
}

/// Whether another object was written into one right after its first brace. The rest, which starts
/// with a quote, may be on the next line, as may all but the brace.
fn is_cut_at_once(text: &str) -> bool {
    let inner = &text[1..];
    if inner.is_empty() {
        return true;
    }
    let rest = length(inner).filter(|_| inner.starts_with("{\"")).map(|end| inner[end..].trim());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('"'))
}

/// The position and length of a complete object of a known type after the start of a text.
fn inside(text: &str) -> Option<(usize, usize)> {
    let starts = BEGINNINGS.iter().flat_map(|beginning| text.match_indices(beginning));
    let by_type = starts
        .map(|(at, _)| at)
        .filter(|at| *at > 0)
        .find_map(|at| Some((at, length(&text[at..])?)));
    by_type.or_else(|| result_inside(text))
}

/// A complete result after the start of a text. Its type may be its last key.
fn result_inside(text: &str) -> Option<(usize, usize)> {
    let marker = text.find(RESULT)?;
    let places = text[..marker].match_indices(r#"{""#).map(|(at, _)| at).filter(|at| *at > 0);
    let mut whole = places.take(MOST_PLACES).filter_map(|at| Some((at, length(&text[at..])?)));
    whole.find(|(at, length)| {
        at + length > marker
            && Fields::of(&text[*at..at + length])
                .is_some_and(|fields| fields.text("type").as_deref() == Some("result"))
    })
}

/// The length of the object at the start of a text.
fn length(text: &str) -> Option<usize> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    stream.next()?.ok()?;
    Some(stream.byte_offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"type":"rate_limit_event","x":{}}"#;

    #[test]
    fn objects_are_found_after_other_text_and_side_by_side() {
        let line = format!(r#"hook: {EVENT}{{"b":"}}{{"}}"#);
        assert_eq!(objects(&line).objects, [EVENT, r#"{"b":"}{"}"#]);
        let line = format!("hook {{ok}} says: {EVENT}");
        assert_eq!(objects(&line).objects, [EVENT]);
    }

    #[test]
    fn one_written_into_another_is_taken_out_of_it() {
        let whole = r#"{"type":"result","result":"é }"}"#;
        for at in (1..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            let mut line = whole.to_owned();
            line.insert_str(at, EVENT);
            let found = objects(&line);
            assert_eq!(found.objects, [EVENT, whole], "{line}");
            let (first, second) = whole.split_at(at);
            let found = objects(&format!("{first}{EVENT}"));
            assert_eq!(found.objects, [EVENT], "{first}");
            assert_eq!(format!("{}{second}", found.torn), whole);
        }
    }

    #[test]
    fn a_result_after_half_of_another_line_is_found_though_its_type_comes_last() {
        let result = r#"{"usage":{"a":1},"is_error":false,"type":"result","x":{}}"#;
        let line = format!(r#"{{"type":"assistant","message":{{"content":"hal{result}"#);
        assert_eq!(objects(&line).objects, [result]);
    }
}
