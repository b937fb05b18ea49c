//! Parses values: durations, sizes, money and the like. `None` means "not understood";
//! [`Kind`](super::keys::Kind) lists the allowed values.

use std::time::Duration;

/// The longest duration accepted, a year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Parses a switch, `yes` or `no`; `None` for anything else.
#[must_use]
pub fn yes_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Names of files or folders with spaces or commas between them, each a single component of a path.
#[must_use]
pub fn names(text: &str) -> Option<Vec<String>> {
    let names = text.split([' ', ',']).filter(|name| !name.is_empty());
    let is_name = |name: &&str| !name.contains('/') && !matches!(*name, "." | ".." | ".git");
    let names: Vec<&str> = names.collect();
    names.iter().all(is_name).then(|| names.into_iter().map(str::to_owned).collect())
}

/// Variables that an agent's environment cannot do without as they are.
const NOT_OF_CACHES: [&str; 7] = ["PATH", "HOME", "TMPDIR", "SHELL", "USER", "LOGNAME", "PWD"];

/// Names of environment variables with spaces or commas between them. None of our own, and none that
/// every program needs.
#[must_use]
pub fn variables(text: &str) -> Option<Vec<String>> {
    let names: Vec<&str> = text.split([' ', ',']).filter(|name| !name.is_empty()).collect();
    let is_name = |name: &&str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && !name.starts_with("SAMOCODE_")
            && !NOT_OF_CACHES.contains(name)
    };
    let is_list = !names.is_empty() && names.iter().all(is_name);
    is_list.then(|| names.into_iter().map(str::to_owned).collect())
}

/// `1800` (seconds), `2.5`, `30s`, `10 min`, `1h 30min`, `2h`, `500 ms`, `1 day`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    let mut parts = 0;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let seconds = match unit.to_ascii_lowercase().as_str() {
            "" if parts == 0 && after.is_empty() => 1.0,
            "ms" | "msec" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86400.0,
            _ => return None,
        };
        sum = sum.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = after.trim_start();
        parts += 1;
    }
    (parts > 0 && sum <= LONGEST).then_some(sum)
}

/// `1 GiB`, `1G` and `1024M` are the same, as for systemd; `1 GB` is 10⁹; a bare number is bytes.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text.trim())?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1_048_576.0,
        "g" | "gib" => 1_073_741_824.0,
        "t" | "tib" => 1_099_511_627_776.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        _ => return None,
    };
    let bytes = (number * factor).round();
    // Below 2^53 every whole number is exact in a f64; no machine has more memory or disk.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be in range"
    )]
    (bytes < 9_007_199_254_740_992.0).then_some(bytes as u64)
}

/// `80`, `80%`, `80 %`: whole percent from 1 to 100.
#[must_use]
pub fn percent(text: &str) -> Option<u8> {
    let text = text.trim();
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    whole(number)
        .and_then(|percent| u8::try_from(percent).ok())
        .filter(|percent| (1..=100).contains(percent))
}

/// `5`, `5.50`, `$5`, `5 USD`: dollars, above 0.
#[must_use]
pub fn money(text: &str) -> Option<f64> {
    let text = text.trim();
    let text = text.strip_prefix('$').unwrap_or(text).trim_start();
    let (number, unit) = split_number(text)?;
    let known = unit.is_empty() || unit == "$" || unit.eq_ignore_ascii_case("usd");
    (known && number > 0.0 && number <= 1e9).then_some(number)
}

/// `200000`, `200_000`, `200k`, `2M`, `1.5 M`: at least one.
#[must_use]
pub fn tokens(text: &str) -> Option<u64> {
    let text = text.trim().replace('_', "");
    let (number, unit) = split_number(&text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" | "b" => 1e9,
        _ => return None,
    };
    let count = (number * factor).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be in range"
    )]
    (1.0..=1e15).contains(&count).then_some(count as u64)
}

/// A whole number of decimal digits only.
#[must_use]
pub fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `MemoryMax=`: a size, a percentage of the machine's memory, or `infinity`; in a form that every
/// systemd accepts, so without `GiB`.
#[must_use]
pub fn memory(text: &str) -> Option<String> {
    special(text).or_else(|| size(text).filter(|bytes| *bytes > 0).map(|bytes| bytes.to_string()))
}

/// `TasksMax=`: a number, a percentage of the system's limit, or `infinity`.
#[must_use]
pub fn tasks(text: &str) -> Option<String> {
    special(text).or_else(|| whole(text).filter(|count| *count > 0).map(|count| count.to_string()))
}

