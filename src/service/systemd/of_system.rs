//! Errors of the operating system that systemd passes on by name, as `System.Error.EROFS`.

use std::io;

use rustix::io::Errno;

/// Those that a person can do something about.
const KNOWN: [(&str, Errno); 7] = [
    ("EROFS", Errno::ROFS),
    ("ENOSPC", Errno::NOSPC),
    ("EDQUOT", Errno::DQUOT),
    ("EMFILE", Errno::MFILE),
    ("ENFILE", Errno::NFILE),
    ("ENOMEM", Errno::NOMEM),
    ("EACCES", Errno::ACCESS),
];

/// Such an error as our own: what it happened to, and the error itself, which has a remedy.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct OfSystem {
    what: String,
    source: io::Error,
}

/// An answer of the manager, or the error of the operating system behind it.
pub(super) fn explained(error: zbus::Error) -> Box<dyn std::error::Error + Send + Sync> {
    let found = match &error {
        zbus::Error::MethodError(name, text, _) => {
            from_answer(name, text.as_deref().unwrap_or_default())
        }
        _ => None,
    };
    found.map_or_else(|| Box::from(error), Box::from)
}

fn from_answer(name: &str, text: &str) -> Option<OfSystem> {
    let code = name.strip_prefix("System.Error.")?;
    let (_, errno) = KNOWN.iter().find(|(known, _)| *known == code)?;
    let source = io::Error::from_raw_os_error(errno.raw_os_error());
    // The text ends in the name of the error, which follows as the cause.
    let words = source.to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    let what = text.strip_suffix(words).unwrap_or(text).trim_end_matches([' ', ':']);
    let what = if what.is_empty() { "the service manager" } else { what };
    Some(OfSystem { what: what.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_system_is_known_again_with_what_it_happened_to() {
        let known = |name: &str, text: &str| {
            let OfSystem { what, source } = from_answer(name, text)?;
            Some((what, source.raw_os_error()))
        };
        let code = |errno: Errno| Some(errno.raw_os_error());
        let text = "File /u/samocode@a.service: Read-only file system";
        let file = "File /u/samocode@a.service".to_owned();
        assert_eq!(known("System.Error.EROFS", text), Some((file, code(Errno::ROFS))));
        let manager = "the service manager".to_owned();
        assert_eq!(known("System.Error.ENOSPC", ""), Some((manager, code(Errno::NOSPC))));
        assert_eq!(known("System.Error.EXYZ", "x"), None);
        assert_eq!(known("org.freedesktop.systemd1.NoSuchUnit", "x"), None);
    }
}
