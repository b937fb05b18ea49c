//! The settings of a session's repository: those of the project's that concern the work, and none
//! that hold secrets or lead out of it.

use std::fmt::Write as _;

use crate::git::command::without_credentials;

/// Sections that are copied whole.
const SECTIONS: [&str; 21] = [
    "alias",
    "author",
    "branch",
    "color",
    "commit",
    "committer",
    "diff",
    "fetch",
    "filter",
    "gpg",
    "i18n",
    "lfs",
    "log",
    "merge",
    "pull",
    "push",
    "rebase",
    "rerere",
    "status",
    "submodule",
    "user",
];

/// Keys of `core` that are copied.
const CORE: [&str; 13] = [
    "core.abbrev",
    "core.autocrlf",
    "core.commentchar",
    "core.eol",
    "core.filemode",
    "core.ignorecase",
    "core.longpaths",
    "core.precomposeunicode",
    "core.protecthfs",
    "core.quotepath",
    "core.safecrlf",
    "core.symlinks",
    "core.whitespace",
];

/// Keys of a remote that are copied. The rest are programs and proxies.
const REMOTE: [&str; 6] = [".url", ".pushurl", ".fetch", ".push", ".tagopt", ".prune"];

/// Where hooks are.
pub(super) const HOOKS_PATH: &str = "core.hookspath";
/// What the names of objects are made with.
pub(super) const OBJECT_FORMAT: &str = "extensions.objectformat";

/// The text of the settings file, from the project's own settings. Filters that must not run are
/// left out.
pub(super) fn text(listed: &[(String, String)], barred_filters: &[String]) -> String {
    let format = listed.iter().find(|(key, _)| key == OBJECT_FORMAT);
    let version = u8::from(format.is_some());
    let mut text = format!(
        "[core]\n\trepositoryformatversion = {version}\n\tbare = true\n\tlogAllRefUpdates = true\n"
    );
    if let Some((key, value)) = format {
        add(&mut text, key, value);
    }
    for (key, value) in listed {
        let is_barred = barred_filters.iter().any(|driver| {
            key.strip_prefix(driver.as_str()).is_some_and(|rest| rest.starts_with('.'))
        });
        if is_barred || !is_wanted(key, value) {
            continue;
        }
        let is_address = key.ends_with(".url") || key.ends_with(".pushurl");
        if is_address && key.starts_with("remote.") {
            add(&mut text, key, &without_secret(value));
        } else {
            add(&mut text, key, value);
        }
    }
    text
}

/// The text of a settings file that says just this.
pub(super) fn lines(listed: &[(String, String)]) -> String {
    let mut text = String::new();
    for (key, value) in listed {
        add(&mut text, key, value);
    }
    text
}

fn is_wanted(key: &str, value: &str) -> bool {
    let section = key.split('.').next().unwrap_or_default();
    match section {
        // One in the files of the worktree is found there; any other is copied.
        "core" if key == HOOKS_PATH => is_in_worktree(value),
        "core" => CORE.contains(&key),
        "remote" => REMOTE.iter().any(|name| key.ends_with(name)),
        section => SECTIONS.contains(&section),
    }
}

/// Whether a value of `core.hooksPath` is relative to the worktree.
pub(super) fn is_in_worktree(value: &str) -> bool {
    !(value.starts_with('/') || value.starts_with('~'))
}

/// The address of a remote without a password or token.
fn without_secret(address: &str) -> String {
    let user = address.split_once("://").and_then(|(scheme, rest)| {
        let (user, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
        Some((scheme, user))
    });
    match user {
        // ssh needs the user's name.
        Some((scheme, user)) if scheme.starts_with("http") || user.contains(':') => {
            without_credentials(address)
        }
        _ => address.to_owned(),
    }
}

/// Adds a setting. Keys come as git lists them: section and name in lower case.
fn add(text: &mut String, key: &str, value: &str) {
    let Some((section, rest)) = key.split_once('.') else { return };
    let header = match rest.rsplit_once('.') {
        Some((subsection, _)) => format!("[{section} \"{}\"]", escaped(subsection)),
        None => format!("[{section}]"),
    };
    let name = rest.rsplit_once('.').map_or(rest, |(_, name)| name);
    let value = escaped(value).replace('\n', "\\n").replace('\t', "\\t");
    let _ = writeln!(text, "{header}\n\t{name} = \"{value}\"");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(settings: &[(&str, &str)]) -> Vec<(String, String)> {
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_concerns_the_work_is_copied_and_what_is_secret_or_leads_out_is_not() {
        let all = listed(&[
            ("core.bare", "false"),
            ("core.autocrlf", "input"),
            ("core.fsmonitor", "/home/u/watch"),
            ("core.hookspath", ".husky/_"),
            ("core.sshcommand", "ssh -i key"),
            ("user.name", "A \"B\" \\ C"),
            ("filter.lfs.clean", "git-lfs clean -- %f"),
            ("filter.evil.clean", "evil"),
            ("credential.helper", "store"),
            ("http.https://example.org.extraheader", "Authorization: s3cret"),
            ("url.https://t0ken@example.org.insteadof", "x:"),
            ("remote.origin.url", "https://me:s3cret@example.org/shop.git"),
            ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
            ("remote.origin.uploadpack", "/home/u/pack"),
            ("include.path", "/home/u/x"),
        ]);
        let text = text(&all, &["filter.evil".to_owned()]);
        for wanted in [
            "\tautocrlf = \"input\"",
            "\thookspath = \".husky/_\"",
            "[user]\n\tname = \"A \\\"B\\\" \\\\ C\"",
            "[filter \"lfs\"]\n\tclean = \"git-lfs clean -- %f\"",
            "[remote \"origin\"]\n\turl = \"https://example.org/shop.git\"",
            "\tbare = true",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        for secret in ["s3cret", "t0ken", "evil", "watch", "sshcommand", "/home/u", "include"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }

    #[test]
    fn addresses_keep_what_ssh_needs_and_lose_what_is_secret() {
        let of = without_secret;
        assert_eq!(of("git@example.org:shop.git"), "git@example.org:shop.git");
        assert_eq!(of("ssh://git@example.org/shop"), "ssh://git@example.org/shop");
        assert_eq!(of("ssh://git:pw@example.org/shop"), "ssh://example.org/shop");
        assert_eq!(of("https://token@example.org/shop"), "https://example.org/shop");
        assert_eq!(of("/srv/git/shop@2.git"), "/srv/git/shop@2.git");
        assert_eq!(of("https://example.org/a@b"), "https://example.org/a@b");
    }

    #[test]
    fn a_format_that_needs_a_newer_git_says_so() {
        let text = text(&listed(&[(OBJECT_FORMAT, "sha256")]), &[]);
        assert!(text.contains("repositoryformatversion = 1"), "{text}");
        assert!(text.contains("[extensions]\n\tobjectformat = \"sha256\""), "{text}");
    }
}
