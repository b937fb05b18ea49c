//! Discord's webhooks (<https://docs.discord.com/developers/resources/webhook#execute-webhook>).
//! `allowed_mentions` keeps any text from pinging; a backslash makes markdown plain.

use serde_json::{Value, json};

use super::text::{fit, tame_block, utf16_len};
use super::{Notice, letter};

/// The longest message.
const MAX_UNITS: usize = 2000;

/// The flag that shows no preview of links.
const SUPPRESS_EMBEDS: u32 = 1 << 2;

/// The escape of a character that Discord may read as markdown.
const fn escape(c: char) -> Option<&'static str> {
    Some(match c {
        '\\' => "\\\\",
        '*' => "\\*",
        '_' => "\\_",
        '~' => "\\~",
        '`' => "\\`",
        '|' => "\\|",
        '<' => "\\<",
        '>' => "\\>",
        '[' => "\\[",
        ']' => "\\]",
        '#' => "\\#",
        '-' => "\\-",
        '+' => "\\+",
        '@' => "\\@",
        _ => return None,
    })
}

/// A message, as Discord takes it.
pub(super) fn compose(notice: &Notice) -> Value {
    let mut head = format!("**{}**", fit(&letter::title(notice, 200), 300, escape));
    let place = fit(&notice.place(), 200, escape);
    if !place.is_empty() {
        head.push('\n');
        head.push_str(&place);
    }
    let command = fit(&letter::command(notice).replace('`', "'"), 400, |_| None);
    let foot = if command.is_empty() { command } else { format!("\n`{command}`") };
    let room = MAX_UNITS - utf16_len(&head) - utf16_len(&foot) - 1;
    let words = fit(tame_block(&notice.words()).trim(), room, escape);
    let words = if words.is_empty() { words } else { format!("\n{words}") };
    json!({
        "content": format!("{head}{words}{foot}"),
        "allowed_mentions": {"parse": []},
        "flags": SUPPRESS_EMBEDS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::About;
    use proptest::prelude::*;

    fn message(session: &str, detail: &str) -> Value {
        let about = About { session: session.to_owned(), ..About::default() };
        compose(&Notice::mail(&about, "writes to you", Some(detail), "samocode send x `…`"))
    }

    #[test]
    fn nothing_an_agent_writes_pings_or_formats() {
        let message = message("a_b", "@everyone <@&1> ```x``` **b** [a](http://x) \\*");
        assert_eq!(
            message["content"],
            "**a\\_b writes to you**\n\\@everyone \\<\\@&1\\> \\`\\`\\`x\\`\\`\\` \\*\\*b\\*\\* \
             \\[a\\](http://x) \\\\\\*\n`samocode send x '…'`"
        );
        assert_eq!(message["allowed_mentions"], json!({"parse": []}));
    }

    proptest! {
        #[test]
        fn every_message_fits_and_keeps_its_command(
            session in "(\\PC|[*_@<]){0,400}", detail in "(\\PC|[*_@<`\\\\\n]){0,3000}"
        ) {
            let message = message(&session, &detail);
            let content = message["content"].as_str().unwrap_or_default();
            prop_assert!(content.encode_utf16().count() <= MAX_UNITS);
            prop_assert!(content.ends_with("\n`samocode send x '…'`"), "{}", content);
        }
    }
}
