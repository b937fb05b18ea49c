//! Slack's incoming webhooks (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
//!
//! All blocks are `plain_text`, in which Slack reads neither mentions nor markup. The text that its
//! notifications show is not, so it is escaped: `<!channel>` needs a bare `<`.

use serde_json::{Value, json};

use super::text::{clip, escape_within, tame_block};
use super::{Notice, letter};

/// The longest header, and the longest text of a section.
const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3000;

/// A message, as Slack takes it.
pub(super) fn compose(notice: &Notice) -> Value {
    let text = |text: String| json!({"type": "plain_text", "text": text, "emoji": false});
    let section = |words: String| json!({"type": "section", "text": text(words)});
    let mut blocks =
        vec![json!({"type": "header", "text": text(letter::title(notice, MAX_HEADER))})];
    let parts =
        [notice.place(), tame_block(&notice.words()).trim().to_owned(), letter::command(notice)];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    blocks.extend(parts.map(|part| section(clip(&part, MAX_SECTION))));
    json!({
        "text": escape_within(&letter::title(notice, 300), 400),
        "blocks": blocks,
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::About;
    use proptest::prelude::*;

    fn message(session: &str, detail: &str) -> Value {
        let about = About { session: session.to_owned(), ..About::default() };
        compose(&Notice::mail(&about, "says <!here>", Some(detail), "samocode send x \"…\""))
    }

    #[test]
    fn a_mention_is_text() {
        let message = message("<!channel>", "<!channel> <@U012> @everyone *bold*");
        assert_eq!(message["text"], "&lt;!channel&gt; says &lt;!here&gt;");
        for block in message["blocks"].as_array().unwrap() {
            assert_eq!(block["text"]["type"], "plain_text", "{block}");
            assert_eq!(block["text"]["emoji"], false);
        }
        assert_eq!(message["blocks"][1]["text"]["text"], "<!channel> <@U012> @everyone *bold*");
    }

    proptest! {
        #[test]
        fn no_block_is_too_long_or_empty(
            session in "\\PC{0,300}", detail in any::<String>()
        ) {
            let message = message(&session, &detail.repeat(20));
            let text = message["text"].as_str().unwrap_or_default();
            prop_assert!(!text.contains(['<', '>', '\n']));
            for block in message["blocks"].as_array().into_iter().flatten() {
                let text = block["text"]["text"].as_str().unwrap_or_default();
                let most = if block["type"] == "header" { MAX_HEADER } else { MAX_SECTION };
                prop_assert!((1..=most).contains(&text.encode_utf16().count()));
            }
        }
    }
}
