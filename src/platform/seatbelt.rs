//! The profile for `sandbox-exec` of macOS that holds the same rules. Text only: it is checked as
//! text, and has never run on a Mac.

use std::fmt::Write as _;
use std::path::Path;

use super::confinement::{Access, Network, Rules, Sockets};

/// What programs need of the system besides files: their own processes, and asking it things.
const BASE: &str = "(version 1)
(deny default)
(allow process-exec process-fork)
(allow signal (target same-sandbox))
(allow sysctl-read)
(allow file-read-metadata)
(allow file-read* (literal \"/\"))
(allow pseudo-tty)
";

/// The profile, in the language of sandbox profiles.
#[must_use]
pub fn profile(rules: &Rules) -> String {
    let mut text = BASE.to_owned();
    for rule in &rules.paths {
        let actions = match rule.access {
            Access::Read => "file-read*",
            Access::Device => "file-read* file-write-data file-ioctl",
            Access::Write => "file-read* file-write*",
        };
        let _ = writeln!(text, "(allow {actions} (subpath {}))", quoted(&rule.path));
    }
    if rules.sockets == Sockets::Any {
        text.push_str("(allow network* (local unix) (remote unix))\n");
    }
    match &rules.network {
        Network::Host => text.push_str("(allow network* (local ip) (remote ip))\n"),
        // Its profiles know no host but this one.
        Network::Own(_) => {
            text.push_str(
                "(allow network* (local ip \"localhost:*\") (remote ip \"localhost:*\"))\n",
            );
        }
    }
    text
}

/// A path as a string of the profile's language.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::confinement::Rule;

    #[test]
    fn a_profile_denies_all_that_no_rule_allows() {
        let rule = |path: &str, access| Rule { path: path.into(), access };
        let paths = vec![
            rule("/usr", Access::Read),
            rule("/w/a \"b\"", Access::Write),
            rule("/dev/null", Access::Device),
        ];
        let open = Rules { paths: paths.clone(), ..Rules::default() };
        let text = profile(&open);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["(version 1)", "(deny default)"]);
        for wanted in [
            "(allow file-read* (subpath \"/usr\"))",
            "(allow file-read* file-write* (subpath \"/w/a \\\"b\\\"\"))",
            "(allow file-read* file-write-data file-ioctl (subpath \"/dev/null\"))",
            "(allow network* (local ip) (remote ip))",
        ] {
            assert!(lines.contains(&wanted), "{wanted} in {text}");
        }
        assert!(!text.contains("unix"), "{text}");
        let strict =
            Rules { paths, sockets: Sockets::Any, network: Network::Own(vec![3128]), ..open };
        let text = profile(&strict);
        assert!(text.contains("(remote ip \"localhost:*\")"), "{text}");
        assert!(text.contains("(remote unix)") && !text.contains("(remote ip)"), "{text}");
    }
}
