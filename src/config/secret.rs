//! Secrets: a type that does not show them, which variables are secret, and their removal from
//! text.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

use crate::session::order;

use super::{Env, EnvFile, Veil};

/// A secret text. Neither `Debug` nor any other formatting shows it, and its memory is wiped when it
/// is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret. Surrounding white space, such as a file's final newline, is dropped: no key
    /// has any.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let text = Zeroizing::new(text.into());
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Hides every occurrence of the secret in a text that someone else wrote; of one that is too
    /// short to be a secret, none.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let is_short = self.0.len() < SHORTEST;
        if is_short { text.to_owned() } else { text.replace(self.expose(), "[hidden]") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("set")
    }
}

/// Whether a variable holds a secret, judged by its name; for a proxy, by whether its URL has a
/// password.
#[must_use]
pub fn is_secret(name: &str, value: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    if upper.ends_with("_PROXY") {
        return userinfo(value).is_some();
    }
    let whole = ["AWS_ACCESS_KEY_ID", "AWS_BEARER_TOKEN_BEDROCK", "PASSWORD", "TOKEN", "MYSQL_PWD"];
    let ends = [
        "_KEY",
        "_TOKEN",
        "_PAT",
        "_AUTH",
        "_HEADERS",
        "_SECRET",
        "_PASSWORD",
        "_PASSWD",
        "_PASSPHRASE",
        "_CREDENTIAL",
        "PGPASSWORD",
    ];
    whole.contains(&upper.as_str())
        || upper.contains("SECRET_")
        || ends.iter().any(|end| upper.ends_with(end))
}

/// The `user:password` of a URL that has a password.
fn userinfo(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let (userinfo, _) = authority.rsplit_once('@')?;
    userinfo.split_once(':').filter(|(_, password)| !password.is_empty()).map(|_| userinfo)
}

/// The shortest secret that is removed, in bytes: shorter ones would match ordinary words. No
/// provider's keys are nearly as short.
const SHORTEST: usize = 6;

/// Removes known secrets from text, for messages, journal and journald.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that no part of a longer secret is left behind.
    secrets: Vec<(Secret, String)>,
}

impl Redactor {
    /// A redactor for every secret in an environment.
    #[must_use]
    pub fn of_env(env: &Env) -> Self {
        let mut redactor = Self::default();
        redactor.add_env(env);
        redactor
    }

    /// Adds every secret in an environment.
    pub fn add_env(&mut self, env: &Env) {
        for (name, value) in env {
            if let (Some(name), Some(value)) = (name.to_str(), value.to_str())
                && is_secret(name, value)
            {
                self.add(name, value);
            }
        }
    }

    /// Adds a secret, which is then shown as `[NAME]`. In a URL only `user:password` is secret, in
    /// headers only the values. Forms escaped for JSON or a URL's path are recognized too.
    pub fn add(&mut self, name: &str, value: &str) {
        let mut texts: Vec<&str> = match userinfo(value) {
            Some(userinfo) if name.to_ascii_uppercase().ends_with("_PROXY") => {
                vec![userinfo, userinfo.split_once(':').map_or(userinfo, |(_, password)| password)]
            }
            _ => vec![value.trim()],
        };
        if name.ends_with("_HEADERS") {
            let values = value.lines().filter_map(|line| line.split_once(':'));
            texts.extend(values.map(|(_, value)| value.trim()));
        }
        for text in texts {
            let json = Zeroizing::new(serde_json::Value::from(text).to_string());
            let json = json.trim_matches('"').to_owned();
            for form in [text.to_owned(), json, text.replace(':', "%3A")] {
                let form = Secret(Zeroizing::new(form));
                if form.0.len() >= SHORTEST && !self.secrets.iter().any(|(known, _)| *known == form)
                {
                    self.secrets.push((form, format!("[{name}]")));
                }
            }
        }
        order::by_key(&mut self.secrets, |(secret, _)| std::cmp::Reverse(secret.0.len()));
    }

    /// The text without the secrets; borrowed if it contains none.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        for (secret, shown) in &self.secrets {
            if memchr::memmem::find(clean.as_bytes(), secret.0.as_bytes()).is_some() {
                clean = Cow::Owned(clean.replace(secret.expose(), shown));
            }
        }
        clean
    }

    /// The same for a stream.
    #[must_use]
    pub fn veil(&self) -> Veil {
        Veil::new(self.secrets.clone())
    }

    /// The same for every string in a JSON value; field names are left alone.
    pub fn redact_value(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => *text = self.redact(text).into_owned(),
            serde_json::Value::Array(values) => {
                values.iter_mut().for_each(|value| self.redact_value(value));
            }
            serde_json::Value::Object(fields) => {
                fields.values_mut().for_each(|value| self.redact_value(value));
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.secrets.iter().map(|(_, shown)| shown)).finish()
    }
}

