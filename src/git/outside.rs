//! Failures of git that are none of the repository's: the machine is out of something, or a server cannot
//! be reached. They pass, so nobody has to decide anything.

use std::io;

use rustix::io::Errno;

use crate::platform::limits::Limit;

use super::Error;

/// The limits that git reports in the system's words.
const LIMITS: [Errno; 7] = [
    Errno::NOSPC,
    Errno::DQUOT,
    Errno::ROFS,
    Errno::NFILE,
    Errno::MFILE,
    Errno::NOMEM,
    Errno::FBIG,
];

/// What git, curl and ssh say of a server that cannot be reached, and git of an object that a partial
/// clone has there.
const UNREACHABLE: [&str; 11] = [
    "from promisor remote",
    "Could not resolve host",
    "Temporary failure in name resolution",
    "Failed to connect to",
    "Connection refused",
    "Connection timed out",
    "Connection reset",
    "Network is unreachable",
    "No route to host",
    "Operation timed out",
    "The requested URL returned error: 5",
];

/// What they say where waiting does not help.
const REFUSED: [&str; 4] = [
    "The requested URL returned error: 4",
    "Authentication failed",
    "could not read Username",
    "Permission denied",
];

impl Error {
    /// The error of the system behind this one, if a limit of the machine is.
    #[must_use]
    pub fn exhausted(&self) -> Option<io::Error> {
        let errno = match self {
            Self::NoGit(error) => {
                Limit::of_start(error)?;
                error.raw_os_error()?
            }
            Self::Io { source, .. } => {
                Limit::of(source)?;
                source.raw_os_error()?
            }
            Self::Git { said, .. } => {
                let is_it = |errno: &&Errno| said.contains(&words(**errno));
                LIMITS.iter().find(is_it)?.raw_os_error()
            }
            _ => return None,
        };
        Some(io::Error::from_raw_os_error(errno))
    }

    /// Whether git needed a server, and could not reach it.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        let Self::Git { said, .. } = self else { return false };
        let has = |words: &&str| said.contains(*words);
        UNREACHABLE.iter().any(&has) && !REFUSED.iter().any(has)
    }
}

/// An error in the system's own words.
fn words(errno: Errno) -> String {
    let text = io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(said: &str) -> Error {
        Error::Git { doing: "complete the worktree /w".into(), said: said.into() }
    }

    #[test]
    fn limits_of_the_machine_are_known_by_the_systems_words() {
        for (said, errno) in [
            ("error opening '/w/.git': Too many open files", Errno::MFILE),
            ("error opening '/w/.git': Too many open files in system", Errno::NFILE),
            ("unable to create file a: Read-only file system", Errno::ROFS),
            ("unable to write file b: Disk quota exceeded", Errno::DQUOT),
            ("sha1 file 'x' write error: No space left on device", Errno::NOSPC),
        ] {
            let found = git(said).exhausted().and_then(|error| error.raw_os_error());
            assert_eq!(found, Some(errno.raw_os_error()), "{said}");
        }
        let no_git = |errno: Errno| Error::NoGit(errno.into()).exhausted().is_some();
        assert!(no_git(Errno::MFILE) && no_git(Errno::AGAIN) && !no_git(Errno::NOENT));
        assert!(git("invalid reference: x").exhausted().is_none());
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_waited_for_and_one_that_refuses_is_not() {
        for said in [
            "could not fetch 4b825d from promisor remote",
            "could not fetch 4b825d from promisor remote (unable to access 'https://e/r/': Could not resolve host: e)",
            "unable to access 'https://e/r/': Failed to connect to e port 443 after 3 ms: Could not connect to server",
            "ssh: connect to host e port 22: Network is unreachable",
            "unable to access 'https://e/r/': The requested URL returned error: 503",
        ] {
            assert!(git(said).is_unreachable(), "{said}");
        }
        for said in [
            "could not fetch 4b825d from promisor remote (unable to access 'https://e/r/': The requested URL returned error: 403)",
            "could not fetch 4b825d from promisor remote (git@e: Permission denied (publickey).)",
            "invalid reference: x",
        ] {
            assert!(!git(said).is_unreachable(), "{said}");
        }
    }
}
