//! The text of a message, as the Bot API reads it.

use super::*;
use proptest::prelude::*;

/// Reads a message as the Bot API does: the plain text and the tags, or `None` if the API would
/// reject it ("can't parse entities").
fn parse(html: &str) -> Option<(String, Vec<String>)> {
    let (mut plain, mut tags, mut open) = (String::new(), Vec::new(), Vec::new());
    let mut rest = html;
    while let Some(c) = rest.chars().next() {
        match c {
            '<' => {
                let end = rest.find('>')?;
                let tag = &rest[1..end];
                match tag.strip_prefix('/') {
                    Some(name) => (open.pop()? == name).then_some(())?,
                    None => open.push(tag),
                }
                tags.push(tag.to_owned());
                rest = &rest[end + 1..];
            }
            '>' => return None,
            '&' => {
                let end = rest.find(';')?;
                plain.push(match &rest[1..end] {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    _ => return None,
                });
                rest = &rest[end + 1..];
            }
            c => {
                plain.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    open.is_empty().then_some((plain, tags))
}

#[test]
fn hostile_text_of_an_agent_stays_text() {
    let text =
        "</code><b>x</b> ]]> <a href=\"tg://x\">y</a> &lt; \u{202e}evil\u{2066} \0\u{1b}[31m";
    let (plain, tags) = parse(&compose(&notice(text))).unwrap();
    assert_eq!(tags, ["b", "/b", "code", "/code"]);
    assert!(
        plain.contains("</code><b>x</b> ]]> <a href=\"tg://x\">y</a> &lt; evil\n\n"),
        "{plain}"
    );
}

#[test]
fn ten_thousand_characters_are_cut_and_the_command_stays() {
    for text in ["word ".repeat(2000), "😀".repeat(10_000), "<&>".repeat(5000)] {
        let message = compose(&notice(&text));
        let units = message.encode_utf16().count();
        assert!((MAX_UNITS - 6..=MAX_UNITS).contains(&units), "{units}");
        let (plain, _) = parse(&message).unwrap();
        assert!(plain.ends_with("…\n\nsamocode answer jwt-login"), "{plain}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_message_is_well_formed_and_short_enough(
        texts in proptest::collection::vec("(\\PC|[<>&/;\u{202e}\n\r\0]|😀|<b>|&amp;){0,400}", 5)
    ) {
        let [session, project, text, detail, command] = &texts[..] else { unreachable!() };
        let message = compose(&Notice {
            session: session.clone(),
            project: project.clone(),
            text: text.clone(),
            detail: Some(detail.clone()),
            command: Some(command.clone()),
            ..notice("")
        });
        prop_assert!(message.encode_utf16().count() <= MAX_UNITS);
        let parsed = parse(&message);
        prop_assert!(parsed.is_some(), "{message}");
        let (plain, tags) = parsed.unwrap_or_default();
        prop_assert_eq!(tags, ["b", "/b", "code", "/code"]);
        let hidden = |c: char| c == '\u{202e}' || (c.is_control() && c != '\n');
        let clean = !plain.chars().any(hidden);
        prop_assert!(clean, "{plain:?}");
    }
}
