//! A shell command in a few words that others may read.

/// `cargo test` of `cd /x && RUST_LOG=debug cargo test --quiet 2>&1`: the first plain words, since
/// the rest may hold secrets.
pub(super) fn first_words(command: &str) -> String {
    let plain = |word: &&str| {
        !word.starts_with('-')
            && word.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | '+'))
    };
    let parts = command.split("&&").flat_map(|part| part.split([';', '\n', '|']));
    for part in parts {
        let mut words = part.split_whitespace().skip_while(|word| word.contains('=')).peekable();
        if words.peek().is_none_or(|word| *word == "cd") {
            continue;
        }
        let first: Vec<&str> = words.take_while(plain).take(3).collect();
        if !first.is_empty() {
            return first.join(" ");
        }
    }
    "a command".to_owned()
}

/// The command within `/bin/bash -lc 'COMMAND'`.
pub(super) fn unwrapped(command: &str) -> String {
    match shlex::split(command).as_deref() {
        Some([shell, flag, inner]) if shell.ends_with("sh") && flag.starts_with('-') => {
            inner.clone()
        }
        _ => command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_plain_words_are_shown() {
        for (command, words) in [
            ("cd /x && RUST_LOG=debug cargo test --quiet 2>&1", "cargo test"),
            ("curl -H 'Authorization: x' https://x", "curl"),
            ("A=b", "a command"),
            ("#!/usr/bin/env bash\nset -eu\n", "set"),
        ] {
            assert_eq!(first_words(command), words);
        }
        assert_eq!(unwrapped("/bin/bash -lc 'git commit -m \"a b\"'"), "git commit -m \"a b\"");
        assert_eq!(unwrapped("git 'commit"), "git 'commit");
        assert_eq!(unwrapped("git log -1"), "git log -1");
    }
}