/// `CPUWeight=`: 1 to 10000, or `idle`, which systemd supports since 252.
#[must_use]
pub fn cpu_weight(text: &str) -> Option<String> {
    if text.trim().eq_ignore_ascii_case("idle") {
        return Some("idle".to_owned());
    }
    whole(text).filter(|weight| (1..=10_000).contains(weight)).map(|weight| weight.to_string())
}

/// An address of `http` or `https`, without a slash at its end.
#[must_use]
pub fn url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let is_sound =
        !rest.starts_with(['/', ':']) && !rest.is_empty() && !rest.contains(char::is_whitespace);
    is_sound.then(|| text.trim_end_matches('/').to_owned())
}

fn special(text: &str) -> Option<String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("infinity") {
        return Some("infinity".to_owned());
    }
    text.ends_with('%').then(|| percent(text).map(|percent| format!("{percent}%"))).flatten()
}

/// Splits the number at the start, without sign or exponent, from the text that follows it.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("1800", 1800.0),
            ("2.5", 2.5),
            ("0", 0.0),
            ("30s", 30.0),
            ("10 min", 600.0),
            ("10m", 600.0),
            ("1h 30min", 5400.0),
            ("1h30m", 5400.0),
            ("1.5 hours", 5400.0),
            ("500ms", 0.5),
            ("2 Days", 172_800.0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for bad in [
            "",
            "x",
            "-5",
            "5 parsecs",
            "1e9",
            "1.2.3",
            "inf",
            "nan",
            "10 min 5",
            "5 5",
            "9999d",
            "5µs",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn variables_of_caches_are_names_and_none_that_programs_need() {
        let parsed = variables("YARN_CACHE_FOLDER, npm_config_cache").unwrap();
        assert_eq!(parsed, ["YARN_CACHE_FOLDER", "npm_config_cache"]);
        for bad in ["", " ", "HOME", "A PATH", "SAMOCODE_RUN", "1A", "A=b", "~/.yarn", "a-b"] {
            assert_eq!(variables(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_binary_unless_they_say_otherwise() {
        for (text, bytes) in [
            ("1 GiB", 1 << 30),
            ("1G", 1 << 30),
            ("500M", 500 << 20),
            ("1.5k", 1536),
            ("7", 7),
            ("1GB", 1_000_000_000),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for bad in ["", "G", "1 XB", "-1", "99999999T"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn percentages_money_and_tokens_have_bounds() {
        assert_eq!(
            [percent("80 %"), percent("80"), percent("100%")],
            [Some(80), Some(80), Some(100)]
        );
        assert_eq!([percent("0"), percent("101"), percent("0.8"), percent("%")], [None; 4]);
        assert_eq!(
            [money("5"), money("$5"), money("5.50"), money("5 usd")],
            [Some(5.0), Some(5.0), Some(5.5), Some(5.0)]
        );
        assert_eq!([money("0"), money("-1"), money("5 EUR"), money("$")], [None; 4]);
        assert_eq!(
            [tokens("200_000"), tokens("200k"), tokens("1.5M")],
            [Some(200_000), Some(200_000), Some(1_500_000)]
        );
        assert_eq!([tokens("0"), tokens("x"), tokens("5 x")], [None; 3]);
    }

    #[test]
    fn limits_come_out_in_systemds_syntax() {
        for (text, expected) in [
            ("50%", Some("50%")),
            ("50 %", Some("50%")),
            ("2 GiB", Some("2147483648")),
            ("infinity", Some("infinity")),
            ("0", None),
            ("150%", None),
            ("lots", None),
        ] {
            assert_eq!(memory(text).as_deref(), expected, "{text}");
        }
        assert_eq!(tasks("4096").as_deref(), Some("4096"));
        assert_eq!(tasks("4k"), None);
        assert_eq!(cpu_weight("idle").as_deref(), Some("idle"));
        assert_eq!([cpu_weight("0"), cpu_weight("10001"), cpu_weight("50%")], [None, None, None]);
    }

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        assert_eq!(url("http://127.0.0.1:80/x/").as_deref(), Some("http://127.0.0.1:80/x"));
        let bad = ["", "api.telegram.org", "ftp://x", "http://", "https:///x", "http://a b"];
        assert_eq!(bad.map(url), [const { None }; 6]);
    }

    proptest! {
        #[test]
        fn nothing_makes_them_panic(text in "[0-9.]{0,30}[a-zA-Z%$_ é-]{0,8}[0-9.]{0,4}") {
            let _ = (duration(&text), size(&text), percent(&text), money(&text), tokens(&text));
            let _ = (memory(&text), tasks(&text), cpu_weight(&text), whole(&text));
        }
    }
}
