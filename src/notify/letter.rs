//! A notice as plain text, for channels that need no markup.

use super::Notice;
use super::text::{clip, tame_block, tame_line, utf16_len};

/// The first line: which session, and what happened.
pub(super) fn title(notice: &Notice, budget: usize) -> String {
    clip(tame_line(&format!("{} {}", notice.subject(), notice.text)).trim(), budget)
}

/// All other lines. If they are too long, the agent's words are cut and the command stays.
pub(super) fn body(notice: &Notice, budget: usize) -> String {
    let command = clip(&command(notice), budget / 4);
    let place = clip(&notice.place(), budget / 8);
    let taken = utf16_len(&command) + utf16_len(&place) + 4;
    let words = clip(tame_block(&notice.words()).trim(), budget.saturating_sub(taken));
    let parts = [place, words, command];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// The command, if there is one.
pub(super) fn command(notice: &Notice) -> String {
    notice.command.as_deref().map(tame_line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::About;
    use proptest::prelude::*;

    #[test]
    fn a_convoy_is_named_once() {
        let about = About { session: "night".to_owned(), ..About::default() };
        let text = "convoy night is complete";
        for needs_somebody in [true, false] {
            let notice =
                Notice::convoy(&about, needs_somebody, text, "samocode convoy status night");
            assert_eq!(title(&notice, 100), text);
        }
    }

    fn notice(session: &str, text: &str, detail: &str) -> Notice {
        let about = About { session: session.to_owned(), ..About::default() };
        let notice = Notice::blocked(&about, Some(detail), None, "samocode why x");
        Notice { text: text.to_owned(), ..notice }
    }

    #[test]
    fn the_command_stays_when_the_words_are_cut() {
        let text = body(&notice("x", "is blocked", &"It is long. ".repeat(100)), 200);
        assert!(text.ends_with("It is long. …\n\nsamocode why x"), "{text}");
        assert_eq!(title(&notice("x\ny", "is\r\nblocked", ""), 50), "x y is blocked");
    }

    proptest! {
        #[test]
        fn every_letter_fits(
            session in "(\\PC|\n|\r|😀){0,60}", text in "\\PC{0,300}",
            detail in any::<String>(), budget in 8usize..400
        ) {
            let notice = notice(&session, &text, &detail);
            prop_assert!(utf16_len(&body(&notice, budget)) <= budget);
            let title = title(&notice, budget);
            prop_assert!(utf16_len(&title) <= budget);
            prop_assert!(!title.contains(['\n', '\r', '\0']));
        }
    }
}
