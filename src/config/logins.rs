//! Settings of programs that have a login in them: they are their owner's alone.

/// What is written in them.
const WORDS: [&str; 8] =
    ["token", "password", "passwd", "secret", "extraheader", "smtppass", "credential", "_auth"];

/// Whether the text of a settings file has a password, a token or the like in it, as far as words tell.
#[must_use]
pub fn has_login(text: &str) -> bool {
    let text = text.to_lowercase();
    let names_user = |line: &str| {
        let address = line.split_once("://").map(|(_, rest)| rest.split('/').next());
        address.flatten().is_some_and(|host| host.contains('@') && !host.starts_with("git@"))
    };
    WORDS.iter().any(|word| text.contains(word)) || text.lines().any(names_user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_seen_in_settings_of_any_program() {
        for with in [
            "[http]\nextraHeader = x",
            "[github]\ntoken = x",
            "[credential]\nhelper=store",
            "//registry.npmjs.org/:_authToken=x",
            "<server><password>x</password></server>",
            "index-url = https://me:pw@pypi.example/simple",
        ] {
            assert!(has_login(with), "{with}");
        }
        for without in [
            "registry=https://mirror.example/npm/",
            "[build]\nrustflags = [\"-C\", \"link-arg=-fuse-ld=mold\"]",
            "[url \"ssh://git@example.org/\"]\ninsteadOf = x:",
            "GOPROXY=https://proxy.example,direct",
        ] {
            assert!(!has_login(without), "{without}");
        }
    }
}