/// Everything that may be a secret, from the environment and the env file.
#[must_use]
pub fn redactor(env: &Env, file: &EnvFile) -> Redactor {
    let mut redactor = Redactor::of_env(env);
    for (name, _, value) in file.iter() {
        if is_secret(name, value.expose()) {
            redactor.add(name, value.expose());
        }
    }
    redactor
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_known_by_name_and_proxies_by_their_password() {
        for (name, value, secret) in [
            ("ANTHROPIC_API_KEY", "x", true),
            ("ANTHROPIC_AUTH_TOKEN", "x", true),
            ("ANTHROPIC_CUSTOM_HEADERS", "x", true),
            ("ANTHROPIC_BASE_URL", "http://x", false),
            ("CLAUDE_CODE_OAUTH_TOKEN", "x", true),
            ("CLAUDE_CONFIG_DIR", "x", false),
            ("CLAUDE_CODE_MAX_OUTPUT_TOKENS", "9", false),
            ("OPENAI_API_KEY", "x", true),
            ("GEMINI_API_KEY", "x", true),
            ("GOOGLE_API_KEY", "x", true),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/x.json", false),
            ("AWS_ACCESS_KEY_ID", "x", true),
            ("AWS_SECRET_ACCESS_KEY", "x", true),
            ("AWS_SESSION_TOKEN", "x", true),
            ("AWS_REGION", "x", false),
            ("TELEGRAM_BOT_TOKEN", "x", true),
            ("TELEGRAM_CHAT_ID", "1", false),
            ("GITHUB_TOKEN", "x", true),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x", true),
            ("NPM_CONFIG__AUTH", "x", true),
            ("SSH_AUTH_SOCK", "/s", false),
            ("HTTPS_PROXY", "http://u:p@h:1", true),
            ("https_proxy", "u:p@h:1", true),
            ("HTTPS_PROXY", "http://u@h:1/x:y@z", false),
            ("HTTPS_PROXY", "http://h:1", false),
            ("NO_PROXY", "a,b", false),
            ("PATH", "/bin", false),
        ] {
            assert_eq!(is_secret(name, value), secret, "{name}={value}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("sk-ant-1");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "set Some(set)");
        assert_eq!(Secret::new(" 12:abc\n").expose(), "12:abc");
        assert_eq!(Secret::new("12:abc").redact("x/bot12:abc/y"), "x/bot[hidden]/y");
        assert_eq!(Secret::new("").redact("abc"), "abc");
        assert_eq!(Secret::new("e").redact("the server said"), "the server said");
        let env = Env::from_iter([("ANTHROPIC_API_KEY", "sk-ant-12345")]);
        assert!(!format!("{:?}", Redactor::of_env(&env)).contains("sk-ant"));
    }

    #[test]
    fn known_secrets_are_taken_out_of_text() {
        let env = Env::from_iter([
            ("ANTHROPIC_API_KEY", "sk-ant-12345"),
            ("ANTHROPIC_AUTH_TOKEN", "sk-ant-12345-longer"),
            ("TELEGRAM_BOT_TOKEN", "123456:AAbb"),
            ("HTTPS_PROXY", "http://bob:hunter2@proxy:80"),
            ("ANTHROPIC_CUSTOM_HEADERS", "X-One: first-secret\nX-Two: sec\"ond-secret"),
            ("LANG", "C.UTF-8"),
        ]);
        let redactor = Redactor::of_env(&env);
        for (text, clean) in [
            ("key sk-ant-12345!", "key [ANTHROPIC_API_KEY]!"),
            ("sk-ant-12345-longer", "[ANTHROPIC_AUTH_TOKEN]"),
            ("/bot123456:AAbb/send", "/bot[TELEGRAM_BOT_TOKEN]/send"),
            ("/bot123456%3AAAbb/send", "/bot[TELEGRAM_BOT_TOKEN]/send"),
            ("via http://bob:hunter2@proxy:80", "via http://[HTTPS_PROXY]@proxy:80"),
            ("password hunter2", "password [HTTPS_PROXY]"),
            ("got first-secret", "got [ANTHROPIC_CUSTOM_HEADERS]"),
            ("{\"h\":\"sec\\\"ond-secret\"}", "{\"h\":\"[ANTHROPIC_CUSTOM_HEADERS]\"}"),
        ] {
            assert_eq!(redactor.redact(text), clean);
        }
        assert!(matches!(redactor.redact("nothing in C.UTF-8"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn no_secret_is_left_over(
            secrets in proptest::collection::vec("[a-c]{6,9}", 1..4),
            text in "[a-c ]{0,60}",
        ) {
            let mut redactor = Redactor::default();
            for (at, secret) in secrets.iter().enumerate() {
                redactor.add(&format!("S{at}"), secret);
            }
            let clean = redactor.redact(&text);
            for secret in &secrets {
                prop_assert!(!clean.contains(secret.as_str()));
            }
        }
    }

    #[test]
    fn a_value_is_cleaned_at_any_depth() {
        let mut redactor = Redactor::default();
        redactor.add("ANTHROPIC_API_KEY", "sk-ant-1234567");
        let mut value = serde_json::json!({"a": ["x sk-ant-1234567", 1, {"b": "sk-ant-1234567"}]});
        redactor.redact_value(&mut value);
        let clean =
            serde_json::json!({"a": ["x [ANTHROPIC_API_KEY]", 1, {"b": "[ANTHROPIC_API_KEY]"}]});
        assert_eq!(value, clean);
    }
}
